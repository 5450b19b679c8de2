"""Live retargeting agrees with the whole clip's, and takes cameras as they are: late, early, blind."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.errors import MissingAsset
from vidpretrain.kinematics import site_poses
from vidpretrain.motion_files import MotionFileConfig, read_motion
from vidpretrain.retarget import LiveRetargeter, RetargetConfig, retarget
from vidpretrain.robot import load_robot
from vidpretrain.skeletons import HAND_SLICES, SIDES
from vidpretrain.types import RobotMotion

SETTLED = 45  # frames from home to the person


def play(live: LiveRetargeter, motion, frames=None) -> list:
    """A motion's frames, one after the other."""
    poses = motion.camera.T_world_camera
    return [
        live.step(
            int(motion.time_ns[t]),
            motion.p_world_keypoint[t],
            sigma_m=motion.sigma_m[t],
            T_world_root=motion.T_world_root[t],
            T_world_camera=None if poses is None else poses[t],
        )
        for t in range(len(motion.time_ns) if frames is None else frames)
    ]


def assert_feasible(robot, q) -> None:
    lower, upper = robot.tree.bounds()
    assert np.isfinite(q).all()
    assert (q >= lower - 1e-12).all()
    assert (q <= upper + 1e-12).all()
    assert (np.abs(np.diff(q, axis=0)) * 30.0 <= robot.max_speed * (1 + 1e-9)).all()


def live_of(robot, motion, **more) -> LiveRetargeter:
    return LiveRetargeter(robot, height_m=motion.height_m, view=motion.view, camera=motion.camera, **more)


def test_a_body_agrees_with_the_whole_clip(inspire, make):
    motion = make["person"](inspire, make["wave"](inspire, frames=120))
    whole = retarget(motion, inspire)
    assert isinstance(whole, RobotMotion)
    steps = play(live_of(inspire, motion), motion)
    q = np.array([s.joint_pos for s in steps])
    assert_feasible(inspire, q)
    np.testing.assert_array_equal(q[0], inspire.tree.with_mimic(np.array(inspire.home)))
    names = [f"{side}_wrist" for side in SIDES]
    at, expected = (site_poses(inspire.tree, x, None, names)[SETTLED:, :, 4:] for x in (q, np.array(whole.joint_pos)))
    assert np.linalg.norm(at - expected, axis=-1).max() < 0.005
    assert np.median(np.abs(q - whole.joint_pos)[SETTLED:]) < 0.003
    for name in ("left_wrist", "right_index_tip"):
        left = np.median([s.error_m[name] for s in steps[SETTLED:]])
        assert left < 1.1 * np.nanmedian(whole.error_m[:, whole.error_names.index(name)]) + 3e-4
    assert steps[-1].follows == (True, True)


def test_hands_alone_follow_too(inspire, make):
    motion = make["person"](inspire, make["wave"](inspire, frames=90), body=False)
    live = live_of(inspire, motion, from_home=False)
    steps = play(live, motion)
    assert_feasible(inspire, np.array([s.joint_pos for s in steps])[10:])
    left = [s.error_m[f"{side}_wrist"] for s in steps[SETTLED:] for side in SIDES]
    assert np.median(left) < 0.005


def test_a_whole_body_carries_the_base(inspire, make):
    q, base = make["squat"](inspire, frames=90)
    motion = make["walker"](inspire, q, base)
    whole = retarget(motion, inspire, RetargetConfig(plant_feet=False))
    assert isinstance(whole, RobotMotion)
    assert whole.whole_body
    steps = play(live_of(inspire, motion), motion)
    T = np.array([s.T_world_base for s in steps])[SETTLED:]
    assert np.ptp(T[:, 6]) > 0.02  # it goes up and down
    for name in ("left_foot", "right_foot"):
        assert np.median([s.error_m[name] for s in steps[SETTLED:]]) < 0.02
    assert_feasible(inspire, np.array([s.joint_pos for s in steps]))


