"""Texts, batches and the loop: the same seed gives the same run, interrupted or not."""
import json

import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from freshet_training import books, data, directory, loop
from test_models import tiny

BOOK = """Contents

     I. THE FOX
     II. THE HEN

CHAPTER I.
The Fox

There was once a fox who lived in a hole under the hill, and
he was _very_ hungry; and every night he went down to the farm
to see what he could find there.

[Illustration: the fox]

     A verse stands here,
     and is not prose.

“What shall I eat?” he asked—and nobody answered. {more}

CHAPTER II.
The Hen

The hen sat upon her eggs and would not be disturbed by anyone at all. {more}
"""


def test_books_become_documents_of_plain_paragraphs():
    more = "He waited a long while and then he went home again. " * 12
    docs = books.documents(BOOK.replace("{more}", more))
    assert len(docs) == 2
    assert docs[0][0] == ("There was once a fox who lived in a hole under the hill, and he was very hungry; and every night he went down to the "
                          "farm to see what he could find there.")
    assert docs[0][1].startswith('"What shall I eat?" he asked--and nobody answered.')
    assert not any("verse" in p or "llustration" in p or "CHAPTER" in p for d in docs for p in d)


def test_the_last_documents_are_held_out():
    train, held = books.split([["a" * 100]] * 10, 0.15)
    assert (len(train), len(held)) == (8, 2)


@pytest.fixture(name="corpus")
def make_corpus(tmp_path):
    path = tmp_path / "fox.train.txt"
    path.write_text(("The fox saw the hen.\n\nThe hen saw the fox, and ran.\n" + books.END + "\n") * 30, encoding="utf-8")
    end = data.train_tokenizer([path], 300, tmp_path)
    return data.Text(path, Tokenizer.from_file(str(tmp_path / "tokenizer.json")), end), end, tmp_path


def test_windows_open_with_the_begin_token_at_a_paragraph(corpus):
    text, end, folder = corpus
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    inputs, targets = data.Mix([text], [1.0], 12, end, 5).batch(3, 8)
    assert (inputs[:, 0] == end).all() and torch.equal(inputs[:, 1:], targets[:, :-1])
    assert all(tokenizer.decode(row.tolist()).startswith("The ") for row in targets)
    assert text.tokens.tolist().count(end) == 30


def test_every_text_has_an_encoding(corpus):
    tokenizer = Tokenizer.from_file(str(corpus[2] / "tokenizer.json"))
    for text in ("Once upon a time", "Ünïcode 🙂 \x00\n\n\ttabs", "<|endoftext"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_an_interrupted_run_equals_an_uninterrupted_one(corpus):
    text, end, folder = corpus
    mix = data.Mix([text], [1.0], 12, end, 5)

    def train(out, stop=None):
        model = tiny("relu", True, vocab_size=300)

        def loss(step, part):
            if step == stop:
                raise KeyboardInterrupt
            inputs, targets = mix.batch(step, 4)
            return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

        settings = loop.Settings(out=folder / out, steps=8, quiet=True, save_seconds=-1)
        try:
            loop.Run(model, model.parameters(), loss, 48, settings).train()
        except KeyboardInterrupt:
            pass
        return model

    whole = train("whole")
    train("parts", stop=5)
    parts = train("parts")
    for (name, a), b in zip(whole.state_dict().items(), parts.state_dict().values()):
        assert torch.equal(a, b), name
    assert json.loads((folder / "parts" / "curve.json").read_text())[-1][0] == 8


def test_a_tree_takes_one_line_of_the_config(tmp_path):
    model = tiny("relu", True)
    model.config.raw["medusa"] = {"num_heads": 0, "tree": [[0], [1], [0, 0]]}
    directory.save(model, tmp_path)
    assert '"tree": [[0], [1], [0, 0]]' in (tmp_path / "config.json").read_text()
