"""A camera that moves while it films: the motion comes out in the world, as well as from a camera that stands."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
from synthetic_person import Filmed, film, look_at, reaching
from test_motion_fit import EGO, HEIGHT_M, THIRD, TIME_S, working

from vidpretrain import geometry, skeletons
from vidpretrain.camera import CameraPath
from vidpretrain.motion import MotionConfig, build_motion, camera_for
from vidpretrain.motion.moving import mean_pose
from vidpretrain.types import HumanMotion, Reason, Reject

WRISTS = [33, 54]


def shaken(T_world_camera: np.ndarray, turn_deg: float, way_m: float, time_s: np.ndarray = TIME_S) -> np.ndarray:
    """Poses (t 7) of a camera that turns and moves about a pose, as one on a head or in a hand does."""
    phase = 2 * np.pi * time_s[:, None] * np.array([0.45, 0.6, 0.3]) + np.array([0.0, 1.0, 2.0])
    turn = np.radians(turn_deg) * np.sin(phase) * np.array([0.6, 1.0, 0.2])
    way = way_m * np.sin(phase + 0.7)
    return geometry.compose(T_world_camera, geometry.pose(geometry.quat_exp(turn), way))


def true_path(filmed: Filmed, poses: np.ndarray, motion: Literal["rotation", "full"] = "full", **more) -> CameraPath:
    first = geometry.compose(geometry.inverse(poses[0]), poses)
    t = len(poses)
    if motion == "rotation":
        first = geometry.pose(first[:, :4], np.zeros(3))
    given: dict = {"sigma_rad": np.zeros(t), "sigma_m": np.zeros(t)}
    return CameraPath(
        clip_id="synthetic",
        time_ns=filmed.tracks[0].time_ns,
        T_first_camera=first,
        quality=np.ones(t),
        motion=motion,
        source="imported",
        camera=camera_for(filmed.clip, THIRD),
        **(given | more),
    )


def build(filmed: Filmed, config: MotionConfig, path: CameraPath | None) -> HumanMotion:
    motions = build_motion(filmed.tracks, filmed.clip, config, None, path)
    assert isinstance(motions, tuple), motions
    return motions[0]


def displacement_m(motion: HumanMotion, p_world: np.ndarray, T_world_first: np.ndarray) -> float:
    """Median error of the wrists' way over half a second in the first frame's camera."""
    assert motion.camera.T_world_camera is not None
    ours = geometry.transform(geometry.inverse(motion.camera.T_world_camera[0]), motion.p_world_keypoint)[:, WRISTS]
    true = geometry.transform(geometry.inverse(T_world_first), p_world)[:, WRISTS]
    way = [x[15:] - x[:-15] for x in (ours, true)]
    return float(np.median(np.linalg.norm(way[0] - way[1], axis=-1)))


VIEWS = {
    "third": (look_at(np.array([2.4, 0.3, 1.4]), np.array([0, 0, 1.0])), THIRD, {"fov_x_deg": 60.0}),
    "ego": (look_at(np.array([0.06, 0, 1.62]), np.array([0.42, 0, 1.15])), EGO, {"fov_x_deg": 90.0, "body": False}),
}


@pytest.mark.parametrize("view", ["third", "ego"])
@pytest.mark.parametrize("method", ["fit", "parts"])
def test_displacement_under_a_moving_camera_is_as_good_as_under_one_that_stands(view, method) -> None:
    stand, config, how = VIEWS[view]
    config = dataclasses.replace(config, method=method)
    p_world = working(TIME_S) if view == "third" else reaching(TIME_S, HEIGHT_M)
    poses = shaken(stand, 12.0, 0.08)
    how = {"noise_px": 1.5, "noise_m": 0.01} | how
    still = film(p_world, stand, **how)
    moving = film(p_world, poses[:, None], **how)
    path = true_path(moving, poses)
    standing = displacement_m(build(still, config, None), p_world, stand)
    followed = displacement_m(build(moving, config, path), p_world, poses[0])
    ignored = displacement_m(build(moving, config, None), p_world, poses[0])
    assert followed < 1.3 * standing
    assert ignored > 2.0 * followed


def test_the_world_does_not_move_with_the_camera() -> None:
    """Shoulders of somebody who stands stay where they are, and the camera's poses are those of its path."""
    stand, config, how = VIEWS["third"]
    poses = shaken(stand, 10.0, 0.1)
    moving = film(working(TIME_S), poses[:, None], noise_px=1.5, noise_m=0.01, **how)
    motion = build(moving, config, true_path(moving, poses))
    assert motion.camera.path == "full"
    assert motion.T_world_head is None
    own = motion.camera.T_world_camera
    assert own is not None
    between = geometry.compose(geometry.inverse(own[0]), own)
    np.testing.assert_allclose(between, true_path(moving, poses).T_first_camera, atol=1e-9)
    shoulders = motion.p_world_keypoint[:, [11, 12]].mean(axis=1)
    assert np.linalg.norm(np.ptp(shoulders, axis=0)) < 0.12
    up = geometry.rotate(own[0, :4], geometry.rotate(geometry.quat_inverse(poses[0, :4]), np.array([0, 0, 1.0])))
    assert np.degrees(np.arccos(up[2])) < 8.0


