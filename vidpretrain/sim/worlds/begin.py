"""The posture in which every episode begins: both hands behind the workspace, palms inwards, over the table's edge."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vidpretrain import geometry
from vidpretrain.robot import Robot
from vidpretrain.sim.worlds.task import turn

_PALM_M = {"left": (-0.16, 0.24, 0.13), "right": (-0.16, -0.24, 0.13)}  # in the table's frame, x and y of the G1
_POINT_M, _TURN_RAD, _POSTURE_RAD = 0.005, 0.15, 1.5


def start_posture(robot: Robot, T_base_table: np.ndarray, scale: float) -> np.ndarray:
    """Joint positions (j): arms by the solver from home, all else at home."""
    return np.array(_solve(_Keyed(robot), tuple(T_base_table.tolist()), scale))


class _Keyed:
    """A robot past a cache's key, which is its digest."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and other.robot.digest == self.robot.digest

    def __hash__(self) -> int:
        return hash(self.robot.digest)


@lru_cache(maxsize=16)
def _solve(keyed: _Keyed, T_base_table: tuple[float, ...], scale: float) -> tuple[float, ...]:
    from vidpretrain.solve import OrientationTerm, PointTerm, PostureTerm, Problem, Start, solve_clip

    robot = keyed.robot
    active = np.zeros(len(robot.home), dtype=bool)
    terms: list[PointTerm | OrientationTerm] = []
    for side, (x, y, z) in _PALM_M.items():
        active[list(robot.joints(f"{side}_arm"))] = True
        p = geometry.transform(np.array(T_base_table), np.array([x * scale, y * scale, z]))
        q = turn((1.0, 0.0, 0.0), (0.0, 1.0 if side == "left" else -1.0, 0.0))
        terms.append(PointTerm(site=f"{side}_palm", p_world_target=p[None], weight=np.full(1, 1 / _POINT_M**2)))
        terms.append(OrientationTerm(site=f"{side}_palm", q_world_target=q[None], weight=np.full(1, 1 / _TURN_RAD**2)))
    problem = Problem(
        rate_hz=30.0,
        frames=1,
        terms=tuple(terms),
        posture=PostureTerm(q_ref=np.array(robot.home), weight=np.full(len(active), 1 / _POSTURE_RAD**2)),
        active_joints=active,
    )
    found = solve_clip(robot.tree, problem, Start(joint_pos=np.array(robot.home)))
    return tuple(np.asarray(found.joint_pos[0]).tolist())
