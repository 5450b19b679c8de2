"""Capsules around a model's geoms, and the pairs of them that can touch."""

from __future__ import annotations

from functools import lru_cache

import mujoco
import numpy as np

from vidpretrain import geometry
from vidpretrain.collision import capsules
from vidpretrain.collision.near import capsule_arrays, survey
from vidpretrain.collision.types import CollisionModel
from vidpretrain.errors import InputError
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.robot import Robot, mj_spec
from vidpretrain.robot.extract import carriers, extract_tree
from vidpretrain.tree import Tree

NEAR_M, CLEAR_M = 0.008, 0.003
_SAMPLES, _ALWAYS = 1500, 0.4
_FEW, _FEW_JOINTS = 150, 3
_RING = 24
_SPHERE, _CAPSULE, _CYLINDER, _BOX, _ELLIPSOID, _MESH = (
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{n}")) for n in ("SPHERE", "CAPSULE", "CYLINDER", "BOX", "ELLIPSOID", "MESH")
)


def model_of(robot_or_spec, base: str | None) -> CollisionModel:
    """The capsules of a robot or spec; see `collision.model_of`."""
    if isinstance(robot_or_spec, Robot):
        return _of_robot(robot_or_spec.digest, _Keyed(robot_or_spec))
    spec = robot_or_spec.copy()
    return _build(spec, base or spec.worldbody.first_body().name, None)


class _Keyed:
    """Carries a robot past the cache's key, which is the digest alone."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=16)
def _of_robot(digest: str, keyed: _Keyed) -> CollisionModel:
    robot = keyed.robot
    spec = mj_spec(robot)
    return _build(spec, _free_body(spec), np.asarray(robot.home))


def _build(spec, base: str, home: np.ndarray | None) -> CollisionModel:
    try:
        model = spec.compile()
    except ValueError as error:
        raise InputError(f"MuJoCo cannot compile the model: {error}") from None
    shapes, carried = _shapes(model), carriers(model, base)
    body = [model.body(name).id for name, _, _, _ in shapes]
    kept = [k for k, b in enumerate(body) if b in carried]  # what is outside the base's tree does not move with it
    ends = [[geometry.transform(carried[body[k]][1], end) for end in shapes[k][1:3]] for k in kept]
    p_joint = np.array(ends, dtype=float).reshape(-1, 2, 3)
    tree = extract_tree(model, base, ())
    out = CollisionModel(
        names=tuple(shapes[k][0] for k in kept),
        joint=np.array([carried[body[k]][0] for k in kept], dtype=np.int64),
        p_joint_start=np.ascontiguousarray(p_joint[:, 0]),
        p_joint_end=np.ascontiguousarray(p_joint[:, 1]),
        radius_m=np.array([shapes[k][3] for k in kept]),
        pairs=np.zeros((0, 2), dtype=np.int64),
    )
    return _with_pairs(out, tree, home, model)


def _shapes(model) -> list[tuple[str, np.ndarray, np.ndarray, float]]:
    """(body, start, end, radius) of every capsule, in the bodies' frames."""
    out, of_mesh = [], {}
    for b in range(1, model.nbody):
        for g in _solid(model, b):
            R = np.empty(9)
            mujoco.mju_quat2Mat(R, model.geom_quat[g])
            R = R.reshape(3, 3)
            mesh = int(model.geom_dataid[g]) if int(model.geom_type[g]) == _MESH else -1
            found = of_mesh.get(mesh)
            if found is None:
                found = _capsules(model, g)
            if mesh >= 0:
                of_mesh[mesh] = found
            for row in found:
                ends = (R @ row[:3] + model.geom_pos[g], R @ row[3:6] + model.geom_pos[g])
                out.append((model.body(b).name, *ends, float(row[6])))
    return out


def _capsules(model, g: int) -> np.ndarray:
    """Capsules (k 7: start, end, radius) of one geom in its own frame: itself, or some around a mesh or box."""
    kind, size = int(model.geom_type[g]), model.geom_size[g]
    if kind in (_SPHERE, _CAPSULE):
        half = float(size[1]) if kind == _CAPSULE else 0.0
        return np.array([[0.0, 0.0, -half, 0.0, 0.0, half, size[0]]])
    if kind == _CYLINDER and size[1] >= size[0]:  # many a URDF's cylinder stands for a round link: as thick as that
        half = float(size[1] - 0.5 * size[0])
        return np.array([[0.0, 0.0, -half, 0.0, 0.0, half, size[0]]])
    points = _points(model, g)
    return capsules.fit(points) if len(points) else np.zeros((0, 7))  # planes and height fields belong to no link


def _points(model, g: int) -> np.ndarray:
    """Points (n 3) of one geom's surface in its own frame, whose hull it is; none of a plane or height field."""
    kind, size = int(model.geom_type[g]), model.geom_size[g]
    if kind in (_SPHERE, _CAPSULE):
        ball, up = size[0] * capsules.sphere(200), np.array([0.0, 0.0, size[1] if kind == _CAPSULE else 0.0])
        return np.concatenate([ball - up, ball + up])
    if kind == _CYLINDER:
        angle = 2 * np.pi * np.arange(_RING) / _RING
        up = np.array([0.0, 0.0, size[1]])
        ring = size[0] * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
        return np.concatenate([ring - up, ring + up])
    if kind == _BOX:
        return np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T * size
    if kind == _ELLIPSOID:
        return capsules.sphere(200) * size
    if kind == _MESH:
        m = int(model.geom_dataid[g])
        first = int(model.mesh_vertadr[m])
        return np.array(model.mesh_vert[first : first + int(model.mesh_vertnum[m])], dtype=float)
    return np.zeros((0, 3))


