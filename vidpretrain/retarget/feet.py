"""Feet that stand: when they do, where, and how the soles and the whole person move so that they stay there.

A foot stands from when its heel or toe is low and slow until either is high or fast. While it stands, the flat sole
has one place, the middle of the stretch's own; it rolls about the edge of its heel or toe without sliding. What a
standing foot drifted is taken off the whole person, since a foot that stands does not drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from vidpretrain import geometry
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.skeletons import SIDES
from vidpretrain.timebase import runs
from vidpretrain.types import Frozen

_FLOOR_S, _FLOOR_SMOOTH_S = 1.2, 0.25
_DRIFT_SMOOTH_S = 0.1
_FLAT_RAD = 0.12  # a heel or toe lifted by less is one that the network placed too high
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Planted(Frozen):
    """Soles (left, right) of a person in the robot's world, the frames in which they stand, and the correction.

    `lift_m` is how high a foot that moves keeps its sole at least. `shift_m` is what to add to everything else of the
    person: pelvis and camera.
    """

    T_world_foot: dict[str, Float64[np.ndarray, "t 7"]]
    stands: Bool[np.ndarray, "t 2"]
    lift_m: Float64[np.ndarray, "t 2"]
    shift_m: Float64[np.ndarray, "t 3"]


def plant(
    T_world_foot: dict[str, Float64[np.ndarray, "t 7"]],
    reach_m: dict[str, tuple[float, float]],
    seen: Bool[np.ndarray, " t"],
    config: RetargetConfig,
) -> Planted:
    """The soles with every standing foot still, flat or rolling, and on the ground z = 0.

    Args:
        T_world_foot: by side, where the person's soles are, scaled to the robot; finite in every frame.
        reach_m: by side, from the middle of the robot's sole to its toe and to its heel.
        seen: frames in which the legs were observed; a foot is not taken to stand in others.
    """
    rate_hz = config.rate_hz
    ends = {side: _ends(T_world_foot[side], reach_m[side]) for side in SIDES}
    floor = np.stack([np.zeros(len(seen)), np.zeros(len(seen)), _lowest(ends, rate_hz)], axis=1)
    motion = {side: _speed_height(ends[side] - floor[:, None], rate_hz) for side in SIDES}
    stands = np.stack([standing(*motion[side], seen, config) for side in SIDES], axis=1)
    height = _floor(ends, stands, rate_hz).clip(-config.max_floor_shift_m, config.max_floor_shift_m)
    shift = -np.concatenate([_drift(ends, stands, rate_hz), height[:, None]], axis=1)
    moved = {side: geometry.pose(T[:, :4], T[:, 4:] + shift) for side, T in T_world_foot.items()}
    out = {side: _still(moved[side], reach_m[side], stands[:, i], rate_hz) for i, side in enumerate(SIDES)}
    lift = [_lift(out[side], reach_m[side], stands[:, i], config) for i, side in enumerate(SIDES)]
    return Planted(T_world_foot=out, stands=stands, lift_m=np.stack(lift, axis=1), shift_m=shift)


def standing(
    speed_m_s: Float64[np.ndarray, " t"],
    height_m: Float64[np.ndarray, " t"],
    seen: Bool[np.ndarray, " t"],
    config: RetargetConfig,
) -> Bool[np.ndarray, " t"]:
    """Frames in which a foot stands: from low and slow until high or fast, for at least `stand_s`."""
    sure = seen & (speed_m_s < config.stand_speed_m_s) & (height_m < config.stand_height_m)
    may = seen & (speed_m_s < 2.0 * config.stand_speed_m_s) & (height_m < 2.0 * config.stand_height_m)
    out = np.zeros(len(sure), dtype=bool)
    for start, end in runs(may):
        if sure[start:end].any():
            out[start:end] = True
    shortest = config.stand_s * config.rate_hz
    for start, end in runs(~out):  # a flicker
        if start > 0 and end < len(out) and end - start < shortest and seen[start:end].all():
            out[start:end] = True
    for start, end in runs(out):
        if end - start < shortest:
            out[start:end] = False
    return out


def _ends(T: np.ndarray, reach_m: tuple[float, float]) -> np.ndarray:
    """(t 2 3) toe and heel."""
    x = geometry.rotate(T[:, :4], np.array([1.0, 0.0, 0.0]))
    return np.stack([T[:, 4:] + reach_m[0] * x, T[:, 4:] - reach_m[1] * x], axis=1)


def _smooth(value: np.ndarray, seconds: float, rate_hz: float) -> np.ndarray:
    return gaussian_filter1d(value, seconds * rate_hz, axis=0, mode="nearest")


def _velocity(ends: np.ndarray, rate_hz: float) -> np.ndarray:
    return np.gradient(_smooth(ends, 0.03, rate_hz), axis=0) * rate_hz if len(ends) > 1 else np.zeros_like(ends)


def _speed_height(ends: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """(speed of the slower of toe and heel, height of the lower), both (t)."""
    speed = np.linalg.norm(_velocity(ends, rate_hz), axis=-1).min(axis=1)
    return speed, ends[..., 2].min(axis=1)


def _lowest(ends: dict[str, np.ndarray], rate_hz: float) -> np.ndarray:
    """(t) height of the lower foot over more than a step or a jump: the floor, roughly."""
    middle = _smooth(np.stack([e[..., 2].mean(axis=1) for e in ends.values()]).min(axis=0), 0.05, rate_hz)
    lowest = minimum_filter1d(middle, 2 * int(0.5 * _FLOOR_S * rate_hz) + 1, mode="nearest")
    return _smooth(lowest, _FLOOR_SMOOTH_S, rate_hz)


def _floor(ends: dict[str, np.ndarray], stands: np.ndarray, rate_hz: float) -> np.ndarray:
    """(t) height of the soles that stand, interpolated while none does; 0 where none ever does."""
    known = np.asarray(stands.any(axis=1))
    if not known.any():
        return np.zeros(len(known))
    middle = np.stack([ends[side][..., 2].mean(axis=1) for side in SIDES], axis=1)
    height = np.where(stands, middle, 0.0).sum(axis=1) / np.maximum(stands.sum(axis=1), 1)
    index = np.arange(len(known))
    return _smooth(np.interp(index, index[known], height[known]), _DRIFT_SMOOTH_S, rate_hz)


def _drift(ends: dict[str, np.ndarray], stands: np.ndarray, rate_hz: float) -> np.ndarray:
    """(t 2) how far the standing feet have slid, 0 in the first frame; the mean of both where both stand."""
    velocity = np.zeros((len(stands), 2))
    for i, side in enumerate(SIDES):
        each = _velocity(ends[side], rate_hz)
        slower = np.argmin(np.linalg.norm(each, axis=-1), axis=1)
        own = each[np.arange(len(each)), slower, :2]
        velocity += np.where(stands[:, i, None], own / np.maximum(stands.sum(axis=1), 1)[:, None], 0.0)
    travelled = np.cumsum(_smooth(velocity, _DRIFT_SMOOTH_S, rate_hz), axis=0) / rate_hz
    return travelled - travelled[:1]


def _still(T: np.ndarray, reach_m: tuple[float, float], stands: np.ndarray, rate_hz: float) -> np.ndarray:
    """The sole's path with each stretch of standing held at its place, and its own way from one to the next.

    The correction of place and turn is carried from the end of a stretch to the start of the next by a smooth step.
    """
    if not stands.any():
        return T
    out = T.copy()
    yaw, pitch = _yaw_pitch(T[:, :4])
    for start, end in runs(stands):
        part = slice(start, end)
        level = float(np.median(pitch[part]))
        tilt = pitch[part] - level
        flat = np.abs(tilt) <= max(_FLAT_RAD, float(np.quantile(np.abs(tilt), 0.3)))
        place = np.median(T[part][flat, 4:6], axis=0)
        way = yaw[part][flat]
        heading = float(np.arctan2(np.median(np.sin(way)), np.median(np.cos(way))))
        rolled = np.sign(tilt) * np.maximum(np.abs(tilt) - _FLAT_RAD, 0.0)
        out[part] = _rolling(place, heading, _smooth(rolled, 0.03, rate_hz), reach_m)
    shift = out[:, 4:] - T[:, 4:]
    turn = geometry.quat_log(geometry.quat_mul(out[:, :4], geometry.quat_inverse(T[:, :4])))
    index = np.arange(len(T))
    edges = runs(stands)
    for start, end in runs(~stands):
        first = start - 1 if start > 0 else edges[0][0]
        last = end if end < len(T) else edges[-1][1] - 1
        share = (index[start:end] - start + 1) / (end - start + 1)
        share = (share * share * (3.0 - 2.0 * share))[:, None]
        for value in (shift, turn):
            value[start:end] = (1.0 - share) * value[first] + share * value[last]
    return geometry.pose(geometry.quat_mul(geometry.quat_exp(turn), T[:, :4]), T[:, 4:] + shift)


def _lift(T: np.ndarray, reach_m: tuple[float, float], stands: np.ndarray, config: RetargetConfig) -> np.ndarray:
    """(t) 0 while a foot stands, `swing_clearance_m` once it moves at three times the speed at which it may stand."""
    speed, _ = _speed_height(_ends(T, reach_m), config.rate_hz)
    share = np.clip(0.5 * (speed / config.stand_speed_m_s - 1.0), 0.0, 1.0)
    return config.swing_clearance_m * np.where(stands, 0.0, share * share * (3.0 - 2.0 * share))


def _yaw_pitch(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the toes point seen from above, and how far they point down, in rad."""
    x = geometry.rotate(q, np.array([1.0, 0.0, 0.0]))
    return np.arctan2(x[:, 1], x[:, 0]), np.arcsin(np.clip(-x[:, 2], -1.0, 1.0))


def _rolling(place: np.ndarray, heading: float, pitch: np.ndarray, reach_m: tuple[float, float]) -> np.ndarray:
    """A sole at one place, turned by `pitch` (positive: heel up) about its toe's or its heel's edge."""
    toe_m, heel_m = reach_m
    q_flat = geometry.quat_exp(heading * _UP)
    ahead = geometry.rotate(q_flat, np.array([1.0, 0.0, 0.0]))
    q = geometry.quat_mul(q_flat, geometry.quat_exp(pitch[:, None] * np.array([0.0, 1.0, 0.0])))
    edge = np.where(pitch > 0.0, toe_m, -heel_m)[:, None]
    at = np.array([place[0], place[1], 0.0]) + edge * ahead
    return geometry.pose(q, at - edge * geometry.rotate(q, np.array([1.0, 0.0, 0.0])))
