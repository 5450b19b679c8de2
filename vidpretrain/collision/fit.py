"""Capsules around a model's geoms, and the pairs of them that can touch."""

from __future__ import annotations

from functools import lru_cache

import mujoco
import numpy as np

from vidpretrain.collision.near import all_distances, capsule_arrays
from vidpretrain.collision.types import CollisionModel
from vidpretrain.errors import InputError
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.robot import Robot, mj_spec
from vidpretrain.robot.extract import extract_tree, light_model
from vidpretrain.tree import Tree

NEAR_M, CLEAR_M = 0.008, 0.003
_SAMPLES, _ALWAYS = 1500, 0.4
_STRIPS, _QUANTILE = 4, 0.97
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
    free = [b.name for b in spec.bodies if any(int(joint.type) == 0 for joint in b.joints)]
    return _build(spec, free[0], np.asarray(robot.home))


def _build(spec, base: str, home: np.ndarray | None) -> CollisionModel:
    try:
        model = spec.compile()
    except ValueError as error:
        raise InputError(f"MuJoCo cannot compile the model: {error}") from None
    shapes = _shapes(model)
    names = []
    for k, (body, start, end, _) in enumerate(shapes):
        for place, point in (("start", start), ("end", end)):
            spec.body(body).add_site(name=f"capsule_{k}_{place}", pos=point)
            names.append(f"capsule_{k}_{place}")
    tree = extract_tree(light_model(spec), base, tuple(names))
    ends = np.array(tree.T_joint_site[:, 4:]).reshape(-1, 2, 3)
    out = CollisionModel(
        names=tuple(body for body, _, _, _ in shapes),
        joint=np.array(tree.site_joint[::2]),
        p_joint_start=np.ascontiguousarray(ends[:, 0]),
        p_joint_end=np.ascontiguousarray(ends[:, 1]),
        radius_m=np.array([radius for _, _, _, radius in shapes]),
        pairs=np.zeros((0, 2), dtype=np.int64),
    )
    return _with_pairs(out, tree, home)


def _shapes(model) -> list[tuple[str, np.ndarray, np.ndarray, float]]:
    """(body, start, end, radius) of every capsule, in the bodies' frames."""
    out = []
    for b in range(1, model.nbody):
        geoms = [int(g) for g in np.flatnonzero(model.geom_bodyid == b)]
        solid = [g for g in geoms if model.geom_contype[g] or model.geom_conaffinity[g]] or geoms
        for g in solid:
            R = np.empty(9)
            mujoco.mju_quat2Mat(R, model.geom_quat[g])
            R = R.reshape(3, 3)
            for start, end, radius in _capsules(model, g):
                ends = (R @ start + model.geom_pos[g], R @ end + model.geom_pos[g])
                out.append((model.body(b).name, *ends, float(radius)))
    return out


def _capsules(model, g: int) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Capsules of one geom in its own frame: itself, or strips through a mesh or box."""
    kind, size = int(model.geom_type[g]), model.geom_size[g]
    z = np.array([0.0, 0.0, 1.0])
    if kind == _SPHERE:
        return [(np.zeros(3), np.zeros(3), size[0])]
    if kind == _CAPSULE:
        return [(-size[1] * z, size[1] * z, size[0])]
    if kind == _CYLINDER:
        half = max(0.0, size[1] - size[0])
        return [(-half * z, half * z, size[0])]
    if kind in (_BOX, _ELLIPSOID):
        corners = np.array(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1])).reshape(3, -1).T * size
        return _strips(corners)
    if kind == _MESH:
        m = int(model.geom_dataid[g])
        first = int(model.mesh_vertadr[m])
        return _strips(np.array(model.mesh_vert[first : first + int(model.mesh_vertnum[m])], dtype=float))
    return []  # planes and height fields belong to no link


def _strips(points: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Parallel capsules along the longest axis of a cloud, side by side where it is flat."""
    centre = 0.5 * (points.max(axis=0) + points.min(axis=0))
    axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2]
    local = (points - centre) @ axes.T
    low, high = local.min(axis=0), local.max(axis=0)
    half = 0.5 * (high - low)
    thin = max(half[2], 1e-4)
    count = int(np.clip(round(half[1] / thin), 1, _STRIPS))
    width = half[1] / count
    radius = max(thin, width) if count > 1 else _quantile(np.hypot(local[:, 1], local[:, 2]), thin)
    out = []
    for k in range(count):
        y = low[1] + (2 * k + 1) * width
        reach = max(0.0, half[0] - radius)
        middle = np.array([0.5 * (low[0] + high[0]), y, 0.5 * (low[2] + high[2])])
        along = np.array([reach, 0.0, 0.0])
        out.append((centre + (middle - along) @ axes, centre + (middle + along) @ axes, radius))
    return out


def _quantile(radial: np.ndarray, least: float) -> float:
    return max(least, min(float(np.quantile(radial, _QUANTILE)), float(radial.max())))


def _with_pairs(model: CollisionModel, tree: Tree, home: np.ndarray | None) -> CollisionModel:
    """The model with the pairs that come near in some posture, and not in most."""
    links = np.unique(model.joint)
    above = {int(j): _link_above(tree, int(j), set(links.tolist())) for j in links}
    joint = model.joint
    pairs = np.array(
        [
            (a, b)
            for a in range(len(joint))
            for b in range(a + 1, len(joint))
            if joint[a] != joint[b] and above[int(joint[a])] != joint[b] and above[int(joint[b])] != joint[a]
        ],
        dtype=np.int64,
    ).reshape(-1, 2)
    every = CollisionModel(**{**{f: getattr(model, f) for f in model.__dataclass_fields__}, "pairs": pairs})
    lower, upper = tree.bounds()
    random = np.random.default_rng(0)
    rest = np.clip(np.zeros(len(lower)) if home is None else home, lower, upper)
    drawn = random.uniform(np.maximum(lower, -np.pi), np.minimum(upper, np.pi), size=(_SAMPLES, len(lower)))
    Q = tree.with_mimic(np.concatenate([rest[None], drawn, rest + 0.3 * (drawn - rest)]))
    gap = np.empty((len(Q), len(pairs)))
    all_distances(tree_arrays(tree), *capsule_arrays(every), Q, gap)
    touching = (gap < CLEAR_M).mean(axis=0) > _ALWAYS
    keep = (gap.min(axis=0) < NEAR_M) & ~touching & (gap[0] > CLEAR_M)
    return CollisionModel(**{**{f: getattr(model, f) for f in model.__dataclass_fields__}, "pairs": pairs[keep]})


def _link_above(tree: Tree, j: int, links: set[int]) -> int:
    """The next joint towards the base that carries a capsule, -1: the base."""
    while j >= 0:
        j = int(tree.parent[j])
        if j in links:
            return j
    return -1
