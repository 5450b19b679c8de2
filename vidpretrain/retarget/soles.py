"""The robot's soles: how far they reach, and sites at their corners, which a solve can keep above the floor."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.robot import Robot
from vidpretrain.skeletons import SIDES
from vidpretrain.tree import Tree

_SOLE_M, _LEAST_M, _MOST_M = 0.03, 0.02, 0.25
_HALF_LENGTH_BY_LEG, _HALF_WIDTH_BY_LEG = 0.13, 0.04  # of a foot with no shape: a person's, by the length of the leg


def sole_corners(robot: Robot, leg_m: float) -> dict[str, Float64[np.ndarray, "4 3"]]:
    """Corners of each sole in its foot site's frame (x forward, z up), z = 0: front left, front right, back likewise.

    They enclose the lowest part of the foot's collision shapes, or are as far apart as a person's where it has none.

    Raises:
        InputError: MuJoCo does not compile the robot's model.
    """
    from vidpretrain.collision import surface_of

    out = {}
    for side in SIDES:
        site = robot.tree.site(f"{side}_foot")
        T_site_joint = geometry.inverse(robot.tree.T_joint_site[site])
        points = geometry.transform(T_site_joint, surface_of(robot, int(robot.tree.site_joint[site])))
        sole = points[:, 2] < points[:, 2].min(initial=np.inf) + _SOLE_M
        half = leg_m * np.array([_HALF_LENGTH_BY_LEG, _HALF_WIDTH_BY_LEG])
        near, far = -half, half
        if sole.any():
            near = points[sole, :2].min(axis=0).clip(-_MOST_M, -_LEAST_M)
            far = points[sole, :2].max(axis=0).clip(_LEAST_M, _MOST_M)
        out[side] = np.array([[x, y, 0.0] for x in (far[0], near[0]) for y in (far[1], near[1])])
    return out


def corner_names(side: str) -> tuple[str, ...]:
    """Names of the sites at a sole's corners, in the order of `sole_corners`."""
    return tuple(f"{side}_sole_{k}" for k in range(4))


def with_corners(tree: Tree, corners: dict[str, Float64[np.ndarray, "4 3"]]) -> Tree:
    """The tree with a site at each corner of the soles."""
    names, joints, poses = list(tree.site_names), [tree.site_joint], [tree.T_joint_site]
    for side, points in corners.items():
        site = tree.site(f"{side}_foot")
        names += corner_names(side)
        joints.append(np.full(len(points), tree.site_joint[site]))
        at = geometry.transform(tree.T_joint_site[site], points)
        poses.append(geometry.pose(np.tile(tree.T_joint_site[site, :4], (len(points), 1)), at))
    return dataclasses.replace(
        tree, site_names=tuple(names), site_joint=np.concatenate(joints), T_joint_site=np.concatenate(poses)
    )
