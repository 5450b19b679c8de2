"""The scale of a camera's path from the body that it filmed."""

from __future__ import annotations

import dataclasses

import numpy as np
from synthetic_person import film, look_at
from test_motion_fit import THIRD, TIME_S, working
from test_motion_moving import WRISTS, build, displacement_m, shaken, true_path

from vidpretrain import geometry
from vidpretrain.motion.scale import least_motion

STAND = look_at(np.array([2.4, 0.3, 1.4]), np.array([0, 0, 1.0]))


def test_points_that_rest_decide_and_those_that_move_do_not():
    rng = np.random.default_rng(0)
    camera = rng.normal(0, 0.1, (200, 3))
    own = -1.7 * camera + rng.normal(0, 0.002, camera.shape)
    own[::3] += rng.normal(0, 0.3, own[::3].shape)
    scale, sigma = least_motion(own, camera)
    assert abs(scale - 1.7) < 0.05
    assert abs(scale - 1.7) < 4 * sigma
    assert sigma < 0.2


def test_a_path_without_a_unit_takes_the_scale_of_the_body():
    poses = shaken(STAND, 8.0, 0.25)
    moving = film(working(TIME_S), poses[:, None], noise_px=1.5, noise_m=0.01, fov_x_deg=60.0)
    metric = true_path(moving, poses)
    first = metric.T_first_camera
    small = dataclasses.replace(metric, T_first_camera=geometry.pose(first[:, :4], first[:, 4:] / 7.3), unit_m=None)
    told, found, alike = (
        build(moving, THIRD, path) for path in (metric, small, dataclasses.replace(small, unit_m=1.0))
    )
    own, true = found.camera.T_world_camera, told.camera.T_world_camera
    assert own is not None
    assert true is not None
    ways = [np.linalg.norm(T[:, 4:] - T[0, 4:], axis=1).max() for T in (own, true)]
    assert 0.85 < ways[0] / ways[1] < 1.15
    errors = [displacement_m(m, working(TIME_S), poses[0]) for m in (told, found, alike)]
    assert errors[1] < 1.3 * errors[0]
    assert errors[2] > 2.0 * errors[1]
    assert np.median(found.sigma_m[:, WRISTS]) > 0.99 * np.median(told.sigma_m[:, WRISTS])


def test_without_anybody_at_rest_only_the_turn_is_kept():
    poses = shaken(STAND, 8.0, 0.25)
    moving = film(working(TIME_S), poses[:, None], noise_px=1.5, noise_m=0.01, fov_x_deg=60.0, hands=(), body=True)
    path = true_path(moving, poses, unit_m=None)
    from vidpretrain.motion.scale import scaled

    nobody = scaled(path, None, {})
    assert nobody is not None
    assert nobody.motion == "rotation"
    assert (nobody.T_first_camera[:, 4:] == 0).all()
    assert nobody.sigma_m.max() >= 0.2
