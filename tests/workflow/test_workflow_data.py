"""A folder of good and bad files through extract and pack: all accounted for, the second time nothing is computed."""

from __future__ import annotations

import dataclasses
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
    motions = data.extract(config, ())
    assert motions["ok"]
    assert (motions["in"], motions["accepted"], motions["rejected"]) == (6, 1, 5)
    assert set(motions["stages"]) == {"probe", "pose", "camera", "motion", "segments"}

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


@pytest.mark.slow
def test_a_robot_motion_is_judged_and_refused_where_more_is_asked_for(config):
    done = data.pack(config, ())
    assert (
        sum(done["verdicts"].values())
        == done["stages"]["feasibility"]["made"] + done["stages"]["feasibility"]["reused"]
    )
    dataset = open_dataset(config.out / "dataset")
    (line,) = dataset.feasibility
    assert line["verdict"] == next(iter(done["verdicts"]))
    assert line["rows"] == dataset.episodes[0].length
    assert "feasibility.measures" not in dataset.features
    assert data.check(config, ())["ok"]

    # no robot does this with motors of 1/1000 of the torque: the verdict is asked for anew, motions are not
    weak = dataclasses.replace(config.feasibility, max_torque_share=1e-3)
    asked = dataclasses.replace(config.dataset, min_verdict="doubtful", feasibility_columns=True)
    strict = dataclasses.replace(config, feasibility=weak, dataset=asked)
    refused = data.pack(strict, ())
    assert refused["stages"]["robot"]["made"] == 0
    assert refused["stages"]["feasibility"]["made"] == 1
    assert refused["verdicts"] == {"infeasible": 1}
    assert refused["in"] == refused["accepted"] + refused["rejected"] == 6
    assert refused["reasons"]["not_feasible"] == 1
    row = next(row for row in refused["sources"] if row["source"] == "good.mkv")
    assert "torque" in row["detail"]
    assert "dataset.min_verdict" in row["detail"]

    kept = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, feasibility_columns=True))
    assert data.pack(kept, ())["ok"]
    dataset = open_dataset(kept.out / "dataset")
    names = dataset.features["feasibility.measures"]["names"]
    columns = dataset.columns(0)
    assert columns["feasibility.measures"].shape == (dataset.episodes[0].length, len(names))
    assert set(dataset.own["spec"]["groups"][0]["names"]).isdisjoint(names)
    assert data.check(kept, ())["problems"] == []


@pytest.mark.slow
def test_narration_divides_a_motion_into_episodes_with_words_and_grasps(config, folder):
    first = data.pack(config, ())
    whole = open_dataset(config.out / "dataset").episodes[0].length
    end_s = whole / 30 + 1
    said = folder / "good.srt"
    said.write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nraise the hand\n\n"
        f"2\n00:00:01,000 --> 00:00:{end_s:06.3f}\neat with it\n".replace(".", ",")
    )
    try:
        segments = dataclasses.replace(config.segments, split="episodes", drop_idle=False)
        actions = dataclasses.replace(config.actions, grasp=True)
        divided = dataclasses.replace(config, segments=segments, actions=actions)
        done = data.pack(divided, ())
        assert done["stages"]["robot"]["made"] == 0, "motions stay as they are"
        assert done["stages"]["segments"]["made"] == 1
        assert done["episodes"] > 1
        assert done["in"] == done["accepted"] + done["rejected"] == first["in"]
        dataset = open_dataset(config.out / "dataset")
        assert {e.instruction for e in dataset.episodes} <= {"raise the hand", "eat with it"}
        assert "left_grasp" in dataset.spec.slices()
        assert sum(e.length for e in dataset.episodes) <= whole
        starts = [dataset.columns(e.index)["source.time_ns"][0] for e in dataset.episodes]
        assert starts == sorted(starts)
        ledger = json.loads((config.out / "ledger.json").read_text())
        (good,) = [s for s in ledger["sources"] if s["episodes"]]
        assert len(good["episodes"]) == done["episodes"]
        assert data.check(divided, ())["problems"] == []

        still = dataclasses.replace(config.segments, idle_speed_m_s=100.0, idle_min_s=0.1)
        nothing = data.pack(dataclasses.replace(config, segments=still), ())
        assert nothing["idle_rows"] > 0
        assert nothing["reasons"].get("too_short", 0) >= 2, "one frame, and a motion in which nothing is done"
        assert "idle" in next(row["detail"] for row in nothing["sources"] if row["source"] == "good.mkv")
    finally:
        said.unlink()


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
