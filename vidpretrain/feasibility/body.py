"""The robot's MuJoCo model with masses and collision shapes, addressed by the columns of its `Tree`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import geometry
from vidpretrain.robot import Robot, mj_spec
from vidpretrain.robot.qpos import QposColumns, qpos_columns
from vidpretrain.skeletons import SIDES

if TYPE_CHECKING:
    import mujoco

_SPHERE, _CAPSULE, _ELLIPSOID, _CYLINDER, _BOX, _MESH = 2, 3, 4, 5, 6, 7  # mjtGeom
_SOLE_M, _SOLE_CORNERS = 0.01, 8
_KEPT: dict[str, Body] = {}


@dataclass(frozen=True, kw_only=True)
class Sole:
    """A foot: its body, and the corners of its sole in that body's frame."""

    body: int
    p_body_corner: Float64[np.ndarray, "c 3"]


@dataclass(frozen=True, kw_only=True)
class Body:
    """A compiled model, and where the tree's columns are in its qpos and qvel.

    `columns` are the tree's columns in MuJoCo's numbers. `base_qpos` and `base_dof` are the free joint's first indices.
    `apart` is true for pairs of bodies whose contact counts, `one_hand` for pairs below the same wrist.
    """

    model: mujoco.MjModel
    data: mujoco.MjData
    columns: QposColumns
    base_qpos: int
    base_dof: int
    apart: Bool[np.ndarray, "b b"]
    one_hand: Bool[np.ndarray, "b b"]
    soles: dict[str, Sole]

    def positions(
        self, T_world_base: Float64[np.ndarray, "t 7"], joint_pos: Float64[np.ndarray, "t j"]
    ) -> Float64[np.ndarray, "t q"]:
        """MuJoCo's qpos of every frame."""
        out = np.tile(self.model.qpos0, (len(joint_pos), 1))
        self.columns.put(out, joint_pos)
        out[:, self.base_qpos : self.base_qpos + 3] = T_world_base[:, 4:]
        out[:, self.base_qpos + 3 : self.base_qpos + 7] = geometry.normalize(T_world_base[:, :4])
        return out


def body_of(robot: Robot, home_touch_m: float) -> Body:
    """The robot's body, compiled once per process and robot.

    Raises:
        MissingAsset: the model files are not on this machine.
    """
    key = f"{robot.digest} {home_touch_m}"
    if key not in _KEPT:
        spec = mj_spec(robot)
        hands = [f"{side}_wrist" for side in SIDES if f"{side}_wrist" in robot.tree.site_names]
        feet = {side: f"{side}_foot" for side in SIDES if f"{side}_foot" in robot.tree.site_names}
        base = geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0, 0, robot.base_height_m]))
        home = robot.tree.with_mimic(np.array(robot.home)[None])
        _KEPT[key] = build(spec, robot.tree.joint_names, base[None], home, hands, feet, home_touch_m)
    return _KEPT[key]


def build(
    spec: mujoco.MjSpec,
    joint_names: tuple[str, ...],
    T_world_base: Float64[np.ndarray, "1 7"],
    home: Float64[np.ndarray, "1 j"],
    wrist_sites: list[str],
    foot_sites: dict[str, str],
    home_touch_m: float,
) -> Body:
    """The body of a spec with one free joint.

    Shapes that collide are the model's own; a hand that has none (some makers leave them out) gets those that are
    seen. Bodies that are parent and child or one further apart may touch, and those nearer than `home_touch_m` at home.
    """
    import mujoco

    _choose_shapes(spec, wrist_sites)
    model = spec.compile()
    model.dof_damping[:] = 0.0  # in many models it stands for the gains of servos (Apollo: 200 N m s/rad)
    data = mujoco.MjData(model)
    free = int(np.flatnonzero(model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE))[0])
    body = Body(
        model=model,
        data=data,
        columns=qpos_columns(model, joint_names),
        base_qpos=int(model.jnt_qposadr[free]),
        base_dof=int(model.jnt_dofadr[free]),
        apart=np.ones((model.nbody, model.nbody), dtype=bool),
        one_hand=_one_hand(model, [int(model.site(name).bodyid[0]) for name in wrist_sites]),
        soles={side: _sole(model, name) for side, name in foot_sites.items()},
    )
    data.qpos[:] = body.positions(T_world_base, home)[0]
    _let_touch(body, home_touch_m)
    return body


def _choose_shapes(spec: mujoco.MjSpec, wrist_sites: list[str]) -> None:
    """Colliding geoms collide with all others, and hands without any collide by what is seen of them."""
    for name in wrist_sites:
        hand = _geoms_below(spec.site(name).parent)
        if not any(geom.contype or geom.conaffinity for geom in hand):
            for geom in hand:
                geom.contype = 1
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = int(bool(geom.contype or geom.conaffinity))


