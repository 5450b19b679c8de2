"""Poses that another tool found for a video: one type for all formats, and the checks that they must pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.types import Camera, Frozen

_SKEW = 0.02  # how far a rotation may be from one
_FAST_M_S = 15.0  # nobody carries a camera faster


@dataclass(frozen=True, kw_only=True)
class Trajectory(Frozen):
    """Poses of a camera (x right, y down, z forward) in a right-handed world of the tool's own.

    Either `time_s` (n) since the video's first frame or the tool's clock, or `number` (n) of the frames tells when.
    `unit_m` is metres per unit (None: unknown), `up_world` (3) points up in that world (None: unknown), `camera` is the
    lens that the tool used. `sensor_axes`: the axes are the sensor's, not those of the picture that was turned upright.
    """

    T_world_camera: Float64[np.ndarray, "n 7"]
    time_s: Float64[np.ndarray, " n"] | None = None
    number: Int64[np.ndarray, " n"] | None = None
    unit_m: float | None = 1.0
    up_world: Float64[np.ndarray, " 3"] | None = None
    camera: Camera | None = None
    sensor_axes: bool = False
    source: str = ""

    def check(self) -> None:
        if (self.time_s is None) == (self.number is None):
            raise ValueError("Trajectory: either times or numbers of frames")


def pose_of_matrix(M: np.ndarray, where: object) -> np.ndarray:
    """Poses (n 7) of matrices (n 4 4).

    Raises:
        InputError: a matrix is no rotation, or mirrors: left-handed axes.
    """
    R = M[:, :3, :3]
    if not np.isfinite(M).all() or np.abs(R @ R.transpose(0, 2, 1) - np.eye(3)).max() > _SKEW:
        raise InputError("a pose's matrix is no rotation and shift", asked=where, valid="rows of an orthonormal matrix")
    if (np.linalg.det(R) < 0).any():
        raise InputError("poses are left-handed", asked=where, valid="right-handed axes: x right, y up, z back (ARKit)")
    return geometry.pose(geometry.quat_from_matrix(R), M[:, :3, 3])


def check_speed(places_m: Float64[np.ndarray, "n 3"], time_s: Float64[np.ndarray, " n"], where: object) -> None:
    """Raise an InputError where the camera moves faster than anybody carries one: the unit is not the metre."""
    if len(places_m) < 3:
        return
    speed = np.linalg.norm(np.diff(places_m, axis=0), axis=1) / np.maximum(np.diff(time_s), 1e-3)
    usual = float(np.median(speed))
    if usual > _FAST_M_S:
        raise InputError(
            f"the camera moves at {usual:.0f} m/s: the trajectory's unit is not the metre",
            asked=where,
            valid="trajectory_unit_m: metres per unit (.001 for millimetres)",
        )
