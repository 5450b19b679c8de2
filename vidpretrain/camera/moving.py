"""Whether a camera moves as it turns, and how the one of a view is carried."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.camera.background import Background
from vidpretrain.camera.bundle import Carried
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.lens import unproject
from vidpretrain.camera.turning import Turning, tolerance_rad
from vidpretrain.types import Camera

_ACCELERATION_M_S2 = 1.5


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


def carried_by(view: str, config: CameraConfig) -> Carried:
    """How the camera of a view is carried: on the wearer's head, or in somebody's hand."""
    if view == "ego":
        lever = np.array([0.0, -config.neck_up_m, config.neck_forward_m])
        sigma = config.neck_sigma_m * np.array([0.3, 1.0, 1.0])  # it is worn in the middle
        return Carried(lever, sigma, config.hand_sigma_m, config.drift_m_s, _ACCELERATION_M_S2)
    return Carried(np.zeros(3), np.full(3, 1e-3), np.inf, np.inf, 2.0 * _ACCELERATION_M_S2)
