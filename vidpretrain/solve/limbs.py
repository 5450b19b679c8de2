"""The part of a solve that contacts concern: limbs, each a small component, while trunk and base stand.

A body's base and waist tie arms and legs into one component of forty unknowns. Where links meet, arms and fingers give
way; with the trunk as it is, each arm is a component of its own and costs a tenth.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain import geometry
from vidpretrain.solve.arrays import active_joints
from vidpretrain.solve.problem import Problem, Start
from vidpretrain.solve.state import Work, begin
from vidpretrain.tree import Tree

TRUNK_SHARE = 0.5


def trunk(tree: Tree) -> np.ndarray:
    """True (j) where a joint carries more than half of all joints, itself included."""
    carried = np.ones(len(tree.joint_names), dtype=np.int64)
    for j in range(len(carried) - 1, -1, -1):
        if tree.parent[j] >= 0:
            carried[tree.parent[j]] += carried[j]
    out = carried > TRUNK_SHARE * len(carried)
    for j in tree.balls:  # as a whole, and as what hangs on it
        out[j : j + 3] = out[j + 2]
    return out


def limbs(work: Work, tree: Tree, problem: Problem) -> Work:
    """A solve of the limbs alone, standing where `work` stands; `work` itself where no trunk ties them together."""
    still = trunk(tree) & active_joints(tree, problem)
    columns = np.where(work.L.var_column >= 0, work.L.var_column, 0)
    mixed = False
    for c in range(len(work.L.base)):
        own = slice(work.L.var_at[c], work.L.var_at[c + 1])
        held = (work.L.var_column[own] < 0) | still[columns[own]]
        mixed = mixed or bool(held.any() and not held.all())
    if not mixed:
        return work
    asked = dataclasses.replace(problem, active_joints=active_joints(tree, problem) & ~still, free_base=False)
    base = geometry.pose(geometry.quat_from_matrix(work.st.Rb), work.st.pb)
    out, _ = begin(tree, asked, Start(joint_pos=work.st.Q, T_world_base=base))
    place = np.zeros(work.st.Q.shape[1], dtype=np.int64)
    joints = np.flatnonzero(work.L.var_column >= 0)
    place[work.L.var_column[joints]] = joints
    of = place[out.L.var_column]
    out.st.multiplier[:], out.st.stiffness[:] = work.st.multiplier[:, of], work.st.stiffness[of]
    return out


def put_back(limb: Work, work: Work) -> None:
    """Move the limbs of `work` to where `limb` stands."""
    columns = limb.L.var_column[limb.L.var_column >= 0]
    work.st.Q[:, columns] = limb.st.Q[:, columns]
