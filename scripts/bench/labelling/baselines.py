"""What others do frame by frame from the same landmarks, the same camera and the same height.

`hand_pnp`: the hand network's relative points, scaled to the person's hand, placed by perspective-n-point (OpenCV,
refined from the network's own orientation), as in users' scripts around MediaPipe. `wrist_and_depth`: the wrist's pixel
(the hand's where there is one, else the body's) at the depth of the body network's wrist, the body scaled to the height
and placed by PnP.
"""

from __future__ import annotations

import numpy as np

from labelling.errors import Labels
from vidpretrain import skeletons
from vidpretrain.motion import bones

_HAND_OF_HEIGHT = bones.HAND_OF_HEIGHT
_BODY_POINTS = [*range(11, 17), 23, 24]


def hand_pnp(sample) -> Labels:
    """Hands by PnP; every frame on its own."""
    points = {}
    for side, track in _hands(sample).items():
        out = np.full((len(track.time_ns), 21, 3), np.nan)
        for t in np.flatnonzero(track.found):
            relative = np.asarray(track.p_relative_keypoint[t], dtype=float)
            length = np.linalg.norm(np.diff(relative[[0, 9, 10, 11, 12]], axis=0), axis=1).sum()
            shape = relative * (_HAND_OF_HEIGHT * sample.truth.height_m / max(length, 1e-6))
            out[t] = _pnp(shape, track.p_image_keypoint[t], sample.truth.K, list(range(21)))
        points[side] = out
    return Labels(points)


def wrist_and_depth(sample) -> Labels:
    """Wrists alone: pixel of the hand, depth of the body's wrist."""
    track = next(t for t in sample.tracks if t.skeleton == "body33")
    hands, K = _hands(sample), sample.truth.K
    points = {side: np.full((len(track.time_ns), 21, 3), np.nan) for side in skeletons.SIDES}
    for t in np.flatnonzero(track.found):
        relative = np.asarray(track.p_relative_keypoint[t], dtype=float)
        ratio, weight = [], []
        for pairs, share in bones.BODY_SEGMENTS:
            for pair in pairs:
                a, b = skeletons.skeleton("body33").indices(*pair)
                ratio.append(share * sample.truth.height_m / max(np.linalg.norm(relative[a] - relative[b]), 1e-6))
                weight.append(share * track.confidence[t, [a, b]].min())
        shape = relative * np.average(ratio, weights=np.maximum(weight, 1e-6))
        placed = _pnp(shape, track.p_image_keypoint[t], K, _BODY_POINTS)
        for side in skeletons.SIDES:
            k = skeletons.BODY_NAMES.index(f"{side}_wrist")
            hand = hands[side]
            pixel = hand.p_image_keypoint[t, 0] if hand.found[t] else track.p_image_keypoint[t, k]
            ray = np.linalg.inv(K) @ np.array([pixel[0], pixel[1], 1.0])
            points[side][t, 0] = ray * placed[k, 2]
    return Labels(points)


def _hands(sample) -> dict:
    return {side: next(t for t in sample.tracks if t.skeleton == f"hand21_{side}") for side in skeletons.SIDES}


def _pnp(shape: np.ndarray, pixel: np.ndarray, K: np.ndarray, used: list[int]) -> np.ndarray:
    """The shape's points in the camera's frame, NaN where PnP fails or puts them behind the camera."""
    import cv2

    f = 0.5 * (K[0, 0] + K[1, 1])
    spread = np.linalg.norm(pixel[used] - pixel[used].mean(axis=0), axis=1).mean()
    depth = f * np.linalg.norm(shape[used] - shape[used].mean(axis=0), axis=1).mean() / max(spread, 1e-6)
    middle = np.append((pixel[used].mean(axis=0) - K[:2, 2]) / f, 1.0) * depth
    turn, shift = np.zeros((3, 1)), (middle - shape[used].mean(axis=0))[:, None]
    ok, turn, shift = cv2.solvePnP(
        shape[used], pixel[used].astype(float), K, None, turn, shift, True, cv2.SOLVEPNP_ITERATIVE
    )
    if not ok:
        return np.full_like(shape, np.nan)
    placed = shape @ cv2.Rodrigues(turn)[0].T + shift[:, 0]
    return placed if placed[:, 2].min() > 0.02 else np.full_like(shape, np.nan)
