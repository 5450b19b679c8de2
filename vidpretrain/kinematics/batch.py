"""The door's functions: names to indices, then one compiled call for all frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidpretrain import geometry
from vidpretrain.kinematics import kernels
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.tree import Tree


def site_poses(
    tree: Tree, joint_pos: np.ndarray, T_world_base: np.ndarray | None, sites: Sequence[str] | None
) -> np.ndarray:
    """T_world_site (t s 7); see `kinematics.site_poses`."""
    names = tree.site_names if sites is None else sites
    index = np.array([tree.site(name) for name in names], dtype=np.int64)
    joint_pos, R_base, p_base = inputs(tree, joint_pos, T_world_base)
    out = np.empty((len(joint_pos), len(index), 7))
    a = tree_arrays(tree)
    kernels.all_site_poses(*a[:8], index, joint_pos, R_base, p_base, out)
    return out


def joint_poses(tree: Tree, joint_pos: np.ndarray, T_world_base: np.ndarray | None) -> np.ndarray:
    """T_world_joint (t j 7); see `kinematics.joint_poses`."""
    joint_pos, R_base, p_base = inputs(tree, joint_pos, T_world_base)
    out = np.empty((*joint_pos.shape, 7))
    kernels.all_joint_poses(*tree_arrays(tree)[:5], joint_pos, R_base, p_base, out)
    return out


def jacobians(
    tree: Tree, joint_pos: np.ndarray, site: str, T_world_base: np.ndarray | None, with_base: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Point and orientation Jacobian of one site; see `kinematics.point_jacobian`."""
    joint_pos, R_base, p_base = inputs(tree, joint_pos, T_world_base)
    shape = (len(joint_pos), 3, 6 + joint_pos.shape[1])
    point, orientation = np.zeros(shape), np.zeros(shape)
    a = tree_arrays(tree)
    kernels.all_jacobians(*a[:12], tree.site(site), joint_pos, R_base, p_base, point, orientation)
    if with_base:
        return point, orientation
    return point[:, :, 6:].copy(), orientation[:, :, 6:].copy()


def inputs(
    tree: Tree, joint_pos: np.ndarray, T_world_base: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contiguous joint_pos (t j), R_base (t 3 3) and p_base (t 3), checked against the tree.

    Raises:
        ValueError: a shape does not fit.
    """
    joint_pos = np.ascontiguousarray(joint_pos, dtype=float)
    if joint_pos.ndim != 2 or joint_pos.shape[1] != len(tree.joint_names):
        raise ValueError(f"joint_pos is {joint_pos.shape}, wanted (t, {len(tree.joint_names)})")
    frames = len(joint_pos)
    base = np.asarray(geometry.IDENTITY_POSE if T_world_base is None else T_world_base, dtype=float)
    if base.shape not in ((7,), (frames, 7)):
        raise ValueError(f"T_world_base is {base.shape}, wanted (7,) or ({frames}, 7)")
    base = np.broadcast_to(base, (frames, 7))
    R_base = np.ascontiguousarray(geometry.matrix_from_quat(geometry.normalize(base[:, :4])))
    return joint_pos, R_base, np.ascontiguousarray(base[:, 4:])
