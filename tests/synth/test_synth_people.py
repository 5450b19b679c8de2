"""Bodies posed whole, dressed and at work: known answers come back, feet stand, hands hold what they hold."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

from vidpretrain import geometry, skeletons
from vidpretrain.sim.body import load_body
from vidpretrain.sim.motions import perform
from vidpretrain.sim.posing import HandTarget, palm_frame
from vidpretrain.synth.dress import base_sleeves, dress
from vidpretrain.synth.manipulate import Manipulator
from vidpretrain.synth.pools import person
from vidpretrain.synth.posing import WholePoser
from vidpretrain.synth.things import CRATE_HALF_M, OBJECTS

pytestmark = pytest.mark.skipif(importlib.util.find_spec("anny") is None, reason="Anny is not installed")
AT = skeletons.skeleton("human75").index


@pytest.fixture(scope="module")
def someone():
    return person("dev", 0, 3)


@pytest.fixture(scope="module")
def poser(someone) -> WholePoser:
    return WholePoser(load_body(someone.shape))


def standing(poser: WholePoser, sway=(0.02, -0.03, -0.03)):
    scale = poser.body.height_m / 1.75
    hands = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        R = geometry.matrix_from_quat(geometry.quat_exp(np.array([0.4 * sign, 0.2, -0.3 * sign])))
        hands[side] = HandTarget(np.array([0.35, 0.2 * sign, 1.1]) * scale, R, np.full(5, 0.4))
    torso = poser.torso(0.2, 0.1, 0.05, 0.3, 0.2)
    return poser.pose(torso, poser.body.p_rest[0] + sway, hands)[0]


def test_feet_stay_while_the_pelvis_moves(poser):
    rest, moved = poser.body.p_rest_keypoint, poser.keypoints(standing(poser))
    for side in skeletons.SIDES:
        for part in ("ankle", "heel", "foot_index"):
            np.testing.assert_allclose(moved[AT(f"{side}_{part}")], rest[AT(f"{side}_{part}")], atol=1e-6)
        for a, b in (("hip", "knee"), ("knee", "ankle")):
            length = [np.linalg.norm(p[AT(f"{side}_{a}")] - p[AT(f"{side}_{b}")]) for p in (rest, moved)]
            assert length[0] == pytest.approx(length[1], abs=1e-9)
        assert moved[AT(f"{side}_knee"), 0] > rest[AT(f"{side}_knee"), 0] + 0.01  # bent forwards


def test_following_its_own_points_gives_the_pose_back(poser):
    """Points of a known pose: limbs, palms and fingers come back; the trunk's axes are those of hips and shoulders."""
    points = poser.keypoints(standing(poser))
    back = poser.keypoints(poser.follow(points, np.zeros(3), np.zeros(5)))
    for side in skeletons.SIDES:
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
            ways = [geometry.normalize(p[AT(f"{side}_{b}")] - p[AT(f"{side}_{a}")]) for p in (points, back)]
            assert np.degrees(np.arccos(np.clip(ways[0] @ ways[1], -1, 1))) < 0.5
        hand = [p[skeletons.HAND_SLICES[side]] for p in (points, back)]
        np.testing.assert_allclose(palm_frame(hand[1], side), palm_frame(hand[0], side), atol=1e-6)
        off = (hand[1] - hand[1][:1]) - (hand[0] - hand[0][:1])
        assert np.linalg.norm(off, axis=1).max() < 0.012  # fingers bend about their own axes alone


def test_gloves_cover_hands_and_sleeves_cover_arms(poser, someone):
    body, hand = poser.body, skeletons.HAND_SLICES["left"]
    gloved = {p.name: p for p in dress(body, dataclasses.replace(someone, glove=(0.1, 0.2, 0.3))).parts}
    tips = body.p_rest_keypoint[hand][list(skeletons.FINGERTIPS)]
    for tip in tips:  # nearer to the glove than to any bare skin
        near = [np.linalg.norm(gloved[name].vertices - tip, axis=1).min() for name in ("glove", "skin")]
        assert near[0] < 0.012 < near[1]
    face = body.p_rest_keypoint[AT("nose")]
    assert np.linalg.norm(gloved["glove"].vertices - face, axis=1).min() > 0.3
    wrist, knuckle = body.p_rest_keypoint[hand.start], body.p_rest_keypoint[hand.start + 9]
    cuffed = {p.name: p for p in dress(body, dataclasses.replace(someone, sleeves="over_hand")).parts}["sleeve"]
    own = cuffed.vertices[cuffed.vertices[:, 1] > 0]
    share = (own - wrist) @ (knuckle - wrist) / ((knuckle - wrist) @ (knuckle - wrist))
    assert share.max() > 0.45  # over half of the back of the hand
    assert share.max() < 1.0
    assert base_sleeves("rolled") == "short"
    short = load_body(dataclasses.replace(someone.shape, sleeves="short"))
    rolled = {p.name: p for p in dress(short, dataclasses.replace(someone, sleeves="rolled")).parts}["sleeve"]
    elbow = short.p_rest_keypoint[AT("left_elbow")]
    assert np.linalg.norm(rolled.vertices - elbow, axis=1).min() < 0.08
    assert np.linalg.norm(rolled.vertices - short.p_rest_keypoint[hand.start], axis=1).min() > 0.1


