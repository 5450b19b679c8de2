"""An upper body of boxes and capsules with position-controlled arms and hands, made from any humanoid's model.

Legs, waist and head stand still at home: the pelvis is bolted to the world. Every joint of arms and hands gets a
position actuator of one bandwidth, critically damped at the home posture, within its torque; gravity is compensated,
as the controllers of these robots do. Fingers that follow others are driven by the same rule, each by its own motor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.robot import Robot, mj_spec
from vidpretrain.sim.worlds.shapes import fit_shape

HAND, THING, FIXED = 1, 2, 4  # contact bits: links of the robot, movable things, what stands still
_SIDES = ("left", "right")
_ARM_BANDWIDTH, _HAND_BANDWIDTH = 40.0, 60.0  # rad/s
_ARM_ARMATURE, _HAND_ARMATURE = 0.03, 0.0006  # kg m^2, what geared motors add
_HAND_TORQUE = 1.0  # N m at most
_ARM_COLOUR, _HAND_COLOUR, _BODY_COLOUR = (0.55, 0.57, 0.60, 1), (0.16, 0.17, 0.19, 1), (0.72, 0.73, 0.75, 1)
_FRICTION = (0.3, 0.01, 0.0005)  # things bring their own, which counts (priority)
_SMALL_M = 0.006


@dataclass(frozen=True)
class Links:
    """Names that the built spec contains: driven joints in the tree's order, actuators have the joints' names."""

    joints: tuple[str, ...]


def add_humanoid(spec: mujoco.MjSpec, robot: Robot) -> Links:
    """Put the robot into `spec`, its base at its standing height above the world's origin.

    Raises:
        MissingAsset: the model files are not on this machine.
    """
    source = mj_spec(robot).compile()
    data = mujoco.MjData(source)
    spec.compiler.degree = False
    arms = {name for side in _SIDES for name in robot.groups.get(f"{side}_arm", ())}
    hands = {name for side in _SIDES for name in robot.groups.get(f"{side}_hand", ())}
    for name, value in zip(robot.tree.joint_names, robot.home, strict=True):
        data.joint(name).qpos[0] = 0.0 if name in arms | hands else value
    free = next(j for j in range(source.njnt) if int(source.jnt_type[j]) == 0)
    start = int(source.jnt_qposadr[free])
    data.qpos[start : start + 7] = [0, 0, robot.base_height_m, 1, 0, 0, 0]
    mujoco.mj_kinematics(source, data)
    legs = _below(source, [n for g in ("left_leg", "right_leg") for n in robot.groups.get(g, ())])
    in_hand = _below(source, sorted(hands), [f"{side}_palm" for side in _SIDES])
    in_arm = _below(source, sorted(arms))
    order = [n for n in robot.tree.joint_names if n in arms | hands]
    built: dict[int, mujoco.MjsBody] = {0: spec.worldbody}
    for b in range(1, source.nbody):
        if b in legs or int(source.body_parentid[b]) not in built:
            continue
        kind = "hand" if b in in_hand else "arm" if b in in_arm else "body"
        built[b] = _add_body(spec, built, source, data, b, kind, arms | hands, robot)
    _add_motors(spec, robot, order, hands)
    return Links(tuple(order))


def require_arms(robot: Robot) -> None:
    """Check that a robot can stand at a table.

    Raises:
        InputError: it has no two arms (a hand of its own), or no head camera.
    """
    missing = [f"{side}_arm" for side in _SIDES if not robot.joints(f"{side}_arm")]
    missing += [] if np.isfinite(robot.T_base_camera).all() else ["camera"]
    if missing:
        raise InputError(
            f"{robot.name} is no humanoid with two arms and a head camera",
            asked=robot.name,
            found=f"without {', '.join(missing)}",
            next_command="vidpretrain robots",
        )


def _below(model: mujoco.MjModel, joints: Sequence[str], sites: Sequence[str] = ()) -> set[int]:
    """Bodies that these joints move, and those that carry these sites with all below them."""
    roots = {int(model.joint(name).bodyid[0]) for name in joints} | {int(model.site(s).bodyid[0]) for s in sites}
    out: set[int] = set()
    for b in range(1, model.nbody):
        if b in roots or int(model.body_parentid[b]) in out:
            out.add(b)
    return out


def _add_body(spec, built, model, data, b: int, kind: str, driven: set[str], robot: Robot) -> mujoco.MjsBody:
    parent = int(model.body_parentid[b])
    T_world = [geometry.pose(data.xquat[i], data.xpos[i]) for i in (parent, b)]
    T = geometry.compose(geometry.inverse(T_world[0]), T_world[1])
    body = built[parent].add_body(name=model.body(b).name, pos=T[4:], quat=T[:4], gravcomp=1.0)
    body.explicitinertial = True
    body.mass, body.inertia = max(float(model.body_mass[b]), 1e-4), np.maximum(model.body_inertia[b], 1e-8)
    body.ipos, body.iquat = model.body_ipos[b], model.body_iquat[b]
    for j in range(model.njnt):
        name = model.joint(j).name
        if int(model.jnt_bodyid[j]) == b and name in driven:
            hand = kind == "hand" and not any(name in robot.groups.get(f"{s}_arm", ()) for s in _SIDES)
            k = robot.tree.joint(name)
            body.add_joint(
                name=name,
                type=mujoco.mjtJoint(int(model.jnt_type[j])),
                axis=model.jnt_axis[j],
                pos=model.jnt_pos[j],
                range=[robot.tree.lower[k], robot.tree.upper[k]],
                limited=True,
                armature=_HAND_ARMATURE if hand else _ARM_ARMATURE,
                damping=[0.01 if hand else 0.5, 0, 0],
            )
    _add_shape(body, model, b, kind)
    for s in range(model.nsite):
        if int(model.site_bodyid[s]) == b and model.site(s).name in robot.tree.site_names:
            body.add_site(name=model.site(s).name, pos=model.site_pos[s], quat=model.site_quat[s], group=5)
    return body


def _add_shape(body: mujoco.MjsBody, model: mujoco.MjModel, b: int, kind: str) -> None:
    """One shape for a link of the arms and hands, one per mesh for the rest of the body, which touches nothing."""
    parts = _parts(model, b)
    for k, points in enumerate(parts if kind == "body" else [np.concatenate(parts)] if parts else []):
        shape = fit_shape(points, "capsule" if kind == "arm" else "box")
        if shape is None or shape.size.max() < _SMALL_M:
            continue
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX if shape.kind == "box" else mujoco.mjtGeom.mjGEOM_CAPSULE,
            size=shape.size,
            pos=shape.T_body_shape[4:],
            quat=shape.T_body_shape[:4],
            rgba={"arm": _ARM_COLOUR, "hand": _HAND_COLOUR, "body": _BODY_COLOUR}[kind],
            contype=HAND if kind != "body" else 0,
            conaffinity=0,
            condim=4 if kind == "hand" else 3,
            friction=_FRICTION,
            solref=[0.008, 1.0],
            mass=0.0,
            group=3 if kind == "body" else 0,  # the robot does not look at its own chest
            name=f"{kind}:{body.name}:{k}",
        )


def _parts(model: mujoco.MjModel, b: int) -> list[np.ndarray]:
    """Vertices (n 3) of each of a body's meshes in its frame; where it has none, corners of its other shapes."""
    meshes, others = [], []
    for g in np.flatnonzero(model.geom_bodyid == b):
        T = geometry.pose(model.geom_quat[g], model.geom_pos[g])
        if int(model.geom_type[g]) == int(mujoco.mjtGeom.mjGEOM_MESH):
            i = int(model.geom_dataid[g])
            first, count = model.mesh_vertadr[i], model.mesh_vertnum[i]
            meshes.append(geometry.transform(T, model.mesh_vert[first : first + count].astype(float)))
        else:
            corners = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), axis=-1).reshape(-1, 3)
            others.append(geometry.transform(T, corners * model.geom_aabb[g, 3:] + model.geom_aabb[g, :3]))
    return meshes or others


def _add_motors(spec: mujoco.MjSpec, robot: Robot, joints: Sequence[str], hands: set[str]) -> None:
    """Position actuators: kp from bandwidth and inertia at home, kv for critical damping."""
    model = spec.compile()
    data = mujoco.MjData(model)
    for name in joints:
        data.joint(name).qpos[0] = robot.home[robot.tree.joint(name)]
    mujoco.mj_forward(model, data)
    full = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, full)
    for name in joints:
        k, hand = robot.tree.joint(name), name in hands
        inertia = float(full[int(model.joint(name).dofadr[0]), int(model.joint(name).dofadr[0])])
        omega = _HAND_BANDWIDTH if hand else _ARM_BANDWIDTH
        torque = min(float(robot.max_torque[k]), _HAND_TORQUE if hand else 200.0)
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.set_to_position(kp=inertia * omega**2, kv=2 * inertia * omega)
        motor.forcelimited, motor.forcerange = True, [-torque, torque]
        motor.ctrllimited, motor.ctrlrange = True, [robot.tree.lower[k], robot.tree.upper[k]]
