"""Outliers, gaps and the smoother."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.motion import MotionConfig, clean

CONFIG = MotionConfig()


def times(count: int, rate_hz: float = 30.0) -> np.ndarray:
    return np.round(np.arange(count) * 1e9 / rate_hz).astype(np.int64)


@pytest.mark.parametrize(("rate_hz", "longest"), [(30.0, 10), (60.0, 10), (5.0, 2), (1.0, 0)])
def test_gaps_are_counted_in_frames_and_bounded_in_seconds(rate_hz, longest):
    assert clean.longest_gap(times(20, rate_hz), CONFIG) == longest


def test_fillable_gaps_lie_between_data():
    seen = np.array([0, 1, 0, 0, 1, 0, 0, 0, 1, 0], dtype=bool)
    assert np.flatnonzero(clean.fillable(seen, 2)).tolist() == [2, 3]
    assert not clean.fillable(np.zeros(5, bool), 9).any()


def test_spikes_and_short_excursions_go_and_fast_motion_stays():
    t = np.arange(120) / 30
    p = np.stack([0.5 * np.sin(2 * np.pi * 1.5 * t), 0.1 * t, 1 + 0 * t], -1)  # up to 4.7 m/s
    seen = np.ones(120, dtype=bool)
    assert not clean.outliers(times(120), p, seen, CONFIG).any()
    broken = p.copy()
    broken[40] += [0, 0.8, 0]
    broken[70:75] += [0, 1.0, 0]  # jumped to something else and came back
    assert np.flatnonzero(clean.outliers(times(120), broken, seen, CONFIG)).tolist() == [40, 70, 71, 72, 73, 74]


def test_speeds_that_no_human_has_are_outliers_even_when_common():
    p = np.zeros((60, 3))
    p[20:26, 0], p[26:, 0] = 3.0, 6.0  # three places, metres apart
    bad = clean.outliers(times(60), p, np.ones(60, bool), CONFIG)
    assert bad[20:26].all()
    assert not bad[:20].any()


def test_smoother_keeps_constant_speed_and_has_no_delay():
    time_ns = np.sort(np.random.default_rng(0).integers(0, 3_000_000_000, 80))
    line = np.stack([time_ns / 1e9, 2 - time_ns / 1e9], -1)
    np.testing.assert_allclose(clean.smooth(time_ns, line, np.ones(80), 3.0), line, atol=1e-8)
    pulse = np.zeros(81)
    pulse[40] = 1
    out = clean.smooth(times(81), pulse, np.ones(81), 4.0)
    np.testing.assert_allclose(out, out[::-1], atol=1e-7)
    assert out.argmax() == 40


def test_smoother_halves_its_frequency_and_passes_slow_motion():
    time_ns = times(600)
    t = time_ns / 1e9
    for hz, low, high in ((6.0, 0.45, 0.55), (1.0, 0.99, 1.01), (13.0, 0.0, 0.2)):
        wave = np.sin(2 * np.pi * hz * t)
        out = clean.smooth(time_ns, wave, np.ones(600), 6.0)[100:-100]
        gain = float((out * wave[100:-100]).sum() / (wave[100:-100] ** 2).sum())
        assert low <= gain <= high


def test_smoother_does_nothing_where_the_rate_is_below_its_frequency():
    value = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_array_equal(clean.smooth(times(20, 5.0), value, np.ones(20), 6.0), value)


def test_smoother_follows_weights_and_leaves_its_input():
    value = np.zeros(50)
    value[25] = 1.0
    before = value.copy()
    weight = np.ones(50)
    weight[25] = 0.0
    assert abs(clean.smooth(times(50), value, weight, 3.0)[25]) < 1e-3
    np.testing.assert_array_equal(value, before)


def test_robust_depth_ignores_bursts():
    depth = np.full(90, 0.6)
    depth[30:33] = 1.4
    out = clean.robust_depth(times(90), depth, np.ones(90), 2.0)
    assert np.abs(out - 0.6).max() < 0.03


def test_turns_are_smoothed_across_sign_changes():
    q = np.tile([np.cos(0.3), np.sin(0.3), 0, 0], (30, 1))
    q[::2] *= -1
    out = clean.smooth_turn(times(30), q, np.ones(30), 3.0)
    assert np.abs(np.abs((out * q[1]).sum(-1)) - 1).max() < 1e-6
