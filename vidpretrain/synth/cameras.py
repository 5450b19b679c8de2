"""Where the camera is in each frame: worn on head or chest, or beside the person on a stand or in a hand."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.body import Body
from vidpretrain.sim.posing import Pose, turn
from vidpretrain.synth.acting import waves
from vidpretrain.synth.specs import CameraSpec

_REST = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # columns: right, down, forward
_HEIGHT_M = 1.72  # of nobody, in an empty room
_SHAKE_M, _SHAKE_RAD, _ORBIT_RAD = 0.03, 0.035, 0.22
_LEAST_M, _FROM_WALL_M = 0.8, 0.45


def intrinsics(camera: CameraSpec, width_px: int, height_px: int) -> np.ndarray:
    """K (3 3): square pixels, the principal point in the picture's centre."""
    focal = 0.5 * width_px / np.tan(np.deg2rad(camera.fov_x_deg) / 2)
    return np.array([[focal, 0, width_px / 2], [0, focal, height_px / 2], [0, 0, 1.0]])


def trajectory(
    camera: CameraSpec,
    body: Body | None,
    poses: list[Pose],
    times: np.ndarray,
    room_half_m: tuple[float, float, float],
    rng: np.random.Generator,
    whole: bool = False,
) -> np.ndarray:
    """T_world_camera (t 7). `whole`: a third-person camera looks at the middle of the body, not at the hands' room."""
    if camera.kind == "third" or body is None:
        T = _beside(camera, body, times, room_half_m, rng, whole)
    else:
        T = _worn(camera, body, poses)
    return np.repeat(T[:1], len(T), axis=0) if camera.frozen else T


def _worn(camera: CameraSpec, body: Body, poses: list[Pose]) -> np.ndarray:
    scale, offset = body.height_m / 1.75, np.array(camera.offset_m)
    if camera.kind == "head":
        eyes = 0.5 * (body.p_rest[body.bone("eye.L")] + body.p_rest[body.bone("eye.R")])
        bone, position = "head", eyes + (np.array([0.075, 0.0, 0.035]) + 0.5 * offset) * scale
    else:
        front = max(part.vertices[:, 0].max() for part in body.parts if part.name == "shirt")
        height = body.p_rest[body.bone("clavicle.L")][2] - 0.06 * scale
        bone, position = "spine01", np.array([front + 0.025, 0.0, height]) + offset * [0.5, 1.0, 1.0]
    b = body.bone(bone)
    R = turn("y", camera.tilt_rad) @ _REST
    D, p = np.array([pose.D[b] for pose in poses]), np.array([pose.p[b] for pose in poses])
    return geometry.pose(geometry.quat_from_matrix(D @ R), p + D @ (position - body.p_rest[b]))


def _beside(camera, body, times, room_half_m, rng: np.random.Generator, whole: bool) -> np.ndarray:
    height = _HEIGHT_M if body is None else body.height_m
    moved = waves(rng, times, 6, 0.15, 0.7)
    if body is None and camera.kind != "third":  # a worn camera that nobody wears: eyes over the table
        position = np.tile([0.06, 0.0, 0.93 * height], (len(times), 1)) + 0.03 * camera.shake * moved[:, :3]
        yaw, nod = 0.35 * camera.shake * moved[:, 3], camera.tilt_rad + 0.12 * camera.shake * moved[:, 4]
        R = np.array([turn("z", a) @ turn("y", b) @ _REST for a, b in zip(yaw, nod, strict=True)])
        return np.concatenate([geometry.quat_from_matrix(R), position], axis=1)
    target = np.array([0.05, 0.0, 0.52 * height]) if whole else np.array([0.2, 0.0, 0.68 * height])
    distance = max(_LEAST_M, 0.5 * camera.width_m / np.tan(np.deg2rad(camera.fov_x_deg) / 2))
    azimuth = camera.azimuth_rad + _ORBIT_RAD * camera.shake * moved[:, 5]
    level = np.cos(camera.elevation_rad)
    away = np.stack(
        [level * np.cos(azimuth), level * np.sin(azimuth), np.full(len(times), np.sin(camera.elevation_rad))], axis=1
    )
    position = target + distance * away + _SHAKE_M * camera.shake * moved[:, :3]
    limit = np.array(room_half_m[:2]) - _FROM_WALL_M
    position[:, :2] = np.clip(position[:, :2], -limit, limit)
    position[:, 2] = np.clip(position[:, 2], 0.4, 2 * room_half_m[2] - 0.2)
    forward = geometry.normalize(target - position)
    right = geometry.normalize(np.cross(forward, [0.0, 0.0, 1.0]))
    R = np.stack([right, np.cross(forward, right), forward], axis=2)
    wobble = _SHAKE_RAD * camera.shake * moved[:, 3:6]
    q = geometry.quat_mul(geometry.quat_from_matrix(R), geometry.quat_exp(wobble * [1.0, 1.0, 0.5]))
    return np.concatenate([q, position], axis=1)
