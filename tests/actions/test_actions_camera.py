"""Vectors in the head camera's frame: there and back, and the same as forward kinematics says."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.actions import ActionConfig, base_wrists, camera_spec, camera_vectors, spec_for
from vidpretrain.actions.camera import hand_columns, wrist_columns
from vidpretrain.errors import MissingAsset
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import load_robot

CAMERA = geometry.pose(geometry.quat_exp(np.array([0.3, -0.2, 0.9])), np.array([0.1, 0.0, 0.4]))


@pytest.fixture(scope="module")
def robot():
    try:
        return load_robot("g1_inspire")
    except MissingAsset as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("frame", ["camera", "base"])
def test_wrists_come_back(robot, frame):
    spec = camera_spec(robot, ActionConfig(rate_hz=10.0), frame=frame)
    rng = np.random.default_rng(0)
    T = geometry.pose(geometry.quat_exp(rng.normal(size=(6, 2, 3))), rng.normal(size=(6, 2, 3)))
    back = base_wrists(wrist_columns(T, spec, CAMERA), spec, CAMERA)
    np.testing.assert_allclose(back[..., 4:], T[..., 4:], atol=1e-12)
    np.testing.assert_allclose(geometry.angle_between(back[..., :4], T[..., :4]), 0, atol=1e-6)


def test_vectors_are_forward_kinematics_seen_from_the_camera(robot):
    own = spec_for(robot, ActionConfig(wrist_poses=False))
    spec = camera_spec(robot, ActionConfig(rate_hz=10.0, horizon=8), embodiment="somebody")
    rng = np.random.default_rng(1)
    joints = rng.uniform(0.0, 0.5, (4, own.width)).astype(np.float32)
    vector = camera_vectors(joints, robot, spec, CAMERA)
    assert vector.shape == (4, spec.width)
    assert (spec.embodiment, spec.horizon) == ("somebody", 8)
    assert [g.representation for g in spec.groups] == ["offset", "offset", "absolute", "absolute"]
    hands = [own.slices()["left_hand"], own.slices()["right_hand"]]
    np.testing.assert_array_equal(hand_columns(vector), np.concatenate([joints[:, part] for part in hands], axis=1))
    q = np.tile(robot.home, (4, 1))
    for name, part in own.slices().items():
        if name.endswith("_arm"):
            q[:, robot.tree.joints([c.joint for c in robot.group_columns(name)])] = joints[:, part]
    want = site_poses(robot.tree, q, None, ["right_wrist"])[:, 0]
    seen = geometry.compose(np.tile(geometry.inverse(CAMERA), (4, 1)), want)
    np.testing.assert_allclose(vector[:, 9:12], seen[:, 4:], atol=1e-5)
