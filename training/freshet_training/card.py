"""Write the model card of a model directory: samples from ./freshet, perplexity, accuracy of the heads, accepted length by tree.

    python -m freshet_training.card MODEL --data DIR --note about.md --bench bench.txt

DIR holds the held-out texts of freshet_training.books. about.md is the hand-written part; bench.txt is the output of
`./freshet bench speculative --model MODEL`, quoted as it is.
"""
import argparse
import subprocess
from pathlib import Path

import torch
from tokenizers import Tokenizer

from . import books, data, directory, engine, evaluate

PROMPTS = ("Once upon a time", "There was once a king who had three sons", "The old man looked at the sea", '"What is the matter?" said',
           "Alice was just beginning to", "In the morning the girl went into the forest", "It was a dark night, and the wind",
           "The queen said to her daughter", "One day a fox met", "When they came home")
TREES = (3, 7, 15, 31, 63)


def sample(launcher, model, prompt, seed, tokens=120):
    """One completion of the engine, as a quotation."""
    command = [str(launcher), "generate", "--model", str(model), "--quiet", "--max-tokens", str(tokens), "--temperature", "0.6",
               "--top-p", "0.9", "--seed", str(seed), prompt]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "> **" + prompt + "**" + text.strip("\n").replace("\n\n", "\n>\n> ")


def best_part(tree, hits, nodes):
    """The `nodes` paths of highest product of accuracies."""
    def value(path):
        product = 1.0
        for depth, rank in enumerate(path):
            product *= hits[depth][rank].item()
        return product
    return sorted(tree, key=lambda c: (-value(c), len(c), c))[:nodes]


def perplexities(model, folder, tokenizer, end, length, limit):
    """Rows of the table: chapters held out of training books by rank of prose, and the book that was never seen."""
    def rows():
        for title, names in (("last chapters, simple prose", books.SIMPLE), ("last chapters, other prose", books.PLAIN + books.LONG),
                             ("a whole unseen book (Cranford)", books.UNSEEN)):
            nats = tokens = size = 0
            for name in names:
                text = data.Text(folder / f"{name}.heldout.txt", tokenizer, end)
                _, mean, count = evaluate.perplexity(model, text, end, length, limit)
                nats, tokens = nats + mean * count, tokens + count
                size += text.bytes * count / len(text.tokens)
            yield title, tokens, nats / tokens, nats / 0.6931471805599453 / size
    return [f"| {title} | {tokens:,} | {torch.tensor(mean).exp().item():.2f} | {bits:.3f} |" for title, tokens, mean, bits in rows()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--note", type=Path, required=True)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--launcher", type=Path, default=engine.ROOT / "freshet")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--limit", type=int, default=8, help="windows of each book")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = directory.load(args.model).eval()
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    end = tokenizer.token_to_id(books.END)
    parts = [args.note.read_text(encoding="utf-8").strip(), "## Perplexity on held-out text",
             f"The first {args.limit} windows of {args.length} tokens of each book's held-out text, opened by the begin token; "
             "`python -m freshet_training.card`.",
             "\n".join(["| text | tokens | perplexity | bits per byte |", "|---|---|---|---|", *perplexities(model, args.data, tokenizer, end, args.length, args.limit)])]
    if model.medusa_heads:
        unseen = [data.Text(args.data / f"{name}.heldout.txt", tokenizer, end) for name in books.SIMPLE]
        own = torch.cat([evaluate.own_text(model, t, end, 4)[0] for t in unseen])
        hits = evaluate.head_hits(model, own, 32)
        heads = [f"| {k} | {h[0]:.3f} | {h[:3].sum():.3f} | {h.sum():.3f} |" for k, h in enumerate(hits)]
        trees = [f"| {n} | {evaluate.accepted_length(model, own, 32, best_part(model.config.tree, hits, n)):.2f} |"
                 for n in TREES if n <= len(model.config.tree)]
        parts += ["## Draft heads and trees", f"Measured on greedy continuations (96 tokens) of {len(own)} paragraphs of held-out chapters of simple "
                  "prose. Chance that a head's best, best three and best ten guesses hold the right token:",
                  "\n".join(["| head | best | best 3 | best 10 |", "|---|---|---|---|", *heads]),
                  "Tokens a step commits at temperature 0 with the best nodes of the tree (1 = no speculation):",
                  "\n".join(["| nodes | tokens a step |", "|---|---|", *trees])]
    if args.bench:
        parts += ["## Speed with and without speculation", "```\n" + args.bench.read_text(encoding="utf-8").strip() + "\n```"]
    samples = [sample(args.launcher, args.model, prompt, i + 1) for i, prompt in enumerate(PROMPTS)]
    parts += ["## Ten samples", "`./freshet generate --temperature 0.6 --top-p 0.9 --max-tokens 120 --seed N PROMPT`, N = 1 to 10, none picked or changed.",
              "\n\n".join(samples)]
    (args.model / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
