"""Clips whose people cannot be measured: bodies that jump, scales nobody knows, networks that contradict each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vidpretrain import skeletons, timebase
from vidpretrain.motion.config import MotionConfig
from vidpretrain.pose.reject_config import RejectConfig
from vidpretrain.types import Camera, PoseTrack, Reason, Reject

_AT = skeletons.skeleton("body33").index
_SHOULDERS, _HIPS = ([_AT(f"{side}_{part}") for side in skeletons.SIDES] for part in ("shoulder", "hip"))
_TORSO_OF_HEIGHT = 0.283


def refuse(
    tracks: Mapping[str, PoseTrack],
    camera: Camera,
    view: str,
    body_seen: bool,
    config: MotionConfig,
    limits: RejectConfig,
) -> Reject | None:
    """TELEPORTING, SCALE_UNKNOWN or NETWORKS_DISAGREE, or None; thresholds are `limits`.

    The body counts where it is the person's: in third person and not made up (`body_seen`).
    """
    body = tracks["body33"]
    torso_px, ok = _torso(body, config)
    if view == "third" and body_seen and (found := _teleporting(body, torso_px, ok, config, limits)):
        return found
    if found := _scale(camera, config, limits):
        return found
    return _disagreeing(tracks, torso_px, ok, config, limits) if view == "third" and body_seen else None


def _torso(body: PoseTrack, config: MotionConfig) -> tuple[np.ndarray, np.ndarray]:
    """(length of the torso, or of the shoulders if that is more, in pixels; frames in which these are seen)."""
    points = [*_SHOULDERS, *_HIPS]
    p = body.p_image_keypoint
    ok = np.isfinite(p[:, points]).all(axis=(1, 2)) & (body.confidence[:, points] >= config.min_visibility).all(axis=1)
    length = np.linalg.norm(p[:, _SHOULDERS].mean(axis=1) - p[:, _HIPS].mean(axis=1), axis=-1)
    across = np.linalg.norm(p[:, _SHOULDERS[0]] - p[:, _SHOULDERS[1]], axis=-1)
    return np.maximum(length, across), np.asarray(ok)


def _teleporting(
    body: PoseTrack, torso_px: np.ndarray, ok: np.ndarray, config: MotionConfig, limits: RejectConfig
) -> Reject | None:
    step_s = np.diff(body.time_ns) / timebase.NS_PER_S
    both = ok[1:] & ok[:-1]
    if not both.any():
        return None
    size = torso_px[1:], torso_px[:-1]
    middle = body.p_image_keypoint[:, _SHOULDERS].mean(axis=1)
    moved = np.linalg.norm(np.diff(middle, axis=0), axis=-1)[both]
    larger, smaller = np.maximum(*size)[both], np.maximum(np.minimum(*size)[both], 1e-6)
    metres = moved / np.maximum(larger, 1.0) * _TORSO_OF_HEIGHT * config.person_height_m
    jumps = (metres / step_s[both] > limits.max_body_speed_m_s) | (larger / smaller > limits.max_size_step)
    share = float(jumps.mean())
    if share <= limits.max_body_jumps:
        return None
    detail = f"{share:.0%} of the body's steps are no person's; {limits.max_body_jumps:.0%} may be"
    return Reject(reason=Reason.TELEPORTING, detail=detail)


def _scale(camera: Camera, config: MotionConfig, limits: RejectConfig) -> Reject | None:
    size = config.size_uncertainty if config.height_m is None else 0.0
    lens = config.fov_uncertainty if camera.intrinsics_from == "assumed" else 0.0
    sigma = float(np.hypot(size, lens))
    if sigma <= limits.max_scale_sigma:
        return None
    unknown = " and ".join([*(["height"] if size else []), *(["lens"] if lens else [])])
    detail = f"distances are known to {sigma:.0%}, {limits.max_scale_sigma:.0%} are wanted; give the {unknown}"
    return Reject(reason=Reason.SCALE_UNKNOWN, detail=detail)


def _disagreeing(
    tracks: Mapping[str, PoseTrack], torso_px: np.ndarray, ok: np.ndarray, config: MotionConfig, limits: RejectConfig
) -> Reject | None:
    body = tracks["body33"]
    apart = []
    for side in skeletons.SIDES:
        hand, wrist = tracks[f"hand21_{side}"], _AT(f"{side}_wrist")
        sure = ok & (body.confidence[:, wrist] >= config.min_visibility)
        sure &= np.nan_to_num(hand.confidence).mean(axis=1) >= config.min_hand_confidence
        off = hand.p_image_keypoint[sure, 0] - body.p_image_keypoint[sure, wrist]
        apart.append(np.linalg.norm(off, axis=-1) / np.maximum(torso_px[sure], 1.0))
    every = np.concatenate(apart)
    every = every[np.isfinite(every)]
    if len(every) < limits.min_compared:
        return None
    share = float((every > limits.max_wrist_apart).mean())
    if share <= limits.max_contradicting_share:
        return None
    detail = (
        f"{share:.0%} of {len(every)} hands are away from the body's wrist; {limits.max_contradicting_share:.0%} may be"
    )
    return Reject(reason=Reason.NETWORKS_DISAGREE, detail=detail)
