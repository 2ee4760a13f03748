"""Greedy text by recomputation, for checks and for measuring draft heads; the engine is what serves."""
import torch
import torch.nn.functional as F


@torch.no_grad()
def greedy(model, prompts, count):
    """prompts [N, P] of equal length -> tokens [N, P + count]; ties go to the lower id, as in the engine."""
    tokens = prompts
    for _ in range(count):
        logits = F.linear(model.hidden(tokens)[:, -1], model.table())
        tokens = torch.cat([tokens, logits.argmax(-1, keepdim=True)], 1)
    return tokens
