"""Forward kinematics and Jacobians of a `Tree`, for all frames at once (numba, float64).

Door: `site_poses`, `joint_poses`, `point_jacobian`, `orientation_jacobian`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from vidpretrain.tree import Tree

__all__ = ["joint_poses", "site_poses", "point_jacobian", "orientation_jacobian"]


def site_poses(
    tree: Tree,
    joint_pos: Float64[np.ndarray, "t j"],
    T_world_base: Float64[np.ndarray, "t 7"] | None = None,
    sites: Sequence[str] | None = None,
) -> Float64[np.ndarray, "t s 7"]:
    """T_world_site of the named sites (all of `tree.site_names` without names), frame by frame.

    Mimic columns of `joint_pos` are used as they are (see `Tree.with_mimic`). Without `T_world_base` the base is the
    world; one pose (7) stands for all frames.

    Raises:
        UnknownName: no site of that name.
        ValueError: `joint_pos` has another width than the tree.
    """
    from vidpretrain.kinematics.batch import site_poses as compute

    return compute(tree, joint_pos, T_world_base, sites)


def joint_poses(
    tree: Tree, joint_pos: Float64[np.ndarray, "t j"], T_world_base: Float64[np.ndarray, "t 7"] | None = None
) -> Float64[np.ndarray, "t j 7"]:
    """T_world_joint of every joint frame; arguments as in `site_poses`."""
    from vidpretrain.kinematics.batch import joint_poses as compute

    return compute(tree, joint_pos, T_world_base)


def point_jacobian(
    tree: Tree,
    joint_pos: Float64[np.ndarray, "t j"],
    site: str,
    T_world_base: Float64[np.ndarray, "t 7"] | None = None,
    *,
    with_base: bool = False,
) -> Float64[np.ndarray, "t 3 n"]:
    """d p_world_site / d joint_pos, one column per joint of the tree (n = j).

    A mimic joint's column is zero: its motion is in its source's column. A ball's three columns are by small turns
    about the axes of its zero frame (R <- exp(dw) R), not by its rotation vector. `with_base` puts six columns before
    them: turning the base about the world's axes through the base's origin, then moving it along them (n = 6 + j).

    Raises:
        UnknownName: no site of that name.
    """
    from vidpretrain.kinematics.batch import jacobians

    return jacobians(tree, joint_pos, site, T_world_base, with_base)[0]


def orientation_jacobian(
    tree: Tree,
    joint_pos: Float64[np.ndarray, "t j"],
    site: str,
    T_world_base: Float64[np.ndarray, "t 7"] | None = None,
    *,
    with_base: bool = False,
) -> Float64[np.ndarray, "t 3 n"]:
    """d w / d joint_pos, where w is the site's turn as a rotation vector in world axes; columns as `point_jacobian`.

    Raises:
        UnknownName: no site of that name.
    """
    from vidpretrain.kinematics.batch import jacobians

    return jacobians(tree, joint_pos, site, T_world_base, with_base)[1]
