"""How sure a fitted point is: one standard deviation per axis and frame, from cues and a table of calibrated weights.

log sigma is linear in the cues, each weight of the sign that it must have, so that a worse cue never narrows sigma. The
table, `calibration.yaml`, is made by scripts/bench/calibrate.py on rendered people whom no benchmark shows again. The
largest cue in third person is the spread from the normal equations' inverse with bones as unknowns, because nearly all
of a body's error is a depth that the whole clip has wrong; an assumed height or lens adds its own doubt.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Bool, Float64

from vidpretrain import skeletons
from vidpretrain.motion import clean
from vidpretrain.motion.body import ARM, HIPS, PALM, SHOULDERS, Body
from vidpretrain.motion.camera import project
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.hands import Hand, found
from vidpretrain.types import Camera, PoseTrack

Cues = dict[str, np.ndarray]
"""Cues (t) by name; NaN where one is not known, which then says nothing."""

SIGNS = {"spread": 1, "misfit": 1, "confidence": -1, "apart": 1, "away": 1}
"""Which way sigma may go with a cue."""

_MIDDLE = [0, 9, 10, 11, 12]
_ALONG = np.array([0.0, *((0.25, 0.5, 0.75, 1.0) * 5)])  # of the way from the wrist to a fingertip
# 90 % of a Gaussian lie within 2.5 sigma in space and within 1.645 along one line
_OF_DEPTH = 1.645 / 2.5
_LEGS = {"left": (25, 27, 29, 31), "right": (26, 28, 30, 32)}
_HALF = 0.5  # of sigma, added by each frame in which nothing was seen


@lru_cache(maxsize=1)
def calibration() -> dict[str, Any]:
    """The table: by kind of point `bias`, and by cue `weight`, `middle` and the range `low` to `high` that was seen."""
    return yaml.safe_load(Path(__file__).with_name("calibration.yaml").read_text())["kinds"]


def predict(kind: str, cues: Cues, table: dict[str, Any] | None = None) -> Float64[np.ndarray, " t"]:
    """Sigma (t) in metres of a kind of point; cues beyond what the calibration saw count as its end."""
    own = (calibration() if table is None else table)[kind]
    log = np.full(len(next(iter(cues.values()))), own["bias"])
    for name, line in own["cues"].items():
        value = np.where(np.isfinite(cues[name]), cues[name], line["middle"])
        log = log + line["weight"] * (np.clip(value, line["low"], line["high"]) - line["middle"])
    return np.exp(log)


def hand_cues(
    hand: Hand,
    track: PoseTrack,
    camera: Camera,
    config: MotionConfig,
    spread_m: np.ndarray | None = None,
    own_depth_m: np.ndarray | None = None,
) -> Cues:
    """Cues of one fitted hand: how well its points reproject, how sure the network was, frames since it was seen.

    `spread_m` (t) is the wrist's by the normal equations, `own_depth_m` (t) the depth of the hand fitted without its
    arm: how unsteadily it disagrees with the arm's over the clip counts.
    """
    real, nothing = hand.seen & ~hand.imputed & found(track, config), np.full(len(hand.seen), np.nan)
    if not real.any():
        return dict.fromkeys(SIGNS, nothing)
    image = track.p_image_keypoint
    with np.errstate(invalid="ignore"):
        length = np.linalg.norm(np.diff(image[:, _MIDDLE], axis=1), axis=-1).sum(axis=1)
        length = np.fmax(length, np.median(length[real]))
        off = np.linalg.norm(project(camera, hand.p_camera) - image, axis=-1)[:, 2:]  # the wrist's own says little
    misfit = np.median(np.nan_to_num(off[real]), axis=1) / length[real]
    apart = nothing
    if own_depth_m is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.log(own_depth_m / hand.p_wrist[:, 2])[real]
        if np.isfinite(ratio).sum() >= 4:
            apart = np.full(len(real), np.log(0.003 + float(np.nanstd(ratio))))

    def everywhere(value: np.ndarray) -> np.ndarray:
        out = np.zeros(len(real))
        out[real] = value
        return clean.interpolate_gaps(track.time_ns, out, real)

    return {
        "spread": nothing if spread_m is None else np.log(spread_m),
        "misfit": np.log(0.01 + everywhere(misfit)),
        "confidence": everywhere(np.nan_to_num(track.confidence[real]).mean(axis=1)),
        "apart": apart,
        "away": np.log1p(_HALF * _away(real)),
    }


def body_cues(points: list[int], body: Body, track: PoseTrack, spread_m: np.ndarray) -> Cues:
    """Cues of a place of the body, by the network's points there: spread, visibility, frames since it was seen."""
    real = body.found & (body.seen & ~body.imputed)[:, points].any(axis=1)
    nothing = np.full(len(real), np.nan)
    return {
        "spread": np.log(spread_m),
        "misfit": nothing,
        "confidence": np.nan_to_num(track.confidence[:, points]).mean(axis=1),
        "apart": nothing,
        "away": np.log1p(_HALF * _away(real)) if real.any() else nothing,
    }


