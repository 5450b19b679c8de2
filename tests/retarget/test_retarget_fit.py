"""Whole retargeting: recovery of known motions, limits and speeds, gaps, refusals, placements."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.retarget import RetargetConfig, retarget
from vidpretrain.skeletons import HAND_SLICES, SIDES, skeleton
from vidpretrain.types import Reason, Reject, RobotMotion

SHARP = RetargetConfig(posture_sigma_rad=100.0, velocity_sigma_rad_s=1000.0, acceleration_sigma_rad_s2=5000.0)


def wrists(robot, joint_pos):
    return site_poses(robot.tree, joint_pos, None, [f"{side}_wrist" for side in SIDES])


def done(motion, robot, config=None) -> RobotMotion:
    found = retarget(motion, robot, config or RetargetConfig())
    assert isinstance(found, RobotMotion), found
    return found


def assert_playable(robot, motion: RobotMotion):
    """Limits, speeds and finiteness, checked from the robot's own numbers and not by the room's own check."""
    q = np.asarray(motion.joint_pos)
    assert np.isfinite(q).all()
    assert (q >= robot.tree.lower - 1e-9).all()
    assert (q <= robot.tree.upper + 1e-9).all()
    assert (np.abs(np.diff(q, axis=0)) * motion.rate_hz <= np.asarray(robot.max_speed) * (1 + 1e-9)).all()
    np.testing.assert_allclose(q, robot.tree.with_mimic(q), atol=1e-12)
    assert motion.feasible.all()
    assert np.isfinite(motion.T_world_base).all()


def test_a_robots_own_motion_comes_back(robot, make):
    truth = make["wave"](robot)
    found = done(make["person"](robot, truth), robot, SHARP)
    assert found.placement == "torso"
    assert_playable(robot, found)
    expected, got = wrists(robot, truth), wrists(robot, found.joint_pos)
    assert np.median(np.linalg.norm(got[..., 4:] - expected[..., 4:], axis=-1)) < 0.003
    assert np.max(np.linalg.norm(got[..., 4:] - expected[..., 4:], axis=-1)) < 0.015
    assert np.degrees(np.median(geometry.angle_between(got[..., :4], expected[..., :4]))) < 1.0
    assert found.valid.all()
    assert found.hand_valid is not None
    assert found.hand_valid.all()


def test_fingers_come_back(inspire, make):
    truth = make["wave"](inspire)
    found = done(make["person"](inspire, truth), inspire, SHARP)
    columns = [column for column in inspire.columns if column.unit == "fraction" and "thumb" not in column.name]
    joints = inspire.tree.joints([column.joint for column in columns])
    scale = np.array([column.scale for column in columns])
    fraction_error = np.abs((found.joint_pos[:, joints] - truth[:, joints]) * scale)
    assert np.median(fraction_error) < 0.05
    assert np.quantile(fraction_error, 0.95) < 0.15


def test_default_smoothing_stays_within_a_centimetre(robot, make):
    truth = make["wave"](robot)
    found = done(make["person"](robot, truth), robot)
    error = np.linalg.norm(wrists(robot, found.joint_pos)[..., 4:] - wrists(robot, truth)[..., 4:], axis=-1)
    assert np.median(error) < 0.01


def test_larger_people_are_scaled_to_the_robot(inspire, make):
    truth = make["wave"](inspire)
    person = make["person"](inspire, truth)
    larger = dataclasses.replace(person, p_world_keypoint=np.asarray(person.p_world_keypoint) * 1.3)
    alone = dataclasses.replace(SHARP, self_collision=False)  # contacts are of the robot's own size
    a, b = done(person, inspire, alone), done(larger, inspire, alone)
    assert b.figures["scale"] == pytest.approx(a.figures["scale"] / 1.3, rel=1e-6)
    np.testing.assert_allclose(wrists(inspire, a.joint_pos), wrists(inspire, b.joint_pos), atol=2e-3)


def test_turning_and_moving_the_world_changes_nothing(inspire, make):
    person = make["person"](inspire, make["wave"](inspire))
    T = geometry.pose(geometry.quat_exp(np.array([0.0, 0.0, 2.0])), np.array([3.0, -1.0, 0.4]))
    camera = dataclasses.replace(person.camera, T_world_camera=geometry.compose(T, person.camera.T_world_camera))
    moved = dataclasses.replace(person, p_world_keypoint=geometry.transform(T, person.p_world_keypoint), camera=camera)
    a, b = done(person, inspire), done(moved, inspire)
    np.testing.assert_allclose(a.joint_pos, b.joint_pos, atol=1e-3)
    np.testing.assert_allclose(a.T_base_camera, b.T_base_camera, atol=1e-6)


def test_left_stays_left(inspire, make):
    truth = np.tile(inspire.home, (60, 1))
    lift = inspire.tree.joint("left_shoulder_pitch_joint")
    truth[:, lift] -= 0.8 * np.sin(np.linspace(0, np.pi, 60))
    found = done(make["person"](inspire, inspire.tree.with_mimic(truth)), inspire)
    travel = np.ptp(wrists(inspire, found.joint_pos)[..., 4:], axis=0).max(axis=-1)
    assert travel[0] > 0.1
    assert travel[1] < 0.02


def test_jumps_of_the_input_stay_below_the_robots_speed(robot, make):
    truth = make["wave"](robot, frames=60)
    lower, upper = robot.tree.bounds()
    for side in SIDES:
        hand = list(robot.joints(f"{side}_hand"))
        truth[:, hand] = np.where((np.arange(60) // 5 % 2)[:, None], lower[hand], upper[hand])  # 3 Hz, end to end
    person = make["person"](robot, robot.tree.with_mimic(truth))
    points = np.array(person.p_world_keypoint)
    points[30:33] += np.array([0.0, 0.0, 2.0])
    points[40, 60:] += 5.0
    assert_playable(robot, done(dataclasses.replace(person, p_world_keypoint=points), robot))


def test_slow_down_is_rows_in_video_time_at_the_robots_rate(inspire, make):
    person = make["person"](inspire, make["wave"](inspire, frames=45))
    plain, slow = done(person, inspire), done(person, inspire, RetargetConfig(slow_down=3.0))
    assert slow.rate_hz == plain.rate_hz == 30.0
    assert abs(len(slow.time_ns) - 3 * len(plain.time_ns)) <= 3
    assert abs(int(slow.time_ns[-1]) - int(plain.time_ns[-1])) < 5_000_000

    def speed(m):
        return np.quantile(np.abs(np.diff(m.joint_pos, axis=0)) * m.rate_hz, 0.99)

    assert speed(slow) < 0.5 * speed(plain)


def test_a_side_without_data_rests_at_home_and_is_not_valid(robot, make):
    found = done(make["person"](robot, make["wave"](robot), sides=("right",), body=False), robot)
    assert found.placement == "hands"
    assert_playable(robot, found)
    assert found.valid[:, 1].all()
    assert not found.valid[:, 0].any()
    left = list(robot.joints("left_arm")) + list(robot.joints("left_hand"))
    np.testing.assert_allclose(found.joint_pos[:, left], np.tile(robot.home[left], (len(found.time_ns), 1)), atol=1e-3)
    assert (found.confidence[:, 0] == 0).all()
    assert (found.confidence[:, 1] > 0.5).all()


def test_nan_stretches_leave_the_rest_alone(inspire, make):
    truth = make["wave"](inspire)
    person = make["person"](inspire, truth)
    points, valid = np.array(person.p_world_keypoint), np.array(person.valid)
    sk = skeleton("human75")
    left = [*sk.indices("left_elbow", "left_wrist"), *range(*HAND_SLICES["left"].indices(75))]
    points[30:50, left] = np.nan
    valid[30:50, left] = False
    found = done(dataclasses.replace(person, p_world_keypoint=points, valid=valid), inspire)
    assert_playable(inspire, found)
    np.testing.assert_array_equal(np.flatnonzero(~found.valid[:, 0]), np.arange(30, 50))
    assert found.valid[:, 1].all()
    error = np.linalg.norm(wrists(inspire, found.joint_pos)[..., 4:] - wrists(inspire, truth)[..., 4:], axis=-1)
    assert np.median(error[:25, 0]) < 0.01
    assert np.median(error[55:, 0]) < 0.01
    assert np.median(error[:, 1]) < 0.01


def test_a_mirrored_hand_is_refused_and_counted(inspire, make):
    person = make["person"](inspire, make["wave"](inspire), body=False)
    points = np.array(person.p_world_keypoint)
    columns = HAND_SLICES["right"]
    mirror = points[:, columns].copy()
    mirror[..., 1] = 2 * mirror[:, :1, 1] - mirror[..., 1]
    points[:, columns] = mirror
    found = done(dataclasses.replace(person, p_world_keypoint=points), inspire)
    assert found.figures["right_mirrored_frames"] == len(person.time_ns)
    assert found.figures["left_mirrored_frames"] == 0
    assert not found.valid[:, 1].any()
    assert found.valid[:, 0].all()


def test_a_mirrored_body_is_a_reject_that_says_so(inspire, make):
    person = make["person"](inspire, make["wave"](inspire))
    sk, points = skeleton("human75"), np.array(person.p_world_keypoint)
    for name, offset in (("nose", 0.13), ("left_ear", 0.0), ("right_ear", 0.0)):
        points[:, sk.index(name)] = np.array([offset, 0.0, 1.6])
    seen = np.isfinite(points).all(-1)
    person = dataclasses.replace(person, valid=seen, sigma_m=np.where(seen, 0.01, np.nan), p_world_keypoint=points)
    assert done(person, inspire).placement == "torso"
    mirrored = dataclasses.replace(person, p_world_keypoint=points * np.array([1.0, -1.0, 1.0]))
    found = retarget(mirrored, inspire)
    assert isinstance(found, Reject)
    assert found.reason is Reason.NO_USABLE_SEGMENT
    assert "left and right are exchanged" in found.detail


def test_a_body_in_millimetres_is_a_reject_that_says_so(inspire, make):
    person = make["person"](inspire, make["wave"](inspire))
    found = retarget(dataclasses.replace(person, p_world_keypoint=np.asarray(person.p_world_keypoint) * 1e3), inspire)
    assert isinstance(found, Reject)
    assert "not in metres" in found.detail


def test_a_trunk_that_changes_its_size_is_somebody_else(inspire, make):
    truth = make["wave"](inspire)
    person = make["person"](inspire, truth)
    points = np.array(person.p_world_keypoint)
    points[40:50] *= np.array([0.3, -0.3, -0.3])  # small and upside down
    points[40:50, 33:] = person.p_world_keypoint[40:50, 33:]  # the hands stay
    found = done(dataclasses.replace(person, p_world_keypoint=points), inspire)
    np.testing.assert_array_equal(np.flatnonzero(~found.valid.any(axis=1)), np.arange(40, 50))
    error = np.linalg.norm(wrists(inspire, found.joint_pos)[..., 4:] - wrists(inspire, truth)[..., 4:], axis=-1)
    assert np.median(error[:36]) < 0.01
    assert np.median(error[54:]) < 0.01


def test_a_hand_that_teleports_costs_only_those_frames(inspire, make):
    person = make["person"](inspire, make["wave"](inspire), body=False)
    points = np.array(person.p_world_keypoint)
    away = np.arange(3, 90, 9)
    points[away] += 5.0
    found = done(dataclasses.replace(person, p_world_keypoint=points), inspire)
    np.testing.assert_array_equal(np.flatnonzero(~found.valid[:, 0]), away)
    assert found.figures["left_far_frames"] == len(away)
    assert found.figures["left_wrist_median_m"] < 0.02


def test_both_hands_mirrored_is_a_reject_that_says_so(inspire, make):
    person = make["person"](inspire, make["wave"](inspire), body=False)
    points = np.array(person.p_world_keypoint) * np.array([1.0, -1.0, 1.0])
    found = retarget(dataclasses.replace(person, p_world_keypoint=points), inspire, RetargetConfig())
    assert isinstance(found, Reject)
    assert found.reason is Reason.NO_USABLE_SEGMENT
    assert "180 hands were mirrored" in found.detail


def test_egocentric_hands_keep_their_place_in_the_picture(inspire, make):
    truth = make["wave"](inspire)
    person = make["person"](inspire, truth, body=False, view="ego")
    base = np.array([1.0, 0, 0, 0, 0, 0, inspire.base_height_m])
    camera = dataclasses.replace(
        person.camera, T_world_camera=np.tile(geometry.compose(base, inspire.T_base_camera), (len(truth), 1))
    )
    arm = RetargetConfig().arm_by_height
    from vidpretrain.robot.sizes import measure

    height = measure(inspire).arms["left"].length_m / arm  # a person with the robot's arms
    person = dataclasses.replace(person, camera=camera, height_m=height)
    found = done(person, inspire, SHARP)
    assert found.placement == "ego"
    assert found.figures["scale"] == pytest.approx(1.0)
    assert found.figures["offset_m"] < 0.01
    expected, got = wrists(inspire, truth), wrists(inspire, found.joint_pos)
    assert np.median(np.linalg.norm(got[..., 4:] - expected[..., 4:], axis=-1)) < 0.01
    np.testing.assert_allclose(found.T_base_camera[:, 4:], np.tile(inspire.T_base_camera[4:], (90, 1)), atol=0.011)


@pytest.mark.parametrize("pitch_deg", [0.0, 20.0, 48.0, 85.0])
def test_the_pitch_of_the_persons_camera_does_not_tilt_the_hands(inspire, make, pitch_deg):
    truth = make["wave"](inspire)
    person = make["person"](inspire, truth, body=False, view="ego")
    turn = geometry.pose(geometry.quat_exp(np.array([0.0, 0.0, 0.8])), np.array([2.0, 1.0, 0.3]))  # walked elsewhere
    pitch = np.deg2rad(pitch_deg)
    axes = np.array([[0, -np.sin(pitch), np.cos(pitch)], [-1, 0, 0], [0, -np.cos(pitch), -np.sin(pitch)]])
    eye = geometry.pose(
        geometry.quat_from_matrix(axes), inspire.T_base_camera[4:] + np.array([0, 0, inspire.base_height_m])
    )
    from vidpretrain.robot.sizes import measure

    camera = dataclasses.replace(person.camera, T_world_camera=np.tile(geometry.compose(turn, eye), (len(truth), 1)))
    person = dataclasses.replace(
        person,
        camera=camera,
        p_world_keypoint=geometry.transform(turn, person.p_world_keypoint),
        height_m=measure(inspire).arms["left"].length_m / RetargetConfig().arm_by_height,
    )
    found = done(person, inspire, SHARP)
    assert found.placement == "ego"
    assert found.figures["camera_pitch_rad"] == pytest.approx(pitch, abs=1e-6)
    expected, got = wrists(inspire, truth), wrists(inspire, found.joint_pos)
    assert np.median(np.linalg.norm(got[..., 4:] - expected[..., 4:], axis=-1)) < 0.01
    assert np.degrees(np.median(geometry.angle_between(got[..., :4], expected[..., :4]))) < 1.0
    ahead = geometry.rotate(found.T_base_camera[:, :4], np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(ahead, np.tile([np.cos(pitch), 0, -np.sin(pitch)], (len(ahead), 1)), atol=0.01)


def test_hands_alone_are_put_in_front_of_the_robot_facing_the_camera(inspire, make):
    truth = make["wave"](inspire)
    person = make["person"](inspire, truth, body=False)
    T = geometry.pose(geometry.quat_exp(np.array([0.0, 0.0, 2.1])), np.array([5.0, 5.0, 1.0]))
    camera = dataclasses.replace(person.camera, T_world_camera=geometry.compose(T, person.camera.T_world_camera))
    turned = dataclasses.replace(person, p_world_keypoint=geometry.transform(T, person.p_world_keypoint), camera=camera)
    found = done(turned, inspire)
    assert found.placement == "hands"
    assert abs(found.figures["heading_rad"]) < 0.3
    place = np.median(wrists(inspire, found.joint_pos)[..., 4:], axis=0)
    home = wrists(inspire, inspire.home[None])[0, :, 4:]
    assert np.linalg.norm(place.mean(axis=0) - home.mean(axis=0)) < 0.05
    assert place[0, 1] > 0.03
    assert place[1, 1] < -0.03


def test_a_squat_comes_back_with_feet_on_the_ground(robot, make):
    truth, base = make["squat"](robot)
    found = done(make["walker"](robot, truth, base), robot)
    assert found.whole_body
    assert_playable(robot, found)
    expected, got = base[:, 6] - base[0, 6], found.T_world_base[:, 6] - found.T_world_base[0, 6]
    assert np.ptp(expected) > 0.1
    assert np.abs(expected - got).max() < 0.03
    soles = site_poses(robot.tree, found.joint_pos, found.T_world_base, ["left_foot", "right_foot"])[..., 4:]
    assert np.abs(soles[..., 2]).max() < 0.03
    assert np.ptp(soles, axis=0).max() < 0.03  # no sliding
    heading = geometry.rotate(found.T_world_base[:, :4], np.array([1.0, 0, 0]))
    assert heading[:, 0].min() > 0.95


def test_legs_can_be_left_out(robot, make):
    truth, base = make["squat"](robot)
    found = done(make["walker"](robot, truth, base), robot, RetargetConfig(whole_body="never"))
    assert not found.whole_body
    np.testing.assert_array_equal(np.unique(found.T_world_base, axis=0), [[1, 0, 0, 0, 0, 0, robot.base_height_m]])
    still = [j for group in ("waist", "left_leg", "right_leg") for j in robot.joints(group)]
    np.testing.assert_array_equal(found.joint_pos[:, still], np.tile(robot.home[still], (len(truth), 1)))


def test_slow_video_is_marked_between_its_samples(inspire, make):
    person = make["person"](inspire, make["wave"](inspire, frames=20, rate_hz=5.0), rate_hz=5.0)
    found = done(person, inspire)
    assert len(found.time_ns) == 115
    assert_playable(inspire, found)
    assert 0.4 < found.imputed.mean() < 0.6
    assert found.valid.all()


def test_too_short_and_wrong_skeleton(inspire, make):
    person = make["person"](inspire, make["wave"](inspire, frames=4))
    found = retarget(person, inspire)
    assert isinstance(found, Reject)
    assert found.reason is Reason.TOO_SHORT
    with pytest.raises(ValueError, match="human75"):
        retarget(dataclasses.replace(person, skeleton="body33"), inspire)


def test_poor_tracking_is_a_reject_with_the_figure(inspire, make):
    person = make["person"](inspire, make["wave"](inspire))
    found = retarget(person, inspire, RetargetConfig(max_median_error_m=1e-9))
    assert isinstance(found, Reject)
    assert found.reason is Reason.POOR_TRACKING
    assert "cm off" in found.detail


def test_inputs_are_left_as_they_were(inspire, make):
    person = make["person"](inspire, make["wave"](inspire))
    before = {name: np.array(getattr(person, name)) for name in ("p_world_keypoint", "sigma_m", "valid", "time_ns")}
    home = np.array(inspire.home)
    done(person, inspire)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(person, name), value)
    np.testing.assert_array_equal(inspire.home, home)


def test_the_same_input_gives_the_same_output(inspire, make):
    person = make["person"](inspire, make["wave"](inspire))
    np.testing.assert_array_equal(done(person, inspire).joint_pos, done(person, inspire).joint_pos)
