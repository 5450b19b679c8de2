"""A robot playing a motion, as pictures and as H.264 files: what a report shows beside the person.

In a process that uses torch, call `render_motion_files`: it renders in worker processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import ConfigError, InputError
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot, load_robot
from vidpretrain.types import RobotMotion

PlaybackCamera = Literal["front", "match"]
_ROOM_M, _GLOW = 12.0, 8.0
_CALM_S, _CALM_HAND_S, _MARGIN_M, _HAND_MARGIN_M = 0.5, 0.1, 0.14, 0.06
_BACKGROUND, _FLOOR, _FLOOR2 = (0.93, 0.94, 0.95), (0.83, 0.85, 0.87), (0.79, 0.81, 0.83)


@dataclass(frozen=True, kw_only=True)
class PlaybackJob:
    """One clip to render: arguments of `render_motion_to_file`."""

    motion: RobotMotion
    robot: str
    out_mp4: str
    size_px: int | tuple[int, int] = 480
    camera: PlaybackCamera = "front"
    fov_x_rad: float | None = None


def render_motion(
    robot: str | Path | Robot,
    motion: RobotMotion,
    size_px: int | tuple[int, int] = 480,
    camera: PlaybackCamera = "front",
    fov_x_rad: float | None = None,
) -> Iterator[np.ndarray]:
    """Pictures (h w 3) uint8, one per row of the motion; `size_px` is (width, height) or the side of a square.

    "front" looks at the robot from in front, a little from its left: the upper body, or all of it for a whole-body
    motion, with which it goes along; a hand of its own it sees from the side of its palm. "match" looks through the
    person's camera, `motion.T_base_camera`, with `fov_x_rad` (the robot's own camera's where None). For worker
    processes: this makes an OpenGL context.

    Raises:
        ConfigError: no such camera.
        InputError: the motion belongs to another robot.
        MissingAsset: the robot's files or an off-screen OpenGL are missing.
    """
    from vidpretrain.robot.qpos import qpos_columns
    from vidpretrain.sim.gl import Renderer, choose_gl
    from vidpretrain.sim.robot_model import base_address

    if camera not in ("front", "match"):
        raise ConfigError("no such camera", asked=camera, valid="front, match")
    choose_gl()
    import mujoco

    robot = robot if isinstance(robot, Robot) else load_robot(robot)
    if motion.joint_names != robot.tree.joint_names:
        raise InputError(
            "the motion belongs to another robot", asked=robot.name, found=motion.robot_name, valid=robot.name
        )
    size = (size_px, size_px) if isinstance(size_px, int) else size_px
    own_fov = robot.expected_fov_x_rad if np.isfinite(robot.expected_fov_x_rad) else 1.0  # a hand has no camera
    model = _scene(robot, fov_x_rad or own_fov, size)
    data = mujoco.MjData(model)
    base, joints = base_address(model), qpos_columns(model, motion.joint_names)
    holder = int(model.body("camera_match").mocapid[0])
    fovy_rad = float(np.deg2rad(model.vis.global_.fovy))
    views = ["match"] * len(motion.time_ns) if camera == "match" else _front(robot, motion, fovy_rad, size)
    T_camera = geometry.compose(motion.T_world_base, motion.T_base_camera)
    with Renderer(model, *size) as renderer:
        for t in range(len(motion.time_ns)):
            data.qpos[base : base + 3] = motion.T_world_base[t, 4:]
            data.qpos[base + 3 : base + 7] = motion.T_world_base[t, :4]
            joints.put(data.qpos, motion.joint_pos[t])
            if np.isfinite(T_camera[t]).all():
                data.mocap_quat[holder], data.mocap_pos[holder] = T_camera[t, :4], T_camera[t, 4:]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            yield renderer.render(data, views[t])[0]


def render_motion_to_file(
    motion: RobotMotion,
    robot: str | Path | Robot,
    out_mp4: Path | str,
    size_px: int | tuple[int, int] = 480,
    camera: PlaybackCamera = "front",
    fov_x_rad: float | None = None,
) -> Path:
    """The H.264 file of `render_motion` at the motion's rate; written aside and renamed. For worker processes.

    Raises:
        What `render_motion` and `video.H264Writer` raise.
    """
    from vidpretrain.video import H264Writer

    size = (size_px, size_px) if isinstance(size_px, int) else size_px
    with H264Writer(out_mp4, *size, motion.rate_hz, crf=23) as writer:
        for frame in render_motion(robot, motion, size, camera, fov_x_rad):
            writer.write(frame)
    return Path(out_mp4)


def render_motion_files(jobs: Sequence[PlaybackJob], workers: int = 2) -> list[Path]:
    """The files of the jobs, in order, rendered by `workers` new processes that never import torch.

    Raises:
        What `render_motion_to_file` raises.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from vidpretrain.sim.gl import choose_gl

    if not jobs:
        return []
    choose_gl()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=min(workers, len(jobs)), mp_context=spawn) as pool:
        return list(pool.map(_run, jobs))


def _run(job: PlaybackJob) -> Path:
    return render_motion_to_file(job.motion, job.robot, job.out_mp4, job.size_px, job.camera, job.fov_x_rad)


