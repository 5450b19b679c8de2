"""Rows of a training cache as samples: chunks, histories and masks, all NumPy and gathered from memory maps.

Letters: n rows, b rows of a batch, h horizon, t states of history, d columns of the embodiment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from vidpretrain.dataset import TrainingCache
from vidpretrain.errors import DatasetError
from vidpretrain.model import ModelConfig
from vidpretrain.training.views import Views, open_views
from vidpretrain.transforms import Paired, absolute_chunk, relative_chunk, turn_poses, view_turn
from vidpretrain.types import ActionSpec

Array = np.ndarray
MAX_FIT_ROWS = 20_000  # rows that the quantiles are taken from; more change them in the third digit


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some rows of one embodiment, absolute values; what the masks hide is NaN or zero and never used."""

    images: Array  # (b p q 3) uint8, (b v p q 3) of several views, or kept features (`views`)
    state: Float32[Array, "b d"]
    state_known: Bool[Array, "b d"]
    history: Float32[Array, "b t d"]
    history_known: Bool[Array, "b t d"]
    action: Float32[Array, "b h d"]
    weight: Float32[Array, "b h d"]
    fov: Float32[Array, " b"]
    instruction: Int64[Array, " b"]


@dataclass(frozen=True)
class Rows:
    """The rows of a cache that a run uses: `index` are chunk starts, `first` and `end` bound their episodes.

    `speed` is how fast chunks and histories run through the recording: at .5 a chunk of 16 steps is what happened in
    the 8 rows after its start, so that motion takes twice as long. `donor` names for each row the row (a place in
    `index`) whose motion it is given instead of its own: the control of shuffled labels.
    """

    cache: TrainingCache
    spec: ActionSpec
    index: Int64[Array, " n"]
    first: Int64[Array, " n"]
    end: Int64[Array, " n"]
    history: tuple[int, ...]
    max_weight: float = 4.0
    speed: float = 1.0
    donor: Int64[Array, " n"] | None = None
    views: Views | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def episodes(self) -> list[int]:
        """Episodes that rows come from, in order."""
        return np.unique(np.asarray(self.cache.episode)[self.index]).tolist()

    def chunk(self, which: Int64[Array, " b"]) -> tuple[Array, Array]:
        """(absolute actions (b h d), weight (b h d)); after the episode's end the weight is zero."""
        if self.donor is None:
            return self._chunk(which)
        return self._donated(which)

    def _donated(self, which: Array) -> tuple[Array, Array]:
        """The donors' chunks as motion from these rows' own states."""
        assert self.donor is not None
        lender = self.donor[which]
        action, weight = self._chunk(lender)
        lent, own = self.state(lender)[0], self.state(which)[0]
        moved = absolute_chunk(own, relative_chunk(lent, action, self.spec), self.spec).astype(np.float32)
        usable = (weight > 0) & np.isfinite(moved)
        return np.where(usable, moved, action), np.where(usable, weight, 0.0).astype(np.float32)

    def _chunk(self, which: Array) -> tuple[Array, Array]:
        relative = np.array([g.representation != "absolute" for g in self.spec.groups for _ in g.names])
        if self.speed == 1.0:
            action, weight = self._action(which, np.arange(self.spec.horizon))
        else:
            action, weight = self._between(which, (np.arange(self.spec.horizon) + 1) * self.speed - 1.0)
        usable = np.isfinite(action) & (weight > 0) & (self.state(which)[1][:, None] | ~relative)
        return action, np.where(usable, weight, 0.0).astype(np.float32)

    def _between(self, which: Array, at: Array) -> tuple[Array, Array]:
        """Actions at `at` (h) rows after the starts, between rows; -1 is the state at the start. Poses are interpolated
        in their columns and made rotations again where they are used."""
        low = np.floor(at).astype(np.int64)
        share = (at - low).astype(np.float32)[None, :, None]
        first, weight = self._action(which, np.maximum(low, 0))
        second, above = self._action(which, np.maximum(low + 1, 0))
        still = np.broadcast_to(self.state(which)[0][:, None], first.shape)
        first = np.where((low < 0)[None, :, None], still, first)
        inside = share == 0
        action = np.where(inside, first, (1 - share) * first + share * second)
        return action, np.where(inside, weight, np.minimum(weight, above))

    def _action(self, which: Array, offset: Array) -> tuple[Array, Array]:
        """(absolute actions, weights) of the rows `offset` (h) after the starts; weight 0 where there is none."""
        row = self.index[which][:, None] + offset
        inside = row < self.end[which][:, None]
        row = np.minimum(row, self.end[which][:, None] - 1)
        action = np.asarray(self.cache.action[row], dtype=np.float32)
        weight = np.minimum(np.asarray(self.cache.weight[row], dtype=np.float32), self.max_weight)
        usable = inside[..., None] & np.asarray(self.cache.valid[row]) & np.isfinite(action) & np.isfinite(weight)
        return action, np.where(usable, weight, 0.0).astype(np.float32)

    def state(self, which: Int64[Array, " b"]) -> tuple[Array, Array]:
        """(absolute state (b d), known (b d)) at the chunks' starts."""
        return self._state(self.index[which])

    def past(self, which: Int64[Array, " b"]) -> tuple[Array, Array]:
        """(absolute states (b t d), known) at the history's offsets; before the episode's start its first row.

        At another speed than 1 the offsets are scaled with it, to the nearest row and at least one.
        """
        back = np.array(self.history, dtype=np.int64)
        if self.speed != 1.0:
            back = np.minimum(np.rint(back * self.speed).astype(np.int64), -1)
        row = self.index[which][:, None] + back
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
            images=np.asarray(self.cache.images[row]) if self.views is None else self.views.of(row, self.first[which]),
            state=state,
            state_known=state_known,
            history=past,
            history_known=past_known & state_known[:, None],
            action=action,
            weight=weight,
            fov=np.asarray(self.cache.fov[row], dtype=np.float32),
            instruction=self._told[np.asarray(self.cache.episode)[row]],
        )

    @cached_property
    def instructions(self) -> list[str]:
        """The distinct instructions of the cache, in order of first appearance."""
        return list(dict.fromkeys(str(e.get("instruction", "")) for e in self.cache.episodes))

    @cached_property
    def _told(self) -> Int64[Array, " e"]:
        """For every episode its place in `instructions`."""
        place = {text: k for k, text in enumerate(self.instructions)}
        return np.array([place[str(e.get("instruction", ""))] for e in self.cache.episodes], dtype=np.int64)

    def fit(self, clip: float | None, turn_px: int = 0) -> Paired:
        """Layout and normaliser from these rows, see `values`."""
        return Paired.fit(self.spec, *self.values(turn_px), clip)

    def values(self, turn_px: int = 0) -> tuple[Array, Array, Array, Array]:
        """(state, chunk, known, known) of these rows, evenly thinned to 20,000, for a normaliser.

        `turn_px`: as cameras see them that are turned by up to so many pixels, which is what training will show.
        """
        which = np.unique(np.linspace(0, len(self) - 1, min(len(self), MAX_FIT_ROWS)).astype(np.int64))
        state, known = self.state(which)
        action, weight = self.chunk(which)
        if turn_px:
            shift = np.random.default_rng(0).integers(-turn_px, turn_px + 1, (len(which), 2))
            fov = np.asarray(self.cache.fov[self.index[which]], dtype=float)
            R_new_old = view_turn(shift, fov, self.cache.images.shape[1])
            state, action = (turn_poses(value, R_new_old, self.spec) for value in (state, action))
        return state, action, known, weight > 0

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
    speed: float = 1.0,
    labels: Literal["own", "shuffled", "phase"] = "own",
    seed: int = 0,
    sizes: ModelConfig | None = None,
) -> Rows:
    """Rows of a cache whose chunk has a valid first action or later one, of some or all episodes.

    Args:
        episodes: places in the cache of the episodes to use (None: all), `without` those to leave out.
        horizon: chunk length instead of the spec's.
        representation: per quantity, "relative" or "absolute" instead of the spec's.
        speed: see `Rows`. labels: whose motion rows are given: their own, that of a row drawn from all ("shuffled"), or
            that of another episode at the same share of its length ("phase"); drawn with `seed`.
        sizes: of the policy that is to see the rows, which says what is seen (None: the cache's pictures).

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
    views = None if sizes is None else open_views(opened, sizes)
    rows = Rows(opened, spec, index[some], first[some], end[some], tuple(history), max_weight, speed, views=views)
    return rows if labels == "own" else dataclasses.replace(rows, donor=_donors(rows, labels, seed))


def _donors(rows: Rows, labels: str, seed: int) -> Array:
    """Places of the rows whose motion is lent, never twice the same by accident: a permutation, or the phase's row.

    Raises:
        DatasetError: a single episode has no other one.
    """
    rng = np.random.default_rng((seed, 7))
    if labels == "shuffled":
        return rng.permutation(len(rows)).astype(np.int64)
    starts = np.unique(rows.first)
    if len(starts) < 2:
        raise DatasetError(
            "labels of the same phase come from another episode", asked="labels=phase", found="one episode"
        )
    order = rng.permutation(len(starts))
    lender = dict(zip(starts[order].tolist(), np.roll(starts[order], 1).tolist(), strict=True))
    length = {int(start): int(end - start) for start, end in zip(rows.first, rows.end, strict=True)}
    other = np.array([lender[int(start)] for start in rows.first], dtype=np.int64)
    share = (rows.index - rows.first) / np.maximum([length[int(s)] for s in rows.first], 1)
    wanted = other + np.floor(share * np.array([length[int(s)] for s in other])).astype(np.int64)
    ranked = np.argsort(rows.index, kind="stable")
    at = np.searchsorted(rows.index[ranked], wanted).clip(0, len(rows) - 1)
    return ranked[at].astype(np.int64)


def _spec(cache: TrainingCache, horizon: int | None, representation: dict[str, str]) -> ActionSpec:
    groups = tuple(
        dataclasses.replace(group, representation=representation.get(group.quantity, group.representation))
        for group in cache.spec.groups
    )
    horizon = horizon or cache.spec.horizon
    return dataclasses.replace(cache.spec, embodiment=cache.embodiment, groups=groups, horizon=horizon)
