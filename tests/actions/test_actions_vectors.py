"""Layouts, trajectories and their inverse, on both robots and on the real episodes."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.actions import ActionConfig, joint_pos, robot_groups, spec_for, trajectory, with_wrists
from vidpretrain.errors import InputError
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import load_robot
from vidpretrain.types import Activity, RobotMotion


@pytest.fixture(scope="module", params=["g1_inspire", "g1_dex3"])
def robot(request):
    return load_robot(request.param)


def motion_of(robot, positions, rate_hz=30.0, **changes) -> RobotMotion:
    frames = len(positions)
    fields = {
        "clip_id": "made",
        "robot_name": robot.name,
        "robot_digest": robot.digest,
        "joint_names": robot.tree.joint_names,
        "error_names": ("left_wrist",),
        "time_ns": np.arange(frames) * 33_333_333,
        "rate_hz": rate_hz,
        "T_world_base": np.tile(geometry.IDENTITY_POSE, (frames, 1)),
        "joint_pos": positions,
        "error_m": np.zeros((frames, 1)),
        "converged": np.ones(frames, dtype=bool),
        "feasible": np.ones(frames, dtype=bool),
        "valid": np.ones((frames, 2), dtype=bool),
        "imputed": np.zeros((frames, 2), dtype=bool),
        "confidence": np.tile([0.5, 0.75], (frames, 1)),
        "whole_body": False,
        "T_base_camera": np.tile(geometry.IDENTITY_POSE, (frames, 1)),
    }
    return RobotMotion(**{**fields, **changes})


def random_positions(robot, frames=20, seed=0):
    """Arms and hands anywhere inside their limits, the rest at home."""
    lower, upper = robot.tree.bounds()
    out = np.tile(robot.home, (frames, 1))
    move = [j for group in ("left_arm", "right_arm", "left_hand", "right_hand") for j in robot.joints(group)]
    out[:, move] = np.random.default_rng(seed).uniform(lower[move], upper[move], (frames, len(move)))
    return robot.tree.with_mimic(out)


def test_layout_is_arms_hands_wrists(robot):
    spec = spec_for(robot, ActionConfig(horizon=8), "human")
    assert [group.name for group in spec.groups] == [
        f"{side}_{part}" for part in ("arm", "hand", "wrist") for side in ("left", "right")
    ]
    assert (spec.embodiment, spec.horizon) == ("human", 8)
    assert [group.representation for group in spec.groups] == ["relative"] * 2 + ["absolute"] * 2 + ["relative"] * 2
    assert spec.groups[0].width == 7
    assert spec.groups[2].unit == robot.group_columns("left_hand")[0].unit
    assert spec.groups[2].names == tuple(column.name for column in robot.group_columns("left_hand"))
    assert len(set(spec.names)) == spec.width
    plain = spec_for(robot, ActionConfig(wrist_poses=False))
    assert plain.embodiment == robot.name
    assert plain.groups == robot_groups(spec)


def test_joints_come_back_from_the_vector(robot):
    positions = random_positions(robot)
    spec = spec_for(robot, ActionConfig())
    made = trajectory(motion_of(robot, positions), robot, spec)
    assert made.state.dtype == np.float32
    np.testing.assert_allclose(joint_pos(made.state, robot, spec), positions, atol=3e-6)
    np.testing.assert_array_equal(made.action[:-1], made.state[1:])
    np.testing.assert_array_equal(made.action[-1], made.state[-1])


def test_wrist_columns_are_the_wrist_sites_and_with_wrists_agrees(robot):
    positions = random_positions(robot, seed=1)
    spec = spec_for(robot, ActionConfig())
    state = trajectory(motion_of(robot, positions), robot, spec).state
    slices = spec.slices()
    for side in ("left", "right"):
        found = geometry.pose_from_pose9(state[:, slices[f"{side}_wrist"]])
        truth = site_poses(robot.tree, positions, None, [f"{side}_wrist"])[:, 0]
        np.testing.assert_allclose(found[:, 4:], truth[:, 4:], atol=1e-6)
        assert geometry.angle_between(found[:, :4], truth[:, :4]).max() < 1e-3
    own = sum(group.width for group in robot_groups(spec))
    np.testing.assert_allclose(with_wrists(state[:, :own], robot, spec), state, atol=2e-6)
    np.testing.assert_allclose(with_wrists(state[0, :own], robot, spec), state[0], atol=2e-6)
    with pytest.raises(InputError, match="columns"):
        with_wrists(state, robot, spec)


def test_clip_keeps_limits_and_mimic_joints_follow(robot):
    spec = spec_for(robot, ActionConfig())
    wild = np.full(spec.width, 50.0)
    found = joint_pos(wild, robot, spec, clip=True)
    assert (found >= robot.tree.lower - 1e-9).all()
    assert (found <= robot.tree.upper + 1e-9).all()
    np.testing.assert_array_equal(found, robot.tree.with_mimic(found))


def test_flags_go_to_the_columns_of_their_side_and_cover_state_and_action(robot):
    frames = 6
    valid = np.ones((frames, 2), dtype=bool)
    valid[3, 0] = False
    hand = valid.copy()
    hand[1, 1] = False
    imputed = np.zeros((frames, 2), dtype=bool)
    imputed[5, 1] = True
    motion = motion_of(robot, random_positions(robot, frames), valid=valid, hand_valid=hand, imputed=imputed)
    spec = spec_for(robot, ActionConfig())
    made, at = trajectory(motion, robot, spec), spec.slices()
    np.testing.assert_array_equal(made.valid[:, at["left_arm"]].all(axis=1), [1, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(made.valid[:, at["left_wrist"]].any(axis=1), [1, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(made.valid[:, at["right_hand"]].all(axis=1), [0, 0, 1, 1, 1, 1])
    assert made.valid[:, at["right_arm"]].all()
    np.testing.assert_array_equal(made.imputed[:, at["right_hand"]].any(axis=1), [0, 0, 0, 0, 1, 1])
    assert not made.imputed[:, at["left_hand"]].any()
    assert set(np.unique(made.confidence[:, at["right_arm"]])) == {0.75}


def test_infeasible_frames_are_not_valid(robot):
    feasible = np.array([True, True, False, True])
    made = trajectory(
        motion_of(robot, random_positions(robot, 4), feasible=feasible), robot, spec_for(robot, ActionConfig())
    )
    np.testing.assert_array_equal(made.valid.all(axis=1), [True, False, False, True])


def test_another_robot_or_rate_is_an_error(robot):
    spec = spec_for(robot, ActionConfig())
    with pytest.raises(InputError, match="another robot"):
        trajectory(motion_of(robot, random_positions(robot), robot_digest="0" * 16), robot, spec)
    with pytest.raises(InputError, match="rate"):
        trajectory(motion_of(robot, random_positions(robot), rate_hz=25.0), robot, spec)


def test_real_episodes_lie_in_limits_with_wrists_in_front(shared_robot):
    import pandas as pd

    robot = load_robot("g1_inspire")
    spec = spec_for(robot, ActionConfig())
    files = sorted((shared_robot / "data").rglob("*.parquet"))[::6]
    state = np.concatenate([np.stack(pd.read_parquet(file)["observation.state"].to_list()) for file in files])
    vector = with_wrists(state, robot, spec)
    hands = vector[:, spec.slices()["left_hand"].start : spec.slices()["right_hand"].stop]
    assert hands.min() >= 0
    assert hands.max() <= 1
    positions = joint_pos(vector, robot, spec)
    lower, upper = robot.tree.bounds()
    inside = (positions >= lower - 1e-3) & (positions <= upper + 1e-3)
    bad = [name for name, ok in zip(robot.tree.joint_names, inside.all(axis=0), strict=True) if not ok]
    assert not bad
    for side, sign in (("left", 1), ("right", -1)):
        place = vector[:, spec.slices()[f"{side}_wrist"]][:, :3]
        assert (place[:, 0] > 0.05).all()  # in front of the pelvis
        assert (np.median(place[:, 1]) * sign) > 0.05  # on its own side
        assert (np.abs(place[:, 2]) < 0.6).all()


def test_a_whole_body_has_waist_head_legs_and_the_base(robot):
    """Every joint with a motor comes back from the vector, and the base's pose from its nine numbers."""
    rng = np.random.default_rng(3)
    lower, upper = robot.tree.bounds()
    positions = robot.tree.with_mimic(rng.uniform(lower, upper, (12, len(lower))))
    base = geometry.pose(geometry.quat_exp(rng.normal(0, 0.4, (12, 3))), rng.normal(0, 1, (12, 3)))
    spec = spec_for(robot, ActionConfig(horizon=4), "human", whole_body=True)
    names = [group.name for group in spec.groups]
    assert names[-4:] == ["waist", "left_leg", "right_leg", "base"]
    made = trajectory(motion_of(robot, positions, T_world_base=base, whole_body=True), robot, spec)
    moved = [j for name in names for j in robot.joints(name)]
    assert len(moved) > 40
    np.testing.assert_allclose(joint_pos(made.state, robot, spec)[:, moved], positions[:, moved], atol=1e-5)
    nine = made.state[:, spec.slices()["base"]]
    back = geometry.pose_from_pose9(nine)
    np.testing.assert_allclose(back[:, 4:], base[:, 4:], atol=1e-6)
    assert geometry.angle_between(back[:, :4], base[:, :4]).max() < 1e-3
    one_side = np.tile([True, False], (12, 1))
    half = trajectory(motion_of(robot, positions, T_world_base=base, valid=one_side), robot, spec)
    assert half.valid[:, spec.slices()["waist"]].all()
    assert half.valid[:, spec.slices()["left_leg"]].all()
    assert not half.valid[:, spec.slices()["right_leg"]].any()


