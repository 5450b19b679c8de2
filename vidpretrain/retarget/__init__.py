"""A person's motion on a robot: placement, targets, the whole-clip fit, and what the robot cannot follow.

Door: `RetargetConfig`, `retarget(motion, robot, config) -> RobotMotion or Reject`; frame by frame as they come
`LiveRetargeter(robot, config).step(time_ns, points) -> LiveStep`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.robot import Robot
from vidpretrain.types import HumanMotion, Reject, RobotMotion

__all__ = ["RetargetConfig", "retarget", "LiveRetargeter", "LiveStep"]

if TYPE_CHECKING:
    from vidpretrain.retarget.live import LiveRetargeter, LiveStep


def __getattr__(name: str) -> Any:
    if name not in ("LiveRetargeter", "LiveStep"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vidpretrain.retarget import live  # compiled code is not loaded before it is wanted

    return getattr(live, name)


def retarget(motion: HumanMotion, robot: Robot, config: RetargetConfig | None = None) -> RobotMotion | Reject:
    """The robot's motion on a uniform grid, or why there is none; see `retarget.fit.retarget`."""
    from vidpretrain.retarget.fit import retarget as compute

    return compute(motion, robot, config or RetargetConfig())
