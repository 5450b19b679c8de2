"""What is hardly a hand is left out, and a real one stays, fast or lost for a moment."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pose_helpers import body, frames_ns, hand

from vidpretrain.pose.trust import CUES, WEIGHTS, cues, probability, sure_hands

COUNT = 20


def crop(at, presence, length=34.0):
    return dataclasses.replace(hand(at, 0.9, length=length, origin="crop"), presence=presence)


def test_a_doubtful_thing_that_flickers_at_a_wrist_is_left_out_and_a_hand_stays():
    person = body(scale=180.0)
    left, right = person.p_image[15], person.p_image[16]
    sightings = [[crop(left, 0.98)] for _ in range(COUNT)]
    sightings[7].append(crop(right + 12, 0.5, length=16.0))
    kept = sure_hands(sightings, [person] * COUNT, frames_ns(COUNT), 0.7)
    assert [len(hands) for hands in kept] == [1] * COUNT
    assert all(np.allclose(hands[0].p_image[0], left) for hands in kept)


def test_a_fast_hand_and_the_first_and_the_last_sight_of_one_stay():
    sightings = [[hand((200 + 25 * t, 300), 0.9)] if 4 <= t < 16 else [] for t in range(COUNT)]
    kept = sure_hands(sightings, [None] * COUNT, frames_ns(COUNT), 0.9)  # 12 hand lengths a second
    assert [len(hands) for hands in kept] == [int(4 <= t < 16) for t in range(COUNT)]


def test_frames_far_apart_say_nothing_about_each_other():
    rows = cues([[hand((100, 100), 0.9)], [hand((900, 500), 0.9)]], [None, None], frames_ns(2, rate=2.0))
    assert all(row[0, CUES.index("alone")] == 0.0 for row in rows)


@pytest.mark.parametrize("worse", [{"presence": 0.5}, {"length": 15.0}, {"off": 60.0}])
def test_every_cue_speaks_against_a_hand(worse):
    person = body(scale=180.0)
    at = person.p_image[15] + worse.get("off", 0.0)
    good = crop(person.p_image[15], 0.99, length=34.0)
    bad = crop(at, worse.get("presence", 0.99), length=worse.get("length", 34.0))
    p = [probability(cues([[one]], [person], frames_ns(1))[0])[0] for one in (good, bad)]
    assert p[1] < p[0] - 0.005
    assert (WEIGHTS >= 0).all()


def test_nobody_in_sight_is_no_error():
    assert sure_hands([[], []], [None, None], frames_ns(2), 0.7) == [[], []]
    assert probability(cues([[]], [None], frames_ns(1))[0]).shape == (0,)
