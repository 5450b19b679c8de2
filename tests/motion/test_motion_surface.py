"""The scale of a worn camera's path by the hands before the surface that they work at."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.camera import CameraPath
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.surface import sized_by_hands
from vidpretrain.types import Camera

FRAMES = 40


def hand_over_a_table(height_m: float) -> tuple[dict[str, Hand], np.ndarray, np.ndarray]:
    """A right hand in the cameras of its frames, the cameras' poses and points of the table below it (first camera)."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 2, FRAMES)
    turn = np.stack([0.2 * np.sin(2 * time), 0.3 * np.sin(3 * time), 0 * time], axis=-1)
    q = geometry.quat_exp(turn)
    lever = np.array([0.0, -0.2, 0.05])
    poses = geometry.pose(q, geometry.rotate(q, lever) - lever)
    table = np.concatenate([rng.uniform(-0.5, 0.5, (300, 2)), np.full((300, 1), 0.5)], axis=1)
    shape = np.concatenate([rng.uniform(-0.05, 0.05, (21, 2)), np.zeros((21, 1))], axis=1)
    shape[0], shape[12] = [0.0, 0.09, 0.0], [0.0, -0.09, 0.0]
    place = np.stack([0.1 * np.sin(time), 0 * time, 0.5 - height_m - 0.1 * np.abs(np.sin(2 * time))], axis=-1)
    p = geometry.transform(geometry.inverse(poses)[:, None], place[:, None] + shape)
    hand = Hand(
        p_wrist=p[:, 0],
        p_point=p - p[:, :1],
        seen=np.ones(FRAMES, dtype=bool),
        sigma_m=np.full(FRAMES, 0.01),
        sigma_depth_m=np.full(FRAMES, 0.01),
        imputed=np.zeros(FRAMES, dtype=bool),
    )
    return {"right": hand}, poses, table


def path_of(poses: np.ndarray, points: np.ndarray, units: float) -> CameraPath:
    lens = Camera(
        K=np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]),
        distortion=np.zeros(5),
        width_px=640,
        height_px=480,
        intrinsics_from="given",
    )
    far = np.linalg.norm(poses[:, 4:], axis=1) / units
    return CameraPath(
        clip_id="table",
        time_ns=np.arange(FRAMES) * 50_000_000,
        T_first_camera=geometry.pose(poses[:, :4], poses[:, 4:] / units),
        sigma_rad=np.zeros(FRAMES),
        sigma_m=0.5 * far / np.sqrt(3.0),
        quality=np.ones(FRAMES),
        motion="full",
        source="features",
        camera=lens,
        p_first_point=points / units,
        size_sigma=0.5,
    )


@pytest.mark.parametrize("units", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("height_m", [0.01, 0.06, 0.12])
def test_hands_near_a_surface_tell_the_scale(units, height_m):
    hands, poses, table = hand_over_a_table(height_m)
    path = path_of(poses, table, units)
    found = sized_by_hands(path, hands)
    last = np.linalg.norm(poses[:, 4:], axis=1).argmax()
    ratio = np.linalg.norm(found.T_first_camera[last, 4:]) / np.linalg.norm(poses[last, 4:])
    assert abs(np.log(ratio)) < 2.0 * found.size_sigma
    assert found.size_sigma < 0.25
    assert abs(np.log(ratio)) < max(0.3, abs(np.log(units)))
    off = np.linalg.norm(found.T_first_camera[last, 4:] - poses[last, 4:]) / np.sqrt(3.0)
    assert off < 2.0 * found.sigma_m[last]
    assert found.p_first_point is not None
    np.testing.assert_allclose(found.p_first_point / table, ratio, rtol=1e-6)


def test_a_path_of_known_scale_or_without_hands_stays_as_it_is():
    hands, poses, table = hand_over_a_table(0.05)
    path = path_of(poses, table, 2.0)
    known = dataclasses.replace(path, size_sigma=0.0)
    assert sized_by_hands(known, hands) is known
    unseen = {"right": dataclasses.replace(hands["right"], seen=np.zeros(FRAMES, dtype=bool))}
    assert sized_by_hands(path, unseen) is path
