"""The paper's comparison at small scale: every attention kind trained alike, from scratch and converted from a softmax parent.

    python -m freshet_training.study CLEANED_BOOKS WORK [--report docs/results] [--steps 600 --convert-steps 200 --seeds 1 2]

CLEANED_BOOKS comes from freshet_training.books. Each run writes its result to WORK, so the command goes on where it was stopped; the report
is written from the results that exist. All runs of a seed see the same tokens in the same order.
"""
import argparse
import json
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from . import attention, books, data, directory, evaluate, linearize, loop

SEVEN = ("flash_local", "flash_global", "linformer", "performer", "transnormer", "yoso", "relu")
MODERN = ("hedgehog", "retnet", "gla", "gated_deltanet")


@dataclass(frozen=True)
class Form:
    """One row of the table; `ablation` is the parameter that stays at zero."""
    name: str
    kind: str
    augmented: bool = False
    ablation: str = ""


def forms():
    found = [Form("softmax", "softmax")]
    for kind in SEVEN + MODERN:
        found.append(Form(kind, kind))
        if kind in attention.AUGMENTABLE:
            found.append(Form(f"{kind} augmented", kind, True))
    return found + [Form("Loc+Gro", "flash_global", True, "conv")]


@dataclass(frozen=True)
class Scale:
    """The size of every run."""
    hidden: int = 64
    layers: int = 2
    heads: int = 4
    vocab: int = 1024
    length: int = 256
    batch: int = 8
    group: int = 64
    steps: int = 600
    convert_steps: int = 200
    lr: float = 5e-3


def config(scale, form, end):
    return directory.Config({
        "model_type": "llama", "vocab_size": scale.vocab, "hidden_size": scale.hidden, "intermediate_size": int(scale.hidden * 8 / 3) // 8 * 8,
        "num_hidden_layers": scale.layers, "num_attention_heads": scale.heads, "tie_word_embeddings": True, "bos_token_id": end,
        "attention": {"kind": form.kind, "augmented": form.augmented, "group_size": scale.group}})


def freeze(model, form, alpha):
    """Sets alpha's start; keeps the ablated part at zero. Returns the parameters to train."""
    chosen = []
    for name, p in model.named_parameters():
        if name.endswith("mixer.alpha"):
            torch.nn.init.constant_(p, alpha)
        if form.ablation and f"mixer.{form.ablation}" in name:
            p.requires_grad_(False)
        else:
            chosen.append(p)
    return chosen


