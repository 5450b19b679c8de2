"""Input that lies: every fault on 5 of 90 frames and on all of them, for whole people and for hands alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import geometry, timebase
from vidpretrain.kinematics import site_poses
from vidpretrain.retarget import RetargetConfig, retarget
from vidpretrain.retarget.jumps import jumped
from vidpretrain.retarget.sides import about_face
from vidpretrain.skeletons import BODY_SLICE, HAND_SLICES, SIDES, skeleton
from vidpretrain.types import HumanMotion, Reject, RobotMotion

FEW = np.arange(40, 45)
ALL = np.arange(90)
HALF_TURN = np.array([0.0, 1.0, 0, 0, 0, 0, 0])
MIRROR = np.array(skeleton("human75").mirror)


def with_points(motion: HumanMotion, points: np.ndarray, **more) -> HumanMotion:
    return dataclasses.replace(motion, p_world_keypoint=points, **more)


def not_finite(motion, frames):
    points = np.array(motion.p_world_keypoint)
    points[frames, 40:44] = np.nan
    points[frames, 60:64] = np.inf
    points[frames, 12:16] = np.nan
    return with_points(motion, points)


def missing(motion, frames):
    valid = np.array(motion.valid)
    valid[frames] = False
    return dataclasses.replace(motion, valid=valid)


def millimetres(motion, frames):
    points = np.array(motion.p_world_keypoint)
    points[frames] *= 1000.0
    return with_points(motion, points)


def pixels(motion, frames):
    points = np.array(motion.p_world_keypoint)
    seen = geometry.transform(geometry.inverse(motion.camera.T_world_camera)[:, None], points)
    flat = np.concatenate([320 + 600 * seen[..., :2] / seen[..., 2:], 0 * seen[..., 2:]], axis=-1)
    points[frames] = flat[frames]
    return with_points(motion, points)


def jump(motion, frames):
    points, rng = np.array(motion.p_world_keypoint), np.random.default_rng(0)
    for parts in ([15, 17, 19, 21], [16, 18, 20, 22], range(33, 54), range(54, 75)):
        away = rng.uniform(2, 6, (len(frames), 1, 3)) * rng.choice([-1, 1], (len(frames), 1, 3))
        points[np.ix_(frames, list(parts))] += away
    return with_points(motion, points)


def mirrored(motion, frames):
    """Both hands exchanged: the left hand's points are called the right's."""
    points = np.array(motion.p_world_keypoint)
    left, right = points[:, HAND_SLICES["left"]].copy(), points[:, HAND_SLICES["right"]].copy()
    points[frames, HAND_SLICES["left"]], points[frames, HAND_SLICES["right"]] = right[frames], left[frames]
    return with_points(motion, points)


def exchanged(motion, frames):
    points = np.array(motion.p_world_keypoint)
    points[frames, BODY_SLICE] = np.asarray(motion.p_world_keypoint)[:, MIRROR][frames, BODY_SLICE]
    return with_points(motion, points)


def upside_down(motion, frames):
    """The world turned over, the camera with it."""
    points, eyes = np.array(motion.p_world_keypoint), np.array(motion.camera.T_world_camera)
    points[frames] *= np.array([1.0, -1.0, -1.0])
    eyes[frames] = geometry.compose(HALF_TURN, eyes[frames])
    return with_points(motion, points, camera=dataclasses.replace(motion.camera, T_world_camera=eyes))


def points_upside_down(motion, frames):
    """The points turned over, the camera not."""
    points = np.array(motion.p_world_keypoint)
    points[frames] *= np.array([1.0, -1.0, -1.0])
    return with_points(motion, points)


def inverted(motion, frames):
    """The z axis of the points inverted: upside down, and hands are mirror images."""
    points = np.array(motion.p_world_keypoint)
    points[frames] *= np.array([1.0, 1.0, -1.0])
    return with_points(motion, points)


FAULTS = {
    "not_finite": not_finite,
    "missing": missing,
    "units": millimetres,
    "units in pixels": pixels,
    "jump": jump,
    "mirrored": mirrored,
    "exchanged": exchanged,
    "upside_down": upside_down,
    "upside_down points": points_upside_down,
    "upside_down inverted": inverted,
}
TOLD = RetargetConfig(on_mirrored="swap", on_upside_down="right")


@pytest.fixture(scope="module")
def people(inspire, make):
    """A whole person with a face, and hands alone, with the same motion."""
    truth = make["wave"](inspire)
    whole = make["person"](inspire, truth)
    points, sk = np.array(whole.p_world_keypoint), skeleton("human75")
    for name, place in (("nose", (0.15, 0, 1.45)), ("left_ear", (0, 0.08, 1.47)), ("right_ear", (0, -0.08, 1.47))):
        points[:, sk.index(name)] = place
    seen = np.isfinite(points).all(-1)
    whole = with_points(whole, points, valid=seen, sigma_m=np.where(seen, 0.01, np.nan))
    return {"body": whole, "hands": make["person"](inspire, truth, body=False)}


@pytest.fixture(scope="module")
def healthy(inspire, people):
    """What comes of the people when nothing is wrong."""
    out = {kind: retarget(motion, inspire) for kind, motion in people.items()}
    assert all(isinstance(motion, RobotMotion) for motion in out.values())
    return out


def wrists(robot, motion):
    return site_poses(robot.tree, motion.joint_pos, None, [f"{side}_wrist" for side in SIDES])


def apart_m(robot, a, b):
    return np.linalg.norm(wrists(robot, a)[..., 4:] - wrists(robot, b)[..., 4:], axis=-1)


def named(found, name):
    return [fault for fault in found.faults if fault.fault == name.split()[0]]


def hardly_applies(kind, name):
    return kind == "hands" and name == "exchanged"


@pytest.mark.parametrize("kind", ["body", "hands"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_on_five_frames_is_named_and_counted_and_the_others_come_out(inspire, people, healthy, kind, name):
    if hardly_applies(kind, name):
        pytest.skip("hands alone have no body to exchange")
    found = retarget(FAULTS[name](people[kind], FEW), inspire)
    assert isinstance(found, RobotMotion), found
    faults = named(found, name)
    assert faults, found.faults
    assert all(fault.frames == 5 for fault in faults)
    assert all(fault.of == 90 for fault in faults)
    assert np.isfinite(found.joint_pos).all()
    assert found.feasible.all()
    others = np.abs(ALL - 42) > 6
    assert found.valid[others].all()
    assert np.quantile(apart_m(inspire, found, healthy[kind])[others], 0.99) < 0.02
    assert apart_m(inspire, found, healthy[kind]).max() < 0.15  # and the robot does not fly off in between


@pytest.mark.parametrize("kind", ["body", "hands"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_on_all_frames_is_refused_by_name(inspire, people, kind, name):
    if hardly_applies(kind, name):
        pytest.skip("hands alone have no body to exchange")
    found = retarget(FAULTS[name](people[kind], ALL), inspire)
    if name == "mirrored" and kind == "body":  # the arms are still good
        assert isinstance(found, RobotMotion)
        assert not found.hand_valid.any()
        assert [(fault.where, fault.frames, fault.done) for fault in named(found, name)] == [
            ("left hand", 90, "refused"),
            ("right hand", 90, "refused"),
        ]
        return
    assert isinstance(found, Reject), name
    if name == "exchanged":
        assert "left and right are exchanged" in found.detail
        return
    faults = named(found, name)
    assert faults, found
    assert all(fault.frames == 90 for fault in faults)
    if name.startswith("units"):
        text = found.detail + " ".join(map(str, faults))
        assert ("pixels" if "pixels" in name else "millimetres") in text
    if name.startswith("upside_down"):
        assert "upside down" in found.detail
        assert "on_upside_down=right" in found.detail


@pytest.mark.parametrize("frames", [FEW, ALL], ids=["few", "all"])
@pytest.mark.parametrize("kind", ["body", "hands"])
@pytest.mark.parametrize("name", ["mirrored", "exchanged", "upside_down", "upside_down points", "upside_down inverted"])
def test_what_can_be_put_right_is_when_told_to(inspire, people, healthy, kind, name, frames):
    if hardly_applies(kind, name):
        pytest.skip("hands alone have no body to exchange")
    found = retarget(FAULTS[name](people[kind], frames), inspire, TOLD)
    assert isinstance(found, RobotMotion), found
    faults = named(found, name)
    assert faults
    assert all(fault.done in ("swapped", "righted") for fault in faults)
    assert all(fault.frames == len(frames) for fault in faults)
    assert apart_m(inspire, found, healthy[kind]).max() < 0.01
    got, expected = wrists(inspire, found), wrists(inspire, healthy[kind])
    assert np.degrees(geometry.angle_between(got[..., :4], expected[..., :4])).max() < 5.0
    assert found.valid.all()


def test_a_healthy_motion_has_no_faults_and_is_the_same_when_told_to_repair(inspire, people, healthy):
    for kind, motion in people.items():
        assert healthy[kind].faults == ()
        told = retarget(motion, inspire, TOLD)
        assert isinstance(told, RobotMotion)
        assert told.faults == ()
        np.testing.assert_array_equal(told.joint_pos, healthy[kind].joint_pos)


@pytest.mark.parametrize("kind", ["body", "hands"])
def test_a_mirror_image_at_its_own_wrist_is_not_swapped(inspire, people, kind):
    points = np.array(people[kind].p_world_keypoint)
    for side in SIDES:
        hand = points[:, HAND_SLICES[side]]
        hand[..., 2] = 2 * hand[:, :1, 2] - hand[..., 2]
    found = retarget(with_points(people[kind], points), inspire, TOLD)
    if kind == "body":
        assert isinstance(found, RobotMotion)
        assert not found.hand_valid.any()
        assert {fault.where for fault in named(found, "mirrored") if fault.done == "refused"} == {
            "left hand",
            "right hand",
        }


@pytest.mark.parametrize("backwards", [True, False])
def test_times_that_do_not_go_on(inspire, people, healthy, backwards):
    time_ns = np.array(people["body"].time_ns)
    time_ns[FEW] = time_ns[10] if backwards else time_ns[FEW] + timebase.ns(50_000)
    found = retarget(dataclasses.replace(people["body"], time_ns=time_ns), inspire)
    assert isinstance(found, RobotMotion)
    assert [(fault.fault, fault.frames) for fault in found.faults if fault.fault == "bad_time"] == [("bad_time", 5)]
    assert len(found.time_ns) == 90
    assert np.quantile(apart_m(inspire, found, healthy["body"]), 0.9) < 0.02
    with_gap = np.array(people["body"].time_ns)
    with_gap[45:] += timebase.ns(1e6)
    refused = retarget(dataclasses.replace(people["body"], time_ns=with_gap), inspire)
    assert isinstance(refused, Reject)
    assert "no such video" in refused.detail


def test_thirty_and_sixty_frames_a_second_give_the_same_motion(inspire, make):
    fast = make["wave"](inspire, frames=181, rate_hz=60.0)
    for body in (True, False):
        sixty = make["person"](inspire, fast, rate_hz=60.0, body=body)
        thirty = make["person"](inspire, fast[::2], rate_hz=30.0, body=body)
        a, b = retarget(sixty, inspire), retarget(thirty, inspire)
        assert isinstance(a, RobotMotion)
        assert isinstance(b, RobotMotion)
        count = min(len(a.time_ns), len(b.time_ns))
        assert count >= 90
        np.testing.assert_allclose(a.joint_pos[:count], b.joint_pos[:count], atol=0.01)
        at_sixty = RetargetConfig(rate_hz=60.0)
        c = retarget(sixty, inspire, at_sixty)
        assert isinstance(c, RobotMotion)
        gap = np.linalg.norm(wrists(inspire, c)[::2][:count, :, 4:] - wrists(inspire, b)[:count, :, 4:], axis=-1)
        assert np.quantile(gap, 0.99) < 0.005


def test_the_longest_way_is_kept():
    time_ns = timebase.uniform_grid(0, timebase.ns(1.0), 30.0)
    track = np.stack([np.linspace(0, 1, 30), np.zeros(30), np.zeros(30)], axis=1)
    assert not jumped(track, time_ns, 10.0, 0.15).any()
    track[10:15] += 3.0
    track[20] -= 3.0
    track[25] = np.nan
    np.testing.assert_array_equal(np.flatnonzero(jumped(track, time_ns, 10.0, 0.15)), [10, 11, 12, 13, 14, 20])
    track[15:] += 50.0  # it goes on somewhere else: the longer part stays
    assert jumped(track, time_ns, 10.0, 0.15)[:10].all()


def test_a_slow_turn_is_no_about_face():
    angle = np.linspace(0, 2 * np.pi, 60)
    across = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    assert not about_face(across).any()
    across[20:23] *= -1
    np.testing.assert_array_equal(np.flatnonzero(about_face(across)), [20, 21, 22])


def test_a_cartwheel_is_not_an_upside_down_world(inspire, people):
    """Frame by frame over the head and back up again: no fault."""
    angle = np.concatenate([np.zeros(20), np.linspace(0, 2 * np.pi, 50), np.zeros(20)])
    q = geometry.quat_exp(angle[:, None] * np.array([0.0, 1.0, 0.0]))
    center = np.array([0, 0, 1.0])
    points = center + geometry.rotate(q[:, None], np.asarray(people["body"].p_world_keypoint) - center)
    found = retarget(with_points(people["body"], points), inspire)
    assert isinstance(found, RobotMotion)
    assert not named(found, "upside_down")
    assert found.valid.all()
