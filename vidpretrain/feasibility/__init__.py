"""Can the robot really do it? One report per clip and robot, frame by frame and as a verdict.

Door: `FeasibilityConfig`, `Feasibility`, `Flaw`, `Finding`, `Verdict`, `assess(motion, robot, config) -> Feasibility`.
"""

from __future__ import annotations

from vidpretrain.feasibility.config import FeasibilityConfig
from vidpretrain.feasibility.types import Feasibility, Finding, Flaw, Verdict
from vidpretrain.robot import Robot
from vidpretrain.types import RobotMotion

__all__ = ["Feasibility", "FeasibilityConfig", "Finding", "Flaw", "Verdict", "assess"]


def assess(motion: RobotMotion, robot: Robot, config: FeasibilityConfig | None = None) -> Feasibility:
    """What stands between this motion and this robot; see `feasibility.judge.assess`."""
    from vidpretrain.feasibility.judge import assess as compute

    return compute(motion, robot, config or FeasibilityConfig())