def surface_of(robot: Robot, joint: int) -> np.ndarray:
    """Points of what a joint carries; see `collision.surface_of`."""
    return _surface(robot.digest, _Keyed(robot), joint)


@lru_cache(maxsize=64)
def _surface(digest: str, keyed: _Keyed, joint: int) -> np.ndarray:
    spec = mj_spec(keyed.robot)
    model = spec.compile()
    carried, out = carriers(model, _free_body(spec)), [np.zeros((0, 3))]
    for b, (own, T_joint_body) in carried.items():
        for g in _solid(model, b) if own == joint else ():
            T_body_geom = geometry.pose(np.array(model.geom_quat[g]), np.array(model.geom_pos[g]))
            points = _points(model, g)
            if len(points):
                out.append(geometry.transform(geometry.compose(T_joint_body, T_body_geom), points))
    found = np.concatenate(out)
    found.flags.writeable = False
    return found


def _free_body(spec) -> str:
    return next(b.name for b in spec.bodies if any(int(joint.type) == 0 for joint in b.joints))


def _with_pairs(model: CollisionModel, tree: Tree, home: np.ndarray | None, compiled) -> CollisionModel:
    """The model with the pairs that come near in some posture, and not in most."""
    links = np.unique(model.joint)
    above = {int(j): _link_above(tree, int(j), set(links.tolist())) for j in links}
    joint = model.joint
    first, second = np.triu_indices(len(joint), 1)
    up = np.array([above[int(j)] for j in joint], dtype=np.int64)
    fits = (joint[first] != joint[second]) & (up[first] != joint[second]) & (up[second] != joint[first])
    first, second = first[fits], second[fits]
    order = np.lexsort((second, first, joint[second], joint[first]))
    pairs = np.stack([first[order], second[order]], axis=1).astype(np.int64)
    every = CollisionModel(**{**{f: getattr(model, f) for f in model.__dataclass_fields__}, "pairs": pairs})
    lower, upper = tree.bounds()
    random = np.random.default_rng(0)
    rest = np.clip(np.zeros(len(lower)) if home is None else home, lower, upper)
    drawn = random.uniform(np.maximum(lower, -np.pi), np.minimum(upper, np.pi), size=(_SAMPLES, len(lower)))
    Q = tree.with_mimic(np.concatenate([rest[None], drawn, rest + 0.3 * (drawn - rest)]))
    arrays = (tree_arrays(tree), *capsule_arrays(every))
    least, count = np.empty(len(pairs)), np.empty(len(pairs), dtype=np.int64)
    survey(*arrays, Q[:1], NEAR_M, CLEAR_M, least, count)
    apart_at_rest = count == 0
    survey(*arrays, Q, NEAR_M, CLEAR_M, least, count)
    keep = (least < NEAR_M) & (count <= _ALWAYS * len(Q)) & apart_at_rest
    keep &= ~_fat(every, tree, Q[: _FEW + 1], compiled, keep)
    return CollisionModel(**{**{f: getattr(model, f) for f in model.__dataclass_fields__}, "pairs": pairs[keep]})


def _link_above(tree: Tree, j: int, links: set[int]) -> int:
    """The next joint towards the base that carries a capsule, -1: the base."""
    while j >= 0:
        j = int(tree.parent[j])
        if j in links:
            return j
    return -1


def _fat(model: CollisionModel, tree: Tree, Q: np.ndarray, compiled, keep: np.ndarray) -> np.ndarray:
    """True (n) for pairs of links a few joints apart whose geoms never touch in Q (t j): capsules are a little fat."""
    arrays, data = tree_arrays(tree), mujoco.MjData(compiled)
    address = np.array([int(compiled.joint(name).qposadr[0]) for name in tree.joint_names], dtype=np.int64)
    paths = [
        set(arrays.path[arrays.path_start[j + 1] : arrays.path_start[j + 2]].tolist())
        for j in range(-1, len(tree.joint_names))
    ]
    bodies = [compiled.body(name).id for name in model.names]
    near = {
        (bodies[a], bodies[b])
        for a, b in model.pairs[keep]
        if len(paths[model.joint[a] + 1] ^ paths[model.joint[b] + 1]) <= _FEW_JOINTS
    }
    solid = {b: _solid(compiled, b) for pair in near for b in pair}
    touch: set[tuple[int, int]] = set()
    for q in Q if near else ():
        data.qpos[address] = q
        mujoco.mj_kinematics(compiled, data)
        for a, b in near - touch:
            if any(mujoco.mj_geomDistance(compiled, data, g, h, 0.01, None) < 0.0 for g in solid[a] for h in solid[b]):
                touch.add((a, b))
    dropped = near - touch
    return np.array([(bodies[a], bodies[b]) in dropped for a, b in model.pairs], dtype=bool)


def _solid(model, body: int) -> list[int]:
    """The geoms of a body that stand for its shape: those that collide, or where it has none, its visual ones."""
    geoms = [int(g) for g in np.flatnonzero(model.geom_bodyid == body)]
    return [g for g in geoms if model.geom_contype[g] or model.geom_conaffinity[g]] or geoms
