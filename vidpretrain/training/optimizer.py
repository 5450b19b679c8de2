"""AdamW over trunk and adapters, and the learning rate as a function of the step."""

from __future__ import annotations

import math
import re

import torch

from vidpretrain.model import VidPolicy
from vidpretrain.training.config import TrainConfig
from vidpretrain.training.warmstart import is_adapter, part_of

_LAYER = re.compile(r"\.?(?:layers?|blocks|trunk)\.(\d+)\.")


def make_optimizer(model: VidPolicy, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; matrices of the trunk decay, adapters, tokens, norms and biases do not. Groups carry their `scale`."""
    depth = depths([name for name, _ in model.named_parameters()])
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        adapter = is_adapter(name)
        decay = config.weight_decay if parameter.ndim >= 2 and not adapter and "position" not in name else 0.0
        scale = 1.0 if adapter else config.trunk_lr_scale * config.layer_decay ** depth[name]
        groups.setdefault((decay, scale), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "weight_decay": decay, "scale": scale} for (decay, scale), p in groups.items()],
        lr=config.lr,
        betas=config.betas,
        fused=True,
    )


def depths(names: list[str]) -> dict[str, int]:
    """How many layers lie between each weight and the action decoder: 0 for decoder and adapters, then the trunk's
    layers from the last to the first (its norm counts as above them, its tokens as below), then those of what sees.
    """
    trunk = [int(found[1]) for name in names if name.startswith("trunk.") and (found := _LAYER.match(name))]
    below = 1 + max(trunk, default=-1) + 1
    seeing = [int(f[1]) for n in names if _sees(n) and (f := _LAYER.search(n))]
    top = max(seeing, default=0)
    out = {}
    for name in names:
        layer = _LAYER.search(name)
        if part_of(name) in ("adapters", "decoder") or name.startswith(("trunk_norm", "decoder_norm")):
            out[name] = 0
        elif name.startswith("trunk.") and layer:
            out[name] = below - 1 - int(layer[1])
        elif _sees(name) and layer:
            out[name] = below + top - int(layer[1])
        else:
            out[name] = below
    return out


def _sees(name: str) -> bool:
    return name.startswith(("stem.", "vision", "backbone"))


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to `min_lr` at the last step, or constant."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    share = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.min_lr + 0.5 * (config.lr - config.min_lr) * (1 + math.cos(math.pi * min(1.0, share)))
