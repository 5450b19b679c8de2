"""Robot motions out and back; GMR's pickle and the CSV as their users' scripts read them."""

from __future__ import annotations

import dataclasses
import errno
import os
import pickle

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.errors import DiskFull, InputError, UnknownName, UsageError
from vidpretrain.kinematics import site_poses
from vidpretrain.motion_files import read_robot_motion, write_motion
from vidpretrain.robot import load_robot
from vidpretrain.types import RobotMotion

T = 25


@pytest.fixture(scope="module")
def robot():
    return load_robot("g1_inspire")


@pytest.fixture(scope="module")
def motion(robot) -> RobotMotion:
    time = np.arange(T) / 30.0
    lower, upper = robot.tree.bounds()
    wave = robot.home + 0.1 * np.sin(time[:, None] + np.arange(len(robot.home)))
    q = geometry.quat_exp(0.3 * np.stack([np.sin(time), np.cos(time), time], axis=1))
    return RobotMotion(
        clip_id="clip",
        robot_name=robot.name,
        robot_digest=robot.digest,
        joint_names=robot.tree.joint_names,
        error_names=("left_wrist", "right_wrist"),
        time_ns=np.round(np.arange(T) * 1e9 / 30).astype(np.int64),
        rate_hz=30.0,
        T_world_base=geometry.pose(q, np.stack([time, -time, 0.8 + 0 * time], axis=1)),
        joint_pos=robot.tree.with_mimic(np.clip(wave, lower, upper)),
        error_m=np.full((T, 2), 0.01),
        converged=np.arange(T) % 2 == 0,
        feasible=np.ones(T, dtype=bool),
        valid=np.tile([True, False], (T, 1)),
        imputed=np.zeros((T, 2), dtype=bool),
        confidence=np.full((T, 2), 0.7),
        whole_body=True,
        T_base_camera=np.tile(robot.T_base_camera, (T, 1)),
        hand_valid=np.ones((T, 2), dtype=bool),
        placement="torso",
        figures={"scale": 0.9, "missing": float("nan")},
    )


