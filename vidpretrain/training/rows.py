"""Rows of a training cache as samples: chunks, histories and masks, all NumPy and gathered from memory maps.

Letters: n rows, b rows of a batch, h horizon, t states of history, d columns of the embodiment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from vidpretrain.dataset import TrainingCache
from vidpretrain.errors import DatasetError
from vidpretrain.transforms import Paired
from vidpretrain.types import ActionSpec

Array = np.ndarray
MAX_FIT_ROWS = 20_000  # rows that the quantiles are taken from; more change them in the third digit


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows of one embodiment, absolute values; what the masks hide is NaN or zero and never used."""

    images: UInt8[Array, "b p q 3"]
    state: Float32[Array, "b d"]
    state_known: Bool[Array, "b d"]
    history: Float32[Array, "b t d"]
    history_known: Bool[Array, "b t d"]
    action: Float32[Array, "b h d"]
    weight: Float32[Array, "b h d"]
    fov: Float32[Array, " b"]


@dataclass(frozen=True)
class Rows:
    """The rows of a cache that a run uses: `index` are chunk starts, `first` and `end` bound their episodes."""

    cache: TrainingCache
    spec: ActionSpec
    index: Int64[Array, " n"]
    first: Int64[Array, " n"]
    end: Int64[Array, " n"]
    history: tuple[int, ...]
    max_weight: float = 4.0

    def __len__(self) -> int:
        return len(self.index)

    @property
    def episodes(self) -> list[int]:
        """Episodes that rows come from, in order."""
        return np.unique(np.asarray(self.cache.episode)[self.index]).tolist()

    def chunk(self, which: Int64[Array, " b"]) -> tuple[Array, Array]:
        """(absolute actions (b h d), weight (b h d)); after the episode's end the weight is zero."""
        row = self.index[which][:, None] + np.arange(self.spec.horizon)
        inside = row < self.end[which][:, None]
        row = np.minimum(row, self.end[which][:, None] - 1)
        action = np.asarray(self.cache.action[row], dtype=np.float32)
        weight = np.minimum(np.asarray(self.cache.weight[row], dtype=np.float32), self.max_weight)
        usable = inside[..., None] & np.asarray(self.cache.valid[row]) & np.isfinite(action) & np.isfinite(weight)
        relative = np.array([g.representation == "relative" for g in self.spec.groups for _ in g.names])
        usable &= self.state(which)[1][:, None] | ~relative
        return action, np.where(usable, weight, 0.0).astype(np.float32)

    def state(self, which: Int64[Array, " b"]) -> tuple[Array, Array]:
        """(absolute state (b d), known (b d)) at the chunks' starts."""
        return self._state(self.index[which])

    def past(self, which: Int64[Array, " b"]) -> tuple[Array, Array]:
        """(absolute states (b t d), known) at the history's offsets; before the episode's start its first row."""
        row = self.index[which][:, None] + np.array(self.history, dtype=np.int64)
        return self._state(np.maximum(row, self.first[which][:, None]))

    def _state(self, row: Array) -> tuple[Array, Array]:
        state = np.asarray(self.cache.state[row], dtype=np.float32)
        return state, np.asarray(self.cache.valid[row]) & np.isfinite(state)

    def sample(self, which: Int64[Array, " b"]) -> Sample:
        """The rows `which` (positions in `index`)."""
        state, state_known = self.state(which)
        past, past_known = self.past(which)
        action, weight = self.chunk(which)
        row = self.index[which]
        return Sample(
            images=np.asarray(self.cache.images[row]),
            state=state,
            state_known=state_known,
            history=past,
            history_known=past_known & state_known[:, None],
            action=action,
            weight=weight,
            fov=np.asarray(self.cache.fov[row], dtype=np.float32),
        )

    def fit(self, clip: float | None) -> Paired:
        """Layout and normaliser from these rows (evenly thinned to 20,000)."""
        which = np.unique(np.linspace(0, len(self) - 1, min(len(self), MAX_FIT_ROWS)).astype(np.int64))
        state, known = self.state(which)
        action, weight = self.chunk(which)
        return Paired.fit(self.spec, state, action, known, weight > 0, clip)

    def action_stats(self) -> tuple[Float64[Array, " d"], Float64[Array, " d"]]:
        """(mean, standard deviation) of the absolute valid actions of these rows, per column; NaN where none."""
        row = self.index
        action = np.asarray(self.cache.action[row], dtype=float)
        kept = np.where(np.asarray(self.cache.valid[row]) & np.isfinite(action), action, np.nan)
        seen = np.isfinite(kept).any(axis=0)
        filled = np.where(seen, kept, 0.0)
        mean, std = np.nanmean(filled, axis=0), np.nanstd(filled, axis=0)
        return np.where(seen, mean, np.nan), np.where(seen, std, np.nan)


def open_rows(
    cache: TrainingCache | Path,
    *,
    history: Sequence[int] = (),
    episodes: Iterable[int] | None = None,
    without: Iterable[int] = (),
    horizon: int | None = None,
    representation: dict[str, str] | None = None,
    max_weight: float = 4.0,
) -> Rows:
    """Rows of a cache whose chunk has a valid first action or later one, of some or all episodes.

    Args:
        episodes: places in the cache of the episodes to use (None: all), `without` those to leave out.
        horizon: chunk length instead of the spec's.
        representation: per quantity, "relative" or "absolute" instead of the spec's.

    Raises:
        DatasetError: an episode does not exist, or nothing is left.
    """
    opened = cache if isinstance(cache, TrainingCache) else TrainingCache.open(cache)
    spec = _spec(opened, horizon, representation or {})
    bounds = np.asarray([(e["start"], e["exclusive_end"]) for e in opened.episodes], dtype=np.int64).reshape(-1, 2)
    asked = list(range(len(bounds))) if episodes is None else list(episodes)
    missing = sorted(set(asked) - set(range(len(bounds))))
    if missing:
        raise DatasetError("no such episode in the cache", asked=missing, valid=f"0 to {len(bounds) - 1}")
    used = [i for i in asked if i not in set(without)]
    parts = [(np.arange(start, end), start, end) for start, end in bounds[used].tolist()]
    index = np.concatenate([p[0] for p in parts]) if parts else np.empty(0, np.int64)
    first = np.concatenate([np.full(len(p[0]), p[1]) for p in parts]) if parts else np.empty(0, np.int64)
    end = np.concatenate([np.full(len(p[0]), p[2]) for p in parts]) if parts else np.empty(0, np.int64)
    some = np.asarray(opened.valid[index]).any(axis=1)
    if not some.any():
        raise DatasetError(
            "no row of the cache can be trained on", asked=f"episodes {used}", found=f"{len(index)} rows, none valid"
        )
    return Rows(opened, spec, index[some], first[some], end[some], tuple(history), max_weight)


def _spec(cache: TrainingCache, horizon: int | None, representation: dict[str, str]) -> ActionSpec:
    groups = tuple(
        dataclasses.replace(group, representation=representation.get(group.quantity, group.representation))
        for group in cache.spec.groups
    )
    horizon = horizon or cache.spec.horizon
    return dataclasses.replace(cache.spec, embodiment=cache.embodiment, groups=groups, horizon=horizon)
