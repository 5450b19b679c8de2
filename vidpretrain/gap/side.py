"""One side of the comparison: rows of a training cache as pictures, chunks and wrist places.

Letters: n rows, h steps of the chunk, d columns of a group, s pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from vidpretrain.dataset import TrainingCache
from vidpretrain.errors import DatasetError
from vidpretrain.training.rows import open_rows
from vidpretrain.transforms import POSES, relative_chunk
from vidpretrain.types import Group

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Side:
    """Rows of one data set. Chunks are relative to the state at their start and NaN where nobody knows them.

    `wrist_m` are the wrists' places in the robot's base frame (in the head camera's where the cache tells wrists
    there), NaN where unknown. `speed` is a factor: chunk time runs
    `speed` times as fast as recorded (`bridges.time`). `episode` tells rows of the same episode.
    """

    name: str
    images: UInt8[Array, "n s s 3"]
    chunks: dict[str, Float[Array, "n h d"]]
    groups: dict[str, Group]
    weight: Float[Array, " n"]
    episode: Int64[Array, " n"]
    fov_rad: Float[Array, " n"]
    wrist_m: dict[str, Float[Array, "n 3"]]
    rate_hz: float
    infeasible: Bool[Array, " n"] | None = None
    speed: float = 1.0

    def __len__(self) -> int:
        return len(self.episode)

    def take(self, rows: Array) -> Side:
        """The rows with these places (or flags), in their order."""
        return dataclasses.replace(
            self,
            images=self.images[rows],
            chunks={name: chunk[rows] for name, chunk in self.chunks.items()},
            weight=self.weight[rows],
            episode=self.episode[rows],
            fov_rad=self.fov_rad[rows],
            wrist_m={name: place[rows] for name, place in self.wrist_m.items()},
            infeasible=None if self.infeasible is None else self.infeasible[rows],
        )


def read_side(
    name: str,
    cache: TrainingCache,
    rows: int,
    horizon: int,
    infeasible_episodes: frozenset[int] | None = None,
    *,
    episodes: Sequence[int] | None = None,
    labels: Literal["own", "shuffled", "phase"] = "own",
    speed: float = 1.0,
) -> Side:
    """About `rows` rows of a cache, evenly spread over all rows whose whole chunk lies inside its episode.

    Chunks are read to twice the horizon where the episode is long enough, so that a slower side can be sped up later.

    Args:
        infeasible_episodes: numbers (in the data set) of episodes that the robot cannot follow; None: nobody said.
        episodes: places of the episodes that count (None: all). labels, speed: as training reads them (`TrainConfig`),
            so that what a policy's time bridge did is in the side already.

    Raises:
        DatasetError: no episode is as long as the horizon.
    """
    wide: dict[str, str] = {g.quantity: "relative" for g in cache.spec.groups if g.quantity != "camera_wrist"}
    opened = open_rows(cache, horizon=2 * horizon, representation=wide, episodes=episodes, labels=labels, speed=speed)
    fits = np.flatnonzero(opened.index + np.ceil(horizon * speed) <= opened.end)
    if not len(fits):
        raise DatasetError("no episode is as long as a chunk", asked=f"{horizon} rows", found=str(cache.path))
    which = fits[np.unique(np.linspace(0, len(fits) - 1, min(rows, len(fits))).astype(np.int64))]
    state, known = opened.state(which)
    action, weight = opened.chunk(which)
    relative = relative_chunk(
        np.where(known, state, np.nan), np.where(weight > 0, action, np.nan).astype(float), opened.spec
    )
    slices = opened.spec.slices()
    place = np.asarray(cache.episode)[opened.index[which]].astype(np.int64)
    numbers = np.array([episode["index"] for episode in cache.episodes], dtype=np.int64)
    bad = None if infeasible_episodes is None else np.isin(numbers[place], sorted(infeasible_episodes))
    return Side(
        name=name,
        images=np.asarray(cache.images[opened.index[which]]),
        chunks={group.name: relative[..., slices[group.name]] for group in opened.spec.groups},
        groups={group.name: group for group in opened.spec.groups},
        weight=_mean_weight(weight[:, :horizon]),
        episode=place,
        fov_rad=np.asarray(cache.fov[opened.index[which]], dtype=float),
        wrist_m={
            group.name: np.where(known, state, np.nan)[:, slices[group.name]][:, :3].astype(float)
            for group in opened.spec.groups
            if group.quantity in ("wrist_pose", "camera_wrist")
        },
        rate_hz=opened.spec.rate_hz / speed,
        infeasible=bad,
    )


def _mean_weight(weight: Array) -> Array:
    flat = weight.reshape(len(weight), -1).astype(float)
    used = (flat > 0).sum(axis=1)
    return np.where(used > 0, flat.sum(axis=1) / np.maximum(used, 1), 0.0)


def shared_groups(a: Side, b: Side) -> tuple[str, ...]:
    """Names of the groups that both sides fill with the same columns somewhere, in the first side's order."""

    def filled(side: Side, name: str) -> bool:
        return bool(np.isfinite(side.chunks[name]).any())

    return tuple(
        name
        for name, group in a.groups.items()
        if name in b.groups and b.groups[name].names == group.names and filled(a, name) and filled(b, name)
    )


def at_speed(side: Side, name: str, horizon: int) -> Float[Array, "n h d"]:
    """The chunk of a group at the side's speed: step k is the recorded motion at k x speed steps.

    Poses are interpolated in their columns, which is close enough between neighbouring rows of 30 Hz; beyond what was
    recorded it is NaN.
    """
    chunk = side.chunks[name]
    at = (np.arange(horizon) + 1) * side.speed - 1.0  # step 0 is the first step after the start
    low = np.clip(np.floor(at).astype(int), -1, chunk.shape[1] - 1)
    share = (at - low)[None, :, None]
    start = _still(side.groups[name], chunk)
    padded = np.concatenate([start, chunk, np.full_like(start, np.nan)], axis=1)
    first, second = padded[:, low + 1], padded[:, np.minimum(low + 2, padded.shape[1] - 1)]
    return np.where(share > 0, (1 - share) * first + share * second, first)


def _still(group: Group, chunk: Array) -> Array:
    """A step of no motion: zeros, and the identity's columns for poses."""
    still = np.zeros_like(chunk[:, :1])
    if group.quantity in POSES:
        still[..., 3], still[..., 7] = 1.0, 1.0
    return still
