"""The training cache: what is in it, reuse, resuming, and layouts that the data set does not have whole."""

import dataclasses
import errno
import logging
from pathlib import Path

import numpy as np
import pytest

from vidpretrain.dataset import DatasetConfig, TrainingCache, build_cache, fit_camera, fit_image, open_dataset
from vidpretrain.dataset.reader import Dataset
from vidpretrain.errors import DatasetError, DiskFull
from vidpretrain.types import Camera, Group

REAL = Path(__file__).parents[3] / "shared/data/robot/g1_inspire_pick_bottle"
LENGTHS = (12, 7, 15)


def test_rows_of_all_episodes_one_after_the_other(write_toy, tmp_path, spec):
    dataset = open_dataset(write_toy(LENGTHS))
    cache = build_cache(dataset, tmp_path / "cache", 32, config=DatasetConfig(imputed_weight=0.25))
    assert len(cache) == 34
    assert cache.images.shape == (34, 32, 32, 3)
    assert cache.images.dtype == np.uint8
    assert isinstance(cache.images, np.memmap)
    assert (cache.state.dtype, cache.valid.dtype, cache.weight.dtype) == (np.float32, np.bool_, np.float32)
    assert (cache.episode.dtype, cache.fov.dtype) == (np.int32, np.float32)
    assert cache.spec == spec
    assert [(e["start"], e["exclusive_end"]) for e in cache.episodes] == [(0, 12), (12, 19), (19, 34)]
    assert cache.episodes[1]["source"] == f"{1:064x}"
    for number, entry in enumerate(cache.episodes):
        rows = slice(entry["start"], entry["exclusive_end"])
        columns = dataset.columns(number)
        np.testing.assert_array_equal(cache.state[rows], columns["observation.state"])
        np.testing.assert_array_equal(cache.action[rows], columns["action"])
        np.testing.assert_allclose(cache.weight[rows], columns["confidence"] * np.where(columns["imputed"], 0.25, 1))
        assert (cache.episode[rows] == number).all()
        want = [fit_image(frame, 32, 32) for frame in dataset.frames(number)]
        np.testing.assert_array_equal(cache.images[rows], want)
    np.testing.assert_allclose(cache.fov, 2 * np.arctan(32 / 60), atol=1e-6)  # 64 px wide, f = 60 px, nothing cut


def test_chunks_stop_at_their_episodes_end(write_toy, tmp_path):
    cache = build_cache(open_dataset(write_toy((3, 4))), tmp_path / "cache", 16)
    chunks = cache.chunk_index(3)
    np.testing.assert_array_equal(
        chunks.rows, [[0, 1, 2], [1, 2, 2], [2, 2, 2], [3, 4, 5], [4, 5, 6], [5, 6, 6], [6, 6, 6]]
    )
    np.testing.assert_array_equal(
        chunks.valid,
        np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=bool),
    )
    assert cache.chunk_index(20).valid.sum() == 6 + 10


def test_a_second_build_decodes_nothing_and_says_so(write_toy, tmp_path, monkeypatch, caplog):
    dataset = open_dataset(write_toy())
    first = build_cache(dataset, tmp_path / "cache", 32)
    assert not first.reused

    def never(*_args, **_kwargs):
        raise AssertionError("decoded again")

    monkeypatch.setattr(Dataset, "iter_frames", never)
    monkeypatch.setattr(Dataset, "columns", never)
    with caplog.at_level(logging.INFO, "vidpretrain"):
        again = build_cache(open_dataset(dataset.root), tmp_path / "cache", 32)
    assert again.reused
    assert "nothing to compute" in caplog.text
    np.testing.assert_array_equal(again.state, first.state)


@pytest.mark.parametrize(
    "change", [{"image_size_px": 16}, {"episodes": [0, 2]}, {"fit": "crop"}, {"embodiment": "another"}]
)
def test_other_inputs_are_built_anew(write_toy, tmp_path, change):
    dataset = open_dataset(write_toy())
    old = build_cache(dataset, tmp_path / "cache", 32)
    new = build_cache(dataset, tmp_path / "cache", **({"image_size_px": 32} | change))
    assert not new.reused
    assert new.meta["digest"] != old.meta["digest"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "toy"]


