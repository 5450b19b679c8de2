"""Exponential moving average of weights, with a warm-up so that short runs are not stuck at their start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Averaged copies of a model's parameters; decay after n updates is min(decay, (1 + n) / (10 + n))."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.average = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's present weights."""
        share = 1.0 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        names = list(self.average)
        present = dict(model.named_parameters())
        torch._foreach_lerp_([here(self.average[n]) for n in names], [here(present[n].detach()) for n in names], share)

    @torch.no_grad()
    def towards(self, weights: dict[str, Tensor], share: float) -> None:
        """Move the average by `share` of the way to other weights (Wortsman et al., arXiv 2109.01903)."""
        for name, value in weights.items():
            here(self.average[name]).lerp_(here(value), share)

    def whole(self) -> dict[str, Tensor]:
        """The averages with all their parts; to be called by all processes where weights are sharded."""
        return {name: value.full_tensor() if _is_sharded(value) else value for name, value in self.average.items()}

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model carries the averaged weights inside the block and its own again afterwards."""
        own = {name: p.detach().clone() for name, p in model.named_parameters()}
        self._put(model, self.average)
        try:
            yield
        finally:
            self._put(model, own)

    @staticmethod
    @torch.no_grad()
    def _put(model: nn.Module, values: dict[str, Tensor]) -> None:
        for name, parameter in model.named_parameters():
            parameter.copy_(values[name])

    def state_dict(self) -> dict[str, object]:
        """What a checkpoint keeps, the same with and without sharding."""
        return {"updates": self.updates, "average": self.whole()}

    def load_state_dict(self, state: dict) -> None:
        """Inverse of `state_dict`."""
        self.updates = int(state["updates"])
        for name, value in state["average"].items():
            own = self.average[name]
            if _is_sharded(own):
                from torch.distributed.tensor import distribute_tensor

                value = distribute_tensor(value.to(own.device), own.device_mesh, own.placements)
            here(own).copy_(here(value))


def here(value: Tensor) -> Tensor:
    """This process's part of a sharded tensor, any other tensor itself."""
    return value.to_local() if _is_sharded(value) else value  # type: ignore[attr-defined]


def _is_sharded(value: Tensor) -> bool:
    return hasattr(value, "full_tensor")
