"""Which frames the robot can play: limits, speeds and finiteness, checked apart from the solver that promised them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain.robot import Robot

_SLACK = 1e-9


def feasible_frames(robot: Robot, joint_pos: Float64[np.ndarray, "t j"], rate_hz: float) -> Bool[np.ndarray, " t"]:
    """Frames with finite joints inside their limits, reached and left below each joint's top speed."""
    finite = np.isfinite(joint_pos).all(axis=1)
    inside = ((joint_pos >= robot.tree.lower - _SLACK) & (joint_pos <= robot.tree.upper + _SLACK)).all(axis=1)
    speed = robot.tree.speed(joint_pos, rate_hz)
    slow = (speed <= robot.max_speed + _SLACK).all(axis=1)
    return finite & inside & np.append(slow, True) & np.insert(slow, 0, True)
