"""Feet that stand: found with hysteresis, held in one place on the ground, rolling without sliding, smooth between."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.errors import MissingAsset
from vidpretrain.feasibility import assess
from vidpretrain.feasibility.body import body_of
from vidpretrain.kinematics import site_poses
from vidpretrain.retarget import RetargetConfig, retarget
from vidpretrain.retarget.feet import plant, standing
from vidpretrain.retarget.soles import corner_names, sole_corners, with_corners
from vidpretrain.robot import load_robot
from vidpretrain.robot.sizes import measure
from vidpretrain.skeletons import SIDES, skeleton
from vidpretrain.timebase import runs
from vidpretrain.types import RobotMotion

CONFIG = RetargetConfig()
REACH: dict[str, tuple[float, float]] = dict.fromkeys([*SIDES], (0.1, 0.08))


def steps(frames: int = 120, drift_m_s: float = 0.1, sink_m: float = 0.0, tilt_rad: float = 0.0):
    """Soles of somebody who walks along x: each foot stands for 20 frames and swings 0.4 m in 10, 10 cm high."""
    time, out = np.arange(frames), {}
    for side, first in (("left", 0), ("right", 15)):
        phase = (time + first) % 30
        share = np.clip((phase - 20) / 10.0, 0.0, 1.0)
        x = 0.4 * ((time + first) // 30) + 0.4 * share * share * (3 - 2 * share)
        z = 0.1 * np.sin(np.pi * share)
        drift = drift_m_s * time / 30.0
        y = np.full(frames, 0.1 if side == "left" else -0.1)
        p = np.stack([x + drift, y - 0.5 * drift, z - sink_m * time / frames], axis=1)
        q = np.tile(geometry.quat_exp(np.array([0.0, tilt_rad, 0.0])), (frames, 1))
        out[side] = geometry.pose(q, p)
    return out


def phases(frames: int = 120):
    """True where `steps` stands, left and right."""
    return np.stack([(np.arange(frames) + first) % 30 < 20 for first in (0, 15)], axis=1)


def test_a_foot_stands_from_low_and_slow_until_high_or_fast():
    speed = np.full(40, 1.0)
    speed[10:20], speed[20:25] = 0.1, 0.35  # slow, then not so slow any more, but not fast
    height, seen = np.zeros(40), np.ones(40, dtype=bool)
    assert runs(standing(speed, height, seen, CONFIG)) == [(10, 25)]
    speed[30:35] = 0.35  # never slow enough to begin
    assert runs(standing(speed, height, seen, CONFIG)) == [(10, 25)]
    height[15:] = 0.2
    assert runs(standing(speed, height, seen, CONFIG)) == [(10, 15)]
    assert not standing(speed, height, np.zeros(40, dtype=bool), CONFIG).any()


def test_a_flicker_neither_breaks_a_stand_nor_makes_one():
    speed, height, seen = np.full(40, 0.1), np.zeros(40), np.ones(40, dtype=bool)
    speed[20] = 2.0
    assert runs(standing(speed, height, seen, CONFIG)) == [(0, 40)]
    speed[:], speed[20] = 2.0, 0.1
    assert not standing(speed, height, seen, CONFIG).any()


def test_standing_feet_do_not_slide_and_the_drift_is_taken_off_the_person():
    soles = steps()
    found = plant(soles, REACH, np.ones(120, dtype=bool), CONFIG)
    assert (found.stands == phases()).mean() > 0.95
    for i, side in enumerate(SIDES):
        T = found.T_world_foot[side]
        for start, end in runs(found.stands[:, i]):
            assert np.ptp(T[start:end, 4:], axis=0).max() < 1e-9
            np.testing.assert_allclose(T[start:end, 6], 0.0, atol=1e-9)
        before = np.ptp(soles[side][runs(phases()[:, i])[1][0] :][:20, 4:6], axis=0).max()
        assert before > 0.05  # they did slide
    drift = 0.1 * np.arange(120) / 30.0
    np.testing.assert_allclose(found.shift_m[:, 0], -drift, atol=0.02)
    np.testing.assert_allclose(found.shift_m[:, 1], 0.5 * drift, atol=0.02)


def test_a_ground_that_sinks_is_followed_and_jumps_are_not():
    found = plant(steps(sink_m=0.1), REACH, np.ones(120, dtype=bool), CONFIG)
    np.testing.assert_allclose(found.shift_m[5:-5, 2], 0.1 * np.arange(120)[5:-5] / 120, atol=0.015)
    jump = {side: np.array(T) for side, T in steps(60, drift_m_s=0.0).items()}
    for side in SIDES:  # both feet in the air for half a second
        jump[side][:, 4] = 0.0
        jump[side][:, 6] = np.where((np.arange(60) >= 20) & (np.arange(60) < 35), 0.3, 0.0)
    found = plant(jump, REACH, np.ones(60, dtype=bool), CONFIG)
    assert found.T_world_foot["left"][27, 6] > 0.28
    assert not found.stands[22:33].any()


def test_a_tilted_sole_is_levelled_and_a_heel_that_lifts_rolls_about_the_toe():
    found = plant(steps(tilt_rad=0.3), REACH, np.ones(120, dtype=bool), CONFIG)  # as a network sees flat feet
    x = geometry.rotate(found.T_world_foot["left"][:, :4], np.array([1.0, 0, 0]))
    assert np.abs(x[found.stands[:, 0], 2]).max() < 1e-6

    lift = np.clip((np.arange(60) - 30) / 20.0, 0.0, 1.0) * 0.6  # heel up, the toe stays
    q = geometry.quat_exp(lift[:, None] * np.array([0.0, 1.0, 0.0]))
    toe = np.array([0.1, 0.0, 0.0])
    sole = geometry.pose(q, toe - geometry.rotate(q, toe))
    found = plant({"left": sole, "right": np.array(sole)}, REACH, np.ones(60, dtype=bool), CONFIG)
    assert found.stands.all()
    T = found.T_world_foot["left"]
    at = geometry.transform(T, np.tile(toe, (60, 1)))
    np.testing.assert_allclose(at, np.tile(at[:1], (60, 1)), atol=1e-9)
    heel = geometry.transform(T, np.tile([-0.08, 0.0, 0.0], (60, 1)))
    assert heel[-1, 2] > 0.05
    assert heel[:, 2].min() > -1e-9


def test_the_way_between_two_stands_is_smooth_and_the_moving_foot_is_lifted():
    soles = steps(drift_m_s=0.05)
    found = plant(soles, REACH, np.ones(120, dtype=bool), CONFIG)
    for i, side in enumerate(SIDES):
        jump = np.abs(np.diff(found.T_world_foot[side][:, 4:], n=2, axis=0)).max()
        assert jump < 2.0 * np.abs(np.diff(soles[side][:, 4:], n=2, axis=0)).max()
        assert (found.lift_m[found.stands[:, i], i] == 0).all()
        assert found.lift_m[:, i].max() == pytest.approx(CONFIG.swing_clearance_m)


@pytest.mark.parametrize("name", ["g1_inspire", "h1", "talos"])
def test_soles_reach_as_far_as_the_shapes_of_the_feet(name):
    try:
        robot = load_robot(name)
    except MissingAsset as error:
        pytest.skip(str(error))
    corners = sole_corners(robot, measure(robot).leg_m)
    body = body_of(robot, 0.002)
    for side in SIDES:
        site = body.model.site(f"{side}_foot")
        T_site_body = geometry.inverse(geometry.pose(site.quat, site.pos))
        theirs = geometry.transform(T_site_body, body.soles[side].p_body_corner)
        for k, close_m in ((0, 0.03), (1, 0.06)):  # capsules are round: a flat foot's is wider than it
            assert corners[side][:, k].max() == pytest.approx(theirs[:, k].max(), abs=close_m)
            assert corners[side][:, k].min() == pytest.approx(theirs[:, k].min(), abs=close_m)


def test_sites_at_the_corners_are_where_they_are_said_to_be(inspire):
    corners = sole_corners(inspire, measure(inspire).leg_m)
    tree = with_corners(inspire.tree, corners)
    q = np.array(inspire.home)[None]
    foot = site_poses(tree, q, None, ["left_foot"])[0, 0]
    at = site_poses(tree, q, None, list(corner_names("left")))[0, :, 4:]
    np.testing.assert_allclose(at, geometry.transform(foot, corners["left"]), atol=1e-12)
    assert inspire.tree.site_names == tree.site_names[: len(inspire.tree.site_names)]


def skating(make, robot):
    """A squat of a person whose whole world slides at 15 cm/s and sinks by 6 cm, with toes seen 5 cm too low."""
    truth, base = make["squat"](robot, 90)
    person = make["walker"](robot, truth, base)
    p = np.array(person.p_world_keypoint)
    slide = np.arange(90)[:, None] / 30.0 * np.array([0.15, 0.05, -0.02])
    toes = [skeleton("human75").index(f"{side}_foot_index") for side in SIDES]
    p[:, toes, 2] -= 0.05
    root = np.array(person.T_world_root)
    root[:, 4:] += slide
    return dataclasses.replace(person, p_world_keypoint=p + slide[:, None], T_world_root=root)


@pytest.mark.parametrize("name", ["g1_inspire", "h1"])
def test_on_the_robot_feet_neither_slide_nor_sink(name, make):
    robot, person = load_robot(name), skating(make, load_robot("g1_inspire"))
    found = {}
    for planted in (False, True):
        motion = retarget(person, robot, RetargetConfig(plant_feet=planted))
        assert isinstance(motion, RobotMotion), motion
        assert motion.whole_body
        found[planted] = assess(motion, robot)
        assert motion.figures["left_standing_frames"] == (90 if planted else 0)
    slide = {planted: np.nanquantile(f.slide_m_s, 0.95) for planted, f in found.items()}
    sunk = {planted: np.nanmax(f.penetration_m) for planted, f in found.items()}
    assert slide[False] > 0.05
    assert slide[True] < 0.01
    assert sunk[False] > 0.01
    assert sunk[True] < 0.003
    assert np.nanmedian(found[True].balance_m) > 0.0
