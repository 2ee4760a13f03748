"""Every attention kind in its parallel, causal training form; docs/maths.md section 2.

Shapes: q, k, v [B, H, T, d] with key/value heads already repeated for their query heads; output [B, H, T, d]. Position t
of a sequence is column t, so a batch starts at position 0 and group t // G is chunk t // G.

A kind is a function mix(q, k, v, grouped, c). grouped = False: all tokens s <= t; grouped = True: only tokens of earlier
groups, as the augmented form wants. The engine does the same token by token with a state of fixed size.
"""
import math

import torch
import torch.nn.functional as F

EPS = 1e-6

KINDS = ("softmax", "flash_local", "flash_global", "linformer", "performer", "transnormer", "yoso", "relu", "hedgehog", "retnet", "gla",
         "gated_deltanet", "transnormer_diag", "yoso_local")
AUGMENTABLE = ("flash_local", "flash_global", "linformer", "performer", "transnormer", "yoso", "relu", "hedgehog")


def unit(x):
    """x / max(|x|, 1e-6)."""
    return x / x.norm(dim=-1, keepdim=True).clamp_min(EPS)


def chunks(x, size):
    """[B, H, T, ...] -> [B, H, N, size, ...], padded with zeros at the end."""
    rest = -x.shape[2] % size
    if rest:
        x = F.pad(x, [0, 0] * (x.dim() - 3) + [0, rest])
    return x.unflatten(2, (-1, size))


def earlier(x):
    """Sum over the chunks before each one, [B, H, N, ...]: what the engine keeps as its state."""
    return x.cumsum(2) - x


def tril(size, like):
    return torch.ones(size, size, dtype=like.dtype, device=like.device).tril()


# Kernel kinds: S = sum phi(k)^T v. The column of ones behind v makes the denominator part of the same product.

def kernel_sum(fq, fk, v, grouped, size):
    """sum over visible s of (phi(q_t) . phi(k_s)) v_s, [B, H, T, e]."""
    length = v.shape[2]
    fq, fk, v = chunks(fq, size), chunks(fk, size), chunks(v, size)
    out = fq @ earlier(fk.mT @ v)
    if not grouped:
        out = out + (fq @ fk.mT * tril(size, v)) @ v
    return out.flatten(2, 3)[:, :, :length]


def kernel_ratio(fq, fk, v, grouped, size, eps=0.0):
    """The same divided by the sum of weights; 0 where nothing is visible yet."""
    out = kernel_sum(fq, fk, torch.cat([v, torch.ones_like(v[..., :1])], -1), grouped, size)
    num, den = out[..., :-1], out[..., -1:]
    return num / (den + eps) if eps else torch.where(den > 0, num / den.clamp_min(1e-30), 0.0)


def relu(q, k, v, grouped, c):
    return kernel_ratio(q.relu(), k.relu(), v, grouped, c.group, EPS)


def performer(q, k, v, grouped, c):
    def phi(x):
        x = x * x.shape[-1] ** -0.25
        w = c.performer.projection
        return torch.exp(x @ w.T - x.square().sum(-1, keepdim=True) / 2) * len(w) ** -0.5
    return kernel_ratio(phi(q), phi(k), v, grouped, c.group)


def hedgehog(q, k, v, grouped, c):
    def phi(x, w):
        y = torch.einsum("bhtd,hfd->bhtf", x, w)
        return torch.cat([y.softmax(-1), (-y).softmax(-1)], -1)
    return kernel_ratio(phi(q, c.hedgehog.q_weight), phi(k, c.up(c.hedgehog.k_weight, 0)), v, grouped, c.group)


def transnormer(q, k, v, grouped, c):
    o = kernel_sum(F.elu(q) + 1, F.elu(k) + 1, v, grouped, c.group)
    return o * torch.rsqrt(o.square().mean((1, 3), keepdim=True) + EPS)


def flash_global(q, k, v, grouped, c):
    return kernel_sum(unit(q), unit(k), v, True, c.group)


# Kinds that look at their own group alone.