def test_grasp_bits_are_those_of_the_activity_and_valid_where_a_hand_is_known(robot):
    spec = spec_for(robot, ActionConfig(grasp=True))
    assert [group.name for group in spec.groups[-2:]] == ["left_grasp", "right_grasp"]
    assert "left_grasp" not in spec_for(robot, ActionConfig()).slices()
    t = np.arange(12)
    activity = Activity(
        clip_id="made",
        time_ns=t * 33_333_333,
        wrist_speed_m_s=np.zeros((12, 2)),
        grasp=np.stack([t >= 6, t < 3], axis=1),
        contact=np.zeros((12, 2)),
        known=np.stack([np.ones(12, dtype=bool), t != 9], axis=1),
        stretches=(),
    )
    positions = random_positions(robot, 12)
    made = trajectory(motion_of(robot, positions), robot, spec, activity)
    left, right = spec.slices()["left_grasp"], spec.slices()["right_grasp"]
    np.testing.assert_array_equal(made.state[:, left][:, 0], t >= 6)
    np.testing.assert_array_equal(made.action[:, right][:, 0], np.append(t[1:] < 3, False))
    assert made.valid[:, left].all()
    np.testing.assert_array_equal(made.valid[:, right][:, 0], (t != 9) & (t != 8))
    np.testing.assert_allclose(joint_pos(made.state, robot, spec), positions, atol=3e-6)
    without = trajectory(motion_of(robot, positions), robot, spec)
    assert not without.valid[:, left].any()
    assert without.valid[:, spec.slices()["left_arm"]].all()
