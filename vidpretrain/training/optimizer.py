"""AdamW over trunk and adapters, and the learning rate as a function of the step."""

from __future__ import annotations

import math

import torch

from vidpretrain.model import VidPolicy
from vidpretrain.training.config import TrainConfig
from vidpretrain.training.warmstart import is_adapter


def make_optimizer(model: VidPolicy, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; matrices of the trunk decay, adapters, tokens, norms and biases do not. Groups carry their `scale`."""
    groups: dict[tuple[float, float], list] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        adapter = is_adapter(name)
        decay = config.weight_decay if parameter.ndim >= 2 and not adapter and "position" not in name else 0.0
        groups.setdefault((decay, 1.0 if adapter else config.trunk_lr_scale), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "weight_decay": decay, "scale": scale} for (decay, scale), p in groups.items()],
        lr=config.lr,
        betas=config.betas,
        fused=True,
    )


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to `min_lr` at the last step, or constant."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    share = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.min_lr + 0.5 * (config.lr - config.min_lr) * (1 + math.cos(math.pi * min(1.0, share)))
