"""A robot's own shapes against each other: MuJoCo's collision of convex hulls, for what capsules cannot tell.

Capsules cover a shape and stick out of it by some millimetres, of flat or bent shapes by more. Where links are near by
their capsules, this looks at the shapes themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np
from numba import njit

from vidpretrain.collision.linear import gap_slopes
from vidpretrain.collision.near import at_origin
from vidpretrain.collision.types import Touches
from vidpretrain.kinematics.kernels import forward
from vidpretrain.robot.extract import carriers
from vidpretrain.robot.qpos import QposColumns, qpos_columns

HOME_CLEAR_M = 0.003


@dataclass(frozen=True, kw_only=True)
class Hulls:
    """A compiled model in which only the shapes of the given pairs of bodies collide.

    `joint` (b) carries each body (-1: the base). Not to be used by two threads at once.
    """

    model: mujoco.MjModel
    columns: QposColumns
    joint: np.ndarray
    data: mujoco.MjData = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", mujoco.MjData(self.model))

    def touches(self, joint_pos: np.ndarray, frames: np.ndarray, near_m: float) -> Touches:
        """The pairs of shapes nearer than `near_m` in these frames of joint_pos (t j); a pair's least gap counts."""
        model, data = self.model, self.data
        model.geom_margin[:] = near_m
        qpos = np.tile(model.qpos0, (len(frames), 1))
        qpos[:, :7] = (0, 0, 0, 1, 0, 0, 0)
        self.columns.put(qpos, joint_pos[frames])
        found: list[tuple[np.ndarray, ...]] = []
        for t, q in zip(frames, qpos, strict=True):
            data.qpos[:] = q
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_collision(model, data)
            if data.ncon:
                contact = data.contact
                geom = np.array(contact.geom)
                found.append(
                    (np.full(len(geom), t), geom, contact.dist.copy(), contact.frame.copy(), contact.pos.copy())
                )
        if not found:
            none = np.zeros(0, dtype=np.int64)
            three = np.zeros((0, 3))
            return Touches(
                frame=none,
                pair=none,
                gap_m=np.zeros(0),
                joint=np.zeros((0, 2), dtype=np.int64),
                normal=three,
                p_base=three,
            )
        frame, geom, gap, normal, point = (np.concatenate(part) for part in zip(*found, strict=True))
        pair = geom[:, 0] * model.ngeom + geom[:, 1]
        order = np.lexsort((gap, pair, frame))
        same = np.zeros(len(order), dtype=bool)
        same[1:] = (np.diff(frame[order]) == 0) & (np.diff(pair[order]) == 0)
        kept = order[~same]
        return Touches(
            frame=frame[kept].astype(np.int64),
            pair=pair[kept],
            gap_m=gap[kept],
            joint=self.joint[model.geom_bodyid[geom[kept]]],
            normal=np.ascontiguousarray(normal[kept]),
            p_base=np.ascontiguousarray(point[kept]),
        )

    @property
    def pairs(self) -> int:
        """Above every number of a pair."""
        return self.model.ngeom**2


def build(spec, base: str, joint_names: tuple[str, ...], bodies: set[tuple[str, str]], home: np.ndarray) -> Hulls:
    """The hulls of a spec with one free joint; pairs nearer than `HOME_CLEAR_M` at home (j) may always touch."""
    first = _compile(spec, bodies)
    found = _of(first, base, joint_names).touches(home[None], np.zeros(1, dtype=np.int64), HOME_CLEAR_M)
    near = {divmod(int(pair), first.ngeom) for pair in found.pair}
    names = {tuple(first.body(int(first.geom_bodyid[g])).name for g in pair) for pair in near}
    bodies = {pair for pair in bodies if pair not in names and pair[::-1] not in names}
    return _of(_compile(spec, bodies), base, joint_names)


def _of(model, base: str, joint_names: tuple[str, ...]) -> Hulls:
    joint = np.full(model.nbody, -1, dtype=np.int64)
    for b, (carrier, _) in carriers(model, base).items():
        joint[b] = carrier
    return Hulls(model=model, columns=qpos_columns(model, joint_names), joint=joint)


def _compile(spec, bodies: set[tuple[str, str]]):
    """The spec compiled, with the solid geoms of these pairs of bodies colliding and nothing else."""
    mine = sorted({name for pair in bodies for name in pair})
    spec = spec.copy()
    for exclude in list(spec.excludes):
        spec.delete(exclude)
    for pair in list(spec.pairs):
        spec.delete(pair)
    for body in spec.bodies:
        firm = [geom for geom in body.geoms if geom.contype or geom.conaffinity] or list(body.geoms)
        for geom in body.geoms:
            geom.contype = geom.conaffinity = 0
        for geom in firm if body.name in mine else ():
            geom.contype = geom.conaffinity = 1
    for i, a in enumerate(mine):
        for b in mine[:i]:
            if (a, b) not in bodies and (b, a) not in bodies:
                spec.add_exclude(bodyname1=a, bodyname2=b)
    model = spec.compile()
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_MULTICCD) | int(mujoco.mjtDisableBit.mjDSBL_FILTERPARENT)
    model.geom_gap[:] = 0.0
    return model


@njit(cache=True, error_model="numpy")
def slopes(tree, column, Q, frame, joint, normal, point, at, var, slope):
    """Write to var, slope [at[k], at[k + 1]) the unknowns that move the gap of each touch (k), and d gap / dq.

    `normal` (k 3) points from the first link of `joint` (k 2) to the second.
    """
    n = len(tree.parent)
    order, R, p, a = np.arange(n), np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3))
    at_origin(R, p)
    sums, end, stands = np.zeros(column.max() + 1), 0, -1
    at[0] = 0
    for k in range(len(frame)):
        if frame[k] != stands:
            stands = frame[k]
            forward(order, tree.parent, tree.hinge, tree.R_zero, tree.p_zero, tree.axis, Q[stands], R, p, a)
        end = gap_slopes(
            tree, column, a, p, joint[k, 1], joint[k, 0], point[k], point[k], normal[k], end, var, slope, sums
        )
        at[k + 1] = end
