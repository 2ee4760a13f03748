"""Train a model from scratch on cleaned texts.

    python -m freshet_training.train OUT --data DIR --minutes 60 [--hidden 192 --layers 6 ...]

OUT holds the run (tokenizer.json, checkpoint.pt, curve.json, curve.png) and, in OUT/model, the model directory. The same
command goes on where an interrupted run stopped.
"""
import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from . import books, data, directory, loop

# Weight of a character of each rank of prose: while the rate is flat, and while it falls.
WEIGHTS = {"simple": (3.0, 2.5), "plain": (1.0, 1.0), "long": (0.7, 0.5)}


def rank(name):
    return "simple" if name in books.SIMPLE else "plain" if name in books.PLAIN else "long"


def llama_config(args, vocab, end):
    return directory.Config({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocab, "hidden_size": args.hidden,
        "intermediate_size": args.intermediate, "num_hidden_layers": args.layers, "num_attention_heads": args.heads,
        "num_key_value_heads": args.heads, "head_dim": args.hidden // args.heads, "max_position_embeddings": args.positions,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None,
        "tie_word_embeddings": True, "bos_token_id": end, "eos_token_id": end, "torch_dtype": "float32",
        "attention": {"kind": args.kind, "augmented": not args.plain, "group_size": args.group, "conv_taps": 32}})


def add_run_arguments(parser):
    """The options that every training command shares."""
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0, help="wall-clock budget instead of --steps")
    parser.add_argument("--until", type=float, default=0, help="seconds of the epoch at which the run ends, instead of --steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--decay", type=float, default=0.5, help="last part of the run in which the rate falls to zero")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("f32", "bf16"), default=None, help="bf16 on CUDA, f32 otherwise")
    parser.add_argument("--threads", type=int, default=0)


def settings_of(args, out, **changes):
    """Loop settings of the shared options; sets seed and threads."""
    if not (args.steps or args.minutes or args.until):
        raise SystemExit("Cannot train: expected --steps, --minutes or --until, got none. Say how long the run is.")
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    deadline = args.until or (time.time() + 60 * args.minutes if args.minutes else 0.0)
    bf16 = args.precision == "bf16" or args.precision is None and args.device.startswith("cuda")
    return loop.Settings(**(dict(out=out, steps=args.steps, deadline=deadline, batch=args.batch, accumulate=args.accumulate, lr=args.lr,
                                 decay=args.decay, bf16=bf16, seed=args.seed) | changes))


def load_mixes(folder, tokenizer, end, length, seed):
    """The mixes of the flat and the falling part of a run."""
    files = sorted(Path(folder).glob("*.train.txt"))
    if not files:
        raise SystemExit(f"Cannot train: expected NAME.train.txt files, got none ({folder}). Run python -m freshet_training.books first.")
    texts = [data.Text(f, tokenizer, end) for f in files]
    weights = [WEIGHTS[rank(t.name.removesuffix(".train"))] for t in texts]
    return [data.Mix(texts, [w[i] for w in weights], length, end, seed) for i in (0, 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vocab", type=int, default=3072)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--intermediate", type=int, default=512)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--positions", type=int, default=4096)
    parser.add_argument("--kind", default="relu")
    parser.add_argument("--plain", action="store_true", help="without augmentation")
    parser.add_argument("--alpha", type=float, default=1.0, help="start of alpha; the paper's 0 suits conversion")
    parser.add_argument("--group", type=int, default=64)
    parser.add_argument("--compile", action="store_true")
    add_run_arguments(parser)
    args = parser.parse_args()
    settings = settings_of(args, args.out)
    if not (args.out / "tokenizer.json").exists():
        files = sorted(args.data.glob("*.train.txt"))
        simple = [f for f in files if rank(f.name.removesuffix(".train.txt")) == "simple"]
        data.train_tokenizer(files + 2 * simple, args.vocab, args.out)
    tokenizer = Tokenizer.from_file(str(args.out / "tokenizer.json"))
    end = tokenizer.token_to_id(books.END)
    model = llama_config(args, tokenizer.get_vocab_size(), end).build().initialise().to(args.device)
    for name, p in model.named_parameters():
        if name.endswith("alpha"):
            torch.nn.init.constant_(p, args.alpha)
    mixes = load_mixes(args.data, tokenizer, end, args.length, args.seed)
    (args.out / "generation_config.json").write_text(json.dumps({"bos_token_id": end, "eos_token_id": end}) + "\n", encoding="utf-8")

    def tokens_loss(inputs, targets):
        return F.cross_entropy(model(inputs).flatten(0, 1).float(), targets.flatten())

    compute = torch.compile(tokens_loss) if args.compile else tokens_loss

    def loss(step, part):
        falling = run.progress > 1 - settings.decay
        inputs, targets = mixes[falling].batch(step * settings.accumulate + part, settings.batch)
        return compute(inputs.to(args.device), targets.to(args.device))

    run = loop.Run(model, model.parameters(), loss, settings.batch * settings.accumulate * args.length, settings)
    run.say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {sum(len(t.tokens) for t in mixes[0].texts) / 1e6:.2f} M tokens")
    curve = run.train()
    directory.save(model, args.out / "model", tokenizer=args.out)
    loop.plot({args.out.name: curve}, args.out / "curve.png", "training loss")


if __name__ == "__main__":
    main()
