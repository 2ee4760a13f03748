"""Compare models with the Java engine on the same directories.

    python -m freshet_training.engine MODEL...          greedy ids of each directory, here and from ./freshet generate
    python -m freshet_training.engine --random          new models of every kind, plain and augmented, Llama and GPT-2

Ids are compared up to the first place where the two best logits are closer than NEAR; beyond it rounding may decide.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F

from . import attention, directory, generate

ROOT = Path(__file__).resolve().parents[2]
NEAR = 3e-4


def greedy_ids(model, prompt, count, launcher=ROOT / "freshet", options=()):
    """The ids that the engine appends to a prompt at temperature 0."""
    command = [str(launcher), "generate", "--model", str(model), "--prompt-ids", ",".join(map(str, prompt)), "--print-ids", "--quiet",
               "--temperature", "0", "--ignore-eos", "--max-tokens", str(count), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"Cannot ask the engine: expected exit code 0, got {done.returncode} ({' '.join(command[:4])}).\n{done.stderr[-2000:]}")
    return [int(x) for x in done.stdout.replace("\n", "").split(",") if x.strip()]


@torch.no_grad()
def compare(path, prompt, count, **engine):
    """(ids that were compared, ids that agree) of one model directory."""
    model = directory.load(path).eval()
    tokens = generate.greedy(model, torch.tensor([prompt]), count)
    best = F.linear(model.hidden(tokens)[0, len(prompt) - 1:-1], model.table()).topk(2).values
    clear = (best[:, 0] - best[:, 1] > NEAR).int().cumprod(0).sum().item()
    mine, theirs = tokens[0, len(prompt):].tolist(), greedy_ids(path, prompt, count, **engine)
    agree = next((i for i, (a, b) in enumerate(zip(mine, theirs)) if a != b), min(len(mine), len(theirs)))
    return clear, min(agree, clear)


def random_model(arch, kind, augmented, seed):
    """A small model with weights at which every part matters."""
    fields = {"vocab_size": 96, "attention": {"kind": kind, "augmented": augmented, "group_size": 8, "conv_taps": 12, "hash_bits": 3}}
    fields |= ({"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256} if arch == "llama" else
               {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256})
    torch.manual_seed(seed)
    model = directory.Config(fields).build()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "slots" in name:
                continue
            if p.dim() > 1:
                p.normal_(std=0.6 if "embed" in name or "wte" in name or "lm_head" in name else 1.3 * p.shape[-1] ** -0.5)
            elif not name.endswith(("A_log", "dt_bias", "norm.weight")):
                p.add_(torch.randn_like(p) * 0.1)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--count", type=int, default=40)
    args = parser.parse_args()
    if not (args.models or args.random):
        parser.error("expected model directories or --random, got neither")
    torch.set_num_threads(1)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        paths = list(args.models)
        for i, (arch, kind, augmented) in enumerate([(a, k, g) for a in ("llama", "gpt2") for k in attention.KINDS for g in (False, True)
                                                     if args.random and (not g or k in attention.AUGMENTABLE)]):
            paths.append(Path(folder) / f"{arch}-{kind}{'-augmented' if augmented else ''}")
            directory.save(random_model(arch, kind, augmented, i), paths[-1])
        for path in paths:
            prompt = [(7 * i * i + 3) % 90 for i in range(21)]
            compared, agree = compare(path, prompt, args.count)
            failed |= agree < compared
            print(f"{path.name:32} {agree} of {compared} greedy ids agree{'' if agree == compared else '  FAILED'}", flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
