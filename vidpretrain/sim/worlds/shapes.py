"""Boxes and capsules fitted to the points of a link: primitive geometry draws and collides a hundred times faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.types import Frozen

_TAIL = 0.02  # share of the points that may stand out at either end of an axis


@dataclass(frozen=True, kw_only=True)
class Shape(Frozen):
    """A box (half sizes) or a capsule (radius, half length along z, 0) at `T_body_shape`, in metres."""

    kind: Literal["box", "capsule"]
    T_body_shape: Float64[np.ndarray, " 7"]
    size: Float64[np.ndarray, " 3"]


def fit_shape(points: Float64[np.ndarray, "n 3"], kind: Literal["box", "capsule"]) -> Shape | None:
    """The box or capsule along the main axes of a link's points; None for fewer than four points.

    A long or round link is a capsule of the mean of its two thicknesses; the outermost 2 % of the points along every
    axis are left out, so that a screw head does not thicken the whole link.
    """
    if len(points) < 4:
        return None
    middle = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    axes = axes[::-1]  # the longest axis becomes z
    axes[0] = np.cross(axes[1], axes[2])
    local = (points - middle) @ axes.T
    low, high = np.quantile(local, [_TAIL, 1 - _TAIL], axis=0)
    half = np.maximum(0.5 * (high - low), 1e-3)
    T = geometry.pose(geometry.quat_from_matrix(axes.T), middle + axes.T @ (0.5 * (low + high)))
    if kind == "box":
        return Shape(kind="box", T_body_shape=T, size=half)
    radius = float(0.5 * (half[0] + half[1]))
    return Shape(kind="capsule", T_body_shape=T, size=np.array([radius, max(half[2] - radius, 1e-3), 0.0]))
