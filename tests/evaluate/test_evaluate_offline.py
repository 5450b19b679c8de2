from __future__ import annotations

import json

import numpy as np
import pytest
from toy_cache import MODEL, spec, toy_cache

from vidpretrain.errors import CheckpointError
from vidpretrain.evaluate import EvaluateConfig, evaluate
from vidpretrain.evaluate.baselines import hold_state, last_velocity, mean_action
from vidpretrain.training import Policy, TrainConfig, pretrain

FAST = TrainConfig(steps=3, batch_size=8, draws=1, warmup=1, tensorboard=False, val_episodes=(1, 3))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluate")
    cache = toy_cache(root / "cache", episodes=4, length=12)
    pretrain(MODEL, FAST, [cache.path], root / "run")
    return cache, root / "run"


def test_baselines_by_hand():
    state, previous = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[0.5, 2.5], [np.nan, 0.0]])
    assert hold_state(state, 2).tolist() == [[[1, 2], [1, 2]], [[0, 0], [0, 0]]]
    assert mean_action(np.array([3.0, 4.0]), 2, 1).tolist() == [[[3, 4]], [[3, 4]]]
    assert last_velocity(state, previous, 3)[0].tolist() == [[1.5, 1.5], [2.0, 1.0], [2.5, 0.5]]
    assert last_velocity(state, previous, 1)[1].tolist() == [[0, 0]]


def test_errors_are_those_computed_by_hand(trained, tmp_path):
    cache, run = trained
    result = evaluate(run, cache, [1, 3], tmp_path, EvaluateConfig(samples=1, bootstrap=50))
    train = np.concatenate([cache.action[:12], cache.action[24:36]]).astype(float)
    scale = train.std(0)
    errors: dict[str, list] = {"hold_state": [], "mean_action": [], "last_velocity": []}
    for start in (12, 36):
        for t in range(start, start + 12):
            for k in range(min(4, start + 12 - t)):
                target = cache.action[t + k].astype(float)
                state = cache.state[t].astype(float)
                step = state - cache.state[t - 1] if t > start else 0 * state
                errors["hold_state"].append(np.abs(state - target))
                errors["mean_action"].append(np.abs(train.mean(0) - target))
                errors["last_velocity"].append(np.abs(state + (k + 1) * step - target))
    for name, rows in errors.items():
        native = np.mean(rows, axis=0)
        method = result["methods"][name]
        assert method["error"] == pytest.approx(float((native / scale).mean()), rel=1e-5)
        assert method["native"]["left_arm"] == pytest.approx(float(native[:2].mean()), rel=1e-5)
        assert method["groups"]["left_hand"] == pytest.approx(float(native[2] / scale[2]), rel=1e-5)
        assert result["beats"][name] == (result["methods"]["policy"]["error"] < method["error"])
        low, high = method["interval"]
        assert min(method["episodes"]) - 1e-9 <= low <= high <= max(method["episodes"]) + 1e-9
    assert result["labels"] == 3 * len(errors["hold_state"])
    assert json.loads((tmp_path / "evaluation.json").read_text()) == result


def test_a_policy_that_knows_the_answer_has_no_error_and_beats_all(trained):
    cache, run = trained

    class Oracle(Policy):
        def predict(self, images, state, embodiment, *, keys, **_):
            rows = np.minimum(np.asarray(keys)[:, None] + np.arange(4), len(cache) - 1)
            return np.asarray(cache.action[rows])

    result = evaluate(Oracle(Policy.load(run).model), cache, [1, 3], config=EvaluateConfig(bootstrap=20))
    assert result["methods"]["policy"]["error"] == 0
    assert result["methods"]["policy"]["steps"] == [0, 0, 0, 0]
    assert all(result["beats"].values())
    assert all(all(groups.values()) for groups in result["beats_groups"].values())
    minus = result["methods"]["hold_state"]["policy_minus"]
    assert minus["difference"] == -result["methods"]["hold_state"]["error"]
    assert minus["interval"][1] < 0


def test_another_policy_stands_beside_and_results_repeat(trained):
    cache, run = trained
    config = EvaluateConfig(samples=2, bootstrap=20, every=2)
    first = evaluate(run, cache, [1, 3], config=config, others={"scratch": run})
    assert first["methods"]["scratch"]["error"] == first["methods"]["policy"]["error"]
    assert first["methods"]["scratch"]["policy_minus"]["interval"] == [0, 0]
    assert first["policies"] == ["policy", "scratch"]
    assert evaluate(run, cache, [1, 3], config=config, others={"scratch": run}) == first


def test_a_cache_of_another_robot_is_refused(trained, tmp_path):
    _, run = trained
    with pytest.raises(CheckpointError, match="another robot"):
        evaluate(run, toy_cache(tmp_path / "h1", spec("h1"), episodes=2, length=6), [1])
