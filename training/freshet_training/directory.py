"""Model directories in Hugging Face layout, as the engine reads them: config.json, model.safetensors, tokenizer.json."""
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from . import attention
from .model import Gpt2, Llama

OPTIONS = {"group_size": 64, "conv_taps": 32, "feature_dim": 0, "hash_rounds": 8, "hash_bits": 5, "slots": 16, "slot_positions": 64,
           "gate_rank": 16}


@dataclass
class Config:
    """The fields of config.json that decide the computation; `raw` is the file itself."""
    raw: dict
    arch: str = field(init=False)

    def __post_init__(self):
        c = self.raw
        self.arch = c.get("model_type", "none")
        if self.arch not in ("llama", "gpt2"):
            raise SystemExit(f"Cannot build the model: expected model_type llama or gpt2, got {self.arch}. Other architectures are not supported.")
        if c.get("rope_scaling") or (c.get("rope_parameters") or {}).get("rope_type", "default") != "default":
            raise SystemExit("Cannot build the model: expected no rope scaling, got some (config.json). Train at the original context.")
        llama = self.arch == "llama"
        self.hidden, count, self.heads = (c[n] for n in (("hidden_size", "num_hidden_layers", "num_attention_heads") if llama
                                                         else ("n_embd", "n_layer", "n_head")))
        self.kv_heads = (c.get("num_key_value_heads") if llama else None) or self.heads
        self.head_dim = (c.get("head_dim") if llama else None) or self.hidden // self.heads
        self.intermediate = c["intermediate_size"] if llama else c.get("n_inner") or 4 * self.hidden
        self.positions = c.get("max_position_embeddings", 2048) if llama else c.get("n_positions", 1024)
        self.eps = c.get("rms_norm_eps", 1e-6) if llama else c.get("layer_norm_epsilon", 1e-5)
        self.rope_theta = (c.get("rope_parameters") or c).get("rope_theta", 10000.0)
        self.attention_bias, self.mlp_bias = bool(c.get("attention_bias")), bool(c.get("mlp_bias"))
        self.vocab, self.tied = c["vocab_size"], c.get("tie_word_embeddings", not llama)
        medusa = c.get("medusa") or {}
        self.medusa_heads, self.tree = medusa.get("num_heads", 0), medusa.get("tree", [])
        a = c.get("attention")
        self.options = OPTIONS | {k: v for k, v in (a or {}).items() if k in OPTIONS}
        self.layers = layers(a, count)

    def build(self):
        return (Llama if self.arch == "llama" else Gpt2)(self)


def layers(a, count):
    """[(kind, augmented)], one for each layer; an entry without its own `augmented` takes the object's where the kind has the form."""
    if not a:
        return [("softmax", False)] * count
    found = []
    for entry in a.get("layer_kinds") or [{"kind": a["kind"]}] * count:
        entry = {"kind": entry} if isinstance(entry, str) else entry
        kind = entry["kind"]
        if kind not in attention.KINDS:
            raise SystemExit(f"Cannot build the model: expected an attention kind of {', '.join(attention.KINDS)}, got {kind} (config.json).")
        found.append((kind, entry.get("augmented", a.get("augmented", False) and kind in attention.AUGMENTABLE)))
    return found


def tensors_of(model):
    """{name in the file: tensor}; the mixer's own level is not part of the names."""
    return {name.replace(".mixer.", "."): t for name, t in model.state_dict().items()}


def fill(model, tensors):
    """Copies the tensors that the file holds; returns the names of parameters it did not hold."""
    if isinstance(model, Gpt2) and not any(n.startswith("transformer.") for n in tensors):
        tensors = {n if n.startswith(("medusa_heads.", "lm_head.")) else "transformer." + n: t for n, t in tensors.items()}
    missing = []
    with torch.no_grad():
        for name, p in tensors_of(model).items():
            if name in tensors:
                if tensors[name].shape != p.shape:
                    raise SystemExit(f"Cannot read the weights: tensor {name} expected {list(p.shape)}, got {list(tensors[name].shape)}. "
                                     "Compare config.json with the weights.")
                p.copy_(tensors[name])
            else:
                missing.append(name)
    return missing


def read_tensors(path):
    tensors = {}
    for file in sorted(Path(path).glob("*.safetensors")):
        tensors |= load_file(file)
    if not tensors:
        raise SystemExit(f"Cannot read the model: expected model.safetensors, got none ({path}).")
    return tensors


def load(path, device="cpu"):
    """The model of a directory in f32."""
    config = Config(json.loads((Path(path) / "config.json").read_text(encoding="utf-8")))
    tensors = read_tensors(path)
    # The rank of gla's gate stands nowhere but in its tensors.
    config.options["gate_rank"] = next((len(t) for n, t in tensors.items() if n.endswith("gla.gate_a.weight")), config.options["gate_rank"])
    model = config.build()
    missing = fill(model, tensors)
    if missing:
        raise SystemExit(f"Cannot read the weights: expected tensor {missing[0]}, got none ({path}). Compare config.json with the weights.")
    return model.to(device)


def save(model, path, dtype=torch.float32, tokenizer=None):
    """Writes config.json and model.safetensors; copies tokenizer and generation settings from the directory `tokenizer`."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    raw = dict(model.config.raw)
    raw["torch_dtype"] = str(dtype).removeprefix("torch.")
    text = re.sub(r"\[[\d\s,\[\]]*\]", lambda m: re.sub(r"\s+", "", m[0]).replace(",", ", "), json.dumps(raw, indent=2))
    (path / "config.json").write_text(text + "\n", encoding="utf-8")
    save_file({n: t.detach().to("cpu", dtype).contiguous() for n, t in tensors_of(model).items()}, path / "model.safetensors",
              metadata={"format": "pt"})
    (path / "model.safetensors").chmod(0o644)
    if tokenizer:
        for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            source = Path(tokenizer) / name
            if source.exists() and source.resolve() != (path / name).resolve():
                shutil.copyfile(source, path / name)
