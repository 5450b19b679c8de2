from __future__ import annotations

import numpy as np
import pytest
from toy_cache import arm, hand, spec, toy_cache, write_cache

from vidpretrain.dataset import TrainingCache
from vidpretrain.errors import ConfigError, DatasetError
from vidpretrain.training.chunk_error import ErrorSum, by_group, mean, scale
from vidpretrain.training.rows import open_rows
from vidpretrain.training.sampler import Mixture


def test_chunks_follow_rows_and_end_with_the_episode(tmp_path):
    cache = toy_cache(tmp_path, episodes=2, length=5)
    rows = open_rows(cache, history=(-1, -3))
    action, weight = rows.chunk(np.array([0, 3, 9]))
    np.testing.assert_array_equal(action[0], cache.action[:4])
    np.testing.assert_array_equal(action[1, :2], cache.action[3:5])
    assert (weight[0] == 1).all()
    assert weight[1].all(axis=1).tolist() == [True, True, False, False]
    assert weight[2].all(axis=1).tolist() == [True, False, False, False]


def test_history_stays_inside_the_episode(tmp_path):
    cache = toy_cache(tmp_path, episodes=2, length=5)
    past, known = open_rows(cache, history=(-1, -3)).past(np.array([0, 2, 5, 9]))
    assert known.all()
    np.testing.assert_array_equal(past[0], cache.state[[0, 0]])
    np.testing.assert_array_equal(past[1], cache.state[[1, 0]])
    np.testing.assert_array_equal(past[2], cache.state[[5, 5]])
    np.testing.assert_array_equal(past[3], cache.state[[8, 6]])


def test_what_is_not_valid_has_no_weight(tmp_path):
    layout = spec("toy", arm(), hand())
    cache = toy_cache(tmp_path / "a", layout, episodes=1, length=8)
    arrays = {
        n: np.array(getattr(cache, n)) for n in ("images", "state", "action", "valid", "weight", "episode", "fov")
    }
    arrays["valid"][2, :] = False
    arrays["state"][2] = arrays["action"][2] = np.nan
    arrays["weight"][4] = 9.0
    write_cache(tmp_path / "b", layout, arrays)
    rows = open_rows(TrainingCache.open(tmp_path / "b"), max_weight=4.0)
    assert len(rows) == 7  # row 2 has nothing to learn from
    action, weight = rows.chunk(np.array([0, 1]))
    assert weight[0, :, 0].tolist() == [1, 1, 0, 1]
    assert weight[1, :, 0].tolist() == [1, 0, 1, 4]
    sample = rows.sample(np.array([0, 1]))
    assert not np.isnan(action[weight > 0]).any()
    assert sample.state_known.all()


def test_relative_groups_need_a_known_state_absolute_ones_do_not(tmp_path):
    layout = spec("toy", arm(), hand())
    cache = toy_cache(tmp_path / "a", layout, episodes=1, length=8)
    arrays = {
        n: np.array(getattr(cache, n)) for n in ("images", "state", "action", "valid", "weight", "episode", "fov")
    }
    arrays["valid"][0, 0] = arrays["valid"][0, 2] = False  # first arm joint and the hand, at the chunk's start
    write_cache(tmp_path / "b", layout, arrays)
    _, weight = open_rows(TrainingCache.open(tmp_path / "b")).chunk(np.array([0]))
    assert weight[0, 1].tolist() == [0, 1, 1]


def test_at_half_the_speed_a_chunk_takes_twice_as_long_and_so_does_the_past(tmp_path):
    cache = toy_cache(tmp_path, episodes=2, length=12)
    rows = open_rows(cache, history=(-4,), horizon=4, speed=0.5)
    action, weight = rows.chunk(np.array([3]))
    recorded = np.concatenate([cache.state[3:4], cache.action[3:5]])
    expected = [recorded[:2].mean(axis=0), recorded[1], recorded[1:].mean(axis=0), recorded[2]]
    np.testing.assert_allclose(action[0], expected, rtol=1e-5, atol=1e-6)
    assert (weight == 1).all()
    np.testing.assert_array_equal(rows.past(np.array([3]))[0][0, 0], cache.state[1])
    twice = open_rows(cache, horizon=4, speed=2.0)
    action, weight = twice.chunk(np.array([0, 8]))
    np.testing.assert_allclose(action[0], cache.action[1:8:2], rtol=1e-6)
    assert weight[1].all(axis=1).tolist() == [True, True, False, False]


def test_shuffled_labels_are_others_motion_from_ones_own_state(tmp_path):
    cache = toy_cache(tmp_path, spec("toy", arm()), episodes=3, length=10)
    own, shuffled = open_rows(cache), open_rows(cache, labels="shuffled", seed=1)
    every = np.arange(len(own))
    (theirs, weight), (mine, had) = shuffled.chunk(every), own.chunk(every)
    state = own.state(every)[0][:, None]
    assert sorted(shuffled.donor.tolist()) == every.tolist()
    lent = (mine - state)[shuffled.donor]
    np.testing.assert_allclose(np.where(weight > 0, theirs - state, 0), np.where(weight > 0, lent, 0), atol=1e-5)
    np.testing.assert_array_equal(weight, had[shuffled.donor])
    assert np.abs(theirs - mine)[weight > 0].mean() > 0.1
    np.testing.assert_array_equal(shuffled.sample(every).images, own.sample(every).images)


