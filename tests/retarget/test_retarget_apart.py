"""Self-collision in retargeting: links are kept apart, and that neither rejects a clip nor unsettles its frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain.collision import distances, hulls_of, model_of
from vidpretrain.feasibility import assess
from vidpretrain.kinematics import site_poses
from vidpretrain.retarget import RetargetConfig, retarget, verdicts
from vidpretrain.types import RobotMotion

ON, OFF = RetargetConfig(self_collision=True), RetargetConfig(self_collision=False)
AUTO = RetargetConfig()


@pytest.fixture(scope="module")
def motions(make, inspire):
    """One person's motion without and with self-collision: the upper arms press into the trunk."""
    person = make["person"](inspire, make["wave"](inspire))
    out = [retarget(person, inspire, config) for config in (OFF, ON)]
    assert all(isinstance(motion, RobotMotion) for motion in out), out
    return out


def colliding(robot, motion: RobotMotion) -> int:
    q = np.asarray(motion.joint_pos)
    found = hulls_of(robot).touches(q, np.arange(len(q)), 0.0)
    return len(set(found.frame[found.gap_m < 0.0].tolist()))


def test_links_are_kept_apart_and_the_figures_count_what_overlaps(inspire, motions):
    off, on = motions
    assert "colliding_frames" not in off.figures
    assert on.figures["colliding_frames_free"] == colliding(inspire, off)
    assert on.figures["colliding_frames"] == colliding(inspire, on)
    assert colliding(inspire, off) > 30
    assert colliding(inspire, on) <= 0.05 * colliding(inspire, off)
    assert on.feasible.all()


def test_frames_are_as_settled_as_without_contacts(motions):
    off, on = motions
    np.testing.assert_array_equal(on.converged, off.converged)
    assert on.figures["iterations"] > off.figures["iterations"]


def pressed(make, robot, by_rad: float):
    """The person of a robot whose upper arms are turned that far into the trunk."""
    q = make["wave"](robot)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        q[:, robot.tree.joint_names.index(f"{side}_shoulder_roll_joint")] += sign * by_rad
    return make["person"](robot, q)


def test_targets_that_give_way_do_not_reject_a_clip(make, inspire):
    person = pressed(make, inspire, 0.25)
    off, on = retarget(person, inspire, OFF), retarget(person, inspire, ON)
    wrists = [on.error_names.index(f"{side}_wrist") for side in ("left", "right")]
    before, after = np.median(off.error_m[:, wrists]), np.median(on.error_m[:, wrists])
    assert after > 1.02 * before  # they did give way
    tight = dataclasses.replace(ON, max_median_error_m=float(0.5 * (before + after)))
    assert isinstance(retarget(person, inspire, tight), RobotMotion)


def depth_by_the_judge(robot, motion: RobotMotion) -> np.ndarray:
    found = assess(motion, robot)
    return np.maximum(found.collision_m, found.finger_collision_m)


def test_a_motion_whose_capsules_overlap_but_whose_hulls_do_not_is_left_alone(make, inspire):
    still = np.tile(inspire.home, (30, 1))
    still[:, inspire.tree.joint_names.index("left_shoulder_roll_joint")] -= 0.2
    person = make["person"](inspire, inspire.tree.with_mimic(still))
    off, on = retarget(person, inspire, OFF), retarget(person, inspire, ON)
    assert distances(model_of(inspire), inspire.tree, np.asarray(off.joint_pos)).min() < 0.0
    assert depth_by_the_judge(inspire, off).max() == 0.0
    np.testing.assert_array_equal(off.joint_pos, on.joint_pos)


def test_a_contact_moves_wrists_by_no_more_than_its_depth(make, inspire):
    person = pressed(make, inspire, 0.1)
    off, on = retarget(person, inspire, OFF), retarget(person, inspire, ON)
    depth, left = depth_by_the_judge(inspire, off), depth_by_the_judge(inspire, on)
    assert (depth > 0.005).mean() > 0.5
    assert depth.max() < 0.04
    assert (left > 0.005).mean() <= 0.01
    sites = ("left_wrist", "right_wrist")
    before, after = (site_poses(inspire.tree, np.asarray(m.joint_pos), None, sites)[..., 4:] for m in (off, on))
    moved = np.linalg.norm(after - before, axis=-1).max(axis=1)
    assert np.median(moved) < 0.5 * np.median(depth)  # arms turn out of the way around the wrists
    assert moved.max() < depth.max()


def test_nothing_is_solved_again_where_nothing_touches(make, inspire):
    still = np.tile(inspire.home, (30, 1))
    person = make["person"](inspire, inspire.tree.with_mimic(still))
    off, on = retarget(person, inspire, OFF), retarget(person, inspire, ON)
    assert isinstance(off, RobotMotion)
    assert isinstance(on, RobotMotion)
    assert on.figures["colliding_frames_free"] == 0
    np.testing.assert_array_equal(off.joint_pos, on.joint_pos)


def test_auto_keeps_apart_what_is_deep_in_itself(make, inspire):
    person = pressed(make, inspire, 0.1)
    off, on, auto = (retarget(person, inspire, config) for config in (OFF, ON, AUTO))
    assert assess(off, inspire).verdict == "infeasible"
    assert assess(auto, inspire).verdict != "infeasible"
    assert auto.figures["kept_apart"] == 1.0
    assert auto.figures["colliding_frames"] == on.figures["colliding_frames"]
    np.testing.assert_array_equal(auto.joint_pos, on.joint_pos)


def test_auto_leaves_alone_what_is_within_the_error_of_shapes(make, inspire):
    person = pressed(make, inspire, 0.01)
    off, auto = retarget(person, inspire, OFF), retarget(person, inspire, AUTO)
    depth = depth_by_the_judge(inspire, off)
    if depth.max() > 0.005:
        pytest.skip("the arms of this model are deeper in the trunk at home")
    assert "kept_apart" not in auto.figures
    np.testing.assert_array_equal(off.joint_pos, auto.joint_pos)


def test_auto_takes_the_free_motion_where_keeping_apart_makes_the_verdict_worse(make, inspire, monkeypatch):
    """The judge is told that torques fail once the arms are away from the trunk: what it then says decides."""
    person = pressed(make, inspire, 0.1)
    off, real = retarget(person, inspire, OFF), verdicts.assess

    def harsh(motion, robot, config):
        found = real(motion, robot, config)
        if np.array_equal(motion.joint_pos, off.joint_pos):
            return dataclasses.replace(found, verdict="doubtful", findings=())
        return dataclasses.replace(found, verdict="infeasible")

    monkeypatch.setattr(verdicts, "assess", harsh)
    auto = retarget(person, inspire, AUTO)
    assert auto.figures["kept_apart"] == 0.0
    assert auto.figures["colliding_frames"] == colliding(inspire, off)
    np.testing.assert_array_equal(auto.joint_pos, off.joint_pos)
    np.testing.assert_array_equal(auto.error_m, off.error_m)
