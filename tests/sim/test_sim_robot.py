"""The scripted robot, its recording, and playback."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.errors import ConfigError, DatasetError, InputError, MissingAsset
from vidpretrain.robot import Robot, load_robot
from vidpretrain.sim import (
    PlaybackJob,
    RobotTaskConfig,
    SimConfig,
    record_robot_episodes,
    render_motion,
    render_motion_files,
)
from vidpretrain.sim.robot_model import cluster
from vidpretrain.sim.robot_task import LIFTED_M, roll_out, touching
from vidpretrain.types import RobotMotion


@pytest.fixture(scope="module")
def robot() -> Robot:
    try:
        return load_robot("g1_inspire")
    except MissingAsset as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("hand", ["left", "right"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bottle_is_lifted_within_limits(robot, hand, seed):
    config = RobotTaskConfig(hand=hand)
    rollout = roll_out(robot, config, np.random.default_rng(seed))
    lower, upper = robot.tree.bounds()
    for q in (rollout.joint_pos, rollout.command):
        assert np.isfinite(q).all()
        assert (q >= lower - 1e-9).all()
        assert (q <= upper + 1e-9).all()
        np.testing.assert_allclose(robot.tree.with_mimic(q), q)
    speed = np.abs(np.diff(rollout.joint_pos, axis=0)) * config.rate_hz
    assert (speed <= robot.max_speed + 1e-6).all()
    assert rollout.side == hand
    assert rollout.lifted_m > LIFTED_M
    first = int(rollout.attached.argmax())
    assert 0.4 < first / len(rollout.attached) < 0.75
    assert np.ptp(rollout.T_base_bottle[:first, 4:], axis=0).max() == 0.0  # it stands still until it is grasped
    still = touching(robot, hand, rollout.joint_pos, np.tile(rollout.T_base_bottle[0], (len(rollout.attached), 1)))
    assert still[first]
    assert not still[: first - 8].any()


def test_same_seed_same_attempt(robot):
    a, b = (roll_out(robot, RobotTaskConfig(), np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(a.joint_pos, b.joint_pos)
    assert np.array_equal(a.T_base_bottle, b.T_base_bottle)


def test_bottle_out_of_reach_is_not_lifted(robot):
    rollout = roll_out(robot, RobotTaskConfig(), np.random.default_rng(0), np.array([0.9, -0.1, -0.02]))
    assert rollout.lifted_m == 0.0
    assert not rollout.attached.any()
    assert rollout.unsolved_m > 0.2


def test_executed_posture_lags_behind_the_command(robot):
    rollout = roll_out(robot, RobotTaskConfig(), np.random.default_rng(0))
    behind = np.abs(rollout.command[:-1] - rollout.joint_pos[:-1]).max(axis=1)
    assert behind.max() > 0.02
    assert behind[-1] < 0.02  # and arrives


def test_episodes_are_recorded_once(robot, tmp_path):
    from vidpretrain.dataset import check_dataset, open_dataset

    config = SimConfig(robot_task=RobotTaskConfig(episodes=2, duration_s=2.0, width_px=64, height_px=48), workers=1)
    result = record_robot_episodes(config, "g1_inspire", tmp_path / "robot")
    assert result["made"]
    assert result["episodes"] == 2
    assert result["rows"] == 120
    assert result["attempts"] == result["dropped"] + 2
    report = check_dataset(tmp_path / "robot")
    assert report["ok"]
    assert report["frames"] == 120
    assert report["licenses"] == {"generated": 2}
    dataset = open_dataset(tmp_path / "robot")
    assert dataset.spec.width == 26
    again = record_robot_episodes(config, "g1_inspire", tmp_path / "robot")
    assert not again["made"]
    assert again["digest"] == result["digest"]


def test_foreign_folder_is_left_alone(robot, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(DatasetError, match="folder already"):
        record_robot_episodes(SimConfig(), "g1_inspire", tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def _motion(robot: Robot, frames: int) -> RobotMotion:
    q = np.tile(robot.home, (frames, 1))
    q[:, robot.tree.joint("left_elbow_joint")] += np.linspace(0, 0.9, frames)
    true = np.ones((frames, 2), dtype=bool)
    return RobotMotion(
        clip_id="c",
        robot_name=robot.name,
        robot_digest=robot.digest,
        joint_names=robot.tree.joint_names,
        error_names=(),
        time_ns=np.round(np.arange(frames) * 1e9 / 30).astype(np.int64),
        rate_hz=30.0,
        T_world_base=np.tile([1.0, 0, 0, 0, 0, 0, robot.base_height_m], (frames, 1)),
        joint_pos=robot.tree.with_mimic(q),
        error_m=np.zeros((frames, 0)),
        converged=true[:, 0],
        feasible=true[:, 0],
        valid=true,
        imputed=~true,
        confidence=np.ones((frames, 2)),
        whole_body=False,
        T_base_camera=np.tile(robot.T_base_camera, (frames, 1)),
    )


def test_playback_shows_the_robot_move(robot, tmp_path):
    import av

    motion = _motion(robot, 5)
    jobs = [
        PlaybackJob(motion=motion, robot=robot.name, out_mp4=str(tmp_path / f"{c}.mp4"), size_px=(160, 120), camera=c)
        for c in ("front", "match")
    ]
    for path in render_motion_files(jobs):
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == "h264"
            frames = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)]).astype(int)
        assert frames.shape == (5, 120, 160, 3)
        changed = (np.abs(frames[-1] - frames[0]).max(axis=-1) > 40).mean()
        assert 0.005 < changed < 0.3  # the arm, not the room
    assert not render_motion_files([])


def test_playback_refuses_what_it_cannot_show(robot):
    with pytest.raises(ConfigError, match="camera"):
        next(render_motion(robot, _motion(robot, 1), 64, "behind"))  # type: ignore[arg-type]
    other = load_robot("g1_dex3")
    with pytest.raises(InputError, match="another robot"):
        next(render_motion(other, _motion(robot, 1), 64))


def test_clustering_keeps_shape_and_size():
    u, v = np.meshgrid(np.linspace(0, np.pi, 60), np.linspace(0, 2 * np.pi, 120), indexing="ij")
    ball = 0.1 * np.stack([np.sin(u) * np.cos(v), np.sin(u) * np.sin(v), np.cos(u)], axis=-1).reshape(-1, 3)
    k = np.arange(59 * 120)
    k = k[k % 120 < 119]
    faces = np.concatenate([np.stack([k, k + 120, k + 1], 1), np.stack([k + 1, k + 120, k + 121], 1)])
    vertices, coarse = cluster(ball, faces, 0.02)
    assert len(coarse) < 0.1 * len(faces)
    assert coarse.max() < len(vertices)
    assert np.abs(np.linalg.norm(vertices, axis=1) - 0.1).max() < 0.01
    same, kept = cluster(ball + 1.0, faces, 10.0)  # would vanish
    assert len(same) == len(ball)
    assert len(kept) == len(faces)
