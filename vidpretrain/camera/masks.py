"""Where people are in a picture, from the points that the pose network found: what is left is background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from vidpretrain.camera.lens import opencv
from vidpretrain.types import PoseTrack

_BODY_MARGIN, _HAND_MARGIN = 0.25, 0.45  # of the torso's and of the hand's length
_FOREARM = 3.5  # lengths of the hand from the wrist, away from the fingers
_MIDDLE = [0, 9, 10, 11, 12]
_LARGEST = 0.85  # of the picture: a body that covers more was made up by the network


def background(
    tracks: Sequence[PoseTrack], frame: int, shape: tuple[int, int], scale: float
) -> UInt8[np.ndarray, "h w"]:
    """255 where no person is, 0 where one may be, in a picture of `shape` that is `scale` times the full one."""
    hands = np.full(shape, 255, dtype=np.uint8)
    for track in tracks:
        if track.skeleton.startswith("hand21"):
            _hand(hands, track.p_image_keypoint[frame] * scale)
    both = hands.copy()
    for track in tracks:
        if not track.skeleton.startswith("hand21"):
            _body(both, track.p_image_keypoint[frame] * scale)
    return hands if np.mean(both == 0) > _LARGEST else both


def _hull(mask: np.ndarray, points: Float[np.ndarray, "n 2"], margin_px: float) -> None:
    cv2 = opencv()
    limit = 4.0 * max(mask.shape)
    hull = cv2.convexHull(np.clip(points, -limit, limit).astype(np.float32)).astype(np.int32)
    cv2.fillConvexPoly(mask, hull, 0)
    cv2.polylines(mask, [hull], True, 0, max(1, round(2 * margin_px)))


def _body(mask: np.ndarray, points: np.ndarray) -> None:
    if not np.isfinite(points).all():
        return
    torso = np.linalg.norm(points[11:13].mean(0) - points[23:25].mean(0))
    width = np.linalg.norm(points[11] - points[12])
    _hull(mask, points, _BODY_MARGIN * max(float(torso), float(width)))


def _hand(mask: np.ndarray, points: np.ndarray) -> None:
    if not np.isfinite(points).all():
        return
    length = float(np.linalg.norm(np.diff(points[_MIDDLE], axis=0), axis=1).sum())
    _hull(mask, points, _HAND_MARGIN * length)
    away = points[0] - points[[5, 9, 13, 17]].mean(0)
    size = float(np.linalg.norm(away))
    if size > 1e-6:  # the forearm hides as much background as the hand
        end = points[0] + away / size * _FOREARM * length
        opencv().line(
            mask, tuple(points[0].astype(int).tolist()), tuple(end.astype(int).tolist()), 0, max(1, round(0.8 * length))
        )
