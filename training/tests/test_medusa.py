"""Draft trees and the accepted length, against the reference and by small cases."""
import json
from pathlib import Path

import pytest
import torch

from freshet_training import directory, evaluate, train_medusa

GOLDEN = Path(__file__).resolve().parents[2] / "operators/src/test/resources/golden/models"


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.iterdir() if p.is_dir()))
def test_accepted_length_equals_the_reference(name):
    model = directory.load(GOLDEN / name).eval()
    g = json.loads((GOLDEN / name / "cases.json").read_text())["generate"][0]
    assert g["sampling"]["temperature"] == 0
    tokens = torch.tensor([g["prompt"] + g["tokens"]])
    measured = evaluate.accepted_length(model, tokens, len(g["prompt"]), model.config.tree)
    assert measured == pytest.approx(len(g["tokens"]) / len(g["accepted_within_group"]))


def test_tree_takes_the_best_products_and_their_parents():
    tree, expected = train_medusa.grow_tree([[0.6, 0.2, 0.1], [0.5, 0.3, 0.0]], 4)
    assert tree == [[0], [1], [0, 0], [0, 1]]
    assert expected == pytest.approx(1 + 0.6 + 0.2 + 0.3 + 0.18)


def test_tree_leaves_out_what_never_was_right():
    tree, _ = train_medusa.grow_tree([[0.6, 0.0], [0.5, 0.0]], 63)
    assert tree == [[0], [0, 0]]


def test_every_path_of_a_large_tree_has_its_parent():
    accuracy = (torch.rand(4, 10, generator=torch.Generator().manual_seed(1)) / 5).sort(-1, descending=True).values
    tree, _ = train_medusa.grow_tree(accuracy.tolist(), 63)
    assert len(tree) == 63
    assert all(len(c) == 1 or c[:-1] in tree for c in tree)
