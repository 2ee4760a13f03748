"""Compares the engine's logits with those of Hugging Face transformers on small random models.

Writes models of several shapes with save_pretrained, computes logits with transformers in float32, runs the engine on the same
directories (test class dev.freshet.model.LogitsDump) and fails unless |a - b| <= 1e-3 + 1e-3 |b| everywhere. See README.md.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
ATOL = RTOL = 1e-3
VOCAB = 320

LLAMA = dict(
    vocab_size=VOCAB, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=12, max_position_embeddings=512, rms_norm_eps=1e-5, tie_word_embeddings=True,
    attention_bias=True, bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=128)
GPT2 = dict(vocab_size=VOCAB, n_embd=36, n_layer=3, n_head=3, n_positions=256, bos_token_id=1, eos_token_id=2)

# name: (architecture, config, tokens, how it is saved)
CASES = {
    "llama-default": ("llama", dict(LLAMA, rope_parameters=dict(rope_type="default", rope_theta=10000.0)), 96, {}),
    "llama-llama3": ("llama", dict(LLAMA, rope_parameters=LLAMA3), 300, {}),
    "llama-linear": (
        "llama", dict(LLAMA, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)), 200, {}),
    "llama-yarn": ("llama", dict(LLAMA, rope_parameters=YARN), 300, {}),
    "llama-yarn-mscale": (
        "llama",
        dict(LLAMA, rope_parameters=dict(YARN, mscale=1.2, mscale_all_dim=0.7, truncate=False, beta_fast=16.0)),
        200, {}),
    "llama-untied-mha-mlp-bias": (
        "llama",
        dict(LLAMA, num_key_value_heads=4, tie_word_embeddings=False, attention_bias=False, mlp_bias=True, head_dim=None,
             rope_parameters=dict(rope_type="default", rope_theta=5000.0)),
        96, {}),
    "llama-mqa-sharded": (
        "llama", dict(LLAMA, num_key_value_heads=1, rope_parameters=LLAMA3), 96, dict(max_shard_size="50KB")),
    "llama-bf16": ("llama", dict(LLAMA, rope_parameters=LLAMA3), 96, dict(dtype=torch.bfloat16)),
    "llama-f16": ("llama", dict(LLAMA, rope_parameters=LLAMA3), 96, dict(dtype=torch.float16)),
    "llama-long": (
        "llama",
        dict(LLAMA, max_position_embeddings=4096, rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
        1024, {}),
    "gpt2": ("gpt2", GPT2, 200, {}),
    "gpt2-untied-inner": ("gpt2", dict(GPT2, n_inner=100, tie_word_embeddings=False), 96, {}),
}


def randomise(model, seed):
    """Weights of a size at which every part of the model matters; biases and norms too."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            if p.dim() == 1:
                norm = any(part in name for part in ("norm", "ln_")) and name.endswith("weight")
                p.copy_(1 + 0.1 * noise if norm else 0.2 * noise)
            elif any(part in name for part in ("embed", "wte", "wpe", "lm_head")):
                p.copy_(0.6 * noise)
            else:
                fan_in = p.shape[0] if type(model).__name__.startswith("GPT2") else p.shape[1]
                p.copy_(1.3 / fan_in**0.5 * noise)


def make(name, folder, seed):
    """Writes one model and its token ids; returns the float32 logits of transformers for the saved weights."""
    arch, fields, tokens, saving = CASES[name]
    config_type, model_type = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
    }[arch]
    model = model_type(config_type(**json.loads(json.dumps(fields))))
    randomise(model, seed)
    saving = dict(saving)
    model.to(saving.pop("dtype", torch.float32)).save_pretrained(folder, **saving)
    ids = torch.randint(0, VOCAB, (tokens,), generator=torch.Generator().manual_seed(seed + 1))
    (folder / "ids.json").write_text(json.dumps(ids.tolist()))
    loaded = model_type.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return loaded(ids[None]).logits[0].numpy()