def test_labels_of_the_same_phase_come_from_another_episode_at_the_same_share(tmp_path):
    cache = toy_cache(tmp_path, spec("toy", arm()), episodes=3, length=10)
    rows = open_rows(cache, labels="phase")
    assert (rows.index[rows.donor] - rows.first[rows.donor] == rows.index - rows.first).all()
    assert (rows.first[rows.donor] != rows.first).all()
    with pytest.raises(DatasetError, match="another episode"):
        open_rows(cache, episodes=[1], labels="phase")


def test_episodes_horizon_and_representation_are_the_runs_choice(tmp_path):
    cache = toy_cache(tmp_path, episodes=4, length=5)
    rows = open_rows(cache, episodes=[1, 3], horizon=7, representation={"hand": "relative"})
    assert rows.episodes == [1, 3]
    assert rows.spec.horizon == 7
    assert [g.representation for g in rows.spec.groups] == ["relative", "relative"]
    assert [g.representation for g in cache.spec.groups] == ["relative", "absolute"]
    assert open_rows(cache, without=[0]).episodes == [1, 2, 3]
    with pytest.raises(DatasetError, match="no such episode"):
        open_rows(cache, episodes=[4])
    with pytest.raises(DatasetError, match="no row"):
        open_rows(cache, episodes=[1], without=[1])


def test_action_stats_are_those_of_the_rows(tmp_path):
    cache = toy_cache(tmp_path, episodes=3, length=5)
    got_mean, got_std = open_rows(cache, episodes=[0, 2]).action_stats()
    kept = np.concatenate([cache.action[:5], cache.action[10:]]).astype(float)
    np.testing.assert_allclose(got_mean, kept.mean(0))
    np.testing.assert_allclose(got_std, kept.std(0))


@pytest.mark.parametrize("weights", [None, (0.5, 0.25, 0.25), (1.0, 0.0, 3.0), (0.01, 0.98, 0.01)])
def test_mixture_keeps_shares_and_sees_every_row_once_a_pass(weights):
    sizes = (13, 50, 7)
    mixture = Mixture(sizes, weights, batch_size=8, seed=3)
    drawn: list[list[int]] = [[], [], []]
    for step in range(200):
        picked = mixture.batch(step)
        assert sum(len(rows) for _, rows in picked) == 8
        for cache, rows in picked:
            drawn[cache] += rows.tolist()
    share = np.array(weights or sizes, dtype=float)
    share /= share.sum()
    np.testing.assert_allclose([len(d) for d in drawn], share * 1600, atol=1.5)
    for size, rows in zip(sizes, drawn, strict=True):
        for turn in range(len(rows) // size):
            assert sorted(rows[turn * size : (turn + 1) * size]) == list(range(size))


def test_mixture_is_a_function_of_seed_and_step():
    first, second = Mixture((30, 20), None, 8, 1), Mixture((30, 20), None, 8, 1)
    for step in range(40):
        first.batch(step)
    for (a, rows), (b, others) in zip(first.batch(25), second.batch(25), strict=True):
        assert a == b
        assert rows.tolist() == others.tolist()
    different = Mixture((30, 20), None, 8, 2).batch(25)
    assert [r.tolist() for _, r in different] != [r.tolist() for _, r in second.batch(25)]
    with pytest.raises(ConfigError, match="one weight per cache"):
        Mixture((30, 20), (1.0,), 8, 1)


def test_chunk_error_by_hand():
    sums = ErrorSum.zero(2, 2, 3)
    predicted = np.zeros((3, 2, 3))
    action = np.array([[[1, 2, 0], [3, 0, 0]], [[1, 0, 0], [0, 0, 0]], [[5, 1, np.nan], [5, 1, np.nan]]], dtype=float)
    labelled = np.array([[[1, 1, 0], [1, 1, 0]], [[1, 1, 0], [0, 0, 0]], [[1, 1, 0], [1, 1, 0]]], dtype=bool)
    sums.add(np.array([0, 0, 1]), predicted, action, labelled)
    np.testing.assert_allclose(sums.columns()[:2], [15 / 5, 4 / 5])
    assert np.isnan(sums.columns()[2])
    np.testing.assert_allclose(sums.columns(np.array([0]))[:2], [5 / 3, 2 / 3])
    np.testing.assert_allclose(sums.columns(np.array([1, 1]))[:2], [5, 1])
    np.testing.assert_allclose(sums.steps()[:, :2], [[7 / 3, 1], [8 / 2, 1 / 2]])
    np.testing.assert_allclose(scale(np.array([2.0, 0.0, np.nan])), [2.0, 0.01, 0.01])
    assert float(mean(np.array([1.0, 3.0, np.nan]))) == 2
    groups = by_group(np.array([1.0, 3.0, np.nan]), spec("x", arm(), hand()))
    assert groups["left_arm"] == 2
    assert np.isnan(groups["left_hand"])
