"""The whole-clip solve of a retargeting problem: by its targets first, then with the robot's links kept apart."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from vidpretrain.collision import Shapes
from vidpretrain.errors import InputError
from vidpretrain.feasibility.config import FeasibilityConfig
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.robot import Robot
from vidpretrain.skeletons import SIDES
from vidpretrain.solve import Problem, Solution, Start, solve_clip
from vidpretrain.tree import Tree

_FAR_M, _FAR_SHARE, _WHOLE_STARTS = 0.05, 0.05, 3


@dataclass(frozen=True, kw_only=True)
class Solved:
    """`free` follows the targets alone, `solution` keeps the links apart as well; one object where nothing touches.

    Whether a clip is usable is judged by `free`: a hand that must give way in front of the chest is no bad input.
    `solution.converged` is that of `free`, too. `figures` counts the frames with overlapping links of both.
    """

    free: Solution
    solution: Solution
    figures: dict[str, float]


def solve(
    robot: Robot, tree: Tree, problem: Problem, names: tuple[str, ...], start: Start, config: RetargetConfig
) -> Solved:
    """The motion of least cost, then apart from itself where `config.self_collision` asks for that.

    `tree` is the robot's, with more sites perhaps. `names` tells the error site of each of the problem's terms.
    Links are held `config.collision_margin_m` apart, by the convex hulls of their shapes; targets give way.

    A robot whose model MuJoCo does not compile is left as it is by "auto"; `figures["shapes_unknown"]` says so.

    Raises:
        InputError: `config.self_collision` is true, and MuJoCo does not compile the robot's model.
    """
    free = _best(tree, problem, names, start)
    finite = np.isfinite(free.joint_pos).all() and np.isfinite(free.T_world_base).all()
    if not config.self_collision or not problem.frames or not finite:
        return Solved(free=free, solution=free, figures={})
    from vidpretrain.collision import hulls_of, model_of

    try:
        model = model_of(robot)
        shapes = hulls_of(robot) if len(model.pairs) else None
    except InputError:
        if config.self_collision != "auto":
            raise
        return Solved(free=free, solution=free, figures={"shapes_unknown": 1.0})
    if shapes is None:
        return Solved(free=free, solution=free, figures={})
    solution = free
    depth = _depths(shapes, free)
    before = after = int((depth > 0.0).sum())
    if (depth > _least_depth(config)).any():
        asked = dataclasses.replace(
            problem,
            self_collision=model,
            shapes=shapes,
            collision_margin_m=config.collision_margin_m,
            firm_joints=_firm(robot) if problem.free_base else None,
        )
        begin = Start(joint_pos=free.joint_pos, T_world_base=free.T_world_base if problem.free_base else None)
        kept_apart = solve_clip(tree, asked, begin)
        if np.isfinite(kept_apart.joint_pos).all():
            iterations = free.iterations + kept_apart.iterations
            solution = dataclasses.replace(kept_apart, converged=free.converged, iterations=iterations)
            after = int((_depths(shapes, solution) > 0.0).sum())
    figures = {"colliding_frames_free": float(before), "colliding_frames": float(after)}
    return Solved(free=free, solution=solution, figures=figures)


def _firm(robot: Robot) -> np.ndarray:
    """True (j) for legs and waist: an arm gets out of a leg's way, so that feet that stand stay where they are."""
    out = np.ones(len(robot.tree.joint_names), dtype=bool)
    out[[j for side in SIDES for group in ("arm", "hand") for j in robot.joints(f"{side}_{group}")]] = False
    return out


def _least_depth(config: RetargetConfig) -> float:
    """What is within the error of shapes is not worth another solve, unless every touch has to end."""
    return FeasibilityConfig().max_collision_m if config.self_collision == "auto" else 0.0


def _depths(shapes: Shapes, solution: Solution) -> np.ndarray:
    """(t) how deep links are in each other by their shapes, 0 where they are not."""
    q = np.asarray(solution.joint_pos)
    found, out = shapes.touches(q, np.arange(len(q)), 0.0), np.zeros(len(q))
    np.maximum.at(out, found.frame, -found.gap_m)
    return out


def errors_of(solution: Solution, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Distance left (t) of every error site in metres, NaN where it had no target."""
    return {name: np.asarray(left) for name, left in zip(names, solution.residual, strict=True) if name}


def _best(tree: Tree, problem: Problem, names: tuple[str, ...], start: Start) -> Solution:
    """The solution from `start`; where wrists are far off, the cheapest of that and of a few whole-clip starts.

    A posture that is best in the clip's first frame may lead into a limit later on, from where no small step helps.
    """
    best = solve_clip(tree, problem, start)
    left = [errors for name, errors in errors_of(best, names).items() if name.endswith("_wrist")]
    far = np.concatenate([np.nan_to_num(errors) > _FAR_M for errors in left]) if left else np.zeros(1, dtype=bool)
    if far.mean() <= _FAR_SHARE:
        return best
    for posture in (start.joint_pos, *start.others[:_WHOLE_STARTS]):
        still = np.tile(posture, (problem.frames, 1))
        other = solve_clip(tree, problem, Start(joint_pos=still, T_world_base=start.T_world_base))
        if other.cost < best.cost and np.isfinite(other.joint_pos).all():
            best = other
    return best
