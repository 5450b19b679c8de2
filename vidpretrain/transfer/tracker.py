"""What a tracker reads from a film, as a model of noise: level 1 of the benchmark's people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from vidpretrain import geometry
from vidpretrain.transfer.config import PeopleConfig
from vidpretrain.types import ActionSpec

Array = np.ndarray
_LOST_FRAMES = 6  # mean length of a gap


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """T_camera_wrist (t 2 7) and hands (t h) as read; `found` (t 2) is whether a hand was, `factor` the clip's noise
    over the usual one."""

    T_camera_wrist: Float[Array, "t 2 7"]
    hands: Float[Array, "t h"]
    found: Bool[Array, "t 2"]
    factor: float

    def columns(self, spec: ActionSpec) -> tuple[Bool[Array, "t d"], Float32[Array, "t d"]]:
        """(valid, weight) in the spec's columns: weight is 1 / sigma^2, at most 1, for the quietest clips."""
        side = np.concatenate([np.full(g.width, int(g.name.startswith("right"))) for g in spec.groups])
        weight = np.float32(min(1.0, (0.5 / self.factor) ** 2))
        return self.found[:, side], np.full((len(self.found), spec.width), weight, dtype=np.float32)


def track(
    T_camera_wrist: Float[Array, "t 2 7"], hands: Float[Array, "t h"], people: PeopleConfig, rng: np.random.Generator
) -> Tracked:
    """Poses and hands with the noise of `people`, a clip's own size of it, and gaps."""
    count = len(hands)
    factor = float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    T = np.asarray(T_camera_wrist, dtype=float)
    offset = people.wrist_m * rng.normal(size=(2, 3))  # where this person's wrist is on the hand: not noise
    p = T[..., 4:] + geometry.rotate(T[..., :4], np.broadcast_to(offset, T[..., 4:].shape))
    view = geometry.normalize(p)
    across = people.place_m * rng.normal(size=(1, 2, 3))
    along = people.depth_m * rng.normal(size=(1, 2, 1))
    shake = people.jitter_m * _correlated(rng, (count, 2, 3), people.correlation)
    p = p + factor * (across - view * (across * view).sum(-1, keepdims=True) + view * along + shake)
    turn = factor * people.turn_rad * _correlated(rng, (count, 2, 3), people.correlation) / np.sqrt(3)
    q = geometry.quat_mul(T[..., :4], geometry.quat_exp(turn))
    drift = factor * people.hand * _correlated(rng, np.shape(hands), people.correlation)
    return Tracked(
        T_camera_wrist=geometry.pose(q, p),
        hands=np.clip(np.asarray(hands, dtype=float) + drift, 0.0, 1.0),
        found=_found(rng, count, people.lost),
        factor=factor,
    )


def _correlated(rng: np.random.Generator, shape: tuple[int, ...], correlation: float) -> Array:
    """Unit normal numbers along the first axis, each `correlation` of the one before."""
    fresh = rng.normal(size=shape)
    out = np.empty(shape)
    out[0] = fresh[0]
    for k in range(1, shape[0]):
        out[k] = correlation * out[k - 1] + np.sqrt(1 - correlation**2) * fresh[k]
    return out


def _found(rng: np.random.Generator, count: int, lost: float) -> Array:
    """(t 2): a two-state chain whose gaps last `_LOST_FRAMES` on average and make up `lost` of the time."""
    leave = 1.0 / _LOST_FRAMES
    enter = lost * leave / max(1.0 - lost, 1e-9)
    out = np.ones((count, 2), dtype=bool)
    for side in range(2):
        gone = rng.random() < lost
        for k in range(count):
            out[k, side] = not gone
            gone = rng.random() >= leave if gone else rng.random() < enter
    return out
