"""Every kind against the golden data of the float64 reference, and the properties that a causal training form must have."""
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from freshet_training import attention

GOLDEN = Path(__file__).resolve().parents[2] / "operators/src/test/resources/golden/attention"
CASES = json.loads((GOLDEN / "cases.json").read_text())
HEADS, KV = CASES["heads"], CASES["kv_heads"]


def up(x, dim):
    return x.repeat_interleave(HEADS // KV, dim)


def context(kind, augmented, options, tensors):
    """What a Mixer gives the functions, from the tensors of a case."""
    c = SimpleNamespace(group=options["group_size"], bits=options["hash_bits"], up=up)
    if augmented:
        c.alpha, c.conv = tensors["alpha"], SimpleNamespace(weight=tensors["conv.weight"])
    for name, tensor in tensors.items():
        owner, _, field = name.rpartition(".")
        if owner and owner != "conv":
            setattr(c, owner, getattr(c, owner, SimpleNamespace()))
            setattr(getattr(c, owner), field, tensor)
    return c


def inputs(count, dtype):
    x = {n: t.to(dtype) for n, t in load_file(GOLDEN / CASES["inputs"]).items()}
    return x["q"][None, :, :count], up(x["k"], 0)[None, :, :count], up(x["v"], 0)[None, :, :count], x


def gates(c, x, count):
    c.log_gate = up(x["gla.log_gate"], 0)[None, :, :count]
    c.beta = up(x["gated_deltanet.beta"], 0)[None, :, :count, None]
    c.log_decay = up(x["gated_deltanet.log_decay"], 0)[None, :, :count, None]


def mix(case, c, q, k, v):
    return attention.augmented(case["kind"], q, k, v, c) if case["augmented"] else attention.MIX[case["kind"]](q, k, v, False, c)


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda c: c["name"])
def test_parallel_form_equals_the_sequential_reference(case):
    data = load_file(GOLDEN / case["file"])
    tensors = {n.removeprefix("param."): t.double() for n, t in data.items() if n.startswith("param.")}
    count = CASES["sequence"]
    q, k, v, x = inputs(count, torch.float64)
    c = context(case["kind"], case["augmented"], case["options"], tensors)
    gates(c, x, count)
    torch.testing.assert_close(mix(case, c, q, k, v)[0], data["sequential"].double(), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda c: c["name"])
def test_no_output_depends_on_a_later_token_and_all_inputs_matter(case):
    data = load_file(GOLDEN / case["file"])
    tensors = {n.removeprefix("param."): t.double() for n, t in data.items() if n.startswith("param.")}
    count, at = 75, 70
    q, k, v, x = inputs(count, torch.float64)
    q, k, v = (t.clone().requires_grad_() for t in (q, k, v))
    c = context(case["kind"], case["augmented"], case["options"], tensors)
    gates(c, x, count)
    o = mix(case, c, q, k, v)
    for t, g in zip((q, k, v), torch.autograd.grad(o[:, :, :at + 1].sum(), (q, k, v), retain_graph=True)):
        assert g[:, :, at + 1:].abs().max() == 0
    for g in torch.autograd.grad(o.square().sum(), (q, k, v)):
        assert torch.isfinite(g).all() and g.abs().max() > 0


@pytest.mark.parametrize("kind", [k for k in attention.KINDS if k != "yoso"])
def test_gradients_equal_finite_differences(kind):
    torch.manual_seed(0)
    count, d = 11, 4
    shape = (1, 2, count, d)
    q, k, v = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(3))
    c = SimpleNamespace(group=4, bits=3, up=lambda x, dim: x, alpha=torch.tensor([0.7], dtype=torch.float64))
    c.conv = SimpleNamespace(weight=torch.randn(2, 6, dtype=torch.float64))
    c.performer = SimpleNamespace(projection=torch.randn(6, d, dtype=torch.float64))
    c.hedgehog = SimpleNamespace(q_weight=torch.randn(2, 3, d, dtype=torch.float64), k_weight=torch.randn(2, 3, d, dtype=torch.float64))
    c.linformer = SimpleNamespace(slots=torch.randn(7, 3, dtype=torch.float64))
    c.retnet, c.out_norm = SimpleNamespace(log_decay=torch.tensor([-0.1, -0.5], dtype=torch.float64)), SimpleNamespace(weight=torch.ones(d))
    c.log_gate = -torch.rand(shape, dtype=torch.float64)
    c.beta, c.log_decay = torch.rand(1, 2, count, 1, dtype=torch.float64), -torch.rand(1, 2, count, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *x: attention.MIX[kind](*x, False, c), (q, k, v))
    if kind in attention.AUGMENTABLE:
        assert torch.autograd.gradcheck(lambda *x: attention.augmented(kind, *x, c), (q, k, v))


def test_a_yoso_query_without_a_hit_has_no_gradient_of_its_own():
    """Its output is zero; divided by the floor of the norm its gradient would drown that of every other query."""
    d = 4
    planes = torch.eye(d, dtype=torch.float64).reshape(1, 1, d, d)
    c = SimpleNamespace(group=4, up=lambda x, dim: x, yoso=SimpleNamespace(planes=planes))
    q = torch.ones(1, 1, 6, d, dtype=torch.float64)
    k = q.clone()
    k[:, :, :3, 0] = -1.0  # another bucket, and yet a chance to collide
    q, k, v = (t.requires_grad_() for t in (q, k, torch.randn(1, 1, 6, d, dtype=torch.float64)))
    o = attention.yoso(q, k, v, False, c)
    assert o[:, :, :3].abs().max() == 0 and o[:, :, 3:].norm(dim=-1).allclose(torch.ones(1, dtype=torch.float64))
    for g in torch.autograd.grad(o.sum(), (q, k, v)):
        assert torch.isfinite(g).all() and g.abs().max() < 100
