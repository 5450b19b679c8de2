"""Intrinsics of a clip (given, from metadata or assumed), projection and unprojection.

The pinhole and distortion model is OpenCV's (k1, k2, p1, p2, k3, ...): docs.opencv.org, "Camera Calibration and 3D
Reconstruction".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float64

from vidpretrain import geometry
from vidpretrain.motion.config import DISTORTION_LENGTHS, MotionConfig
from vidpretrain.types import Camera, Clip

_DIAGONAL_35MM = float(np.hypot(36.0, 24.0))
# Names under which a phone writes its focal length in millimetres of a 35 mm film (QuickTime, EXIF).
_FOCAL_35MM_KEYS = (
    "focal_length_35mm",
    "com.apple.quicktime.camera.focal_length.35mm_equivalent",
    "FocalLengthIn35mmFilm",
    "FocalLengthIn35mmFormat",
)


def camera_for(
    clip: Clip,
    config: MotionConfig,
    metadata: Mapping[str, Any] | None = None,
    view: Literal["ego", "third"] = "third",
) -> Camera:
    """Camera of a clip without a pose; `intrinsics_from` says whether it was given, read or assumed.

    The first of these that is there: `config.K`, `config.fov_x_deg`, `config.fov_diagonal_deg`; `K` in the metadata (9
    numbers, pixels of the upright picture, with its `distortion`: a calibration beside the video, so it counts as
    given); `fov_x_deg` (degrees) or a focal length in 35 mm terms in the metadata; the diagonal field of view assumed
    for the view. Metadata that does not parse or is out of any lens's range is passed over.
    """
    source: Literal["given", "metadata", "assumed"] = "given"
    metadata, distortion = metadata or {}, config.distortion
    if config.K is not None:
        K = np.asarray(config.K, dtype=float).reshape(3, 3)
    elif config.fov_x_deg is not None:
        K = _pinhole(clip, _focal(float(clip.width_px), config.fov_x_deg))
    elif config.fov_diagonal_deg is not None:
        K = _pinhole(clip, _focal(_diagonal_px(clip), config.fov_diagonal_deg))
    elif (calibrated := _matrix(metadata)) is not None:
        K, distortion = calibrated, distortion or _coefficients(metadata)
    elif (focal := _focal_from(clip, metadata)) is not None:
        K, source = _pinhole(clip, focal), "metadata"
    else:
        angle = config.assumed_fov_diagonal_ego_deg if view == "ego" else config.assumed_fov_diagonal_third_deg
        K, source = _pinhole(clip, _focal(_diagonal_px(clip), angle)), "assumed"
    return Camera(
        K=K,
        distortion=np.asarray(distortion or (0.0,) * 5, dtype=float),
        width_px=clip.width_px,
        height_px=clip.height_px,
        intrinsics_from=source,
    )


def _diagonal_px(clip: Clip) -> float:
    return float(np.hypot(clip.width_px, clip.height_px))


def _focal(extent_px: float, fov_deg: float) -> float:
    return float(0.5 * extent_px / np.tan(np.radians(fov_deg) / 2))


def _pinhole(clip: Clip, focal_px: float) -> np.ndarray:
    return np.array([[focal_px, 0, clip.width_px / 2], [0, focal_px, clip.height_px / 2], [0, 0, 1.0]])


def _matrix(metadata: Mapping[str, Any]) -> np.ndarray | None:
    K = metadata.get("K")
    if K is None or np.size(K) != 9:
        return None
    K = np.asarray(K, dtype=float).reshape(3, 3)
    return K if np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0 else None


def _coefficients(metadata: Mapping[str, Any]) -> tuple[float, ...]:
    found = np.asarray(metadata.get("distortion", ()), dtype=float).reshape(-1)
    return tuple(found.tolist()) if len(found) in DISTORTION_LENGTHS and np.isfinite(found).all() else ()


def _focal_from(clip: Clip, metadata: Mapping[str, Any]) -> float | None:
    fov = _number(metadata.get("fov_x_deg"))
    if fov is not None and 5 <= fov <= 170:
        return _focal(float(clip.width_px), fov)
    for key in _FOCAL_35MM_KEYS:
        focal = _number(metadata.get(key))
        if focal is not None and 5 <= focal <= 500:  # a 35 mm equivalent compares diagonals (CIPA DCG-001)
            return focal * _diagonal_px(clip) / _DIAGONAL_35MM
    return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def project(camera: Camera, p_camera: Float[np.ndarray, "*b 3"]) -> Float64[np.ndarray, "*b 2"]:
    """Pixels of points in the camera frame (metres); NaN for points that are not in front of the camera."""
    p_camera = np.asarray(p_camera, dtype=float)
    flat = p_camera.reshape(-1, 3)
    front = flat[:, 2] > 1e-9
    safe = np.where(front[:, None], flat, np.array([0.0, 0.0, 1.0]))
    if np.any(camera.distortion):
        import cv2

        zero = np.zeros(3)
        pixel = cv2.projectPoints(safe.reshape(-1, 1, 3), zero, zero, camera.K, camera.distortion)[0].reshape(-1, 2)
    else:
        homogeneous = safe @ camera.K.T
        pixel = homogeneous[:, :2] / homogeneous[:, 2:]
    pixel = np.where(front[:, None], pixel, np.nan)
    return pixel.reshape(*p_camera.shape[:-1], 2)


def unproject(camera: Camera, p_image: Float[np.ndarray, "*b 2"]) -> Float64[np.ndarray, "*b 2"]:
    """(x / z, y / z) in the camera frame of the rays through pixels, with the distortion undone; NaN stays NaN."""
    p_image = np.asarray(p_image, dtype=float)
    flat = p_image.reshape(-1, 2)
    if np.any(camera.distortion) and len(flat):
        import cv2

        seen = np.isfinite(flat).all(axis=1)
        ray = np.full_like(flat, np.nan)
        if seen.any():
            ends = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
            points = flat[seen].reshape(-1, 1, 2)
            ray[seen] = cv2.undistortPoints(points, camera.K, camera.distortion, criteria=ends).reshape(-1, 2)
    else:
        homogeneous = np.concatenate([flat, np.ones((len(flat), 1))], axis=1) @ np.linalg.inv(camera.K).T
        ray = homogeneous[:, :2] / homogeneous[:, 2:]
    return ray.reshape(p_image.shape)


def ray_rotation(ray: Float[np.ndarray, "*b 2"]) -> Float64[np.ndarray, "*b 4"]:
    """Quaternions of the smallest rotation that takes the optical axis to the rays (x / z, y / z).

    Networks see a crop and answer as if it had been seen straight on; this turns their points to where they are.
    """
    x, y = np.moveaxis(np.asarray(ray, dtype=float), -1, 0)
    lateral = np.hypot(x, y)
    angle = np.arctan(lateral)
    safe = np.where(lateral < 1e-12, 1.0, lateral)
    rotvec = np.stack([-y / safe * angle, x / safe * angle, np.zeros_like(x)], axis=-1)
    return geometry.quat_exp(rotvec)