@pytest.mark.shared
@pytest.mark.parametrize("name", ["inspire_right", "shadow_right"])
def test_a_hand_on_a_real_track_agrees_with_the_whole_clip(name, shared):
    try:
        robot = load_robot(name)
    except MissingAsset as error:
        pytest.skip(str(error))
    path = shared / "data" / "motion" / "dexretarget_hand_joints.pkl"
    motion = read_motion(path, MotionFileConfig(rate_hz=30))
    whole = retarget(motion, robot)
    assert isinstance(whole, RobotMotion)
    live = live_of(robot, motion, from_home=False)
    points = np.asarray(motion.p_world_keypoint)[:, HAND_SLICES["right"]]
    steps = [live.step(int(t), p) for t, p in zip(motion.time_ns, points, strict=True)]
    assert_feasible(robot, np.array([s.joint_pos for s in steps])[10:])
    tips = [n for n in whole.error_names if n.endswith("_tip")]
    left = np.array([[s.error_m[n] for n in tips] for s in steps[20:]]).mean()
    expected = np.nanmean(whole.error_m[20:][:, [whole.error_names.index(n) for n in tips]])
    assert left < 1.1 * expected
    mount = np.array([s.T_world_base for s in steps])[20:]
    rows = len(mount)
    np.testing.assert_allclose(mount[:, 4:], np.asarray(whole.T_world_base)[20 : 20 + rows, 4:], atol=1e-6)


def test_a_blind_camera_lets_the_robot_slow_down_and_come_back(inspire, make):
    motion = make["person"](inspire, make["wave"](inspire, frames=120))
    live = live_of(inspire, motion)
    points = np.array(motion.p_world_keypoint)
    points[50:70] = np.nan
    points[80, :5] = np.inf
    steps = [live.step(int(t), p) for t, p in zip(motion.time_ns, points, strict=True)]
    q = np.array([s.joint_pos for s in steps])
    assert_feasible(inspire, q)
    assert steps[60].follows == (False, False)
    assert not steps[60].error_m
    home = inspire.tree.with_mimic(np.array(inspire.home))  # posture against velocity: 1/17 of the way in a frame
    assert (np.abs(q[69] - q[68]) <= np.abs(q[68] - home) / 16 + 1e-3).all()
    assert steps[-1].error_m["left_wrist"] < 0.005


def test_the_robot_keeps_its_own_clock(inspire, make):
    motion = make["person"](inspire, make["wave"](inspire, frames=60))
    live, points, step_ns = live_of(inspire, motion), np.asarray(motion.p_world_keypoint), 1_000_000_000 // 30
    at, said = 0, []
    for t in range(60):
        said.append(live.step(at, points[t]))
        at += step_ns // 3  # three times as fast as the robot
    q = np.array([s.joint_pos for s in said])
    assert_feasible(inspire, q)
    moved = np.abs(np.diff(q, axis=0)).max(axis=1) > 0
    assert 10 < moved.sum() <= 20
    assert live.step(at - 10 * step_ns, points[0]) is said[-1]  # from the past
    late = live.step(at + 30 * step_ns, points[0])  # a second later: a few ticks, no more
    assert (np.abs(late.joint_pos - q[-1]) * 30.0 <= 4 * inspire.max_speed * (1 + 1e-9)).all()
    live.reset()
    np.testing.assert_array_equal(live.step(0, points[0] * np.nan).joint_pos, q[0])


def test_links_stay_apart_where_that_is_asked(inspire, make):
    from vidpretrain.collision import distances, model_of

    motion = make["person"](inspire, make["wave"](inspire, frames=60))
    points = np.array(motion.p_world_keypoint)
    points[:, HAND_SLICES["left"]] += np.linspace(0, 1, 60)[:, None, None] * [0, -0.35, 0]  # a hand through the other
    live = LiveRetargeter(inspire, RetargetConfig(self_collision=True, placement="hands"), height_m=motion.height_m)
    q = np.array([live.step(int(t), p).joint_pos for t, p in zip(motion.time_ns, points, strict=True)])
    assert distances(model_of(inspire), inspire.tree, q).min() >= 0.0
    assert_feasible(inspire, q)


def test_points_of_another_skeleton_are_refused(inspire):
    live = LiveRetargeter(inspire)
    with pytest.raises(ValueError, match="human75"):
        live.step(0, np.zeros((33, 3)))
    with pytest.raises(ValueError, match="human75"):
        live.step(0, np.zeros((21, 3)))
