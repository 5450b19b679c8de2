"""Rows of the hard clips: the truth as labels has no error, a camera that is taken as still has one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from labelling.clips import HARD, Sample
from labelling.errors import Labels, of_motions
from labelling.hard_rows import _apart, _displacement, _in_first, _true_in_first, _where

from vidpretrain import geometry, skeletons
from vidpretrain.sim import Truth
from vidpretrain.synth import GROUPS
from vidpretrain.types import Camera, Clip, HumanMotion, PoseTrack

T = 45


@pytest.fixture
def clip() -> tuple[Sample, HumanMotion]:
    """A still world seen by a camera that turns: wrists that move little, a picture that moves much."""
    rng = np.random.default_rng(0)
    t = np.arange(T)
    p = rng.normal(0, 0.1, (75, 3)) + [0.0, 0.0, 0.6] + 0.02 * np.sin(t / 6)[:, None, None] * np.ones((75, 3))
    pose = geometry.pose(geometry.quat_exp(np.stack([0 * t, 0.02 * t, 0 * t], axis=1)), np.zeros((T, 3)))
    time_ns = np.round(t * 1e9 / 30).astype(np.int64)
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    valid = np.ones((T, 75), dtype=bool)
    motion = HumanMotion(
        clip_id="c",
        skeleton="human75",
        time_ns=time_ns,
        T_world_root=np.tile(geometry.IDENTITY_POSE, (T, 1)),
        p_world_keypoint=p,
        sigma_m=np.zeros((T, 75)),
        valid=valid,
        imputed=~valid,
        contact=np.zeros((T, 2)),
        height_m=1.7,
        height_from="given",
        view="ego",
        body_seen=False,
        camera=Camera(K=K, distortion=np.zeros(0), width_px=640, height_px=480, T_world_camera=pose),
    )
    truth = Truth(
        time_ns=time_ns,
        p_world_keypoint=p,
        visible=valid,
        K=K,
        T_world_camera=pose,
        T_world_root=motion.T_world_root,
        T_world_object=motion.T_world_root,
        height_m=1.7,
        width_px=640,
        height_px=480,
        view="head",
        motion="reach",
        side="left",
        object_name="cup",
    )
    track = PoseTrack(
        clip_id="c",
        person_id="p0",
        skeleton="hand21_left",
        time_ns=time_ns,
        p_image_keypoint=np.zeros((T, 21, 2)),
        p_relative_keypoint=None,
        confidence=np.ones((T, 21)),
    )
    whole = Clip(
        clip_id="c", source_id="c", path="", start_ns=0, exclusive_end_ns=2 * 10**9, width_px=640, height_px=480
    )
    return Sample("c", whole, {}, truth, (track,), "head_moving"), motion


def test_truth_has_no_error_and_a_camera_taken_as_still_has_one(clip):
    sample, motion = clip
    true = _true_in_first(sample)
    assert _apart(_in_first((motion,), sample), true, sample).max() < 1e-6
    labels = of_motions((motion,), motion.time_ns)
    assert np.median(_displacement(sample, labels)) < 1e-6  # in each frame's own camera
    assert np.median(_apart(labels.points, true, sample)) > 10  # half a second at .6 rad/s and .6 m
    slow = dataclasses.replace(motion.camera, T_world_camera=np.tile(motion.camera.T_world_camera[:1], (T, 1)))
    still = dataclasses.replace(motion, camera=slow)
    assert np.median(_apart(_in_first((still,), sample), true, sample)) < 1e-6  # its world is the first camera's


def test_another_world_makes_no_difference(clip):
    sample, motion = clip
    move = geometry.pose(geometry.quat_exp(np.array([0.1, -0.4, 0.3])), np.array([1.0, 2.0, 3.0]))
    moved = dataclasses.replace(
        motion,
        p_world_keypoint=geometry.transform(move, motion.p_world_keypoint),
        camera=dataclasses.replace(
            motion.camera, T_world_camera=geometry.compose(np.tile(move, (T, 1)), motion.camera.T_world_camera)
        ),
    )
    assert _apart(_in_first((moved,), sample), _true_in_first(sample), sample).max() < 1e-6


def test_frames_of_another_method():
    points = {side: np.ones((4, 21, 3)) for side in skeletons.SIDES}
    other = {side: p.copy() for side, p in points.items()}
    other["left"][1] = np.nan
    other["right"][2, 5] = np.nan  # a wrist is enough
    found = _where(Labels(points), Labels(other)).points
    assert np.isnan(found["left"][1]).all()
    assert np.isfinite(found["left"][[0, 2, 3]]).all()
    assert np.isfinite(found["right"]).all()


def test_hard_groups_exist():
    assert set(HARD) <= set(GROUPS)
    assert len(HARD) == len(set(HARD)) == 20
