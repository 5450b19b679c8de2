"""Robots of other kinds: without hands, with arms of few joints, far too small, and hands of their own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.errors import ConfigError, MissingAsset
from vidpretrain.kinematics import site_poses
from vidpretrain.retarget import RetargetConfig, retarget
from vidpretrain.retarget.targets import bent_knees, knees
from vidpretrain.robot import load_robot
from vidpretrain.skeletons import SIDES
from vidpretrain.solve import Start, solve_clip
from vidpretrain.types import Reason, Reject, RobotMotion


@pytest.fixture(scope="module", params=["h1", "t1"])
def handless(request):
    """Humanoids with four joints to an arm, and nothing at its end."""
    return load_robot(request.param)


def hand_robot(name: str):
    """A robot that only `make robots` brings, where this installation has it."""
    try:
        return load_robot(name)
    except MissingAsset as error:
        pytest.skip(str(error))


def test_arms_without_hands_come_back(handless, make):
    truth = make["wave"](handless, hands=False)
    found = retarget(make["person"](handless, truth, sides=()), handless)
    assert isinstance(found, RobotMotion)
    names = [f"{side}_wrist" for side in SIDES]
    expected, got = (site_poses(handless.tree, q, None, names)[..., 4:] for q in (truth, found.joint_pos))
    assert np.median(np.linalg.norm(got - expected, axis=-1)) < 0.01
    assert not [name for name in found.error_names if name.endswith("_tip")]
    assert found.feasible.all()


def test_arms_of_few_joints_put_the_place_of_a_hand_before_its_turn(handless, inspire, make):
    for body in (True, False):
        found = retarget(make["person"](inspire, make["wave"](inspire), body=body), handless)
        assert isinstance(found, RobotMotion), found
        for side in SIDES:
            assert found.figures[f"{side}_wrist_median_m"] < 0.02


def shrunk(robot, factor: float):
    """The robot with all its lengths multiplied."""
    place = np.array([1, 1, 1, 1, factor, factor, factor])
    tree = dataclasses.replace(
        robot.tree,
        T_parent_zero=robot.tree.T_parent_zero * place,
        T_joint_site=robot.tree.T_joint_site * place,
    )
    return dataclasses.replace(robot, tree=tree, base_height_m=robot.base_height_m * factor)


def test_a_small_robot_follows_and_one_with_hardly_any_arms_is_named(inspire, make):
    person = make["person"](inspire, make["wave"](inspire))
    half = retarget(person, shrunk(inspire, 0.5))
    assert isinstance(half, RobotMotion)
    assert half.figures["scale"] == pytest.approx(0.5, abs=0.01)
    assert half.figures["left_wrist_median_m"] < 0.02
    with pytest.raises(ConfigError, match="too short"):
        retarget(person, shrunk(inspire, 0.1))


def test_a_robot_without_arms_is_named(inspire, make):
    person = make["person"](inspire, make["wave"](inspire))
    armless = dataclasses.replace(inspire, groups={**inspire.groups, "left_arm": ()})
    with pytest.raises(ConfigError, match="no left arm"):
        retarget(person, armless)


@pytest.mark.parametrize("name", ["inspire_right", "inspire_left", "dex3_right", "shadow_right", "leap_right"])
def test_a_hand_of_its_own_goes_where_the_persons_is(inspire, make, name):
    robot = hand_robot(name)
    side = robot.sides[0]
    truth = make["wave"](inspire)
    person = make["person"](inspire, truth, body=False)
    found = retarget(person, robot)
    assert isinstance(found, RobotMotion), found
    assert found.placement == "hand"
    q = np.asarray(found.joint_pos)
    assert (q >= robot.tree.lower - 1e-9).all()
    assert (q <= robot.tree.upper + 1e-9).all()
    assert (np.abs(np.diff(q, axis=0)) * found.rate_hz <= np.asarray(robot.max_speed) * (1 + 1e-9)).all()
    np.testing.assert_array_equal(found.valid, np.tile([side == "left", side == "right"], (90, 1)))
    world = np.array([1.0, 0, 0, 0, 0, 0, inspire.base_height_m])
    expected = site_poses(inspire.tree, truth, world, [f"{side}_wrist"])[:, 0]
    got = site_poses(robot.tree, q, found.T_world_base, [f"{side}_wrist"])[:, 0]
    np.testing.assert_allclose(got[:, 4:], expected[:, 4:], atol=1e-6)
    assert geometry.angle_between(got[:, :4], expected[:, :4]).max() < 1e-3
    tips = [i for i, error in enumerate(found.error_names) if error.endswith("_tip")]
    assert np.median(found.error_m[:, tips]) < (0.01 if "inspire" in name else 0.03)
    travel = np.ptp(q[:, list(robot.joints(f"{side}_hand"))], axis=0)
    assert np.median(travel) > 0.2  # it moves


def test_a_hand_without_its_persons_hand_is_refused_by_name(inspire, make):
    robot = hand_robot("inspire_right")
    person = make["person"](inspire, make["wave"](inspire), body=False, sides=("left",))
    found = retarget(person, robot)
    assert isinstance(found, Reject)
    assert found.reason is Reason.NO_USABLE_SEGMENT
    assert "inspire_right is a right hand" in found.detail


def test_a_hand_bridges_a_gap(inspire, make):
    robot = hand_robot("inspire_right")
    person = make["person"](inspire, make["wave"](inspire), body=False)
    valid = np.array(person.valid)
    valid[30:40] = False
    found = retarget(dataclasses.replace(person, valid=valid), robot, RetargetConfig())
    assert isinstance(found, RobotMotion)
    assert not found.valid[30:40].any()
    assert np.isfinite(found.T_world_base).all()
    np.testing.assert_allclose(np.diff(found.T_world_base[30:40, 4:], n=2, axis=0), 0, atol=1e-9)
    assert [(fault.fault, fault.frames) for fault in found.faults] == [("missing", 10), ("missing", 10)]


@pytest.mark.parametrize("name", ["g1_inspire", "h1", "t1", "icub", "talos"])
def test_knees_are_found_and_kept_bent_the_right_way(name):
    robot = load_robot(name) if name in ("g1_inspire", "h1", "t1") else hand_robot(name)
    found = knees(robot)
    assert len(found) == 2
    lower, upper = robot.tree.bounds()
    low, high, rest = bent_knees(robot, lower, upper)
    for side, j in zip(SIDES, found, strict=True):
        assert j in robot.joints(f"{side}_leg")
        assert low[j] > 0 or high[j] < 0
        assert low[j] <= rest[j] <= high[j]
        bent = robot.tree.with_mimic(np.array(robot.home))
        straight = bent.copy()
        straight[j] = 0.0
        bent[j] = 0.5 * (low[j] + high[j])
        soles = [site_poses(robot.tree, q[None], None, [f"{side}_foot"])[0, 0, 4:] for q in (straight, bent)]
        assert soles[1][0] < soles[0][0]  # a bent knee takes the foot backwards
        others = [k for k in range(len(lower)) if k not in found]
        np.testing.assert_array_equal(low[others], lower[others])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["g1_inspire", "h1"])
def test_no_start_finds_a_motion_that_is_much_better(name, make, monkeypatch):
    """Thirty frames of a squat from any of them on: fifteen random postures to begin with do not beat our start."""
    from vidpretrain.retarget import solving

    caught = {}

    def catch(tree, problem, start):
        caught.update(tree=tree, problem=problem, start=start)
        caught["cost"] = (solution := solve_clip(tree, problem, start)).cost
        return solution

    monkeypatch.setattr(solving, "solve_clip", catch)
    robot, rng = load_robot(name), np.random.default_rng(3)
    g1 = load_robot("g1_inspire")
    truth, base = make["squat"](g1, 60)
    whole = make["walker"](g1, truth, base)
    for first in rng.integers(0, 30, 4):
        part = {
            field.name: getattr(whole, field.name)[first : first + 30]
            for field in dataclasses.fields(whole)
            if isinstance(getattr(whole, field.name), np.ndarray)
        }
        camera = dataclasses.replace(whole.camera, T_world_camera=whole.camera.T_world_camera[first : first + 30])
        config = RetargetConfig(self_collision=False)
        assert isinstance(retarget(dataclasses.replace(whole, **part, camera=camera), robot, config), RobotMotion)
        problem, start = caught["problem"], caught["start"]
        lower, upper = (np.clip(bound, -np.pi, np.pi) for bound in robot.tree.bounds())
        for _ in range(15):
            q = np.where(problem.active_joints, rng.uniform(lower, upper), robot.home)
            other = Start(joint_pos=robot.tree.with_mimic(np.tile(q, (30, 1))), T_world_base=start.T_world_base)
            assert caught["cost"] <= 1.05 * solve_clip(caught["tree"], problem, other).cost


def test_ankles_that_nobody_saw_warn_of_nothing() -> None:
    import warnings
    from types import SimpleNamespace

    from vidpretrain.retarget.body import _ankle_sigma

    sigma = {"left_ankle": np.array([0.02, np.nan, np.nan]), "right_ankle": np.array([0.04, 0.03, np.nan])}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = _ankle_sigma(SimpleNamespace(sigma=sigma.__getitem__))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [0.03, 0.03, np.nan])