@pytest.mark.parametrize("motion", ["carry", "pour", "two_hands", "show", "gesture"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_motions_are_in_reach_and_what_is_held_stays_in_the_hand(poser, motion, seed):
    rng = np.random.default_rng(seed)
    plan = Manipulator(poser, rng).plan(motion, 3.0)
    times = np.arange(90) / 30
    take = perform(plan, poser, times, rng)
    assert take.miss_m < 0.02
    points = np.array([poser.keypoints(pose) for pose in take.poses])
    for side in skeletons.SIDES:
        speed = np.linalg.norm(np.diff(points[:, skeletons.HAND_SLICES[side].start], axis=0), axis=1) * 30
        assert speed.max() < 3.0
    T = take.T_world_object
    assert T[:, 6].min() > plan.table_m  # never through the table
    for hold in plan.holds:
        rows = np.flatnonzero((times >= hold.start_s) & (times < hold.end_s))
        hand = points[rows][:, skeletons.HAND_SLICES[hold.side]]
        in_palm = np.einsum("tki,tk->ti", palm_frame(hand, hold.side), T[rows, 4:] - hand[:, 0])
        assert np.ptp(in_palm, axis=0).max() < 0.03  # an arm out of reach lets it slip by what it missed
    if motion in ("carry", "pour", "two_hands"):
        assert T[:, 6].max() > T[0, 6] + 0.06
    if motion == "carry":
        assert abs(T[-1, 5]) > abs(T[0, 5]) + 0.05
        assert T[-1, 6] == pytest.approx(T[0, 6], abs=0.02)  # it stands on the table again
    if motion == "pour":
        up = geometry.rotate(T[:, :4], np.array([0.0, 0.0, 1.0]))[:, 2]
        assert up[0] == pytest.approx(1.0)
        assert up.min() < 0.5


def test_both_hands_touch_the_crate(poser):
    rng = np.random.default_rng(4)
    plan = Manipulator(poser, rng).plan("two_hands", 3.0)
    times = np.arange(90) / 30
    take = perform(plan, poser, times, rng)
    held = int(plan.holds[0].start_s * 30) + 5
    for t in range(held, 85, 10):
        points = poser.keypoints(take.poses[t])
        for side, sign in (("left", 1.0), ("right", -1.0)):
            palm = points[skeletons.HAND_SLICES[side]][[5, 9, 13, 17]].mean(axis=0)
            local = geometry.transform(geometry.inverse(take.T_world_object[t]), palm)
            assert sign * local[1] - CRATE_HALF_M[1] == pytest.approx(0.017, abs=0.012)
            assert abs(local[0]) < CRATE_HALF_M[0] + 0.03


def test_fingers_touch_what_they_hold(poser):
    """At least three fingertips or pads of a held object's hand are at its surface."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        plan = Manipulator(poser, rng).plan("show", 2.0)
        take = perform(plan, poser, np.arange(20) / 10, rng)
        radius, half = OBJECTS[plan.object_name]
        for t in (3, 12):
            hand = poser.keypoints(take.poses[t])[skeletons.HAND_SLICES[plan.side]]
            local = geometry.transform(geometry.inverse(take.T_world_object[t]), hand)
            away = np.linalg.norm(local[:, :2], axis=1) - radius
            fingers = away[1:].reshape(5, 4)[:, 1:].min(axis=1)
            assert (fingers < 0.022).sum() >= 3
            assert away[1:].min() > -0.02
            assert (np.abs(local[5:, 2]) < half + 0.05).all()


@pytest.mark.parametrize("hide", ["behind", "hanging"])
def test_hidden_hands_are_where_they_should_be(poser, hide):
    rng = np.random.default_rng(0)
    plan = Manipulator(poser, rng, hide).plan("reach", 1.0)
    take = perform(plan, poser, np.arange(10) / 10, rng)
    points = np.array([poser.keypoints(pose) for pose in take.poses])
    wrists = points[:, [part.start for part in skeletons.HAND_SLICES.values()]]
    if hide == "behind":
        assert wrists[..., 0].max() < points[:, AT("left_hip"), 0].min()
    else:
        assert wrists[..., 2].max() < plan.table_m
