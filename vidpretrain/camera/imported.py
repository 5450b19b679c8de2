"""Another tool's trajectory on the frames of a clip, checked against what the background did.

Which file: `trajectory` of the video's sidecar, else the configuration's file, or the entry of its folder that has the
video's name. When: numbers of frames (from 0 if there is a 0, else from 1), times of the video, or a clock of the
tool's own that starts with the video; a shift that the background's turns show is taken up.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import geometry, timebase
from vidpretrain.camera.background import Background
from vidpretrain.camera.colmap_files import is_colmap, read_colmap
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.pose_files import read_arkit, read_tum
from vidpretrain.camera.trajectory import Trajectory, check_speed
from vidpretrain.errors import InputError
from vidpretrain.types import Camera

_SIGMA_RAD, _SIGMA_M = 0.004, 0.01  # of tracking systems over a few seconds
_LAG_S, _BETTER = 1.0, 0.5  # largest shift that is looked for; part of the misfit that has to be left
_TURNED_RAD = 0.05  # least turn of the background by which a trajectory is judged
_WRONG = 0.5  # of that turn: a trajectory that errs by more is not this video's
_APART_S = 0.3
_UPS = {
    f"{sign}{axis}": (1.0 if not sign else -1.0) * np.eye(3)[i] for i, axis in enumerate("xyz") for sign in ("", "-")
}


def find_trajectory(video: Path, facts: Mapping[str, Any], config: CameraConfig) -> Path | None:
    """Where the trajectory of a video is, if there is one.

    Raises:
        InputError: one is named and is not there.
    """
    named = facts.get("trajectory") or config.trajectory
    if config.method in ("static", "features", "sfm") or named is None:
        return None
    path = Path(str(named))
    if not path.exists():
        raise InputError("no such trajectory", asked=path, next_command=f"ls {path.parent}")
    if path.is_dir() and not is_colmap(path):
        found = sorted(p for p in path.iterdir() if p.stem == video.stem)
        if not found and config.method == "imported":
            near = ", ".join(sorted(p.name for p in path.iterdir())[:10])
            raise InputError("no trajectory of this video's name", asked=path / video.stem, found=near)
        return found[0] if found else None
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the model's files in a folder."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def read_trajectory(path: Path, facts: Mapping[str, Any], config: CameraConfig) -> Trajectory:
    """The trajectory in a file or folder, with the unit and the vertical that sidecar or configuration give.

    Raises:
        InputError: it cannot be read, or its poses cannot be a camera's.
    """
    kind = facts.get("trajectory_format") or config.trajectory_format
    if kind == "auto":
        kind = "colmap" if path.is_dir() else "arkit" if path.suffix.lower() == ".json" else "tum"
    readers = {"colmap": read_colmap, "tum": read_tum, "arkit": read_arkit}
    if kind not in readers:
        raise InputError("no such format of trajectories", asked=kind, valid=", ".join(readers))
    found = readers[kind](path)
    unit = facts.get("trajectory_unit_m", config.trajectory_unit_m)
    up = str(facts.get("trajectory_up", config.trajectory_up))
    if up not in (*_UPS, "auto", "unknown"):
        raise InputError("no such direction", asked=up, valid=", ".join((*_UPS, "unknown")))
    if unit is not None:
        found = dataclasses.replace(found, unit_m=float(unit))
    if up != "auto":
        found = dataclasses.replace(found, up_world=None if up == "unknown" else _UPS[up])
    return found


def on_frames(found: Trajectory, seen: Background, shift_s: float, path: object) -> tuple[np.ndarray, np.ndarray]:
    """(T_first_camera (t 7) in metres or the tool's units, frames (t) that have a pose near by).

    Raises:
        InputError: the trajectory does not cover the clip, or is not in its unit.
    """
    poses = upright(found, seen.rotation_deg)
    place = poses[:, 4:] * (1.0 if found.unit_m is None else found.unit_m)
    poses = geometry.pose(poses[:, :4], place)
    if found.number is not None:
        first = 0 if (found.number == 0).any() else 1
        when = found.number - first
        inside = (when >= 0) & (when < seen.frame_count)
        poses, when = poses[inside], when[inside].astype(np.int64)
        at = seen.index.astype(np.int64)
    else:
        assert found.time_s is not None
        end_s = float(seen.time_ns[-1]) / timebase.NS_PER_S
        own = found.time_s
        if own[0] > end_s + _LAG_S or own[-1] < 0:  # a clock of its own
            own = own - own[0]
        when, at = np.round((own + shift_s) * timebase.NS_PER_S).astype(np.int64), seen.time_ns.astype(np.int64)
    if len(when) < 2 or when[-1] <= at[0] or when[0] >= at[-1]:
        raise InputError(
            "the trajectory does not cover the clip",
            asked=path,
            found=f"{len(when)} poses",
            valid="trajectory_offset_s moves it in time",
        )
    if found.unit_m is not None and found.time_s is not None:
        check_speed(place, found.time_s, path)
    filled = timebase.interpolate_pose(when, poses, at)
    step = max(float(np.median(np.diff(when))), float(np.median(np.diff(at))) if len(at) > 1 else 0.0)
    near = when[timebase.nearest_index(when, at)]
    known = np.abs(near - at) <= 2.0 * step
    return geometry.compose(geometry.inverse(filled[0]), filled), known


def upright(found: Trajectory, rotation_deg: int) -> np.ndarray:
    """Poses whose camera has the axes of the upright picture: turned against the sensor's as the picture was."""
    if not found.sensor_axes or rotation_deg % 360 == 0:
        return found.T_world_camera
    turn = geometry.quat_exp(np.array([0.0, 0.0, np.radians(rotation_deg)]))
    return geometry.compose(found.T_world_camera, geometry.pose(turn, np.zeros(3)))


def upright_lens(camera: Camera, rotation_deg: int) -> Camera:
    """The lens of the picture that was turned upright (counter-clockwise by 0, 90, 180 or 270 degrees)."""
    K, (width, height) = camera.K, (camera.width_px, camera.height_px)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    for _ in range(rotation_deg // 90 % 4):
        fx, fy, cx, cy, width, height = fy, fx, cy, width - cx, height, width
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    return dataclasses.replace(camera, K=K, width_px=width, height_px=height)


def scaled_lens(camera: Camera, width_px: int, height_px: int) -> Camera | None:
    """The lens for a picture of another size, None where that has another shape."""
    if abs(camera.width_px / camera.height_px - width_px / height_px) > 0.02:
        return None
    factor = np.array([width_px / camera.width_px, height_px / camera.height_px, 1.0])
    return dataclasses.replace(camera, K=camera.K * factor[:, None], width_px=width_px, height_px=height_px)


def best_shift_s(found: Trajectory, seen: Background, q_seen: np.ndarray, solved: np.ndarray, shift_s: float) -> float:
    """The shift of the trajectory's times, up to a second from `shift_s`, with which it turns as the background does.

    Another shift than the one given has to fit far better.
    """
    step_s = float(np.median(np.diff(seen.time_ns))) / timebase.NS_PER_S
    most = round(_LAG_S / step_s)
    scores = {}
    for lag in range(-most, most + 1):
        try:
            poses, known = on_frames(found, seen, shift_s + lag * step_s, found.source)
        except InputError:  # no longer over the clip
            continue
        ok = solved & known
        if ok.sum() > 0.8 * solved.sum():
            scores[lag] = misfit(poses, q_seen, ok, step_s)[0]
    if not scores:
        return shift_s
    best = min(scores, key=lambda lag: scores[lag])
    better = scores[best] < _BETTER * scores.get(0, np.inf)
    return shift_s + best * step_s if better else shift_s


def misfit(T_first_camera: np.ndarray, q_seen: np.ndarray, solved: np.ndarray, step_s: float) -> tuple[float, float]:
    """(median angle between the trajectory's and the background's turns over .3 s, median of the background's), rad."""
    n = max(1, round(_APART_S / step_s))
    ok = solved[n:] & solved[:-n]
    if ok.sum() < 4:
        return 0.0, 0.0
    ours, theirs = (
        geometry.quat_mul(geometry.quat_inverse(q[:-n]), q[n:])[ok] for q in (T_first_camera[:, :4], q_seen)
    )
    size = geometry.angle_between(np.array([1.0, 0, 0, 0]), theirs)
    most = size >= np.median(size)
    return float(np.median(geometry.angle_between(ours, theirs)[most])), float(np.median(size[most]))


SIGMA = (_SIGMA_RAD, _SIGMA_M)
JUDGED_RAD, WRONG = _TURNED_RAD, _WRONG