def test_npz_keeps_everything(tmp_path, robot, motion):
    path = write_motion(tmp_path / "deep" / "a.npz", motion, robot)
    back = read_robot_motion(path, robot)
    for field in dataclasses.fields(motion):
        np.testing.assert_equal(getattr(back, field.name), getattr(motion, field.name), err_msg=field.name)
    without = dataclasses.replace(motion, hand_valid=None)
    assert read_robot_motion(write_motion(path, without, robot), robot).hand_valid is None
    assert [p.name for p in path.parent.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("suffix", [".pkl", ".csv"])
def test_pickle_and_csv_come_back(tmp_path, robot, motion, suffix):
    path = write_motion(tmp_path / f"a{suffix}", motion, robot)
    back = read_robot_motion(path, robot, rate_hz=30.0 if suffix == ".csv" else None)
    np.testing.assert_allclose(back.joint_pos, motion.joint_pos, atol=1e-8)
    np.testing.assert_allclose(back.T_world_base[:, 4:], motion.T_world_base[:, 4:], atol=1e-8)
    assert geometry.angle_between(back.T_world_base[:, :4], motion.T_world_base[:, :4]).max() < 1e-6
    assert (back.rate_hz, back.whole_body, back.joint_names) == (30.0, True, motion.joint_names)
    np.testing.assert_array_equal(back.time_ns, motion.time_ns)


def test_gmr_users_find_what_they_look_for(tmp_path, robot, motion):
    """Keys and orders of GMR's own writer: root_rot is xyzw, bodies are in the root's axes with the root at 0."""
    path = write_motion(tmp_path / "a.pkl", motion, robot)
    with open(path, "rb") as file:
        data = pickle.load(file)
    assert list(data) == ["fps", "root_pos", "root_rot", "dof_pos", "local_body_pos", "link_body_list"]
    assert data["fps"] == 30
    assert isinstance(data["fps"], int)
    np.testing.assert_allclose(data["root_rot"][:, 3], motion.T_world_base[:, 0])
    np.testing.assert_allclose(data["root_rot"][:, :3], motion.T_world_base[:, 1:4])
    assert data["dof_pos"].shape == (T, 53)
    names, places = data["link_body_list"], data["local_body_pos"]
    assert names[0] == "pelvis"
    assert places.shape == (T, len(names), 3)
    np.testing.assert_allclose(places[:, 0], 0.0, atol=1e-9)
    ours = site_poses(robot.tree, motion.joint_pos, None, ["left_elbow", "torso"])
    np.testing.assert_allclose(places[:, names.index("left_elbow_link")], ours[:, 0, 4:], atol=1e-6)
    np.testing.assert_allclose(places[:, names.index("torso_link")], ours[:, 1, 4:], atol=1e-6)


def test_csv_as_the_converters_read_it(tmp_path, robot, motion):
    """np.loadtxt, no header; 0:3 place, 3:7 rotation xyzw, from 7 on the joints that were asked for."""
    body = tuple(name for name in robot.tree.joint_names if not name.startswith("inspire"))
    assert len(body) == 29
    path = write_motion(tmp_path / "a.csv", motion, robot, joints=body)
    rows = np.loadtxt(path, delimiter=",")
    assert rows.shape == (T, 36)
    np.testing.assert_allclose(rows[:, [6, 3, 4, 5]], motion.T_world_base[:, :4], atol=1e-8)
    np.testing.assert_allclose(rows[:, 7:], motion.joint_pos[:, robot.tree.joints(body)], atol=1e-8)
    back = read_robot_motion(path, robot, rate_hz=30, joints=body)
    np.testing.assert_allclose(back.joint_pos[:, robot.tree.joints(body)], rows[:, 7:])
    hand = robot.joints("left_hand")
    np.testing.assert_array_equal(back.joint_pos[:, hand], np.tile(robot.home[list(hand)], (T, 1)))


def test_wrong_asks_and_wrong_files(tmp_path, robot, motion):
    with pytest.raises(UsageError, match="folder of many files"):
        write_motion(tmp_path / "set", motion, robot, format="lerobot")
    with pytest.raises(UsageError, match="unknown format"):
        write_motion(tmp_path / "a.fbx", motion, robot)
    with pytest.raises(UnknownName, match="did you mean"):
        write_motion(tmp_path / "a.csv", motion, robot, joints=("waist_yaw_jont",))
    with pytest.raises(InputError, match="another robot's"):
        write_motion(tmp_path / "a.csv", motion, load_robot("h1"))
    broken = np.array(motion.joint_pos)
    broken[3] = np.nan
    with pytest.raises(InputError, match="1 of 25"):
        write_motion(tmp_path / "a.csv", dataclasses.replace(motion, joint_pos=broken), robot)
    assert not list(tmp_path.iterdir())
    path = write_motion(tmp_path / "a.csv", motion, robot)
    with pytest.raises(InputError, match="no frame rate"):
        read_robot_motion(path, robot)
    with pytest.raises(InputError, match="other columns"):
        read_robot_motion(path, load_robot("h1"), rate_hz=30)
    for words, change in (
        ("not finite", lambda s: s.replace(s.split(",")[9], "nan", 1)),
        ("not rows of numbers", lambda s: s[: len(s) // 2]),
        ("not rows of numbers", lambda s: "x,y,z\n" + s),
        ("unit quaternions", lambda s: "\n".join(",".join(["9"] * 60) for _ in range(3))),
    ):
        other = tmp_path / "b.csv"
        other.write_text(change(path.read_text()))
        with pytest.raises(InputError, match=words):
            read_robot_motion(other, robot, rate_hz=30)
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"fps": 30}))
    with pytest.raises(InputError, match="GMR's layout"):
        read_robot_motion(tmp_path / "c.pkl", robot)
    with pytest.raises(InputError, match="another robot's joints"):
        read_robot_motion(write_motion(tmp_path / "d.npz", motion, robot), load_robot("h1"))
    np.savez(tmp_path / "e.npz", a=1)
    with pytest.raises(InputError, match="not a robot motion"):
        read_robot_motion(tmp_path / "e.npz", robot)


def test_a_full_disk_leaves_nothing(tmp_path, robot, motion, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        write_motion(tmp_path / "a.npz", motion, robot)
    assert not list(tmp_path.iterdir())
