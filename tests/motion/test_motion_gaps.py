"""Gaps: bridged from both sides by a process that fits the series, bones whole, marked, and honest about it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import BODY, film, hide, look_at, raising, reaching, true_motion

from vidpretrain import skeletons
from vidpretrain.motion import MotionConfig, build_motion, kriging
from vidpretrain.motion.bones import HAND_PARENT
from vidpretrain.motion.gap_config import GapConfig
from vidpretrain.motion.gaps import gaps_of, impute
from vidpretrain.types import HumanMotion

CONFIG = GapConfig()
TIME_S = np.arange(90) / 30
LEFT, RIGHT, BODY_TRACK = 0, 1, 2
GAP = slice(40, 50)


def times(count: int) -> np.ndarray:
    return np.round(np.arange(count) * 1e9 / 30).astype(np.int64)


def lost(motion: HumanMotion, frames: slice, points: slice | list[int]) -> HumanMotion:
    """The motion without these points in these frames."""
    valid = motion.valid.copy()
    valid[frames, points] = False
    return dataclasses.replace(
        motion,
        valid=valid,
        p_world_keypoint=np.where(valid[..., None], motion.p_world_keypoint, np.nan),
        sigma_m=np.where(valid, motion.sigma_m, np.nan),
    )


def person(points=raising) -> tuple[HumanMotion, np.ndarray]:
    p_world = points(TIME_S)
    filmed = film(p_world, look_at(np.array([2.6, 0.3, 1.4]), np.array([0, 0, 1.0])))
    return true_motion(filmed, "third"), p_world


def lengths(p: np.ndarray) -> np.ndarray:
    return np.linalg.norm(p[:, 1:] - p[:, HAND_PARENT[1:]], axis=-1)


@pytest.mark.parametrize("process", range(len(kriging.PROCESSES)))
def test_a_bridge_passes_through_what_is_known_and_keeps_constants(process: int) -> None:
    known = np.array([0.0, 0.04, 0.1, 0.4, 0.45, 0.5])
    made = kriging.bridge(known, np.array([0.1, 0.25, 0.4]))
    np.testing.assert_allclose(made.weight[process].sum(axis=1), 1.0, atol=1e-6)
    if kriging.PROCESSES[process].noise < 1e-3:
        swing = np.sin(5.0 * known)
        np.testing.assert_allclose(made.weight[process][[0, 2]] @ swing, swing[[2, 3]], atol=0.005)
    variance = made.variance[process]
    assert variance[1] > 3 * variance[[0, 2]].max(), "most uncertain in the middle"
    if kriging.PROCESSES[process].degree == 1:
        np.testing.assert_allclose(made.weight[process] @ known, [0.1, 0.25, 0.4], atol=1e-6)


def test_the_walk_is_linear_interpolation_with_the_bridges_variance() -> None:
    made = kriging.bridge(np.array([-0.3, -0.1, 0.0, 0.4, 0.7]), np.array([0.1, 0.2, 0.3]))
    share = np.array([0.25, 0.5, 0.75])
    expected = np.zeros((3, 5))
    expected[:, 2], expected[:, 3] = 1 - share, share
    np.testing.assert_allclose(made.weight[0], expected, atol=1e-6)
    np.testing.assert_allclose(made.variance[0], 2 * share * (1 - share) * 0.4, rtol=1e-5)  # of a Brownian bridge


def test_the_series_tells_its_process() -> None:
    rng = np.random.default_rng(3)
    t = times(300) / 1e9
    swing = np.stack([np.sin(4 * t), np.cos(3 * t), np.sin(2.5 * t + 1)], axis=-1)[:, None]
    walk = np.cumsum(rng.normal(size=(300, 1, 3)), axis=0)
    known = np.ones(300, dtype=bool)
    around = np.r_[100:112, 122:134]
    made = kriging.bridge(t[around], t[112:122])
    known[112:122] = False
    assert kriging.shares(swing, known, 1 / 30, made, around)[2:].sum() > 0.9
    assert kriging.shares(walk, known, 1 / 30, made, around)[:2].sum() > 0.75
    none = np.zeros(300, dtype=bool)
    assert kriging.shares(swing, none, 1 / 30, made, around).argmax() == 3, "the default where nothing can be told"
    noisy = kriging.shares(swing, known, 1 / 30, made, around, noise_m=0.5)
    assert noisy[:2].sum() > 0.8, "slopes at uncertain ends are not prolonged"


def test_sigma_covers_what_it_says_on_drawn_motion() -> None:
    rng = np.random.default_rng(0)
    t = times(3000) / 1e9
    k = (lambda x: (1 + x + x * x / 3) * np.exp(-x))(np.sqrt(5.0) * np.abs(t[:300, None] - t[:300]) / 0.4)
    series = np.linalg.cholesky(k + 1e-9 * np.eye(300)) @ rng.normal(size=(300, 60))
    series = series.reshape(300, 20, 3)
    known = np.ones(300, dtype=bool)
    inside, sigmas = [], []
    for start in range(20, 270, 25):
        around = np.r_[start - 12 : start, start + 10 : start + 22]
        made = kriging.bridge(t[around], t[start : start + 10])
        found = kriging.estimate(made, series[around], kriging.shares(series, known, 1 / 30, made, around))
        error = np.linalg.norm(found.value - series[start : start + 10], axis=-1)
        inside.append(error <= 2.5 * found.sigma)
        sigmas.append(found.sigma)
    assert 0.85 < np.mean(inside) < 0.97
    sigma = np.mean(sigmas, axis=(0, 2))
    assert (np.diff(sigma[:5]) > 0).all(), "grows away from evidence"
    assert (np.diff(sigma[5:]) < 0).all()


def test_a_smooth_curve_through_trembling_values_beats_one_that_goes_through_them() -> None:
    rng = np.random.default_rng(1)
    t = times(300) / 1e9
    true = np.stack([0.05 * np.sin(6 * t), 0.08 * np.cos(5 * t), 0.04 * np.sin(4 * t + 1)], axis=-1)[:, None]
    series = true + 0.003 * rng.normal(size=true.shape)
    error, through, inside = [], [], []
    for start in range(20, 270, 10):
        around, gap = np.r_[start - 12 : start, start + 10 : start + 22], np.arange(start, start + 10)
        off = series[[start - 1, start + 10]] - true[[start - 1, start + 10]]
        wanted = true[gap] + np.linspace(off[0], off[1], 12)[1:-1]  # from the values at both ends
        found = kriging.smoothed(t[around], series[around], t[gap], (11, 12), 0.003)
        plain = kriging.estimate(kriging.bridge(t[around], t[gap]), series[around], np.eye(5)[3])
        error.append(np.linalg.norm(found.value - wanted, axis=-1))
        through.append(np.linalg.norm(plain.value - wanted, axis=-1))
        inside.append(np.linalg.norm(found.value - true[gap], axis=-1) <= 2.5 * np.hypot(found.sigma, 0.003))
    assert np.mean(error) < 0.7 * np.mean(through)
    assert np.mean(inside) > 0.85
    exact = kriging.smoothed(t[around], true[around], t[gap], (11, 12), 0.0)
    np.testing.assert_allclose(exact.value, true[gap], atol=2e-3)  # a line is 30 mm off


def test_gaps_are_chosen_by_their_length_in_seconds() -> None:
    seen = np.ones(120, dtype=bool)
    for start, length in ((0, 5), (20, 3), (40, 4), (60, 10), (90, 11)):
        seen[start : start + length] = False
    assert [(g.start, g.end) for g in gaps_of(seen, times(120), CONFIG)] == [(40, 44), (60, 70)]
    wide = dataclasses.replace(CONFIG, impute_max_s=0.5)
    assert [(g.start, g.end) for g in gaps_of(seen, times(120), wide)] == [(40, 44), (60, 70), (90, 101)]
    found = gaps_of(seen, times(120), CONFIG)[0]
    assert seen[found.around].all()
    assert found.around.min() >= 40 - 12
    assert found.around.max() < 44 + 12


def test_a_hand_alone_is_imputed_with_whole_bones_and_a_growing_sigma() -> None:
    motion, truth = person(lambda time_s: reaching(time_s, speed=4.0))
    part = skeletons.RIGHT_HAND_SLICE
    motion = lost(lost(motion, slice(None), skeletons.BODY_SLICE), GAP, part)
    before = motion.p_world_keypoint.copy()
    out = impute(motion, CONFIG)
    np.testing.assert_array_equal(motion.p_world_keypoint, before)
    assert out.valid[GAP, part].all()
    assert out.imputed[GAP, part].all()
    assert out.imputed.sum() == 10 * 21
    linear = np.linspace(0, 1, 12)[1:-1, None, None]
    straight = truth[39, part] * (1 - linear) + truth[50, part] * linear
    error = np.linalg.norm(out.p_world_keypoint[GAP, part] - truth[GAP, part], axis=-1)
    assert error.mean() < 0.3 * np.linalg.norm(straight - truth[GAP, part], axis=-1).mean()
    np.testing.assert_allclose(lengths(out.p_world_keypoint[GAP, part]), lengths(truth[GAP, part]), atol=1e-9)
    sigma = out.sigma_m[38:52, part.start]
    assert sigma.argmax() in (6, 7)
    assert sigma.max() > 1.2 * sigma[0]


def test_body_and_hands_lost_together_come_back_as_one() -> None:
    motion, truth = person()
    out = impute(lost(motion, GAP, slice(None)), CONFIG)
    assert out.valid[GAP].all()
    assert out.imputed[GAP].all()
    assert not np.delete(out.imputed, np.s_[GAP], axis=0).any()
    p = out.p_world_keypoint
    wrist = BODY.index("right_wrist")
    np.testing.assert_allclose(p[GAP, wrist], p[GAP, skeletons.RIGHT_HAND_SLICE.start], atol=1e-9)
    np.testing.assert_allclose(p[GAP, BODY.index("right_index")], p[GAP, 54 + 5], atol=1e-9)
    for a, b in ((12, 14), (14, 16), (24, 26)):
        np.testing.assert_allclose(
            np.linalg.norm(p[:, a] - p[:, b], axis=-1), np.linalg.norm(truth[:, a] - truth[:, b], axis=-1), atol=1e-6
        )
    linear = np.linspace(0, 1, 12)[1:-1, None]
    straight = truth[39, wrist] * (1 - linear) + truth[50, wrist] * linear
    error = np.linalg.norm(p[GAP, wrist] - truth[GAP, wrist], axis=-1)
    assert error.mean() < 0.3 * np.linalg.norm(straight - truth[GAP, wrist], axis=-1).mean()
    assert np.isfinite(out.T_world_root[GAP]).all()


def test_a_depth_that_wanders_is_not_prolonged() -> None:
    """Labels off by a slow swing along the ray, as bodies far from the camera are: the gap goes straight in depth."""
    motion, truth = person()
    pose = motion.camera.T_world_camera
    assert pose is not None
    part, wrist = skeletons.RIGHT_HAND_SLICE, BODY.index("right_wrist")
    ray = truth[:, wrist] - np.broadcast_to(pose, (90, 7))[:, 4:]
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    swing = 0.04 * np.sin(2 * np.pi * TIME_S / 0.9)[:, None] * ray
    wandering = dataclasses.replace(motion, p_world_keypoint=motion.p_world_keypoint + swing[:, None])
    error = {}
    for ratio in (1.0, GapConfig().ray_ratio):
        config = GapConfig(ray_ratio=ratio)
        sigma = np.where(motion.valid, 0.03, np.nan)
        out = impute(lost(dataclasses.replace(wandering, sigma_m=sigma), GAP, slice(None)), config)
        p = out.p_world_keypoint[GAP, part.start]
        level = truth[GAP, wrist] + np.linspace(swing[39], swing[50], 12)[1:-1]
        error[ratio] = np.linalg.norm(p - level, axis=1).mean()
    assert error[GapConfig().ray_ratio] < 0.75 * error[1.0]


def test_a_hand_hangs_on_the_wrist_that_the_body_shows() -> None:
    motion, truth = person()
    out = impute(lost(motion, GAP, skeletons.RIGHT_HAND_SLICE), CONFIG)
    wrist = BODY.index("right_wrist")
    np.testing.assert_allclose(out.p_world_keypoint[GAP, 54], truth[GAP, wrist], atol=1e-9)
    assert not out.imputed[GAP, wrist].any()
    assert out.imputed[GAP, BODY.index("right_thumb")].all(), "it is the hand's"
    np.testing.assert_allclose(out.sigma_m[GAP, 54], motion.sigma_m[GAP, wrist], rtol=0.02)


def test_what_the_fit_carried_by_a_hand_and_what_is_too_long_stay() -> None:
    motion, _ = person()
    imputed = motion.imputed.copy()
    imputed[GAP, skeletons.BODY_SLICE] = True
    bridged = dataclasses.replace(motion, imputed=imputed)
    out = impute(bridged, CONFIG)
    np.testing.assert_array_equal(out.p_world_keypoint, motion.p_world_keypoint)
    long = lost(motion, slice(40, 60), slice(None))
    out = impute(long, CONFIG)
    assert not out.valid[40:60].any()
    assert not out.imputed.any()


@pytest.mark.parametrize("legs", [True, False])
def test_a_bust_is_imputed_without_its_legs(legs: bool) -> None:
    motion, _ = person()
    if not legs:
        motion = lost(motion, slice(None), list(range(23, 33)))
    out = impute(lost(motion, GAP, skeletons.BODY_SLICE), CONFIG)
    seen = [0, 11, 12]
    assert out.valid[GAP][:, seen].all()
    assert out.valid[GAP, 23:33].all() == legs
    assert not out.valid[GAP, 14].any(), "elbows are not guessed between a hand that is seen and a body that is not"


def test_a_clip_with_a_gap_is_filled_from_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = look_at(np.array([0.08, 0, 1.62]), np.array([0.55, 0, 1.05]))
    filmed = film(reaching(TIME_S), camera, fov_x_deg=90.0, body=False, noise_px=1.0)
    config = MotionConfig(
        fov_x_deg=90.0, height_m=1.75, view="ego", gaps=GapConfig(impute_max_s=0.5), ego_pitch_deg=50.0
    )
    hidden = hide(filmed, RIGHT, slice(40, 54))
    motions = build_motion(hidden.tracks, hidden.clip, config)
    assert isinstance(motions, tuple)
    assert motions[0].imputed[40:54, 54].all(), "longer than what the fit runs through"
    apart = np.linalg.norm(np.diff(motions[0].p_world_keypoint[:, 54], axis=0), axis=-1)
    assert apart[38:56].max() < 1.6 * apart.max(initial=0, where=~np.isin(np.arange(89), np.arange(38, 56)))


def test_config_refuses_limits_out_of_order() -> None:
    with pytest.raises(ValueError, match="fill_max_s"):
        GapConfig(fill_max_s=0.5)
    with pytest.raises(ValueError, match="context_s"):
        GapConfig(context_s=0.0)
    with pytest.raises(ValueError, match="ray_ratio"):
        GapConfig(ray_ratio=0.5)
    along, across = GapConfig(end_noise=1.0, ray_ratio=6.5).noise_along_and_across(0.03)
    assert along == pytest.approx(6.5 * across)
    assert along**2 + 2 * across**2 == pytest.approx(3 * 0.03**2)
