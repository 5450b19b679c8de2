"""A person's motion on a robot: placement, targets, the whole-clip fit, and what the robot cannot follow.

Door: `RetargetConfig`, `retarget(motion, robot, config) -> RobotMotion or Reject`.
"""

from __future__ import annotations

from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.robot import Robot
from vidpretrain.types import HumanMotion, Reject, RobotMotion

__all__ = ["RetargetConfig", "retarget"]


def retarget(motion: HumanMotion, robot: Robot, config: RetargetConfig | None = None) -> RobotMotion | Reject:
    """The robot's motion on a uniform grid, or why there is none; see `retarget.fit.retarget`."""
    from vidpretrain.retarget.fit import retarget as compute

    return compute(motion, robot, config or RetargetConfig())
