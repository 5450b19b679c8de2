"""The speed limit: multipliers while solving, an exact projection at the end."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vidpretrain.solve.arrays import Variables

_AIM = 0.995  # of the limit, so that the projection has next to nothing to do
_ROUNDING = 1e-9


class Speed(NamedTuple):
    """State of the augmented Lagrangian; stiffness 0 switches it off."""

    aim: np.ndarray  # (v)
    stiffness: np.ndarray  # (v)
    multiplier: np.ndarray  # (t v)


def off(frames: int, var: Variables) -> Speed:
    """No limit yet."""
    width = len(var.lower)
    return Speed(aim=_AIM * var.step, stiffness=np.zeros(width), multiplier=np.zeros((frames, width)))


def excess(var: Variables, Q: np.ndarray) -> np.ndarray:
    """How far each variable's change is beyond the limit (t-1, v); negative inside it."""
    out = np.full((max(0, len(Q) - 1), len(var.lower)), -np.inf)
    out[:, var.base :] = np.abs(np.diff(Q[:, var.joint], axis=0)) - var.step[var.base :]
    return out


def tightened(speed: Speed, var: Variables, Q: np.ndarray, curvature: np.ndarray) -> Speed:
    """The next multipliers; `curvature` (v) sets the stiffness of variables that are beyond their limit at first."""
    slack = np.where(np.isfinite(var.step), (1.0 - _AIM) * np.nan_to_num(var.step, posinf=0.0), 0.0)
    over = excess(var, Q) + slack
    stiffness = np.where((speed.stiffness == 0) & (over > 0).any(axis=0), curvature, speed.stiffness)
    multiplier = speed.multiplier.copy()
    pushed = stiffness > 0
    multiplier[:-1, pushed] = np.maximum(0.0, multiplier[:-1, pushed] + stiffness[pushed] * over[:, pushed])
    return Speed(aim=speed.aim, stiffness=stiffness, multiplier=multiplier)


def slowed(path: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The path (t v) nearest to the given one, in its largest change, that moves at most `step` (v) per frame.

    It is the mean of the largest slower path below and the smallest above (McShane 1934), so it stays between the
    given path's extremes, and therefore inside any limits that the given path respects.
    """
    step = step * (1.0 - _ROUNDING)
    if np.isinf(step).all():
        return path.copy()
    below, above = path.copy(), path.copy()
    for t in range(1, len(path)):
        below[t] = np.minimum(below[t], below[t - 1] + step)
        above[t] = np.maximum(above[t], above[t - 1] - step)
    for t in range(len(path) - 2, -1, -1):
        below[t] = np.minimum(below[t], below[t + 1] + step)
        above[t] = np.maximum(above[t], above[t + 1] - step)
    return np.clip(0.5 * (below + above), path.min(axis=0), path.max(axis=0))
