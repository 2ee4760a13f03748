"""Turn a softmax model into one with linear attention.

    python -m freshet_training.linearize PARENT OUT --text FILE... --held-out FILE --kind relu --method distil --steps 2000

The attention of every layer is swapped: projections are kept, alpha and the convolution start at zero, as in arXiv 2406.07368. Then

    finetune   next-token loss on the text, as in the paper
    distil     first half of the run: each layer's attention imitates the parent's on the parent's own inputs (mean squared error);
               second half: the whole model imitates the parent's distribution, and the text (LoLCATs, Zhang et al. 2024, without LoRA)

Prints the perplexity of the parent, after the swap and at the end, on text that was not trained on.
"""
import argparse
import copy
import json
from pathlib import Path

import torch
import torch.nn.functional as F

from . import attention, data, directory, evaluate, loop, train

METHODS = ("finetune", "distil")


def swap(parent, kind, augmented, options=()):
    """A model of the parent's weights with another attention in every layer."""
    raw = copy.deepcopy(parent.config.raw)
    raw["attention"] = {"kind": kind, "augmented": augmented, **dict(options)}
    raw.pop("medusa", None)
    model = directory.Config(raw).build().to(next(parent.parameters()).device)
    directory.fill(model, directory.tensors_of(parent))
    return model


def transfer_loss(parent, model, tokens):
    """Mean over layers of the squared error of the attention output, relative to the size of the parent's."""
    total, x = 0.0, parent.embed(tokens)
    for theirs, ours in zip(parent.blocks(), model.blocks()):
        with torch.no_grad():
            wanted = theirs.attend(x).float()
        total = total + (ours.attend(x).float() - wanted).square().mean() / wanted.square().mean()
        with torch.no_grad():
            x = theirs(x)
    return total / len(model.blocks())


def logits_loss(parent, model, inputs, targets, share=0.7):
    """share * cross-entropy with the parent's distribution + (1 - share) * cross-entropy with the text."""
    with torch.no_grad():
        wanted = parent(inputs).float().softmax(-1)
    guess = model(inputs).float().log_softmax(-1)
    text = F.nll_loss(guess.flatten(0, 1), targets.flatten())
    return share * -(wanted * guess).sum(-1).mean() + (1 - share) * text


def attention_parameters(model):
    """The parameters that the transfer stage trains: projections and what the kind adds."""
    return [p for block in model.blocks() for name, p in block.named_parameters() if "attn" in name]


def convert(parent, model, batches, settings, method):
    """Trains `model` in place; `batches(step)` gives inputs and targets. Returns {stage: curve}."""
    for p in parent.parameters():
        p.requires_grad_(False)
    tokens = settings.batch * settings.accumulate * batches(0)[0].shape[1]

    def stage(name, parameters, loss, steps):
        own = copy.copy(settings)
        own.out, own.steps = settings.out / name, steps
        run = loop.Run(model, parameters, lambda step, part: loss(*batches(step * settings.accumulate + part)), tokens, own)
        return run.train()

    def text_loss(inputs, targets):
        return F.cross_entropy(model(inputs).flatten(0, 1).float(), targets.flatten())

    if method == "finetune":
        return {"finetune": stage("finetune", model.parameters(), text_loss, settings.steps)}
    half = settings.steps // 2
    return {"transfer": stage("transfer", attention_parameters(model), lambda x, y: transfer_loss(parent, model, x), half),
            "logits": stage("logits", model.parameters(), lambda x, y: logits_loss(parent, model, x, y), settings.steps - half)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parent", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--kind", choices=attention.KINDS, default="relu")
    parser.add_argument("--plain", action="store_true", help="without augmentation")
    parser.add_argument("--group", type=int, default=64)
    parser.add_argument("--method", choices=METHODS, default="distil")
    parser.add_argument("--limit", type=int, default=128, help="held-out windows")
    train.add_run_arguments(parser)
    args = parser.parse_args()
    if not args.steps:
        raise SystemExit("Cannot linearise: expected --steps, got none. The two stages of distil share them by half.")
    settings = train.settings_of(args, args.out)
    parent = directory.load(args.parent, args.device).eval()
    model = swap(parent, args.kind, not args.plain and args.kind in attention.AUGMENTABLE, {"group_size": args.group})
    texts = [evaluate.read_text(args.parent, parent, path) for path in args.text]
    held, begin = evaluate.read_text(args.parent, parent, args.held_out)
    mix = data.Mix([t for t, _ in texts], [1.0] * len(texts), args.length, begin, args.seed)

    def batches(step):
        inputs, targets = mix.batch(step, args.batch)
        return inputs.to(args.device), targets.to(args.device)

    def measure(m):
        return round(evaluate.perplexity(m, held, begin, args.length, args.limit)[0], 3)

    result = {"kind": args.kind, "augmented": model.config.layers[0][1], "method": args.method, "steps": args.steps, "parent": measure(parent),
              "after_swap": measure(model)}
    curves = convert(parent, model, batches, settings, args.method)
    result["after_" + args.method] = measure(model)
    directory.save(model, args.out / "model", tokenizer=args.parent)
    loop.plot(curves, args.out / "curve.png", f"{args.kind}, {args.method}")
    (args.out / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
