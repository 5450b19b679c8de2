"""Turn and place of a camera that moves as it turns: keyframe after keyframe, each with the depths of its features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry, timebase
from vidpretrain.camera.background import Background
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.lens import unproject
from vidpretrain.camera.parallax import Arc, place_frames
from vidpretrain.camera.turning import Turning, cell_weight, tolerance_rad
from vidpretrain.types import Camera

_NOISE, _COUNTS = 0.5, 0.05  # one sigma of a followed feature, in tolerances; share that counts: all err together
_SCALE_DOUBT = 3.0  # keyframes find their scales apart: on rendered clips places err by 2.8 of their own sigmas
_HEAD_SPEED_M_S, _HAND_SPEED_M_S = 0.15, 0.4


@dataclass(frozen=True)
class Moving:
    """`T_first_camera` (t 7), `sigma_rad` and `sigma_m` (t, infinite where unsolved), `agreement` (t)."""

    T_first_camera: np.ndarray
    sigma_rad: np.ndarray
    sigma_m: np.ndarray
    agreement: np.ndarray


def parallax_px(seen: Background, found: Turning, camera: Camera, config: CameraConfig) -> float:
    """How far features are from where a turn alone would have them: the median frame's 80th percentile, in pixels.

    Features far away from there are somebody else's, or show parallax that nearer ones show as well.
    """
    ray, home = (np.nan_to_num(unproject(camera, p)) for p in (seen.p_image, seen.p_home))
    far, tolerance = [], tolerance_rad(seen, camera, config)
    for row in range(len(seen.key_frame)):
        _, index = seen.of(row)
        for t in np.unique(seen.frame[index]):
            here = index[seen.frame[index] == t]
            key = int(seen.key_frame[row])
            if not (np.isfinite(found.sigma_rad[t]) and np.isfinite(found.sigma_rad[key])):
                continue
            q = geometry.quat_mul(geometry.quat_inverse(found.q_first_camera[t]), found.q_first_camera[key])
            turned = geometry.rotate(q, np.concatenate([home[seen.feature[here]], np.ones((len(here), 1))], axis=1))
            off = np.linalg.norm(turned[:, :2] / np.maximum(turned[:, 2:], 1e-3) - ray[here], axis=-1)
            off = off[off < 3.0 * tolerance]
            if len(off) >= config.min_features:
                far.append(np.percentile(off, 80))
    return float(np.median(far)) / tolerance * config.tolerance_px if far else 0.0


def arc_of(view: str, config: CameraConfig) -> Arc:
    """Where the camera is expected in a view: about the wearer's neck, or where it was."""
    if view == "ego":
        lever = np.array([0.0, -config.neck_up_m, config.neck_forward_m])
        return Arc(lever, config.neck_sigma_m, _HEAD_SPEED_M_S)
    return Arc(np.zeros(3), config.hand_sigma_m, _HAND_SPEED_M_S)


def moving(seen: Background, found: Turning, camera: Camera, config: CameraConfig, view: str) -> Moving:
    """Poses of all frames that the turns lead to; the turns are where the search starts."""
    t = len(seen.time_ns)
    poses, agreement = np.tile(geometry.IDENTITY_POSE, (t, 1)), found.agreement.copy()
    sigma_rad, sigma_m = np.full(t, np.inf), np.full(t, np.inf)
    sigma_rad[0] = sigma_m[0] = 0.0
    home, ray = unproject(camera, seen.p_home), unproject(camera, seen.p_image)
    arc, tolerance = arc_of(view, config), tolerance_rad(seen, camera, config)
    for row, key in enumerate(seen.key_frame):
        if not np.isfinite(sigma_rad[key]):
            if row == 0 or not np.isfinite(found.sigma_rad[key]):
                continue
            # after a break the turn is known by an earlier view, and the place as well as the arc knows it
            q = found.q_first_camera[key]
            poses[key] = geometry.pose(q, geometry.rotate(q, arc.lever_m) - arc.lever_m)
            sigma_rad[key], sigma_m[key] = found.sigma_rad[key], arc.sigma_m
        features, index = seen.of(row)
        index = index[np.isfinite(ray[index]).all(1) & np.isfinite(home[seen.feature[index]]).all(1)]
        index = index[np.isfinite(found.sigma_rad[seen.frame[index]])]
        if len(index) < config.min_features:
            continue
        frames, at = np.unique(seen.frame[index], return_inverse=True)
        q = geometry.quat_mul(geometry.quat_inverse(found.q_first_camera[key]), found.q_first_camera[frames])
        placed = place_frames(
            np.nan_to_num(home[features]),
            at,
            np.searchsorted(features, seen.feature[index]),
            ray[index],
            cell_weights(seen, index, at),
            geometry.pose(q, np.zeros(3)),
            (seen.time_ns[frames] - seen.time_ns[key]) / timebase.NS_PER_S,
            poses[key],
            arc,
            _NOISE * tolerance,
            config.max_depth_m,
        )
        poses[frames] = geometry.compose(poses[key], placed.T_key_camera)
        own = np.einsum("fii->fi", placed.covariance)
        sigma_rad[frames] = np.hypot(sigma_rad[key], np.sqrt(own[:, :3].mean(axis=1)))
        # the arc ties every place to the first frame, so places do not drift away
        sigma_m[frames] = np.minimum(
            np.hypot(sigma_m[key], _SCALE_DOUBT * np.sqrt(own[:, 3:].mean(axis=1))), _SCALE_DOUBT * arc.sigma_m
        )
        weight = cell_weights(seen, index, at)
        inside = np.bincount(at, weight * (placed.residual < tolerance), len(frames))
        agreement[frames] = inside / np.maximum(np.bincount(at, weight, len(frames)), 1e-12)
        bad = frames[agreement[frames] < config.min_agreement]
        sigma_rad[bad] = sigma_m[bad] = np.inf
    return Moving(poses, sigma_rad, sigma_m, agreement)


def cell_weights(seen: Background, index: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Weight (m) of observations: cells of the picture count alike in every frame, two on average."""
    weight = np.zeros(len(index))
    for t in range(at.max() + 1):
        here = at == t
        weight[here] = cell_weight(seen, seen.p_home[seen.feature[index[here]]])
    return 2.0 * _COUNTS * weight
