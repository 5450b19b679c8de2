"""How to evaluate. No torch here: the command line reads this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """`samples` flow draws of `flow_steps` Euler steps (None: the checkpoint's) are averaged per chunk, because the
    error asks for the middle of what the policy would do and not for one draw. `every` thins the rows; intervals are
    over episodes.

    `predictor` is a file that `evaluate.predictor` wrote: policies are then ranked by the success that it foretells.

    `train_episodes` are what the mean action and the errors' scale are taken from (None: every episode that is not
    evaluated).
    """

    samples: int = 16
    flow_steps: int | None = 2
    every: int = 1
    batch_size: int = 64
    seed: int = 0
    train_episodes: tuple[int, ...] | None = None
    bootstrap: int = 2000
    confidence: float = 0.95
    predictor: Path | None = None

    def __post_init__(self) -> None:
        for name in ("samples", "every", "batch_size", "bootstrap"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence lies between 0 and 1, not {self.confidence}")
