"""A compiled MuJoCo model as a `Tree`: what MuJoCo moves, in this toolkit's arrays.

A body's joints turn one after the other about their own anchors, so each becomes a frame at its anchor; bodies
without joints merge into their parents; qpos0 is folded into the zero poses; joint equalities become mimic joints.
A ball is three entries and a free joint six (`tree.ball_joint`, `tree.free_joint`): their columns hold the rotation
vector of MuJoCo's quaternion, and a free joint's place in the world. `robot.qpos` turns columns into MuJoCo's numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.tree import BALL_SUFFIXES, FREE_SUFFIXES, REACH_M, Kind, Tree

_FREE, _BALL, _SLIDE, _HINGE = (int(getattr(mujoco.mjtJoint, f"mjJNT_{n}")) for n in ("FREE", "BALL", "SLIDE", "HINGE"))
UNLIMITED_RAD = 4 * np.pi


class Entry(NamedTuple):
    """One entry of the tree."""

    joint: int  # MuJoCo's number
    name: str
    kind: Kind
    parent: int
    T_parent_zero: np.ndarray
    axis: np.ndarray


def light_model(spec) -> mujoco.MjModel:
    """Compile the kinematics alone: no geoms, meshes, actuators or sensors. `spec` is emptied of them.

    Raises:
        InputError: MuJoCo does not compile it.
    """
    for kind in ("geoms", "actuators", "sensors", "keys", "tendons", "skins", "excludes", "pairs", "meshes"):
        for element in list(getattr(spec, kind)):
            spec.delete(element)
    for b in spec.bodies:
        b.explicitinertial, b.mass, b.inertia = True, 1.0, [1.0, 1.0, 1.0]
        b.fullinertia = [np.nan] * 6
    spec.compiler.fusestatic = False
    try:
        return spec.compile()
    except ValueError as error:
        raise InputError(f"MuJoCo cannot compile the model: {error}") from None


def extract_tree(model: mujoco.MjModel, base: str, sites: tuple[str, ...]) -> Tree:
    """The tree below body `base`, with the named sites; base "world" is all that moves.

    MuJoCo limits a ball by its angle; here it is a box around that ball of rotation vectors.
    """
    carrier, rows = _walk(model, base)
    ids = [row.joint for row in rows]
    lower, upper = _limits(model, rows)
    source, ratio, offset = _mimic(model, ids)
    site_joint, T_joint_site = _sites(model, carrier, sites)
    return Tree(
        joint_names=tuple(row.name for row in rows),
        kind=tuple(row.kind for row in rows),
        parent=np.array([row.parent for row in rows], dtype=np.int64),
        T_parent_zero=np.array([row.T_parent_zero for row in rows]).reshape(-1, 7),
        axis=np.array([row.axis for row in rows]).reshape(-1, 3),
        lower=lower,
        upper=upper,
        mimic_source=source,
        mimic_ratio=ratio,
        mimic_offset=offset,
        site_names=sites,
        site_joint=site_joint,
        T_joint_site=T_joint_site,
    )


def carriers(model: mujoco.MjModel, base: str) -> dict[int, tuple[int, np.ndarray]]:
    """(joint of `extract_tree`'s tree that carries it, T_joint_body) by number of body; joint -1 is the base."""
    return _walk(model, base)[0]


def _walk(model, base: str) -> tuple[dict[int, tuple[int, np.ndarray]], list[Entry]]:
    """`carriers`, and the tree's entries."""
    base_id = model.body(base).id
    carrier: dict[int, tuple[int, np.ndarray]] = {base_id: (-1, np.array(geometry.IDENTITY_POSE))}
    rows: list[Entry] = []
    for b in range(1, model.nbody):
        if b != base_id and int(model.body_parentid[b]) in carrier:
            carrier[b] = _body(model, b, carrier, rows)
    return carrier, rows


def _translation(p) -> np.ndarray:
    return geometry.pose(np.array([1.0, 0, 0, 0]), np.asarray(p))


def _body(model, b: int, carrier: dict, rows: list[Entry]) -> tuple[int, np.ndarray]:
    """(joint that carries body b, T_joint_body), adding b's joints to `rows`."""
    parent, T_parent_body = carrier[int(model.body_parentid[b])]
    T = geometry.compose(T_parent_body, geometry.pose(model.body_quat[b], model.body_pos[b]))
    for i in range(model.body_jntadr[b], model.body_jntadr[b] + model.body_jntnum[b]):
        kind = int(model.jnt_type[i])
        if kind in (_FREE, _BALL):  # a free joint's position replaces the body's own pose
            anchor = model.jnt_pos[i] if kind == _BALL else np.zeros(3)
            T = geometry.compose(T, _translation(anchor)) if kind == _BALL else T_parent_body
            _several(model, i, parent, T, rows)
        else:
            anchor = model.jnt_pos[i]
            T = geometry.compose(geometry.compose(T, _translation(anchor)), _undo_ref(model, i))
            name: Kind = "hinge" if kind == _HINGE else "slide"
            axis = geometry.normalize(model.jnt_axis[i])
            rows.append(Entry(i, model.joint(i).name, name, parent, T, axis))
        parent, T = len(rows) - 1, _translation(-anchor)
    return parent, T


def _undo_ref(model, i: int) -> np.ndarray:
    """The pose of a hinge or slide at minus its reference position."""
    ref = float(model.qpos0[model.jnt_qposadr[i]])
    if int(model.jnt_type[i]) == _HINGE:
        return geometry.pose(geometry.quat_exp(-ref * model.jnt_axis[i]), np.zeros(3))
    return _translation(-ref * model.jnt_axis[i])


def _several(model, i: int, parent: int, T_parent_zero: np.ndarray, rows: list[Entry]) -> None:
    """Add a ball's or a free joint's entries to `rows`."""
    free = int(model.jnt_type[i]) == _FREE
    for k, suffix in enumerate(FREE_SUFFIXES if free else BALL_SUFFIXES):
        kind: Kind = "slide" if free and k < 3 else "ball"
        T = T_parent_zero if k == 0 else np.array(geometry.IDENTITY_POSE)
        rows.append(Entry(i, model.joint(i).name + suffix, kind, parent, T, np.eye(3)[k % 3]))
        parent = len(rows) - 1


def _limits(model, rows: list[Entry]) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = np.empty(len(rows)), np.empty(len(rows))
    for k, row in enumerate(rows):
        limited, (low, high) = bool(model.jnt_limited[row.joint]), model.jnt_range[row.joint]
        if row.kind == "ball":
            high = min(high, np.pi) if limited else np.pi
            low = -high
        elif int(model.jnt_type[row.joint]) == _FREE:
            low, high = -REACH_M, REACH_M
        elif not limited:
            low, high = -UNLIMITED_RAD, UNLIMITED_RAD
        lower[k], upper[k] = low, high
    return lower, upper


def _mimic(model, ids) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count, place = len(ids), {i: k for k, i in enumerate(ids)}
    source, ratio, offset = np.full(count, -1, dtype=np.int64), np.ones(count), np.zeros(count)
    for e in range(model.neq):
        if int(model.eq_type[e]) != int(mujoco.mjtEq.mjEQ_JOINT) or int(model.eq_obj2id[e]) < 0:
            continue
        follower, leader = place.get(int(model.eq_obj1id[e])), place.get(int(model.eq_obj2id[e]))
        if follower is None or leader is None:
            continue
        if np.any(model.eq_data[e, 2:5] != 0):
            raise InputError("a joint coupling is not linear", asked=model.joint(ids[follower]).name)
        # the polynomial is in deviations from qpos0
        ref_f, ref_l = (model.qpos0[model.jnt_qposadr[ids[k]]] for k in (follower, leader))
        source[follower], ratio[follower] = leader, model.eq_data[e, 1]
        offset[follower] = ref_f + model.eq_data[e, 0] - model.eq_data[e, 1] * ref_l
    for k in range(count):  # a chain of followers leads to its first joint
        while source[k] >= 0 and source[source[k]] >= 0:
            middle = source[k]
            offset[k] += ratio[k] * offset[middle]
            ratio[k] *= ratio[middle]
            source[k] = source[middle]
    return source, ratio, offset


def _sites(model, carrier: dict, sites: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    joints, poses = [], []
    for name in sites:
        s = model.site(name).id
        joint, T_joint_body = carrier[int(model.site_bodyid[s])]
        joints.append(joint)
        poses.append(geometry.compose(T_joint_body, geometry.pose(model.site_quat[s], model.site_pos[s])))
    return np.array(joints, dtype=np.int64), np.array(poses).reshape(-1, 7)
