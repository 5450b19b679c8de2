"""A folder of good and bad files through extract and pack: all accounted for, the second time nothing is computed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from vidpretrain import config as config_io
from vidpretrain.dataset import open_dataset
from vidpretrain.errors import ConfigError, InputError
from vidpretrain.workflow import data
from vidpretrain.workflow.config import RobotDataConfig, RunConfig

ROOT = Path(__file__).parents[2]


def one_frame_video(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for packet in stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")):
            container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def nobody_video(path):
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 96
        stream.pix_fmt = "yuv420p"
        noise = rng.integers(0, 255, (96, 96, 3), np.uint8)
        for i in range(30):
            frame = np.roll(noise, i, axis=0)
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture(scope="module")
def folder(shared_video, tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    shutil.copy(shared_video / "intel_asl_eat.mkv", root / "good.mkv")
    (root / "text.mp4").write_text("this is no video\n" * 100)
    (root / "empty.mp4").write_bytes(b"")
    whole = (shared_video / "intel_asl_milk.mkv").read_bytes()
    (root / "head_only.mkv").write_bytes(whole[:600])
    one_frame_video(root / "one_frame.mp4")
    nobody_video(root / "nobody.mp4")
    return root


@pytest.fixture(scope="module")
def config(folder, tmp_path_factory):
    return RunConfig(out=tmp_path_factory.mktemp("run"), video=RunConfig().video.__class__(paths=(folder,)))


@pytest.mark.slow
def test_good_and_bad_files_are_all_accounted_for_and_nothing_is_done_twice(config):
    first = data.pack(config, ())
    assert first["ok"]
    assert (first["in"], first["accepted"], first["rejected"]) == (6, 1, 5)
    reasons = {row["source"]: row["reason"] for row in first["sources"]}
    assert reasons["good.mkv"] is None
    assert reasons["text.mp4"] == "not_a_video"
    assert reasons["empty.mp4"] == "empty_file"
    assert reasons["head_only.mkv"] in ("not_a_video", "unreadable", "truncated")
    assert reasons["one_frame.mp4"] == "too_short"
    assert reasons["nobody.mp4"] == "no_person"
    dataset = open_dataset(config.out / "dataset")
    rows = dataset.columns(0)
    assert set(rows["source.license"]) == {"unknown"}
    assert len(set(rows["source.sha256"])) == 1
    assert all(rows["code_version"])
    ledger = json.loads((config.out / "ledger.json").read_text())
    assert ledger["in"] == ledger["accepted"] + ledger["rejected"] == 6

    second = data.pack(config, ())
    assert second["recomputed"] == 0
    assert second["dataset_reused"]
    assert "nothing to compute" in second["message"]

    again = data.pack(config, (str(config.out),))  # by the run's folder, with the configuration kept there
    assert again["recomputed"] == 0


def test_a_path_that_does_not_exist_and_a_folder_without_videos(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        data.extract(RunConfig(out=tmp_path / "run"), (str(tmp_path / "nowhere"),))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no video"):
        data.extract(RunConfig(out=tmp_path / "run"), (str(tmp_path / "empty"),))
    with pytest.raises(InputError, match="not a run folder"):
        data.retarget(RunConfig(), (str(tmp_path / "empty"),))


def test_rates_must_agree():
    from vidpretrain.config import build

    with pytest.raises(ConfigError, match="rates must be the same"):
        build(RunConfig, {"dataset": {"rate_hz": 10.0}})


def test_held_out_episodes_cover_the_session_or_end_it_and_are_never_trained_on():
    train, held_out = RobotDataConfig(held_out=4).split(24)
    assert held_out == (5, 11, 17, 23)
    assert sorted(train + held_out) == list(range(24))
    train, held_out = RobotDataConfig(held_out=4, held_out_by="last", train=5).split(24)
    assert held_out == (20, 21, 22, 23)
    assert train == (0, 4, 8, 12, 16)
    with pytest.raises(ValueError, match="do not leave some to train on"):
        RobotDataConfig(held_out=4).split(4)
    with pytest.raises(ValueError, match="do not leave 9 to train on"):
        RobotDataConfig(held_out=4, train=9).split(12)


def keys(value):
    return {name: keys(item) for name, item in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_configuration_loads_and_names_every_key(path):
    assert keys(yaml.safe_load(path.read_text())) == keys(config_io.plain(config_io.load(RunConfig, path)))
