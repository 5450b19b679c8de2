"""Invented bodies go, exchanged sides come back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pose_helpers import body, frames_ns

from vidpretrain.pose.body import mirrored, real_frames, real_log_odds, side_flips, two_state_path
from vidpretrain.pose.observations import BodySighting
from vidpretrain.skeletons import skeleton


def test_a_person_is_real_and_a_body_inside_a_hand_is_not():
    person = body()
    assert real_log_odds(person, 0.38 * person.size_px) > 4
    assert real_log_odds(person, 0.0) > 2
    assert real_log_odds(person, 0.95 * person.size_px) > 2  # a hand held out to the camera
    assert real_log_odds(person, 2.0 * person.size_px) < 0
    hidden = BodySighting(
        p_image=person.p_image, p_relative=0.6 * person.p_relative, visibility=np.full(33, 0.1)
    )  # no arm seen, narrow shoulders
    assert real_log_odds(hidden, 0.0) < -2
    assert real_log_odds(None, 100.0) == -2.0


def test_bodies_that_hang_upside_down_are_doubted():
    person = body()
    turned = BodySighting(p_image=-person.p_image, p_relative=person.p_relative, visibility=person.visibility)
    assert real_log_odds(turned, 0.0) == pytest.approx(real_log_odds(person, 0.0) - 4.0)


def test_bursts_are_dropped_and_gaps_bridged():
    odds = np.full(60, -2.0)
    odds[20:23] = 3.0
    assert not real_frames(odds).any()
    odds = np.full(60, 3.0)
    odds[30:33] = -0.5
    assert real_frames(odds).all()
    odds[40] = -3.0  # somebody is there, but this is not how they look
    assert np.flatnonzero(~real_frames(odds)).tolist() == [40]


def walk(count: int = 120) -> list[BodySighting]:
    """A person who turns from the front through a side view and back, arms and legs swinging."""
    turns = np.sin(np.linspace(0, np.pi, count)) * np.pi / 2
    return [body(turn, at=(400 + 2 * t, 360), swing=0.15 * np.sin(t / 4)) for t, turn in enumerate(turns)]


@pytest.mark.parametrize("seed", range(5))
def test_exchanged_sides_are_undone(seed):
    rng = np.random.default_rng(seed)
    wrong = np.zeros(120, dtype=bool)
    for start in rng.integers(25, 85, 4):
        wrong[start : start + rng.integers(1, 12)] = True
    noisy = [
        BodySighting(
            p_image=b.p_image + rng.normal(0, 2, (33, 2)),
            p_relative=b.p_relative + rng.normal(0, 0.02, (33, 3)),
            visibility=b.visibility,
        )
        for b in walk()
    ]
    seen = [mirrored(b) if flip else b for b, flip in zip(noisy, wrong, strict=True)]
    np.testing.assert_array_equal(side_flips(seen, frames_ns(120)), wrong)


def test_right_sides_and_gaps_are_left_alone():
    bodies = [None if t % 7 == 0 else b for t, b in enumerate(walk())]
    assert not side_flips(bodies, frames_ns(120)).any()
    assert not side_flips([None] * 5, frames_ns(5)).any()


def test_mirrored_twice_is_the_same():
    b = body(0.3)
    twice = mirrored(mirrored(b))
    np.testing.assert_array_equal(twice.p_image, b.p_image)
    left, right = skeleton("body33").indices("left_wrist", "right_wrist")
    np.testing.assert_array_equal(mirrored(b).p_relative[left], b.p_relative[right])


def test_two_state_path_is_the_cheapest():
    rng = np.random.default_rng(1)
    unary, pair = rng.random((8, 2)), rng.random((8, 2, 2))

    def cost(path):
        steps = sum(pair[t, path[t - 1], path[t]] for t in range(1, 8))
        return sum(unary[t, s] for t, s in enumerate(path)) + steps

    best = min(itertools.product((0, 1), repeat=8), key=cost)
    assert tuple(two_state_path(unary, pair)) == best
