"""People of level 2: pictures as the robot would have them, wrists that stand for the robot's, one film extracted."""

from __future__ import annotations

import dataclasses
import importlib.util
from types import SimpleNamespace as Some
from typing import Any

import numpy as np
import pytest

from vidpretrain import geometry, skeletons
from vidpretrain.actions import ActionConfig, camera_spec
from vidpretrain.errors import MissingAsset
from vidpretrain.robot import load_robot
from vidpretrain.synth.tasks.hands import wrist_of_palm
from vidpretrain.transfer.config import BridgeConfig, TransferConfig
from vidpretrain.transfer.extracted import closed_where, robot_wrists
from vidpretrain.transfer.picture import blackened, seen_as


@pytest.fixture(scope="module")
def spec():
    try:
        return camera_spec(load_robot("g1_inspire"), ActionConfig(rate_hz=30.0, horizon=4))
    except MissingAsset as missing:
        pytest.skip(str(missing))


def test_a_picture_of_another_lens_shows_directions_where_they_belong():
    size, K = 240, np.array([[150.0, 0, 120], [0, 150, 120], [0, 0, 1]])
    picture = np.zeros((size, size, 3), dtype=np.uint8)
    direction = np.array([0.2, -0.15])
    u, v = 120 + 150 * direction
    picture[round(v) - 6 : round(v) + 6, round(u) - 6 : round(u) + 6] = 255
    fov, px = np.deg2rad(55.5), 64
    small = seen_as(picture, K, fov, px).mean(axis=2)
    row, column = np.array(np.nonzero(small > 100)).mean(axis=1) + 0.5
    focal = 0.5 * px / np.tan(fov / 2)
    np.testing.assert_allclose([column - 32, row - 32], focal * direction, atol=0.7)


def hand_points(T: np.ndarray, knuckle_m: float, side: str) -> np.ndarray:
    """A flat hand of 21 points in a palm's frame, moved to T."""
    sign = 1.0 if side == "right" else -1.0
    p = np.zeros((21, 3))
    for finger in range(5):
        for joint in range(4):
            along = 0.03 if finger == 0 else knuckle_m
            p[1 + 4 * finger + joint] = [along + 0.025 * joint, sign * 0.02 * (2 - finger), 0.0]
    p[9] = [knuckle_m, 0, 0]
    return geometry.transform(T, p)


def test_wrists_stand_for_the_robots():
    rng = np.random.default_rng(3)
    T_robot = geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0.05, 0.1, 0.5]))
    T_robot = np.stack([T_robot, geometry.pose(geometry.normalize(rng.normal(size=4)), np.array([-0.1, 0.1, 0.6]))])
    held: Any = Some(
        grip=np.array([[0.04, 0.02], [0.05, 0.03]]), T_palm_wrist=np.tile([1.0, 0, 0, 0, -0.09, 0, 0], (2, 1))
    )
    T_world_camera = geometry.pose(geometry.normalize(rng.normal(size=4)), rng.normal(size=3))
    p = np.full((2, 75, 3), np.nan)
    for k, side in enumerate(skeletons.SIDES):
        palm = geometry.compose(T_robot[k], geometry.inverse(held.T_palm_wrist[k]))
        wrist = wrist_of_palm(palm, held.grip[k], 0.095, side)
        p[:, skeletons.HAND_SLICES[side]] = geometry.transform(T_world_camera, hand_points(wrist, 0.095, side))
    valid = np.ones((2, 75), dtype=bool)
    imputed = np.zeros((2, 75), dtype=bool)
    imputed[1, skeletons.HAND_SLICES["left"]] = True
    human: Any = Some(
        time_ns=np.arange(2),
        p_world_keypoint=p,
        valid=valid,
        imputed=imputed,
        camera=Some(T_world_camera=np.tile(T_world_camera, (2, 1))),
    )
    T, known = robot_wrists(human, held)
    assert known.tolist() == [[True, True], [False, True]]
    np.testing.assert_allclose(T[0, :, 4:], T_robot[:, 4:], atol=1e-9)
    assert geometry.angle_between(T[0, :, :4], T_robot[:, :4]).max() < 1e-6


def test_a_grasping_hand_is_told_to_close(spec):
    vector = np.full((3, spec.width), 0.7)
    grasp = np.array([[False, False], [False, True], [True, False]])
    out = closed_where(vector, spec, grasp)
    for group, part in zip(spec.groups, spec.slices().values(), strict=True):
        side = int(group.name.startswith("right"))
        for name, column in zip(group.names, range(part.start, part.stop), strict=True):
            closes = group.quantity == "hand" and "rotation" not in name
            np.testing.assert_allclose(out[:, column], np.where(grasp[:, side] & closes, 0.0, 0.7))


def test_arms_in_black_are_where_the_labels_are():
    K = np.array([[200.0, 0, 100], [0, 200, 100], [0, 0, 1]])
    p = np.full((1, 75, 3), np.nan)
    T = geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0.0, 0.0, 0.5]))
    p[0, skeletons.HAND_SLICES["right"]] = hand_points(T, 0.09, "right")
    human: Any = Some(p_world_keypoint=p, camera=Some(K=K, T_world_camera=None))
    picture = np.full((1, 200, 200, 3), 200, dtype=np.uint8)
    out = blackened(picture, human)[0]
    assert (picture == 200).all()
    assert out[100, 120].max() == 0  # 5 cm along the hand
    assert out[100, 60].max() == 0  # the forearm behind it
    assert (out[30] == 200).all()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(importlib.util.find_spec("anny") is None, reason="Anny is not installed")
def test_one_film_through_the_real_extraction(tmp_path, spec):
    from vidpretrain.sim import choose_gl
    from vidpretrain.sim.worlds.config import WorldConfig
    from vidpretrain.synth.tasks.config import FilmConfig
    from vidpretrain.transfer.data import people_cache

    try:
        choose_gl()
    except MissingAsset as missing:
        pytest.skip(str(missing))
    film = FilmConfig(
        clips=1, first_seed=100_001, people=1, rooms=1, width_px=320, height_px=320, rate_hz=15.0, workers=1
    )
    config = TransferConfig(level=2, film=film, world=WorldConfig(image_px=32))
    out = tmp_path / "filmed" / "pick_lift"
    cache = people_cache(config, BridgeConfig(), "pick_lift", out)
    assert cache.spec.embodiment == "person"
    assert [g.name for g in cache.spec.groups] == [g.name for g in spec.groups]
    state = np.asarray(cache.state)
    assert np.asarray(cache.images).shape[1:] == (32, 32, 3)
    known = np.isfinite(state[:, 2]) | np.isfinite(state[:, 11])
    assert known.mean() > 0.25
    for start in (0, 9):
        depth = state[np.isfinite(state[:, start + 2]), start + 2]
        assert ((depth > 0.2) & (depth < 1.2)).all()
    assert np.nanmin(state[:, 18:]) >= -0.01
    assert np.nanmax(state[:, 18:]) <= 1.01
    again = people_cache(config, BridgeConfig(), "pick_lift", out)
    assert again.meta["digest"] == cache.meta["digest"]
    told = people_cache(
        config, dataclasses.replace(BridgeConfig(), grip=True), "pick_lift", tmp_path / "filmed2" / "pick_lift"
    )
    assert told.meta["digest"] != cache.meta["digest"]
