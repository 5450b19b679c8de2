"""Self-collision in retargeting: links are kept apart, and that neither rejects a clip nor unsettles its frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain.collision import distances, model_of
from vidpretrain.retarget import RetargetConfig, retarget
from vidpretrain.types import RobotMotion

ON, OFF = RetargetConfig(self_collision=True), RetargetConfig(self_collision=False)


@pytest.fixture(scope="module")
def motions(make, inspire):
    """One person's motion without and with self-collision: the upper arms press into the trunk."""
    person = make["person"](inspire, make["wave"](inspire))
    out = [retarget(person, inspire, config) for config in (OFF, ON)]
    assert all(isinstance(motion, RobotMotion) for motion in out), out
    return out


def colliding(robot, motion: RobotMotion) -> int:
    gap = distances(model_of(robot), robot.tree, np.asarray(motion.joint_pos))
    return int((gap < 0.0).any(axis=1).sum())


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


def test_targets_that_give_way_do_not_reject_a_clip(make, inspire, motions):
    off, on = motions
    wrists = [on.error_names.index(f"{side}_wrist") for side in ("left", "right")]
    before, after = np.median(off.error_m[:, wrists]), np.median(on.error_m[:, wrists])
    assert after > 1.02 * before  # they did give way
    tight = dataclasses.replace(ON, max_median_error_m=float(0.5 * (before + after)))
    person = make["person"](inspire, make["wave"](inspire))
    assert isinstance(retarget(person, inspire, tight), RobotMotion)


def test_nothing_is_solved_again_where_nothing_touches(make, inspire):
    still = np.tile(inspire.home, (30, 1))
    person = make["person"](inspire, inspire.tree.with_mimic(still))
    off, on = retarget(person, inspire, OFF), retarget(person, inspire, ON)
    assert isinstance(off, RobotMotion)
    assert isinstance(on, RobotMotion)
    assert on.figures["colliding_frames_free"] == 0
    np.testing.assert_array_equal(off.joint_pos, on.joint_pos)