def _scene(robot: Robot, fov_x_rad: float, size_px: tuple[int, int]):
    """The robot on a pale floor in front of a pale background, with a camera that can be put anywhere."""
    import mujoco

    from vidpretrain.sim.robot_model import add_material, light_up, visual_spec

    spec = visual_spec(robot)
    spec.stat.extent, spec.visual.map.znear, spec.visual.map.zfar = 2.0, 0.01, 20.0
    light_up(spec)
    add_material(spec, "playback_floor", _FLOOR, _FLOOR2, 2 * _ROOM_M)
    if not robot.is_hand:  # a hand of its own may be anywhere
        spec.worldbody.add_geom(
            name="playback_floor",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=[_ROOM_M, _ROOM_M, 0.1],
            material="playback_floor",
        )
    dark = [
        channel / (_GLOW + 0.8) for channel in _BACKGROUND
    ]  # nearly all of its light is its own: the same everywhere
    spec.add_material(name="playback_wall", rgba=[*dark, 1], emission=_GLOW, specular=0.0)
    for pos, size in (
        *(((x, 0, 0), (0.02, 30, 20)) for x in (-_ROOM_M, _ROOM_M)),
        *(((0, y, 0), (30, 0.02, 20)) for y in (-_ROOM_M, _ROOM_M)),
    ):  # walls of one colour instead of the black sky
        spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size, pos=pos, material="playback_wall")
    for site in spec.sites:
        site.group = 5  # not drawn
    width, height = size_px
    fovy = np.rad2deg(2 * np.arctan(np.tan(fov_x_rad / 2) * height / width))
    holder = spec.worldbody.add_body(name="camera_match", mocap=True, pos=[1.5, 0, 1.0], quat=[0.5, -0.5, -0.5, 0.5])
    holder.add_camera(name="match", fovy=float(fovy), quat=[0.0, 1.0, 0.0, 0.0])
    return spec.compile()


def _front(robot: Robot, motion: RobotMotion, fovy_rad: float, size_px: tuple[int, int]) -> list:
    """A free camera per row before the robot, a little to its left, far enough away for all of it.

    It stays where it is for a robot that stands, and goes along with one that walks, slowly. A hand of its own is
    looked at from the side of its palm.
    """
    import mujoco

    base = np.asarray(motion.T_world_base)
    if robot.is_hand:
        palm = site_poses(robot.tree, motion.joint_pos, base, [f"{robot.sides[0]}_palm"])[:, 0, 4:]
        along = _path(palm, motion.rate_hz, is_hand=True)
    elif motion.whole_body:
        along = _path(base[:, 4:], motion.rate_hz, is_hand=False)
    else:
        along = np.repeat(base[:1, 4:], len(base), axis=0)
    if robot.is_hand:
        forward, turn_rad, elevation_rad = _palm_side(robot, motion), 0.0, np.deg2rad(-10.0)
    else:
        forward = geometry.rotate(base[0, :4], np.array([1.0, 0.0, 0.0]))
        turn_rad, elevation_rad = np.deg2rad(22.0), np.deg2rad(-8.0 if motion.whole_body else -14.0)
    azimuth_rad = float(np.arctan2(forward[1], forward[0])) + np.pi + turn_rad
    middle, distance = _framing(robot, motion, along, azimuth_rad, elevation_rad, fovy_rad, size_px)
    views = []
    for place in along + middle:
        view = mujoco.MjvCamera()
        view.lookat, view.distance = place, distance
        view.azimuth, view.elevation = float(np.rad2deg(azimuth_rad)), float(np.rad2deg(elevation_rad))
        views.append(view)
    return views


def _path(places: np.ndarray, rate_hz: float, is_hand: bool) -> np.ndarray:
    """Where the camera goes (t 3): with a body slowly and at one height, with a hand of its own closely."""
    from scipy.ndimage import gaussian_filter1d

    out = gaussian_filter1d(places, (_CALM_HAND_S if is_hand else _CALM_S) * rate_hz, axis=0, mode="nearest")
    if not is_hand:
        out[:, 2] = np.median(places[:, 2])
    return out


def _palm_side(robot: Robot, motion: RobotMotion) -> np.ndarray:
    """The horizontal direction that the palm of a hand faces most, x where it faces up or down."""
    palm = site_poses(robot.tree, motion.joint_pos, motion.T_world_base, [f"{robot.sides[0]}_palm"])[:, 0]
    facing = -geometry.rotate(palm[:, :4], np.array([0.0, 0.0, 1.0])).mean(axis=0) * np.array([1.0, 1.0, 0.0])
    return facing if np.linalg.norm(facing) > 0.2 else np.array([1.0, 0.0, 0.0])


def _framing(robot, motion, along, azimuth_rad, elevation_rad, fovy_rad, size_px) -> tuple[np.ndarray, float]:
    """(where to look, relative to the camera's path, from how far) so that the sites stay in the picture."""
    feet = ("pelvis", "left_foot", "right_foot")
    names = [n for n in robot.tree.site_names if robot.is_hand or motion.whole_body or n not in feet]
    p = site_poses(robot.tree, motion.joint_pos, motion.T_world_base, names)[..., 4:] - along[:, None]
    ahead = np.array(
        [
            np.cos(azimuth_rad) * np.cos(elevation_rad),
            np.sin(azimuth_rad) * np.cos(elevation_rad),
            np.sin(elevation_rad),
        ]
    )
    right = geometry.normalize(np.cross(ahead, [0.0, 0.0, 1.0]))
    axes = np.stack([right, np.cross(right, ahead), ahead])  # right, up, away from the camera
    seen = p.reshape(-1, 3) @ axes.T
    low, high = np.quantile(seen, [0.005, 0.995], axis=0)
    margin = _HAND_MARGIN_M if robot.is_hand else _MARGIN_M
    half = 0.5 * (high - low) + margin
    slope = np.tan(0.5 * fovy_rad)
    distance = max(half[1] / slope, half[0] / (slope * size_px[0] / size_px[1])) + half[2]
    return 0.5 * (low + high) @ axes, float(distance)
