"""From a robot's palm to a person's wrist and back, and fingers that stop at what they hold. NumPy alone.

Palms and wrists have x along the hand and z out of its back, for robots and people alike (`sim.posing.palm_frame`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64

from vidpretrain import geometry
from vidpretrain.synth.tasks.trace import Primitive

PALM_M = 0.016  # of a person: from the plane of the joints to the skin of the palm
PAD_M = 0.0085  # from a finger's joint to its skin
THING_M = 0.03  # half as thick as what is usually held
PRONATED_RAD = 0.4
_ALONG = 0.92  # of the way from the wrist to the middle knuckle, a grasped thing lies
LEVELS = np.linspace(-0.6, 1.0, 41)  # of a finger's closure that are looked at
_LEAST = np.array([-0.6, 0.0, 0.0, 0.0, 0.0])  # a thumb gives way outwards


def wrist_of_palm(
    T_palm: Float[np.ndarray, "*b 7"], grip: Float[np.ndarray, " 2"], knuckle_m: float, side: str
) -> Float64[np.ndarray, "*b 7"]:
    """Where a person's wrist is when the hand has a thing where the robot's hand has it.

    Args:
        grip: the robot's, see `Trace.grip`. `knuckle_m`: from the person's wrist to the middle knuckle.
    """
    return geometry.compose(T_palm, np.broadcast_to(_offset(grip, knuckle_m, side), np.shape(T_palm)))


def palm_of_wrist(
    T_wrist: Float[np.ndarray, "*b 7"], grip: Float[np.ndarray, " 2"], knuckle_m: float, side: str
) -> Float64[np.ndarray, "*b 7"]:
    """The inverse of `wrist_of_palm`: the robot's palm that has a thing where the person's hand has it."""
    back = geometry.inverse(_offset(grip, knuckle_m, side))
    return geometry.compose(T_wrist, np.broadcast_to(back, np.shape(T_wrist)))


def _offset(grip: np.ndarray, knuckle_m: float, side: str) -> np.ndarray:
    """T_palm_wrist: the middle of a thing of `THING_M` in both hands at one place, the person's turned palm down.

    Robots take upright things with the thumb on top; people turn the forearm less far.
    """
    robot = np.array([grip[0], 0.0, -(grip[1] + THING_M)])
    person = np.array([_ALONG * knuckle_m, 0.0, -(PALM_M + THING_M)])
    turn = geometry.quat_exp(np.array([PRONATED_RAD if side == "left" else -PRONATED_RAD, 0.0, 0.0]))
    return geometry.pose(turn, robot - geometry.rotate(turn, person))


def distance(points: Float[np.ndarray, "*b 3"], shape: Primitive) -> Float64[np.ndarray, "*b"]:
    """Signed distance (m) of points in the thing's frame to a shape, negative inside."""
    p = geometry.transform(geometry.inverse(shape.T_thing_shape), points)
    x, y, z = shape.size_m
    if shape.kind == "sphere":
        return np.linalg.norm(p, axis=-1) - x
    if shape.kind == "capsule":
        rest = np.maximum(np.abs(p[..., 2]) - y, 0.0)
        return np.hypot(np.hypot(p[..., 0], p[..., 1]), rest) - x
    if shape.kind == "cylinder":
        over = np.stack([np.hypot(p[..., 0], p[..., 1]) - x, np.abs(p[..., 2]) - y], axis=-1)
    else:
        over = np.abs(p) - np.array([x, y, z])
    return np.linalg.norm(np.maximum(over, 0.0), axis=-1) + np.minimum(over.max(axis=-1), 0.0)


def stopped(
    closed: Float[np.ndarray, "t 5"],
    T_wrist: Float[np.ndarray, "t 7"],
    hand: Float[np.ndarray, "l 21 3"],
    levels: Float[np.ndarray, " l"],
    things: Sequence[tuple[Float[np.ndarray, "t 7"], Sequence[Primitive]]],
) -> Float64[np.ndarray, "t 5"]:
    """The closures, each finger's no farther than where its pads come to the skin of a thing.

    Args:
        hand: the person's 21 points in the wrist's frame for closures `levels`, all fingers alike.
        things: poses in the frame of `T_wrist` and shapes of what can be touched.
    """
    chain = hand[:, 1:].reshape(len(hand), 5, 4, 3)
    pads = np.concatenate([chain[:, :, 1:], 0.5 * (chain[:, :, 2:3] + chain[:, :, 3:4])], axis=2)
    out = np.array(closed, dtype=float)
    for t, T in enumerate(np.asarray(T_wrist, dtype=float)):
        gap = np.full((len(hand), 5), np.inf)
        for poses, shapes in things:
            if np.linalg.norm(poses[t, 4:] - T[4:]) > 0.5:
                continue
            T_thing_wrist = geometry.compose(geometry.inverse(poses[t]), T)
            points = geometry.transform(T_thing_wrist, pads)
            for shape in shapes:
                gap = np.minimum(gap, distance(points, shape).min(axis=2))
        touch = gap <= PAD_M
        first = np.where(touch.any(axis=0), levels[touch.argmax(axis=0)], np.inf)
        out[t] = np.minimum(out[t], np.maximum(first, _LEAST))
    return out
