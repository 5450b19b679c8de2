"""Joint torques by inverse dynamics, and what the ground has to give for them.

Rigid bodies without contacts: M(q) a + c(q, v) - passive = tau + J^T f. The joints' rows give the torque, the six rows
of the base the wrench that something must put on it.

* Fixed base (upper-body clips): the stand gives that wrench, whatever it is. Legs hang from it unloaded, so their
  torques mean nothing and are NaN.
* Free base: the soles' corners near the ground give it, by forces inside a friction pyramid that come nearest to the
  wrench and, among those, are about the smallest (non-negative least squares). Their J^T f is taken off the joints'
  torques; what of the wrench is left is `unsupported_share`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from vidpretrain import geometry
from vidpretrain.feasibility.body import Body
from vidpretrain.feasibility.support import Ground

_LEVER_M = 0.3  # moments weigh as forces at this distance
_SMALL = 0.02  # what a ground force as large as the weight costs, against a wrench that lacks as much
_EDGES = np.array([[1.0, 0, 1], [-1, 0, 1], [0, 1, 1], [0, -1, 1]])


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """Torque per tree column and frame, and the part of the base's wrench that the ground cannot give (1: weight).

    A ball's torques are about the axes of the body that it turns.
    """

    torque_Nm: Float64[np.ndarray, "t j"]
    unsupported_share: Float64[np.ndarray, " t"]


def differences(
    body: Body, qpos: Float64[np.ndarray, "t q"], rate_hz: float
) -> tuple[Float64[np.ndarray, "t v"], Float64[np.ndarray, "t v"]]:
    """Velocity and acceleration of every degree of freedom, by central differences, repeated at the ends."""
    import mujoco

    model, frames = body.model, len(qpos)
    half = np.zeros((frames + 1, model.nv))
    step = np.zeros(model.nv)
    for t in range(1, frames):
        mujoco.mj_differentiatePos(model, step, 1.0 / rate_hz, qpos[t - 1], qpos[t])
        half[t] = step
    half[0], half[-1] = half[1], half[frames - 1]
    acceleration = np.diff(half, axis=0) * rate_hz
    if frames > 2:
        acceleration[0], acceleration[-1] = acceleration[1], acceleration[-2]
    return 0.5 * (half[:-1] + half[1:]), acceleration


def inverse_dynamics(
    body: Body, qpos: Float64[np.ndarray, "t q"], rate_hz: float, ground: Ground | None, friction: float
) -> Dynamics:
    """Torques of all frames; `ground` is None for a fixed base. Armature and springs count, damping does not."""
    import mujoco

    model, data = body.model, body.data
    flags = int(model.opt.disableflags)
    model.opt.disableflags = flags | int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
    velocity, acceleration = differences(body, qpos, rate_hz)
    force = np.empty((len(qpos), model.nv))
    unsupported = np.full(len(qpos), np.nan)
    weight = float(model.body_mass.sum() * np.linalg.norm(model.opt.gravity))
    try:
        for t in range(len(qpos)):
            data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t], velocity[t], acceleration[t]
            mujoco.mj_inverse(model, data)
            force[t] = data.qfrc_inverse
            if ground is not None:
                unsupported[t] = _lean_on(body, force[t], ground, t, weight, friction)
    finally:
        model.opt.disableflags = flags
    return Dynamics(torque_Nm=force[:, body.columns.dof], unsupported_share=unsupported)


def _lean_on(body: Body, force: np.ndarray, ground: Ground, t: int, weight: float, friction: float) -> float:
    """Take the ground's reaction off `force` (v), in place; the scaled wrench that is still missing."""
    import mujoco

    base = slice(body.base_dof, body.base_dof + 6)
    scale = 1.0 / (weight * np.array([1, 1, 1, _LEVER_M, _LEVER_M, _LEVER_M]))
    wanted = force[base] * scale
    corners, owner = ground.standing(t)
    if not len(corners):
        return float(np.linalg.norm(wanted))
    p, q = body.data.qpos[body.base_qpos : body.base_qpos + 3], body.data.qpos[body.base_qpos + 3 : body.base_qpos + 7]
    edges = _EDGES * np.array([friction, friction, 1.0])
    push = np.broadcast_to(edges, (len(corners), 4, 3)).reshape(-1, 3)
    at = np.repeat(corners, 4, axis=0)
    moment = geometry.rotate(geometry.quat_inverse(q), np.cross(at - p, push))
    wrench = np.concatenate([push, moment], axis=1).T * (scale[:, None] * weight)
    amount = _least_pushes(wrench, wanted) * weight
    jac_p, jac_r = np.zeros((3, body.model.nv)), np.zeros((3, body.model.nv))
    for side, sole in enumerate(ground.soles):
        mine = np.repeat(owner == side, 4)
        if not mine.any():
            continue
        center = at[mine].mean(axis=0)
        total = amount[mine] @ push[mine]
        twist = np.cross(at[mine] - center, push[mine]).T @ amount[mine]
        mujoco.mj_jac(body.model, body.data, jac_p, jac_r, center, sole.body)
        force -= jac_p.T @ total + jac_r.T @ twist
    return float(np.linalg.norm(wrench @ (amount / weight) - wanted))


def _least_pushes(wrench: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Amounts >= 0 of the columns of `wrench` (6 n) nearest to `wanted`, small ones among equals."""
    square = wrench.T @ wrench + _SMALL**2 * np.eye(wrench.shape[1])
    upper = cholesky(square)
    return nnls(upper, solve_triangular(upper, wrench.T @ wanted, trans=1))[0]
