"""Which way a pair of disembodied hands faces: tried in 24 headings, all solved at once on the robot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot
from vidpretrain.robot.sizes import RobotSize
from vidpretrain.skeletons import SIDES
from vidpretrain.solve import OrientationTerm, PointTerm, PostureTerm, Problem, Start, solve_clip
from vidpretrain.types import Frozen

_COUNT = 24
_EASY_RAD = 0.35
_SIGMA_M, _SIGMA_RAD = 0.15, 0.25


@dataclass(frozen=True, kw_only=True)
class Heading(Frozen):
    """How hands in the world come to the robot: p_base = p_base_middle + scale * R(q_base_world) (p - p_world_middle).

    `q_extra` turns each side's hand in the base frame where the robot cannot reach its middle orientation.
    """

    q_base_world: Float64[np.ndarray, " 4"]
    p_base_middle: Float64[np.ndarray, " 3"]
    p_world_middle: Float64[np.ndarray, " 3"]
    q_extra: dict[str, Float64[np.ndarray, " 4"]]
    figures: dict[str, float]


def best_heading(
    middles: dict[str, np.ndarray], facing_rad: float, robot: Robot, size: RobotSize, scale: float, config
) -> Heading:
    """The heading and place of hands whose middle poses in the world are `middles` (7 each, by side).

    Every heading is one frame of a solve without smoothness: the hands turned as they are and loosely at home. The
    heading whose hands come nearest wins; among equals the one near `facing_rad`, the heading of a person who looks at
    the camera. The hands then stay where the arms could take them, and what still lacks in orientation beyond
    `_EASY_RAD` is turned away, per side, for the whole clip.
    """
    away = np.arange(_COUNT) * (2 * np.pi / _COUNT)
    q_base_world = geometry.quat_exp(np.stack([0 * away, 0 * away, -(facing_rad + away)], axis=1))
    p_world_middle = np.mean([T[4:] for T in middles.values()], axis=0)
    home = np.mean([size.arms[side].T_base_wrist[4:] for side in middles], axis=0)
    places = {side: home + scale * geometry.rotate(q_base_world, T[4:] - p_world_middle) for side, T in middles.items()}
    turned = {side: geometry.quat_mul(q_base_world, np.tile(T[:4], (_COUNT, 1))) for side, T in middles.items()}
    solution = solve_clip(robot.tree, _problem(robot, places, turned, config), Start(joint_pos=robot.home))
    left = [residual / (_SIGMA_M, _SIGMA_RAD)[i % 2] for i, residual in enumerate(solution.residual)]
    best = int(np.argmin(sum(residual**2 for residual in left) + 4.0 * (1 - np.cos(away))))
    sites = [f"{side}_wrist" for side in middles]
    reached = site_poses(robot.tree, solution.joint_pos[best][None], None, sites)[0]
    moved = np.mean([reached[i, 4:] - places[side][best] for i, side in enumerate(middles)], axis=0)
    figures = {"heading_rad": float((away[best] + np.pi) % (2 * np.pi) - np.pi)}
    extra: dict[str, np.ndarray] = dict.fromkeys(SIDES, geometry.IDENTITY_POSE[:4])
    for i, side in enumerate(middles):
        lack = float(solution.residual[2 * i + 1][best])
        figures[f"{side}_turn_rad"] = lack if lack > _EASY_RAD else 0.0
        if lack > _EASY_RAD:
            extra[side] = geometry.quat_mul(reached[i, :4], geometry.quat_inverse(turned[side][best]))
    return Heading(
        q_base_world=q_base_world[best],
        p_base_middle=home + moved,
        p_world_middle=p_world_middle,
        q_extra=extra,
        figures=figures,
    )


def _problem(robot: Robot, places: dict[str, np.ndarray], turned: dict[str, np.ndarray], config) -> Problem:
    terms = []
    for side, place in places.items():
        site = f"{side}_wrist"
        terms.append(PointTerm(site=site, p_world_target=place, weight=np.full(_COUNT, _SIGMA_M**-2)))
        terms.append(OrientationTerm(site=site, q_world_target=turned[side], weight=np.full(_COUNT, _SIGMA_RAD**-2)))
    active = np.zeros(len(robot.home), dtype=bool)
    active[[j for side in SIDES for j in robot.joints(f"{side}_arm")]] = True
    return Problem(
        rate_hz=1.0,
        frames=_COUNT,
        terms=tuple(terms),
        posture=PostureTerm(q_ref=robot.home, weight=active / 2.0**2),
        active_joints=active,
        max_iterations=config.max_iterations,
    )
