"""Predictions over data sets: bad episodes are left out, LeRobot sets come out, several processes share the work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workflow_toys import RATE_HZ, arm, episode

from vidpretrain import config as configs
from vidpretrain.dataset import DatasetConfig, DatasetWriter, check_dataset, open_dataset
from vidpretrain.errors import InputError
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.predicting import predict

ROOT = Path(__file__).parents[2]
ROWS, EPISODES, SPEC = 12, 3, arm("toy")
WORDS = ("model.preset=micro", "control.limits=false", "predict.every=2", "predict.shard_rows=6")


def write(root: Path) -> Path:
    rng = np.random.default_rng(0)
    settings = DatasetConfig(max_video_s=ROWS / RATE_HZ)  # a video file per episode
    with DatasetWriter(root, SPEC, RATE_HZ, (48, 64), "toy_robot", config=settings) as writer:
        for seed in range(EPISODES):
            made = episode(
                SPEC,
                seed,
                ROWS,
                "CC-BY-4.0",
                instruction=f"move {seed}",
                source_frame=np.arange(ROWS, dtype=np.int64) + 7,
            )
            writer.add_episode(made, rng.integers(0, 255, (ROWS, 48, 64, 3), dtype=np.uint8))
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from vidpretrain.dataset import build_cache
    from vidpretrain.model import ModelConfig
    from vidpretrain.training import TrainConfig, pretrain

    root = tmp_path_factory.mktemp("policy")
    cache = build_cache(open_dataset(write(root / "set")), root / "cache", 64)
    settings = TrainConfig(steps=2, batch_size=4, draws=1, warmup=1, tensorboard=False)
    pretrain(ModelConfig(preset="micro"), settings, [cache.path], root / "run")
    return root / "run"


def run(checkpoint: Path, out: Path, *words: str) -> RunConfig:
    return configs.load(RunConfig, None, [f"checkpoint={checkpoint}", f"out={out}", *WORDS, *words])


def table(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("shard_*.parquet"))], ignore_index=True)


def test_one_bad_video_is_counted_and_the_others_are_answered(checkpoint, tmp_path):
    root = write(tmp_path / "set")
    bad = open_dataset(root).episodes[1].video_path["observation.images.head"]
    bad.write_bytes(bad.read_bytes()[:300])
    told = predict(run(checkpoint, tmp_path / "run"), (str(root),))
    assert (told["rows"], told["episodes"]) == (12, 2)
    assert [one["item"] for one in told["rejects"]] == ["set/1"]
    assert "video" in told["rejects"][0]["why"]
    assert table(tmp_path / "run" / "predictions")["episode_index"].tolist() == [0] * 6 + [2] * 6
    again = predict(run(checkpoint, tmp_path / "run"), (str(root),))
    assert (again["computed_shards"], again["rejects"]) == (0, told["rejects"])


def test_a_data_set_of_the_policys_actions_is_one(checkpoint, tmp_path):
    root = write(tmp_path / "set")
    told = predict(run(checkpoint, tmp_path / "run", "predict.format=lerobot"), (str(root),))
    made, given = open_dataset(told["datasets"][0]), open_dataset(root)
    assert check_dataset(made.root)["problems"] == []
    assert [e.length for e in made.episodes] == [ROWS] * EPISODES
    assert [e.instruction for e in made.episodes] == ["move 0", "move 1", "move 2"]
    assert {e.license for e in made.episodes} == {"CC-BY-4.0"}
    answers = table(tmp_path / "run" / "predictions")
    for number in range(EPISODES):
        ours, theirs = made.columns(number), given.columns(number)
        np.testing.assert_array_equal(ours["observation.state"], theirs["observation.state"])
        np.testing.assert_array_equal(ours["source.frame"], theirs["source.frame"])
        assert ours["valid"].all()
        part = answers[answers["episode_index"] == number]
        assert part["frame_index"].tolist() == [0, 2, 4, 6, 8, 10]
        chunks = np.stack(part["action"]).reshape(6, 4, 7)
        np.testing.assert_array_equal(ours["action"], chunks[:, :2].reshape(ROWS, 7))  # each chunk's first two rows
        assert np.abs(ours["action"] - theirs["action"]).max() > 1e-3
        assert "policy" in ours["code_version"][0]
        np.testing.assert_allclose(made.frames(number).mean(), given.frames(number).mean(), atol=2.0)
    stamp = (made.root / "meta" / "info.json").stat().st_mtime_ns
    predict(run(checkpoint, tmp_path / "run", "predict.format=lerobot"), (str(root),))
    assert (made.root / "meta" / "info.json").stat().st_mtime_ns == stamp


def test_several_data_sets_get_a_folder_each_and_none_is_taken_twice(checkpoint, tmp_path):
    roots = [write(tmp_path / name / "set") for name in ("a", "b")]
    told = predict(run(checkpoint, tmp_path / "run"), tuple(map(str, roots)))
    assert told["rows"] == 36
    assert len(list((tmp_path / "run" / "predictions").glob("set*/manifest.json"))) == 2
    with pytest.raises(InputError, match="named twice"):
        predict(run(checkpoint, tmp_path / "run"), (str(roots[0]), str(roots[0])))


def test_a_robot_whose_limits_do_not_fit_is_said_before_any_work(checkpoint, tmp_path):
    root = write(tmp_path / "set")
    settings = run(checkpoint, tmp_path / "run", "predict.format=lerobot", "control.limits=true")
    with pytest.raises(InputError, match="other columns than"):
        predict(settings, (str(root),))
    assert not (tmp_path / "run" / "cache").exists()


def test_when_nothing_can_be_read_the_first_reason_is_told(checkpoint, tmp_path):
    root = write(tmp_path / "set")
    for info in open_dataset(root).episodes:
        info.video_path["observation.images.head"].write_bytes(b"no video")
    with pytest.raises(InputError, match="no episode can be read") as caught:
        predict(run(checkpoint, tmp_path / "run"), (str(root),))
    assert "set/0" in str(caught.value.found)


@pytest.mark.slow
def test_two_processes_write_what_one_does(checkpoint, tmp_path):
    root = write(tmp_path / "set")
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    words = [f"checkpoint={checkpoint}", f"out={tmp_path / 'two'}", *WORDS, "predict.format=lerobot", str(root)]
    script = str(ROOT / "scripts" / "predict.py")
    done = subprocess.run([*launcher, script, "--json", *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["rows"] == 18
    predict(run(checkpoint, tmp_path / "one", "predict.format=lerobot"), (str(root),))
    for name in ("shard_00000.parquet", "shard_00001.parquet", "shard_00002.parquet"):
        one, two = (tmp_path / which / "predictions" / name for which in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    assert open_dataset(tmp_path / "two" / "predictions" / "lerobot").frame_count == EPISODES * ROWS
