"""What can be done to the human side before training, as functions from both sides to a new human side.

Each is the data-side half of a bridge of the recipe: time (speed), scale (size of the motion per group), trust (label
uncertainty), feasible (what the robot cannot follow), view (field of view of the picture), colour.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from vidpretrain.gap.config import Bridge, GapConfig
from vidpretrain.gap.side import Side, at_speed, shared_groups
from vidpretrain.transforms import POSES

Array = np.ndarray


def cross(human: Side, robot: Side, bridge: Bridge, config: GapConfig) -> Side:
    """The human side after a bridge; nothing is changed where the bridge has nothing to work on."""
    return _BRIDGES[bridge](human, robot, config)


def moving(side: Side, horizon: int) -> tuple[str, Array | None]:
    """("joints", chunks (n h d) of all joint groups at the side's speed); of a side that has no joints ("wrists", the
    wrists' ways (n h 3w)), None for these where it has neither."""
    joints = [name for name, group in side.groups.items() if group.quantity == "joint"]
    if joints:
        return "joints", np.concatenate([at_speed(side, name, horizon) for name in joints], axis=2)
    poses = [name for name, group in side.groups.items() if group.quantity in ("wrist_pose", "camera_wrist")]
    ways = [at_speed(side, name, horizon)[..., :3] for name in poses]
    return "wrists", np.concatenate(ways, axis=2) if ways else None


def joint_speed(side: Side, horizon: int) -> float:
    """How fast chunks leave their start: root mean square of the last step of what is `moving` per second, median over
    rows.

    Rows that rest (below a hundredth of the 95th percentile) do not count: how fast one moves, not how often.
    """
    chunk = moving(side, horizon)[1]
    if chunk is None:
        return float("nan")
    last = chunk[:, -1]
    some = np.isfinite(last).any(axis=1)
    size = np.sqrt(np.nanmean(last[some] ** 2, axis=1))
    if not len(size):
        return float("nan")
    fast = size[size > 0.01 * np.quantile(size, 0.95)]
    return float(np.median(fast)) * side.rate_hz / horizon if len(fast) else 0.0


def _time(human: Side, robot: Side, config: GapConfig) -> Side:
    """Chunk time scaled so that joint speeds have the robot's median; at most twice as fast, which is what was read."""
    ratio = joint_speed(robot, config.horizon) / joint_speed(human, config.horizon)
    if not np.isfinite(ratio) or ratio <= 0:
        return human
    return dataclasses.replace(human, speed=float(np.clip(ratio, 0.05, 2.0)))


def _scale(human: Side, robot: Side, config: GapConfig) -> Side:
    """Each column's spread over the chunk's last step brought to the robot's (q01 to q99, as the normaliser does)."""
    chunks = dict(human.chunks)
    for name in shared_groups(human, robot):
        if human.groups[name].quantity in POSES:
            continue  # columns of a rotation have no spread of their own
        span_human = _span(at_speed(human, name, config.horizon))
        span_robot = _span(at_speed(robot, name, config.horizon))
        factor = np.where(span_human > 1e-6, span_robot / np.maximum(span_human, 1e-6), 1.0)
        chunks[name] = human.chunks[name] * factor
    return dataclasses.replace(human, chunks=chunks)


def _span(chunk: Array) -> Array:
    flat = chunk.reshape(-1, chunk.shape[-1])
    used = np.where(np.isfinite(flat).any(axis=0), flat, 0.0)
    return np.nanquantile(used, 0.99, axis=0) - np.nanquantile(used, 0.01, axis=0)


def _trust(human: Side, robot: Side, config: GapConfig) -> Side:
    """Rows drawn in proportion to their labels' weight, as the loss counts them (stratified resampling)."""
    del robot
    total = human.weight.sum()
    if not total > 0:
        return human
    rng = np.random.default_rng((config.seed, 13))
    at = (np.arange(len(human)) + rng.random(len(human))) / len(human)
    return human.take(np.searchsorted(np.cumsum(human.weight) / total, at).clip(0, len(human) - 1))


def _feasible(human: Side, robot: Side, config: GapConfig) -> Side:
    """Without the episodes that the robot cannot follow."""
    del robot, config
    if human.infeasible is None or human.infeasible.all():
        return human
    return human.take(np.flatnonzero(~human.infeasible))


def _view(human: Side, robot: Side, config: GapConfig) -> Side:
    """Pictures cropped (never widened) to the robot's median field of view, row by row, and scaled back."""
    import cv2

    del config
    wanted = float(np.nanmedian(robot.fov_rad)) if np.isfinite(robot.fov_rad).any() else float("nan")
    if not np.isfinite(wanted):
        return human
    images, fov = np.array(human.images), np.array(human.fov_rad)
    side = images.shape[1]
    for i, angle in enumerate(human.fov_rad):
        if not angle > wanted:
            continue
        keep = max(8, round(side * np.tan(wanted / 2) / np.tan(angle / 2)))
        first = (side - keep) // 2
        cut = images[i, first : first + keep, first : first + keep]
        images[i] = cv2.resize(cut, (side, side), interpolation=cv2.INTER_LINEAR)
        fov[i] = wanted
    return dataclasses.replace(human, images=images, fov_rad=fov)


def _colour(human: Side, robot: Side, config: GapConfig) -> Side:
    """Each picture's colours moved to the robot set's mean and spread in Lab (Reinhard et al. 2001)."""
    import cv2

    del config
    sample = robot.images[np.unique(np.linspace(0, len(robot) - 1, min(200, len(robot))).astype(int))]
    lab = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2LAB) for image in sample]).reshape(-1, 3).astype(np.float32)
    mean, std = lab.mean(axis=0), lab.std(axis=0)
    images = np.empty_like(human.images)
    for i, image in enumerate(human.images):
        own = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
        flat = own.reshape(-1, 3)
        moved = (own - flat.mean(axis=0)) * (std / np.maximum(flat.std(axis=0), 1.0)) + mean
        images[i] = cv2.cvtColor(np.clip(np.rint(moved), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return dataclasses.replace(human, images=images)


_BRIDGES: dict[Bridge, Callable[[Side, Side, GapConfig], Side]] = {
    "time": _time,
    "scale": _scale,
    "trust": _trust,
    "feasible": _feasible,
    "view": _view,
    "colour": _colour,
}
