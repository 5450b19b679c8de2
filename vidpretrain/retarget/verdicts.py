"""Which of two motions of a clip a robot plays: the one that follows the person, or the one kept apart from itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from vidpretrain.feasibility import Feasibility, FeasibilityConfig, Verdict, assess
from vidpretrain.feasibility.types import HARD
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.solving import Solved
from vidpretrain.robot import Robot
from vidpretrain.types import RobotMotion

_WORSE = (Verdict.FEASIBLE, Verdict.DOUBTFUL, Verdict.INFEASIBLE)


def chosen(robot: Robot, solved: Solved, pack: Callable[[Solved], RobotMotion], config: RetargetConfig) -> RobotMotion:
    """`pack(solved)`, or where `config.self_collision` is "auto" and the free motion has the better verdict, that.

    Verdicts are those of `feasibility.assess` with its default limits, so they are never worse than the free motion's.
    `figures["kept_apart"]` is 1 where the motion that was kept apart is the one taken, 0 where it was not.
    """
    made = pack(solved)
    if config.self_collision != "auto" or solved.solution is solved.free:
        return made
    free = pack(dataclasses.replace(solved, solution=solved.free))
    limits = FeasibilityConfig()
    apart = _rank(assess(made, robot, limits)) <= _rank(assess(free, robot, limits))
    taken, colliding = (made, "colliding_frames") if apart else (free, "colliding_frames_free")
    figures = {**taken.figures, "colliding_frames": taken.figures[colliding], "kept_apart": float(apart)}
    return dataclasses.replace(taken, figures=figures)


def _rank(found: Feasibility) -> tuple[int, int, int, int]:
    """Least is best: the verdict, what a robot cannot do, frames that cannot be played, all flaws."""
    hard = sum(flaw in HARD for flaw in found.reasons)
    return _WORSE.index(found.verdict), hard, len(found.reasons), int((~found.playable).sum())
