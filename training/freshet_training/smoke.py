"""A test of the whole way in about a minute: train a tiny model and heads, export them, let the engine repeat the greedy text.

    python -m freshet_training.smoke

The text is this repository's own documentation, so that nothing has to be downloaded.
"""
import sys
import tempfile
import time
from pathlib import Path

import torch

from . import books, data, directory, engine, evaluate, linearize, loop, train_medusa


def write_corpus(folder):
    """The documentation as training text; returns the file."""
    pages = sorted(p for p in [*engine.ROOT.glob("*.md"), *(engine.ROOT / "docs").rglob("*.md")])
    text = folder / "docs.train.txt"
    text.write_text("".join(p.read_text(encoding="utf-8").strip() + "\n" + books.END + "\n" for p in pages), encoding="utf-8")
    return text


def config(vocab, end, kind):
    return directory.Config({
        "model_type": "llama", "vocab_size": vocab, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 512, "tie_word_embeddings": True, "bos_token_id": end, "eos_token_id": end,
        "attention": {"kind": kind, "augmented": True, "group_size": 16, "conv_taps": 8} if kind != "softmax" else None})


def expect(what, condition, seen):
    print(f"{'ok    ' if condition else 'FAILED'}  {what}: {seen}", flush=True)
    if not condition:
        sys.exit(1)


def main():
    began = time.time()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_corpus(folder)
        end = data.train_tokenizer([corpus], 512, folder / "tokens")
        (folder / "tokens" / "generation_config.json").write_text(f'{{"eos_token_id": {end}}}\n', encoding="utf-8")
        model = config(512, end, "relu").build().initialise()
        text, begin = evaluate.read_text(folder / "tokens", model, corpus)
        mix = data.Mix([text], [1.0], 64, begin, 1)

        def batches(step):
            return mix.batch(step, 16)

        def loss(step, part):
            inputs, targets = batches(step)
            return torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

        def settings(out, steps):
            return loop.Settings(out=folder / out, steps=steps, lr=5e-3, quiet=True)

        curve = loop.Run(model, model.parameters(), loss, 16 * 64, settings("train", 120)).train()
        expect("the loss of training falls", curve[-1][2] < curve[0][2] - 1, f"{curve[0][2]:.2f} to {curve[-1][2]:.2f} nats per token")

        student = linearize.swap(model, "hedgehog", True, {"group_size": 16, "conv_taps": 8})
        before = evaluate.perplexity(student, text, begin, 64, 32)[0]
        linearize.convert(model, student, batches, settings("convert", 40), "distil")
        for p in model.parameters():
            p.requires_grad_(True)
        after = evaluate.perplexity(student, text, begin, 64, 32)[0]
        expect("distillation lowers the perplexity after a swap", after < before, f"{before:.1f} to {after:.1f}")

        grown = train_medusa.with_heads(model, 3)
        heads = [p for n, p in grown.named_parameters() if n.startswith("medusa_heads")]
        head_curve = loop.Run(grown, heads, lambda step, part: train_medusa.heads_loss(grown, batches(step)[0]), 16 * 64,
                              settings("heads", 40)).train()
        expect("the loss of the heads falls", head_curve[-1][2] < head_curve[0][2], f"{head_curve[0][2]:.2f} to {head_curve[-1][2]:.2f}")
        tokens, first = evaluate.own_text(grown, text, begin, prompts=8, prompt_length=16, count=32)
        tree, expected = train_medusa.grow_tree(evaluate.head_hits(grown, tokens, first).tolist(), 15)
        grown.config.raw["medusa"]["tree"] = tree
        directory.save(grown, folder / "model", torch.bfloat16, tokenizer=folder / "tokens")

        # Several texts, because each is compared only up to its first near tie.
        prompts = [row[:24].tolist() for row in batches(999)[0][:5]]
        pairs = [engine.compare(folder / "model", prompt, 60) for prompt in prompts]
        compared, agree = (sum(column) for column in zip(*pairs))
        expect("the engine repeats the greedy texts", agree == compared and compared >= 60, f"{agree} of {compared} clear ids in {len(pairs)} texts")
        prompt = prompts[0]
        plain, drafted = (engine.greedy_ids(folder / "model", prompt, 60, options=("--speculative", mode)) for mode in ("off", "tree"))
        expect("drafts change nothing", plain == drafted, f"{len(plain)} ids, tree of {len(tree)} nodes, {expected:.2f} tokens a step expected")
    print(f"smoke test passed in {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
