"""Identities of the rotation and pose maps, on seeded random inputs."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vidpretrain import geometry as g

rng = np.random.default_rng(0)
Q = g.normalize(rng.normal(size=(200, 4)))
P = rng.normal(size=(200, 3))
T = g.pose(Q, P)


def same_rotation(a, b, atol=1e-9):
    np.testing.assert_allclose(g.matrix_from_quat(a), g.matrix_from_quat(b), atol=atol)


def test_quaternion_product_rotation_and_matrix_agree_with_scipy():
    ours = g.quat_mul(Q[:100], Q[100:])
    theirs = Rotation.from_quat(g.xyzw_from_wxyz(Q[:100])) * Rotation.from_quat(g.xyzw_from_wxyz(Q[100:]))
    np.testing.assert_allclose(g.matrix_from_quat(ours), theirs.as_matrix(), atol=1e-12)
    rotated = Rotation.from_quat(g.xyzw_from_wxyz(Q)).apply(P)
    np.testing.assert_allclose(g.rotate(Q, P), rotated, atol=1e-12)


def test_matrix_round_trip_at_every_pivot():
    flips = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    for q in (Q, flips):
        same_rotation(g.quat_from_matrix(g.matrix_from_quat(q)), q)


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e-6, 0.1, 3.1])
def test_exp_and_log_are_inverse(scale):
    rotvec = g.normalize(P) * scale
    np.testing.assert_allclose(g.quat_log(g.quat_exp(rotvec)), rotvec, atol=1e-9)


def test_slerp_ends_and_middle():
    a, b = Q[:100], Q[100:]
    same_rotation(g.slerp(a, b, np.zeros(100)), a)
    same_rotation(g.slerp(a, b, np.ones(100)), b)
    half = g.slerp(a, b, np.full(100, 0.5))
    np.testing.assert_allclose(g.angle_between(a, half), g.angle_between(half, b), atol=1e-9)


def test_pose_inverse_and_composition():
    identity = g.compose(T, g.inverse(T))
    np.testing.assert_allclose(np.abs(identity), np.broadcast_to(g.IDENTITY_POSE, (200, 7)), atol=1e-12)
    a, b = T[:100], T[100:]
    np.testing.assert_allclose(
        g.transform(g.compose(a, b), P[:100]), g.transform(a, g.transform(b, P[:100])), atol=1e-12
    )


def test_rot6d_and_pose9_round_trip_and_project():
    np.testing.assert_allclose(
        g.matrix_from_quat(g.pose_from_pose9(g.pose9(T))[:, :4]), g.matrix_from_quat(Q), atol=1e-9
    )
    np.testing.assert_allclose(g.pose_from_pose9(g.pose9(T))[:, 4:], P)
    R = g.matrix_from_rot6d(rng.normal(size=(50, 6)))
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(R), 1.0)


def test_rigid_fit_recovers_a_known_pose():
    found = g.rigid_fit(g.transform(T[0], P), P)
    same_rotation(found[:4], T[0, :4])
    np.testing.assert_allclose(found[4:], T[0, 4:], atol=1e-9)


def test_inputs_are_not_changed():
    q, p = Q.copy(), P.copy()
    g.compose(g.pose(q, p), g.inverse(g.pose(q, p)))
    g.quat_log(q)
    np.testing.assert_array_equal(q, Q)
    np.testing.assert_array_equal(p, P)


def test_two_links_reach_their_end_and_bend_towards_the_pole():
    random = np.random.default_rng(0)
    start, way = random.normal(size=(2, 20, 3))
    way = g.normalize(way) * random.uniform(0.2, 0.5, (20, 1))
    pole = random.normal(size=(20, 3))
    middle, end = g.two_link(start, start + way, 0.3, np.full(20, 0.25), pole)
    np.testing.assert_allclose(end, start + way, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(middle - start, axis=1), 0.3, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(end - middle, axis=1), 0.25, atol=1e-12)
    across = pole - (pole * way).sum(1, keepdims=True) * way / (way**2).sum(1, keepdims=True)
    assert (((middle - start) * across).sum(axis=1) > 0).all()
    np.testing.assert_allclose((np.cross(way, pole) * (middle - start)).sum(axis=1), 0.0, atol=1e-12)
    middle, end = g.two_link(np.zeros(3), np.array([0.0, 0.0, 9.0]), 0.3, 0.2, np.array([1.0, 0, 0]), 0.9)
    np.testing.assert_allclose(end, [0, 0, 0.45], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm([middle, end - middle], axis=1), [0.3, 0.2], atol=1e-12)
