"""How sure a fitted point is: one standard deviation per axis and frame, from cues and a table of calibrated weights.

Two parts add up in squares. What a whole clip has wrong alike, a hand or body of another size than assumed, is a share
of the distance; the rest has a logarithm linear in the cues, each weight of the sign that it must have, so that a worse
cue never narrows sigma. The table, `calibration.yaml`, is made by scripts/bench/calibrate.py on rendered people whom no
benchmark shows again, such that 90 % of the errors lie within 2.5 sigma. Errors have heavier tails than a Gaussian's:
sigma is a width, four tenths of the 90 % radius, not a root mean square. An assumed height or lens adds its own doubt.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Bool, Float64

from vidpretrain import geometry, skeletons
from vidpretrain.motion import bones, clean
from vidpretrain.motion.body import ARM, HIPS, PALM, SHOULDERS, Body
from vidpretrain.motion.camera import project
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.hands import Hand, found
from vidpretrain.types import Camera, PoseTrack

Cues = dict[str, np.ndarray]
"""Cues (t) by name; NaN where one is not known, which then says nothing."""

SIGNS = {
    "spread": 1,  # log m, of the normal equations' inverse
    "misfit": 1,  # log of the reprojection error in hand lengths
    "usual": 1,  # its median over the clip
    "confidence": -1,  # -log(1.02 - the network's)
    "depth": 1,  # log m
    "edge_on": 1,  # 1 - |cosine| between the palm's normal and the ray: a palm seen from the edge tells least
    "behind": 1,  # m, of a wrist or elbow beyond its shoulder, where an arm that reaches away hides
    "apart": 1,  # log, how unsteadily the hand's own depth disagrees with that on the arm
    "away": 1,  # log1p of half the frames since it was seen
}
"""Which way sigma may go with a cue."""

_MIDDLE = [0, 9, 10, 11, 12]
_ALONG = np.array([0.0, *((0.25, 0.5, 0.75, 1.0) * 5)])  # of the way from the wrist to a fingertip
# 90 % of a Gaussian lie within 2.5 sigma in space and within 1.645 along one line
_OF_DEPTH = 1.645 / 2.5
_LEGS = {"left": (25, 27, 29, 31), "right": (26, 28, 30, 32)}
_HALF = 0.5  # of sigma, added by each frame in which nothing was seen


@lru_cache(maxsize=1)
def calibration() -> dict[str, Any]:
    """The table by kind of point: `of_depth`, the share of its distance that a clip has wrong, `bias`, and by cue
    `weight`, `middle` and the range `low` to `high` that was seen."""
    return yaml.safe_load(Path(__file__).with_name("calibration.yaml").read_text())["kinds"]


def predict(kind: str, cues: Cues, table: dict[str, Any] | None = None) -> Float64[np.ndarray, " t"]:
    """Sigma (t) in metres of a kind of point; cues beyond what the calibration saw count as its end.

    Farther away than it saw sigma grows with the distance, as what a pixel spans does.
    """
    own = (calibration() if table is None else table)[kind]
    log = np.full(len(next(iter(cues.values()))), own["bias"])
    for name, line in own["cues"].items():
        value = np.where(np.isfinite(cues[name]), cues[name], line["middle"])
        log = log + line["weight"] * (np.clip(value, line["low"], line["high"]) - line["middle"])
    usual = own["cues"].get("depth", {"middle": 0.0, "high": np.inf})
    depth = np.where(np.isfinite(cues["depth"]), cues["depth"], usual["middle"])
    log = log + np.maximum(depth - usual["high"], 0.0)
    return np.hypot(np.exp(log), own["of_depth"] * np.exp(depth))


def hand_cues(
    hand: Hand,
    track: PoseTrack,
    camera: Camera,
    config: MotionConfig,
    spread_m: np.ndarray | None = None,
    own_depth_m: np.ndarray | None = None,
    shoulder_m: np.ndarray | None = None,
) -> Cues:
    """Cues (`SIGNS`) of one fitted hand.

    `spread_m` (t) is the wrist's by the normal equations, `own_depth_m` (t) the depth of the hand fitted without its
    arm, `shoulder_m` (t) that of its shoulder.
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

    depth_m = np.where(hand.seen, hand.p_wrist[:, 2], np.nan)
    return {
        "spread": nothing if spread_m is None else np.log(spread_m),
        "misfit": np.log(0.01 + everywhere(misfit)),
        "usual": np.full(len(real), np.log(0.01 + np.median(misfit))),
        "confidence": sureness(everywhere(np.nan_to_num(track.confidence[real]).mean(axis=1))),
        "depth": np.log(depth_m),
        "edge_on": edge_on(hand),
        "behind": nothing if shoulder_m is None else depth_m - shoulder_m,
        "apart": apart,
        "away": np.log1p(_HALF * _away(real)),
    }


def sureness(confidence: np.ndarray) -> np.ndarray:
    """A confidence of 0 to 1 stretched towards 1, where most of them are."""
    return -np.log(1.02 - np.clip(confidence, 0.0, 1.0))


def edge_on(hand: Hand) -> Float64[np.ndarray, " t"]:
    """0 where a palm faces the camera or turns its back to it, 1 where it is seen from the edge; NaN where not seen."""
    out, seen_at = np.full(len(hand.seen), np.nan), hand.seen
    if seen_at.any():
        normal = geometry.rotate(bones.palm_turn(hand.p_point[seen_at]), np.array([0.0, 0.0, 1.0]))
        out[seen_at] = 1.0 - np.abs((normal * geometry.normalize(hand.p_wrist[seen_at])).sum(axis=-1))
    return out


def body_cues(points: list[int], body: Body, track: PoseTrack, spread_m: np.ndarray, shoulder: int) -> Cues:
    """Cues of a place of the body, by the network's points there; `shoulder` is that of its side."""
    real = body.found & (body.seen & ~body.imputed)[:, points].any(axis=1)
    nothing = np.full(len(real), np.nan)
    depth_m = np.where(body.found[:, None], body.p_camera[..., 2], np.nan)
    return {
        "spread": np.log(spread_m),
        "misfit": nothing,
        "usual": nothing,
        "confidence": sureness(np.nan_to_num(track.confidence[:, points]).mean(axis=1)),
        "depth": np.log(depth_m[:, points].mean(axis=1)),
        "edge_on": nothing,
        "behind": depth_m[:, points].mean(axis=1) - depth_m[:, shoulder],
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
