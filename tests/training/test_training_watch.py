"""What the loop says while it trains, and how it stops."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from toy_cache import MODEL, arm, hand, spec, toy_cache

from vidpretrain.errors import CheckpointError, InputError, MissingExtra
from vidpretrain.model import VidPolicy, VidPolicyConfig
from vidpretrain.training import Policy, TrainConfig, pretrain, replay
from vidpretrain.training.guard import REMEMBERED, Guard
from vidpretrain.training.loader import Ahead
from vidpretrain.training.loop import _run
from vidpretrain.training.optimizer import depths, make_optimizer
from vidpretrain.training.policy import load_model
from vidpretrain.training.profiling import PHASES
from vidpretrain.training.progress import Progress
from vidpretrain.training.rows import open_rows
from vidpretrain.training.sampler import Mixture
from vidpretrain.training.validate import validate

FAST = TrainConfig(steps=12, batch_size=8, draws=2, warmup=2, tensorboard=False, shift_px=1, log_every=4)


def lines(out) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def cache(tmp_path):
    return toy_cache(tmp_path / "cache")


@pytest.fixture
def model(cache) -> VidPolicy:
    return VidPolicy(VidPolicyConfig.make(MODEL, [open_rows(cache, history=MODEL.history).fit(3.0)]))


def test_threads_make_the_same_batches_in_order():
    for workers in (0, 1, 3):
        ahead = Ahead(lambda step: step, lambda step: step * step, 10, workers)
        assert [ahead.get(step) for step in range(4, 10)] == [step * step for step in range(4, 10)]
        ahead.close()


def test_an_error_in_a_thread_arrives_at_its_step():
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("row 2")
        return step

    ahead = Ahead(lambda step: step, make, 5, 2)
    assert [ahead.get(0), ahead.get(1)] == [0, 1]
    with pytest.raises(ValueError, match="row 2"):
        ahead.get(2)
    ahead.close()


def test_any_number_of_workers_trains_the_same(cache, tmp_path):
    weights = {}
    for workers in (0, 2):
        pretrain(MODEL, FAST.replace(steps=5, workers=workers), [cache.path], tmp_path / f"w{workers}")
        weights[workers] = load_model(tmp_path / f"w{workers}").state_dict()
    assert all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_resuming_with_workers_is_exact(cache, tmp_path):
    config = FAST.replace(workers=2)
    whole = pretrain(MODEL, config, [cache.path], tmp_path / "whole")
    _run("pretrain", MODEL, config, [cache.path], tmp_path / "parts", stop_after=7)
    parts = pretrain(MODEL, config, [cache.path], tmp_path / "parts")
    assert parts["resumed_from"] == 7
    a, b = (load_model(one["checkpoint"]).state_dict() for one in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_validation_is_told_by_group_and_horizon_step(cache, tmp_path):
    config = FAST.replace(val_episodes=(3,), val_every=4)
    summary = pretrain(MODEL, config, [cache.path], tmp_path / "run")
    last = lines(tmp_path / "run")[-1]
    assert set(last["val_group"]) == {"left_arm", "left_hand"}
    assert list(last["val_step"]) == ["1", "2", "3", "4"]
    rows = open_rows(cache, history=MODEL.history, episodes=[3])
    std = open_rows(cache, history=MODEL.history, episodes=[0, 1, 2]).action_stats()[1]
    again = validate(Policy.load(tmp_path / "run"), rows, std)
    assert again.error == pytest.approx(summary["val_error"], rel=1e-6)
    # an error of all columns is that of the groups by their columns, and with every label there that of the steps
    assert again.error == pytest.approx((2 * again.groups["left_arm"] + again.groups["left_hand"]) / 3)
    counted = [36 + 4, 36 + 3, 36 + 2, 36 + 1]
    assert again.error == pytest.approx(np.average(again.steps, weights=counted), rel=0.02)


def test_the_best_weights_stay_and_patience_ends_the_run(cache, tmp_path):
    """A rate that is far too high after a good start: the error rises, and the run does not go on to the end."""
    config = FAST.replace(
        steps=400, lr=0.3, min_lr=0.3, warmup=0, schedule="constant", val_episodes=(3,), val_every=2, patience=3,
        clip_norm=1e9, ema=0.0, max_spike=0.0,
    )  # fmt: skip
    summary = pretrain(MODEL, config, [cache.path], tmp_path / "run")
    assert summary["stopped_early"]
    assert summary["steps"] == summary["best_step"] + 6
    errors = {line["step"]: line["val_error"] for line in lines(tmp_path / "run") if "val_error" in line}
    assert min(errors.values()) == errors[summary["best_step"]] == summary["best_val_error"]
    rows, std = open_rows(cache, history=MODEL.history, episodes=[3]), np.ones(3)
    best, last = (validate(Policy.load(tmp_path / "run" / name), rows, std).error for name in ("best", "model"))
    assert best < last
    assert pretrain(MODEL, config, [cache.path], tmp_path / "run")["reused"]


def test_patience_is_remembered_over_a_stop(cache, tmp_path):
    sampler = Mixture([10, 20], None, 4, 0)
    progress = Progress(sampler)
    progress.step = 5
    assert progress.validated(3, 0.5)
    assert not progress.validated(4, 0.6)
    again = Progress(sampler)
    again.load_state_dict(progress.state_dict())
    assert (again.best, again.best_step, again.worse, again.step) == (0.5, 3, 1, 5)
    with pytest.raises(CheckpointError, match="sampler"):
        Progress(Mixture([10, 20], (1.0, 1.0), 4, 0)).load_state_dict(progress.state_dict())


def test_profile_tells_phases_and_idle_weights(cache, tmp_path):
    summary = pretrain(MODEL, FAST.replace(profile=True), [cache.path], tmp_path / "run")
    told = summary["profile_ms"]
    assert set(told) == {*PHASES, "other", "step"}
    assert told["step"] == pytest.approx(sum(told[name] for name in (*PHASES, "other")), abs=0.01)
    assert told["backward"] > 0
    # the output starts at zero, so in the first step nothing before it has a gradient
    assert "action_out.weight" not in summary["without_gradient"]
    assert "stem.position" in summary["without_gradient"]
    assert 0 <= lines(tmp_path / "run")[-1]["data_wait"] < 1


def test_a_step_without_number_is_replayed_to_its_row_and_layer(cache, tmp_path):
    config = FAST.replace(lr=1e30, clip_norm=1e30, warmup=0)
    with pytest.raises(InputError, match="replay"):
        pretrain(MODEL, config, [cache.path], tmp_path / "run")
    told = replay(tmp_path / "run")
    assert not np.isfinite(told["loss"])
    assert told["first_bad_layer"] is not None
    assert not np.isfinite(told["rows"][0]["loss"])
    with pytest.raises(InputError, match="no step"):
        replay(tmp_path / "cache")


def test_a_jump_stops_and_gives_the_same_loss_again(model, cache, tmp_path):
    batch = {"embodiment": torch.zeros(4, dtype=torch.long)}
    guard = Guard(tmp_path, 0, TrainConfig(max_spike=10.0), None)
    for step in range(REMEMBERED):
        guard.loss(step, 0.2, batch)
    guard.loss(50, 1.9, batch)
    with pytest.raises(InputError, match=r"median was 0\.2") as caught:
        guard.loss(51, 2.1, batch)
    assert np.load(str(caught.value.asked))["embodiment"].shape == (4,)
    calm = Guard(tmp_path, 0, TrainConfig(max_spike=0.0), None)
    for step in range(60):
        calm.loss(step, 1e3 if step == 55 else 0.2, batch)


def test_replaying_a_jump_shows_the_row(cache, tmp_path):
    """One row whose action is a hundred times too large makes the loss jump; the replay names it."""
    from accelerate import Accelerator

    from vidpretrain.training import loop, setup

    config = FAST.replace(max_spike=1.0)
    made = setup.prepare(MODEL, config, [cache.path])
    trainer = loop.Trainer("pretrain", made, config, tmp_path / "jump", Accelerator(cpu=True), "key")
    batch = trainer.batch(0)
    batch["action"][3] *= 100
    trainer.guard.recent.extend([0.5] * REMEMBERED)
    out = trainer.model(**batch)
    with pytest.raises(InputError, match="median"):
        trainer.guard.loss(0, float(out.loss.detach()), batch)
    told = replay(tmp_path / "jump")
    assert told["loss"] == pytest.approx(told["saved_loss"], rel=1e-6)
    assert told["rows"][0]["row"] == 3
    assert told["rows"][0]["loss"] > 10 * told["rows"][1]["loss"]
    assert told["first_bad_layer"] is None


def test_depth_counts_from_the_decoder_down():
    names = [
        *("decoder.0.norm1.weight", "action_out.weight", "trunk_norm.weight", "trunk.1.mlp.0.weight"),
        *("trunk.0.mlp.0.weight", "fov_token.weight", "stem.layers.3.weight", "stem.layers.0.weight"),
        "stem.project.weight",
    ]
    assert list(depths(names).values()) == [0, 0, 0, 1, 2, 3, 3, 6, 3]


def test_layers_learn_at_their_own_rates(model):
    optimizer = make_optimizer(model, TrainConfig(layer_decay=0.5, trunk_lr_scale=0.8))
    scale = {id(p): group["scale"] for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: scale[id(p)] for name, p in model.named_parameters()}
    assert by_name["action_in.weight"] == 1.0
    assert by_name["decoder.0.mlp.0.weight"] == 0.8
    assert by_name["trunk.0.mlp.0.weight"] == pytest.approx(0.8 * 0.5)
    assert by_name["stem.layers.0.weight"] < by_name["stem.layers.6.weight"] < by_name["trunk.0.mlp.0.weight"]


def test_the_stem_waits_and_then_moves(cache, tmp_path):
    made = {}
    for steps in (3, 4):
        config = FAST.replace(steps=steps, freeze_steps=3, ema=0.0, schedule="constant")
        pretrain(MODEL, config, [cache.path], tmp_path / str(steps))
        made[steps] = load_model(tmp_path / str(steps)).state_dict()
    torch.manual_seed(0)
    first = VidPolicy(load_model(tmp_path / "3").config).state_dict()
    for name, value in first.items():
        if name.startswith("stem."):
            assert torch.equal(made[3][name], value), name
    assert not torch.equal(made[4]["stem.position"], first["stem.position"])
    assert not torch.equal(made[3]["trunk.0.mlp.0.weight"], first["trunk.0.mlp.0.weight"])


def test_a_missing_tracker_says_how_to_install_it(cache, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install wandb"):
        pretrain(MODEL, FAST.replace(trackers=("wandb",)), [cache.path], tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_trackers_get_every_figure(cache, tmp_path, monkeypatch, name):
    """accelerate's tracker against a module that writes down what it is told."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / f"{name}.py").write_text(
        "told = []\n"
        "class Run:\n"
        "    def log(self, values, step=None, **kw): told.append((step, values))\n"
        "    def finish(self): told.append('finished')\n"
        "run = Run()\n"
        "def init(project, **kw):\n"
        "    told.append((project, kw))\n"
        "    return run\n"
        "log, finish = run.log, run.finish\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "fake"))
    pretrain(MODEL, FAST.replace(trackers=(name,)), [cache.path], tmp_path / "run")
    told = sys.modules.pop(name).told
    assert told[0][0] == "vidpretrain"
    assert told[0][1]["resume"] == "allow"
    assert [one[0] for one in told[1:-1]] == [4, 8, 12]
    assert {"loss", "group_loss/left_arm", "grad_norm"} <= set(told[1][1])
    assert told[-1] == "finished"


