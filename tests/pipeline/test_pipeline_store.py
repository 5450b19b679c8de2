"""Results on disk: equal after a round trip, whole or absent, keyed by everything they depend on."""

import errno
import os

import numpy as np
import pytest

from vidpretrain.errors import DiskFull
from vidpretrain.feasibility import Flaw, Verdict, assess
from vidpretrain.pipeline import serialize
from vidpretrain.pipeline.store import Store, room_digest
from vidpretrain.robot import load_robot
from vidpretrain.types import Camera, Clip, PoseTrack, Reason, Reject, RobotMotion


def track(n=4):
    rng = np.random.default_rng(0)
    return PoseTrack(
        clip_id="c",
        person_id="0",
        skeleton="hand21_left",
        time_ns=np.arange(n, dtype=np.int64) * 33_333_333,
        p_image_keypoint=rng.normal(size=(n, 21, 2)),
        p_relative_keypoint=None,
        confidence=np.ones((n, 21)),
    )


def test_round_trip_keeps_types_arrays_and_nesting(tmp_path):
    clip = Clip(clip_id="c", source_id="s", path="a.mp4", start_ns=0, exclusive_end_ns=10, width_px=4, height_px=6)
    camera = Camera(K=np.eye(3), distortion=np.zeros(0), width_px=4, height_px=6)
    value = {"tracks": (track(), track(2)), "clip": clip, "camera": camera, "n": [1, None, "x"], "path": tmp_path}
    serialize.save(tmp_path / "v.npz", value)
    got = serialize.load(tmp_path / "v.npz")
    assert got["clip"] == clip
    assert got["n"] == [1, None, "x"]
    assert got["path"] == tmp_path
    assert isinstance(got["tracks"], tuple)
    np.testing.assert_array_equal(got["tracks"][0].p_image_keypoint, track().p_image_keypoint)
    assert got["tracks"][0].time_ns.dtype == np.int64
    assert not got["camera"].K.flags.writeable


def test_rejects_are_results(tmp_path):
    reject = Reject(reason=Reason.NO_PERSON, detail="0 of 30 frames")
    serialize.save(tmp_path / "r.npz", reject)
    assert serialize.load(tmp_path / "r.npz") == reject


def test_store_counts_and_forgets_damaged_files(tmp_path):
    store = Store(tmp_path)
    key = store.key("pose", {"a": 1}, rooms=("pipeline",))
    assert store.get("pose", key) is None
    store.put("pose", key, track())
    assert store.get("pose", key) is not None
    assert (store.recomputed["pose"], store.reused["pose"]) == (1, 1)
    store.path("pose", key).write_bytes(b"PK broken")
    assert store.get("pose", key) is None
    assert not store.path("pose", key).exists()


def test_key_depends_on_stage_input_config_and_code(tmp_path):
    store = Store(tmp_path)
    keys = {
        store.key("pose", 1, rooms=("pipeline",)),
        store.key("motion", 1, rooms=("pipeline",)),
        store.key("pose", 2, rooms=("pipeline",)),
        store.key("pose", 1, rooms=("config.py",)),
    }
    assert len(keys) == 4
    assert room_digest("pipeline") != room_digest("config.py")


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="no space left"):
        serialize.save(tmp_path / "v.npz", track())
    assert list(tmp_path.iterdir()) == []


def test_a_feasibility_comes_back_with_its_verdict_and_findings(tmp_path):
    robot = load_robot("g1_inspire")
    frames = 4
    q = np.repeat(np.array(robot.home)[None], frames, axis=0)
    q[2:, robot.joints("left_arm")[3]] += 2.0  # at 60 rad/s
    motion = RobotMotion(
        clip_id="c",
        robot_name=robot.name,
        robot_digest=robot.digest,
        joint_names=robot.tree.joint_names,
        error_names=(),
        time_ns=np.arange(frames, dtype=np.int64) * 33_333_333,
        rate_hz=30.0,
        T_world_base=np.tile([1.0, 0, 0, 0, 0, 0, robot.base_height_m], (frames, 1)),
        joint_pos=q,
        error_m=np.zeros((frames, 0)),
        converged=np.ones(frames, dtype=bool),
        feasible=np.ones(frames, dtype=bool),
        valid=np.ones((frames, 2), dtype=bool),
        imputed=np.zeros((frames, 2), dtype=bool),
        confidence=np.ones((frames, 2)),
        whole_body=False,
        T_base_camera=np.tile([1.0, 0, 0, 0, 0, 0, 0], (frames, 1)),
    )
    found = assess(motion, robot)
    assert found.verdict is Verdict.INFEASIBLE
    serialize.save(tmp_path / "f.npz", found)
    again = serialize.load(tmp_path / "f.npz")
    assert again.verdict is Verdict.INFEASIBLE
    assert again.findings == found.findings
    assert Flaw.SPEED in again.reasons
    assert again.summary() == found.summary()
    np.testing.assert_array_equal(again.balance_m, found.balance_m)
