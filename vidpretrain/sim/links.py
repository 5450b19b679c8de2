"""A robot's links as light triangle meshes, and where each link is in every frame of a motion; no OpenGL needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.robot import Robot
from vidpretrain.types import RobotMotion

_AROUND, _ALONG = 16, 9  # corners of the ring and rings of a round shape
_BOX_FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


@dataclass(frozen=True, kw_only=True)
class Link:
    """One body: its visible shapes as one mesh in the body's frame (m), a colour and a unit normal per vertex, and the
    pose (t 7) of the body in the world."""

    name: str
    vertices: Float32[np.ndarray, "v 3"]
    faces: Int64[np.ndarray, "f 3"]
    normals: Float32[np.ndarray, "v 3"]
    colours: UInt8[np.ndarray, "v 3"]
    T_world_link: Float64[np.ndarray, "t 7"]


def robot_links(robot: Robot, motion: RobotMotion) -> tuple[Link, ...]:
    """The links that have a visible shape, in the order of the robot's model.

    Raises:
        InputError: the motion belongs to another robot.
        MissingAsset: the model files are not on this machine.
    """
    import mujoco

    from vidpretrain.robot.qpos import qpos_columns
    from vidpretrain.sim.robot_model import base_address, visual_spec

    if motion.joint_names != robot.tree.joint_names:
        raise InputError(
            "the motion belongs to another robot", asked=robot.name, found=motion.robot_name, valid=robot.name
        )
    model = visual_spec(robot).compile()
    shapes = {body: _shape(model, body) for body in range(1, model.nbody)}
    bodies = [body for body, shape in shapes.items() if shape is not None]
    data = mujoco.MjData(model)
    base, joints = base_address(model), qpos_columns(model, motion.joint_names)
    poses = np.empty((len(motion.time_ns), len(bodies), 7))
    for t in range(len(motion.time_ns)):
        data.qpos[base : base + 3], data.qpos[base + 3 : base + 7] = (
            motion.T_world_base[t, 4:],
            motion.T_world_base[t, :4],
        )
        joints.put(data.qpos, motion.joint_pos[t])
        mujoco.mj_kinematics(model, data)
        poses[t, :, :4], poses[t, :, 4:] = data.xquat[bodies], data.xpos[bodies]
    links = []
    for column, body in enumerate(bodies):
        vertices, faces, colours = shapes[body]  # type: ignore[misc]
        links.append(
            Link(
                name=model.body(body).name or f"body_{body}",
                vertices=vertices.astype(np.float32),
                faces=faces,
                normals=_normals(vertices, faces),
                colours=colours,
                T_world_link=poses[:, column],
            )
        )
    return tuple(links)


def _shape(model, body: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(vertices, faces, colours) of a body's geoms together; None where it has none that can be seen."""
    vertices, faces, colours, count = [], [], [], 0
    for geom in range(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body]):
        surface = _surface(model, geom)
        if surface is None:
            continue
        T_body_geom = geometry.pose(model.geom_quat[geom], model.geom_pos[geom])
        vertices.append(geometry.transform(T_body_geom, surface[0]))
        faces.append(surface[1] + count)
        material = int(model.geom_matid[geom])
        rgba = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
        colours.append(np.tile(np.round(255 * rgba[:3]).astype(np.uint8), (len(surface[0]), 1)))
        count += len(surface[0])
    if not vertices:
        return None
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(colours)


def _surface(model, geom: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(vertices, faces) of a geom in its own frame; None for a plane or height field."""
    import mujoco

    kind, size = int(model.geom_type[geom]), np.array(model.geom_size[geom])
    types = mujoco.mjtGeom
    if kind == int(types.mjGEOM_MESH):
        mesh = int(model.geom_dataid[geom])
        first, start = model.mesh_vertadr[mesh], model.mesh_faceadr[mesh]
        vertices = model.mesh_vert[first : first + model.mesh_vertnum[mesh]].astype(float)
        return vertices, model.mesh_face[start : start + model.mesh_facenum[mesh]].astype(np.int64)
    if kind == int(types.mjGEOM_BOX):
        return box(size)
    if kind in (int(types.mjGEOM_SPHERE), int(types.mjGEOM_ELLIPSOID)):
        radii = np.full(3, size[0]) if kind == int(types.mjGEOM_SPHERE) else size
        return round_shape(radii, 0.0)
    if kind == int(types.mjGEOM_CAPSULE):
        return round_shape(np.full(3, size[0]), size[1])
    if kind == int(types.mjGEOM_CYLINDER):
        return round_shape(np.array([size[0], size[0], 0.0]), size[1])
    return None


def box(half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(vertices (8 3), faces (12 3)) of a box with these half sizes, faces turned outwards."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    faces = [corner for a, b, c, d in _BOX_FACES for corner in ((a, b, c), (a, c, d))]
    return signs * half, np.array(faces, dtype=np.int64)


def round_shape(radii: np.ndarray, half_length: float) -> tuple[np.ndarray, np.ndarray]:
    """(vertices, faces) of an ellipsoid cut in half at z = 0 and pulled apart by `half_length` on each side.

    Equal radii and a length are a capsule, a z radius of 0 a cylinder; faces are turned outwards.
    """
    polar = np.linspace(0.0, np.pi, _ALONG)
    polar = np.concatenate([polar[polar <= np.pi / 2 + 1e-9], polar[polar >= np.pi / 2 - 1e-9]])  # the waist twice
    around = np.arange(_AROUND) * (2 * np.pi / _AROUND)
    ring = np.stack([np.cos(around), np.sin(around)], axis=1)
    shift = np.where(np.arange(len(polar)) < len(polar) // 2, half_length, -half_length)
    xy = np.sin(polar)[:, None, None] * ring[None] * radii[:2]
    z = np.broadcast_to((np.cos(polar) * radii[2] + shift)[:, None, None], (*xy.shape[:2], 1))
    vertices = np.concatenate([xy, z], axis=2).reshape(-1, 3)
    faces = []
    for k in range(len(polar) - 1):
        a = k * _AROUND + np.arange(_AROUND)
        b = k * _AROUND + (np.arange(_AROUND) + 1) % _AROUND
        faces += [np.stack([a, a + _AROUND, b], axis=1), np.stack([b, a + _AROUND, b + _AROUND], axis=1)]
    return vertices, np.concatenate(faces)


def _normals(vertices: np.ndarray, faces: np.ndarray) -> Float32[np.ndarray, "v 3"]:
    """Unit normal of every vertex: the mean of its faces', weighted by their area; z where there is none."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, faces[:, k], across)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 1e-12, total / np.maximum(length, 1e-12), [0.0, 0.0, 1.0]).astype(np.float32)