def hand_sigma(
    hand: Hand, cues: Cues, camera: Camera, view: str, config: MotionConfig, alone: bool = False
) -> Float64[np.ndarray, "t 21"]:
    """Sigma of each point of a fitted hand, NaN where it was not seen; `alone`: no arm holds it, so that its depth is
    as doubtful as its size."""
    wrist, tips = (predict(f"{view} {part}", cues) for part in ("wrist", "fingertips"))
    own = wrist[:, None] + _ALONG * (tips - wrist)[:, None]
    out = np.hypot(own, doubt(hand.p_wrist[:, 2], camera, config, alone)[:, None])
    return np.where(hand.seen[:, None], out, np.nan)


def body_sigma(body: Body, cues: dict[str, Cues], camera: Camera, config: MotionConfig) -> Float64[np.ndarray, "t 33"]:
    """Sigma of the points of a fitted body but its hands'; `cues` by side and kind, as `left elbow`."""
    out = np.array(body.sigma_m)
    kinds = {name: predict(name.split(" ")[1], own) for name, own in cues.items()}
    out[:, :11] = np.sqrt(kinds["left shoulder"] * kinds["right shoulder"])[:, None]
    for k, side in enumerate(skeletons.SIDES):
        shoulder, elbow, wrist = ARM[side]
        out[:, [shoulder]], out[:, [elbow]] = kinds[f"{side} shoulder"][:, None], kinds[f"{side} elbow"][:, None]
        out[:, [HIPS[k], *_LEGS[side]]] = kinds[f"{side} hip"][:, None]
        out[:, [wrist, *PALM[side]]] = np.fmax(out[:, [wrist, *PALM[side]]], kinds[f"{side} elbow"][:, None])
    out = np.where(body.imputed, 1.5 * out, out)
    out = np.hypot(out, doubt(body.p_camera[:, SHOULDERS, 2].mean(axis=1), camera, config)[:, None])
    return np.where(body.found[:, None], out, np.nan)


def doubt(depth_m: np.ndarray, camera: Camera, config: MotionConfig, alone: bool = False) -> np.ndarray:
    """What an assumed lens and height, or a hand's unknown size, add to sigma (t) at a depth."""
    size = config.size_uncertainty if config.height_m is None or alone else 0.0
    return _OF_DEPTH * float(np.hypot(lens_sigma(camera), size)) * depth_m


def lens_sigma(camera: Camera) -> float:
    """Relative sigma of the focal length; 0 where it was told."""
    return camera.focal_sigma if camera.intrinsics_from == "assumed" else 0.0


def _away(real: Bool[np.ndarray, " t"]) -> Float64[np.ndarray, " t"]:
    """Frames to the nearest real one."""
    index = np.flatnonzero(real)
    return np.abs(np.arange(len(real))[:, None] - index[None]).min(axis=1).astype(float)
