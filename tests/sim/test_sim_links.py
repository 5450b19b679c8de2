"""A robot's links as meshes: where they are, and surfaces that are closed and turned outwards."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import load_robot
from vidpretrain.sim.links import box, robot_links, round_shape
from vidpretrain.types import RobotMotion


def motion_of(robot, frames: int = 4) -> RobotMotion:
    rng = np.random.default_rng(0)
    lower, upper = robot.tree.bounds()
    q = robot.tree.with_mimic(np.clip(robot.home + rng.normal(0, 0.2, (frames, len(robot.home))), lower, upper))
    turn = geometry.quat_exp(rng.normal(0, 0.5, (frames, 3)))
    true = np.ones((frames, 2), dtype=bool)
    return RobotMotion(
        clip_id="c",
        robot_name=robot.name,
        robot_digest=robot.digest,
        joint_names=robot.tree.joint_names,
        error_names=(),
        time_ns=np.arange(frames) * 33_333_333,
        rate_hz=30.0,
        T_world_base=geometry.pose(turn, rng.normal(0, 1, (frames, 3))),
        joint_pos=q,
        error_m=np.zeros((frames, 0)),
        converged=true[:, 0],
        feasible=true[:, 0],
        valid=true,
        imputed=~true,
        confidence=np.ones((frames, 2)),
        whole_body=True,
        T_base_camera=np.tile(geometry.IDENTITY_POSE, (frames, 1)),
    )


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Of a closed surface turned outwards, by the divergence theorem; negative where it is turned inwards."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_links_are_where_kinematics_puts_them():
    robot = load_robot("g1_inspire")
    motion = motion_of(robot)
    links = {link.name: link for link in robot_links(robot, motion)}
    elbow = site_poses(robot.tree, motion.joint_pos, motion.T_world_base, ["left_elbow"])[:, 0, 4:]
    np.testing.assert_allclose(links["left_elbow_link"].T_world_link[:, 4:], elbow, atol=1e-6)
    np.testing.assert_allclose(links["pelvis"].T_world_link[:, 4:], motion.T_world_base[:, 4:], atol=1e-9)
    assert len(links) > 40
    for link in links.values():
        assert link.faces.max() < len(link.vertices) == len(link.normals) == len(link.colours)
        np.testing.assert_allclose(np.linalg.norm(link.normals, axis=1), 1.0, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(link.T_world_link[:, :4], axis=1), 1.0, atol=1e-9)
    soles = links["left_ankle_roll_link"]
    assert np.ptp(soles.vertices, axis=0).max() < 0.4  # a foot, in metres
    with pytest.raises(InputError, match="another robot"):
        robot_links(load_robot("h1"), motion)


def test_a_hand_of_its_own_has_links_too():
    robot = load_robot("inspire_right")
    assert len(robot_links(robot, motion_of(robot))) > 10


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (box(np.array([0.1, 0.2, 0.3])), 8 * 0.1 * 0.2 * 0.3),
        (round_shape(np.full(3, 0.1), 0.0), 4 / 3 * np.pi * 0.1**3),
        (round_shape(np.array([0.1, 0.2, 0.3]), 0.0), 4 / 3 * np.pi * 0.1 * 0.2 * 0.3),
        (round_shape(np.full(3, 0.1), 0.2), 4 / 3 * np.pi * 0.1**3 + np.pi * 0.1**2 * 0.4),
        (round_shape(np.array([0.1, 0.1, 0.0]), 0.2), np.pi * 0.1**2 * 0.4),
    ],
    ids=["box", "sphere", "ellipsoid", "capsule", "cylinder"],
)
def test_surfaces_are_closed_and_turned_outwards(shape, expected):
    vertices, faces = shape
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[np.abs(vertices[edges[:, 0]] - vertices[edges[:, 1]]).max(axis=1) > 1e-9]  # the poles are one point
    rounded = {tuple(np.round(v, 6) + 0.0) for v in vertices}
    assert len(rounded) > 7
    assert volume(vertices, faces) == pytest.approx(expected, rel=0.1)