def test_two_caches_share_a_batch_by_their_weights_over_processes():
    mixture = Mixture([100, 1000], (3.0, 1.0), 16, 0)
    drawn = np.sum([[len(w) if c == k else 0 for k in (0, 1)] for s in range(50) for c, w in mixture.batch(s)], axis=0)
    assert drawn.tolist() == [600, 200] == mixture.drawn(50)


def test_masked_targets_have_no_gradient(tmp_path):
    """Whatever stands under weight 0 changes neither loss nor gradient; a robot's missing group gets none at all."""
    cache = toy_cache(tmp_path / "cache", spec("toy", arm(), hand()))
    other = toy_cache(tmp_path / "other", spec("two", arm(), arm("right_arm")), seed=1)
    paired = [open_rows(one, history=MODEL.history).fit(3.0) for one in (cache, other)]
    torch.manual_seed(0)
    policy = VidPolicy(VidPolicyConfig.make(MODEL, paired))
    torch.nn.init.normal_(policy.action_out.weight, std=0.1)
    slots, count = policy.config.layout().width, 4
    batch = {
        "images": torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8),
        "state": torch.randn(count, slots), "state_known": torch.ones(count, slots, dtype=torch.bool),
        "history": torch.randn(count, 1, slots), "history_known": torch.ones(count, 1, slots, dtype=torch.bool),
        "embodiment": torch.zeros(count, dtype=torch.long), "fov": torch.full((count,), 1.2),
        "slot_mask": torch.tensor(policy.config.layout().mask(paired[0].spec)).float().expand(count, -1),
        "action": torch.randn(count, 4, slots), "weight": torch.ones(count, 4, slots),
        "noise": torch.randn(count, 2, 4, slots), "time": torch.rand(count, 2) * 0.9 + 0.05,
    }  # fmt: skip
    batch["weight"] = batch["weight"] * batch["slot_mask"][:, None]
    batch["weight"][1], batch["weight"][2, 2:] = 0.0, 0.0
    action = batch["action"].clone().requires_grad_()
    policy(**{**batch, "action": action}).loss.backward()
    # what is masked enters as the flow's input only; as a target it has no gradient: a row without labels has none
    assert torch.equal(action.grad[1], torch.zeros_like(action.grad[1]))
    assert action.grad[0].abs().sum() > 0
    right = policy.config.layout().slices()["right_arm"]
    assert not policy.action_out.weight.grad[0][:, right].any()
    assert not policy.action_out.weight.grad[1].any()
    none = policy(**{**batch, "weight": torch.zeros_like(batch["weight"])})
    policy.zero_grad()
    none.loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in policy.parameters())


