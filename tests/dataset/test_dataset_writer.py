"""Writing and reading LeRobot v3: round trip, shared files, provenance, statistics, and what a crash leaves."""

import dataclasses
import errno
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from vidpretrain.dataset import DatasetConfig, DatasetWriter, check_dataset, open_dataset
from vidpretrain.dataset import files as dataset_files
from vidpretrain.dataset.rows import hold
from vidpretrain.dataset.stats import QUANTILES, column_stats, image_counts, image_stats
from vidpretrain.errors import ConfigError, DatasetError, DiskFull
from vidpretrain.types import Reason, Reject

LENGTHS = (12, 7, 15)


def test_every_value_comes_back_and_every_picture_is_in_its_place(write_toy, episode_maker):
    dataset = open_dataset(write_toy(LENGTHS))
    assert (len(dataset), dataset.frame_count, dataset.rate_hz) == (3, sum(LENGTHS), 30.0)
    first = 0
    for number, length in enumerate(LENGTHS):
        episode, pictures = episode_maker(length, number)
        columns = dataset.columns(number)
        for key, want in (
            ("observation.state", episode.trajectory.state),
            ("action", episode.trajectory.action),
            ("valid", episode.trajectory.valid),
            ("confidence", episode.trajectory.confidence),
            ("imputed", episode.trajectory.imputed),
        ):
            np.testing.assert_array_equal(columns[key], want)
            assert columns[key].dtype == want.dtype
        np.testing.assert_array_equal(columns["frame_index"], np.arange(length))
        np.testing.assert_array_equal(columns["index"], np.arange(first, first + length))
        np.testing.assert_array_equal(columns["timestamp"], (np.arange(length) / 30).astype(np.float32))
        assert dataset.episodes[number].instruction == ("reach", "grasp", "reach")[number]
        frames = dataset.frames(number)
        assert frames.shape == (length, 48, 64, 3)
        assert frames.dtype == np.uint8
        grey = frames[:, 10:40, 5:25].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(grey, [p[0, 0, 0] for p in pictures], atol=1.9)
        first += length


def test_the_layout_comes_back(write_toy, spec):
    dataset = open_dataset(write_toy())
    assert dataset.spec == spec
    assert dataset.info["features"]["action"]["names"] == list(spec.names)
    assert dataset.camera_keys == ("observation.images.head",)


def test_every_row_knows_its_source(write_toy, episode_maker):
    dataset = open_dataset(write_toy())
    for number, length in enumerate(LENGTHS):
        episode, _ = episode_maker(length, number)
        columns = dataset.columns(number)
        assert set(columns["source.sha256"]) == {episode.source.sha256}
        assert set(columns["source.license"]) == {"CC-BY-4.0"}
        assert set(columns["code_version"]) == {"0.0.test"}
        np.testing.assert_array_equal(columns["source.frame"], episode.source_frame)
        np.testing.assert_array_equal(columns["source.time_ns"], episode.frame_time_ns)
        assert dataset.episodes[number].source["uri"] == f"file:{number}.mp4"
        assert dataset.episodes[number].own["clip"]["clip_id"] == f"clip{number}"


def test_frames_by_index_are_those_of_the_whole(write_toy):
    dataset = open_dataset(write_toy((70, 5)))
    whole = dataset.frames(0)
    np.testing.assert_array_equal(dataset.frames(0, [60, 3, 3, 69, 0]), whole[[60, 3, 3, 69, 0]])
    np.testing.assert_array_equal(next(dataset.iter_frames(0, [41])), whole[41])
    assert dataset.frames(0, []).shape == (0, 48, 64, 3)
    with pytest.raises(DatasetError, match="no such row"):
        dataset.frames(1, [5])
    with pytest.raises(DatasetError, match="no such episode"):
        dataset.frames(2)


def test_episodes_share_files_and_files_end_when_full(write_toy):
    shared = open_dataset(write_toy(LENGTHS, "shared"))
    assert len({e.video_path["observation.images.head"] for e in shared.episodes}) == 1
    assert len({e.data_path for e in shared.episodes}) == 1
    assert [e.first_row for e in shared.episodes] == [0, 12, 19]
    split = open_dataset(write_toy(LENGTHS, "split", max_video_s=0.7, data_file_mb=0.0035))
    videos = [e.video_path["observation.images.head"].name for e in split.episodes]
    assert videos == ["file-000.mp4", "file-000.mp4", "file-001.mp4"]
    assert len({e.data_path for e in split.episodes}) > 1
    for number in range(3):
        np.testing.assert_array_equal(split.columns(number)["action"], shared.columns(number)["action"])
    assert check_dataset(split.root, decode=True)["problems"] == []


