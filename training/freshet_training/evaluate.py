"""Perplexity of a text under a model directory, and how often each draft head is right.

    python -m freshet_training.evaluate MODEL --text FILE [--length 512] [--limit 64]

Windows do not overlap and open with the begin token. With Medusa heads, the accuracy of each head is measured twice: against the text,
and against the model's own greedy continuation of prompts from the text, which is what a draft has to match at temperature 0.
"""
import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from . import data, directory, generate

RANKS = 10


def read_text(model_path, model, text, limit=None):
    """The text in the tokens of a model directory, and the id that opens a window."""
    raw = model.config.raw
    begin = raw.get("bos_token_id", raw.get("eos_token_id", 0))
    return data.Text(text, Tokenizer.from_file(str(Path(model_path) / "tokenizer.json")), begin, limit), begin


@torch.no_grad()
def perplexity(model, text, begin, length, limit=None, batch=16):
    """(perplexity, nats per token, tokens) over consecutive windows of `length` tokens."""
    inputs, targets = data.consecutive(text, length, begin, limit)
    device, total = next(model.parameters()).device, 0.0
    for x, y in zip(inputs.split(batch), targets.split(batch)):
        total += F.cross_entropy(model(x.to(device)).flatten(0, 1).float(), y.to(device).flatten(), reduction="sum").item()
    nats = total / targets.numel()
    return math.exp(nats), nats, targets.numel()


@torch.no_grad()
def head_hits(model, tokens, first=0, ranks=RANKS):
    """hits [heads, ranks]: how often the r-th best token of head k is the token k + 2 places on, over tokens [N, T] from `first` on."""
    hits, seen = torch.zeros(len(model.medusa_heads), ranks, dtype=torch.float64), 0
    for part in tokens.split(8):
        hidden = model.hidden(part)
        stop = part.shape[1] - len(model.medusa_heads) - 1
        for k, head in enumerate(model.medusa_heads):
            best = head(hidden[:, first:stop]).topk(ranks, -1).indices
            hits[k] += (best == part[:, first + k + 2:stop + k + 2, None]).sum((0, 1)).double().cpu()
        seen += hidden[:, first:stop].shape[:2].numel()
    return hits / max(1, seen)


def own_text(model, text, begin, prompts=32, prompt_length=32, count=96, seed=7):
    """The model's greedy continuations of paragraphs of a text, [N, prompt + count], and where they begin."""
    draw = torch.Generator().manual_seed(seed)
    starts = text.starts[torch.randint(len(text.starts), (prompts,), generator=draw)]
    inputs, _ = text.windows(starts, prompt_length, begin)
    return generate.greedy(model, inputs.to(next(model.parameters()).device), count), prompt_length


@torch.no_grad()
def accepted_length(model, tokens, first, tree):
    """Mean tokens a step when the engine drafts `tree` along greedy texts [N, T] whose generated part begins at `first`.

    A step commits the root and the accepted path; a draft ends at a group edge, as it does in the engine.
    """
    paths, group = {tuple(c) for c in tree}, model.config.options["group_size"]
    softmax = all(kind == "softmax" for kind, _ in model.config.layers)
    steps = made = 0
    for row in tokens.split(1):
        hidden, ids = model.hidden(row)[0], row[0].tolist()
        ranks = max((max(c) for c in paths), default=0) + 1
        best = [head(hidden).topk(ranks, -1).indices.tolist() for head in model.medusa_heads]
        at = first
        while at < len(ids):
            deepest, path = len(best) if softmax else min(len(best), group - 1 - at % group), ()
            for depth in range(deepest):
                guesses = best[depth][at - 1]
                if at + 1 + depth >= len(ids) or ids[at + 1 + depth] not in guesses:
                    break
                longer = path + (guesses.index(ids[at + 1 + depth]),)
                if longer not in paths:
                    break
                path = longer
            steps += 1
            made += 1 + len(path)
            at += 1 + len(path)
    return made / max(1, steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--limit", type=int, default=None, help="windows at most")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    model = directory.load(args.model, args.device).eval()
    text, begin = read_text(args.model, model, args.text)
    value, nats, count = perplexity(model, text, begin, args.length, args.limit)
    result = {"text": text.name, "tokens": count, "window": args.length, "perplexity": round(value, 3), "nats_per_token": round(nats, 4),
              "bits_per_byte": round(nats / math.log(2) * len(text.tokens) / text.bytes, 4)}
    if model.medusa_heads:
        inputs, _ = data.consecutive(text, args.length, begin, args.limit or 16)
        own, first = own_text(model, text, begin)
        for name, hits in (("heads_on_text", head_hits(model, inputs.to(args.device))), ("heads_on_own_text", head_hits(model, own, first))):
            result[name] = [{"head": k, "top1": round(h[0].item(), 4), "top5": round(h[:5].sum().item(), 4)} for k, h in enumerate(hits)]
        if model.config.tree:
            result["accepted_length_greedy"] = round(accepted_length(model, own, first, model.config.tree), 3)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
