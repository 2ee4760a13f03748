#!/usr/bin/env python3
"""What PyTorch and Hugging Face reach on the same card and shapes: the numbers that bin/gpu-check puts beside its own.

Three baselines for each shape and batch, random bf16 weights, one token a step:
  eager     a Llama decoder with ReLU linear attention, state in f32, operation by operation
  graph     the same captured as a CUDA graph after torch.compile, where that works
  generate  Hugging Face generate with softmax attention, where transformers is installed
"""

import argparse
import json
import sys
import time

SHAPES = {
    "1b": {"hidden": 2048, "inner": 5632, "layers": 22, "heads": 32, "kv": 4},
    "7b": {"hidden": 4096, "inner": 11008, "layers": 32, "heads": 32, "kv": 32},
}
VOCABULARY = 32000
STEPS = 50


def build(torch, shape):
    """A decoder whose step takes token ids [B] and states, and returns the next ids."""
    hidden, inner, heads, kv = shape["hidden"], shape["inner"], shape["heads"], shape["kv"]
    dim = hidden // heads
    functional = torch.nn.functional

    def weight(rows, columns):
        return (torch.randn(rows, columns, device="cuda", dtype=torch.bfloat16) * 0.02).contiguous()

    layers = [
        {
            "norm1": torch.ones(hidden, device="cuda", dtype=torch.bfloat16),
            "norm2": torch.ones(hidden, device="cuda", dtype=torch.bfloat16),
            "qkv": weight((heads + 2 * kv) * dim, hidden),
            "out": weight(hidden, heads * dim),
            "up": weight(2 * inner, hidden),
            "down": weight(hidden, inner),
        }
        for _ in range(shape["layers"])
    ]
    embedding = weight(VOCABULARY, hidden)
    head = weight(VOCABULARY, hidden)

    def norm(x, w):
        return functional.rms_norm(x, (hidden,), w, 1e-5)

    def step(ids, states, sums):
        x = embedding[ids]
        for i, layer in enumerate(layers):
            h = norm(x, layer["norm1"])
            qkv = functional.linear(h, layer["qkv"]).float().view(-1, heads + 2 * kv, dim)
            q = functional.relu(qkv[:, :heads]).view(-1, kv, heads // kv, dim)
            k = functional.relu(qkv[:, heads : heads + kv])
            v = qkv[:, heads + kv :]
            states[i].add_(k.unsqueeze(-1) * v.unsqueeze(-2))
            sums[i].add_(k)
            o = torch.einsum("bghd,bgde->bghe", q, states[i])
            z = torch.einsum("bghd,bgd->bgh", q, sums[i]).unsqueeze(-1) + 1e-6
            o = (o / z).reshape(-1, heads * dim).to(torch.bfloat16)
            x = x + functional.linear(o, layer["out"])
            h = functional.linear(norm(x, layer["norm2"]), layer["up"])
            x = x + functional.linear(functional.silu(h[:, :inner]) * h[:, inner:], layer["down"])
        return functional.linear(x, head).argmax(-1)

    def fresh(batch):
        states = [torch.zeros(batch, kv, dim, dim, device="cuda") for _ in layers]
        sums = [torch.zeros(batch, kv, dim, device="cuda") for _ in layers]
        return states, sums

    return step, fresh


def timed(torch, call):
    for _ in range(5):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(STEPS):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / STEPS


def captured(torch, call):
    """The call as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def generate(torch, shape, batch):
    """Seconds of one token of Hugging Face generate."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape["hidden"],
        intermediate_size=shape["inner"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=shape["kv"],
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).eval()
    torch.set_default_dtype(torch.float32)
    ids = torch.randint(5, VOCABULARY, (batch, 16), device="cuda")
    with torch.inference_mode():
        model.generate(ids, max_new_tokens=8, min_new_tokens=8, do_sample=False)
        torch.cuda.synchronize()
        start = time.perf_counter()
        model.generate(ids, max_new_tokens=64, min_new_tokens=64, do_sample=False)
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / 64


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="1b,7b")
    parser.add_argument("--batches", default="1,8,64,256")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("gpu-baseline: PyTorch is missing. Install it, or leave the step out: GPU_CHECK_SKIP=baseline.")
    if not torch.cuda.is_available():
        sys.exit("gpu-baseline: PyTorch " + torch.__version__ + " finds no CUDA device.")
    rows = []

    def row(shape, name, batch, call):
        try:
            seconds = call()
        except Exception as error:  # One baseline that cannot run must not hide the others; it is named in the table.
            print(f"{shape:5} {name:9} {batch:5} not run: {type(error).__name__}: {str(error).splitlines()[0][:80]}")
            return
        rows.append({"shape": shape, "baseline": name, "batch": batch, "step_ms": 1e3 * seconds, "tokens_per_s": batch / seconds})
        print(f"{shape:5} {name:9} {batch:5} {1e3 * seconds:10.3f} ms/step {batch / seconds:10.1f} tokens/s", flush=True)

    print(f"torch {torch.__version__}, {torch.cuda.get_device_name()}")
    for name in arguments.shapes.split(","):
        shape = SHAPES[name]
        with torch.inference_mode():
            step, fresh = build(torch, shape)
            for batch in map(int, arguments.batches.split(",")):
                ids = torch.zeros(batch, dtype=torch.long, device="cuda")
                states, sums = fresh(batch)

                def call():
                    ids.copy_(step(ids, states, sums))

                row(name, "eager", batch, lambda: timed(torch, call))
                compiled = torch.compile(step)

                def fast():
                    ids.copy_(compiled(ids, states, sums))

                row(name, "graph", batch, lambda: timed(torch, captured(torch, fast)))
                del states, sums
                torch.cuda.empty_cache()
            del step, fresh
        torch.cuda.empty_cache()
        for batch in map(int, arguments.batches.split(",")):
            row(name, "generate", batch, lambda: generate(torch, shape, batch))
            torch.cuda.empty_cache()
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