def local(weights, v, size):
    """sum over s <= t of the own group of weights(t, s) v_s; `weights` is given a group and the triangle."""
    return (weights * tril(size, v)) @ chunks(v, size)


def group_cosines(q, k, size):
    return chunks(unit(q), size) @ chunks(unit(k), size).mT


def flash_local(q, k, v, grouped, c):
    return local(group_cosines(q, k, c.group).relu().square(), v, c.group).flatten(2, 3)[:, :, :v.shape[2]]


def yoso_local(q, k, v, grouped, c):
    w = collision(group_cosines(q, k, c.group), c.bits)
    return unit(local(w, v, c.group).flatten(2, 3)[:, :, :v.shape[2]])


def transnormer_diag(q, k, v, grouped, c):
    s = chunks(q, c.group) @ chunks(k, c.group).mT * q.shape[-1] ** -0.5
    s = s.masked_fill(tril(c.group, s) == 0, -math.inf)
    return (s.softmax(-1) @ chunks(v, c.group)).flatten(2, 3)[:, :, :v.shape[2]]


def softmax(q, k, v, grouped, c):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


# Kinds with a memory of another form.

def linformer(q, k, v, grouped, c):
    """softmax(q K~^T / sqrt d) V~ over slots written by position: K~ = sum e_s k_s^T, V~ = sum e_s v_s^T."""
    length, slots = v.shape[2], c.linformer.slots
    e = chunks(slots[torch.arange(length, device=v.device) % len(slots)].expand(*v.shape[:2], -1, -1), c.group)
    q, k, v = chunks(q, c.group), chunks(k, c.group), chunks(v, c.group)
    own = 0.0 if grouped else tril(c.group, v)
    scores = q @ earlier(k.mT @ e) + (q @ k.mT * own) @ e
    p = (scores * q.shape[-1] ** -0.5).softmax(-1)
    return (p @ earlier(e.mT @ v) + (p @ e.mT * own) @ v).flatten(2, 3)[:, :, :length]


def collision(cosine, bits):
    """Chance that `bits` random hyperplanes do not part two unit vectors; 0.98 keeps the slope of acos finite."""
    return (1 - torch.acos(0.98 * cosine.clamp(-1, 1)) / math.pi) ** bits


def yoso(q, k, v, grouped, c):
    """Hash collisions as weights; their gradient is that of the expected number of collisions (Zeng et al. 2021).

    Quadratic in T on purpose: the surrogate gradient has no state, and training contexts are short.
    """
    planes, t = c.up(c.yoso.planes, 0), torch.arange(v.shape[2], device=v.device)

    def buckets(x):
        """One hot for each round, [B, H, T, rounds * 2^bits]."""
        powers = 2 ** torch.arange(planes.shape[2], device=x.device)
        codes = ((torch.einsum("bhtd,hrcd->bhtrc", x, planes) > 0) * powers).sum(-1)
        return F.one_hot(codes, 2 ** planes.shape[2]).to(v).flatten(3)

    with torch.no_grad():
        hits = buckets(q) @ buckets(k).mT / planes.shape[1]
    smooth = collision(unit(q) @ unit(k).mT, planes.shape[2])
    visible = t[:, None] // c.group > t // c.group if grouped else t[:, None] >= t
    sums = ((hits + smooth - smooth.detach()) * visible) @ v
    # A query that hits nothing has the output zero; through the division by the floor its surrogate gradient would be a million times too large.
    return unit(torch.where(sums.norm(dim=-1, keepdim=True) > EPS, sums, sums.detach()))


# Kinds with decay; they have no augmented form. g is the log-decay summed from the start of the chunk.

