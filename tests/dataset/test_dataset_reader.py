"""Reading what others recorded (v2.1, real), refusing what is not a data set, and the check."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vidpretrain.dataset import check_dataset, open_dataset
from vidpretrain.errors import DatasetError

REAL = Path(__file__).parents[3] / "shared/data/robot/g1_inspire_pick_bottle"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the data folder beside the project is not there")


@real
@pytest.mark.shared
def test_all_real_episodes_are_read():
    dataset = open_dataset(REAL)
    assert (dataset.version, len(dataset), dataset.frame_count, dataset.rate_hz) == ("v2.1", 24, 8442, 30.0)
    groups = [(group.name, group.width) for group in dataset.spec.groups]
    assert groups == [("left_arm", 7), ("right_arm", 7), ("left_hand", 6), ("right_hand", 6)]
    assert dataset.spec.embodiment == "g1_inspire"
    for episode in dataset.episodes:
        columns = dataset.columns(episode.index)
        raw = pq.read_table(episode.data_path).to_pydict()
        assert columns["observation.state"].dtype == np.float32
        np.testing.assert_array_equal(columns["observation.state"], np.array(raw["observation.state"], np.float32))
        np.testing.assert_array_equal(columns["action"], np.array(raw["action"], np.float32))
        np.testing.assert_array_equal(columns["index"], raw["index"])
        assert columns["valid"].all()
        assert not columns["imputed"].any()
        assert episode.instruction == "Pick up the yellow bottle on the table."
        assert episode.license == "MIT"
        hands = columns["observation.state"][:, dataset.spec.slices()["right_hand"]]
        assert 0 <= hands.min() <= hands.max() <= 1


@real
@pytest.mark.shared
def test_real_av1_pictures_are_read_by_index():
    dataset = open_dataset(REAL)
    whole = dataset.frames(23, range(100))
    assert whole.shape == (100, 480, 640, 3)
    np.testing.assert_array_equal(dataset.frames(23, [99, 17, 60]), whole[[99, 17, 60]])
    assert len(np.unique([frame.tobytes() for frame in whole])) > 90  # they are 100 pictures, not one
    import av

    with av.open(str(dataset.episodes[23].video_path["observation.images.cam_high"])) as container:
        for k, frame in enumerate(container.decode(video=0)):
            if k in (0, 50):
                np.testing.assert_array_equal(whole[k], frame.to_ndarray(format="rgb24"))
            if k == 50:
                break
    assert dataset.camera(23) is None


@real
@pytest.mark.shared
def test_the_real_data_set_passes_the_check():
    report = check_dataset(REAL)
    assert report["problems"] == []
    assert report["licenses"] == {"MIT": 24}
    json.dumps(report)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(DatasetError, match="no such data set folder"):
        open_dataset(tmp_path / "nowhere")


def test_a_folder_that_is_no_data_set(tmp_path):
    with pytest.raises(DatasetError, match="not a data set"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("version", ["v2.0", "v4.0", None])
def test_another_version_names_what_was_found_and_what_is_valid(write_toy, version):
    root = write_toy()
    info = json.loads((root / "meta/info.json").read_text())
    info["codebase_version"] = version
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DatasetError) as caught:
        open_dataset(root)
    assert caught.value.found == (version or "no codebase_version")
    assert caught.value.valid == "v3.0, v2.1"


@pytest.mark.parametrize("name", ["meta/info.json", "meta/vidpretrain.json"])
def test_broken_meta_is_a_dataset_error(write_toy, name):
    root = write_toy()
    (root / name).write_text("{ not json")
    with pytest.raises(DatasetError, match="not valid JSON"):
        open_dataset(root)


def test_a_meta_file_without_its_keys_is_a_dataset_error(write_toy):
    root = write_toy()
    info = json.loads((root / "meta/info.json").read_text())
    del info["fps"]
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DatasetError, match="do not fit"):
        open_dataset(root)


def test_other_peoples_v3_needs_none_of_our_records(write_toy):
    root = write_toy()
    (root / "meta/vidpretrain.json").unlink()
    dataset = open_dataset(root)
    assert [group.name for group in dataset.spec.groups] == ["joints"]
    assert dataset.spec.names == ("l0", "l1", "lh")
    assert dataset.camera(0) is None
    assert check_dataset(root)["ok"]


def damaged(write_toy, damage) -> dict:
    root = write_toy()
    damage(root)
    return check_dataset(root, decode=True)


def rewrite_rows(root, change):
    path = root / "data/chunk-000/file-000.parquet"
    frame = pq.read_table(path)
    schema = frame.schema
    import pyarrow as pa

    data = frame.to_pydict()
    change(data)
    pq.write_table(pa.Table.from_pydict(data, schema=schema), path)


def set_value(key, row, value):
    def change(data):
        data[key][row] = value

    return lambda root: rewrite_rows(root, change)


def edit_info(root):
    info = json.loads((root / "meta/info.json").read_text())
    info["total_frames"] += 1
    (root / "meta/info.json").write_text(json.dumps(info))


def cut_video(root):
    path = root / "videos/observation.images.head/chunk-000/file-000.mp4"
    path.write_bytes(path.read_bytes()[:400])


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (edit_info, "total_frames"),
        (lambda root: (root / "data/chunk-000/file-000.parquet").unlink(), "cannot be read"),
        (lambda root: shutil.rmtree(root / "videos"), "video of the data set is missing"),
        (cut_video, "12 of 12 frames not in videos"),
        (set_value("timestamp", 13, 9.0), "away from k / 30"),
        (set_value("observation.state", 3, [0.0, float("nan"), 0.0]), "not finite"),
        (set_value("action", 3, [0.0, 50.0, 0.0]), "max of action is not that of the rows"),
        (set_value("frame_index", 3, 8), "frame_index does not run"),
        (set_value("source.sha256", 3, ""), "source.sha256 is empty in 1 rows"),
        (set_value("source.sha256", 3, "f" * 64), "name different source files"),
        (set_value("source.frame", 3, -1), "source.frame is negative"),
    ],
)
def test_the_check_finds_each_kind_of_damage(write_toy, damage, complaint):
    report = damaged(write_toy, damage)
    assert not report["ok"]
    assert any(complaint in text for text in report["problems"]), report["problems"]
