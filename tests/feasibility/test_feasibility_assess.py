"""Whole reports on a shipped robot: motions made to have one flaw each, the verdict, and what is written down."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from vidpretrain.feasibility import FeasibilityConfig, Flaw, Verdict, assess
from vidpretrain.feasibility.judge import on_leaders
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import load_robot
from vidpretrain.types import RobotMotion

RATE = 30.0


@pytest.fixture(scope="module")
def robot():
    """The robot of the real episodes."""
    return load_robot("g1_inspire")


def motion(robot, joint_pos, T_world_base=None, error_m=None, whole_body=False) -> RobotMotion:
    """A motion with errors of 1 mm unless told otherwise."""
    count = len(joint_pos)
    names = ("left_wrist", "left_index_tip", "left_thumb_tip", "right_wrist", "right_index_tip")
    yes = np.ones((count, 2), dtype=bool)
    base = np.tile([1.0, 0, 0, 0, 0, 0, robot.base_height_m], (count, 1)) if T_world_base is None else T_world_base
    return RobotMotion(
        clip_id="made",
        robot_name=robot.name,
        robot_digest=robot.digest,
        joint_names=robot.tree.joint_names,
        error_names=names,
        time_ns=np.arange(count) * 33_333_333,
        rate_hz=RATE,
        T_world_base=base,
        joint_pos=joint_pos,
        error_m=np.full((count, 5), 0.001) if error_m is None else error_m,
        converged=np.ones(count, dtype=bool),
        feasible=np.ones(count, dtype=bool),
        valid=yes,
        imputed=~yes,
        confidence=np.ones((count, 2)),
        whole_body=whole_body,
        T_base_camera=base,
    )


def home(robot, frames=40):
    return np.tile(robot.tree.with_mimic(np.array(robot.home)), (frames, 1))


def standing(robot, frames=40, lean_rad=0.0):
    """Straight legs and flat soles on the ground; the whole robot leans forwards about its ankles."""
    q = home(robot, frames)
    for side in ("left", "right"):
        q[:, robot.tree.joint(f"{side}_ankle_pitch_joint")] = -lean_rad
    base = np.array([np.cos(lean_rad / 2), 0, np.sin(lean_rad / 2), 0, 0, 0, 0])
    sole = site_poses(robot.tree, q[:1], base, ["left_foot"])[0, 0, 4:]
    base[6] = -sole[2]
    return q, np.tile(base, (frames, 1))


def found(report, flaw):
    return next((finding for finding in report.findings if finding.flaw is flaw), None)


def test_standing_at_home_is_feasible(robot):
    report = assess(motion(robot, home(robot)), robot)
    assert report.verdict is Verdict.FEASIBLE
    assert report.findings == ()
    assert report.playable.all()
    assert (report.limit_excess_rad == 0).all()
    assert (report.speed_share == 0).all()
    assert np.isnan(report.balance_m).all()
    assert 0.01 < report.torque_share.max() < 0.5
    legs = [j for side in ("left", "right") for j in robot.joints(f"{side}_leg")]
    assert np.isnan(report.torque_Nm[:, legs]).all()
    assert np.isfinite(np.delete(report.torque_Nm, legs, axis=1)).all()


def test_standing_on_the_ground_is_feasible_and_both_legs_share_the_weight(robot):
    q, base = standing(robot)
    report = assess(motion(robot, q, base, whole_body=True), robot)
    assert report.verdict is Verdict.FEASIBLE, [str(f) for f in report.findings]
    assert report.balance_m.min() > 0.01
    assert report.unsupported_share.max() < 0.05
    assert report.slide_m_s[1:].max() == pytest.approx(0.0, abs=1e-9)
    assert report.penetration_m.max() < 0.01
    left, right = (robot.tree.joint(f"{side}_ankle_pitch_joint") for side in ("left", "right"))
    assert report.torque_Nm[0, left] == pytest.approx(report.torque_Nm[0, right], abs=1.0)


def test_a_joint_outside_its_limit(robot):
    q = home(robot)
    j = robot.tree.joint("left_elbow_joint")
    q[7, j] = robot.tree.upper[j] + 0.01
    report = assess(motion(robot, q), robot)
    assert report.verdict is Verdict.INFEASIBLE
    finding = found(report, Flaw.LIMIT)
    assert finding.frames == 1
    assert finding.worst == pytest.approx(0.01)
    assert finding.where == "left_elbow_joint"
    np.testing.assert_array_equal(np.flatnonzero(report.limit_excess_rad), [7])


def test_speed_acceleration_and_jerk_of_a_ramp_and_a_cubic(robot):
    j = robot.tree.joint("left_wrist_roll_joint")
    q = home(robot)
    q[20:, j] += 1.5 * robot.max_speed[j] / RATE
    report = assess(motion(robot, q), robot)
    assert report.reasons[0] is Flaw.SPEED
    assert found(report, Flaw.SPEED).worst == pytest.approx(1.5)
    np.testing.assert_array_equal(np.flatnonzero(report.speed_share > 1), [19, 20])
    assert not report.playable[[19, 20]].any()
    time = np.arange(40) / RATE
    q = home(robot)
    q[:, j] += 0.2 * time**3
    report = assess(motion(robot, q), robot, FeasibilityConfig(max_acceleration_rad_s2=1.0, max_jerk_rad_s3=1.0))
    np.testing.assert_allclose(report.jerk_rad_s3, 1.2, rtol=1e-6)
    np.testing.assert_allclose(report.acceleration_rad_s2[2:-2], 1.2 * time[2:-2], atol=1.2 / RATE + 1e-6)
    assert {Flaw.ACCELERATION, Flaw.JERK} <= set(report.reasons)
    assert report.verdict is Verdict.INFEASIBLE


def test_a_shaken_arm_needs_more_torque_than_there_is(robot):
    q = home(robot)
    q[:, robot.tree.joint("left_shoulder_pitch_joint")] += 0.5 * np.sin(2 * np.pi * 4 * np.arange(40) / RATE)
    report = assess(motion(robot, q), robot)
    finding = found(report, Flaw.TORQUE)
    assert finding.counts
    assert report.verdict is Verdict.INFEASIBLE
    assert finding.worst == pytest.approx(np.nanmax(report.torque_share))


def test_an_arm_through_the_trunk(robot):
    q = home(robot)
    q[10:30, robot.tree.joint("left_shoulder_roll_joint")] = -0.6
    q[10:30, robot.tree.joint("left_elbow_joint")] = 0.0
    report = assess(motion(robot, q), robot, FeasibilityConfig())
    finding = found(report, Flaw.SELF_COLLISION)
    assert finding.frames == 20
    assert finding.share == pytest.approx(0.5)
    assert "left" in finding.where
    assert (report.collision_m[10:30] > 0.005).all()
    assert (report.collision_m[:10] == 0).all()
    np.testing.assert_array_equal(np.flatnonzero(~report.playable)[:1] >= 9, [True])


def test_sliding_and_sinking_are_doubtful(robot):
    q, base = standing(robot)
    base[:, 4] = np.arange(40) * 0.02  # 0.6 m/s
    base[20:, 6] -= 0.04
    report = assess(motion(robot, q, base, whole_body=True), robot)
    assert found(report, Flaw.FOOT_SLIDE).worst == pytest.approx(0.6)
    assert found(report, Flaw.FOOT_PENETRATION).share == pytest.approx(0.5)
    assert {Flaw.FOOT_SLIDE, Flaw.FOOT_PENETRATION} <= set(report.reasons)


def test_leaning_too_far_is_out_of_balance(robot):
    upright = assess(motion(robot, *standing(robot), whole_body=True), robot)
    leaning = assess(motion(robot, *standing(robot, lean_rad=0.45), whole_body=True), robot)
    assert leaning.balance_m.max() < upright.balance_m.min() - 0.1
    assert found(leaning, Flaw.BALANCE).share == 1.0
    assert {Flaw.BALANCE, Flaw.UNSUPPORTED} <= set(leaning.reasons)
    assert leaning.verdict is Verdict.DOUBTFUL


def test_errors_and_reach(robot):
    error = np.full((40, 5), 0.001)
    error[:4, 0] = 0.2
    error[:, 1], error[:, 2] = 0.02, 0.06
    error[:, 4] = np.nan
    report = assess(motion(robot, home(robot), error_m=error), robot)
    assert report.verdict is Verdict.DOUBTFUL
    assert found(report, Flaw.WRIST_ERROR).frames == 4
    assert found(report, Flaw.WRIST_ERROR).where == "left"
    np.testing.assert_allclose(report.tip_error_m[:, 0], 0.04)
    assert np.isnan(report.tip_error_m[:, 1]).all()
    assert found(report, Flaw.REACH) is None
    q = home(robot)
    straight = robot.tree.joints([f"left_{part}_joint" for part in ("elbow", "shoulder_roll", "shoulder_pitch")])
    grid = np.linspace(robot.tree.lower[straight[0]], robot.tree.upper[straight[0]], 40)
    q[:, straight[0]] = grid
    reach = assess(motion(robot, q), robot).reach_share[:, 0]
    assert reach.max() == pytest.approx(1.0, abs=0.02)
    assert reach.min() < 0.9


def test_frames_that_are_not_finite_are_counted_and_the_others_measured(robot):
    q = home(robot)
    q[[5, 6]] = np.nan
    report = assess(motion(robot, q), robot)
    assert found(report, Flaw.NOT_FINITE).frames == 2
    assert report.verdict is Verdict.INFEASIBLE
    np.testing.assert_array_equal(np.flatnonzero(~report.playable), [5, 6])
    assert np.isnan(report.torque_share[5])
    assert np.isfinite(report.torque_share[[4, 7]]).all()
    nothing = assess(motion(robot, np.full_like(q, np.nan)), robot)
    assert found(nothing, Flaw.NOT_FINITE).share == 1.0
    assert not nothing.playable.any()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_motions(robot, frames):
    report = assess(motion(robot, home(robot, frames)), robot)
    assert report.verdict is Verdict.FEASIBLE
    assert len(report.torque_share) == frames


def test_a_torque_without_a_limit_is_not_judged(robot):
    free = dataclasses.replace(robot, max_torque=np.full(len(robot.home), np.inf))
    q = home(robot)
    q[:, robot.tree.joint("left_shoulder_pitch_joint")] += 0.5 * np.sin(2 * np.pi * 4 * np.arange(40) / RATE)
    report = assess(motion(robot, q), free)
    assert np.isnan(report.torque_share).all()
    assert found(report, Flaw.TORQUE) is None
    assert report.summary()["measures"]["torque_share"] is None


def test_a_leader_carries_its_followers(robot):
    tree = robot.tree
    torque = np.zeros((1, len(tree.joint_names)))
    followers = np.flatnonzero(tree.mimic_source >= 0)
    torque[0, followers] = 1.0
    out = on_leaders(robot, torque)
    assert (out[0, followers] == 0).all()
    rate = np.random.default_rng(0).normal(size=len(tree.joint_names))
    rate[followers] = tree.mimic_ratio[followers] * rate[tree.mimic_source[followers]]
    assert float(out[0] @ rate) == pytest.approx(float(torque[0] @ rate))  # the same power


def test_a_summary_is_plain_json_and_columns_are_per_frame(robot):
    report = assess(motion(robot, *standing(robot), whole_body=True), robot)
    summary = json.loads(json.dumps(report.summary(), allow_nan=False))
    assert summary["verdict"] == "feasible"
    assert summary["frames"] == 40
    assert summary["measures"]["torque_share"]["max"] == pytest.approx(np.nanmax(report.torque_share))
    assert "min" in summary["measures"]["balance_m"]
    fixed = assess(motion(robot, home(robot)), robot).summary()
    assert fixed["measures"]["balance_m"] is None
    assert {"left_slide_m_s", "right_slide_m_s", "torque_share", "playable"} <= set(report.frame_columns())
    assert all(column.shape == (40,) for column in report.frame_columns().values())


def test_a_motion_of_another_robot_and_unchanged_inputs(robot):
    made = motion(robot, home(robot))
    before = np.array(made.joint_pos)
    assess(made, robot)
    np.testing.assert_array_equal(made.joint_pos, before)
    other = load_robot("g1_dex3")
    with pytest.raises(ValueError, match="other joints"):
        assess(dataclasses.replace(made), other)


@pytest.mark.parametrize("name", ["g1_dex3", "h1", "t1"])
def test_every_shipped_robot_stands_at_home(name):
    robot = load_robot(name)
    q = home(robot)
    report = assess(motion(robot, q), robot)
    assert report.verdict is Verdict.FEASIBLE, [str(f) for f in report.findings]