def test_a_changed_data_set_is_noticed(write_toy, tmp_path, spec, episode_maker):
    from vidpretrain.dataset import DatasetWriter

    root = write_toy()
    build_cache(open_dataset(root), tmp_path / "cache", 16)
    with DatasetWriter(root, spec, 30.0, (48, 64), overwrite=True) as writer:
        writer.add_episode(*episode_maker(12, 5))
    again = build_cache(open_dataset(root), tmp_path / "cache", 16)
    assert not again.reused
    assert len(again) == 12


def test_some_episodes_in_the_order_asked_for(write_toy, tmp_path):
    dataset = open_dataset(write_toy(LENGTHS))
    cache = build_cache(dataset, tmp_path / "cache", 16, episodes=[2, 0])
    assert [e["index"] for e in cache.episodes] == [2, 0]
    np.testing.assert_array_equal(cache.action[15:], dataset.columns(0)["action"])
    with pytest.raises(DatasetError, match="no such episode"):
        build_cache(dataset, tmp_path / "other", 16, episodes=[7])


def test_an_interrupted_build_is_no_cache_and_goes_on_where_it_was(write_toy, tmp_path, monkeypatch):
    dataset = open_dataset(write_toy(LENGTHS))
    want = np.array(build_cache(dataset, tmp_path / "reference", 32).images)
    out, decoded = tmp_path / "cache", []
    original = Dataset.iter_frames

    def interrupted(self, episode, *args):
        decoded.append(episode)
        for k, frame in enumerate(original(self, episode, *args)):
            if episode == 2 and k == 4:
                raise KeyboardInterrupt
            yield frame

    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "iter_frames", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_cache(dataset, out, 32)
    assert decoded == [0, 1, 2]
    with pytest.raises(DatasetError, match="interrupted"):
        TrainingCache.open(out)
    with pytest.raises(DatasetError, match="interrupted"):
        TrainingCache.open(tmp_path / ".cache.tmp")

    def counted(self, episode, *args):
        decoded.append(episode)
        return original(self, episode, *args)

    decoded.clear()
    monkeypatch.setattr(Dataset, "iter_frames", counted)
    cache = build_cache(dataset, out, 32)
    assert decoded == [2]
    np.testing.assert_array_equal(cache.images, want)
    assert not (tmp_path / ".cache.tmp").exists()


def test_too_little_space_is_told_before_anything_is_written(write_toy, tmp_path, monkeypatch):
    from vidpretrain.dataset import files

    dataset = open_dataset(write_toy())
    monkeypatch.setattr(files, "_free_bytes", lambda path: 1000)
    with pytest.raises(DiskFull, match="not enough space"):
        build_cache(dataset, tmp_path / "cache", 32)
    assert not (tmp_path / "cache").exists()


def test_a_disk_that_fills_up_leaves_no_cache(write_toy, tmp_path, monkeypatch):
    from vidpretrain.dataset import cache_build

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_build.os, "fsync", full)
    with pytest.raises(DiskFull):
        build_cache(open_dataset(write_toy()), tmp_path / "cache", 32)
    with pytest.raises(DatasetError):
        TrainingCache.open(tmp_path / "cache")


def test_hidden_values_are_nan_and_weigh_nothing(tmp_path, spec, episode_maker):
    from vidpretrain.dataset import DatasetWriter

    episode, pictures = episode_maker(8)
    valid = np.ones((8, 3), dtype=bool)
    valid[2:5, 1] = False
    trajectory = dataclasses.replace(episode.trajectory, valid=valid)
    with DatasetWriter(tmp_path / "set", spec, 30.0, (48, 64)) as writer:
        writer.add_episode(dataclasses.replace(episode, trajectory=trajectory), pictures)
    cache = build_cache(open_dataset(tmp_path / "set"), tmp_path / "cache", 16)
    np.testing.assert_array_equal(np.isnan(cache.state), ~valid)
    np.testing.assert_array_equal(np.isnan(cache.action), ~valid)
    np.testing.assert_array_equal(cache.valid, valid)
    assert (cache.weight[~valid] == 0).all()