def test_a_second_reader_sees_the_same(write_toy, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root = write_toy()
    rows = pq.read_table(root / "data/chunk-000/file-000.parquet").to_pandas()
    want = np.concatenate([open_dataset(root).columns(i)["observation.state"] for i in range(3)])
    np.testing.assert_array_equal(np.stack(rows["observation.state"].tolist()), want)
    tasks = pd.read_parquet(root / "meta/tasks.parquet")
    assert list(tasks.index) == ["reach", "grasp"]
    assert tasks.loc["grasp"].task_index == 1
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_parquet(
        str(root / "data/chunk-000/file-000.parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert len(table) == sum(LENGTHS)
    np.testing.assert_array_equal(
        np.array(table["action"], dtype=np.float32)[:12], open_dataset(root).columns(0)["action"]
    )
    assert table[13]["source.sha256"] == f"{1:064x}"
    episodes = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [e["dataset_from_index"] for e in episodes] == [0, 12, 19]
    assert [e["videos/observation.images.head/from_timestamp"] for e in episodes] == [0, 12 / 30, 19 / 30]
    assert np.shape(episodes[0]["stats/observation.images.head/q01"]) == (3, 1, 1)
    assert episodes[1]["stats/action/count"] == [7]


def test_statistics_are_exact(write_toy):
    root = write_toy((50, 41, 33))
    stored = json.loads((root / "meta/stats.json").read_text())
    dataset = open_dataset(root)
    for key in ("observation.state", "action", "confidence"):
        rows = np.concatenate([dataset.columns(i)[key] for i in range(3)]).astype(float)
        for name, q in zip(("q01", "q10", "q50", "q90", "q99"), QUANTILES, strict=True):
            np.testing.assert_allclose(stored[key][name], np.quantile(rows, q, axis=0), rtol=0, atol=1e-12)
        np.testing.assert_allclose(stored[key]["mean"], rows.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(stored[key]["std"], rows.std(axis=0), atol=1e-12)
        assert stored[key]["count"] == [124]
    assert np.shape(stored["observation.images.head"]["mean"]) == (3, 1, 1)
    assert "source.sha256" not in stored


def test_picture_statistics_are_those_of_the_pixels():
    frames = np.random.default_rng(0).integers(3, 251, size=(5, 40, 30, 3), dtype=np.uint8)
    frames[..., 1] //= 3
    found = image_stats(sum(image_counts(f) for f in frames), len(frames))  # type: ignore[arg-type]
    want = column_stats(frames.reshape(-1, 3) / 255.0)
    for name in want:
        if name != "count":
            assert found[name].shape == (3, 1, 1)
            np.testing.assert_allclose(found[name].ravel(), want[name], atol=1e-12)
    assert found["count"] == [5]


def test_files_hold_no_nan_but_say_what_was_filled(tmp_path, spec, episode_maker):
    episode, pictures = episode_maker(6)
    state = np.array(episode.trajectory.state)
    state[2:4, 0] = np.nan
    valid = np.ones((6, 3), dtype=bool)
    valid[2:4, 0] = False
    trajectory = dataclasses.replace(episode.trajectory, state=state, valid=valid)
    with DatasetWriter(tmp_path / "set", spec, 30.0, (48, 64)) as writer:
        writer.add_episode(dataclasses.replace(episode, trajectory=trajectory), pictures)
    columns = open_dataset(tmp_path / "set").columns(0)
    np.testing.assert_array_equal(columns["observation.state"][2:4, 0], state[1, 0])
    np.testing.assert_array_equal(columns["valid"], valid)
    assert columns["imputed"][2:4, 0].all()
    assert check_dataset(tmp_path / "set")["ok"]


def test_hold_takes_the_last_else_the_next_else_zero():
    nan = np.nan
    values = np.array([[nan, nan, 1], [2, nan, nan], [nan, nan, nan], [5, nan, 4]], dtype=np.float32)
    want = [[2, 0, 1], [2, 0, 1], [2, 0, 1], [5, 0, 4]]
    np.testing.assert_array_equal(hold(values, np.isnan(values)), want)


def test_a_bad_episode_is_refused_and_the_next_one_is_taken(tmp_path, spec, episode_maker):
    good, pictures = episode_maker(9, 1)
    state = np.array(good.trajectory.state)
    state[4, 2] = np.inf
    broken = dataclasses.replace(good, trajectory=dataclasses.replace(good.trajectory, state=state))
    with DatasetWriter(tmp_path / "set", spec, 30.0, (48, 64)) as writer:
        with pytest.raises(DatasetError, match="not finite where the episode says valid"):
            writer.add_episode(broken, pictures)
        with pytest.raises(DatasetError, match="do not match"):
            writer.add_episode(good, pictures[:5])
        with pytest.raises(DatasetError, match="do not match"):
            writer.add_episode(good, [*pictures, pictures[0]])

        def failing():
            yield from pictures[:3]
            raise RuntimeError("the decoder broke")

        with pytest.raises(RuntimeError, match="decoder broke"):
            writer.add_episode(good, failing())
        writer.add_episode(good, pictures)
        writer.add_reject("other.mp4", Reject(reason=Reason.NO_PERSON, detail="0 of 30 frames"))
    report = check_dataset(tmp_path / "set", decode=True)
    assert report["problems"] == []
    assert report["episodes"] == 1
    assert "17 frames belong to no episode" in report["notes"][0]
    dataset = open_dataset(tmp_path / "set")
    assert dataset.own["rejects"] == [{"item": "other.mp4", "reason": "no_person", "detail": "0 of 30 frames"}]
    grey = dataset.frames(0)[:, 10:40, 5:25].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(grey, [p[0, 0, 0] for p in pictures], atol=1.9)


def test_an_episode_of_another_layout_or_rate_is_refused(tmp_path, spec, episode_maker):
    episode, pictures = episode_maker(5)
    other = dataclasses.replace(spec, groups=spec.groups[:1])
    with DatasetWriter(tmp_path / "a", other, 30.0, (48, 64)) as writer:
        with pytest.raises(DatasetError, match="another layout"):
            writer.add_episode(episode, pictures)
        writer.abort()
    with DatasetWriter(tmp_path / "b", spec, 15.0, (48, 64)) as writer:
        with pytest.raises(DatasetError, match="another rate"):
            writer.add_episode(episode, pictures)
        writer.abort()


def test_pictures_of_other_sizes_and_their_cameras_are_fitted(tmp_path, spec, episode_maker):
    tall, pictures = episode_maker(4, height=96, width=64)
    with DatasetWriter(tmp_path / "set", spec, 30.0, (48, 64)) as writer:
        writer.add_episode(tall, pictures)
    dataset = open_dataset(tmp_path / "set")
    frame = dataset.frames(0, [0])[0]
    assert frame[:, :14].max() < 16  # black border
    assert frame[:, 20:28].mean() > 30
    camera = dataset.camera(0)
    assert camera is not None
    assert camera.K[0, 0] == pytest.approx(30.0)
    np.testing.assert_allclose(camera.K[:2, 2], [32.0, 24.0])
    assert camera.intrinsics_from == "given"


def test_several_cameras(tmp_path, spec, episode_maker):
    episode, pictures = episode_maker(6)
    keys = ("observation.images.head", "observation.images.wrist")
    with DatasetWriter(tmp_path / "set", spec, 30.0, (48, 64), camera_keys=keys) as writer:
        with pytest.raises(DatasetError, match="other cameras"):
            writer.add_episode(episode, pictures)
        writer.add_episode(episode, {keys[0]: pictures, keys[1]: pictures[::-1]})
    dataset = open_dataset(tmp_path / "set")
    assert check_dataset(tmp_path / "set", decode=True)["problems"] == []
    first, second = (dataset.frames(0, [0], key)[0, 20, 10, 0] for key in keys)
    assert int(second) - int(first) > 15


def test_rows_without_pictures(tmp_path, spec, episode_maker):
    """LeRobot's own data sets without video say video_path: null."""
    episode, _ = episode_maker(6)
    with DatasetWriter(tmp_path / "set", spec, 30.0, camera_keys=()) as writer:
        writer.add_episode(episode, ())
    dataset = open_dataset(tmp_path / "set")
    assert check_dataset(tmp_path / "set", decode=True)["problems"] == []
    assert (dataset.camera_keys, dataset.info["video_path"]) == ((), None)
    assert not (tmp_path / "set" / "videos").exists()
    np.testing.assert_array_equal(dataset.columns(0)["observation.state"], episode.trajectory.state)
    with pytest.raises(DatasetError, match="has no video"):
        dataset.frames(0)


def test_nothing_is_at_the_root_before_finish_nor_after_a_crash(tmp_path, spec, episode_maker):
    root = tmp_path / "set"
    writer = DatasetWriter(root, spec, 30.0, (48, 64))
    writer.add_episode(*episode_maker(8))
    assert not root.exists()
    with pytest.raises(DatasetError, match="no such data set folder"):
        open_dataset(root)
    aside = tmp_path / ".set.tmp"
    assert aside.is_dir()
    with pytest.raises(DatasetError, match="interrupted"):
        open_dataset(aside)
    with DatasetWriter(root, spec, 30.0, (48, 64)) as again:  # as after a crash: the leftovers go
        again.add_episode(*episode_maker(5))
    assert open_dataset(root).frame_count == 5
    assert not aside.exists()


def test_an_exception_in_the_block_leaves_nothing(tmp_path, spec, episode_maker):
    with pytest.raises(KeyError), DatasetWriter(tmp_path / "set", spec, 30.0, (48, 64)) as writer:  # noqa: PT012
        writer.add_episode(*episode_maker(8))
        raise KeyError("somewhere else")
    assert list(tmp_path.iterdir()) == []


def test_no_episode_is_no_data_set(tmp_path, spec):
    with pytest.raises(DatasetError, match="no episode"), DatasetWriter(tmp_path / "set", spec, 30.0, (48, 64)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_finished_data_set_is_not_overwritten_unless_asked(write_toy, spec, episode_maker, tmp_path):
    root = write_toy()
    with pytest.raises(DatasetError, match="there is a folder already"):
        DatasetWriter(root, spec, 30.0, (48, 64))
    writer = DatasetWriter(root, spec, 30.0, (48, 64), overwrite=True)
    writer.add_episode(*episode_maker(4))
    assert open_dataset(root).frame_count == sum(LENGTHS)  # the old one stays until the new one is whole
    writer.finish()
    assert open_dataset(root).frame_count == 4
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize("where", ["video", "rows", "meta"])
def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path, spec, episode_maker, monkeypatch, where):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = DatasetWriter(tmp_path / "set", spec, 30.0, (48, 64))
    writer.add_episode(*episode_maker(6))
    with monkeypatch.context() as patch:
        if where == "video":
            from vidpretrain.video import H264Writer

            patch.setattr(H264Writer, "write", full)
        elif where == "rows":
            patch.setattr(pq.ParquetWriter, "write_table", full)
        else:
            patch.setattr(dataset_files.os, "fsync", full)
        with pytest.raises(DiskFull, match="no space left"):  # noqa: PT012
            writer.add_episode(*episode_maker(6, 1))
            writer.finish()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DatasetError, match="given up"):
        writer.add_episode(*episode_maker(6, 2))


def test_a_full_disk_keeps_the_older_data_set(write_toy, spec, episode_maker, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    root = write_toy()
    writer = DatasetWriter(root, spec, 30.0, (48, 64), overwrite=True)
    writer.add_episode(*episode_maker(6))
    monkeypatch.setattr(dataset_files.os, "fsync", full)
    with pytest.raises(DiskFull):
        writer.finish()
    assert check_dataset(root)["ok"]
    assert open_dataset(root).frame_count == sum(LENGTHS)


def test_odd_sizes_are_refused_with_the_key():
    with pytest.raises(ValueError, match="image_width_px is 641"):
        DatasetConfig(image_width_px=641)


def test_the_configuration_names_its_misfits():
    from vidpretrain import config

    with pytest.raises(ConfigError, match="max_video_s"):
        config.build(DatasetConfig, {"max_video_s": 5000})
