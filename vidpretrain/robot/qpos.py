"""Columns of a tree as MuJoCo's numbers: scalar joints by their name, balls and free joints as quaternions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.tree import BALL_SUFFIXES, FREE_SUFFIXES
from vidpretrain.types import Frozen


@dataclass(frozen=True, kw_only=True)
class QposColumns(Frozen):
    """Where columns (j) stand in qpos (n); balls (b) apart: their first column, and their quaternion's first place.

    `column` and `place` are the others'. `dof` (j) is each column's place in qvel. Of a ball, MuJoCo turns there about
    the axes of the turned body, a tree about those of the zero frame.
    """

    column: Int64[np.ndarray, " m"]
    place: Int64[np.ndarray, " m"]
    ball_column: Int64[np.ndarray, " b"]
    ball_place: Int64[np.ndarray, " b"]
    dof: Int64[np.ndarray, " j"]

    def put(self, qpos: np.ndarray, joint_pos: Float64[np.ndarray, "*t j"]) -> None:
        """Write joint_pos into qpos (*t n), wherever it has its places; all else in it stays."""
        qpos[..., self.place] = joint_pos[..., self.column]
        for j, i in zip(self.ball_column, self.ball_place, strict=True):
            qpos[..., i : i + 4] = geometry.quat_exp(joint_pos[..., j : j + 3])

    def take(self, qpos: Float64[np.ndarray, "*t n"]) -> Float64[np.ndarray, "*t j"]:
        """joint_pos out of qpos, balls by their shortest rotation vector."""
        out = np.empty((*qpos.shape[:-1], len(self.dof)))
        out[..., self.column] = qpos[..., self.place]
        for j, i in zip(self.ball_column, self.ball_place, strict=True):
            out[..., j : j + 3] = geometry.quat_log(geometry.normalize(qpos[..., i : i + 4]))
        return out


def qpos_columns(model, joint_names: tuple[str, ...]) -> QposColumns:
    """Where the columns of these names (as `extract_tree` gives them) stand in a model's qpos.

    Raises:
        InputError: the model has no joint for a name.
    """
    from mujoco import mjtJoint

    many = {int(mjtJoint.mjJNT_BALL): BALL_SUFFIXES, int(mjtJoint.mjJNT_FREE): FREE_SUFFIXES}
    where: dict[str, tuple[int, int, bool]] = {}  # place in qpos (of a ball's entries the quaternion's), in qvel, ball
    for i in range(model.njnt):
        kind, name = int(model.jnt_type[i]), model.joint(i).name
        q, v = int(model.jnt_qposadr[i]), int(model.jnt_dofadr[i])
        for k, suffix in enumerate(many.get(kind, ("",))):
            ball = suffix in BALL_SUFFIXES
            where[name + suffix] = (q + (len(many[kind]) - 3 if ball else k), v + k, ball)
    lost = [name for name in joint_names if name not in where]
    if lost:
        raise InputError("the model has no joint for these columns", asked=", ".join(lost))
    found = [where[name] for name in joint_names]
    single = [j for j, (_, _, ball) in enumerate(found) if not ball]
    balls = [j for j, name in enumerate(joint_names) if found[j][2] and name.endswith(BALL_SUFFIXES[0])]
    return QposColumns(
        column=np.array(single, dtype=np.int64),
        place=np.array([found[j][0] for j in single], dtype=np.int64),
        ball_column=np.array(balls, dtype=np.int64),
        ball_place=np.array([found[j][0] for j in balls], dtype=np.int64),
        dof=np.array([v for _, v, _ in found], dtype=np.int64),
    )
