"""Trajectories as TUM's text (time tx ty tz qx qy qz qw) and as ARKit frames in JSON.

TUM: the RGB-D benchmark's format, what most SLAM systems write. ARKit: a list of frames, or an object with `frames`,
each with `timestamp` (or time, time_s, t), `transform` (4 by 4, or 16 numbers as simd keeps them: by columns) and,
anywhere, `intrinsics` (3 by 3, or 9 numbers by columns): developer.apple.com/documentation/arkit/arcamera. ARKit's
world is in metres with y up; its camera looks along -z with y up in the sensor's landscape axes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import geometry
from vidpretrain.camera.trajectory import Trajectory, pose_of_matrix
from vidpretrain.errors import InputError
from vidpretrain.types import Camera

_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # from y up, z back to y down, z forward
_TIMES = ("timestamp", "time", "time_s", "t")
_TRANSFORMS = ("transform", "cameraPoseARFrame", "camera_transform", "T_world_camera")


def read_tum(path: Path) -> Trajectory:
    """Poses with the tool's clock; the vertical is not known, the unit is the metre.

    Raises:
        InputError: lines are not eight numbers, or times do not increase.
    """
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        rows = np.array([[float(v) for v in line.replace(",", " ").split()[:8]] for line in lines])
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"not a trajectory: {error}", asked=path, valid="time tx ty tz qx qy qz qw") from None
    if rows.ndim != 2 or rows.shape[1:] != (8,) or len(rows) < 2:
        raise InputError("not a trajectory", asked=path, valid="two lines or more: time tx ty tz qx qy qz qw")
    if (np.diff(rows[:, 0]) <= 0).any():
        raise InputError("times of the trajectory do not increase", asked=path)
    q = geometry.wxyz_from_xyzw(rows[:, 4:])
    if (np.abs(np.linalg.norm(q, axis=1) - 1) > 0.02).any():
        raise InputError("a quaternion is not of length 1", asked=path, valid="time tx ty tz qx qy qz qw")
    poses = geometry.pose(geometry.normalize(q), rows[:, 1:4])
    return Trajectory(T_world_camera=poses, time_s=rows[:, 0], source=f"TUM trajectory {path.name}")


def read_arkit(path: Path) -> Trajectory:
    """Poses in metres with y up, in the sensor's axes.

    Raises:
        InputError: no frames, a frame without time or transform, or matrices that are no right-handed poses.
    """
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"not valid JSON: {error}", asked=path) from None
    frames = data.get("frames") if isinstance(data, dict) else data
    if not isinstance(frames, list) or len(frames) < 2 or not all(isinstance(f, dict) for f in frames):
        raise InputError("no list of frames", asked=path, valid="frames: [{timestamp, transform, intrinsics}, ...]")
    times = np.array([_number(_first(frame, _TIMES, path), path) for frame in frames])
    if (np.diff(times) <= 0).any():
        raise InputError("times of the frames do not increase", asked=path)
    matrices = np.stack([_matrix(_first(frame, _TRANSFORMS, path), path) for frame in frames])
    intrinsics = frames[0].get("intrinsics", data.get("intrinsics") if isinstance(data, dict) else None)
    return Trajectory(
        T_world_camera=pose_of_matrix(matrices @ _FLIP, path),
        time_s=times,
        up_world=np.array([0.0, 1.0, 0.0]),
        camera=_lens(intrinsics, frames[0], data, path),
        sensor_axes=True,
        source=f"ARKit frames {path.name}",
    )


def _first(frame: dict[str, Any], keys: tuple[str, ...], path: Path) -> Any:
    for key in keys:
        if key in frame:
            return frame[key]
    raise InputError("a frame lacks a key", asked=path, found=", ".join(frame), valid=" or ".join(keys))


def _number(value: Any, path: Path) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError("a time is no number", asked=path, found=value) from None


def _matrix(value: Any, path: Path) -> np.ndarray:
    """(4 4) with the shift in the last column, whether it came by rows or by columns."""
    try:
        M = np.array(value, dtype=float).reshape(4, 4)
    except (TypeError, ValueError):
        raise InputError("a transform has 4 by 4 numbers", asked=path) from None
    below, beside = np.abs(M[3, :3]).max(), np.abs(M[:3, 3]).max()
    return M.T if below > 1e-9 and beside < 1e-9 else M


def _lens(value: Any, frame: dict[str, Any], data: Any, path: Path) -> Camera | None:
    if value is None:
        return None
    try:
        K = np.array(value, dtype=float).reshape(3, 3)
    except (TypeError, ValueError):
        raise InputError("intrinsics have 3 by 3 numbers", asked=path) from None
    K = K.T if np.abs(K[2, :2]).max() > 1e-9 and np.abs(K[:2, 2]).max() < 1e-9 else K
    size = frame.get("imageResolution", data.get("imageResolution") if isinstance(data, dict) else None)
    width, height = (int(v) for v in size) if size is not None else (round(2 * K[0, 2]), round(2 * K[1, 2]))
    return Camera(
        K=K, distortion=np.zeros(5), width_px=width, height_px=height, intrinsics_from="given", focal_sigma=0.01
    )
