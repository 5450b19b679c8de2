"""The whole-clip solve of a retargeting problem: by its targets first, then with the robot's links kept apart."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.robot import Robot
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
    Links are held `config.collision_margin_m` apart, as capsules around their shapes; targets give way.

    Raises:
        InputError: MuJoCo does not compile the robot's model.
    """
    free = _best(tree, problem, names, start)
    finite = np.isfinite(free.joint_pos).all() and np.isfinite(free.T_world_base).all()
    if not config.self_collision or not problem.frames or not finite:
        return Solved(free=free, solution=free, figures={})
    from vidpretrain.collision import distances, model_of

    model = model_of(robot)
    if not len(model.pairs):
        return Solved(free=free, solution=free, figures={})
    gap = distances(model, robot.tree, np.asarray(free.joint_pos)).min(axis=1)
    solution = free
    if (gap < 0.0).any():
        asked = dataclasses.replace(problem, self_collision=model, collision_margin_m=config.collision_margin_m)
        begin = Start(joint_pos=free.joint_pos, T_world_base=free.T_world_base if problem.free_base else None)
        kept_apart = solve_clip(tree, asked, begin)
        if np.isfinite(kept_apart.joint_pos).all():
            iterations = free.iterations + kept_apart.iterations
            solution = dataclasses.replace(kept_apart, converged=free.converged, iterations=iterations)
    after = distances(model, robot.tree, np.asarray(solution.joint_pos)).min(axis=1)
    figures = {"colliding_frames_free": float((gap < 0.0).sum()), "colliding_frames": float((after < 0.0).sum())}
    return Solved(free=free, solution=solution, figures=figures)


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