class Study:
    """Runs of one scale in one folder."""

    def __init__(self, folder, work, scale):
        self.work, self.scale = work, scale
        work.mkdir(parents=True, exist_ok=True)
        files = sorted(p for p in Path(folder).glob("*.train.txt") if p.name.removesuffix(".train.txt") in books.SIMPLE)
        if not files:
            raise SystemExit(f"Cannot study: expected NAME.train.txt files, got none ({folder}). Run python -m freshet_training.books first.")
        if not (work / "tokenizer.json").exists():
            data.train_tokenizer(files, scale.vocab, work)
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        self.end = tokenizer.token_to_id(books.END)
        self.texts = [data.Text(f, tokenizer, self.end) for f in files]
        self.held = [data.Text(Path(str(f).replace(".train.", ".heldout.")), tokenizer, self.end) for f in files]

    def held_out(self, model):
        """Perplexity over the held-out chapters of all books."""
        parts = [evaluate.perplexity(model, t, self.end, self.scale.length)[1:] for t in self.held]
        total = sum(n for _, n in parts)
        return float(torch.tensor(sum(nats * n for nats, n in parts) / total).exp())

    def run(self, form, seed, origin, parent=None):
        """The result of one run, computed or read; also the model where it was computed or is the parent."""
        name = f"{form.name.replace(' ', '-').replace('+', '-')}.{origin}.{seed}"
        file, s = self.work / f"{name}.json", self.scale
        if file.exists():
            return json.loads(file.read_text())
        torch.manual_seed(seed)
        mix = data.Mix(self.texts, [1.0] * len(self.texts), s.length, self.end, seed + (1000 if parent else 0))
        model = linearize.swap(parent, form.kind, form.augmented, {"group_size": s.group}) if parent else config(s, form, self.end).build().initialise()
        swapped = self.held_out(model) if parent else None
        parameters = freeze(model, form, 0.0 if parent else 1.0)

        def loss(step, part):
            inputs, targets = mix.batch(step, s.batch)
            return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

        steps, began = s.convert_steps if parent else s.steps, time.process_time()
        settings = loop.Settings(out=self.work / "runs" / name, steps=steps, lr=s.lr / 2 if parent else s.lr, seed=seed, quiet=True)
        curve = loop.Run(model, parameters, loss, s.batch * s.length, settings).train()
        result = {"form": form.name, "seed": seed, "origin": origin, "perplexity": self.held_out(model), "after_swap": swapped,
                  "tokens": curve[-1][1], "train_loss": curve[-1][2], "cpu_seconds": time.process_time() - began,
                  "parameters": sum(p.numel() for p in model.parameters())}
        if form.kind == "softmax":
            directory.save(model, self.work / f"parent.{seed}")
        file.write_text(json.dumps(result))
        print(f"{name:44} perplexity {result['perplexity']:8.2f}  {result['cpu_seconds']:5.0f} s", flush=True)
        return result

    def all(self, seeds):
        """Everything; whole columns of one seed first, and last the kind whose training form is quadratic."""
        for slow in (False, True):
            chosen = [f for f in forms() if (f.kind == "yoso") == slow]
            for seed in seeds:
                for form in chosen:
                    self.run(form, seed, "scratch")
                for form in chosen:
                    if form.kind != "softmax":
                        self.run(form, seed, "converted", directory.load(self.work / f"parent.{seed}"))


def results(work):
    """{(form, origin): [result of each seed]}."""
    found = {}
    for file in sorted(Path(work).glob("*.json")):
        if file.name.count(".") == 3:
            r = json.loads(file.read_text())
            found.setdefault((r["form"], r["origin"]), []).append(r)
    return found


def spread(runs, field="perplexity"):
    """'mean (lowest to highest)' over seeds."""
    values = [r[field] for r in runs or [] if r[field] is not None]
    if not values:
        return "not run"
    return f"{statistics.mean(values):.2f}" + (f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else " (one seed)")


def verdicts(found, origin):
    """One sentence for each kind that has both forms."""
    lines = []
    for kind in [k for k in SEVEN + MODERN if k in attention.AUGMENTABLE]:
        plain, more = found.get((kind, origin)), found.get((f"{kind} augmented", origin))
        if plain and more:
            a, b = ([r["perplexity"] for r in runs] for runs in (plain, more))
            low, high = statistics.mean(b), statistics.mean(a)
            verb = "lowers" if low < high else "raises"
            seeds = "; one seed" if len(a) == len(b) == 1 else "" if max(b) < min(a) or min(b) > max(a) else "; the seeds overlap"
            lines.append(f"* `{kind}`: augmentation {verb} it from {high:.2f} to {low:.2f}{seeds}.")
    return lines


