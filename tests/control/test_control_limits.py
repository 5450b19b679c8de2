"""Limits in a vector's columns, and projection onto them."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.actions import ActionConfig, joint_pos, spec_for
from vidpretrain.control import ColumnLimits, limits_of, planned, project
from vidpretrain.errors import InputError
from vidpretrain.robot import load_robot


@pytest.fixture(scope="module", params=["g1_inspire", "g1_dex3"])
def setting(request):
    robot = load_robot(request.param)
    spec = spec_for(robot, ActionConfig())
    return robot, spec, limits_of(robot, spec)


def wild(spec, seed=0, rows=40):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (rows, spec.width)), rng.normal(0, 0.3, spec.width)


def test_projected_actions_keep_the_robots_own_limits_and_speeds(setting):
    robot, spec, limits = setting
    chunk, state = wild(spec)
    inside = project(chunk, state, limits)
    low, high = robot.tree.bounds()
    free = robot.tree.mimic_source < 0
    positions = joint_pos(inside, robot, spec)
    assert (positions[:, free] >= (low - 1e-9)[free]).all()
    assert (positions[:, free] <= (high + 1e-9)[free]).all()
    speed = np.abs(np.diff(positions, axis=0)) * spec.rate_hz
    assert (speed[:, free] <= (np.asarray(robot.max_speed) + 1e-6)[free]).all()
    assert (np.abs(joint_pos(chunk, robot, spec)) > 2).any()  # the question was out of reach


def test_projection_is_idempotent_and_leaves_feasible_actions_alone(setting):
    _, spec, limits = setting
    chunk, state = wild(spec)
    once = project(chunk, state, limits)
    np.testing.assert_allclose(project(once, state, limits), once, atol=1e-12)
    start = np.clip(state, limits.lower, limits.upper)
    slow = start + np.linspace(0, 0.1, 5)[:, None] * np.minimum(limits.step, 1.0)
    slow = np.clip(slow, limits.lower, limits.upper)
    np.testing.assert_array_equal(project(slow, state, limits), slow)


def test_projection_walks_forward_at_the_speed_limit():
    limits = ColumnLimits(lower=np.array([-1.0]), upper=np.array([0.35]), step=np.array([0.1]))
    out = project(np.full((6, 1), 5.0), np.zeros(1), limits)
    np.testing.assert_allclose(out[:, 0], [0.1, 0.2, 0.3, 0.35, 0.35, 0.35])
    batch = project(np.full((2, 6, 1), 5.0), np.array([[0.0], [np.nan]]), limits)
    np.testing.assert_allclose(batch[0], out)
    np.testing.assert_allclose(batch[1], 0.35)  # nothing is known of where it stands
    holes = project(np.array([[0.0], [np.nan], [0.3]]), np.zeros(1), limits)
    np.testing.assert_array_equal(holes[:, 0], [0.0, np.nan, 0.3])


def test_speed_share_and_columns_without_motors(setting):
    robot, spec, limits = setting
    half = limits_of(robot, spec, 0.5)
    moving = np.isfinite(limits.step)
    np.testing.assert_allclose(half.step[moving], 0.5 * limits.step[moving])
    slices = spec.slices()
    for group in spec.groups:
        if group.quantity in ("wrist_pose", "base"):
            assert np.isinf(limits.upper[slices[group.name]]).all()
        elif group.quantity == "grasp":
            assert (limits.lower[slices[group.name]], limits.upper[slices[group.name]]) == (0, 1)
        else:
            assert moving[slices[group.name]].all()


def test_limits_of_another_robot_are_refused():
    inspire = load_robot("g1_inspire")
    with pytest.raises(InputError, match="other columns than g1_dex3"):
        limits_of(load_robot("g1_dex3"), spec_for(inspire, ActionConfig()))


def test_a_plan_is_a_trajectory_from_the_state_through_its_targets(setting):
    _, spec, limits = setting
    chunk, state = wild(spec, rows=16)
    plan = planned(chunk, state, spec, limits)
    np.testing.assert_array_equal(plan.state[1:], plan.action[:-1])
    np.testing.assert_allclose(plan.state[0], state, rtol=1e-6)
    np.testing.assert_allclose(plan.action, project(chunk, state, limits), rtol=1e-5, atol=1e-6)
    assert plan.valid.all()
    with pytest.raises(InputError, match="does not fit"):
        planned(chunk[:, 1:], state, spec)
