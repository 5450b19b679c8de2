"""Frames and handedness of human hands, resampling, and the use of hands: on made-up points, no robot."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry, timebase
from vidpretrain.retarget import RetargetConfig, human
from vidpretrain.retarget.hands import mean_rotation, seen_hand
from vidpretrain.retarget.resample import resample
from vidpretrain.skeletons import HAND_SLICES
from vidpretrain.types import Camera, HumanMotion


def curled(side: str, bend_rad: float, frames: int = 5) -> np.ndarray:
    """(t 21 3): a hand in its own frame whose fingers bend by `bend_rad` at each joint towards the palm (-z)."""
    toward_thumb = 1.0 if side == "right" else -1.0
    out = np.zeros((21, 3))
    for i in range(4):
        point, angle = np.array([0.09, (1 - i) * 0.02 * toward_thumb, 0.0]), bend_rad
        out[5 + 4 * i] = point
        for part in range(1, 4):
            point = point + 0.03 * np.array([np.cos(angle), 0.0, -np.sin(angle)])
            out[5 + 4 * i + part] = point
            angle += bend_rad
    for part in range(1, 5):
        out[part] = np.array([0.02 * part, 0.02 * toward_thumb + 0.008 * part * toward_thumb, -0.004 * part])
    return np.tile(out, (frames, 1, 1))


def motion_of(points, side="right", rate_hz=30.0, frames=None, valid=None) -> HumanMotion:
    frames = len(points)
    p = np.full((frames, 75, 3), np.nan)
    p[:, HAND_SLICES[side]] = points
    ok = np.isfinite(p).all(-1) if valid is None else valid
    return HumanMotion(
        clip_id="made",
        skeleton="human75",
        time_ns=timebase.uniform_grid(0, timebase.ns(frames / rate_hz), rate_hz)[:frames],
        T_world_root=np.full((frames, 7), np.nan),
        p_world_keypoint=p,
        sigma_m=np.where(ok, 0.01, np.nan),
        valid=ok,
        imputed=np.zeros((frames, 75), dtype=bool),
        contact=np.full((frames, 2), np.nan),
        height_m=1.75,
        height_from="given",
        view="third",
        body_seen=False,
        camera=Camera(K=np.eye(3), distortion=np.zeros(0), width_px=1, height_px=1),
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_hand_frame_has_its_axes_where_the_convention_says(side):
    q = geometry.normalize(np.array([0.4, -0.2, 0.8, 0.3]))
    points = geometry.rotate(q, curled(side, 0.2)) + np.array([0.3, 0.1, 1.0])
    found = human.hand_rotation(points, side)
    np.testing.assert_allclose(geometry.angle_between(found, np.tile(q, (5, 1))), 0, atol=1e-7)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("bend_rad", [0.05, 0.4, 1.2])
def test_bend_is_positive_towards_the_palm_and_negative_in_the_mirror(side, bend_rad):
    points = curled(side, bend_rad)
    np.testing.assert_allclose(human.bend(points, side), bend_rad, atol=1e-9)
    np.testing.assert_allclose(human.bend(points * np.array([1, -1, 1.0]), side), -bend_rad, atol=1e-9)


def test_handedness_has_no_opinion_on_a_flat_hand_and_a_firm_one_on_a_bent_hand():
    assert abs(human.handedness(curled("left", 0.0), "left")[0]) < human.HANDEDNESS_MARGIN
    assert human.handedness(curled("left", 0.6), "left")[0] > human.HANDEDNESS_MARGIN
    assert human.handedness(curled("left", 0.6), "right")[0] < -human.HANDEDNESS_MARGIN


def test_a_mirrored_side_is_refused_whole_and_counted():
    wrong = np.concatenate([curled("left", 0.6, 20), curled("left", 0.0, 10)])
    hand = seen_hand(resample(motion_of(wrong, "right"), RetargetConfig()), "right", RetargetConfig())
    assert hand.mirrored_frames == 30
    assert not hand.valid.any()
    assert np.isnan(hand.p_world_point).all()


def test_a_few_mirrored_frames_cost_only_themselves():
    points = np.concatenate([curled("right", 0.6, 20), curled("left", 0.6, 3), curled("right", 0.0, 5)])
    hand = seen_hand(resample(motion_of(points, "right"), RetargetConfig()), "right", RetargetConfig())
    assert hand.mirrored_frames == 3
    np.testing.assert_array_equal(np.flatnonzero(~hand.valid), [20, 21, 22])


def test_millimetres_are_refused_and_counted():
    hand = seen_hand(resample(motion_of(curled("right", 0.3) * 1000), RetargetConfig()), "right", RetargetConfig())
    assert hand.odd_size_frames == 5
    assert not hand.valid.any()


def test_finger_length_does_not_depend_on_the_bend():
    for bend_rad in (0.0, 0.9):
        assert human.finger_length(curled("left", bend_rad), "index") == pytest.approx(0.09)


def test_slow_video_is_interpolated_and_marked_away_from_its_samples():
    points = curled("right", 0.3, 6) + np.arange(6)[:, None, None] * np.array([0.1, 0, 0])
    grid = resample(motion_of(points, rate_hz=5.0), RetargetConfig())
    assert len(grid.time_ns) == 31
    wrist = grid.hand("right")[:, 0, 0]
    np.testing.assert_allclose(wrist, np.arange(31) / 30 * 0.5, atol=1e-6)
    marked = grid.imputed[:, HAND_SLICES["right"]].all(axis=1)
    np.testing.assert_array_equal(marked[:7], [False, False, True, True, True, False, False])
    assert grid.valid[:, HAND_SLICES["right"]].all()


def test_a_missing_sample_takes_its_neighbours_between_and_nothing_else():
    points = curled("right", 0.3, 12)
    points[5] = np.nan
    grid = resample(motion_of(points, valid=np.full((12, 75), True)), RetargetConfig())  # valid lies, NaN does not
    np.testing.assert_array_equal(np.flatnonzero(~grid.valid[:, 60]), [5])
    slow = resample(motion_of(points), RetargetConfig(slow_down=2.0))
    np.testing.assert_array_equal(np.flatnonzero(~slow.valid[:, 60]), [9, 10, 11])


def test_samples_too_far_apart_are_not_joined():
    grid = resample(motion_of(curled("right", 0.3, 4), rate_hz=1.0), RetargetConfig(max_gap_s=0.5))
    np.testing.assert_array_equal(np.flatnonzero(grid.valid[:, 60]), [0, 30, 60, 90])


def test_mean_rotation_is_in_the_middle_whatever_the_signs():
    axis = np.array([0.0, 0.0, 1.0])
    q = geometry.quat_exp(np.array([-0.2, 0.0, 0.2])[:, None] * axis)
    q[1] *= -1
    assert geometry.angle_between(mean_rotation(q), np.array([1.0, 0, 0, 0])) < 1e-9