def draw(found, path):
    """One row a kind, one panel an origin: the plain form hollow, the augmented one full, a line between their means."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator
    names = ["softmax", *SEVEN, *MODERN, "Loc+Gro"]
    panels = [o for o in ("scratch", "converted") if any(origin == o for _, origin in found)]
    figure, all_axes = plt.subplots(1, len(panels), figsize=(5.2 * len(panels) + 1, 5.2), sharey=True, squeeze=False)
    for axes, origin in zip(all_axes[0], panels):
        for i, name in enumerate(names):
            plain, more = ([r["perplexity"] for r in found.get((n, origin), [])] for n in (name, f"{name} augmented"))
            if plain and more:
                axes.plot([statistics.mean(plain), statistics.mean(more)], [i, i], color="0.7", zorder=1)
            axes.plot(plain, [i] * len(plain), "o", markerfacecolor="white", color="C0", label="plain" if name == "relu" else None)
            axes.plot(more, [i] * len(more), "o", color="C1", label="augmented" if name == "relu" else None)
        axes.set(yticks=range(len(names)), yticklabels=names, xlabel="perplexity on held-out chapters, one mark a seed",
                 title="trained from scratch" if origin == "scratch" else "converted from softmax and fine-tuned")
        axes.xaxis.set_major_locator(MaxNLocator(7))
        axes.grid(alpha=0.3)
        axes.legend()
    all_axes[0][0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def report(found, scale, folder, command):
    """Writes linear-attention-study.md and its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = [r for rs in found.values() for r in rs]
    tokens = {o: max((r["tokens"] for r in runs if r["origin"] == o), default=0) for o in ("scratch", "converted")}
    seeds = sorted({r["seed"] for r in runs})
    rows = []
    for f in forms():
        converted = found.get((f.name, "converted"))
        after = ("the parent", "the parent") if f.kind == "softmax" else (spread(converted, "after_swap"), spread(converted))
        rows.append(f"| {f.name} | {spread(found.get((f.name, 'scratch')))} | {after[0]} | {after[1]} |")
    wanted = 2 * (2 * len(forms()) - 1)
    missing = (f"\n**The study is not complete**: {len(runs)} of {wanted} runs (two seeds) have been made; the others read \"not run\".\n"
               if len(runs) < wanted else "")
    text = f"""# Linear attention kinds compared
{missing}
Perplexity on held-out chapters of every attention kind, plain and augmented, trained alike. **The scale is tiny**: Llama bodies of
{scale.layers} layers, width {scale.hidden}, {scale.heads} heads, a vocabulary of {scale.vocab}, about {runs[0]['parameters'] / 1e6:.2f} M parameters; context {scale.length}, groups of {scale.group};
{tokens['scratch'] / 1e6:.2f} M tokens from scratch, {tokens['converted'] / 1e6:.2f} M tokens of fine-tuning after a conversion. It says which parts matter at this
size and budget and nothing about large models. Text: the {len(books.SIMPLE)} simplest of the public-domain books of `freshet_training/books.py`; the last
chapters of each are held out. Seeds {', '.join(map(str, seeds))}; the range over seeds stands in brackets. Perplexity is per token of this vocabulary, so
it compares with nothing outside this table.

| form | from scratch | converted: after the swap | converted: after fine-tuning |
|---|---|---|---|
{chr(10).join(rows)}

![perplexities](linear-attention-study.png)

`flash_local` is Loc, `flash_local augmented` Loc+Conv, `flash_global augmented` the paper's full method; `Loc+Gro` is the same without the
convolution, with a learned alpha. `linformer` is the causal substitute of [maths.md](../maths.md), not the original. The parent of a conversion is
the softmax model of the same seed; alpha and convolution start at zero there, and alpha at one from scratch. So all augmented forms of a
conversion begin as the same model, local attention alone, and a short fine-tuning keeps them close together.

From scratch:

{chr(10).join(verdicts(found, 'scratch')) or 'not run'}

Converted:

{chr(10).join(verdicts(found, 'converted')) or 'not run'}

The paper's own numbers, for orientation: LLaMA-2-7B on PG-19 21.61 (local attention) to 13.47 (augmented), GPT-2 42.81 and 56.80 to 39.26.

`{command}`; torch {torch.__version__}, {platform.machine()}, CPU, f32, {time.strftime('%Y-%m-%d')}.
"""
    (folder / "linear-attention-study.md").write_text(text, encoding="utf-8")
    draw(found, folder / "linear-attention-study.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    for name, default in vars(Scale()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    args = parser.parse_args()
    torch.set_num_threads(1)
    scale = Scale(**{name: getattr(args, name) for name in vars(Scale())})
    if not args.report_only:
        Study(args.books, args.work, scale).all(args.seeds)
    if args.report:
        changed = " ".join(f"--{n.replace('_', '-')} {v}" for n, v in vars(scale).items() if v != getattr(Scale(), n))
        report(results(args.work), scale, args.report, f"python -m freshet_training.study BOOKS WORK --report docs/results {changed}".strip())


if __name__ == "__main__":
    main()
