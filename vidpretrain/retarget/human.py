"""Frames and sizes of a person, read off the keypoints: torso, hands, bone lengths, and whether a hand is mirrored.

Hand frame, for robots and people alike: origin at the wrist, x towards the middle finger's knuckle, z out of the back
of the hand, y = z cross x (so y points to the thumb on a right hand and away from it on a left one).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import gaussian_filter1d

from vidpretrain import geometry
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.skeletons import HAND_NAMES

HANDEDNESS_MARGIN = 0.35
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_CHAINS = {
    finger: [HAND_NAMES.index(f"{finger}_{part}") for part in parts]
    for finger, parts in zip(FINGERS, [("cmc", "mcp", "ip", "tip")] + [("mcp", "pip", "dip", "tip")] * 4, strict=True)
}
_WRIST, _INDEX, _MIDDLE, _PINKY = (HAND_NAMES.index(name) for name in ("wrist", "index_mcp", "middle_mcp", "pinky_mcp"))


def chain(finger: str) -> list[int]:
    """Indices in `hand21` of a finger's four points, base to tip."""
    return _CHAINS[finger]


def frame(x: Float64[np.ndarray, "t 3"], near_z: Float64[np.ndarray, "t 3"]) -> Float64[np.ndarray, "t 4"]:
    """Rotations whose x axis is `x` and whose z axis is `near_z` made perpendicular to it."""
    x = geometry.normalize(x)
    y = geometry.normalize(np.cross(near_z, x))
    return geometry.quat_from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1))


def hand_rotation(p_hand: Float64[np.ndarray, "t 21 3"], side: str) -> Float64[np.ndarray, "t 4"]:
    """q_world_hand from the knuckles; NaN where a point is missing. The side decides which face is the back."""
    forward = p_hand[:, _MIDDLE] - p_hand[:, _WRIST]
    across = p_hand[:, _INDEX] - p_hand[:, _PINKY]
    back = np.cross(forward, across)
    return frame(forward, back if side == "right" else -back)


def in_hand(p_hand: Float64[np.ndarray, "t 21 3"], side: str) -> Float64[np.ndarray, "t 21 3"]:
    """p_wrist_keypoint: the points in the hand's own frame."""
    q = geometry.quat_inverse(hand_rotation(p_hand, side))
    return geometry.rotate(q[:, None], p_hand - p_hand[:, :1])


def bend(p_hand: Float64[np.ndarray, "t 21 3"], side: str) -> Float64[np.ndarray, " t"]:
    """Mean bend of the two outer joints of the four fingers in rad, positive towards the palm that `side` implies."""
    points = in_hand(p_hand, side)
    angles = []
    for finger in FINGERS[1:]:
        bones = np.diff(points[:, _CHAINS[finger]], axis=1)
        sine = np.cross(bones[:, :-1], bones[:, 1:])[..., 1]
        angles.append(np.arctan2(sine, (bones[:, :-1] * bones[:, 1:]).sum(-1)))
    return np.concatenate(angles, axis=1).mean(axis=1)


def handedness(p_hand: Float64[np.ndarray, "t 21 3"], side: str) -> Float64[np.ndarray, " t"]:
    """Evidence in rad that the hand is of `side`: positive for, negative against (a mirror image), near 0 for none.

    A healthy finger bends back by a few degrees at most, and the thumb stays at or below the palm's plane; so it is
    the fingers' bend minus the thumb's height over the palm in palm lengths. A flat hand says little.
    """
    points = in_hand(p_hand, side)
    palm = np.linalg.norm(points[:, _MIDDLE], axis=-1)
    thumb_up = points[:, _CHAINS["thumb"][1:], 2].mean(axis=1) / np.maximum(palm, 1e-6)
    return bend(p_hand, side) - thumb_up


def hand_span(p_hand: Float64[np.ndarray, "t 21 3"]) -> Float64[np.ndarray, " t"]:
    """Wrist to middle knuckle in metres: .08 to .1 for grown people."""
    return np.linalg.norm(p_hand[:, _MIDDLE] - p_hand[:, _WRIST], axis=-1)


