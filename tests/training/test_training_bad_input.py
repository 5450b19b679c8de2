"""What a policy refuses, and that it refuses before it computes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from toy_cache import MODEL, PX, toy_cache

from vidpretrain.errors import CheckpointError, InputError
from vidpretrain.training import Policy, TrainConfig, pretrain

FAST = TrainConfig(steps=1, batch_size=4, draws=1, warmup=1, tensorboard=False, representation={})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    pretrain(MODEL, FAST, [toy_cache(root / "cache", episodes=1, length=8).path], root / "run")
    return root / "run"


@pytest.fixture
def checkpoint(trained, tmp_path):
    import shutil

    return shutil.copytree(trained / "model", tmp_path / "model")


PICTURE, STATE = np.zeros((2, PX, PX, 3), np.uint8), np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("images", "state", "options", "words"),
    [
        (PICTURE.transpose(0, 3, 1, 2), STATE, {}, "channels come last"),
        (PICTURE.astype(np.float32), STATE, {}, "whole numbers from 0 to 255"),
        (PICTURE.astype(np.int64), STATE, {}, "do not fit"),
        (PICTURE[0], STATE[:1], {}, "do not fit"),
        (np.zeros((2, 0, PX, 3), np.uint8), STATE, {}, "no usable size"),
        (np.zeros((2, 9000, 2, 3), np.uint8), STATE, {}, "no usable size"),
        (np.zeros((2, PX, PX, 4), np.uint8), STATE, {}, "do not fit"),
        (PICTURE, STATE[:1], {}, "state does not fit toy"),
        (PICTURE, STATE[:, :2], {}, "state does not fit toy"),
        (PICTURE, np.array([["a"] * 3] * 2), {}, "numbers"),
        (PICTURE, np.full((2, 3), np.inf, np.float32), {}, "left_arm_0"),
        (PICTURE, STATE, {"history": np.zeros((2, 5, 3), np.float32)}, "history does not fit"),
        (PICTURE, STATE, {"fov": np.zeros(3, np.float32)}, "fields of view"),
        ({"wrist": PICTURE}, STATE, {}, "no camera 'wrist'"),
        ({}, STATE, {}, "no camera 'main'"),
    ],
)
def test_what_does_not_fit_is_said_before_compute(trained, images, state, options, words):
    policy = Policy.load(trained)
    policy.model.sample = None
    with pytest.raises(InputError) as caught:
        policy.predict(images, state, "toy", **options)
    assert words in str(caught.value)
    assert "valid" in str(caught.value) or "found" in str(caught.value)


def test_an_unknown_state_is_masked_and_only_what_hangs_on_it_is_unknown(trained):
    state = np.array([[np.nan, 0.2, np.nan]], np.float32)
    chunk = Policy.load(trained).predict(PICTURE[:1], state, "toy")
    assert np.isnan(chunk[..., 0]).all()  # relative to a state that nobody knows
    assert np.isfinite(chunk[..., 1:]).all()  # relative to a known one, and the absolute hand


def test_an_unknown_robot_lists_those_that_are_known(trained):
    with pytest.raises(CheckpointError, match="toy"):
        Policy.load(trained).predict(PICTURE, STATE, "toi")


def test_broken_weights_are_named(checkpoint):
    weights = checkpoint / "model.safetensors"
    whole = weights.read_bytes()
    for broken in (whole[: len(whole) // 2], b"\x80\x04garbage" + whole[10:], b""):
        weights.write_bytes(broken)
        with pytest.raises(CheckpointError, match="cannot be read"):
            Policy.load(checkpoint)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(model_type="llama"), "another model"),
        (lambda c: c["model"].update(wings=2), "another version"),
        (lambda c: c["model"].update(head="telepathy"), "another version"),
        (lambda c: c["model"].update(trunk_layers=3), "does not fit its own configuration"),
        (lambda c: c["embodiments"][0].pop("normalizer"), "another version"),
    ],
)
def test_a_configuration_of_another_version_is_named(checkpoint, change, words):
    path = checkpoint / "config.json"
    settings = json.loads(path.read_text())
    change(settings)
    path.write_text(json.dumps({**settings, "code_version": "9.9"}))
    with pytest.raises(CheckpointError, match=words) as caught:
        Policy.load(checkpoint)
    if words == "another version":
        assert "9.9" in str(caught.value)


def test_a_configuration_that_is_no_json_is_named(checkpoint):
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Policy.load(checkpoint)
