"""The camera's path of a clip from what its background did, or from another tool's trajectory."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Int64

from vidpretrain import geometry, timebase
from vidpretrain.camera.background import Background
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.moving import moving, parallax_px
from vidpretrain.camera.path import CameraPath, still_path
from vidpretrain.camera.still import enough, is_static, stillness
from vidpretrain.camera.turning import turning
from vidpretrain.types import Camera, Reason, Reject

_SOLVED = 0.75  # of the frames of a path that counts as solved


def solve_path(seen: Background, camera: Camera, config: CameraConfig, view: str = "third") -> CameraPath | Reject:
    """The path of the camera whose intrinsics are given; its motion is static, rotation, full or unsolved.

    With `not_solved: reject` a camera that cannot be solved is a Reject (CAMERA_NOT_SOLVED).
    """
    path = _solve(seen, camera, config, view)
    if path.motion == "unsolved" and config.not_solved == "reject":
        return Reject(reason=Reason.CAMERA_NOT_SOLVED, detail=path.detail)
    return path


def _solve(seen: Background, camera: Camera, config: CameraConfig, view: str) -> CameraPath:
    still = stillness(seen, config)
    tells = enough(still, config)
    lacking = _long_gap_s(seen.time_ns, tells)
    if is_static(still, config) and lacking <= max(config.max_gap_s, 0.2 * _length_s(seen.time_ns)):
        share = np.where(tells, still.share, 0.0)
        detail = (
            f"static: the background stays in {np.mean(still.share[tells] >= config.min_still_share):.0%} of frames"
        )
        sigma = 0.5 * config.still_px * seen.pixel / float(camera.K[0, 0])
        return still_path(seen.clip_id, seen.time_ns, camera, "static", "features", detail, sigma, share)
    if tells.mean() < _SOLVED:
        detail = (
            f"{config.min_features} features in {config.min_cells} places in {tells.mean():.0%} of {len(tells)} "
            f"frames; {_SOLVED:.0%} are wanted: the background has too little texture, or too little of it is seen"
        )
        return still_path(seen.clip_id, seen.time_ns, camera, "unsolved", "features", detail)
    found = turning(seen, camera, config)
    solved = np.isfinite(found.sigma_rad)
    if solved.mean() < _SOLVED or not solved[0]:
        detail = (
            f"the background agrees on a turn in {solved.mean():.0%} of {len(solved)} frames; {_SOLVED:.0%} are wanted"
        )
        return still_path(seen.clip_id, seen.time_ns, camera, "unsolved", "features", detail, quality=found.agreement)
    parallax = parallax_px(seen, found, camera, config)
    if parallax > config.parallax_px:
        placed = moving(seen, found, camera, config, view)
        poses, agreement, sigma, place = placed.T_first_camera, placed.agreement, placed.sigma_rad, placed.sigma_m
    else:
        poses = geometry.pose(found.q_first_camera, np.zeros(3))
        agreement, sigma, place = found.agreement, found.sigma_rad, _drift(found.q_first_camera, config, view)
    poses, sigma, place = bridge(seen.time_ns, poses, sigma, place, config.max_gap_s)
    path = CameraPath(
        clip_id=seen.clip_id,
        time_ns=seen.time_ns,
        T_first_camera=poses,
        sigma_rad=_with_focal(poses[:, :4], sigma, camera),
        sigma_m=place,
        quality=agreement,
        motion="full" if parallax > config.parallax_px else "rotation",
        source="features",
        camera=camera,
    )
    way = np.linalg.norm(np.ptp(poses[:, 4:], axis=0))
    detail = (
        f"turns by up to {np.degrees(path.range_rad):.1f} deg"
        + (f", moves by up to {way:.2f} m (scale assumed)" if path.motion == "full" else "")
        + f"; {len(seen.key_frame)} keyframes, parallax {parallax:.1f} px"
    )
    return dataclasses.replace(path, detail=detail)


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


def bridge(
    time_ns: Int64[np.ndarray, " t"], poses: np.ndarray, sigma_rad: np.ndarray, sigma_m: np.ndarray, longest_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(poses, sigma_rad, sigma_m) with short stretches of infinite sigma interpolated, and doubted by their span."""
    poses, sigma_rad = poses.copy(), sigma_rad.copy()
    known = np.isfinite(sigma_rad)
    sigma_m = np.where(known, sigma_m, np.inf)
    if known.all() or not known.any():
        return poses, sigma_rad, sigma_m
    filled = timebase.interpolate_pose(time_ns[known], poses[known], time_ns)
    held = timebase.interpolate(time_ns[known], np.stack([sigma_rad, sigma_m], axis=1)[known], time_ns)
    for start, end in timebase.runs(~known):
        a, b = max(start - 1, 0), min(end, len(poses) - 1)
        poses[start:end] = filled[start:end]
        if (time_ns[b] - time_ns[a]) / timebase.NS_PER_S <= longest_s and known[a] and known[b]:
            turn = float(geometry.angle_between(poses[a, :4], poses[b, :4]))
            way = float(np.linalg.norm(poses[b, 4:] - poses[a, 4:]))
            sigma_rad[start:end] = held[start:end, 0] + 0.25 * turn + np.radians(0.5)
            sigma_m[start:end] = held[start:end, 1] + 0.25 * way + 0.01
    return poses, sigma_rad, sigma_m


def _length_s(time_ns: np.ndarray) -> float:
    return float(time_ns[-1] - time_ns[0]) / timebase.NS_PER_S if len(time_ns) else 0.0


def _long_gap_s(time_ns: np.ndarray, tells: Bool[np.ndarray, " t"]) -> float:
    """Length of the longest stretch that tells nothing."""
    gaps = [
        (time_ns[min(end, len(time_ns) - 1)] - time_ns[max(start - 1, 0)]) / timebase.NS_PER_S
        for start, end in timebase.runs(~tells)
    ]
    return float(max(gaps, default=0.0))