def finger_length(p_hand: Float64[np.ndarray, "t 21 3"], finger: str) -> float:
    """Median length of a finger, base to tip along its bones, in metres; independent of its pose."""
    bones = np.linalg.norm(np.diff(p_hand[:, _CHAINS[finger]], axis=1), axis=-1)
    return float(np.nanmedian(bones.sum(axis=1)))


def torso(grid: GridMotion, smooth_s: float = 0.1) -> tuple[Float64[np.ndarray, "t 7"], Bool[np.ndarray, " t"]]:
    """T_world_torso (origin between the shoulders, x forward, y left, z up) and the frames in which it was seen.

    Missing frames are interpolated; without hips, up is the world's. A frame whose shoulders or trunk are far longer
    or shorter than in the clip's middle is not seen: the pose network has jumped to something else. The rotation is
    smoothed over `smooth_s`, because depth from one picture trembles and a trunk does not.
    """
    left, right = grid.point("left_shoulder"), grid.point("right_shoulder")
    seen = grid.seen("left_shoulder", "right_shoulder")
    hips = grid.seen("left_hip", "right_hip")
    middle = 0.5 * (left + right)
    up = middle - 0.5 * (grid.point("left_hip") + grid.point("right_hip"))
    seen = seen & _steady(np.linalg.norm(left - right, axis=1), seen)
    seen = seen & (_steady(np.linalg.norm(up, axis=1), hips & seen) | ~hips)
    up = np.where(hips[:, None], up, np.array([0.0, 0.0, 1.0]))
    axes = np.concatenate([left - right, geometry.normalize(up), middle], axis=1)
    if not seen.any():
        return np.full((len(seen), 7), np.nan), seen
    axes = fill(axes, seen)
    step_s = float(np.median(np.diff(grid.time_ns))) * 1e-9 if len(seen) > 1 else 1.0
    axes[:, :6] = gaussian_filter1d(axes[:, :6], smooth_s / step_s, axis=0, mode="nearest")
    y = geometry.normalize(axes[:, :3])
    x = geometry.normalize(np.cross(y, axes[:, 3:6]))
    return geometry.pose(geometry.quat_from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1)), axes[:, 6:]), seen


def _steady(length: Float64[np.ndarray, " t"], known: Bool[np.ndarray, " t"]) -> Bool[np.ndarray, " t"]:
    """Frames in which a length that cannot change is within half as much again of its median, up or down."""
    known = known & np.isfinite(length) & (length > 0)
    if not known.any():
        return known
    out = known.copy()
    out[known] = np.abs(np.log(length[known] / np.median(length[known]))) < np.log(1.5)
    return out


def face_ahead(grid: GridMotion, T_world_torso: Float64[np.ndarray, "t 7"]) -> float:
    """How far the nose is before the ears along the trunk's forward axis, median of the clip in metres; NaN unseen.

    About .13 on real people, whatever they do; negative means that left and right are exchanged.
    """
    ears = 0.5 * (grid.point("left_ear") + grid.point("right_ear"))
    ahead = geometry.rotate(geometry.quat_inverse(T_world_torso[:, :4]), grid.point("nose") - ears)[:, 0]
    known = np.isfinite(ahead)
    return float(np.median(ahead[known])) if known.any() else float("nan")


def fill(value: Float64[np.ndarray, "t n"], known: Bool[np.ndarray, " t"]) -> Float64[np.ndarray, "t n"]:
    """Rows that are not known, interpolated from those that are and held at the ends."""
    index = np.arange(len(value))
    return np.stack([np.interp(index, index[known], column[known]) for column in value.T], axis=1)


def limb_length(grid: GridMotion, *names: str) -> float:
    """Median length of the polyline through these keypoints in metres, NaN where it was never seen."""
    seen = grid.seen(*names)
    if not seen.any():
        return float("nan")
    track = np.stack([grid.point(name)[seen] for name in names], axis=1)
    return float(np.median(np.linalg.norm(np.diff(track, axis=1), axis=-1).sum(axis=1)))
