"""A turned camera: what is seen and what is measured move together."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.transforms import absolute_chunk, relative_chunk, source_pixels, turn_poses, view_turn
from vidpretrain.transforms.view import focal
from vidpretrain.types import ActionSpec, Group


def wrist(representation="offset", quantity="camera_wrist") -> Group:
    names = tuple(f"w{k}" for k in range(9))
    return Group(name="wrist", names=names, quantity=quantity, representation=representation, unit="pose9")


HAND = Group(name="hand", names=("h",), quantity="hand", representation="absolute", unit="fraction")
SPEC = ActionSpec(embodiment="e", groups=(wrist(), HAND), rate_hz=10.0, horizon=3)
PX, FOV = 64, np.array([0.97, 0.97, 1.2, 0.8])
SHIFT = np.array([[0, 0], [3, -8], [8, 5], [-4, 0]])  # down, right


def poses(*lead, seed=0):
    rng = np.random.default_rng(seed)
    T = geometry.pose(geometry.quat_exp(rng.normal(size=(*lead, 3))), rng.normal(size=(*lead, 3)) * 0.2 + [0, 0, 0.5])
    return np.concatenate([geometry.pose9(T), rng.random((*lead, 1))], axis=-1)


def pixel(p, fov):
    return focal(fov, PX)[:, None] * p[:, :2] / p[:, 2:] + 0.5 * (PX - 1)


def test_the_ray_of_the_shifted_centre_becomes_the_axis():
    R = view_turn(SHIFT, FOV, PX)
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.tile(np.eye(3), (4, 1, 1)), atol=1e-12)
    ray = np.stack([SHIFT[:, 1], SHIFT[:, 0], focal(FOV, PX)], axis=-1)
    seen = (R @ ray[..., None])[..., 0]
    np.testing.assert_allclose(seen[:, :2], 0, atol=1e-9)
    np.testing.assert_allclose(R[0], np.eye(3), atol=1e-12)


def test_a_point_is_where_its_pixel_comes_from():
    """K R K^-1 for pictures and R for points are one camera: the turned point projects where its pixel is read."""
    R = view_turn(SHIFT, FOV, PX)
    source = source_pixels(R, FOV, PX)
    rng = np.random.default_rng(1)
    for _ in range(20):
        at = rng.integers(8, PX - 8, 2)  # a pixel (v, u) of the turned picture
        old = source[:, at[0], at[1]]
        depth = rng.uniform(0.3, 1.0)
        f = focal(FOV, PX)[:, None]
        p_old = depth * np.concatenate([(old - 0.5 * (PX - 1)) / f, np.ones((4, 1))], axis=-1)
        p_new = (R @ p_old[..., None])[..., 0]
        np.testing.assert_allclose(pixel(p_new, FOV), np.tile(at[::-1], (4, 1)), atol=1e-6)


def test_near_the_middle_the_content_moves_by_the_shift():
    R = view_turn(SHIFT, FOV, PX)
    p = np.tile([0.0, 0.0, 0.5], (4, 1))
    moved = pixel((R @ p[..., None])[..., 0], FOV) - 0.5 * (PX - 1)
    np.testing.assert_allclose(moved, -SHIFT[:, ::-1], atol=1e-6)


def test_poses_turn_and_hands_stay():
    vector, before = poses(4, 3), poses(4, 3)
    R = view_turn(SHIFT, FOV, PX)
    out = turn_poses(vector, R, SPEC)
    np.testing.assert_array_equal(vector, before)
    np.testing.assert_array_equal(out[..., 9], vector[..., 9])
    np.testing.assert_allclose(out[..., :3], np.einsum("bij,btj->bti", R, vector[..., :3]), atol=1e-12)
    matrix = geometry.matrix_from_rot6d(vector[..., 3:9])
    np.testing.assert_allclose(geometry.matrix_from_rot6d(out[..., 3:9]), R[:, None] @ matrix, atol=1e-12)
    np.testing.assert_allclose(turn_poses(out, np.swapaxes(R, -1, -2), SPEC), vector, atol=1e-12)


def test_offsets_turn_with_the_camera():
    """The chunk as offset in the turned camera is the turned offset: an augmented pair is one a camera could see."""
    state, action, R = poses(4), poses(4, 3, seed=2), view_turn(SHIFT, FOV, PX)
    plain = relative_chunk(state, action, SPEC)
    moved = relative_chunk(turn_poses(state, R, SPEC), turn_poses(action, R, SPEC), SPEC)
    np.testing.assert_allclose(moved[..., :3], np.einsum("bij,bhj->bhi", R, plain[..., :3]), atol=1e-12)
    turn = geometry.matrix_from_rot6d(plain[..., 3:9])
    wanted = R[:, None] @ turn @ np.swapaxes(R, -1, -2)[:, None]
    np.testing.assert_allclose(geometry.matrix_from_rot6d(moved[..., 3:9]), wanted, atol=1e-12)


def test_offset_is_inverse_and_along_the_frames_axes():
    state, action = poses(5), poses(5, 3, seed=3)
    offset = relative_chunk(state, action, SPEC)
    np.testing.assert_allclose(absolute_chunk(state, offset, SPEC), action, atol=1e-12)
    np.testing.assert_allclose(offset[..., :3], action[..., :3] - state[:, None, :3], atol=1e-12)


def test_unknown_field_of_view_turns_nothing():
    R = view_turn(SHIFT, np.full(4, np.nan), PX)
    np.testing.assert_allclose(R, np.tile(np.eye(3), (4, 1, 1)), atol=1e-12)


def test_motion_in_an_own_frame_cannot_be_turned():
    spec = ActionSpec(embodiment="e", groups=(wrist("relative"),), rate_hz=10.0, horizon=3)
    with pytest.raises(ValueError, match="own frame"):
        turn_poses(poses(4)[..., :9], view_turn(SHIFT, FOV, PX), spec)
