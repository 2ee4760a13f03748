"""Writes a Llama model of random weights as GGUF, for a peer to run at the shapes of `./freshet bench`.

    python make_gguf.py 15m|110m|1b f32|bf16|q8_0 FILE
"""

import sys

import gguf
import numpy as np

# hidden, MLP, layers, heads, key/value heads, output tied to the embedding: BenchShape.java
SHAPES = {
    "15m": (288, 768, 6, 6, 6, True),
    "110m": (768, 2048, 12, 12, 12, True),
    "1b": (2048, 5632, 22, 32, 4, False),
}
TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "bf16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
VOCABULARY = 32_000


def main(shape: str, kind: str, path: str) -> None:
    hidden, inner, layers, heads, kv, tied = SHAPES[shape]
    width = hidden // heads
    dtype, file_type = TYPES[kind]
    rng = np.random.default_rng(1)
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(131_072)
    out.add_embedding_length(hidden)
    out.add_block_count(layers)
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(kv)
    out.add_rope_dimension_count(width)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(VOCABULARY)
    out.add_file_type(file_type)
    out.add_tokenizer_model("llama")
    out.add_token_list([b"<unk>", b"<s>", b"</s>"] + [b"t%d" % i for i in range(VOCABULARY - 3)])
    out.add_token_scores([0.0] * VOCABULARY)
    out.add_token_types([2, 3, 3] + [1] * (VOCABULARY - 3))
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)

    def matrix(name: str, n: int, k: int) -> None:
        x = rng.standard_normal((n, k), dtype=np.float32) * 0.02
        if kind == "f32":
            out.add_tensor(name, x)
        else:
            out.add_tensor(name, gguf.quants.quantize(x, dtype), raw_dtype=dtype)

    def ones(name: str) -> None:
        out.add_tensor(name, np.ones(hidden, dtype=np.float32))

    matrix("token_embd.weight", VOCABULARY, hidden)
    ones("output_norm.weight")
    if not tied:
        matrix("output.weight", VOCABULARY, hidden)
    for i in range(layers):
        p = f"blk.{i}."
        ones(p + "attn_norm.weight")
        ones(p + "ffn_norm.weight")
        matrix(p + "attn_q.weight", hidden, hidden)
        matrix(p + "attn_k.weight", kv * width, hidden)
        matrix(p + "attn_v.weight", kv * width, hidden)
        matrix(p + "attn_output.weight", hidden, hidden)
        matrix(p + "ffn_gate.weight", inner, hidden)
        matrix(p + "ffn_up.weight", inner, hidden)
        matrix(p + "ffn_down.weight", hidden, inner)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in SHAPES or sys.argv[2] not in TYPES:
        sys.exit(__doc__)
    main(*sys.argv[1:])
