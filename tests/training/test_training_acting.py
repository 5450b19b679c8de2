"""Chunks as trajectories: blended, inside limits and speeds, the same again with the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from toy_cache import MODEL, picture, spec, toy_cache

from vidpretrain.actions import ActionConfig, spec_for
from vidpretrain.control import ControlConfig, limits_of
from vidpretrain.errors import InputError
from vidpretrain.robot import load_robot
from vidpretrain.training import Actor, Policy, TrainConfig, followed, pretrain

FAST = TrainConfig(steps=3, batch_size=8, draws=1, warmup=1, tensorboard=False, representation={})


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    root = tmp_path_factory.mktemp("acting")
    pretrain(MODEL, FAST, [toy_cache(root / "cache", episodes=1, length=20).path], root / "run")
    return Policy.load(root / "run")


def chunks_of(rows, layout, horizon=4):
    """Chunk i says i + k / 10 of its k-th row, in every column."""
    ahead = np.arange(len(rows))[:, None] + np.arange(horizon) / 10
    return np.repeat(ahead[..., None], layout.width, axis=2).astype(np.float32)


def test_every_row_follows_the_newest_chunk_that_covers_it():
    layout, rows = spec(), np.array([0, 2, 8])
    made = followed(chunks_of(rows, layout), rows, np.zeros((13, 3), np.float32), layout)
    np.testing.assert_allclose(made.action[:6, 0], [0.0, 0.1, 1.0, 1.1, 1.2, 1.3], atol=1e-6)
    assert np.isnan(made.action[6:8]).all()  # nobody said anything of these rows
    assert not made.valid[6:8].any()
    np.testing.assert_allclose(made.action[8:12, 0], [2.0, 2.1, 2.2, 2.3], atol=1e-6)
    assert not made.valid[12].any()


def test_ensembled_rows_are_the_weighted_mean_of_all_chunks():
    layout, rows = spec(), np.array([0, 1])
    made = followed(
        chunks_of(rows, layout), rows, np.zeros((3, 3), np.float32), layout, None, ControlConfig(blend="ensemble")
    )
    weight = np.exp(-0.01 * np.arange(2))
    np.testing.assert_allclose(made.action[1], np.full(3, weight @ [0.1, 1.0] / weight.sum()), atol=1e-6)


def test_unknown_state_hides_a_row_and_misfits_are_named():
    layout, state = spec(), np.zeros((4, 3), np.float32)
    state[1, 2] = np.nan
    rows = np.array([0])
    made = followed(chunks_of(rows, layout), rows, state, layout)
    assert made.valid.sum() == 11
    assert not made.valid[1, 2]
    with pytest.raises(InputError, match="chunks do not fit"):
        followed(chunks_of(rows, layout)[..., :2], rows, state, layout)
    with pytest.raises(InputError, match="chunks do not fit"):
        followed(chunks_of([0, 0], layout), np.array([0, 4]), state, layout)


def test_a_robots_limits_and_speeds_are_kept():
    robot = load_robot("g1_inspire")
    layout = spec_for(robot, ActionConfig())
    limits, rng = limits_of(robot, layout), np.random.default_rng(0)
    rows = np.arange(0, 20, 3)
    chunks = rng.normal(0, 3, (len(rows), layout.horizon, layout.width)).astype(np.float32)
    state = rng.normal(0, 0.1, (20, layout.width)).astype(np.float32)
    made = followed(chunks, rows, state, layout, limits)
    assert (made.action >= limits.lower - 1e-6).all()
    assert (made.action <= limits.upper + 1e-6).all()
    assert (np.abs(np.diff(made.action, axis=0)) <= limits.step + 1e-5).all()
    free = followed(chunks, rows, state, layout, limits, ControlConfig(limits=False))
    assert (np.abs(np.diff(free.action, axis=0)) > limits.step + 1e-3).any()


def played(policy, seed, rows=6, **control):
    actor = Actor(policy, "toy", control=ControlConfig(**control), seed=seed)
    plans = [actor.step(picture(0.1 * k, 0.5), np.full(3, 0.1 * k, np.float32), "go") for k in range(rows)]
    return np.stack([plan.action[0] for plan in plans]), plans


def test_an_actor_answers_the_same_again_and_asks_with_what_it_remembers(policy):
    first, plans = played(policy, 3)
    np.testing.assert_array_equal(played(policy, 3)[0], first)
    assert np.abs(played(policy, 4)[0] - first).max() > 1e-3
    assert plans[0].action.shape == (4, 3)
    past = np.array([[0.4, 0.4, 0.4]], np.float32)  # MODEL looks one row back
    direct = policy.predict(
        picture(0.5, 0.5)[None],
        np.full((1, 3), 0.5, np.float32),
        "toy",
        history=past[None],
        seed=3,
        keys=np.array([5]),
        instructions=["go"],
    )
    np.testing.assert_allclose(plans[5].action, direct[0], atol=1e-6)


def test_an_actor_blends_its_chunks_and_forgets_them_on_reset(policy):
    newest, ensemble = played(policy, 0)[0], played(policy, 0, blend="ensemble")[0]
    np.testing.assert_array_equal(newest[0], ensemble[0])
    assert np.abs(newest[3] - ensemble[3]).max() > 1e-4
    actor = Actor(policy, "toy")
    once = actor.step(picture(0, 0), np.zeros(3, np.float32)).action
    actor.reset()
    np.testing.assert_array_equal(actor.step(picture(0, 0), np.zeros(3, np.float32)).action, once)
    with pytest.raises(InputError, match="state does not fit"):
        actor.step(picture(0, 0), np.zeros(2, np.float32))
