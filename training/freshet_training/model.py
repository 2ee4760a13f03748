"""Llama and GPT-2 decoders whose parameters carry the tensor names of the model directory; docs/maths.md section 3."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from . import attention


class Holder(nn.Module):
    """Named parameters below one prefix, for tensors such as performer.projection."""

    def __init__(self, **tensors):
        super().__init__()
        for name, value in tensors.items():
            (self.register_parameter if isinstance(value, nn.Parameter) else self.register_buffer)(name, value)


class Mixer(nn.Module):
    """The attention of one layer between its projections: everything that depends on the kind.

    taps and alpha start at zero, as in the paper: a converted model begins as local attention.
    """

    def __init__(self, config, kind, is_augmented):
        super().__init__()
        o = config.options
        self.kind, self.is_augmented, self.group, self.bits = kind, is_augmented, o["group_size"], o["hash_bits"]
        heads, kv, d, width = config.heads, config.kv_heads, config.head_dim, config.hidden
        self.heads, self.kv_heads = heads, kv
        features = o["feature_dim"] or 2 * d
        if is_augmented:
            self.conv = Holder(weight=nn.Parameter(torch.zeros(heads, o["conv_taps"])))
            self.alpha = nn.Parameter(torch.zeros(1))
        if kind == "performer":
            self.performer = Holder(projection=orthogonal_rows(features, d))
        elif kind == "hedgehog":
            eye = torch.eye(d).repeat(math.ceil(features / 2 / d), 1)[:features // 2]
            self.hedgehog = Holder(q_weight=nn.Parameter(eye.repeat(heads, 1, 1)), k_weight=nn.Parameter(eye.repeat(kv, 1, 1)))
        elif kind == "yoso":
            self.yoso = Holder(planes=torch.randn(kv, o["hash_rounds"], o["hash_bits"], d))
        elif kind == "linformer":
            n, r = o["slot_positions"], o["slots"]
            self.linformer = Holder(slots=nn.Parameter(torch.randn(n, r) * r ** -0.5))
        elif kind == "retnet":
            self.retnet = Holder(log_decay=torch.log(1 - 2.0 ** -torch.linspace(4, 8, kv)))
        elif kind == "gla":
            self.gla = nn.ModuleDict({"gate_a": nn.Linear(width, o["gate_rank"], bias=False), "gate_b": nn.Linear(o["gate_rank"], kv * d)})
        elif kind == "gated_deltanet":
            self.gdn = nn.ModuleDict({"beta": nn.Linear(width, kv, bias=False), "a": nn.Linear(width, kv, bias=False)})
            self.gdn.register_parameter("A_log", nn.Parameter(torch.empty(kv).uniform_(1, 16).log()))
            step = torch.empty(kv).uniform_(math.log(1e-3), math.log(1e-1)).exp()
            self.gdn.register_parameter("dt_bias", nn.Parameter(step + torch.log(-torch.expm1(-step))))
        if kind in ("retnet", "gla", "gated_deltanet"):
            self.out_norm = Holder(weight=nn.Parameter(torch.ones(d)))

    def up(self, x, dim):
        """Repeats each key/value head for its query heads."""
        return x.repeat_interleave(self.heads // self.kv_heads, dim)

    def gates(self, x):
        """The inputs of gated kinds from the normalised input of the layer, [B, H, T, ...]."""
        def split(y):
            return self.up(y.unflatten(-1, (self.kv_heads, -1)).transpose(1, 2).float(), 1)
        if self.kind == "gla":
            self.log_gate = F.logsigmoid(split(self.gla.gate_b(self.gla.gate_a(x)))) / 16
        elif self.kind == "gated_deltanet":
            self.beta = split(self.gdn.beta(x)).sigmoid()
            bias, rate = (self.up(p, 0)[:, None, None] for p in (self.gdn.dt_bias, self.gdn.A_log.exp()))
            self.log_decay = -rate * F.softplus(split(self.gdn.a(x)) + bias)

    def forward(self, x, q, k, v):
        """x [B, T, D], q [B, H, T, d], k and v [B, KV, T, d] -> [B, T, H d]. Sums are f32 whatever the weights are."""
        self.gates(x)
        with torch.autocast(x.device.type, enabled=False):
            q, k, v = q.float(), self.up(k, 1).float(), self.up(v, 1).float()
            o = (attention.augmented(self.kind, q, k, v, self) if self.is_augmented
                 else attention.MIX[self.kind](q, k, v, False, self))
        return o.transpose(1, 2).flatten(2)


def orthogonal_rows(count, d):
    """[count, d]: blocks of orthogonal directions with the lengths of Gaussian vectors (Choromanski et al. 2021)."""
    blocks = [torch.linalg.qr(torch.randn(d, d))[0].T for _ in range(math.ceil(count / d))]
    return torch.cat(blocks)[:count] * torch.randn(count, d).norm(dim=1, keepdim=True)


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), self.eps)


def rotary(length, d, base, device):
    """cos and sin [T, d / 2], formed in f64 as the engine does."""
    angle = torch.arange(length, device=device, dtype=torch.float64)[:, None] * base ** (
        -torch.arange(0, d, 2, device=device, dtype=torch.float64) / d)
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class LlamaAttention(nn.Module):
    def __init__(self, config, kind, is_augmented):
        super().__init__()
        d, width, bias = config.head_dim, config.hidden, config.attention_bias
        self.heads, self.kv_heads, self.base = config.heads, config.kv_heads, config.rope_theta
        self.q_proj = nn.Linear(width, config.heads * d, bias=bias)
        self.k_proj = nn.Linear(width, config.kv_heads * d, bias=bias)
        self.v_proj = nn.Linear(width, config.kv_heads * d, bias=bias)
        self.o_proj = nn.Linear(config.heads * d, width, bias=bias)
        self.mixer = Mixer(config, kind, is_augmented)

    def forward(self, x):
        q, k, v = (p(x).unflatten(-1, (n, -1)).transpose(1, 2)
                   for p, n in ((self.q_proj, self.heads), (self.k_proj, self.kv_heads), (self.v_proj, self.kv_heads)))
        cos, sin = rotary(x.shape[1], q.shape[-1], self.base, x.device)
        return self.o_proj(self.mixer(x, rotate(q, cos, sin), rotate(k, cos, sin), v))


class LlamaMlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, inner, bias = config.hidden, config.intermediate, config.mlp_bias
        self.gate_proj = nn.Linear(width, inner, bias=bias)
        self.up_proj = nn.Linear(width, inner, bias=bias)
        self.down_proj = nn.Linear(inner, width, bias=bias)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaBlock(nn.Module):
    def __init__(self, config, kind, is_augmented):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden, config.eps)
        self.self_attn = LlamaAttention(config, kind, is_augmented)
        self.post_attention_layernorm = RMSNorm(config.hidden, config.eps)
        self.mlp = LlamaMlp(config)

    def attend(self, x):
        return self.self_attn(self.input_layernorm(x))

    def forward(self, x):
        x = x + self.attend(x)
        return x + self.mlp(self.post_attention_layernorm(x))


class Conv1D(nn.Module):
    """y = x W + b with W [in, out], the layout of GPT-2 checkpoints."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs) * 0.02), nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return F.linear(x, self.weight.T, self.bias)