def test_one_batch_is_learned_by_heart(cache, tmp_path):
    from accelerate import Accelerator

    from vidpretrain.training import loop, setup

    config = TrainConfig(
        steps=300, batch_size=4, draws=8, lr=3e-3, tensorboard=False, shift_px=0, colour_jitter=0.0, state_mask=0.0,
        history_mask=0.0, fov_mask=0.0,
    )  # fmt: skip
    trainer = loop.Trainer("p", setup.prepare(MODEL, config, [cache.path]), config, tmp_path / "r", Accelerator(), "k")
    batch, losses = trainer.batch(0), []
    for _ in range(150):
        out = trainer.model(**batch)
        out.loss.backward()
        trainer.optimizer.step()
        trainer.optimizer.zero_grad()
        losses.append(float(out.loss.detach()))
    assert losses[-1] < 0.03 * losses[0]


def test_a_linear_map_of_the_state_is_learned(tmp_path):
    """Actions that are a known matrix times the state, pictures of nothing: the policy's error is a tenth of hold's."""
    layout = spec("toy", arm(width=3), horizon=2)
    cache = toy_cache(tmp_path / "cache", layout, episodes=5, length=120)
    matrix = np.array([[0.6, -0.3, 0.1], [0.2, 0.5, -0.4], [-0.5, 0.1, 0.3]], dtype=np.float32)
    state = np.load(cache.path / "state.npy")
    np.save(cache.path / "action.npy", (state + 0.5 * state @ matrix.T).astype(np.float32))
    np.save(cache.path / "images.npy", np.full_like(np.load(cache.path / "images.npy"), 90))
    config = TrainConfig(
        steps=250, batch_size=32, draws=4, lr=3e-3, warmup=20, tensorboard=False, shift_px=0, state_mask=0.0,
        history_mask=0.0, horizon=1, val_episodes=(4,), ema=0.98,
    )  # fmt: skip
    pretrain(MODEL, config, [cache.path], tmp_path / "run")
    policy = Policy.load(tmp_path / "run")
    rows = open_rows(cache.path, history=MODEL.history, episodes=[4], horizon=1)
    sample = rows.sample(np.arange(100))
    said = policy.predict(sample.images, sample.state, "toy", history=sample.history, samples=4)
    error, hold = np.abs(said - sample.action).mean(), np.abs(sample.state[:, None] - sample.action).mean()
    assert error < 0.15 * hold, (error, hold)
