"""Pictures of a robot in given postures, its sites drawn as beads and axes. Rendering happens in a new process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from vidpretrain import geometry

View = tuple[float, float]  # azimuth and elevation in degrees, seen from the robot's front at azimuth 0
_COLOURS = {
    "thumb_tip": (0.9, 0.1, 0.1, 1),
    "index_tip": (0.95, 0.6, 0.1, 1),
    "middle_tip": (0.1, 0.7, 0.2, 1),
    "ring_tip": (0.1, 0.6, 0.9, 1),
    "pinky_tip": (0.5, 0.2, 0.8, 1),
    "foot": (0.1, 0.1, 0.1, 1),
    "elbow": (0.9, 0.2, 0.7, 1),
    "shoulder": (0.2, 0.2, 0.9, 1),
}
_BODY, _BACKGROUND, _FAR_M = (0.72, 0.75, 0.8, 1.0), (237, 240, 242), 10.0
_AXES = ((0.9, 0.1, 0.1, 1), (0.1, 0.7, 0.1, 1), (0.1, 0.2, 0.95, 1))


def render_postures(
    robot: str | Path,
    postures: Float64[np.ndarray, "n j"],
    views: Sequence[View] = ((25.0, -8.0),),
    size_px: int = 420,
    zoom: float = 1.0,
    look_at: str | None = None,
) -> list[list[UInt8[np.ndarray, "h w 3"]]]:
    """Per posture one picture per view, with beads at tips, elbows, shoulders and soles and axes at wrists and palms.

    `look_at` centres the picture on a site; `zoom` brings it nearer.

    Raises:
        MissingAsset: meshes or an off-screen OpenGL are missing.
        InputError: MuJoCo cannot compile the model with its shapes.
    """
    from vidpretrain.sim import choose_gl

    choose_gl()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(_draw, str(robot), np.asarray(postures), tuple(views), size_px, zoom, look_at).result()


def _draw(robot_name: str, postures: np.ndarray, views, size_px: int, zoom: float, look_at: str | None):
    import mujoco

    from vidpretrain.errors import InputError
    from vidpretrain.kinematics import site_poses
    from vidpretrain.robot import load_robot
    from vidpretrain.robot.qpos import qpos_columns
    from vidpretrain.sim.gl import Renderer
    from vidpretrain.sim.robot_model import base_address

    robot = load_robot(robot_name)
    try:
        model = _scene(robot)
    except ValueError as error:
        raise InputError(f"MuJoCo cannot compile the model with its shapes: {error}", asked=robot_name) from None
    data = mujoco.MjData(model)
    joints, base = qpos_columns(model, robot.tree.joint_names), base_address(model)
    data.qpos[base : base + 7] = [0, 0, 0, 1, 0, 0, 0]
    pictures = []
    with Renderer(model, size_px, size_px) as renderer:
        for q in postures:
            joints.put(data.qpos, q)
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_camlight(model, data)
            low, high = _box(model, data)
            sites = site_poses(robot.tree, q[None])[0]
            row = []
            for azimuth, elevation in views:
                view = mujoco.MjvCamera()
                view.lookat = (low + high) / 2
                if look_at is not None:
                    view.lookat = sites[robot.tree.site(look_at), 4:]
                view.distance = 1.35 * float(np.linalg.norm(high - low)) / zoom
                view.azimuth, view.elevation = 180.0 + azimuth, elevation
                picture, metres = renderer.render(data, view, depth=True)
                if metres is not None:
                    picture[metres > _FAR_M] = _BACKGROUND
                row.append(picture)
            pictures.append(row)
    return pictures


def _box(model, data) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box around the drawn shapes, by their bounding spheres."""
    shown = (model.geom_group < 3) & (model.geom_rbound > 0)
    p, r = data.geom_xpos[shown], model.geom_rbound[shown, None] * 0.6
    return (p - r).min(axis=0), (p + r).max(axis=0)


def _scene(robot):
    """The robot alone, its sites as shapes of its bodies."""
    import mujoco

    from vidpretrain.robot.load import read_file
    from vidpretrain.sim.robot_model import light_up, visual_spec

    spec = visual_spec(robot)
    light_up(spec, 0.8)
    spec.stat.extent = 0.3 if robot.is_hand else 2.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 60.0
    for geom in spec.geoms:  # one colour, so that the beads stand out
        geom.material, geom.rgba = "", _BODY
    bead = 0.007 if robot.is_hand else 0.014
    for name, frame in read_file(robot.source)[0].frames.items():
        T, body = frame.T_body_frame, spec.body(frame.body)
        kind = name.split("_", 1)[-1]
        if kind in _COLOURS:
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[bead, 0, 0], pos=T[4:], rgba=_COLOURS[kind])
        elif kind in ("wrist", "palm") or name in ("head_camera", "torso", "pelvis"):
            length = 0.06 if robot.is_hand else 0.1
            for k, colour in enumerate(_AXES):
                end = T[4:] + geometry.rotate(T[:4], length * np.eye(3)[k])
                body.add_geom(
                    type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.4 * bead, 0, 0], fromto=[*T[4:], *end], rgba=colour
                )
    return spec.compile()