class Gpt2Attention(nn.Module):
    def __init__(self, config, kind, is_augmented):
        super().__init__()
        self.heads = config.heads
        self.c_attn, self.c_proj = Conv1D(config.hidden, 3 * config.hidden), Conv1D(config.hidden, config.hidden)
        self.mixer = Mixer(config, kind, is_augmented)

    def forward(self, x):
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.c_attn(x).chunk(3, -1))
        return self.c_proj(self.mixer(x, q, k, v))


class Gpt2Mlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(config.hidden, config.intermediate), Conv1D(config.intermediate, config.hidden)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Gpt2Block(nn.Module):
    def __init__(self, config, kind, is_augmented):
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(config.hidden, config.eps) for _ in range(2))
        self.attn, self.mlp = Gpt2Attention(config, kind, is_augmented), Gpt2Mlp(config)

    def attend(self, x):
        return self.attn(self.ln_1(x))

    def forward(self, x):
        x = x + self.attend(x)
        return x + self.mlp(self.ln_2(x))


class MedusaHead(nn.Module):
    """logits of the token k + 2 places ahead: lm_head(x + silu(residual(x))) on the final normalised hidden state x."""

    def __init__(self, config):
        super().__init__()
        self.residual = nn.Linear(config.hidden, config.hidden)
        self.lm_head = nn.Linear(config.hidden, config.vocab, bias=False)

    def forward(self, x):
        return self.lm_head(x + F.silu(self.residual(x)))


class Decoder(nn.Module):
    """tokens [B, T] -> logits [B, T, V]. Subclasses give embed(), blocks, final() and table(), the output weights [V, D]."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.medusa_heads = nn.ModuleList(MedusaHead(config) for _ in range(config.medusa_heads))

    def hidden(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks():
            x = block(x)
        return self.final(x)

    def forward(self, tokens):
        return F.linear(self.hidden(tokens), self.table())

    def initialise(self):
        """Normal weights of deviation 0.02, smaller where a layer writes to the residual stream (GPT-2's rule)."""
        scale = (2 * len(self.blocks())) ** -0.5
        for name, p in self.named_parameters():
            if p.dim() == 2 and ".mixer." not in name and not name.startswith("medusa_heads"):
                nn.init.normal_(p, std=0.02 * (scale if name.endswith(("o_proj.weight", "down_proj.weight", "c_proj.weight")) else 1))
        return self


class Llama(Decoder):
    def __init__(self, config):
        super().__init__(config)
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(config.vocab, config.hidden)
        self.model.layers = nn.ModuleList(LlamaBlock(config, *layer) for layer in config.layers)
        self.model.norm = RMSNorm(config.hidden, config.eps)
        if not config.tied:
            self.lm_head = nn.Linear(config.hidden, config.vocab, bias=False)

    def embed(self, tokens):
        return self.model.embed_tokens(tokens)

    def blocks(self):
        return self.model.layers

    def final(self, x):
        return self.model.norm(x)

    def table(self):
        return self.model.embed_tokens.weight if self.config.tied else self.lm_head.weight


class Gpt2(Decoder):
    def __init__(self, config):
        super().__init__(config)
        self.transformer = nn.Module()
        self.transformer.wte = nn.Embedding(config.vocab, config.hidden)
        self.transformer.wpe = nn.Embedding(config.positions, config.hidden)
        self.transformer.h = nn.ModuleList(Gpt2Block(config, *layer) for layer in config.layers)
        self.transformer.ln_f = nn.LayerNorm(config.hidden, config.eps)
        if not config.tied:
            self.lm_head = nn.Linear(config.hidden, config.vocab, bias=False)

    def embed(self, tokens):
        return self.transformer.wte(tokens) + self.transformer.wpe.weight[:tokens.shape[1]]

    def blocks(self):
        return self.transformer.h

    def final(self, x):
        return self.transformer.ln_f(x)

    def table(self):
        return self.transformer.wte.weight if self.config.tied else self.lm_head.weight
