from __future__ import annotations

import fcntl
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from toy_cache import MODEL, spec, toy_cache

from vidpretrain.errors import CheckpointError, ConfigError, InputError
from vidpretrain.training import Policy, Share, TrainConfig, predict, pretrain
from vidpretrain.training.rows import open_rows

FAST = TrainConfig(steps=3, batch_size=8, draws=1, warmup=1, tensorboard=False, representation={})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("predict")
    cache = toy_cache(root / "cache", episodes=2, length=20)
    pretrain(MODEL, FAST, [cache.path], root / "run")
    return cache, root / "run"


def table(folder):
    return pd.concat([pd.read_parquet(p) for p in sorted(folder.glob("shard_*.parquet"))], ignore_index=True)


def test_shards_hold_the_policys_chunks(trained, tmp_path):
    cache, run = trained
    summary = predict(run, [cache.path], tmp_path / "out", batch_size=7, shard_rows=16, seed=5)
    assert (summary["rows"], summary["shards"], summary["computed_shards"]) == (40, 3, 3)
    frame = table(tmp_path / "out")
    assert frame["episode_index"].tolist() == [0] * 20 + [1] * 20
    assert frame["frame_index"].tolist() == [*range(20), *range(20)]
    policy, rows = Policy.load(run), open_rows(cache, history=MODEL.history)
    sample = rows.sample(np.arange(40))
    direct = policy.predict(
        sample.images, sample.state, "toy", history=sample.history, fov=sample.fov, seed=5, keys=np.arange(40)
    )
    np.testing.assert_allclose(np.stack(frame["action"]).reshape(40, 4, 3), direct, atol=1e-5)


def test_a_stopped_job_goes_on_and_gives_the_same_files(trained, tmp_path):
    cache, run = trained
    options = {"batch_size": 7, "shard_rows": 16}
    predict(run, [cache.path], tmp_path / "whole", **options)
    predict(run, [cache.path], tmp_path / "parts", **options)
    kept = (tmp_path / "parts" / "shard_00000.parquet").stat().st_mtime_ns
    for name in ("shard_00001.parquet", "shard_00002.parquet", "manifest.json"):
        (tmp_path / "parts" / name).unlink()
    (tmp_path / "parts" / "shard_00001.parquet.tmp").write_text("torn")
    assert predict(run, [cache.path], tmp_path / "parts", **options)["computed_shards"] == 2
    assert (tmp_path / "parts" / "shard_00000.parquet").stat().st_mtime_ns == kept
    for i in range(3):
        name = f"shard_{i:05d}.parquet"
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert predict(run, [cache.path], tmp_path / "parts", **options)["computed_shards"] == 0
    (tmp_path / "parts" / "manifest.json").unlink()
    again = predict(run, [cache.path], tmp_path / "parts", **options)
    assert (again["rows"], again["computed_shards"]) == (40, 0)
    with pytest.raises(ConfigError, match="another prediction job"):
        predict(run, [cache.path], tmp_path / "parts", seed=1, **options)


def test_noise_belongs_to_the_row_not_to_the_batch(trained):
    cache, run = trained
    policy, rows = Policy.load(run), open_rows(cache, history=MODEL.history)
    sample = rows.sample(np.arange(6))
    keys = np.array([3, 1, 4, 1, 5, 9])
    whole = policy.predict(sample.images, sample.state, "toy", history=sample.history, keys=keys)
    alone = policy.predict(sample.images[4:5], sample.state[4:5], "toy", history=sample.history[4:5], keys=keys[4:5])
    np.testing.assert_allclose(alone[0], whole[4], atol=1e-5)
    other = policy.predict(sample.images, sample.state, "toy", history=sample.history, keys=keys, seed=1)
    assert np.abs(other - whole).max() > 1e-3


def test_unknown_state_leaves_relative_groups_open_and_absolute_ones_answered(trained):
    cache, run = trained
    sample = open_rows(cache, history=MODEL.history).sample(np.arange(2))
    out = Policy.load(run).predict(sample.images, np.full((2, 3), np.nan, np.float32), "toy")
    assert np.isnan(out[..., :2]).all()
    assert np.isfinite(out[..., 2]).all()


def test_wrong_questions_are_refused(trained, tmp_path):
    cache, run = trained
    policy = Policy.load(run)
    sample = open_rows(cache, history=MODEL.history).sample(np.arange(2))
    with pytest.raises(CheckpointError, match="another robot") as caught:
        policy.predict(sample.images, sample.state, "h1")
    assert (caught.value.asked, caught.value.found) == ("h1", "toy")
    with pytest.raises(InputError, match="state does not fit"):
        policy.predict(sample.images, sample.state[:, :2], "toy")
    with pytest.raises(InputError, match="pictures do not fit"):
        policy.predict(sample.images.astype(np.float32), sample.state, "toy")
    with pytest.raises(InputError, match="history does not fit"):
        policy.predict(sample.images, sample.state, "toy", history=sample.history[:, :, :1])
    other = toy_cache(tmp_path / "h1", spec("h1"), episodes=1, length=5)
    with pytest.raises(CheckpointError, match="another robot"):
        predict(policy, [other.path], tmp_path / "out")


def test_incomplete_and_broken_checkpoints_are_named(trained, tmp_path):
    _, run = trained
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        Policy.load(tmp_path / "nowhere")
    shutil.copytree(run / "model", tmp_path / "torn")
    data = (tmp_path / "torn" / "model.safetensors").read_bytes()
    (tmp_path / "torn" / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Policy.load(tmp_path / "torn")
    shutil.copytree(run / "model", tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    config["model"]["trunk_layers"] = 2
    (tmp_path / "other" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError):
        Policy.load(tmp_path / "other")


def test_two_processes_share_the_shards_and_write_the_same_files(trained, tmp_path):
    cache, run = trained
    options = {"batch_size": 7, "shard_rows": 8}
    whole = predict(run, [cache.path], tmp_path / "one", **options)
    policies = [Policy.load(run), Policy.load(run)]
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(predict, policies[rank], [cache.path], tmp_path / "two", share=Share(rank, 2), **options)
            for rank in range(2)
        ]
        first, second = (one.result(timeout=60) for one in both)
    assert (first["rows"], first["shards"], first["computed_shards"]) == (whole["rows"], 5, 5)
    assert second["rows"] == 40
    for i in range(5):
        name = f"shard_{i:05d}.parquet"
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    for i in (0, 3):  # killed: one shard of each process is missing, and the first one alone goes on
        (tmp_path / "two" / f"shard_{i:05d}.parquet").unlink()
    (tmp_path / "two" / "manifest.json").unlink()
    again = predict(run, [cache.path], tmp_path / "two", **options)
    assert (again["rows"], again["computed_shards"]) == (40, 2)


def test_two_commands_do_not_work_on_one_folder(trained, tmp_path):
    cache, run = trained
    (tmp_path / "out").mkdir()
    with open(tmp_path / "out" / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another command is at work"):
            predict(run, [cache.path], tmp_path / "out")
    assert predict(run, [cache.path], tmp_path / "out")["rows"] == 40
