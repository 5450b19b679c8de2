"""The robot against itself: the deepest contact of every frame, by MuJoCo's own collision of its shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain.feasibility.body import Body


@dataclass(frozen=True, kw_only=True)
class Contacts:
    """Depth in metres of every frame's deepest contact, 0 where nothing touches, and the two bodies ("" likewise).

    `finger` contacts are between two bodies below one wrist, `body` contacts all others.
    """

    body_m: Float64[np.ndarray, " t"]
    finger_m: Float64[np.ndarray, " t"]
    bodies: list[str]
    fingers: list[str]


def self_collision(body: Body, qpos: Float64[np.ndarray, "t q"]) -> Contacts:
    """The contacts of all frames. Meshes collide as their convex hulls; pairs that may touch do not count."""
    import mujoco

    model, data = body.model, body.data
    owner = np.asarray(model.geom_bodyid)
    depth, pairs = np.zeros((2, len(qpos))), [[""] * len(qpos), [""] * len(qpos)]
    for t in range(len(qpos)):
        data.qpos[:] = qpos[t]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_collision(model, data)
        if not data.ncon:
            continue
        both = owner[data.contact.geom]
        first, second = both[:, 0], both[:, 1]
        into = np.where(body.apart[first, second], -data.contact.dist, 0.0)
        in_hand = body.one_hand[first, second]
        for kind, mine in enumerate((~in_hand, in_hand)):
            worst = int(np.argmax(np.where(mine, into, 0.0)))
            if mine[worst] and into[worst] > 0:
                depth[kind, t] = into[worst]
                pairs[kind][t] = " and ".join(model.body(int(b)).name for b in both[worst])
    return Contacts(body_m=depth[0], finger_m=depth[1], bodies=pairs[0], fingers=pairs[1])