def test_groups_are_found_by_name_and_absent_ones_are_not_valid(write_toy, tmp_path, spec):
    more = Group(name="right_hand", names=("rh",), quantity="hand", representation="absolute", unit="fraction")
    want = dataclasses.replace(spec, groups=(spec.groups[1], more, spec.groups[0]), embodiment="other")
    dataset = open_dataset(write_toy())
    cache = build_cache(dataset, tmp_path / "cache", 16, spec=want)
    columns = dataset.columns(0)["observation.state"]
    np.testing.assert_array_equal(cache.state[:12, 0], columns[:, 2])
    np.testing.assert_array_equal(cache.state[:12, 2:], columns[:, :2])
    np.testing.assert_array_equal(cache.valid.all(axis=0), [True, False, True, True])
    assert cache.embodiment == "other"


def test_a_layout_that_does_not_fit_is_refused(write_toy, tmp_path, spec):
    dataset = open_dataset(write_toy())
    with pytest.raises(DatasetError, match="another rate"):
        build_cache(dataset, tmp_path / "cache", 16, spec=dataclasses.replace(spec, rate_hz=15.0))
    legs = Group(name="legs", names=("a", "b"), quantity="joint", representation="relative", unit="rad")
    with pytest.raises(DatasetError, match="another robot"):
        build_cache(dataset, tmp_path / "cache", 16, spec=dataclasses.replace(spec, groups=(legs,)))
    wide = dataclasses.replace(spec.groups[0], names=("l0", "l1", "l2"))
    with pytest.raises(DatasetError, match="another width"):
        build_cache(dataset, tmp_path / "cache", 16, spec=dataclasses.replace(spec, groups=(wide,)))


@pytest.mark.skipif(not REAL.is_dir(), reason="the data folder beside the project is not there")
@pytest.mark.shared
def test_real_episodes_get_their_wrists_from_kinematics(tmp_path):
    from vidpretrain.actions import ActionConfig, joint_pos, spec_for
    from vidpretrain.geometry import pose9
    from vidpretrain.kinematics import site_poses
    from vidpretrain.robot import load_robot

    robot = load_robot("g1_inspire")
    spec = spec_for(robot, ActionConfig())
    dataset = open_dataset(REAL)
    cache = build_cache(dataset, tmp_path / "cache", 32, episodes=[3], spec=spec, robot=robot)
    assert cache.valid.all()
    assert np.isfinite(cache.state).all()
    np.testing.assert_array_equal(cache.state[:, :26], dataset.columns(3)["observation.state"])
    poses = site_poses(robot.tree, joint_pos(cache.action.astype(float), robot, spec), None, ["right_wrist"])
    np.testing.assert_allclose(cache.action[:, spec.slices()["right_wrist"]], pose9(poses[:, 0]), atol=1e-5)
    assert np.isnan(cache.fov).all()  # nobody told the camera
    assert cache.episodes[0]["fov_from"] == "unknown"


@pytest.mark.parametrize("mode", ["pad", "crop", "squash"])
def test_a_camera_fits_the_fitted_picture(mode):
    camera = Camera(
        K=np.array([[300.0, 0, 210.0], [0, 310.0, 90.0], [0, 0, 1]]),
        distortion=np.zeros(5),
        width_px=400,
        height_px=200,
    )
    frame = np.zeros((200, 400, 3), dtype=np.uint8)
    p_camera = np.array([-0.12, 0.05, 1.0])
    u, v, _ = camera.K @ p_camera
    row, column = int(v), int(u)  # the pixel that holds the point
    frame[row - 3 : row + 4, column - 3 : column + 4] = 255
    fitted = fit_camera(camera, 100, 100, mode)
    picture = fit_image(frame, 100, 100, mode)
    weight = picture[..., 0].astype(float)
    seen = [(weight.sum(axis=axis) @ np.arange(100)) / weight.sum() for axis in (0, 1)]
    middle = np.array([column + 0.5 - u, row + 0.5 - v]) * np.diag(fitted.K)[:2] / np.diag(camera.K)[:2]
    np.testing.assert_allclose((fitted.K @ p_camera)[:2] + middle, np.array(seen) + 0.5, atol=0.05)
    assert (fitted.width_px, fitted.height_px) == (100, 100)