def _geoms_below(root: mujoco.MjsBody) -> list[mujoco.MjsGeom]:
    return [*root.geoms, *(geom for child in root.bodies for geom in _geoms_below(child))]


def _one_hand(model: mujoco.MjModel, wrists: list[int]) -> np.ndarray:
    out = np.zeros((model.nbody, model.nbody), dtype=bool)
    for wrist in wrists:
        inside = np.zeros(model.nbody, dtype=bool)
        inside[wrist] = True
        for b in range(wrist + 1, model.nbody):
            inside[b] = inside[model.body_parentid[b]]
        out |= inside[:, None] & inside
    return out


def _let_touch(body: Body, home_touch_m: float) -> None:
    import mujoco

    model, data, apart = body.model, body.data, body.apart
    rigid = np.asarray(model.body_weldid)  # bodies without a joint between them are one
    for b in range(1, model.nbody):
        me = int(rigid[b])
        parent = int(rigid[model.body_parentid[me]])
        grandparent = int(rigid[model.body_parentid[parent]])
        for near in (me, parent, grandparent):
            _touching(apart, rigid, me, near)
    margin = model.geom_margin.copy()
    model.geom_margin[:] = home_touch_m
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    for first, second in model.geom_bodyid[data.contact.geom]:
        _touching(apart, rigid, int(rigid[first]), int(rigid[second]))
    model.geom_margin[:] = margin


def _touching(apart: np.ndarray, rigid: np.ndarray, first: int, second: int) -> None:
    one, other = np.flatnonzero(rigid == first), np.flatnonzero(rigid == second)
    apart[np.ix_(one, other)] = False
    apart[np.ix_(other, one)] = False


def _sole(model, site: str) -> Sole:
    """The lowest centimetre of a foot's shapes, as seen from its site (z up, on the sole), at most eight corners."""
    from scipy.spatial import ConvexHull

    s = model.site(site)
    body = int(s.bodyid[0])
    T_body_site = geometry.pose(s.quat, s.pos)
    mine = [int(g) for g in np.flatnonzero(model.geom_bodyid == body)]
    firm = [int(g) for g in mine if model.geom_contype[g] != 0]
    points = np.concatenate([_surface(model, g) for g in firm or mine])
    seen = geometry.transform(geometry.inverse(T_body_site), points)
    low = seen[seen[:, 2] < seen[:, 2].min() + _SOLE_M]
    if np.linalg.matrix_rank(low[:, :2] - low[:, :2].mean(axis=0), tol=1e-4) == 2:
        low = low[ConvexHull(low[:, :2]).vertices]
    around = np.arange(_SOLE_CORNERS) * (2 * np.pi / _SOLE_CORNERS) + 0.5 * np.pi / _SOLE_CORNERS
    outermost = np.unique(np.argmax(low[:, :2] @ np.stack([np.cos(around), np.sin(around)]), axis=0))
    return Sole(body=body, p_body_corner=geometry.transform(T_body_site, low[outermost]))


def _surface(model, g: int) -> np.ndarray:
    """Points (n 3) of a geom's surface in its body's frame: corners, mesh vertices, or poles of round shapes."""
    kind, size = int(model.geom_type[g]), model.geom_size[g]
    T_body_geom = geometry.pose(model.geom_quat[g], model.geom_pos[g])
    if kind == _MESH:
        mesh = model.geom_dataid[g]
        start = model.mesh_vertadr[mesh]
        return geometry.transform(T_body_geom, model.mesh_vert[start : start + model.mesh_vertnum[mesh]].astype(float))
    corners = np.stack(np.meshgrid(*[[-1.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
    if kind in (_BOX, _ELLIPSOID):
        return geometry.transform(T_body_geom, corners * size)
    along = {_CAPSULE: size[1], _CYLINDER: size[1]}.get(kind, 0.0)
    around = np.arange(16) * (2 * np.pi / 16)
    ring = size[0] * np.stack([np.cos(around), np.sin(around), 0 * around], axis=1)
    if kind == _CYLINDER:
        rings = np.concatenate([ring + np.array([0, 0, along]), ring - np.array([0, 0, along])])
        return geometry.transform(T_body_geom, rings)
    axis = geometry.rotate(T_body_geom[:4], np.array([[0, 0, along], [0, 0, -along]])) + T_body_geom[4:]
    spokes = size[0] * np.concatenate([np.eye(3), -np.eye(3)])
    return (axis[:, None] + spokes).reshape(-1, 3)
