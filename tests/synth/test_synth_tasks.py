"""People doing tasks: palms and wrists, fingers that stop at things, frames at their rows, an episode acted out."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

from vidpretrain import geometry, skeletons
from vidpretrain.errors import InputError, MissingAsset
from vidpretrain.sim.posing import palm_frame
from vidpretrain.synth.tasks import TaskFilmConfig, plan_task
from vidpretrain.synth.tasks.act import between, film_rows
from vidpretrain.synth.tasks.hands import PAD_M, PALM_M, distance, palm_of_wrist, stopped, wrist_of_palm
from vidpretrain.synth.tasks.measure import grasp_scores
from vidpretrain.synth.tasks.trace import Primitive, Trace, trace

IDENTITY = geometry.IDENTITY_POSE


def shape(kind, *size, T=IDENTITY) -> Primitive:
    return Primitive(kind=kind, size_m=np.array([*size, 0.0, 0.0][:3]), T_thing_shape=T, rgba=np.ones(4))


def poses(rng, count):
    return geometry.pose(geometry.normalize(rng.normal(size=(count, 4))), rng.normal(size=(count, 3)))


@pytest.mark.parametrize("side", skeletons.SIDES)
def test_a_thing_is_where_the_robots_hand_has_it(side):
    rng = np.random.default_rng(0)
    T_palm, grip, knuckle_m, radius = poses(rng, 5), np.array([0.042, 0.021]), 0.09, 0.03
    T_wrist = wrist_of_palm(T_palm, grip, knuckle_m, side)
    robot = geometry.transform(T_palm, np.array([grip[0], 0.0, -(grip[1] + radius)]))
    person = geometry.transform(T_wrist, np.array([0.92 * knuckle_m, 0.0, -(PALM_M + radius)]))
    np.testing.assert_allclose(person, robot, atol=1e-12)
    back = palm_of_wrist(T_wrist, grip, knuckle_m, side)
    np.testing.assert_allclose(back[:, 4:], T_palm[:, 4:], atol=1e-12)
    assert geometry.angle_between(back[:, :4], T_palm[:, :4]).max() < 1e-7


def test_a_person_turns_the_palm_down():
    for side, sideways in (("left", 1.0), ("right", -1.0)):  # thumb up: the back of the hand looks outwards
        R = np.stack([[1.0, 0, 0], np.cross([0, sideways, 0], [1.0, 0, 0]), [0, sideways, 0]], axis=1)
        T = geometry.pose(geometry.quat_from_matrix(R), np.zeros(3))
        back = geometry.rotate(wrist_of_palm(T, np.zeros(2), 0.09, side)[:4], np.array([0.0, 0, 1]))
        assert back[2] > 0.3


@pytest.mark.parametrize(
    "one",
    [
        shape("box", 0.03, 0.05, 0.02),
        shape("cylinder", 0.03, 0.06),
        shape("sphere", 0.04),
        shape("capsule", 0.02, 0.05),
    ],
)
def test_distance_is_that_to_the_nearest_point_of_the_surface(one):
    rng = np.random.default_rng(1)
    moved = dataclasses.replace(one, T_thing_shape=poses(rng, 1)[0])
    x, y, z = one.size_m
    u = rng.uniform(-1, 1, (60_000, 3))
    if one.kind == "box":
        side = rng.integers(3, size=len(u))
        u[np.arange(len(u)), side] = np.sign(u[np.arange(len(u)), side])
        surface = u * [x, y, z]
    else:
        ring = geometry.normalize(u)
        surface = x * ring
        if one.kind == "capsule":
            surface = surface + np.sign(ring[:, 2:]) * [0, 0, y]
            tube = rng.random(len(u)) < 0.5
            flat = geometry.normalize(u * [1, 1, 0])
            surface[tube] = (x * flat + u * [0, 0, y])[tube]
        if one.kind == "cylinder":
            flat = geometry.normalize(u * [1, 1, 0])
            lid = rng.random(len(u)) < 0.5
            disc = flat * np.sqrt(rng.random((len(u), 1))) * x + np.sign(u[:, 2:]) * [0, 0, y]
            surface = np.where(lid[:, None], disc, x * flat + u * [0, 0, y])
    points = rng.uniform(-0.1, 0.1, (40, 3))
    nearest = np.linalg.norm(points[:, None] - surface[None], axis=-1).min(axis=1)
    found = distance(geometry.transform(moved.T_thing_shape, points), moved)
    np.testing.assert_allclose(np.abs(found), nearest, atol=2e-3)
    assert distance(moved.T_thing_shape[4:], moved) < 0 < distance(moved.T_thing_shape[4:] + 0.3, moved)


def test_fingers_stop_at_what_they_hold():
    levels = np.linspace(0, 1, 11)
    hand = np.zeros((11, 21, 3))
    for finger in range(5):
        for joint in range(4):  # all fingers move straight down along -z as they close
            hand[:, 1 + 4 * finger + joint] = np.stack([0 * levels + 0.02 * finger, 0 * levels, -0.1 * levels], axis=1)
    slab = shape("box", 1.0, 1.0, 0.01)
    things = [(np.tile(geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0, 0, -0.06])), (3, 1)), (slab,))]
    closed = np.array([[0.1] * 5, [1.0] * 5, [0.3, 0.9, 0.3, 0.9, 0.3]])
    out = stopped(closed, np.tile(IDENTITY, (3, 1)), hand, levels, things)
    first = levels[np.argmax(0.05 - 0.1 * levels <= PAD_M)]  # the slab's top is 5 cm below
    np.testing.assert_allclose(out, np.minimum(closed, first))
    np.testing.assert_allclose(stopped(closed, np.tile(IDENTITY, (3, 1)), hand, levels, []), closed)


def test_frames_and_their_rows():
    row = film_rows(101, 3.0, 0.2, 0.3, 30.0)
    assert (row[:6] == 0).all()
    assert (row[-9:] == 100).all()
    assert np.diff(row[6:-9]) == pytest.approx(3.0)
    start, end = poses(np.random.default_rng(2), 2)
    middle = between(np.stack([start, end]), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(middle[[0, 2], 4:], [start[4:], end[4:]])
    np.testing.assert_allclose(middle[1, 4:], 0.5 * (start[4:] + end[4:]))
    half = geometry.angle_between(middle[1, :4], middle[0, :4])
    assert half == pytest.approx(0.5 * geometry.angle_between(start[:4], end[:4]))


@pytest.mark.parametrize(
    "wrong", [{"clips": 0}, {"speed": (4.0, 3.0)}, {"width_px": 65}, {"views": ()}, {"head_fov_deg": (90.0, 80.0)}]
)
def test_a_wrong_configuration_is_an_error(wrong):
    with pytest.raises(ValueError, match=r"least|even|within"):
        TaskFilmConfig(**wrong)


def test_grasps_against_truth():
    from types import SimpleNamespace as Some

    time_ns = np.arange(6) * 10**8
    holding = np.array([[0, 0], [0, 1], [0, 1], [0, 1], [0, 0], [1, 0]], dtype=bool)
    said = np.array([[0, 0], [0, 1], [0, 1], [0, 0], [0, 1], [0, 0]], dtype=bool)
    known = np.ones((6, 2), dtype=bool)
    known[5] = False
    visible = np.ones((6, 75), dtype=bool)
    visible[0] = False
    one = (Some(time_ns=time_ns, grasp=said, known=known),)
    scores = grasp_scores([(one, Some(visible=visible), Some(time_ns=time_ns, holding=holding))])  # type: ignore[arg-type]
    assert scores["f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["recall"] == pytest.approx(2 / 4)
    assert scores["f1_known"] == pytest.approx(2 * 2 / (3 + 3))
    assert scores["known"] == pytest.approx(8 / 10)


@pytest.fixture(scope="module")
def clip():
    try:
        return plan_task(TaskFilmConfig(clips=2, views=("head", "third")))[0]
    except MissingAsset as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def episode(clip) -> Trace:
    return trace("pick_lift", clip.robot, clip.world, clip.expert_seed)


def test_a_plan_is_the_same_again_and_clips_differ(clip):
    config = TaskFilmConfig(clips=3, views=("head", "third"))
    first, second, third = plan_task(config)
    assert first == clip
    assert [c.clip.camera.kind for c in (first, second, third)] == ["head", "third", "head"]
    assert len({c.clip.digest for c in (first, second, third)}) == 3
    slower = plan_task(dataclasses.replace(config, speed=(1.0, 1.0)))[0]
    assert slower.clip.digest != first.clip.digest


def test_what_an_episode_leaves(episode):
    can = next(thing for thing in episode.things if thing.name == "can")
    z = can.T_table_thing[:, 6]
    assert z[-1] > z[0] + 0.1  # it was lifted
    assert not episode.holding[0].any()
    assert episode.holding[-1].tolist() == [False, True]
    held = episode.holding[:, 1]
    apart = np.linalg.norm(episode.T_table_palm[held, 1, 4:] - can.T_table_thing[held, 4:], axis=1)
    assert np.ptp(apart[len(apart) // 2 :]) < 0.01  # what is held stays in the hand
    assert episode.hands.shape == (len(z), 12)


def test_an_expert_that_fails_says_so(clip, monkeypatch):
    from vidpretrain.sim.worlds.tasks.pick_lift import PickLift

    monkeypatch.setattr(PickLift, "expert", lambda self, stage, do: do.wait(0.2))
    with pytest.raises(InputError, match="fails"):
        trace("pick_lift", clip.robot, clip.world, clip.expert_seed)


@pytest.mark.skipif(importlib.util.find_spec("anny") is None, reason="Anny is not installed")
def test_a_person_has_the_thing_where_the_robot_had_it(clip, episode):
    from vidpretrain.sim.body import load_body
    from vidpretrain.synth.posing import WholePoser
    from vidpretrain.synth.tasks.act import act

    body = load_body(clip.clip.people[0].shape)
    acted = act(
        episode, body, speed=3.5, lead_s=0.2, tail_s=0.2, rate_hz=30.0, gaze_deg=1.0, rng=np.random.default_rng(0)
    )
    part = acted.part
    assert part.unreached_m < 1e-6
    assert part.side == "right"
    points = np.stack([WholePoser(body).keypoints(pose) for pose in part.poses])
    hand = points[:, skeletons.HAND_SLICES["right"]]
    held = acted.held.holding[:, 1]
    assert held[-1]
    T = geometry.pose(geometry.quat_from_matrix(palm_frame(hand, "right")), hand[:, 0])
    in_hand = geometry.transform(geometry.inverse(T), acted.things["can"][:, 4:])
    knuckle_m = acted.held.knuckle_m[1]
    assert np.ptp(in_hand[-8:], axis=0).max() < 0.01
    assert abs(in_hand[-1, 0] - 0.92 * knuckle_m) < 0.03
    assert in_hand[-1, 2] < 0  # in the palm, not on the back
    palms = palm_of_wrist(T, acted.held.grip[1], knuckle_m, "right")
    row = film_rows(len(episode.holding), 3.5, 0.2, 0.2, 30.0)
    expert = geometry.compose(
        np.broadcast_to(acted.T_world_table, palms.shape), between(episode.T_table_palm[:, 1], row)
    )
    np.testing.assert_allclose(palms[:, 4:], expert[:, 4:], atol=1e-6)
    tips = hand[:, list(skeletons.FINGERTIPS)][-1]
    can = next(thing for thing in episode.things if thing.name == "can")
    inside = geometry.transform(geometry.inverse(acted.things["can"][-1]), tips)
    near = distance(inside, can.shapes[0])
    assert near[1:].min() > -0.004  # no finger in the can; a thumb that is straight can be no farther out
    assert near[0] > -0.012
    assert np.sort(near)[1] < 0.03  # but two of them at it
