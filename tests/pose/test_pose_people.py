"""Of several people one acts, and nobody else's hands are in the tracks."""

from __future__ import annotations

import numpy as np
from pose_helpers import body, frames_ns, hand

from vidpretrain.pose.mediapipe_tasks import Look, tracks_of
from vidpretrain.pose.people import actor, different, linked, own_hands, trunk_distance
from vidpretrain.pose.pictures import Picture
from vidpretrain.types import Clip

WIDTH, HEIGHT = 1280, 720


def xs(people):
    return [None if b is None else float(b.p_image[[11, 12], 0].mean()) for b in people]


def test_one_person_seen_twice_is_one():
    a = body(at=(400, 300))
    near = body(at=(410, 305))
    assert trunk_distance(a, near) < 0.1
    kept = different([a, near, body(at=(900, 300))])
    assert [b.p_image[23:25, 0].mean() for b in kept] == [400, 900]


def test_the_actor_is_large_and_central_whatever_the_order():
    rng = np.random.default_rng(0)
    people = []
    for t in range(40):
        pair = [body(at=(620 + t, 300), scale=400), body(at=(1150, 350), scale=200)]
        people.append(pair[:: rng.choice([-1, 1])])
    chosen, others = actor(people, frames_ns(40), WIDTH, HEIGHT)
    np.testing.assert_allclose(xs(chosen), [620 + t for t in range(40)])
    assert all(len(o) == 1 and o[0].p_image[23:25, 0].mean() == 1150 for o in others)


def test_of_two_alike_the_one_whose_hands_move():
    people = [  # swing is in depth: turned by a quarter it is seen
        [body(at=(440, 300), turn=1.2), body(at=(840, 300), turn=1.2, swing=0.3 * np.sin(t / 2))] for t in range(40)
    ]
    chosen, _ = actor(people, frames_ns(40), WIDTH, HEIGHT)
    assert all(b.p_image[23:25, 0].mean() > 640 for b in chosen)


def test_a_large_mannequin_gives_way_to_somebody_who_moves():
    def both(t):
        return [body(at=(640, 300), scale=500), body(at=(1100, 350), turn=1.2, swing=0.3 * np.sin(t / 5), scale=250)]

    people = [both(t) for t in range(60)]
    assert all(x < 800 for x in xs(actor(people, frames_ns(60), WIDTH, HEIGHT)[0]))
    chosen, others = actor(people, frames_ns(60), WIDTH, HEIGHT, still=0.08)
    assert all(x > 1000 for x in xs(chosen))
    assert all(len(o) == 1 for o in others)
    alone = [bodies[:1] for bodies in people]
    assert all(x < 800 for x in xs(actor(alone, frames_ns(60), WIDTH, HEIGHT, still=0.08)[0]))


def test_the_actor_is_one_person_whoever_begins_to_move_later():
    """Of two alike one moves first, then the other; for one frame the actor is not found."""
    people = []
    for t in range(80):
        swing = 0.3 * np.sin(t / 2)
        a = body(at=(440, 300), turn=1.2, swing=swing if t < 45 else 0.0)
        b = body(at=(840, 300), turn=1.2, swing=0.0 if t < 45 else swing)
        people.append([b] if t == 50 else [a, b])
    chosen, _ = actor(people, frames_ns(80), WIDTH, HEIGHT)
    assert [t for t, body_there in enumerate(chosen) if body_there is None] == [50]
    assert len({x > 640 for x in xs(chosen) if x is not None}) == 1
    assert [len(person) for person in linked(people, frames_ns(80))] == [79, 80]


def test_people_who_cross_are_not_exchanged():
    people = []
    for t in range(60):
        a, b = body(at=(300 + 12 * t, 300), scale=320), body(at=(1000 - 12 * t, 330), scale=260)
        people.append([a, b] if t % 2 else [b, a])
    chosen, _ = actor(people, frames_ns(60), WIDTH, HEIGHT)
    np.testing.assert_allclose(xs(chosen), [300 + 12 * t for t in range(60)])


def test_a_person_who_leaves_and_returns_and_nobody_between():
    people = [[] if 20 <= t < 40 else [body(at=(600, 300))] for t in range(60)]
    chosen, others = actor(people, frames_ns(60), WIDTH, HEIGHT)
    assert [b is None for b in chosen] == [20 <= t < 40 for t in range(60)]
    assert not any(others)
    assert actor([[], []], frames_ns(2), WIDTH, HEIGHT) == ([None, None], [[], []])


def test_somebody_elses_hands_stay_out_of_the_tracks():
    clip = Clip(
        clip_id="c", source_id="c", path="c", start_ns=0, exclusive_end_ns=10**9, width_px=WIDTH, height_px=HEIGHT
    )
    looks = []
    for _ in range(30):
        me, other = body(at=(560, 300), scale=400), body(at=(1000, 320), scale=300)
        hands = [hand(p, 0.5) for b in (other, me) for p in b.p_image[[15, 16]]]
        picture = Picture(bright=200.0, sharpness=0.1)
        looks.append(Look(people=(other, me), hands=tuple(hands), picture=picture))
    left, right, _ = tracks_of(looks, clip, frames_ns(30), WIDTH, HEIGHT)
    me = looks[0].people[1]
    np.testing.assert_allclose(left.p_image_keypoint[:, 0], np.tile(me.p_image[15], (30, 1)))
    np.testing.assert_allclose(right.p_image_keypoint[:, 0], np.tile(me.p_image[16], (30, 1)))


def test_a_hand_between_two_people_is_the_nearers():
    me, other = body(at=(400, 300)), body(at=(700, 300))
    mine, theirs = hand(me.p_image[15] + 5, 0.5), hand(other.p_image[16] - 5, 0.5)
    assert own_hands([mine, theirs], me, [other]) == [mine]
    assert own_hands([mine, theirs], me, []) == [mine, theirs]
    assert own_hands([theirs], None, [other]) == []
