"""Whole models against the golden logits, and model directories that survive being written and read."""
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from freshet_training import attention, directory, generate, linearize

GOLDEN = Path(__file__).resolve().parents[2] / "operators/src/test/resources/golden/models"
MODELS = sorted(p.name for p in GOLDEN.iterdir() if p.is_dir())


def tiny(kind, augmented=False, **fields):
    raw = {"model_type": "llama", "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
           "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "tie_word_embeddings": True,
           "attention": {"kind": kind, "augmented": augmented, "group_size": 8, "conv_taps": 5}}
    torch.manual_seed(3)
    return directory.Config(raw | fields).build().initialise()


@pytest.mark.parametrize("name", MODELS)
def test_logits_equal_the_reference(name):
    model = directory.load(GOLDEN / name).eval()
    cases = json.loads((GOLDEN / name / "cases.json").read_text())
    expected = load_file(GOLDEN / name / "expected.safetensors")
    with torch.no_grad():
        hidden = model.hidden(torch.tensor([cases["logits_prompt"]]))
        logits = F.linear(hidden, model.table())[0, cases["logit_rows"]]
        medusa = torch.stack([head(hidden[0, -1]) for head in model.medusa_heads])
    torch.testing.assert_close(logits.double(), expected["logits"].double(), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(medusa.double(), expected["medusa_logits"].double(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_greedy_text_equals_the_reference(name):
    model = directory.load(GOLDEN / name).eval()
    cases = json.loads((GOLDEN / name / "cases.json").read_text())
    plain = [g for g in cases["generate"] if g["sampling"]["temperature"] == 0 and not g["sampling"]["logit_bias"]
             and g["sampling"]["repetition_penalty"] == 1 and g["sampling"]["frequency_penalty"] == 0
             and g["sampling"]["presence_penalty"] == 0]
    assert plain
    for g in plain:
        tokens = generate.greedy(model, torch.tensor([g["prompt"]]), len(g["tokens"]))
        assert tokens[0, len(g["prompt"]):].tolist() == g["tokens"]


@pytest.mark.parametrize("kind", attention.KINDS)
def test_a_new_model_is_written_and_read_unchanged(kind, tmp_path):
    model = tiny(kind, kind in attention.AUGMENTABLE)
    directory.save(model, tmp_path)
    again, tokens = directory.load(tmp_path), torch.randint(50, (1, 30))
    with torch.no_grad():
        assert torch.equal(model(tokens), again(tokens))


@pytest.mark.parametrize("kind", [k for k in attention.KINDS if k != "softmax"])
def test_every_parameter_of_a_new_model_learns(kind):
    model = tiny(kind, kind in attention.AUGMENTABLE)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("alpha"):
                p.fill_(0.5)
    tokens = torch.randint(50, (2, 40))
    F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    for name, p in model.named_parameters():
        hashing = kind == "flash_local" and name.endswith("alpha")
        assert hashing or p.grad is not None and torch.isfinite(p.grad).all() and p.grad.abs().max() > 0, name


def test_swap_starts_as_local_attention():
    parent = tiny("softmax", attention=None)
    local = linearize.swap(parent, "flash_local", False, {"group_size": 8})
    tokens = torch.randint(50, (1, 30))
    for kind in attention.AUGMENTABLE:
        model = linearize.swap(parent, kind, True, {"group_size": 8})
        with torch.no_grad():
            torch.testing.assert_close(model(tokens), local(tokens), atol=1e-5, rtol=1e-5)


def test_distillation_of_a_model_into_itself_is_free():
    parent = tiny("relu", True)
    tokens = torch.randint(50, (2, 20))
    assert linearize.transfer_loss(parent, parent, tokens).item() == 0


def test_bf16_file_holds_rounded_weights(tmp_path):
    model = tiny("relu", True)
    directory.save(model, tmp_path, torch.bfloat16)
    assert load_file(tmp_path / "model.safetensors")["model.norm.weight"].dtype == torch.bfloat16
    again = directory.load(tmp_path)
    torch.testing.assert_close(again.table(), model.table(), atol=0, rtol=2 ** -8)
