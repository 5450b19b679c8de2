"""Sightings as tracks on the clip's time grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.observations import BodySighting, HandSighting
from vidpretrain.pose.palms import mended
from vidpretrain.types import Clip, PoseTrack
from vidpretrain.video import VideoInfo, frame_range

Tracks = tuple[PoseTrack, PoseTrack, PoseTrack]
PERSON = "p0"
TOLD = 0.6  # least confidence in a hand at the body's wrist, whatever its label
_ORIGIN_TRUST = {"frame": 1.0, "crop": 0.9, "light": 0.9, "near": 0.9, "edge": 0.8, "tile": 0.7}


def frame_indices(clip: Clip, info: VideoInfo, config: PoseConfig) -> range:
    """Indices of the clip's frames that are looked at: all, or every n-th to stay at `max_rate_hz`."""
    start, stop = frame_range(info, clip)
    stride = config.frame_stride
    if stride is None:
        stride = max(1, int(np.ceil(info.average_rate_hz / config.max_rate_hz - 0.05)))
    return range(start, stop, stride)


def hand_track(
    clip: Clip,
    time_ns: Int64[np.ndarray, " t"],
    hands: Sequence[HandSighting | None],
    side: str,
    told: Sequence[bool] | None = None,
) -> PoseTrack:
    """A hand's track, with relative points that are a hand's of that side (`palms.mended`).

    Confidence is the label's score, halved where the label contradicts the side; where the body `told` the side of a
    hand far from the camera, whose label means little, it is at least `TOLD`.
    """
    image, relative, confidence = _empty(len(time_ns), 21)
    for t, hand in enumerate(hands):
        if hand is None:
            continue
        image[t], relative[t] = hand.p_image, mended(hand.p_relative, side)
        of_side = hand.p_left if side == "left" else 1.0 - hand.p_left
        score = of_side if of_side >= 0.5 else 0.5 * (1.0 - of_side)
        if told is not None and told[t]:
            score = max(score, TOLD)
        confidence[t] = score * _ORIGIN_TRUST[hand.origin]
    return _track(clip, f"hand21_{side}", time_ns, image, relative, confidence)


def body_track(clip: Clip, time_ns: Int64[np.ndarray, " t"], bodies: Sequence[BodySighting | None]) -> PoseTrack:
    """A body's track; confidence is the visibility of each point (at least .001 where a body was found)."""
    image, relative, confidence = _empty(len(time_ns), 33)
    for t, body in enumerate(bodies):
        if body is not None:
            image[t], relative[t] = body.p_image, body.p_relative
            confidence[t] = np.maximum(body.visibility, 1e-3)
    return _track(clip, "body33", time_ns, image, relative, confidence)


def _empty(t: int, k: int):
    return np.full((t, k, 2), np.nan), np.full((t, k, 3), np.nan), np.zeros((t, k))


def _track(clip: Clip, skeleton: str, time_ns, image, relative, confidence) -> PoseTrack:
    return PoseTrack(
        clip_id=clip.clip_id,
        person_id=PERSON,
        skeleton=skeleton,
        time_ns=np.asarray(time_ns, dtype=np.int64),
        p_image_keypoint=image,
        p_relative_keypoint=relative,
        confidence=confidence,
    )
