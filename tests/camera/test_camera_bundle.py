"""Turn, place and points together: derivatives, a known way that comes back, movers that do not count, the scale."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.camera import CameraConfig
from vidpretrain.camera.bundle import Carried, Rays, adjust, expected, jacobians, predict, resect, tangents
from vidpretrain.camera.bundle import _differences as differences
from vidpretrain.camera.following import _without_movers as without_movers
from vidpretrain.camera.lever import lever_size
from vidpretrain.camera.moving import carried_by

EGO = carried_by("ego", CameraConfig())
FRAMES, POINTS = 30, 80
TIME_S = np.arange(FRAMES) / 15
TOLERANCE = 0.004


def path(lever_m: np.ndarray, way: float = 0.0) -> np.ndarray:
    """Poses (30 7) of a camera at the end of a lever that turns by up to 25 degrees, and drifts by `way` m a second."""
    turn = np.stack([0.2 * np.sin(3 * TIME_S), 0.4 * np.sin(2 * TIME_S), 0.1 * np.sin(TIME_S)], axis=-1)
    q = geometry.quat_exp(turn)
    drift = way * TIME_S[:, None] * np.array([0.6, 0.2, -0.4])
    return geometry.pose(q, geometry.rotate(q, lever_m) - lever_m + drift)


def world(rng: np.random.Generator) -> np.ndarray:
    p = np.concatenate([rng.uniform(-0.6, 0.6, (POINTS, 2)), np.ones((POINTS, 1))], axis=1)
    return p * rng.uniform(0.5, 2.5, (POINTS, 1))


def rays_of(poses: np.ndarray, p: np.ndarray, rng: np.random.Generator, noise: float = 5e-4) -> Rays:
    """What is seen of points (n 3), or of points that move (f n 3)."""
    frame, point = (a.ravel() for a in np.mgrid[: len(poses), : p.shape[-2]])
    at = p[point] if p.ndim == 2 else p[frame, point]
    seen = geometry.transform(geometry.inverse(poses[frame]), at)
    ray = seen[:, :2] / seen[:, 2:] + rng.normal(0, noise, (len(frame), 2))
    return Rays(frame, point, ray, np.ones(len(frame)), np.tile(np.eye(2) / noise, (len(frame), 1, 1)))


def start_of(truth: np.ndarray, rays: Rays, points: int = POINTS):
    """Poses that only turn, and not enough, with points at one distance."""
    q = geometry.quat_exp(0.9 * geometry.quat_log(truth[:, :4]))
    first = rays.ray[rays.frame == 0]
    direction = geometry.normalize(np.concatenate([first, np.ones((points, 1))], axis=1))
    return geometry.pose(q, np.zeros(3)), direction, np.full(points, 0.8)


def test_derivatives_of_rays_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    p, poses = world(rng), path(np.array([0.02, -0.2, 0.1]), 0.1)
    rays = rays_of(poses, p, rng)
    far = np.linalg.norm(p, axis=1)
    direction, inverse = p / far[:, None], 1 / far
    by_pose, by_point = jacobians(rays, poses, direction, inverse)
    h = 1e-6
    for k in range(6):
        step = np.zeros(6)
        step[k] = h
        moved = geometry.pose(geometry.quat_mul(poses[:, :4], geometry.quat_exp(step[:3])), poses[:, 4:] + step[3:])
        found = (predict(rays, moved, direction, inverse)[0] - predict(rays, poses, direction, inverse)[0]) / h
        np.testing.assert_allclose(by_pose[:, :, k], found, atol=2e-5)
    across = tangents(direction)
    for k in range(3):
        moved = direction + h * across[:, :, k] if k < 2 else direction
        new = inverse + h if k == 2 else inverse
        found = (predict(rays, poses, moved, new)[0] - predict(rays, poses, direction, inverse)[0]) / h
        np.testing.assert_allclose(by_point[:, :, k], found, atol=2e-5)


def test_derivatives_of_what_is_expected_are_those_of_finite_differences():
    poses, lever = path(np.array([0.02, -0.2, 0.1]), 0.1)[:8], np.array([0.01, -0.15, 0.05])
    operator, spin = differences(TIME_S[:8], EGO)
    spin = 0.0 * spin  # the turning's are to first order in small turns
    r, J = expected(poses, lever, EGO, operator, spin)
    h = 1e-6
    for k in range(51):
        step = np.zeros(51)
        step[k] = h
        own = step[:48].reshape(8, 6)
        q = geometry.quat_mul(poses[:, :4], geometry.quat_exp(own[:, :3]))
        moved = expected(geometry.pose(q, poses[:, 4:] + own[:, 3:]), lever + step[48:], EGO, operator, spin)[0]
        np.testing.assert_allclose(J[:, k], (moved - r) / h, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("wrong", [0.0, 0.15])
def test_a_known_way_comes_back_up_to_its_scale(wrong):
    rng = np.random.default_rng(5)
    truth, p = path(np.array([0.0, -0.2, 0.05]), 0.05), world(rng)
    rays = rays_of(truth, p, rng)
    off = rng.random(len(rays.ray)) < wrong
    rays.ray[off] += rng.normal(0, 0.05, (off.sum(), 2))
    start, direction, inverse = start_of(truth, rays)
    free = Carried(np.zeros(3), EGO.lever_sigma_m, np.inf, np.inf, 4.0)
    found = adjust(rays, start, direction, inverse, TIME_S, free, 20.0)
    ours, true = found.T_first_camera, truth
    assert np.degrees(geometry.angle_between(ours[:, :4], true[:, :4]).max()) < 0.1
    scale = (ours[:, 4:] * true[:, 4:]).sum() / (ours[:, 4:] ** 2).sum()
    assert np.linalg.norm(scale * ours[:, 4:] - true[:, 4:], axis=1).max() < 0.003
    depth = scale / found.inverse
    assert np.median(np.abs(depth / np.linalg.norm(p, axis=1) - 1)) < 0.03
    assert found.residual[~off].mean() < 2.0
    kept = geometry.pose(ours[:, :4], 2.0 * ours[:, 4:])
    again = adjust(
        rays, kept, found.direction, found.inverse / 2, TIME_S, EGO, 20.0, keep_size=True, wide=(1.0,)
    ).T_first_camera
    way = (again[:, 4:] * kept[:, 4:]).sum() / (kept[:, 4:] ** 2).sum()
    assert way == pytest.approx(1.0, abs=0.02)


def test_a_frame_is_placed_by_points_that_are_known():
    rng = np.random.default_rng(3)
    truth, p = path(np.array([0.0, -0.2, 0.05])), world(rng)
    rays = rays_of(truth, p, rng)
    far = np.linalg.norm(p, axis=1)
    start = geometry.pose(geometry.quat_mul(truth[:, :4], geometry.quat_exp(np.full(3, 0.002))), truth[:, 4:] + 0.002)
    found = resect(rays, start, p / far[:, None], 1 / far, (0.01, 0.01))
    assert np.degrees(geometry.angle_between(found[:, :4], truth[:, :4]).max()) < 0.05
    assert np.abs(found[:, 4:] - truth[:, 4:]).max() < 1e-3


def test_points_that_move_like_a_person_are_left_out():
    """A third of the points goes its own way, as arms do."""
    rng = np.random.default_rng(7)
    truth, p = path(np.array([0.0, -0.2, 0.05])), world(rng)
    arm = np.arange(POINTS) % 3 == 0
    moved = np.tile(p, (FRAMES, 1, 1))
    way = 0.25 * np.sin(2.5 * TIME_S + 0.4)[:, None, None] * np.array([0.8, 0.5, 0.1])
    moved[:, arm] = np.array([0.1, 0.15, 0.45]) + 0.15 * p[arm] + way
    rays = rays_of(truth, moved, rng)
    kept = np.unique(without_movers(rays, FRAMES, 2, TOLERANCE).point)
    assert arm[kept].mean() < 0.15
    assert np.isin(np.flatnonzero(~arm), kept).mean() > 0.7
    rest = without_movers(rays_of(truth, p, rng), FRAMES, 2, TOLERANCE)
    assert len(np.unique(rest.point)) > 0.8 * POINTS


@pytest.mark.parametrize("units", [0.3, 1.0, 4.0])
def test_the_lever_tells_the_scale_and_how_badly(units):
    truth = path(np.array([0.01, -0.24, 0.02]), 0.03)
    size = lever_size(geometry.pose(truth[:, :4], truth[:, 4:] / units), TIME_S, EGO)
    assert abs(np.log(size.factor / units)) < 1.5 * size.sigma
    assert 0.2 < size.sigma < 0.8
    still = lever_size(np.tile(geometry.IDENTITY_POSE, (FRAMES, 1)), TIME_S, EGO)
    assert np.isfinite(still.factor)
