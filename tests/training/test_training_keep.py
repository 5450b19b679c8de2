"""Turned pictures, told instructions, and fine-tuning that keeps what it began with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_cache import MODEL, PX, spec, toy_cache, write_cache

from vidpretrain import geometry
from vidpretrain.dataset import TrainingCache
from vidpretrain.errors import ConfigError, InputError
from vidpretrain.model.slots import SlotLayout
from vidpretrain.training import Policy, TrainConfig, finetune, pretrain
from vidpretrain.training.collate import Draws, collate, turned
from vidpretrain.training.policy import load_model
from vidpretrain.training.rows import open_rows
from vidpretrain.training.warmstart import part_of
from vidpretrain.types import ActionSpec, Group

FAST = TrainConfig(steps=4, batch_size=8, draws=1, warmup=1, tensorboard=False, representation={}, ema=0.5, lr=1e-2)
SEEN = ActionSpec(
    embodiment="seen",
    groups=(
        Group(
            name="right_wrist_camera",
            names=tuple(f"w{k}" for k in range(9)),
            quantity="camera_wrist",
            representation="offset",
            unit="pose9",
        ),
    ),
    rate_hz=10.0,
    horizon=4,
)
FOV = 1.0


def seen_cache(root, count: int = 24) -> TrainingCache:
    """Pictures of one white square of 5 px, its middle where the wrist, .5 m away, is seen."""
    rng = np.random.default_rng(0)
    focal = 0.5 * PX / np.tan(FOV / 2)
    at = rng.integers(11, PX - 11, (count, 2))  # u, v
    place = 0.5 * np.concatenate([(at - 0.5 * (PX - 1)) / focal, np.ones((count, 1))], axis=-1)
    nine = geometry.pose9(geometry.pose(np.tile([1.0, 0, 0, 0], (count, 1)), place)).astype(np.float32)
    images = np.zeros((count, PX, PX, 3), np.uint8)
    for image, (u, v) in zip(images, at, strict=True):
        image[v - 2 : v + 3, u - 2 : u + 3] = 255
    every = np.ones(nine.shape, bool)
    arrays = {
        "images": images,
        "state": nine,
        "action": nine,
        "valid": every,
        "weight": every.astype(np.float32),
        "episode": np.zeros(count, np.int32),
        "fov": np.full(count, FOV, np.float32),
    }
    write_cache(root, SEEN, arrays)
    return TrainingCache.open(root)


def test_the_turned_wrist_is_where_it_is_seen(tmp_path):
    rows = open_rows(seen_cache(tmp_path), history=())
    which = np.arange(len(rows))
    shift = np.random.default_rng(2).integers(-6, 7, (len(rows), 2))
    out = turned(rows.sample(which), shift, SEEN)
    focal = 0.5 * PX / np.tan(FOV / 2)
    for image, state in zip(out.images, out.state, strict=True):
        weight = image[..., 0].astype(float)
        v, u = np.meshgrid(np.arange(PX), np.arange(PX), indexing="ij")
        middle = np.array([(u * weight).sum(), (v * weight).sum()]) / weight.sum()
        projected = focal * state[:2] / state[2] + 0.5 * (PX - 1)
        np.testing.assert_allclose(projected, middle, atol=0.25)
    moved = focal * out.state[:, :2] / out.state[:, 2:3] - focal * rows.sample(which).state[:, :2] / 0.5
    assert np.abs(moved + shift[:, ::-1]).max() < 2.0  # about the shift everywhere
    assert np.abs(moved).max() > 4.0


def test_turned_batches_and_kept_batches(tmp_path):
    rows = open_rows(seen_cache(tmp_path), history=())
    paired, layout = rows.fit(None, 6), SlotLayout.of([SEEN])
    config = FAST.replace(shift_px=6, colour_jitter=0, state_mask=0, fov_mask=0)
    draws = Draws.of(config, 0, 4, layout.width, 0)
    picked = [(0, np.arange(8))]
    turned_batch = collate(picked, [rows], [paired], [0], layout, draws, turn=True)
    kept = collate(picked, [rows], [paired], [0], layout, draws)
    plain = collate(picked, [rows], [paired], [0], layout, Draws.of(config.replace(shift_px=0), 0, 4, layout.width, 0))
    assert torch.equal(kept["state"], plain["state"])
    assert not torch.equal(kept["images"], plain["images"])
    assert not torch.allclose(turned_batch["state"], plain["state"])
    size = [
        np.linalg.norm(paired.normalizer.unnormalize_action(batch["action"].numpy())[..., :3], axis=-1)
        for batch in (turned_batch, plain)
    ]
    np.testing.assert_allclose(size[0], size[1], atol=1e-5)  # a turned way is as long
    assert not torch.allclose(turned_batch["action"], plain["action"], atol=1e-2)


def test_parts_cover_every_weight(tmp_path):
    out = pretrain(MODEL, FAST, [toy_cache(tmp_path / "c").path], tmp_path / "run")
    model = load_model(out["checkpoint"])
    names = {part_of(name) for name, _ in model.named_parameters()}
    assert names == {"stem", "trunk", "decoder", "adapters"}


def weights(folder):
    return {name: p.detach().clone() for name, p in load_model(folder).named_parameters()}


def test_frozen_parts_stay_and_others_move(tmp_path):
    cache = toy_cache(tmp_path / "c").path
    first = pretrain(MODEL, FAST, [cache], tmp_path / "one")["checkpoint"]
    config = FAST.replace(init=first, frozen=("stem", "trunk"), seed=3)
    second = finetune(MODEL, config, [cache], tmp_path / "two")["checkpoint"]
    for name, old in weights(first).items():
        same = torch.equal(old, weights(second)[name])
        if part_of(name) in ("stem", "trunk"):
            assert same, name
    moved = [n for n, old in weights(first).items() if not torch.equal(old, weights(second)[n])]
    assert any(part_of(n) == "decoder" for n in moved)


def test_interpolation_ends_where_it_began_or_between(tmp_path):
    cache = toy_cache(tmp_path / "c").path
    first = pretrain(MODEL, FAST, [cache], tmp_path / "one")["checkpoint"]
    runs = {}
    for share in (0.0, 0.5, 1.0):
        config = FAST.replace(init=first, interpolate=share, seed=3)
        runs[share] = weights(finetune(MODEL, config, [cache], tmp_path / f"run{share}")["checkpoint"])
    for name, old in weights(first).items():
        assert torch.allclose(runs[1.0][name], old, atol=1e-6)
        assert torch.allclose(runs[0.5][name], 0.5 * (runs[0.0][name] + old), atol=1e-6)


def test_only_the_stem_is_taken(tmp_path):
    cache = toy_cache(tmp_path / "c").path
    first = pretrain(MODEL, FAST, [cache], tmp_path / "one")["checkpoint"]
    frozen = FAST.replace(steps=1, lr=1e-9, min_lr=0.0, weight_decay=0.0, seed=5)
    config = frozen.replace(init=first, init_parts=("stem",))
    own = weights(finetune(MODEL, config, [cache], tmp_path / "two")["checkpoint"])
    for name, old in weights(first).items():
        if part_of(name) == "stem":
            assert torch.allclose(own[name], old, atol=1e-6)
    assert not torch.allclose(own["trunk.0.mlp.0.weight"], weights(first)["trunk.0.mlp.0.weight"], atol=1e-3)


def test_distillation_alone_holds_the_policy_where_it_is(tmp_path):
    cache, other = toy_cache(tmp_path / "c").path, toy_cache(tmp_path / "d", seed=9).path
    first = pretrain(MODEL, FAST.replace(steps=30), [cache], tmp_path / "one")["checkpoint"]
    far = {}
    for share in (0.0, 1.0):
        config = FAST.replace(init=first, distil=share, steps=30, seed=3, init_normalizer="donor")
        out = finetune(MODEL, config, [other], tmp_path / f"run{share}")["checkpoint"]
        rows = open_rows(other, history=MODEL.history)
        sample = rows.sample(np.arange(20))
        ask = {"history": sample.history, "fov": sample.fov}
        before = Policy.load(first).predict(sample.images, sample.state, "toy", **ask)
        after = Policy.load(out).predict(sample.images, sample.state, "toy", **ask)
        far[share] = float(np.abs(after - before).mean())
    assert far[1.0] < 0.5 * far[0.0]


def test_donor_normaliser_makes_the_first_step_the_pretrained_policy(tmp_path):
    people = toy_cache(tmp_path / "p", spec("person")).path
    robot = toy_cache(tmp_path / "r", spec("robot"), seed=4).path
    first = pretrain(MODEL, FAST.replace(steps=20), [people], tmp_path / "one")["checkpoint"]
    still = FAST.replace(steps=1, lr=1e-9, min_lr=0.0, weight_decay=0.0, init=first, init_adapter_from="person")
    policy = Policy.load(first)
    sample = open_rows(robot, history=MODEL.history).sample(np.arange(12))
    want = policy.predict(sample.images, sample.state, "person", history=sample.history, fov=sample.fov)
    for kind, same in (("donor", True), ("own", False)):
        out = finetune(MODEL, still.replace(init_normalizer=kind), [robot], tmp_path / kind)["checkpoint"]
        got = Policy.load(out).predict(sample.images, sample.state, "robot", history=sample.history, fov=sample.fov)
        assert np.allclose(got, want, atol=1e-4) == same


def test_nothing_to_keep_is_an_error(tmp_path):
    cache = toy_cache(tmp_path / "c").path
    for change in ({"frozen": ("stem",)}, {"distil": 0.5}, {"interpolate": 0.1}, {"init_normalizer": "donor"}):
        with pytest.raises(ConfigError, match="no pretrained policy"):
            finetune(MODEL, FAST.replace(**change), [cache], tmp_path / "run")


def test_episodes_cache_by_cache(tmp_path):
    one, two = toy_cache(tmp_path / "one", spec("one")).path, toy_cache(tmp_path / "two", spec("two")).path
    out = pretrain(MODEL, FAST.replace(episodes_of=(None, (1,))), [one, two], tmp_path / "run")
    assert out["rows"] == 4 * 40 + 40
    with pytest.raises(ConfigError, match="one list for each cache"):
        pretrain(MODEL, FAST.replace(episodes_of=((1,),)), [one, two], tmp_path / "other")


def test_a_told_policy_does_what_it_is_told(tmp_path):
    """Two caches whose pictures are alike and whose instructions say which way: only the words tell them apart."""
    import json

    paths = []
    for k, (text, way) in enumerate((("go left", -1.0), ("go right", 1.0))):
        cache = toy_cache(tmp_path / f"c{k}", seed=1)
        state = np.load(cache.path / "state.npy")
        np.save(cache.path / "action.npy", (state + np.float32(way * 0.5)).astype(np.float32))
        meta = json.loads((cache.path / "meta.json").read_text())
        for episode in meta["episodes"]:
            episode["instruction"] = text
        meta["digest"] = f"told{k}"
        (cache.path / "meta.json").write_text(json.dumps(meta))
        paths.append(cache.path)
    told = MODEL.replace(text="hash", text_width=32)
    config = FAST.replace(steps=150, batch_size=16, draws=2, lr=3e-3, ema=0.9)
    policy = Policy.load(pretrain(told, config, paths, tmp_path / "run")["checkpoint"])
    sample = open_rows(paths[0], history=told.history).sample(np.arange(10))
    ask = {"history": sample.history, "fov": sample.fov, "temperature": 0.0}
    first = {}
    for text in ("go left", "go right"):
        chunk = policy.predict(sample.images, sample.state, "toy", instructions=[text] * 10, **ask)
        first[text] = float((chunk[:, 0, 0] - sample.state[:, 0]).mean())
    assert first["go left"] < -0.2
    assert first["go right"] > 0.2
    with pytest.raises(InputError, match="instructions"):
        policy.predict(sample.images, sample.state, "toy", instructions=["go left"], **ask)
