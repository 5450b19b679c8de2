"""Bone lengths: one set per clip, scaled to a person's height, and points hung on bones of constant length.

Proportions of the height: hand length .108, torso, thigh and shank after Winter, "Biomechanics and Motor Control of
Human Movement", figure 4.1 (segments after Drillis and Contini); shoulder and hip width between joint centres.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry, skeletons

HAND_OF_HEIGHT = 0.108
HAND_PARENT = np.array([-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19])
PALM = (0, 1, 5, 9, 13, 17)
# In hand lengths (wrist to middle fingertip along the bones): medians over four real hands that face the camera, as
# the hand network places its points; they agree within .02. The network's lengths in other views are far off.
_MIDDLE = float(np.linalg.norm([0.530, 0.050, 0.022])) + 0.188 + 0.140 + 0.146
_PALM_SHAPE = (
    np.array(
        [
            *([0, 0, 0], [0.140, 0.145, -0.060], [0.520, 0.180, -0.015]),
            *([0.530, 0.050, 0.022], [0.505, -0.060, 0.010], [0.435, -0.170, -0.015]),
        ]
    )
    / _MIDDLE
)
_FINGER_BONES = {2: 0.180, 3: 0.196, 4: 0.170, 6: 0.151, 7: 0.120, 8: 0.140, 10: 0.188, 11: 0.140, 12: 0.146}
_FINGER_BONES |= {14: 0.168, 15: 0.130, 16: 0.132, 18: 0.124, 19: 0.115, 20: 0.100}
_HAND_PROPORTIONS = np.zeros(21)
_HAND_PROPORTIONS[list(PALM)] = np.linalg.norm(_PALM_SHAPE, axis=1)
_HAND_PROPORTIONS[list(_FINGER_BONES)] = np.array(list(_FINGER_BONES.values())) / _MIDDLE
_BODY = skeletons.skeleton("body33")
# (bones that share a length, share of the height): between the literature and what the pose network says of real
# people, who come out a little shorter; arms are flattened most, so they count little for the size
_ARM_WEIGHT, ARM_SEGMENTS = 0.2, (1, 2)
BODY_SEGMENTS: tuple[tuple[tuple[tuple[str, str], ...], float], ...] = (
    ((("left_shoulder", "right_shoulder"),), 0.205),
    ((("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow")), 0.172),
    ((("left_elbow", "left_wrist"), ("right_elbow", "right_wrist")), 0.150),
    ((("left_shoulder", "left_hip"), ("right_shoulder", "right_hip")), 0.283),
    ((("left_hip", "left_knee"), ("right_hip", "right_knee")), 0.240),
    ((("left_knee", "left_ankle"), ("right_knee", "right_ankle")), 0.232),
)


def hand_lengths(height_m: float) -> Float64[np.ndarray, " 21"]:
    """Length in metres of the bone that ends in each hand point, for a person of that height; 0 for the wrist."""
    return _HAND_PROPORTIONS * (HAND_OF_HEIGHT * height_m)


def palm_points(side: str, height_m: float) -> Float64[np.ndarray, "6 3"]:
    """The rigid part of a hand (points `PALM`) in the axes of `palm_turn`, metres, for a person of that height."""
    return _PALM_SHAPE * (HAND_OF_HEIGHT * height_m) * np.array([1.0, 1.0, 1.0 if side == "right" else -1.0])


def hand_directions(points: Float64[np.ndarray, "t 21 3"]) -> Float64[np.ndarray, "t 21 3"]:
    """Unit vectors along the bone that ends in each hand point; zero for the wrist."""
    out = np.zeros_like(points)
    out[:, 1:] = geometry.normalize(points[:, 1:] - points[:, HAND_PARENT[1:]])
    return out


def hang_hand(
    direction: Float64[np.ndarray, "t 21 3"], lengths: Float64[np.ndarray, " 21"]
) -> Float64[np.ndarray, "t 21 3"]:
    """Hand points from the wrist (at the origin) outwards along bone directions of constant length."""
    points = np.zeros_like(direction)
    for i in range(1, 21):
        points[:, i] = points[:, HAND_PARENT[i]] + lengths[i] * direction[:, i]
    return points


def palm_turn(points: Float64[np.ndarray, "t 21 3"]) -> Float64[np.ndarray, "t 4"]:
    """Orientation of the palm: x from the wrist to the knuckles, y from the little finger's side to the index's."""
    forward = geometry.normalize(points[:, [5, 9, 13, 17]].mean(axis=1) - points[:, 0])
    across = points[:, 5] - points[:, 17]
    across = geometry.normalize(across - (across * forward).sum(-1, keepdims=True) * forward)
    return geometry.quat_from_matrix(np.stack([forward, across, np.cross(forward, across)], axis=-1))


def body_scale(points: Float64[np.ndarray, "t 33 3"], seen: np.ndarray, height_m: float) -> tuple[float, np.ndarray]:
    """Factor that brings the network's body to a person of that height, and each segment's length after it (6).

    The factor is the mean over segments, weighted by length and share of frames seen, of expected over median
    length. Segments that were never seen get the expected length; arms are at least .9 of it. `seen` (t 33) marks
    trusted points.
    """
    ratios, weights, measured = [], [], []
    for bones, share in BODY_SEGMENTS:
        found = []
        for bone in bones:
            a, b = _BODY.indices(*bone)
            both = seen[:, a] & seen[:, b]
            found.append(np.linalg.norm(points[both, a] - points[both, b], axis=-1))
        lengths = np.concatenate(found)
        measured.append(float(np.median(lengths)) if len(lengths) else np.nan)
        if len(lengths) and measured[-1] > 1e-6:
            ratios.append(np.log(share * height_m / measured[-1]))
            trust = _ARM_WEIGHT if len(measured) - 1 in ARM_SEGMENTS else 1.0
            weights.append(trust * share * len(lengths) / (len(bones) * len(points)))
    factor = float(np.exp(np.average(ratios, weights=weights))) if ratios else 1.0
    expected = np.array([share * height_m for _, share in BODY_SEGMENTS])
    lengths_m = np.where(np.isnan(measured), expected, np.asarray(measured) * factor)
    arms = list(ARM_SEGMENTS)
    lengths_m[arms] = np.maximum(lengths_m[arms], 0.9 * expected[arms])
    return factor, lengths_m
