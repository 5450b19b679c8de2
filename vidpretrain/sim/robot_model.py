"""A robot's MuJoCo model made light for rendering: visible shapes only, meshes simplified by vertex clustering.

The robots' meshes have half a million triangles; a software renderer draws one such picture a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vidpretrain import geometry
from vidpretrain.robot import Robot, mj_spec

if TYPE_CHECKING:
    import mujoco

_COLLISION_GROUP = 3  # geoms of this group and above are collision shapes
_FINE_M = 0.2  # meshes smaller than this (fingers) get cells half as large


def visual_spec(robot: Robot, cell_m: float = 0.006) -> mujoco.MjSpec:
    """The robot's spec without collision shapes, actuators and sensors, its meshes clustered to cells of `cell_m`.

    Raises:
        MissingAsset: the model files are not on this machine.
    """
    spec = mj_spec(robot)
    for items in (spec.actuators, spec.sensors, spec.keys, spec.excludes, spec.pairs, spec.equalities, spec.lights):
        for item in list(items):
            spec.delete(item)
    for geom in list(spec.geoms):
        if int(geom.group) >= _COLLISION_GROUP:
            spec.delete(geom)
    model = spec.compile()
    light: dict[str, str] = {}
    for name in sorted({geom.meshname for geom in spec.geoms if geom.meshname}):
        vertices, faces = _mesh(model, name)
        size = float(np.ptp(vertices, axis=0).max())
        vertices, faces = cluster(vertices, faces, cell_m if size > _FINE_M else 0.5 * cell_m)
        light[name] = f"{name}_light"
        mesh = spec.add_mesh(name=light[name], inertia=_shell())
        mesh.uservert, mesh.userface = vertices.ravel().tolist(), faces.ravel().tolist()
    for geom in spec.geoms:
        if geom.meshname:
            geom.meshname = light[geom.meshname]
    kept = set(light.values())
    for mesh in list(spec.meshes):
        if mesh.name not in kept:
            spec.delete(mesh)
    return spec


def _shell():
    import mujoco

    return mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # clustering leaves some meshes open


def _mesh(model: mujoco.MjModel, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (v 3) m as in the file, scaled, and faces (f 3) of a compiled mesh."""
    import mujoco

    i = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_MESH, name)
    first, count = model.mesh_vertadr[i], model.mesh_vertnum[i]
    start, number = model.mesh_faceadr[i], model.mesh_facenum[i]
    vertices = model.mesh_vert[first : first + count].astype(float)
    T_file_mesh = geometry.pose(model.mesh_quat[i], model.mesh_pos[i])
    return geometry.transform(T_file_mesh, vertices), model.mesh_face[start : start + number].copy()


def cluster(vertices: np.ndarray, faces: np.ndarray, cell_m: float) -> tuple[np.ndarray, np.ndarray]:
    """A coarser mesh: vertices of one cell become their mean, faces that collapse or repeat are dropped.

    Source: Rossignac and Borrel 1993. A mesh that would vanish (fewer than 4 vertices or faces) comes back as it is.
    """
    _, group = np.unique(np.floor(vertices / cell_m).astype(np.int64), axis=0, return_inverse=True)
    group = group.reshape(-1)
    count = np.bincount(group)
    merged = np.stack([np.bincount(group, vertices[:, k]) / count for k in range(3)], axis=1)
    corners = group[faces]
    proper = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    corners = corners[proper]
    _, first = np.unique(np.sort(corners, axis=1), axis=0, return_index=True)
    corners = corners[np.sort(first)]
    used, local = np.unique(corners, return_inverse=True)
    if len(used) < 4 or len(corners) < 4 or np.linalg.matrix_rank(merged[used] - merged[used].mean(0), 1e-6) < 3:
        return vertices, faces
    return merged[used], local.reshape(-1, 3)


def base_address(model: mujoco.MjModel) -> int:
    """Index into qpos of the robot's free base: seven numbers, position then wxyz."""
    return int(model.jnt_qposadr[np.flatnonzero(model.jnt_type == 0)[0]])


def light_up(spec: mujoco.MjSpec, strength: float = 1.0) -> None:
    """Two directional lights without shadows and some ambient light."""
    import mujoco

    spec.visual.headlight.ambient = [0.34 * strength] * 3
    spec.visual.headlight.diffuse = [0.18 * strength] * 3
    spec.visual.headlight.specular = [0.05] * 3
    for direction, diffuse in (((-0.6, 0.4, -1.0), 0.5), ((0.4, -0.6, -0.7), 0.3)):
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            dir=direction,
            diffuse=[diffuse * strength] * 3,
            specular=[0.15] * 3,
            castshadow=False,
        )


def add_material(spec: mujoco.MjSpec, name: str, one, two, repeat: float, gradient: bool = False) -> None:
    """A checkered (or graded) material of two colours."""
    import mujoco

    builtin = mujoco.mjtBuiltin
    spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=builtin.mjBUILTIN_GRADIENT if gradient else builtin.mjBUILTIN_CHECKER,
        rgb1=one,
        rgb2=two,
        width=256,
        height=256,
    )
    material = spec.add_material(name=name, texrepeat=[repeat, repeat], specular=0.05, shininess=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
