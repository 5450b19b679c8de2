"""The lens of a clip: given, read from what the file or a sidecar says, or assumed, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vidpretrain.types import Camera, Clip

DISTORTION_LENGTHS = (0, 4, 5, 8, 12, 14)  # what OpenCV takes
_DIAGONAL_35MM = float(np.hypot(36.0, 24.0))
# Names under which a phone writes its focal length in millimetres of a 35 mm film (QuickTime, EXIF).
_FOCAL_35MM_KEYS = (
    "focal_length_35mm",
    "com.apple.quicktime.camera.focal_length.35mm_equivalent",
    "FocalLengthIn35mmFilm",
    "FocalLengthIn35mmFormat",
)
# one standard deviation of a focal length, as a part of it
_CALIBRATED, _TOLD, _FIELD_OF_VIEW, _FILM_EQUIVALENT = 0.005, 0.02, 0.04, 0.08


@dataclass(frozen=True, kw_only=True)
class LensGuess:
    """What the configuration says of the lens: given values, and what to assume without any.

    The first of `K` (9 numbers), `fov_x_deg` and `fov_diagonal_deg` that is there counts as given; `assumed_deg` is
    the diagonal field of view to assume and `assumed_sigma` its focal length's standard deviation, as a part of it.
    """

    K: tuple[float, ...] | None = None
    distortion: tuple[float, ...] = ()
    lens: Literal["radial", "fisheye"] = "radial"
    fov_x_deg: float | None = None
    fov_diagonal_deg: float | None = None
    assumed_deg: float = 68.0
    assumed_sigma: float = 0.15


def lens_of(clip: Clip, guess: LensGuess, metadata: Mapping[str, Any] | None = None) -> Camera:
    """Camera of a clip without a pose; `intrinsics_from` says where they come from, `focal_sigma` how sure they are.

    After the values given: `K` in the metadata (9 numbers, pixels of the upright picture, with its `distortion` and
    `lens`: a calibration beside the video, so it counts as given); `fov_x_deg`, `fov_diagonal_deg` (degrees) or a focal
    length in 35 mm terms in the metadata; the assumed field of view. Metadata that does not parse or is out of any
    lens's range is passed over.
    """
    source: Literal["given", "metadata", "assumed"] = "given"
    metadata, distortion, lens = metadata or {}, guess.distortion, guess.lens
    if guess.K is not None:
        K, sigma = np.asarray(guess.K, dtype=float).reshape(3, 3), _CALIBRATED
    elif guess.fov_x_deg is not None:
        K, sigma = _pinhole(clip, _focal(float(clip.width_px), guess.fov_x_deg, lens)), _TOLD
    elif guess.fov_diagonal_deg is not None:
        K, sigma = _pinhole(clip, _focal(_diagonal_px(clip), guess.fov_diagonal_deg, lens)), _TOLD
    elif (calibrated := _matrix(metadata)) is not None:
        K, sigma = calibrated, _CALIBRATED
        if not distortion:
            distortion, lens = _coefficients(metadata), "fisheye" if metadata.get("lens") == "fisheye" else "radial"
    elif (found := _focal_from(clip, metadata, lens)) is not None:
        K, sigma, source = _pinhole(clip, found[0]), found[1], "metadata"
    else:
        focal = _focal(_diagonal_px(clip), guess.assumed_deg, lens)
        K, sigma, source = _pinhole(clip, focal), guess.assumed_sigma, "assumed"
    return Camera(
        K=K,
        distortion=np.asarray(distortion or (0.0,) * (4 if lens == "fisheye" else 5), dtype=float),
        width_px=clip.width_px,
        height_px=clip.height_px,
        intrinsics_from=source,
        lens=lens,
        focal_sigma=sigma,
    )


def _diagonal_px(clip: Clip) -> float:
    return float(np.hypot(clip.width_px, clip.height_px))


def _focal(extent_px: float, fov_deg: float, lens: str) -> float:
    half = np.radians(fov_deg) / 2
    return float(0.5 * extent_px / (half if lens == "fisheye" else np.tan(half)))  # equidistant: r = f theta


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
    lengths = (4,) if metadata.get("lens") == "fisheye" else DISTORTION_LENGTHS
    return tuple(found.tolist()) if len(found) in lengths and np.isfinite(found).all() else ()


def _focal_from(clip: Clip, metadata: Mapping[str, Any], lens: str) -> tuple[float, float] | None:
    """(focal length in pixels, its sigma as a part of it) by the metadata."""
    for key, extent in (("fov_x_deg", float(clip.width_px)), ("fov_diagonal_deg", _diagonal_px(clip))):
        fov = _number(metadata.get(key))
        if fov is not None and 5 <= fov <= 170:
            return _focal(extent, fov, lens), _FIELD_OF_VIEW
    for key in _FOCAL_35MM_KEYS:
        focal = _number(metadata.get(key))
        if focal is not None and 5 <= focal <= 500:  # a 35 mm equivalent compares diagonals (CIPA DCG-001)
            return focal * _diagonal_px(clip) / _DIAGONAL_35MM, _FILM_EQUIVALENT
    return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
