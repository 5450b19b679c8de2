"""Wrists as a head camera sees them, and hands: what people and robots have in common, and what a picture shows.

A vector has `left_wrist_camera` and `right_wrist_camera` (pose9 in the camera's frame: x right, y down, z forward; the
motion of a chunk as `offset`, along the picture's axes), then the hands as fractions. With `frame` base the wrists are
told in the robot's base frame instead, and move in their own: the same content without the camera.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Float64

from vidpretrain import geometry
from vidpretrain.actions.config import ActionConfig
from vidpretrain.actions.spec import robot_groups, spec_for
from vidpretrain.actions.vectors import with_wrists
from vidpretrain.robot import Robot
from vidpretrain.skeletons import SIDES
from vidpretrain.types import ActionSpec, Group

Frame = Literal["camera", "base"]
_POSE9 = ("x", "y", "z", "xx", "xy", "xz", "yx", "yy", "yz")
_WRISTS = 2 * len(_POSE9)  # the first columns of every vector


def camera_spec(
    robot: Robot, config: ActionConfig, embodiment: str | None = None, frame: Frame = "camera"
) -> ActionSpec:
    """The layout: both wrists, then the groups of the hands that the robot has. `embodiment` defaults to its name."""
    ending = "_wrist_camera" if frame == "camera" else "_wrist"
    wrists = tuple(
        Group(
            name=f"{side}{ending}",
            names=tuple(f"{side}{ending}_{part}" for part in _POSE9),
            quantity="camera_wrist" if frame == "camera" else "wrist_pose",
            representation="offset" if frame == "camera" else "relative",
            unit="pose9",
        )
        for side in SIDES
    )
    hands = tuple(group for group in robot_groups(spec_for(robot, config)) if group.quantity == "hand")
    return ActionSpec(
        embodiment=embodiment or robot.name, groups=wrists + hands, rate_hz=config.rate_hz, horizon=config.horizon
    )


def camera_vectors(
    joints: Float[np.ndarray, "*b n"], robot: Robot, spec: ActionSpec, T_base_camera: Float[np.ndarray, " 7"]
) -> Float32[np.ndarray, "*b d"]:
    """Vectors of `spec` from the robot's own columns (arms, then hands), by forward kinematics.

    With a spec in the base frame the camera's pose is not used.
    """
    own = spec_for(robot, ActionConfig(rate_hz=spec.rate_hz, horizon=spec.horizon, wrist_poses=True))
    whole, slices = with_wrists(joints, robot, own), own.slices()
    T_base_wrist = np.stack([geometry.pose_from_pose9(whole[..., slices[f"{side}_wrist"]]) for side in SIDES], axis=-2)
    hands = [whole[..., slices[group.name]] for group in spec.groups if group.quantity == "hand"]
    return np.concatenate([wrist_columns(T_base_wrist, spec, T_base_camera), *hands], axis=-1).astype(np.float32)


def wrist_columns(
    T_base_wrist: Float[np.ndarray, "*b 2 7"], spec: ActionSpec, T_base_camera: Float[np.ndarray, " 7"]
) -> Float64[np.ndarray, "*b w"]:
    """The wrists' columns of `spec` from their poses in the base frame, left and right."""
    T = np.asarray(T_base_wrist, dtype=float)
    if spec.groups[0].quantity == "camera_wrist":
        T = geometry.compose(np.broadcast_to(geometry.inverse(np.asarray(T_base_camera, dtype=float)), T.shape), T)
    return geometry.pose9(T).reshape(*T.shape[:-2], _WRISTS)


def base_wrists(
    vector: Float[np.ndarray, "*b d"], spec: ActionSpec, T_base_camera: Float[np.ndarray, " 7"]
) -> Float64[np.ndarray, "*b 2 7"]:
    """T_base_wrist of left and right; the inverse of `wrist_columns`."""
    nine = np.asarray(vector, dtype=float)[..., :_WRISTS]
    T = geometry.pose_from_pose9(nine.reshape(*nine.shape[:-1], 2, 9))
    if spec.groups[0].quantity == "camera_wrist":
        T = geometry.compose(np.broadcast_to(np.asarray(T_base_camera, dtype=float), T.shape), T)
    return T


def hand_columns(vector: Float[np.ndarray, "*b d"]) -> Float[np.ndarray, "*b h"]:
    """The hands' columns, left and right."""
    return np.asarray(vector)[..., _WRISTS:]
