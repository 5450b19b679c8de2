"""Where a step's time goes, and which weights got no gradient."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

PHASES = ("data", "forward", "backward", "optimiser")


class StopWatch:
    """Seconds per phase. With `whole`, an accelerator's queue is emptied at each border, so that its work is counted
    where it was asked for; without, only the wait for data is exact there."""

    def __init__(self, whole: bool) -> None:
        self.whole = whole and torch.cuda.is_available()
        self.seconds: dict[str, float] = dict.fromkeys(PHASES, 0.0)
        self.steps = 0
        self._since = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's time under `name`."""
        start = time.perf_counter()
        yield
        if self.whole:
            torch.cuda.synchronize()
        self.seconds[name] += time.perf_counter() - start

    def told(self) -> dict[str, float]:
        """Milliseconds of a step per phase, the rest of it, and the whole; begins anew."""
        steps, whole = max(1, self.steps), time.perf_counter() - self._since
        each = {name: 1e3 * value / steps for name, value in self.seconds.items()}
        out = {**each, "other": 1e3 * whole / steps - sum(each.values()), "step": 1e3 * whole / steps}
        self.seconds, self.steps, self._since = dict.fromkeys(PHASES, 0.0), 0, time.perf_counter()
        return {name: round(value, 3) for name, value in out.items()}


def without_gradient(model: nn.Module) -> list[str]:
    """Weights to be trained that got no gradient, or one that is zero throughout; to be asked after backward."""
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.detach().any()))
    ]
