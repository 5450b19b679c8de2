"""Stops a run whose loss is no number or jumps, and keeps what `replay` needs to look at that step again.

out/bad_step/batch_rank0.npz   the batch as the network saw it, noise included
out/bad_step/model/            the weights before the step (not where the run's weights are sharded)
out/bad_step/step.json         step, seed, loss, why
"""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidpretrain.dataset.files import write_json
from vidpretrain.errors import InputError
from vidpretrain.model import VidPolicy
from vidpretrain.training.config import TrainConfig
from vidpretrain.training.policy import quiet_transformers

REMEMBERED = 50  # losses that the median is taken of
FLOOR = 0.01  # of the median: a policy that fits its data well may jump far above nothing


def seed_step(seed: int, step: int) -> None:
    """Seed what is random inside the network (dropout) for a step."""
    torch.manual_seed((seed * 1_000_003 + step) % 2**63)


class Guard:
    """Judges the loss and the gradient of every step of one process."""

    def __init__(self, out: Path, rank: int, config: TrainConfig, model: VidPolicy | None) -> None:
        self.out, self.rank, self.config, self.model = out / "bad_step", rank, config, model
        self.recent: deque[float] = deque(maxlen=REMEMBERED)

    def loss(self, step: int, loss: float, batch: dict[str, Tensor]) -> None:
        """Pass, or raise.

        Raises:
            InputError: the loss is no number, or more than `max_spike` times the median of the last ones.
        """
        if not math.isfinite(loss):
            self._stop(step, batch, loss, f"the loss is {loss}")
        usual, most = float(np.median(self.recent)) if self.recent else 0.0, self.config.max_spike
        if most and len(self.recent) == REMEMBERED and loss > most * max(usual, FLOOR):
            self._stop(step, batch, loss, f"the loss is {loss:.4g}, its median was {usual:.4g}")
        self.recent.append(loss)

    def gradient(self, step: int, norm: float, batch: dict[str, Tensor]) -> None:
        """Pass, or raise InputError: the gradient's norm is no number."""
        if not math.isfinite(norm):
            self._stop(step, batch, self.recent[-1], f"the gradient's norm is {norm} where the loss is finite")

    def _stop(self, step: int, batch: dict[str, Tensor], loss: float, why: str) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"batch_rank{self.rank}.npz"
        np.savez(path, **{name: value.cpu().numpy() for name, value in batch.items()})  # type: ignore[arg-type]
        if self.model is not None and self.rank == 0:
            with quiet_transformers():
                self.model.save_pretrained(self.out / "model")
        told = {"step": step, "seed": self.config.seed, "loss": loss, "why": why, "rank": self.rank}
        write_json(self.out / "step.json", told, allow_nan=True)
        raise InputError(
            f"{why} at step {step}: training stopped, batch and weights are saved",
            asked=path,
            valid="a smaller lr, a longer warmup, or data without outliers",
            next_command=f"python scripts/replay.py {self.out}",
        )