def test_known_gravity_is_up_and_says_so() -> None:
    stand, config, how = VIEWS["third"]
    lean = geometry.quat_mul(geometry.quat_exp(np.radians([25.0, 0, 0])), stand[:4])
    poses = shaken(geometry.pose(lean, stand[4:]), 8.0, 0.05)
    moving = film(working(TIME_S), poses[:, None], noise_px=1.5, noise_m=0.01, **how)
    up = geometry.rotate(geometry.quat_inverse(poses[0, :4]), np.array([0, 0, 1.0]))
    for view in (config, dataclasses.replace(config, view="ego")):
        motion = build(moving, view, true_path(moving, poses, up_first=up, gravity_from="metadata"))
        assert motion.camera.gravity_from == "metadata"
        assert motion.camera.T_world_camera is not None
        np.testing.assert_allclose(geometry.rotate(motion.camera.T_world_camera[0, :4], up), [0, 0, 1], atol=1e-9)


def test_what_is_not_known_of_the_camera_widens_sigma_and_hides_frames() -> None:
    stand, config, how = VIEWS["ego"]
    poses = shaken(stand, 12.0, 0.05)
    moving = film(reaching(TIME_S, HEIGHT_M), poses[:, None], noise_px=1.5, noise_m=0.01, **how)
    sure = build(moving, config, true_path(moving, poses))
    t = len(poses)
    sigma_rad = np.where(np.arange(t) >= 70, np.inf, 0.05)
    unsure = build(moving, config, true_path(moving, poses, sigma_rad=sigma_rad, sigma_m=np.full(t, 0.03)))
    assert len(unsure.time_ns) == 70
    for part in skeletons.HAND_SLICES.values():
        far = np.linalg.norm(
            sure.p_world_keypoint[:70, part] - sure.camera.T_world_camera[:70, None, 4:],
            axis=-1,  # type: ignore[index]
        )
        wider = np.sqrt(sure.sigma_m[:70, part] ** 2 + (0.05 * far) ** 2 + 0.03**2)
        np.testing.assert_allclose(unsure.sigma_m[:, part], wider, rtol=1e-6)


def test_the_head_of_the_wearer_goes_with_the_camera() -> None:
    stand, config, how = VIEWS["ego"]
    poses = shaken(stand, 12.0, 0.05)
    moving = film(reaching(TIME_S, HEIGHT_M), poses[:, None], noise_px=1.5, noise_m=0.01, **how)
    motion = build(moving, config, true_path(moving, poses))
    assert motion.T_world_head is not None
    assert motion.camera.T_world_camera is not None
    mount = geometry.compose(geometry.inverse(motion.camera.T_world_camera), motion.T_world_head)
    np.testing.assert_allclose(mount, np.tile(mount[0], (len(mount), 1)), atol=1e-9)
    middle = mean_pose(motion.T_world_head)
    forward = geometry.rotate(middle[:4], np.array([1.0, 0, 0]))
    assert forward[0] > 0.8
    assert -0.7 < forward[2] < -0.3  # it nods by thirty degrees
    assert abs(geometry.rotate(middle[:4], np.array([0, 1.0, 0]))[2]) < 0.05


def test_a_camera_that_is_not_solved_is_marked_or_refused() -> None:
    from vidpretrain.camera import Background, CameraConfig

    stand, config, how = VIEWS["third"]
    filmed = film(working(TIME_S), stand, noise_px=1.5, noise_m=0.01, **how)
    none, pairs = np.zeros(0, np.int32), np.zeros((0, 2), np.float32)
    seen = Background(
        clip_id="synthetic",
        time_ns=filmed.tracks[0].time_ns,
        width_px=1280,
        height_px=720,
        pixel=2.0,
        key_frame=np.zeros(1, np.int32),
        home=none,
        p_home=pairs,
        frame=none,
        feature=none,
        p_image=pairs,
        link=np.zeros((0, 2), np.int32),
        p_link=np.zeros((0, 2, 2), np.float32),
        index=np.arange(len(TIME_S), dtype=np.int32),
        frame_count=len(TIME_S),
    )
    marked = build_motion(filmed.tracks, filmed.clip, config, None, seen)
    assert isinstance(marked, tuple)
    assert marked[0].camera.path == "unsolved"
    strict = dataclasses.replace(config, camera=CameraConfig(not_solved="reject"))
    refused = build_motion(filmed.tracks, filmed.clip, strict, None, seen)
    assert isinstance(refused, Reject)
    assert refused.reason is Reason.CAMERA_NOT_SOLVED
