"""The camera's path against truth: a room that is looked around in, one that is stood in, one without texture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_room import FORWARD, Film, Room, camera_of, film, nobody, nodding

from vidpretrain import geometry
from vidpretrain.camera import CameraConfig, CameraPath, observe, solve_path
from vidpretrain.camera.rotation import turn_between
from vidpretrain.camera.turning import average
from vidpretrain.types import Reason, Reject
from vidpretrain.video import H264Writer, VideoInfo, probe

CONFIG = CameraConfig(picture_px=320)
TIME_S = np.arange(45) / 30


def path_of(made: Film, config: CameraConfig = CONFIG, view: str = "third") -> CameraPath:
    found = solve_path(observe(made.clip, made.info, made.tracks, config), made.camera, config, view)
    assert isinstance(found, CameraPath)
    return found


def error_rad(path: CameraPath, made: Film) -> np.ndarray:
    return np.asarray(geometry.angle_between(path.T_first_camera[:, :4], made.T_first_camera[:, :4]))


def test_a_camera_that_looks_around_is_followed(tmp_path):
    made = film(tmp_path / "a.mp4", nodding(TIME_S), camera_of(), Room())
    path = path_of(made)
    assert path.motion == "rotation"
    assert np.degrees(path.range_rad) > 30
    error = error_rad(path, made)
    assert np.degrees(error.max()) < 0.15
    # the error of three axes against the sigma of one: neither far too small nor far too large
    assert 0.3 < np.sqrt((error[1:] ** 2).mean() / (3 * (path.sigma_rad[1:] ** 2).mean())) < 2.0
    assert path.quality.min() > 0.8


def test_somebody_who_walks_through_does_not_move_a_camera_that_stands(tmp_path):
    still = np.tile(nodding(TIME_S[:1]), (45, 1))
    walk = np.stack([np.linspace(-40, 360, 45), np.full(45, 40.0)], axis=-1)
    path = path_of(film(tmp_path / "a.mp4", still, camera_of(), Room(), figure=walk))
    assert path.motion == "static"
    assert (path.T_first_camera == geometry.IDENTITY_POSE).all()


def test_somebody_who_walks_along_does_not_hide_that_the_camera_turns(tmp_path):
    """A figure that keeps its place in a picture that turns, as somebody who is filmed walking does."""
    stay = np.tile([160.0, 60.0], (45, 1))
    made = film(tmp_path / "a.mp4", nodding(TIME_S), camera_of(), Room(), figure=stay)
    path = path_of(made)
    assert path.motion == "rotation"
    assert np.degrees(error_rad(path, made).max()) < 0.3


@pytest.mark.parametrize("moves", [False, True])
def test_a_wall_without_texture_solves_nothing(tmp_path, moves):
    poses = nodding(TIME_S) if moves else np.tile(nodding(TIME_S[:1]), (45, 1))
    made = film(tmp_path / "a.mp4", poses, camera_of(), Room(contrast=0.0))
    seen = observe(made.clip, made.info, made.tracks, CONFIG)
    marked = solve_path(seen, made.camera, CONFIG)
    assert isinstance(marked, CameraPath)
    assert marked.motion == "unsolved"
    assert np.isinf(marked.sigma_rad).all()
    refused = solve_path(seen, made.camera, dataclasses.replace(CONFIG, not_solved="reject"))
    assert isinstance(refused, Reject)
    assert refused.reason is Reason.CAMERA_NOT_SOLVED
    assert "texture" in refused.detail


def test_a_full_turn_ends_where_it_began(tmp_path):
    """Earlier views come back: the drift over a whole turn is that of a few links."""
    yaw = np.linspace(0, 2 * np.pi, 100)
    q = geometry.quat_mul(geometry.quat_exp(yaw[:, None] * np.array([0, 0, 1.0])), FORWARD)
    made = film(tmp_path / "a.mp4", geometry.pose(q, np.zeros(3)), camera_of(), Room())
    path = path_of(made)
    assert np.degrees(error_rad(path, made).max()) < 0.3
    assert path.sigma_rad[-1] < 2.0 * np.median(path.sigma_rad)


def test_a_lens_that_is_assumed_widens_sigma_with_the_turn(tmp_path):
    made = film(tmp_path / "a.mp4", nodding(TIME_S), camera_of(), Room())
    seen = observe(made.clip, made.info, made.tracks, CONFIG)
    sure, unsure = (solve_path(seen, dataclasses.replace(made.camera, focal_sigma=s), CONFIG) for s in (0.0, 0.15))
    turn = geometry.angle_between(sure.T_first_camera[:, :4], sure.T_first_camera[0, :4])
    np.testing.assert_allclose(unsure.sigma_rad, np.hypot(sure.sigma_rad, 0.15 * turn))


def test_black_frames_are_bridged_and_doubted(tmp_path):
    poses, camera, room = nodding(TIME_S), camera_of(), Room()
    with H264Writer(tmp_path / "a.mp4", 320, 240, 30.0) as writer:
        for i, T in enumerate(poses):
            writer.write(room.look(camera, T) * (0 if 20 <= i < 24 else 1))
    info = probe(tmp_path / "a.mp4")
    assert isinstance(info, VideoInfo)
    made = film(tmp_path / "b.mp4", poses[:2], camera, room)
    made = dataclasses.replace(
        made,
        info=info,
        clip=dataclasses.replace(made.clip, path=str(tmp_path / "a.mp4")),
        T_world_camera=poses,
        tracks=nobody(info.time_ns),
    )
    path = path_of(made)
    error = error_rad(path, made)
    assert path.motion == "rotation"
    assert np.degrees(np.delete(error, np.arange(20, 24)).max()) < 0.4  # an earlier view is found again
    assert (path.sigma_rad[20:24] > 3 * np.median(path.sigma_rad)).all()
    assert (error[20:24] < 3 * path.sigma_rad[20:24]).all()


def test_a_turn_is_found_among_many_wrong_pairs():
    rng = np.random.default_rng(1)
    ray = geometry.normalize(np.concatenate([rng.uniform(-0.6, 0.6, (80, 2)), np.ones((80, 1))], axis=1))
    q = geometry.quat_exp(np.array([0.05, -0.2, 0.1]))
    seen = geometry.rotate(geometry.quat_inverse(q), ray) + rng.normal(0, 5e-4, ray.shape)
    seen[:40] = geometry.normalize(rng.normal(0, 1, (40, 3)) + np.array([0, 0, 3.0]))
    turn = turn_between(ray, geometry.normalize(seen), np.ones(80), 0.004)
    assert turn is not None
    assert np.degrees(geometry.angle_between(turn.q_a_b, q)) < 0.05
    assert turn.agreement == pytest.approx(0.5, abs=0.05)
    assert turn.sigma_rad < 1e-3


def test_turns_are_averaged_around_a_loop_and_a_wrong_link_does_not_count():
    rng = np.random.default_rng(2)
    q = geometry.quat_exp(rng.normal(0, 0.5, (6, 3)))
    q = geometry.quat_mul(geometry.quat_inverse(q[:1]), q)

    def link(a, b, noise):
        between = geometry.quat_mul(geometry.quat_inverse(q[a]), q[b])
        return a, b, geometry.quat_mul(between, geometry.quat_exp(rng.normal(0, noise, 3))), 1e-3

    links = [link(a, a + 1, 2e-3) for a in range(5)] + [link(0, 5, 2e-3), link(1, 4, 2e-3), link(0, 3, 2e-3)]
    chain, _ = average(6, links[:5], 2e-3)
    found, sigma = average(6, [*links, link(2, 5, 0.5)], 2e-3)
    error, alone = geometry.angle_between(found, q), geometry.angle_between(chain, q)
    assert error[1:].max() < 8e-3
    assert error[-1] < alone[-1] + 1e-3
    assert np.isfinite(sigma).all()
    assert sigma[0] == 0
    _, cut = average(6, [k for k in links if 3 not in k[:2] and k[:2] not in ((1, 4), (0, 5))], 2e-3)
    assert np.isinf(cut[3:]).all()


def way_error_m(path: CameraPath, made: Film) -> float:
    """Median error of the way over half a second of a point half a metre before the camera, as a hand is."""
    hand = np.array([0.05, 0.1, 0.5])
    ours, true = (geometry.transform(T, hand) for T in (path.T_first_camera, made.T_first_camera))
    return float(np.median(np.linalg.norm((ours[15:] - ours[:-15]) - (true[15:] - true[:-15]), axis=-1)))


def test_a_camera_on_a_head_goes_by_turn_and_neck(tmp_path):
    """In a small room near things go by as the head turns: neither the turn alone nor no camera is as good."""
    poses = nodding(TIME_S, np.array([0.0, -0.09, 0.14]))
    made = film(tmp_path / "a.mp4", poses, camera_of(), Room(half=np.array([1.2, 1.0, 0.7])))
    seen = observe(made.clip, made.info, made.tracks, CONFIG)
    path = solve_path(seen, made.camera, CONFIG, "ego")
    assert isinstance(path, CameraPath)
    assert path.motion == "full"
    still = dataclasses.replace(path, T_first_camera=np.tile(geometry.IDENTITY_POSE, (len(poses), 1)))
    turned = solve_path(seen, made.camera, dataclasses.replace(CONFIG, parallax_px=1e9), "ego")
    assert isinstance(turned, CameraPath)
    assert way_error_m(path, made) < 0.02
    assert way_error_m(path, made) < 0.6 * way_error_m(turned, made)
    assert way_error_m(path, made) < 0.15 * way_error_m(still, made)
    far = np.linalg.norm(path.T_first_camera[:, 4:] - made.T_first_camera[:, 4:], axis=-1)
    assert np.median(far[1:] / (np.sqrt(3) * path.sigma_m[1:] + 1e-6)) < 1.5
