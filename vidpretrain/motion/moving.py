"""A camera that moves while it films: its poses in the first frame's camera, which is the fit's world.

What was lifted stays in the camera of its own frame, where pictures are; a fit goes through the world, where people
move smoothly.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.camera import CameraPath
from vidpretrain.motion.body import Body
from vidpretrain.motion.hands import Hand
from vidpretrain.types import Camera

NOD_DEG = 30.0  # of a head that looks at its hands; what is left of the camera's pitch is its mount's


def with_path(camera: Camera, path: CameraPath | None) -> Camera:
    """The camera with its poses in the first frame's camera where it moves, and how it moved."""
    if path is None:
        return camera
    pose = path.T_first_camera if path.moves else None
    return dataclasses.replace(camera, T_world_camera=pose, path=path.motion)


def poses_of(camera: Camera, frames: int) -> Float64[np.ndarray, "t 7"]:
    """T_world_camera (t 7) of the fit's world, identity for a camera that stands still."""
    moving = camera.T_world_camera
    return np.tile(geometry.IDENTITY_POSE, (frames, 1)) if moving is None else np.asarray(moving)


def to_world(camera: Camera, T_camera_x: Float64[np.ndarray, "t 7"], part: slice = slice(None)) -> np.ndarray:
    """T_world_x of the frames `part`, from poses in the camera of each frame."""
    moving = camera.T_world_camera
    return T_camera_x if moving is None else geometry.compose(moving[part], T_camera_x)


def from_world(camera: Camera, T_world_x: Float64[np.ndarray, "t 7"], part: slice = slice(None)) -> np.ndarray:
    """T_camera_x of the frames `part`, in the camera of each frame."""
    moving = camera.T_world_camera
    return T_world_x if moving is None else geometry.compose(geometry.inverse(moving[part]), T_world_x)


def mean_pose(poses: Float64[np.ndarray, "t 7"]) -> Float64[np.ndarray, " 7"]:
    """The middle of poses that are not far apart: chordal mean of the turns, mean of the places."""
    q = poses[:, :4] * np.where(poses[:, :4] @ poses[0, :4] < 0, -1.0, 1.0)[:, None]
    _, vectors = np.linalg.eigh(q.T @ q)
    middle = vectors[:, -1] * (1.0 if vectors[:, -1] @ poses[0, :4] >= 0 else -1.0)
    return geometry.pose(middle, poses[:, 4:].mean(axis=0))


def body_in_world(body: Body, camera: Camera) -> Body:
    """The body with its points in the fit's world instead of each frame's camera."""
    moving = camera.T_world_camera
    if moving is None:
        return body
    return dataclasses.replace(body, p_camera=geometry.transform(moving[:, None], body.p_camera))


def hand_in_world(hand: Hand, camera: Camera) -> np.ndarray:
    """Points (t 21 3) of a hand in the fit's world."""
    moving = camera.T_world_camera
    return hand.p_camera if moving is None else geometry.transform(moving[:, None], hand.p_camera)


def widened(
    sigma_m: Float64[np.ndarray, "t k"], p_camera: Float64[np.ndarray, "t k 3"], path: CameraPath | None
) -> np.ndarray:
    """Sigma (t k) of points in the world: their own in the camera, and the camera's turn and place."""
    if path is None or not path.moves:
        return sigma_m
    far = np.linalg.norm(p_camera, axis=-1)
    return np.sqrt(sigma_m**2 + (path.sigma_rad[:, None] * far) ** 2 + path.sigma_m[:, None] ** 2)


def head_pose(T_world_camera: Float64[np.ndarray, "t 7"], pitch_deg: float) -> Float64[np.ndarray, "t 7"]:
    """T_world_head (x forward, y left, z up, between the eyes) of who wears a camera that looks down by `pitch_deg`.

    The camera sits at the eyes; of its pitch `NOD_DEG` are the head's and the rest the mount's.
    """
    down = np.radians(max(pitch_deg - NOD_DEG, 0.0))
    forward, up = np.array([0.0, -np.sin(down), np.cos(down)]), np.array([0.0, -np.cos(down), -np.sin(down)])
    R = np.stack([forward, np.cross(up, forward), up], axis=-1)
    return geometry.compose(T_world_camera, geometry.pose(geometry.quat_from_matrix(R), np.zeros(3)))
