"""Placing a known shape by its image points: derivative, recovery, refusal."""

from __future__ import annotations

import numpy as np
from synthetic_person import hand_points

from vidpretrain import geometry
from vidpretrain.motion.place import jacobian, place


def test_derivative_against_finite_differences():
    rng = np.random.default_rng(0)
    turned = rng.normal(0, 0.1, (3, 5, 3))
    p = np.array([0.1, -0.2, 0.8])
    at = turned + p
    J = jacobian(turned, at)
    step = 1e-6
    for column in range(6):
        delta = np.zeros(6)
        delta[column] = step

        def ray(sign, delta=delta):
            moved = geometry.rotate(geometry.quat_exp(sign * delta[:3]), turned) + p + sign * delta[3:]
            return moved[..., :2] / moved[..., 2:]

        np.testing.assert_allclose(J[..., column], (ray(1) - ray(-1)) / (2 * step), atol=1e-7)


def _scene(frames: int = 40):
    rng = np.random.default_rng(1)
    shape = hand_points("right", rng.uniform(0, 0.7, frames))
    shape = geometry.rotate(geometry.quat_exp(rng.normal(0, 1, (frames, 3)))[:, None], shape)
    p = rng.uniform([-0.3, -0.2, 0.35], [0.3, 0.2, 1.5], (frames, 3))
    at = shape + p[:, None]
    return shape, p, at[..., :2] / at[..., 2:]


def test_place_recovers_translation_and_a_wrong_orientation():
    shape, p, ray = _scene()
    spot = place(shape, ray, np.ones(shape.shape[:2]), np.radians(12))
    np.testing.assert_allclose(spot.p, p, atol=1e-5)
    assert spot.rms.max() < 1e-6
    wrong = geometry.quat_exp(np.array([0.1, -0.08, 0.06]))
    spot = place(geometry.rotate(wrong, shape), ray, np.ones(shape.shape[:2]), np.radians(12), iterations=15)
    turn = geometry.angle_between(spot.q, np.broadcast_to(geometry.quat_inverse(wrong), spot.q.shape))
    assert np.median(turn) < 0.02
    assert np.median(np.linalg.norm(spot.p - p, axis=-1)) < 0.005


def test_place_survives_outlying_points():
    shape, p, ray = _scene()
    ray = ray.copy()
    ray[:, 8] += 0.2
    ray[:, 15] -= 0.15
    spot = place(shape, ray, np.ones(shape.shape[:2]), np.radians(12), iterations=20)
    assert np.median(np.linalg.norm(spot.p - p, axis=-1) / p[:, 2]) < 0.03


def test_frames_that_cannot_be_placed_are_nan():
    shape, _, ray = _scene(3)
    weight = np.ones(shape.shape[:2])
    weight[0, 3:] = 0  # three points
    shape, ray = shape.copy(), ray.copy()
    ray[1] = np.nan
    shape[2] = 0.0  # a point has no size
    spot = place(shape, ray, weight, 0.1)
    assert np.isnan(spot.p[:2]).all()
    assert np.isnan(spot.rms[:2]).all()
    assert not np.isfinite(spot.p[2]).all() or spot.rms[2] > 0.01 or spot.p[2, 2] > 5
