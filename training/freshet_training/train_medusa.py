"""Train Medusa heads on a frozen model and build the draft tree from their measured accuracies.

    python -m freshet_training.train_medusa MODEL OUT --text FILE... --held-out FILE --minutes 10 [--heads 4 --nodes 63]

Head k learns what the frozen model itself would say k + 2 places on: its loss is the cross-entropy against the model's own
distribution there, weighted 0.8^k (Cai et al. 2024). The tree is grown greedily by the product of accuracies along a path, measured on
the model's greedy continuations of held-out paragraphs.
"""
import argparse
import copy
import heapq
from pathlib import Path

import torch
import torch.nn.functional as F

from . import data, directory, evaluate, loop, train

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def grow_tree(accuracy, nodes):
    """Choices [[rank, ...], ...] of the `nodes` best paths, and the mean number of tokens a step accepts if heads were independent.

    accuracy [heads][ranks]: chance that the rank-th best token of a head is right. A path's value is the product along it, never more
    than its parent's, so the best `nodes` paths are closed under parents.
    """
    heads, ranks = len(accuracy), len(accuracy[0])
    queue, chosen, expected = [(-float(accuracy[0][r]), (r,)) for r in range(ranks)], [], 1.0
    heapq.heapify(queue)
    while queue and len(chosen) < nodes:
        value, path = heapq.heappop(queue)
        if value == 0:
            break
        chosen.append(list(path))
        expected -= value
        if len(path) < heads:
            for r in range(ranks):
                heapq.heappush(queue, (value * float(accuracy[len(path)][r]), path + (r,)))
    return sorted(chosen, key=lambda c: (len(c), c)), expected


def with_heads(model, count):
    """The model with `count` new heads: residual zero, output weights those of the model (Medusa's start)."""
    raw = copy.deepcopy(model.config.raw)
    raw["medusa"] = {"num_heads": count}
    config = directory.Config(raw)
    config.options["gate_rank"] = model.config.options["gate_rank"]
    grown = config.build().to(next(model.parameters()).device)
    directory.fill(grown, directory.tensors_of(model))
    with torch.no_grad():
        for head in grown.medusa_heads:
            head.residual.weight.zero_()
            head.residual.bias.zero_()
            head.lm_head.weight.copy_(model.table())
    return grown


def heads_loss(model, tokens, first=0):
    """sum over heads of 0.8^k times the cross-entropy with the frozen model's distribution k + 1 places further on."""
    with torch.no_grad():
        hidden = model.hidden(tokens)[:, first:]
        wanted = F.linear(hidden, model.table()).float().softmax(-1)
    total = 0.0
    for k, head in enumerate(model.medusa_heads):
        guess = head(hidden[:, :-(k + 1)]).float().log_softmax(-1)
        total = total - 0.8 ** k * (wanted[:, k + 1:] * guess).sum(-1).mean()
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--own", type=Path, help="token ids of the model's own texts, one JSON list a line, mixed in by half")
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--nodes", type=int, default=63)
    parser.add_argument("--save-as", choices=tuple(DTYPES), default="f32")
    train.add_run_arguments(parser)
    args = parser.parse_args()
    base = directory.load(args.model, args.device)
    settings = train.settings_of(args, args.out, weight_decay=0.0)
    model = base if len(base.medusa_heads) == args.heads else with_heads(base, args.heads)
    for name, p in model.named_parameters():
        p.requires_grad_(name.startswith("medusa_heads"))
    texts = [evaluate.read_text(args.model, model, path) for path in args.text]
    begin = texts[0][1]
    mix = data.Mix([t for t, _ in texts], [1.0] * len(texts), args.length, begin, args.seed)
    own = data.Rows(args.own, args.length, args.seed) if args.own else None

    def loss(step, part):
        at = step * args.accumulate + part
        tokens = own.batch(at, args.batch) if own and at % 2 else mix.batch(at, args.batch)[0]
        return heads_loss(model, tokens.to(args.device))

    heads = [p for p in model.parameters() if p.requires_grad]
    run = loop.Run(model, heads, loss, args.batch * args.accumulate * args.length, settings)
    curve = run.train()
    model.eval()
    held, _ = evaluate.read_text(args.model, model, args.held_out)
    tokens, first = evaluate.own_text(model, held, begin)
    hits = evaluate.head_hits(model, tokens, first)
    tree, expected = grow_tree(hits.tolist(), args.nodes)
    model.config.raw["medusa"] = {"num_heads": args.heads, "tree": tree}
    directory.save(model, args.out / "model", DTYPES[args.save_as], tokenizer=args.model)
    loop.plot({"heads": curve}, args.out / "curve.png", "Medusa heads")
    for k, h in enumerate(hits):
        print(f"head {k}: top 1 {h[0]:.3f}, top 5 {h[:5].sum():.3f} on the model's own text")
    measured = evaluate.accepted_length(model, tokens, first, tree)
    print(f"tree of {len(tree)} nodes: {expected:.2f} tokens a step if heads were independent, {measured:.2f} on these texts")


if __name__ == "__main__":
    main()
