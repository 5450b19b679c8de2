"""Cameras: where intrinsics come from, and projection there and back."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.motion import MotionConfig, camera_for, project, unproject
from vidpretrain.motion.camera import ray_rotation
from vidpretrain.types import Clip

CLIP = Clip(clip_id="c", source_id="s", path="x", start_ns=0, exclusive_end_ns=1, width_px=1280, height_px=720)


def test_intrinsics_say_where_they_come_from():
    given = camera_for(CLIP, MotionConfig(fov_x_deg=90.0), {"fov_x_deg": 50})
    assert given.intrinsics_from == "given"
    assert given.K[0, 0] == pytest.approx(640.0)  # half the width at 45 degrees
    assert np.degrees(given.fov_x_rad) == pytest.approx(90.0)
    read = camera_for(CLIP, MotionConfig(), {"fov_x_deg": "60"})
    assert read.intrinsics_from == "metadata"
    assert np.degrees(read.fov_x_rad) == pytest.approx(60.0)
    phone = camera_for(CLIP, MotionConfig(), {"com.apple.quicktime.camera.focal_length.35mm_equivalent": 26})
    assert phone.intrinsics_from == "metadata"
    # a 26 mm lens sees 79.5 degrees along the diagonal
    diagonal = 2 * np.degrees(np.arctan(np.hypot(640, 360) / phone.K[0, 0]))
    assert diagonal == pytest.approx(2 * np.degrees(np.arctan(21.633 / 26)), abs=0.01)
    third = camera_for(CLIP, MotionConfig(), None, "third")
    ego = camera_for(CLIP, MotionConfig(), None, "ego")
    assert third.intrinsics_from == ego.intrinsics_from == "assumed"
    assert ego.fov_x_rad > third.fov_x_rad
    K = (800.0, 0.0, 600.0, 0.0, 810.0, 350.0, 0.0, 0.0, 1.0)
    assert camera_for(CLIP, MotionConfig(K=K)).K.tolist() == [[800, 0, 600], [0, 810, 350], [0, 0, 1]]


@pytest.mark.parametrize(
    "metadata", [{"fov_x_deg": "wide"}, {"fov_x_deg": 400}, {"focal_length_35mm": 0}, {"K": [1, 2]}]
)
def test_senseless_metadata_is_passed_over(metadata):
    assert camera_for(CLIP, MotionConfig(), metadata).intrinsics_from == "assumed"


def test_bad_configuration_is_refused():
    with pytest.raises(ValueError, match="9 numbers"):
        MotionConfig(K=(1.0, 2.0))
    with pytest.raises(ValueError, match="degrees"):
        MotionConfig(fov_x_deg=1.2)  # radians
    with pytest.raises(ValueError, match="metres"):
        MotionConfig(height_m=175.0)


@pytest.mark.parametrize("distortion", [(), (-0.2, 0.05, 0.001, -0.002, 0.0)])
def test_projection_round_trip(distortion):
    camera = camera_for(CLIP, MotionConfig(fov_x_deg=80.0, distortion=distortion))
    rng = np.random.default_rng(0)
    p_camera = rng.uniform([-0.4, -0.3, 0.5], [0.4, 0.3, 1.0], (50, 4, 3)) * [2, 2, 3]
    pixel = project(camera, p_camera)
    ray = unproject(camera, pixel)
    back = np.concatenate([ray, np.ones((50, 4, 1))], axis=-1) * p_camera[..., 2:]
    np.testing.assert_allclose(back, p_camera, atol=1e-6)
    if distortion:
        straight = project(camera_for(CLIP, MotionConfig(fov_x_deg=80.0)), p_camera)
        assert np.abs(straight - pixel).max() > 5  # the coefficients are honoured


def test_points_behind_the_camera_have_no_pixel():
    camera = camera_for(CLIP, MotionConfig())
    pixel = project(camera, np.array([[0, 0, -1.0], [0, 0, 1.0]]))
    assert np.isnan(pixel[0]).all()
    np.testing.assert_allclose(pixel[1], [640, 360])
    assert np.isnan(unproject(camera, np.array([[np.nan, 3.0]]))).any()


def test_ray_rotation_takes_the_axis_to_the_ray():
    ray = np.random.default_rng(1).normal(0, 0.7, (20, 2))
    ray[0] = 0
    q = ray_rotation(ray)
    turned = geometry.rotate(q, np.array([0, 0, 1.0]))
    np.testing.assert_allclose(turned[:, :2] / turned[:, 2:], ray, atol=1e-12)
    np.testing.assert_allclose(q[0], [1, 0, 0, 0])
