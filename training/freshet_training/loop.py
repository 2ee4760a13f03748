"""The training loop of every command: schedule, optimisers, checkpoints, progress line, loss curve."""
import json
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass
class Settings:
    """What a run is: `steps` optimiser steps, or until the wall clock reads `deadline` (seconds of the epoch)."""
    out: Path
    steps: int = 0
    deadline: float = 0.0
    batch: int = 16
    accumulate: int = 1
    lr: float = 3e-3
    weight_decay: float = 0.1
    warmup: float = 0.02
    decay: float = 0.5
    clip: float = 1.0
    muon: bool = True
    bf16: bool = False
    seed: int = 1
    save_seconds: float = 120.0
    quiet: bool = False


def optimisers(model, parameters, settings):
    """Muon for the matrices of the layers, AdamW for embeddings, norms, filters and everything small."""
    blocks = {id(p) for name, p in model.named_parameters() if p.dim() == 2 and ".mixer." not in name and "embed" not in name
              and "lm_head" not in name and ".wte." not in name and ".wpe." not in name}
    matrices = [p for p in parameters if settings.muon and id(p) in blocks]
    chosen = {id(p) for p in matrices}
    rest = [p for p in parameters if id(p) not in chosen]
    decayed = [p for p in rest if p.dim() > 1]
    plain = [p for p in rest if p.dim() <= 1]
    found = []
    if matrices:
        found.append(torch.optim.Muon(matrices, lr=settings.lr, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"))
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    found.append(torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.lr, betas=(0.9, 0.95)))
    return found


def rate(progress, settings):
    """Share of the learning rate: linear warm-up, flat, linear to zero over the last part `decay`."""
    if progress < settings.warmup:
        return max(progress, 1e-3) / settings.warmup
    return min(1.0, max(0.0, (1 - progress) / settings.decay))


class Run:
    """One resumable run. `loss(step, part)` gives the loss of one micro-batch; only `model`'s tensors are saved."""

    def __init__(self, model, parameters, loss, tokens_per_step, settings):
        self.model, self.loss, self.settings, self.tokens = model, loss, settings, tokens_per_step
        self.parameters = list(parameters)
        self.optimisers = optimisers(model, self.parameters, settings)
        self.device = next(model.parameters()).device
        self.step, self.progress, self.curve = 0, 0.0, []
        self.file = settings.out / "checkpoint.pt"
        settings.out.mkdir(parents=True, exist_ok=True)
        if self.file.exists():
            self.resume()

    def resume(self):
        saved = torch.load(self.file, map_location=self.device, weights_only=True)
        self.model.load_state_dict(saved["model"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"]):
            optimiser.load_state_dict(state)
        self.step, self.progress, self.curve = saved["step"], saved["progress"], saved["curve"]
        self.say(f"resumed at step {self.step}")

    def save(self):
        partial = self.file.with_suffix(".partial")
        torch.save({"model": self.model.state_dict(), "optimisers": [o.state_dict() for o in self.optimisers], "step": self.step,
                    "progress": self.progress, "curve": self.curve}, partial)
        os.replace(partial, self.file)
        with open(self.settings.out / "curve.json", "w", encoding="utf-8") as f:
            json.dump(self.curve, f)

    def say(self, line):
        if not self.settings.quiet:
            print(line, file=sys.stderr, flush=True)

    def advance(self):
        """One optimiser step; returns its loss."""
        s, total = self.settings, 0.0
        for part in range(s.accumulate):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=s.bf16):
                loss = self.loss(self.step, part) / s.accumulate
            loss.backward()
            total += loss.item()
        if not math.isfinite(total):
            raise SystemExit(f"Cannot go on: expected a finite loss, got {total} (step {self.step}). Lower the learning rate and resume.")
        torch.nn.utils.clip_grad_norm_(self.parameters, s.clip)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = s.lr * rate(self.progress, s)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return total

    def train(self, every=None):
        """Runs to the end; `every(run)` is called after each checkpoint. Returns the curve [[step, tokens, loss]]."""
        s, began, saved, shown = self.settings, time.time(), time.time(), time.time()
        first, at, recent = self.step, self.progress, []
        while self.progress < 1:
            recent.append(self.advance())
            now = time.time()
            share = (now - began) / max(1e-3, s.deadline - began) if s.deadline else 1.0
            self.progress = min(1.0, at + (1 - at) * share) if s.deadline else self.step / s.steps
            if len(recent) == max(1, min(20, s.steps // 50 or 20)) or self.progress >= 1:
                self.curve.append([self.step, self.step * self.tokens, sum(recent) / len(recent)])
                recent = []
            if now - shown > 10 and self.curve:
                speed = (self.step - first) * self.tokens / (now - began)
                left = (now - began) / max(1e-9, self.progress - at) * (1 - self.progress)
                self.say(f"step {self.step}  loss {self.curve[-1][2]:.4f}  {speed:.0f} tokens/s  {left / 60:.1f} min left")
                shown = now
            if now - saved > s.save_seconds:
                self.save()
                saved = now
                if every:
                    every(self)
        self.save()
        return self.curve


def plot(curves, path, title):
    """Loss against tokens, one line for each named curve."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(8, 4.5))
    for name, curve in curves.items():
        axes.plot([c[1] / 1e6 for c in curve], [c[2] for c in curve], label=name)
    axes.set(xlabel="million tokens", ylabel="loss, nats per token", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
