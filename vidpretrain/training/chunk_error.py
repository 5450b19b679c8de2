"""The error of action chunks, defined once for validation and evaluation. NumPy only.

Native error of a column: mean absolute error over the labelled entries, in the column's unit. Normalised error: the
same divided by the standard deviation of that column's absolute actions over the training rows (at least MIN_STD);
a group's figure is the mean over its columns, the overall figure the mean over all columns. 1.0 is the size of the
motion itself; 0 is perfect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain.types import ActionSpec

Array = np.ndarray
MIN_STD = 0.01  # rad, m or fraction: an idle column does not blow the figure up


@dataclass(frozen=True)
class ErrorSum:
    """Sums of absolute errors and counts of labels per episode, horizon step and column."""

    total: Float64[Array, "e h d"]
    count: Float64[Array, "e h d"]

    @classmethod
    def zero(cls, episodes: int, horizon: int, width: int) -> ErrorSum:
        """Nothing seen yet."""
        return cls(np.zeros((episodes, horizon, width)), np.zeros((episodes, horizon, width)))

    def add(self, episode: Array, predicted: Array, action: Array, labelled: Array) -> None:
        """Count chunks (b h d) of the episodes at positions `episode` (b) where `labelled`."""
        error = np.where(labelled, np.abs(predicted.astype(float) - np.where(labelled, action, 0.0)), 0.0)
        np.add.at(self.total, episode, error)
        np.add.at(self.count, episode, labelled.astype(float))

    def columns(self, episodes: Array | None = None) -> Float64[Array, " d"]:
        """Native mean absolute error per column over some episodes (with repeats) or all; NaN without labels."""
        return _ratio(self.total, self.count, episodes, (0, 1))

    def steps(self) -> Float64[Array, "h d"]:
        """Native mean absolute error per horizon step and column."""
        return _ratio(self.total, self.count, None, (0,))


def _ratio(total: Array, count: Array, episodes: Array | None, axes: tuple[int, ...]) -> Array:
    if episodes is not None:
        total, count = total[episodes], count[episodes]
    total, count = total.sum(axes), count.sum(axes)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def scale(std: Float64[Array, " d"]) -> Float64[Array, " d"]:
    """What errors are divided by: the training actions' standard deviation, at least MIN_STD."""
    return np.maximum(np.nan_to_num(std), MIN_STD)


def mean(value: Float64[Array, "*b d"], columns: slice | None = None) -> Float64[Array, "*b"]:
    """Mean over columns that have a value; NaN where none has."""
    value = np.asarray(value)[..., columns or slice(None)]
    seen = np.isfinite(value)
    return np.where(seen.any(-1), np.where(seen, value, 0).sum(-1) / np.maximum(seen.sum(-1), 1), np.nan)


def by_group(columns: Float64[Array, "*b d"], spec: ActionSpec) -> dict[str, Array]:
    """Mean over each group's columns."""
    return {name: mean(columns, part) for name, part in spec.slices().items()}
