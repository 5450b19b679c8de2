"""How far people and hands move in the picture: mannequins, paintings and still pictures do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain.pose.observations import BodySighting
from vidpretrain.timebase import NS_PER_S
from vidpretrain.types import PoseTrack

_MIDDLE = [0, 9, 10, 11, 12]
_ARMS = [0, *range(11, 17)]  # head and arms; hips are mostly guessed
_CALM_S = 0.15
_SEEN = 0.5


def travel(p: Float64[np.ndarray, "t k 2"], size: Float64[np.ndarray, " t"], time_ns: Int64[np.ndarray, " t"]) -> float:
    """How far the point that moves most goes, in sizes; 0 for fewer than five frames.

    From the 5th to the 95th percentile of running medians, so that neither jitter nor a single bad frame counts.
    """
    if len(p) < 5 or p.shape[1] == 0:
        return 0.0
    half = max(2, round(_CALM_S * NS_PER_S / float(np.median(np.diff(time_ns)))))
    calm = np.stack([np.median(p[max(0, t - half) : t + half + 1], axis=0) for t in range(len(p))])
    low, high = np.percentile(calm, [5, 95], axis=0)
    return float(np.linalg.norm(high - low, axis=-1).max() / max(float(np.median(size)), 1.0))


def motion_of(track: PoseTrack) -> float:
    """`travel` of a hand in hand lengths, or of a body's head and arms, where they are seen, in torso lengths."""
    rows = np.flatnonzero(track.found)
    p, time_ns = track.p_image_keypoint[rows], np.asarray(track.time_ns)[rows]
    if track.skeleton != "body33":
        return travel(p, np.linalg.norm(np.diff(p[:, _MIDDLE], axis=1), axis=-1).sum(-1), time_ns)
    torso = np.linalg.norm(p[:, 11:13].mean(1) - p[:, 23:25].mean(1), axis=-1)
    size = np.maximum(torso, np.linalg.norm(p[:, 11] - p[:, 12], axis=-1))
    chosen = [k for k in _ARMS if len(rows) and np.median(track.confidence[rows, k]) > _SEEN]
    return travel(p[:, chosen], size, time_ns)


def person_motion(bodies: Sequence[BodySighting | None], time_ns: Int64[np.ndarray, " t"]) -> float:
    """`travel` of one person's head and arms in torso lengths."""
    rows = [t for t, body in enumerate(bodies) if body is not None]
    found = [body for body in bodies if body is not None]
    if not found:
        return 0.0
    p = np.stack([body.p_image for body in found])
    sight = np.median(np.stack([body.visibility for body in found]), axis=0)
    chosen = [k for k in _ARMS if sight[k] > _SEEN]
    return travel(p[:, chosen], np.array([body.size_px for body in found]), np.asarray(time_ns)[rows])
