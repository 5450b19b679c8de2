"""Overlapping chunks of actions: which target a row gets, and what comes too late."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from vidpretrain import geometry
from vidpretrain.control.config import ControlConfig
from vidpretrain.types import ActionSpec

Array = np.ndarray


class ChunkBuffer:
    """Chunks on one grid of rows, oldest first. Rows that have passed are forgotten."""

    def __init__(self, spec: ActionSpec, config: ControlConfig | None = None) -> None:
        self.spec, self.config = spec, config or ControlConfig()
        self._chunks: list[tuple[int, Array]] = []
        self._row = 0

    def clear(self) -> None:
        """Forget everything: a new episode begins at row 0."""
        self._chunks, self._row = [], 0

    @property
    def end(self) -> int:
        """First row that no chunk covers any more."""
        return max((start + len(chunk) for start, chunk in self._chunks), default=self._row)

    def add(self, start: int, chunk: Float[Array, "h d"], now: int | None = None) -> int:
        """Keep a chunk whose first action belongs to row `start`; how many of its rows had already passed at row `now`
        (None: the last row that was asked for).

        Those are dropped, never executed late. A chunk older than the newest one is worth nothing and wholly dropped.
        """
        chunk = np.asarray(chunk, dtype=np.float32)
        self._row = self._row if now is None else max(self._row, now)
        late = int(np.clip(self._row - start, 0, len(chunk)))
        if self._chunks and start < self._chunks[-1][0]:
            return len(chunk)
        if late < len(chunk):
            self._chunks.append((start, chunk))
        return late

    def at(self, row: int) -> Float[Array, " d"] | None:
        """The target of a row, None where no chunk covers it; rows before it are forgotten."""
        self._row = max(self._row, row)
        self._chunks = [(start, chunk) for start, chunk in self._chunks if start + len(chunk) > self._row]
        return self._target(row)

    def ahead(self, row: int) -> Float[Array, "h d"]:
        """Targets of the rows from `row` on, as far as chunks cover them without a hole; rows before are forgotten."""
        targets: list[Array] = []
        target = self.at(row)
        while target is not None:
            targets.append(target)
            target = self._target(row + len(targets))
        return np.stack(targets) if targets else np.empty((0, self.spec.width), np.float32)

    def _target(self, row: int) -> Float[Array, " d"] | None:
        covering = [chunk[row - start] for start, chunk in self._chunks if start <= row < start + len(chunk)]
        if not covering:
            return None
        if self.config.blend == "newest" or len(covering) == 1:
            return covering[-1].copy()
        return self._mean(np.stack(covering))

    def _mean(self, targets: Float[Array, "n d"]) -> Float[Array, " d"]:
        """Weighted mean over the chunks, NaN left out; rotations projected back onto rotations."""
        weight = np.exp(-self.config.decay * np.arange(len(targets)))[:, None] * np.isfinite(targets)
        total = weight.sum(axis=0)
        mean = (weight * np.nan_to_num(targets)).sum(axis=0) / np.where(total > 0, total, 1.0)
        mean = np.where(total > 0, mean, np.nan)
        for group, columns in zip(self.spec.groups, self.spec.slices().values(), strict=True):
            if group.quantity in ("wrist_pose", "base") and np.isfinite(mean[columns]).all():
                mean[columns] = geometry.pose9(geometry.pose_from_pose9(mean[columns]))
        return mean.astype(np.float32)
