"""Chunk error of a policy on rows; used during training and by `evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vidpretrain.training import chunk_error
from vidpretrain.training.policy import Policy
from vidpretrain.training.rows import Rows, Sample

Array = np.ndarray


def batches(rows: Rows, batch_size: int, limit: int | None = None) -> Iterator[tuple[Array, Sample]]:
    """(positions, sample) over all rows, or over `limit` evenly spaced ones, in order."""
    count = len(rows) if limit is None else min(limit, len(rows))
    which = np.unique(np.linspace(0, len(rows) - 1, count).round().astype(np.int64))
    for start in range(0, len(which), batch_size):
        part = which[start : start + batch_size]
        yield part, rows.sample(part)


def policy_chunks(
    policy: Policy, rows: Rows, which: Array, sample: Sample, *, seed: int, steps: int | None, samples: int
):
    """The policy's absolute chunks for a sample; noise is keyed by the row's place in the cache."""
    return policy.predict(
        sample.images,
        np.where(sample.state_known, sample.state, np.nan).astype(np.float32),
        rows.spec.embodiment,
        history=np.where(sample.history_known, sample.history, np.nan).astype(np.float32),
        fov=sample.fov,
        seed=seed,
        steps=steps,
        samples=samples,
        keys=rows.index[which],
        instructions=[rows.instructions[k] for k in sample.instruction],
    )


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Normalised chunk error (see `chunk_error`): overall, of every group, and of every step of the horizon."""

    error: float
    groups: dict[str, float]
    steps: list[float]

    def record(self) -> dict[str, object]:
        """As a line of metrics has it; steps are counted from 1."""
        steps = {str(k + 1): value for k, value in enumerate(self.steps)}
        return {"val_error": self.error, "val_group": self.groups, "val_step": steps}


def validate(
    policy: Policy, rows: Rows, std: Array, *, limit: int | None = 256, batch_size: int = 64, samples: int = 1
) -> Validation:
    """Normalised chunk error on (evenly spaced) rows; `std` are the training actions' deviations."""
    total = chunk_error.ErrorSum.zero(1, rows.spec.horizon, rows.spec.width)
    for which, sample in batches(rows, batch_size, limit):
        predicted = policy_chunks(policy, rows, which, sample, seed=0, steps=None, samples=samples)
        total.add(np.zeros(len(which), dtype=np.int64), predicted, sample.action, sample.weight > 0)
    size = chunk_error.scale(std)
    columns = total.columns() / size
    return Validation(
        error=float(chunk_error.mean(columns)),
        groups={name: float(value) for name, value in chunk_error.by_group(columns, rows.spec).items()},
        steps=[float(value) for value in chunk_error.mean(total.steps() / size)],
    )
