"""Texts as tokens, and batches drawn from them as a function of (seed, step)."""
import json
import re
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from .books import END


def train_tokenizer(files, vocab, out):
    """A byte-level BPE: every text has an encoding. END opens a prompt and closes a document."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train([str(f) for f in files], trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=[END], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    end = tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, end)])
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END, "clean_up_tokenization_spaces": False}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return end


class Text:
    """One text as tokens, with `end` after each document. `starts` are the places where a window may begin: paragraphs."""

    def __init__(self, path, tokenizer, end, limit=None):
        text = Path(path).read_text(encoding="utf-8")[:limit]
        docs = [d.strip() for d in text.split(END) if d.strip()]
        tokens, starts = [], []
        for doc, coded in zip(docs, tokenizer.encode_batch(docs, add_special_tokens=False)):
            begins = [0] + [m.end() for m in re.finditer("\n\n+", doc)]
            places = np.searchsorted([o[0] for o in coded.offsets], begins)
            starts += [len(tokens) + int(p) for p in places if p < len(coded.ids)]
            tokens += coded.ids + [end]
        self.name, self.bytes = Path(path).stem, len(text.encode("utf-8"))
        self.tokens = torch.from_numpy(np.asarray(tokens, np.int64))
        self.starts = torch.tensor(starts)

    def windows(self, places, length, begin):
        """inputs and targets [N, length]; an input opens with `begin`, as a prompt does when the engine meets it."""
        at = places[:, None] + torch.arange(length)
        targets = self.tokens[at % len(self.tokens)]
        return torch.cat([torch.full((len(places), 1), begin), targets[:, :-1]], 1), targets


class Mix:
    """Weighted texts; batch(step) depends on the seed and the step alone, so a resumed run sees what it would have seen."""

    def __init__(self, texts, weights, length, begin, seed):
        self.texts, self.length, self.begin, self.seed = texts, length, begin, seed
        self.weights = torch.tensor([w * len(t.tokens) for t, w in zip(texts, weights)], dtype=torch.float64)

    def batch(self, step, size):
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        which = torch.multinomial(self.weights, size, replacement=True, generator=draw)
        rows = []
        for i in which.tolist():
            text = self.texts[i]
            start = text.starts[torch.randint(len(text.starts), (1,), generator=draw)]
            rows.append(text.windows(start, self.length, self.begin))
        inputs, targets = zip(*rows)
        return torch.cat(inputs), torch.cat(targets)


def consecutive(text, length, begin, limit=None):
    """The whole text in windows that do not overlap, for perplexity."""
    places = torch.arange(0, max(1, len(text.tokens) - length + 1), length)[:limit]
    return text.windows(places, length, begin)


class Rows:
    """Token rows of a file with one JSON list a line, for example texts that a model wrote; batches as in Mix."""

    def __init__(self, path, length, seed):
        rows = [json.loads(line)[:length] for line in Path(path).read_text(encoding="utf-8").splitlines()]
        longest = max(map(len, rows))
        self.rows, self.seed = torch.tensor([r for r in rows if len(r) == longest]), seed

    def batch(self, step, size):
        draw = torch.Generator().manual_seed(self.seed * 1_000_033 + step)
        return self.rows[torch.randint(len(self.rows), (size,), generator=draw)]
