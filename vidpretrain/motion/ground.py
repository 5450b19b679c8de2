"""Feet keep a body at its distance: slow drift of depth that lifts the feet off the floor, or sinks them, is undone."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import geometry, timebase
from vidpretrain.motion import clean
from vidpretrain.motion.body import HIPS, Body
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.world import feet_above_floor


def stand_on_floor(
    body: Body,
    hands: dict[str, Hand],
    T_world_camera: Float64[np.ndarray, "t 7"],
    time_ns: Int64[np.ndarray, " t"],
    config: MotionConfig,
) -> tuple[Body, dict[str, Hand]]:
    """(body, hands) moved along the viewing ray of the pelvis so that the lower foot stays near the floor.

    Depth by size is good to a few percent, the floor to a few centimetres; along a ray of slope s the height e of the
    lower foot asks for a move of -e s / (s^2 + r^2), r the ratio of the two sigmas (ridge regression), so a level
    view changes nothing. Only slow parts are taken (`ground_hz`): who jumps, jumps.
    """
    height, known = feet_above_floor(geometry.transform(T_world_camera[:, None], body.p_camera), body, config)
    if known.sum() < max(4, 0.3 * body.found.sum()):
        return body, hands
    move = np.zeros_like(body.p_camera[:, 0])
    for start, end in timebase.runs(body.found):
        part = slice(start, end)
        if known[part].sum() < 4:
            continue
        e = clean.interpolate_gaps(time_ns[part], height[part], known[part])
        e = clean.smooth(time_ns[part], e, np.where(known[part], 1.0, 0.1), config.ground_hz)
        ray = geometry.normalize(body.p_camera[part][:, HIPS].mean(axis=1))
        depth = body.p_camera[part][:, HIPS, 2].mean(axis=1)
        slope = geometry.rotate(T_world_camera[part, :4], ray)[:, 2]
        ratio = config.floor_sigma_m / (config.size_uncertainty * depth)
        along = np.clip(-e * slope / (slope**2 + ratio**2), -0.2 * depth, 0.2 * depth)
        move[part] = along[:, None] * ray
    moved = {side: dataclasses.replace(hand, p_wrist=hand.p_wrist + move) for side, hand in hands.items()}
    return dataclasses.replace(body, p_camera=body.p_camera + move[:, None]), moved