def decayed(q, k, v, log_decay, size):
    """o_t = q_t S_t with S_t = diag(a_t) S_{t-1} + k_t^T v_t; log_decay [B, H, T, d or 1] <= 0.

    Within a chunk the factors are e^{g_t} on the query and e^{-g_s} on the key; chunks are short enough for f32.
    """
    length, state, out = v.shape[2], 0.0, []
    q, k, v, g = (chunks(x, size) for x in (q, k, v, log_decay))
    g = g.cumsum(3)
    inner = ((q * g.exp()) @ (k * (-g).exp()).mT * tril(size, v)) @ v
    last = g[..., -1:, :]
    add = (k * (last - g).exp()).mT @ v
    keep = last.exp().mT
    for n in range(v.shape[2]):
        out.append((q[:, :, n] * g[:, :, n].exp()) @ state + inner[:, :, n] if n else inner[:, :, n])
        state = keep[:, :, n] * state + add[:, :, n]
    return torch.stack(out, 2).flatten(2, 3)[:, :, :length]


def head_norm(o, weight):
    return o * torch.rsqrt(o.square().mean(-1, keepdim=True) + EPS) * weight


def retnet(q, k, v, grouped, c):
    log_decay = c.up(c.retnet.log_decay, 0)[None, :, None, None].expand(*v.shape[:3], 1)
    return head_norm(decayed(q * q.shape[-1] ** -0.5, k, v, log_decay, 16), c.out_norm.weight)


def gla(q, k, v, grouped, c):
    return head_norm(decayed(q * q.shape[-1] ** -0.5, k, v, c.log_gate, 16), c.out_norm.weight)


def gated_deltanet(q, k, v, grouped, c):
    """u_t = beta_t (v_t - a_t ^k_t S_{t-1}), S_t = a_t S_{t-1} + ^k_t^T u_t; one triangular solve for each chunk."""
    size, length = 32, v.shape[2]
    q, k = unit(q) * q.shape[-1] ** -0.5, unit(k)
    q, k, v, beta, g = (chunks(x, size) for x in (q, k, v, c.beta, c.log_decay))
    g, eye = g.cumsum(3), torch.eye(size, dtype=v.dtype, device=v.device)
    decay = (g - g.mT).masked_fill(tril(size, v) == 0, -math.inf).exp()
    a = eye + beta * (k @ k.mT * decay).tril(-1)
    uv = torch.linalg.solve_triangular(a, torch.cat([beta * v, beta * g.exp() * k], -1), upper=False, unitriangular=True)
    u, w = uv.split([v.shape[-1], k.shape[-1]], -1)
    inner, state, out = q @ k.mT * decay, torch.zeros_like(k[:, :, 0].mT @ v[:, :, 0]), []
    for n in range(v.shape[2]):
        new = u[:, :, n] - w[:, :, n] @ state
        out.append((q[:, :, n] * g[:, :, n].exp()) @ state + inner[:, :, n] @ new)
        last = g[:, :, n, -1:]
        state = last.exp() * state + (k[:, :, n] * (last - g[:, :, n]).exp()).mT @ new
    return head_norm(torch.stack(out, 2).flatten(2, 3)[:, :, :length], c.out_norm.weight)


# The augmented form.

def banded(weight, size, groups_back):
    """The causal filter of each head [H, taps] as a matrix [H, size, size] from the values of a group so far back."""
    heads, taps = weight.shape
    t = torch.arange(size, device=weight.device)
    back = t[:, None] - t + groups_back * size
    return weight[:, (taps - 1 - back).clamp(0, taps - 1)] * ((back >= 0) & (back < taps))


def augmented(kind, q, k, v, c):
    """local + alpha * global over earlier groups + causal convolution of v (arXiv 2406.07368)."""
    length, size, taps = v.shape[2], c.group, c.conv.weight
    values = chunks(v, size)
    o = (group_cosines(q, k, size).relu().square() * tril(size, v) + banded(taps, size, 0)[:, None]) @ values
    for j in range(1, min(values.shape[2] - 1, (taps.shape[1] + size - 2) // size) + 1):
        o = o + banded(taps, size, j)[:, None] @ F.pad(values, (0, 0, 0, 0, j, -j))
    o = o.flatten(2, 3)[:, :, :length]
    return o if kind == "flash_local" else o + c.alpha * MIX[kind](q, k, v, True, c)


MIX = {kind: globals()[kind] for kind in KINDS}
