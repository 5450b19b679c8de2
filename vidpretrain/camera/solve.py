"""The camera's path of a clip from what its background did, or from another tool's trajectory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from vidpretrain import geometry, timebase
from vidpretrain.camera.background import Background
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.following import follow
from vidpretrain.camera.imported import read_trajectory
from vidpretrain.camera.imported_path import imported_path
from vidpretrain.camera.moving import carried_by, parallax_px
from vidpretrain.camera.path import LEAST_SOLVED, CameraPath, bridge, still_path
from vidpretrain.camera.still import enough, is_static, stillness
from vidpretrain.camera.turning import turning
from vidpretrain.errors import InputError
from vidpretrain.types import Camera, Reason, Reject


def solve_path(
    seen: Background,
    camera: Camera,
    config: CameraConfig,
    view: str = "third",
    facts: Mapping[str, Any] | None = None,
) -> CameraPath | Reject:
    """The path of the camera whose intrinsics are given; its motion is static, rotation, full or unsolved.

    `facts` (see `camera_facts`) may name another tool's trajectory, which then counts, and gravity. With `not_solved:
    reject` a camera that cannot be solved is a Reject (CAMERA_NOT_SOLVED).
    """
    facts = facts or {}
    if seen.trajectory is not None:
        path = imported_path(seen, seen.trajectory, camera, config, 0.0, "sfm")
    elif facts.get("trajectory"):
        path = _by_file(seen, camera, config, facts)
    elif config.method == "sfm":
        path = still_path(
            seen.clip_id, seen.time_ns, camera, "unsolved", "sfm", "pycolmap could not place the frames of this clip"
        )
    else:
        path = _solve(seen, camera, config, view)
    if path.up_first is None and (up := _up(facts)) is not None:
        path = dataclasses.replace(path, up_first=up, gravity_from="metadata")
    if path.motion == "unsolved" and config.not_solved == "reject":
        return Reject(reason=Reason.CAMERA_NOT_SOLVED, detail=path.detail)
    return path


def _by_file(seen: Background, camera: Camera, config: CameraConfig, facts: Mapping[str, Any]) -> CameraPath:
    """The path of the trajectory that is named, or why it cannot be this clip's."""
    try:
        found = read_trajectory(Path(facts["trajectory"]), facts, config)
        shift = float(facts.get("trajectory_offset_s", config.trajectory_offset_s))
        return imported_path(seen, found, camera, config, shift, "imported")
    except InputError as error:
        detail = " ".join(str(error).split())
        return still_path(seen.clip_id, seen.time_ns, camera, "unsolved", "imported", detail)


def _up(facts: Mapping[str, Any]) -> np.ndarray | None:
    """Up in the first frame's camera by the sidecar's `gravity`, which points down."""
    value = facts.get("gravity")
    if value is None:
        return None
    try:
        down = np.asarray(value, dtype=float).reshape(3)
    except (TypeError, ValueError):
        raise InputError("gravity is three numbers: down in the first frame's camera", found=value) from None
    if not np.isfinite(down).all() or np.linalg.norm(down) < 1e-6:
        raise InputError("gravity is three numbers: down in the first frame's camera", found=value)
    return -geometry.normalize(down)


def _solve(seen: Background, camera: Camera, config: CameraConfig, view: str) -> CameraPath:
    firm = seen.firm()
    still = stillness(firm, config)
    tells = enough(still, config)
    lacking = _long_gap_s(seen.time_ns, tells)
    if is_static(still, config) and lacking <= max(config.max_gap_s, 0.2 * _length_s(seen.time_ns)):
        share = np.where(tells, still.share, 0.0)
        detail = (
            f"static: the background stays in {np.mean(still.share[tells] >= config.min_still_share):.0%} of frames"
        )
        sigma = 0.5 * config.still_px * seen.pixel / float(camera.K[0, 0])
        return still_path(seen.clip_id, seen.time_ns, camera, "static", "features", detail, sigma, share)
    if view == "ego":  # a surface at work fills the picture; behind a person in front of a bare wall faint is noise
        tells |= enough(stillness(seen, config), config)
    if tells.mean() < LEAST_SOLVED:
        detail = (
            f"{config.min_features} features in {config.min_cells} places in {tells.mean():.0%} of {len(tells)} "
            f"frames; {LEAST_SOLVED:.0%} are wanted: the background has too little texture, or too little of it is seen"
        )
        return still_path(seen.clip_id, seen.time_ns, camera, "unsolved", "features", detail)
    found = turning(firm, camera, config)
    parallax = parallax_px(firm, found, camera, config)
    moves = parallax > config.parallax_px or not _is_solved(found.sigma_rad)
    followed = None
    if moves:
        followed = follow(seen, camera, config, carried_by(view, config))
        poses, agreement = followed.T_first_camera, followed.agreement
        sigma, place = followed.sigma_rad, followed.sigma_m
        if view == "ego":
            place = np.hypot(place, followed.size_sigma * np.linalg.norm(poses[:, 4:], axis=1) / np.sqrt(3.0))
    else:
        poses = geometry.pose(found.q_first_camera, np.zeros(3))
        agreement, sigma, place = found.agreement, found.sigma_rad, _drift(found.q_first_camera, config, view)
    if not _is_solved(sigma):
        share, wanted = np.isfinite(sigma).mean(), f"{LEAST_SOLVED:.0%} are wanted, the first among them"
        detail = f"the background agrees on a motion in {share:.0%} of {len(sigma)} frames; {wanted}"
        return still_path(seen.clip_id, seen.time_ns, camera, "unsolved", "features", detail, quality=agreement)
    poses, sigma, place = bridge(seen.time_ns, poses, sigma, place, config.max_gap_s)
    path = CameraPath(
        clip_id=seen.clip_id,
        time_ns=seen.time_ns,
        T_first_camera=poses,
        sigma_rad=_with_focal(poses[:, :4], sigma, camera),
        sigma_m=place,
        quality=agreement,
        motion="full" if moves else "rotation",
        source="features",
        camera=camera,
        unit_m=None if followed is not None and view != "ego" else 1.0,
        p_first_point=None if followed is None else followed.p_first_point,
        size_sigma=followed.size_sigma if followed is not None and view == "ego" else 0.0,
    )
    unit = "m (scale assumed)" if path.unit_m is not None else "units"
    way = np.linalg.norm(np.ptp(poses[:, 4:], axis=0))
    detail = (
        f"turns by up to {np.degrees(path.range_rad):.1f} deg"
        + (f", moves by up to {way:.2f} {unit}" if path.motion == "full" else "")
        + f"; {len(seen.key_frame)} keyframes, parallax {parallax:.1f} px"
    )
    return dataclasses.replace(path, detail=detail)


def _is_solved(sigma_rad: np.ndarray) -> bool:
    return bool(np.isfinite(sigma_rad[0]) and np.isfinite(sigma_rad).mean() >= LEAST_SOLVED)


def _with_focal(q: np.ndarray, sigma: np.ndarray, camera: Camera) -> np.ndarray:
    """Sigma with the doubt of the focal length: a turn is as wrong as the angles that it was measured by."""
    return np.hypot(sigma, camera.focal_sigma * geometry.angle_between(q[:1], q))


def _drift(q: np.ndarray, config: CameraConfig, view: str) -> np.ndarray:
    """Sigma (t) in metres of a place that nobody measured: with the turn on a neck, at once in a hand."""
    angle = geometry.angle_between(q[:1], q)
    lever = np.hypot(config.neck_forward_m, config.neck_up_m)
    if view == "ego":
        return np.hypot(
            lever * np.minimum(2 * np.sin(angle / 2), 1.0), config.neck_sigma_m * np.minimum(angle / 0.1, 1.0)
        )
    return config.hand_sigma_m * np.minimum(angle / 0.1, 1.0)


def _length_s(time_ns: np.ndarray) -> float:
    return float(time_ns[-1] - time_ns[0]) / timebase.NS_PER_S if len(time_ns) else 0.0


def _long_gap_s(time_ns: np.ndarray, tells: Bool[np.ndarray, " t"]) -> float:
    """Length of the longest stretch that tells nothing."""
    gaps = [
        (time_ns[min(end, len(time_ns) - 1)] - time_ns[max(start - 1, 0)]) / timebase.NS_PER_S
        for start, end in timebase.runs(~tells)
    ]
    return float(max(gaps, default=0.0))
