"""A solve under way: the clip as it stands, and how it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vidpretrain import geometry
from vidpretrain.solve import descend
from vidpretrain.solve.arrays import Data, Scratch, data, lay_out, scratch
from vidpretrain.solve.contact import Contacts, no_contacts
from vidpretrain.solve.layout import Layout
from vidpretrain.solve.problem import Problem, Start
from vidpretrain.tree import Tree


class State(NamedTuple):
    """The clip as it stands, as it might stand after a step, and what steers the steps."""

    Q: np.ndarray  # (t j), the columns of followers are not kept up
    Rb: np.ndarray
    pb: np.ndarray
    Q_new: np.ndarray
    Rb_new: np.ndarray
    pb_new: np.ndarray
    multiplier: np.ndarray  # (t v), of the speed limits
    stiffness: np.ndarray  # (v)
    damping: np.ndarray  # (t)
    settled: np.ndarray  # (c t)
    left: np.ndarray  # (t m + k), the lengths of the residuals
    contacts: Contacts


@dataclass
class Work:
    """A solve under way."""

    L: Layout
    D: Data
    st: State
    scratch: Scratch


def begin(tree: Tree, problem: Problem, start: Start) -> tuple[Work, bool]:
    """A solve that stands at its start, and whether that is a motion."""
    Q, base, is_motion = _start(tree, problem, start)
    L = lay_out(tree, problem, Q)
    D = data(tree, problem, L)
    joints = L.var_column >= 0
    columns = L.var_column[joints]
    Q = tree.shortest(Q)
    Q[:, columns] = np.clip(Q[:, columns], D.lower[joints], D.upper[joints])
    Rb = np.empty((problem.frames, 3, 3))
    Rb[:] = geometry.matrix_from_quat(geometry.normalize(base[..., :4]))
    pb = np.empty((problem.frames, 3))
    pb[:] = base[..., 4:]
    frames, width = problem.frames, len(L.var_column)
    st = State(
        Q=Q,
        Rb=Rb,
        pb=pb,
        Q_new=Q.copy(),
        Rb_new=Rb.copy(),
        pb_new=pb.copy(),
        multiplier=np.zeros((frames, width)),
        stiffness=np.zeros(width),
        damping=np.full(frames, descend.FIRST_DAMPING),
        settled=np.zeros((len(L.base), frames), dtype=bool),
        left=np.zeros((frames, len(L.row) + len(L.turn))),
        contacts=no_contacts(frames),
    )
    return Work(L, D, st, scratch(L)), is_motion


def _start(tree: Tree, problem: Problem, start: Start) -> tuple[np.ndarray, np.ndarray, bool]:
    joints = np.asarray(start.joint_pos, dtype=float)
    base = np.asarray(geometry.IDENTITY_POSE if start.T_world_base is None else start.T_world_base, dtype=float)
    shape = (problem.frames, len(tree.joint_names))
    if joints.shape not in (shape, shape[1:]) or base.shape not in ((problem.frames, 7), (7,)):
        raise ValueError(f"start is {joints.shape} and {base.shape}, wanted {shape} or {shape[1:]}, and (t 7) or (7)")
    if not (np.isfinite(joints).all() and np.isfinite(base).all()):
        raise ValueError("the start is not finite")
    return np.broadcast_to(joints, shape).copy(), base, joints.ndim == 2


def with_followers(work: Work, tree: Tree) -> np.ndarray:
    """All columns, mimic joints following; joints that are no unknowns as they are."""
    fixed = tree.independent.copy()
    fixed[work.L.var_column[work.L.var_column >= 0]] = False
    return np.where(fixed, work.st.Q, tree.with_mimic(work.st.Q))
