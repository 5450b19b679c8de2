"""One hand, frame by frame: a palm of known shape, fingers of known length, the network's bends and the image points.

The network's image points are good to a few percent of the hand; its relative points are flat and their bones wrong
except where the palm faces the camera. So the palm is a rigid body placed by its image points, starting from the
network's orientation; fingers start from the network's bends in the palm's axes; then each bone is led to where its
end is seen, on the side of the image plane that the network says (Taylor 2000, "Reconstruction of articulated objects
from point correspondences in a single uncalibrated image").
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.motion import bones
from vidpretrain.motion.camera import ray_rotation
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.place import Placement, place

_ROUNDS, _LEAD = 3, 0.5  # how often, and how far of the way each time, a bone is led to its image point
_FINGER_POINTS = tuple(i for i in range(21) if i not in bones.PALM)


def fit_hand(
    p_relative: Float64[np.ndarray, "t 21 3"],
    ray: Float64[np.ndarray, "t 21 2"],
    weight: Float64[np.ndarray, "t 21"],
    side: str,
    config: MotionConfig,
) -> tuple[Float64[np.ndarray, "t 21 3"], Placement]:
    """(points relative to the wrist in camera axes, m; where the wrist is, and the error) of one side's hand.

    `ray` are image points as (x / z, y / z). Bones have the lengths of `bones.hand_lengths`; NaN where there is no
    solution.
    """
    height_m = config.person_height_m
    lengths, palm = bones.hand_lengths(height_m), bones.palm_points(side, height_m)
    seen = geometry.rotate(ray_rotation(ray.mean(axis=1))[:, None], p_relative)
    q_seen = bones.palm_turn(seen)
    bend = geometry.rotate(geometry.quat_inverse(q_seen)[:, None], bones.hand_directions(seen))
    q = _palm_orientation(palm, q_seen, ray, weight, config)
    fixed = geometry.rotate(q[:, None], palm)
    direction = geometry.rotate(q[:, None], bend)
    shape = _hang(fixed, direction, lengths)
    spot = place(shape, ray, weight, np.radians(1.0))
    for _ in range(_ROUNDS):
        direction = _lead(shape + np.nan_to_num(spot.p)[:, None], direction, ray, lengths)
        shape = _hang(fixed, direction, lengths)
        spot = place(shape, ray, weight, np.radians(1.0))
    return geometry.rotate(spot.q[:, None], shape), spot


def _palm_orientation(palm, q_seen, ray, weight, config: MotionConfig) -> np.ndarray:
    index = list(bones.PALM)
    size = 3.0 * np.linalg.norm(ray - ray.mean(axis=1, keepdims=True), axis=-1).mean(axis=1)
    noise = np.maximum(config.hand_noise * size, config.hand_noise_floor)
    weight = weight[:, index] * np.array([1.0, 0.5, 1.0, 1.0, 1.0, 1.0])  # the thumb's base moves
    rigid = geometry.rotate(q_seen[:, None], palm)
    spot = place(rigid, ray[:, index], weight, np.radians(config.palm_rotation_sigma_deg), iterations=12, noise=noise)
    turn = np.where(np.isfinite(spot.q), spot.q, np.array([1.0, 0, 0, 0]))
    return geometry.quat_mul(turn, q_seen)


def _hang(fixed, direction, lengths) -> np.ndarray:
    points = np.zeros_like(direction)
    points[:, list(bones.PALM)] = fixed
    for i in _FINGER_POINTS:
        points[:, i] = points[:, bones.HAND_PARENT[i]] + lengths[i] * direction[:, i]
    return points


def _lead(at, direction, ray, lengths) -> np.ndarray:
    """Directions led towards the two points of each ray that are a bone's length away, the one nearer to them."""
    at, out = at.copy(), direction.copy()
    unit = geometry.normalize(np.concatenate([ray, np.ones((*ray.shape[:2], 1))], axis=-1))
    for i in _FINGER_POINTS:
        parent, u = at[:, bones.HAND_PARENT[i]], unit[:, i]
        along = (parent * u).sum(axis=-1)
        half = np.sqrt(np.maximum(lengths[i] ** 2 - ((parent**2).sum(axis=-1) - along**2), 0.0))
        near = u * (along - half)[:, None] - parent
        far = u * (along + half)[:, None] - parent
        nearer = ((near - far) * direction[:, i]).sum(axis=-1, keepdims=True) > 0
        target = geometry.normalize(np.where(nearer, near, far))
        out[:, i] = geometry.normalize(_LEAD * target + (1 - _LEAD) * direction[:, i])
        at[:, i] = parent + lengths[i] * out[:, i]
    return out
