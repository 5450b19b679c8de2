"""Borders at slow moments, idle parts, and the words that belong to a stretch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import timebase
from vidpretrain.segments import Said, SegmentConfig, parts, segment
from vidpretrain.segments.borders import borders, idle
from vidpretrain.segments.series import minima, smooth, speed
from vidpretrain.types import Camera, HumanMotion

CONFIG = SegmentConfig()
STEP_S = 1 / 30


def motion_of(wrist: np.ndarray, rate_hz: float = 30.0) -> HumanMotion:
    """Right wrist on this path (t 3) with a stiff hand, nothing else known."""
    t = len(wrist)
    p, valid = np.full((t, 75, 3), np.nan), np.zeros((t, 75), dtype=bool)
    shape = np.random.default_rng(0).normal(0, 0.05, (21, 3))
    shape[0] = 0
    p[:, 54:] = wrist[:, None] + shape
    valid[:, 54:] = True
    return HumanMotion(
        clip_id="clip",
        skeleton="human75",
        time_ns=np.round(np.arange(t) * 1e9 / rate_hz).astype(np.int64),
        T_world_root=np.full((t, 7), np.nan),
        p_world_keypoint=p,
        sigma_m=np.where(valid, 0.01, np.nan),
        valid=valid,
        imputed=np.zeros_like(valid),
        contact=np.zeros((t, 2)),
        height_m=1.7,
        height_from="given",
        view="third",
        body_seen=False,
        camera=Camera(K=np.eye(3), distortion=np.zeros(0), width_px=4, height_px=4),
    )


def reaches(*pauses_s: float, move_s: float = 1.0, rate_hz: float = 30.0) -> np.ndarray:
    """A wrist that moves .3 m along x by minimum jerk between pauses of these lengths."""
    x, at = [], 0.0
    for k, pause in enumerate(pauses_s):
        x += [at] * round(pause * rate_hz)
        if k + 1 < len(pauses_s):
            s = np.arange(round(move_s * rate_hz)) / round(move_s * rate_hz)
            x += list(at + 0.3 * (10 * s**3 - 15 * s**4 + 6 * s**5))
            at += 0.3
    return np.stack([np.array(x), np.zeros(len(x)), np.zeros(len(x))], axis=1)


def test_running_means_and_speeds_leave_holes() -> None:
    x = np.array([1.0, np.nan, 3.0, 5.0, 5.0])
    np.testing.assert_allclose(smooth(x, 3), [1, np.nan, 4, 13 / 3, 5])
    time_ns = np.arange(5, dtype=np.int64) * 10**8
    p = np.stack([np.array([0, 0.1, 0.2, np.nan, 0.5]), np.zeros(5), np.zeros(5)], axis=1)
    np.testing.assert_allclose(speed(time_ns, p), [1, 1, 1, np.nan, np.nan])


def test_minima_are_lowest_on_both_sides_and_plateaus_have_one() -> None:
    x = np.array([3, 2, 1, 2, 3, 0.5, 0.5, 0.5, 3, 3, np.nan, 3])
    assert minima(x, 2) == [2, 6, 11]
    assert minima(x, 4) == [6]


def test_borders_lie_in_the_pauses() -> None:
    activity = segment(motion_of(reaches(0.2, 0.3, 0.3, 0.2)), CONFIG)
    inner = [s.start_ns / 1e9 for s in activity.stretches[1:]]
    assert len(inner) == 2
    assert 1.2 <= inner[0] <= 1.5
    assert 2.5 <= inner[1] <= 2.8
    assert activity.stretches[0].start_ns == 0
    assert activity.stretches[-1].exclusive_end_ns == activity.time_ns[-1] + timebase.ns(STEP_S)
    for a, b in zip(activity.stretches, activity.stretches[1:], strict=False):
        assert a.exclusive_end_ns == b.start_ns


@pytest.mark.parametrize("rate_hz", [15.0, 60.0])
def test_borders_do_not_depend_on_the_frame_rate(rate_hz: float) -> None:
    there = segment(motion_of(reaches(0.2, 0.3, 0.2)), CONFIG).stretches
    other = segment(motion_of(reaches(0.2, 0.3, 0.2, rate_hz=rate_hz), rate_hz), CONFIG).stretches
    assert len(there) == len(other)
    assert abs(there[1].start_ns - other[1].start_ns) < 0.15e9


def test_segments_are_no_shorter_and_no_longer_than_they_may() -> None:
    rng = np.random.default_rng(1)
    pace = np.abs(rng.normal(1, 0.3, 900))
    config = dataclasses.replace(CONFIG, half_window_s=0.05, max_s=1.5)
    starts = borders(pace, STEP_S, config)
    lengths = np.diff([*starts, 900])
    assert lengths.min() >= 8
    assert lengths.max() <= 45
    flat = borders(np.ones(700), STEP_S, CONFIG)
    assert np.diff([*flat, 700]).max() <= 300


def test_idle_is_slow_long_and_without_a_grasp() -> None:
    slow = np.concatenate([np.full(40, 0.01), np.full(30, 0.5), np.full(20, 0.01), np.full(10, np.nan)])
    grasp = np.zeros((100, 2), dtype=bool)
    assert np.flatnonzero(idle(slow, grasp, STEP_S, CONFIG)).tolist() == list(range(40))
    grasp[20:, 1] = True
    assert not idle(slow, grasp, STEP_S, CONFIG).any(), "the hand closed in the middle of it"


def test_idle_parts_are_dropped_and_episodes_are_what_is_between() -> None:
    activity = segment(motion_of(reaches(2.0, 0.3, 1.5, 0.2)), CONFIG)
    assert [s.idle for s in activity.stretches].count(True) == 2
    dropped = parts(activity, CONFIG)
    assert len(dropped) == 2
    assert all(not s.idle for part in dropped for s in part.stretches)
    assert dropped[0].start_ns > 1.8e9
    kept = parts(activity, dataclasses.replace(CONFIG, drop_idle=False))
    assert len(kept) == 1
    assert kept[0].start_ns == 0
    each = parts(activity, dataclasses.replace(CONFIG, split="episodes"))
    assert len(each) == sum(not s.idle for s in activity.stretches)
    whole = parts(activity, dataclasses.replace(CONFIG, split="none", drop_idle=False))
    assert len(whole) == 1
    assert whole[0].exclusive_end_ns == activity.stretches[-1].exclusive_end_ns


def test_words_go_to_the_stretch_that_they_overlap_most_and_cut_it() -> None:
    said = (
        Said(start_ns=0, exclusive_end_ns=timebase.ns(1.3), text="reach"),
        Said(start_ns=timebase.ns(1.3), exclusive_end_ns=timebase.ns(2.75), text="lift"),
        Said(start_ns=timebase.ns(2.75), exclusive_end_ns=None, text="put down"),
    )
    activity = segment(motion_of(reaches(0.2, 0.3, 0.3, 0.2)), CONFIG, said)
    assert [s.instruction for s in activity.stretches] == ["reach", "lift", "put down"]
    assert {s.told_by for s in activity.stretches} == {"narration"}
    steady = np.stack([np.arange(90) / 60, np.zeros(90), np.zeros(90)], axis=1)
    cut = segment(motion_of(steady), CONFIG, said)
    words = [s.instruction for s in cut.stretches]
    assert list(dict.fromkeys(words)) == ["reach", "lift"]
    border = next(s.start_ns for s in cut.stretches if s.instruction == "lift")
    assert abs(border - timebase.ns(1.3)) < 0.15e9, "its own times are borders where the motion has none"
    early = (Said(start_ns=timebase.ns(60), exclusive_end_ns=timebase.ns(61), text="later"),)
    assert {s.instruction for s in segment(motion_of(steady), CONFIG, early).stretches} == {""}


def test_hands_that_were_not_seen_are_not_known() -> None:
    activity = segment(motion_of(reaches(0.2, 0.2)), CONFIG)
    assert activity.known[:, 1].all()
    assert not activity.known[:, 0].any()
    assert np.isnan(activity.contact[:, 0]).all()
    assert not activity.grasp[:, 0].any()
    assert np.isfinite(activity.contact[:, 1]).all()


def test_config_refuses_nonsense() -> None:
    for wrong in ({"max_s": 0.1}, {"grasp_hysteresis_m": 0.2}, {"curl_share": 0.95}, {"captioner_frames": 0}):
        with pytest.raises(ValueError, match=r"is|lies|less|at least"):
            SegmentConfig(**wrong)