def legacy(folder, target):
    """The same model with config.json in the older spelling: rope_theta and rope_scaling."""
    target.mkdir()
    for file in folder.iterdir():
        if file.name not in ("config.json", "logits.safetensors"):
            (target / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    rule = config.pop("rope_parameters")
    config["rope_theta"] = rule.pop("rope_theta")
    rule["type"] = rule.pop("rope_type")
    config["rope_scaling"] = rule
    (target / "config.json").write_text(json.dumps(config))


def golden(folder):
    """Writes the data of the JUnit test: one tied GQA model with biases, a config for each rope scaling, logits of some rows."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [0, 1, 20, 63, 64, 149]
    ids = torch.randint(0, VOCAB, (rows[-1] + 1,), generator=torch.Generator().manual_seed(7))
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA))
    randomise(model, 6)
    model.save_pretrained(folder)
    expected = {}
    for name in ("llama-llama3", "llama-linear", "llama-yarn", "llama-yarn-mscale"):
        config = transformers.LlamaConfig(**json.loads(json.dumps(CASES[name][1])))
        scaled = transformers.LlamaForCausalLM(config).eval()
        scaled.load_state_dict(model.state_dict())
        with torch.no_grad():
            expected[name] = scaled(ids[None]).logits[0, rows].numpy()
        config.architectures, config.dtype = ["LlamaForCausalLM"], torch.float32
        (folder / (name + ".json")).write_text(config.to_json_string())
    for file in ("config.json", "generation_config.json"):
        (folder / file).unlink()
    save_file(expected, folder / "expected.safetensors")
    versions = dict(transformers=transformers.__version__, torch=torch.__version__)
    (folder / "index.json").write_text(
        json.dumps(dict(models=list(expected), ids=ids.tolist(), rows=rows, versions=versions)) + "\n")


def classpath():
    """Compiles the engine and returns the test class path of operators."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "classpath"
        subprocess.run(
            [str(ROOT / "mvnw"), "-q", "-pl", "operators", "-am", "test-compile", "dependency:build-classpath",
             "-Dmdep.outputFile=" + str(out), "-Dmdep.includeScope=test"], cwd=ROOT, check=True)
        target = ROOT / "operators" / "target"
        return os.pathsep.join([str(target / "classes"), str(target / "test-classes"), out.read_text().strip()])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classpath", help="test class path of operators; compiled and asked from Maven when absent")
    parser.add_argument("--java", default="java")
    parser.add_argument("--keep", type=Path, help="folder that keeps the models; a temporary one when absent")
    parser.add_argument("--golden", type=Path, help="only writes the data of the JUnit test into this folder")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    if options.golden:
        golden(options.golden)
        return
    path = options.classpath or classpath()
    with tempfile.TemporaryDirectory() as temporary:
        start, folder = time.time(), options.keep or Path(temporary)
        wanted = {name: make(name, folder / name, 100 + i) for i, name in enumerate(CASES)}
        for name in ("llama-llama3", "llama-yarn"):
            legacy(folder / name, folder / (name + "-legacy"))
            wanted[name + "-legacy"] = wanted[name]
        failed = False
        print("%-28s %-10s %10s %10s %10s" % ("model", "kernels", "max |a-b|", "of bound", "max |b|"))
        for kernels in ("reference", "vector"):
            subprocess.run(
                [options.java, "--add-modules", "jdk.incubator.vector", "-cp", path, "dev.freshet.model.LogitsDump",
                 kernels] + [str(folder / name) for name in wanted], check=True, stderr=subprocess.DEVNULL)
            for name, b in wanted.items():
                a = load_file(folder / name / "logits.safetensors")["logits"].astype(np.float64)
                error = np.abs(a - b)
                share = (error / (ATOL + RTOL * np.abs(b))).max()
                bad = a.shape != b.shape or not share <= 1
                failed |= bad
                print("%-28s %-10s %10.2e %10.4f %10.3f%s" % (
                    name, kernels, error.max(), share, np.abs(b).max(), "  FAILED" if bad else ""))
        print("transformers %s, torch %s, numpy %s: %.0f s" % (
            transformers.__version__, torch.__version__, np.__version__, time.time() - start))
    sys.exit(failed)


if __name__ == "__main__":
    main()
