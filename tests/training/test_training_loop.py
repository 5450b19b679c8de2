from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_cache import MODEL, arm, hand, spec, toy_cache

from vidpretrain.errors import CheckpointError, ConfigError, InputError
from vidpretrain.training import Policy, TrainConfig, finetune, pretrain
from vidpretrain.training.ema import Ema
from vidpretrain.training.loop import _run
from vidpretrain.training.optimizer import learning_rate
from vidpretrain.training.policy import load_model
from vidpretrain.training.rows import open_rows
from vidpretrain.training.warmstart import warm_start

FAST = TrainConfig(steps=20, batch_size=8, draws=2, warmup=5, tensorboard=False, shift_px=1, log_every=5)
ROOT = Path(__file__).parents[2]


def weights(folder) -> dict[str, torch.Tensor]:
    return dict(load_model(folder).state_dict())


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
def test_policy_learns_what_only_the_picture_tells(tmp_path):
    cache = toy_cache(tmp_path / "cache", spec(horizon=1), episodes=4, length=100)
    config = TrainConfig(
        steps=400, batch_size=32, draws=4, lr=3e-3, warmup=20, shift_px=0, tensorboard=False, state_mask=0.0,
        val_episodes=(3,), val_every=400, colour_jitter=0.0,
    )  # fmt: skip
    summary = pretrain(MODEL, config, [cache.path], tmp_path / "run")
    assert summary["val_error"] < 0.2, summary  # the training actions' deviation is 1
    policy = Policy.load(tmp_path / "run")
    rows = open_rows(cache, history=MODEL.history, episodes=[3])
    sample = rows.sample(np.arange(60))
    seen = policy.predict(sample.images, sample.state, "toy", history=sample.history, samples=4)
    blind = policy.predict(sample.images[::-1], sample.state, "toy", history=sample.history, samples=4)
    error, without = (np.abs(p - sample.action).mean() for p in (seen, blind))
    assert error < 0.1
    assert without > 2 * error
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 400
    assert set(lines[-1]["group_loss"]) == {"left_arm", "left_hand"}
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert lines[-1]["val_error"] == summary["val_error"]


