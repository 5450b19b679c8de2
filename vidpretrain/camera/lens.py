"""Points through a lens and back: pinhole, OpenCV's radial and tangential distortion, and its fisheye model.

Points are undistorted, pictures never are. Sources: docs.opencv.org, "Camera Calibration and 3D Reconstruction" and
"Fisheye camera model" (Kannala and Brandt 2006).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from vidpretrain import geometry
from vidpretrain.errors import MissingExtra
from vidpretrain.types import Camera

_HALF_TURN = 0.5 * np.pi - 1e-3  # a ray farther from the axis than this has no x / z


def opencv():
    """The cv2 module.

    Raises:
        MissingExtra: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MissingExtra(
            "OpenCV is not installed", asked="cv2", next_command="pip install vidpretrain[pose]"
        ) from None
    return cv2


def project(camera: Camera, p_camera: Float[np.ndarray, "*b 3"]) -> Float64[np.ndarray, "*b 2"]:
    """Pixels of points in the camera frame (metres); NaN for points that are not in front of the camera."""
    p_camera = np.asarray(p_camera, dtype=float)
    flat = p_camera.reshape(-1, 3)
    front = flat[:, 2] > 1e-9
    safe = np.where(front[:, None], flat, np.array([0.0, 0.0, 1.0]))
    if camera.lens == "fisheye":
        pixel = _fisheye(camera, safe)
    elif np.any(camera.distortion):
        zero = np.zeros(3)
        points = safe.reshape(-1, 1, 3)
        pixel = opencv().projectPoints(points, zero, zero, camera.K, camera.distortion)[0].reshape(-1, 2)
    else:
        homogeneous = safe @ camera.K.T
        pixel = homogeneous[:, :2] / homogeneous[:, 2:]
    pixel = np.where(front[:, None], pixel, np.nan)
    return pixel.reshape(*p_camera.shape[:-1], 2)


def unproject(camera: Camera, p_image: Float[np.ndarray, "*b 2"]) -> Float64[np.ndarray, "*b 2"]:
    """(x / z, y / z) in the camera frame of the rays through pixels, with the distortion undone; NaN stays NaN.

    A fisheye's pixels that see 90 degrees off the axis or more have no such ray: NaN.
    """
    p_image = np.asarray(p_image, dtype=float)
    flat = p_image.reshape(-1, 2)
    if camera.lens == "fisheye":
        ray = _from_fisheye(camera, flat)
    elif np.any(camera.distortion) and len(flat):
        cv2 = opencv()
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


def directions(camera: Camera, p_image: Float[np.ndarray, "*b 2"]) -> Float64[np.ndarray, "*b 3"]:
    """Unit vectors in the camera frame of the rays through pixels."""
    ray = unproject(camera, p_image)
    return geometry.normalize(np.concatenate([ray, np.ones((*ray.shape[:-1], 1))], axis=-1))


def _fisheye(camera: Camera, points: np.ndarray) -> np.ndarray:
    lateral = np.linalg.norm(points[:, :2], axis=1)
    theta = np.arctan2(lateral, points[:, 2])
    bent = _bend(theta, camera.distortion)[0]
    scale = np.where(lateral > 1e-12, bent / np.maximum(lateral, 1e-12), 1.0 / points[:, 2])
    flat = np.concatenate([points[:, :2] * scale[:, None], np.ones((len(points), 1))], axis=1)
    return (flat @ camera.K.T)[:, :2]


def _bend(theta: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distorted angle and its derivative: theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8)."""
    powers = np.arange(1, len(k) + 1)
    square = theta[:, None] ** (2 * powers)
    return theta * (1 + square @ k), 1 + square @ (k * (2 * powers + 1))


def _from_fisheye(camera: Camera, pixels: np.ndarray) -> np.ndarray:
    flat = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1) @ np.linalg.inv(camera.K).T
    bent = np.linalg.norm(flat[:, :2], axis=1)
    theta = np.clip(bent, 0.0, _HALF_TURN)
    for _ in range(20):  # Newton on a function that grows all the way for lenses that exist
        value, slope = _bend(theta, camera.distortion)
        theta = np.clip(theta - (value - bent) / np.where(np.abs(slope) < 1e-6, 1e-6, slope), 0.0, _HALF_TURN)
    missed = np.abs(_bend(theta, camera.distortion)[0] - bent) > 1e-6
    scale = np.where(bent > 1e-12, np.tan(theta) / np.maximum(bent, 1e-12), 1.0)
    return np.where(missed[:, None], np.nan, flat[:, :2] * scale[:, None])


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
