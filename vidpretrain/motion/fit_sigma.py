"""How sure a fitted hand is: one standard deviation per axis and frame, calibrated on rendered people (dev split).

Nearly all of a wrist's error is depth that the whole clip has wrong, of which the normal equations do not know. What
tells good frames from bad ones is how well the hand's points reproject: on the dev clips the rank correlation with the
error is .6 in ego view and .3 in third person. An assumed height or lens adds its own doubt.
"""

from __future__ import annotations

import numpy as np

from vidpretrain.motion import clean
from vidpretrain.motion.camera import project
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.hands import Hand, found
from vidpretrain.types import Camera, PoseTrack

_MIDDLE = [0, 9, 10, 11, 12]
# 90 % of a Gaussian lie within 2.5 sigma in space and within 1.645 along one line
_OF_DEPTH = 1.645 / 2.5


def hand_sigma(hand: Hand, track: PoseTrack, camera: Camera, view: str, config: MotionConfig) -> np.ndarray:
    """Sigma (t) in metres of each axis of a fitted hand's wrist; NaN where it was not seen."""
    fit = config.fit
    real = hand.seen & ~hand.imputed & found(track, config)
    if not real.any():
        return np.where(hand.seen, np.nan, np.nan)
    image = track.p_image_keypoint
    with np.errstate(invalid="ignore"):
        length = np.linalg.norm(np.diff(image[:, _MIDDLE], axis=1), axis=-1).sum(axis=1)
        length = np.fmax(length, np.median(length[real]))
        off = np.linalg.norm(project(camera, hand.p_camera) - image, axis=-1)[:, 2:]  # the wrist's own says little
    misfit = np.zeros(len(real))
    misfit[real] = np.median(np.where(np.isfinite(off[real]), off[real], 0.0), axis=1) / length[real]
    misfit = clean.interpolate_gaps(track.time_ns, misfit, real)
    depth = hand.p_wrist[:, 2]
    own = fit.sigma_ego_m if view == "ego" else fit.sigma_third * depth
    own = own * np.sqrt(1.0 + (fit.sigma_misfit * misfit) ** 2) * (1.0 + 0.5 * _away(real))
    doubt = np.hypot(
        config.fov_uncertainty if camera.intrinsics_from == "assumed" else 0.0,
        config.size_uncertainty if config.height_m is None else 0.0,
    )
    return np.where(hand.seen, np.hypot(own, _OF_DEPTH * doubt * depth), np.nan)


def _away(real: np.ndarray) -> np.ndarray:
    """Frames (t) to the nearest real one."""
    index = np.flatnonzero(real)
    return np.asarray(np.abs(np.arange(len(real))[:, None] - index[None]).min(axis=1))