def test_resuming_gives_the_same_weights_and_lines(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    model = MODEL.replace(dropout=0.1)
    whole = pretrain(model, FAST, [cache.path], tmp_path / "whole")
    stopped = _run("pretrain", model, FAST, [cache.path], tmp_path / "parts", stop_after=10)
    assert stopped == {"stopped_at": 10}
    assert not (tmp_path / "parts" / "model").exists()
    parts = pretrain(model, FAST, [cache.path], tmp_path / "parts")
    assert parts["resumed_from"] == 10
    assert same(weights(whole["checkpoint"]), weights(parts["checkpoint"]))
    figures = [
        [(d["step"], d["loss"], d["grad_norm"]) for d in map(json.loads, path.read_text().splitlines())]
        for path in (tmp_path / "whole" / "metrics.jsonl", tmp_path / "parts" / "metrics.jsonl")
    ]
    assert figures[0] == figures[1]


def test_a_half_written_state_is_not_taken_for_a_whole_one(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    _run("pretrain", MODEL, FAST, [cache.path], tmp_path / "run", stop_after=5)
    (tmp_path / "run" / "checkpoints" / "step_00000015.tmp").mkdir()
    with open(tmp_path / "run" / "metrics.jsonl", "a") as file:
        file.write('{"step": 7, "lo')
    assert pretrain(MODEL, FAST, [cache.path], tmp_path / "run")["resumed_from"] == 5


def test_a_finished_run_is_not_run_again_and_another_one_is_refused(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    first = pretrain(MODEL, FAST, [cache.path], tmp_path / "run")
    again = pretrain(MODEL, FAST, [cache.path], tmp_path / "run")
    assert again["reused"]
    assert {**first, "reused": True} == again
    with pytest.raises(ConfigError, match="another run"):
        pretrain(MODEL, FAST.replace(lr=1e-4), [cache.path], tmp_path / "run")
    fresh = pretrain(MODEL, FAST.replace(lr=1e-4, resume=False), [cache.path], tmp_path / "run")
    assert not fresh["reused"]


def test_old_states_are_dropped(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    pretrain(MODEL, FAST.replace(save_every=4, keep_checkpoints=2), [cache.path], tmp_path / "run")
    kept = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["step_00000012", "step_00000016"]


def test_no_number_stops_training_and_keeps_the_batch(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    with pytest.raises(InputError, match="loss is") as caught:
        pretrain(MODEL, FAST.replace(lr=1e30, clip_norm=1e30, warmup=0), [cache.path], tmp_path / "run")
    saved = np.load(str(caught.value.asked))
    assert saved["action"].shape == (8, 4, 3)
    assert not (tmp_path / "run" / "model").exists()


def test_two_robots_train_together_and_each_answers_in_its_own_columns(tmp_path):
    one = toy_cache(tmp_path / "one", spec("one", arm(), hand()))
    two = toy_cache(tmp_path / "two", spec("two", hand("right_hand", 2), arm("left_arm", 2), arm("right_arm", 3)))
    pretrain(MODEL, FAST.replace(mixture=(0.25, 0.75)), [one.path, two.path], tmp_path / "run")
    policy = Policy.load(tmp_path / "run")
    assert policy.embodiments == ["one", "two"]
    for cache in (one, two):
        sample = open_rows(cache, history=MODEL.history).sample(np.arange(3))
        out = policy.predict(sample.images, sample.state, cache.embodiment, history=sample.history)
        assert out.shape == (3, 4, cache.spec.width)
        assert np.isfinite(out).all()
    sources = policy.model.config.sources
    assert [s["licences"] for s in sources] == [["CC0-1.0"], ["CC0-1.0"]]


def test_finetuning_keeps_the_trunk_and_makes_or_lends_adapters(tmp_path):
    human = toy_cache(tmp_path / "human", spec("human", arm(), hand()))
    robot = toy_cache(tmp_path / "robot", spec("robot", hand(), arm("right_arm"), arm()))
    pretrain(MODEL, FAST, [human.path], tmp_path / "pre")
    source = load_model(tmp_path / "pre")
    config = FAST.replace(init=tmp_path / "pre", steps=1, lr=1e-12, min_lr=0.0, init_adapter_from="human")
    summary = finetune(MODEL.replace(width=64), config, [robot.path], tmp_path / "fine")
    assert summary["adapters_from"] == {"robot": "human"}
    got = load_model(tmp_path / "fine")
    torch.testing.assert_close(got.trunk.state_dict(), source.trunk.state_dict())
    here, there = got.config.layout().slices(), source.config.layout().slices()
    for group in ("left_arm", "left_hand"):
        torch.testing.assert_close(
            got.action_in.weight[0, here[group]], source.action_in.weight[0, there[group]], atol=1e-6, rtol=0
        )
        torch.testing.assert_close(
            got.action_out.weight[0][:, here[group]], source.action_out.weight[0][:, there[group]], atol=1e-6, rtol=0
        )
    assert float(got.action_out.weight.detach()[0][:, here["right_arm"]].abs().max()) < 1e-6  # nobody lends it
    with pytest.raises(CheckpointError, match="no such embodiment"):
        finetune(MODEL, config.replace(init_adapter_from="h1"), [robot.path], tmp_path / "other")


def test_adapters_of_the_same_robot_are_kept_or_made_fresh(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    pretrain(MODEL, FAST, [cache.path], tmp_path / "pre")
    source = load_model(tmp_path / "pre")
    target = type(source)(source.config)
    assert warm_start(target, source) == {"toy": "toy"}
    assert same(target.state_dict(), source.state_dict())
    fresh = type(source)(source.config)
    assert warm_start(fresh, source, "fresh") == {}
    assert not torch.equal(fresh.action_in.weight, source.action_in.weight)
    assert torch.equal(fresh.stem.project.weight, source.stem.project.weight)


def test_ema_by_hand():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    ema = Ema(model, 0.9)
    torch.nn.init.ones_(model.weight)
    expected = 0.0
    for n in range(200):
        ema.update(model)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay)
        assert float(ema.average["weight"]) == pytest.approx(expected, rel=1e-5)
    torch.nn.init.constant_(model.weight, 5.0)
    with ema.applied(model):
        assert float(model.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(model.weight.detach()) == 5.0
    other = Ema(model, 0.9)
    other.load_state_dict(ema.state_dict())
    assert float(other.average["weight"]) == pytest.approx(expected, rel=1e-5)
    assert other.updates == 200


def test_learning_rate_warms_up_and_falls():
    config = TrainConfig(steps=100, lr=1.0, min_lr=0.1, warmup=10)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.1)
    assert learning_rate(config.replace(schedule="constant"), 99) == 1.0


def test_trainconfig_refuses_contradictions():
    with pytest.raises(ValueError, match="held out"):
        TrainConfig(episodes=(1, 2), val_episodes=(2,))
    with pytest.raises(ValueError, match="steps"):
        TrainConfig(steps=0)
    with pytest.raises(ValueError, match="quantity"):
        TrainConfig(representation={"arm": "relative"})


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    """torchrun with two CPU processes sees the same batches as one process: the same losses and weights."""
    cache = toy_cache(tmp_path / "cache")
    one = pretrain(MODEL, FAST, [cache.path], tmp_path / "one")
    driver = tmp_path / "driver.py"
    driver.write_text(
        "from pathlib import Path\n"
        "from vidpretrain.model import ModelConfig\n"
        "from vidpretrain.training import TrainConfig, pretrain\n"
        f"model, train = ModelConfig(**{vars(MODEL)!r}), TrainConfig(**{vars(FAST)!r})\n"
        f"pretrain(model, train, [Path({str(cache.path)!r})], Path({str(tmp_path / 'two')!r}))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*command, driver], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    two = json.loads((tmp_path / "two" / "train.json").read_text())
    assert two["processes"] == 2
    for name, value in weights(one["checkpoint"]).items():
        torch.testing.assert_close(weights(two["checkpoint"])[name], value, atol=2e-4, rtol=1e-3)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
