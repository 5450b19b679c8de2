"""Which way a pair of disembodied hands faces: tried in 24 headings, all solved at once on the robot."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.sizes import RobotSize
from vidpretrain.robot import Robot
from vidpretrain.skeletons import SIDES
from vidpretrain.solve import OrientationTerm, PointTerm, PostureTerm, Problem, Start, solve_clip

_COUNT = 24
_EASY_RAD = 0.35


def best_heading(
    middles: dict[str, np.ndarray], facing_rad: float, robot: Robot, size: RobotSize, config: RetargetConfig
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, float]]:
    """(q_base_world, extra turn per side, figures) for hands whose middle poses in the world are `middles`.

    Every heading is one frame of a solve without smoothness: wrists at home, hands turned. The heading whose hands
    come nearest wins; among equals the one near `facing_rad`, the heading of a person who looks at the camera. What
    the robot then still lacks in orientation beyond `_EASY_RAD` is turned away, per side, for the whole clip.
    """
    away = np.arange(_COUNT) * (2 * np.pi / _COUNT)
    q_base_world = geometry.quat_exp(np.stack([0 * away, 0 * away, -(facing_rad + away)], axis=1))
    terms = []
    for side, T in middles.items():
        target = geometry.quat_mul(q_base_world, np.broadcast_to(T[:4], (_COUNT, 4)))
        place = np.repeat(size.arms[side].T_base_wrist[None, 4:], _COUNT, axis=0)
        site = f"{side}_wrist"
        terms.append(PointTerm(site=site, p_world_target=place, weight=np.full(_COUNT, 1 / 0.1**2)))
        terms.append(OrientationTerm(site=site, q_world_target=target, weight=np.full(_COUNT, 1 / 0.3**2)))
    active = np.zeros(len(robot.home), dtype=bool)
    active[[j for side in SIDES for j in robot.joints(f"{side}_arm")]] = True
    problem = Problem(
        rate_hz=1.0,
        frames=_COUNT,
        terms=tuple(terms),
        posture=PostureTerm(q_ref=robot.home, weight=active / 3.0**2),
        active_joints=active,
        max_iterations=config.max_iterations,
    )
    solution = solve_clip(robot.tree, problem, Start(joint_pos=robot.home))
    cost = sum((residual / (0.1, 0.3)[i % 2]) ** 2 for i, residual in enumerate(solution.residual))
    cost = cost + 4.0 * (1 - np.cos(away))
    best = int(np.argmin(cost))
    turns: dict[str, np.ndarray] = dict.fromkeys(SIDES, geometry.IDENTITY_POSE[:4])
    figures = {"heading_rad": float((away[best] + np.pi) % (2 * np.pi) - np.pi)}
    reached = site_poses(robot.tree, solution.joint_pos[best][None], None, [f"{side}_wrist" for side in middles])[0]
    for i, side in enumerate(middles):
        figures[f"{side}_turn_rad"] = 0.0
        lack = float(solution.residual[2 * i + 1][best])
        if lack > _EASY_RAD:
            wanted = geometry.quat_mul(q_base_world[best], middles[side][:4])
            turns[side] = geometry.quat_mul(reached[i, :4], geometry.quat_inverse(wanted))
            figures[f"{side}_turn_rad"] = lack
    return q_base_world[best], turns, figures
