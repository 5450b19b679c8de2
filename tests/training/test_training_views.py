"""What a policy sees: image models of transformers, kept features, several cameras and past frames."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from toy_cache import MODEL, PX, toy_cache

from vidpretrain.dataset import TrainingCache
from vidpretrain.errors import ConfigError, DatasetError, InputError, MissingAsset
from vidpretrain.model import ModelConfig, VidPolicy, VidPolicyConfig
from vidpretrain.model.vision import load_backbone
from vidpretrain.training import Policy, TrainConfig, pretrain
from vidpretrain.training.rows import open_rows
from vidpretrain.training.views import add_view, build_features, look_with
from vidpretrain.transforms import Normalizer, Paired

FAST = TrainConfig(steps=3, batch_size=4, draws=1, warmup=1, tensorboard=False, representation={})
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": PX, "patch_size": 16}


def image_model(folder, kind: str) -> str:
    """An image model of random weights in a folder, as the Hub would give it."""
    import transformers

    torch.manual_seed(1)
    if kind == "dinov2":
        net = transformers.Dinov2Model(transformers.Dinov2Config(**SIZES, mlp_ratio=2))
    elif kind == "siglip_vision":
        net = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**SIZES, intermediate_size=32))
    else:
        vision = {**SIZES, "intermediate_size": 32}
        words = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        net = transformers.SiglipModel(transformers.SiglipConfig(vision_config=vision, text_config=words))
    net.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')
    return str(folder)


def sees(folder, train: int = 0, **changes) -> ModelConfig:
    return MODEL.replace(vision="backbone", backbone=str(folder), backbone_train=train, **changes)


def fresh(sizes: ModelConfig, cache: TrainingCache) -> VidPolicy:
    layout = cache.spec
    one = np.ones(layout.width)
    normalizer = Normalizer(names=layout.names, state_q01=-one, state_q99=one, action_q01=-one, action_q99=one)
    torch.manual_seed(0)
    return VidPolicy(VidPolicyConfig.make(sizes, [Paired(spec=layout, normalizer=normalizer)]))


@pytest.mark.parametrize("kind", ["dinov2", "siglip_vision", "siglip"])
@pytest.mark.parametrize("train", [0, 1, -1])
def test_an_image_model_trains_as_far_as_it_is_told(tmp_path, kind, train):
    folder = tmp_path / "net"
    cache = toy_cache(tmp_path / "cache", episodes=1, length=8)
    sizes = sees(image_model(folder, kind), train)
    pretrain(sizes, FAST, [cache.path], tmp_path / "run")
    (folder / "model.safetensors").unlink()  # the checkpoint is all that inference needs
    (folder / "config.json").unlink()
    model = Policy.load(tmp_path / "run").model
    assert model.config.model_config() == sizes
    assert model.config.backbone["mean"] == [0.5, 0.5, 0.5]
    image_model(folder, kind)
    first = fresh(sizes, cache)
    load_backbone(first.stem, str(folder))
    moved = {
        name
        for (name, a), b in zip(first.stem.backbone.named_parameters(), model.stem.backbone.parameters(), strict=True)
        if not torch.equal(a, b)
    }
    learns = {name for name, p in first.stem.backbone.named_parameters() if p.requires_grad}
    assert moved == learns
    layers = {found[1] for name in learns if (found := re.search(r"[.]layers?[.]([0-9])[.]", name))}
    assert layers == {0: set(), 1: {"1"}, -1: {"0", "1"}}[train]
    assert not torch.equal(first.stem.project.weight, model.stem.project.weight)
    chunk = Policy(model).predict(np.full((1, 40, 40, 3), 9, np.uint8), np.zeros((1, 3), np.float32), "toy")
    assert np.isfinite(chunk).all()


def test_a_frozen_image_model_drops_nothing_while_the_policy_trains(tmp_path):
    cache = toy_cache(tmp_path / "cache", episodes=1, length=8)
    image_model(tmp_path, "dinov2")
    model = fresh(sees(tmp_path), cache).train()
    assert not model.stem.backbone.training
    assert fresh(sees(tmp_path, 1), cache).train().stem.backbone.training


def test_image_models_that_do_not_fit_are_named(tmp_path):
    image_model(tmp_path, "dinov2")
    cache = toy_cache(tmp_path / "cache", episodes=1, length=8)
    with pytest.raises(ConfigError, match="patches of 16 px"):
        fresh(sees(tmp_path, image_px=40), cache)
    with pytest.raises(MissingAsset, match=r"model\.backbone"):
        fresh(sees(tmp_path / "nothing"), cache)
    with pytest.raises(ConfigError, match="feature_tokens=5"):
        build_features(cache, MODEL.replace(vision="features", backbone=str(tmp_path)))
    with pytest.raises(DatasetError, match="no features"):
        open_rows(cache, sizes=MODEL.replace(vision="features", backbone=str(tmp_path)))
    with pytest.raises(ValueError, match="do not go together"):
        MODEL.replace(vision="features")


def test_kept_features_give_what_the_pictures_would(tmp_path):
    """A policy on features and one with the image model inside, with the same weights, act alike."""
    folder, cache = image_model(tmp_path, "dinov2"), toy_cache(tmp_path / "cache", episodes=2, length=8)
    keeps = MODEL.replace(vision="features", backbone=folder, feature_tokens=5, feature_width=16)
    (path,) = build_features(cache, keeps)
    written = path.stat().st_mtime_ns
    assert build_features(cache, keeps) == (path,)
    assert path.stat().st_mtime_ns == written
    kept, rows = np.load(path), open_rows(cache, sizes=keeps, history=(-1,))
    assert kept.shape == (16, 5, 16)
    sample = rows.sample(np.array([3, 9]))
    np.testing.assert_array_equal(sample.images, kept[[3, 9]])
    pretrain(keeps, FAST, [cache.path], tmp_path / "run")
    lean = Policy.load(tmp_path / "run")
    whole = fresh(sees(folder), cache)
    load_backbone(whole.stem, folder)
    weights = lean.model.state_dict()
    assert not whole.load_state_dict(weights, strict=False).unexpected_keys
    state, pictures = np.zeros((2, 3), np.float32), cache.images[[3, 9]]
    one = lean.predict(look_with(keeps)(pictures), state, "toy")
    whole.config.embodiments = lean.model.config.embodiments
    np.testing.assert_allclose(one, Policy(whole).predict(pictures, state, "toy"), atol=1e-3)
    with pytest.raises(InputError, match="in place of pictures"):
        lean.predict(pictures, state, "toy")


TWO = MODEL.replace(cameras=("head", "left_wrist"), frames=(-3,))


def two_cameras(root) -> TrainingCache:
    cache = toy_cache(root, episodes=2, length=8)
    add_view(cache, "left_wrist", 255 - np.asarray(cache.images))
    return cache


def test_rows_see_every_camera_now_and_then(tmp_path):
    cache = two_cameras(tmp_path)
    sample = open_rows(cache, sizes=TWO).sample(np.array([1, 12]))
    assert TWO.views == ("head", "head-3", "left_wrist", "left_wrist-3")
    own = np.asarray(cache.images)
    for row, past, views in ((1, 0, sample.images[0]), (12, 9, sample.images[1])):
        for view, picture in zip(views, (own[row], own[past], 255 - own[row], 255 - own[past]), strict=True):
            np.testing.assert_array_equal(view, picture)


def test_views_train_save_load_and_answer_by_name(tmp_path):
    cache = two_cameras(tmp_path / "cache")
    pretrain(TWO, dataclasses.replace(FAST, val_every=3, val_episodes=(1,)), [cache.path], tmp_path / "run")
    policy = Policy.load(tmp_path / "run")
    torch.nn.init.normal_(policy.model.action_out.weight, std=0.3)
    torch.nn.init.normal_(policy.model.view_position, std=0.5)
    state, views = np.zeros((2, 3), np.float32), np.zeros((2, 4, PX, PX, 3), np.uint8)
    views[:, 1, :9], views[:, 2, :, :9], views[:, 3] = 255, 255, 200
    named = {"left_wrist": views[:, 2:], "head": views[:, :2]}
    chunk = policy.predict(views, state, "toy")
    np.testing.assert_array_equal(policy.predict(named, state, "toy"), chunk)
    swapped = policy.predict({"head": views[:, 2:], "left_wrist": views[:, :2]}, state, "toy")
    assert np.abs(swapped - chunk).max() > 1e-3
    failed = policy.predict({"head": views[:, :2], "left_wrist": None}, state, "toy")
    assert np.abs(failed - chunk).max() > 1e-3
    other = views[:, :2].copy()
    np.testing.assert_array_equal(policy.predict({"head": other, "left_wrist": None}, state, "toy"), failed)


def test_a_camera_that_is_not_there_is_an_error_before_anything_is_computed(tmp_path):
    cache = toy_cache(tmp_path, episodes=1, length=8)
    with pytest.raises(DatasetError, match="left_wrist"):
        open_rows(cache, sizes=TWO)
    with pytest.raises(DatasetError, match="do not fit"):
        add_view(cache, "left_wrist", np.zeros((8, 5, 5, 3), np.uint8))
    policy = Policy(fresh(TWO, cache))
    policy.model.encode = None  # nothing may be computed
    view, state = np.zeros((1, 2, PX, PX, 3), np.uint8), np.zeros((1, 3), np.float32)
    for given, words in (
        ({"head": view}, "no camera 'left_wrist'"),
        ({"head": view, "left_wrists": view}, "did you mean 'left_wrist'"),
        ({"head": view, "left_wrist": view[:, :1]}, "frames of left_wrist"),
        ({"head": None, "left_wrist": None}, "no camera has a picture"),
        ({"head": view, "left_wrist": view[..., :9, :]}, "differ in size"),
        (view, "2 views where the policy sees 4"),
        (view[:, 0], "do not fit"),
    ):
        with pytest.raises(InputError, match=words):
            policy.predict(given, state, "toy")
