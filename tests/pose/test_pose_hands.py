"""Each hand keeps its side: from the body where there is one, from all its labels where there is none."""

from __future__ import annotations

import dataclasses

import numpy as np
from pose_helpers import body, frames_ns, hand

from vidpretrain.pose.hands import assign, distinct, told_by_body
from vidpretrain.pose.tracks import TOLD, hand_track
from vidpretrain.types import Clip

LONG = 1280.0


def xs(hands):
    return [None if h is None else float(h.p_image[0, 0]) for h in hands]


def test_sides_come_from_the_body_not_from_labels():
    rng = np.random.default_rng(0)
    bodies = [body(swing=0.1 * np.sin(t / 5)) for t in range(60)]
    sightings = []
    for b in bodies:  # far from the camera, where labels are worth little: wrong in four frames of five
        labels = (0.9, 0.1) if rng.random() < 0.2 else (0.1, 0.9)
        pair = [hand(b.p_image[15] + 3, labels[0]), hand(b.p_image[16] + 3, labels[1])]
        sightings.append(pair[:: rng.choice([-1, 1])])
    left, right = assign(sightings, bodies, frames_ns(60), LONG)
    for t, b in enumerate(bodies):
        np.testing.assert_allclose(left[t].p_image[0], b.p_image[15] + 3)
        np.testing.assert_allclose(right[t].p_image[0], b.p_image[16] + 3)


def test_noisy_labels_do_not_move_a_hand_without_a_body():
    rng = np.random.default_rng(1)
    sightings = [[hand((300 + 2 * t, 400), 0.85 if rng.random() < 0.7 else 0.3)] for t in range(80)]
    left, right = assign(sightings, [None] * 80, frames_ns(80), LONG)
    assert xs(left) == [300 + 2 * t for t in range(80)]
    assert xs(right) == [None] * 80


def test_two_hands_of_one_label_are_not_one_side():
    sightings = [[hand((300, 400), 0.9), hand((800, 400), 0.6)] for _ in range(30)]
    left, right = assign(sightings, [None] * 30, frames_ns(30), LONG)
    assert xs(left) == [300] * 30
    assert xs(right) == [800] * 30


def test_hands_that_cross_keep_their_sides():
    sightings = [[hand((300 + 8 * t, 300), 0.05), hand((780 - 8 * t, 420), 0.95)] for t in range(60)]
    left, right = assign(sightings, [None] * 60, frames_ns(60), LONG)
    assert xs(right) == [300 + 8 * t for t in range(60)]
    assert xs(left) == [780 - 8 * t for t in range(60)]


def test_a_hand_comes_back_on_the_side_that_it_left():
    """Both hands leave; one comes back where the left one was, labelled a little more like a right one."""

    def seen(t):
        if 30 <= t < 45:
            return []
        if t >= 45:
            return [hand((500, 400), 0.45)]
        return [hand((500, 400), 0.95), hand((900, 400), 0.1)]

    left, right = assign([seen(t) for t in range(60)], [None] * 60, frames_ns(60), LONG)
    assert xs(left) == [500] * 30 + [None] * 15 + [500] * 15
    assert xs(right) == [900] * 30 + [None] * 30


def test_somebody_elses_hand_is_left_out():
    b = body()
    stranger = (1200.0, 80.0)
    sightings = [[hand(b.p_image[15], 0.5), hand(stranger, 0.1, length=50)] for _ in range(30)]
    left, right = assign(sightings, [b] * 30, frames_ns(30), LONG)
    assert None not in left
    assert right == [None] * 30


def test_a_reversed_hand_close_to_the_camera_is_no_data():
    sightings = [[hand((500, 300), 0.02 if t == 20 else 0.98, length=300)] for t in range(40)]
    left, right = assign(sightings, [None] * 40, frames_ns(40), LONG)
    assert [t for t, h in enumerate(left) if h is None] == [20]
    assert all(h is None for h in right)


def test_a_single_doubtful_tile_is_not_a_hand():
    sightings = [
        [hand((500, 300), 0.95)] + ([hand((100, 600), 0.4, origin="tile")] if t == 9 else []) for t in range(30)
    ]
    _, right = assign(sightings, [None] * 30, frames_ns(30), LONG)
    assert right == [None] * 30


def test_repeats_of_one_hand_are_one():
    kept = distinct([hand((502, 301), 0.9, origin="tile"), hand((500, 300), 0.8), hand((900, 300), 0.2, origin="crop")])
    assert [(h.p_image[0, 0], h.origin) for h in kept] == [(500, "frame"), (900, "crop")]


def test_a_gap_stays_a_gap_and_slow_video_is_no_gap():
    sightings = [[hand((500, 300), 0.9)] if t < 10 or t > 25 else [] for t in range(40)]
    left, _ = assign(sightings, [None] * 40, frames_ns(40), LONG)
    assert [t for t, h in enumerate(left) if h is None] == list(range(10, 26))
    left, _ = assign([[hand((500, 300), 0.9)]] * 5, [None] * 5, frames_ns(5, rate=2.0), LONG)
    assert xs(left) == [500] * 5


def test_no_hands_at_all():
    left, right = assign([[]] * 4, [None] * 4, frames_ns(4), LONG)
    assert left == right == [None] * 4


def test_far_from_the_camera_the_body_tells_the_side_and_the_label_little():
    b = body()
    far, near = hand(b.p_image[15], 0.1), hand(b.p_image[15], 0.1, length=400)
    assert told_by_body(far, b, 0, LONG)
    assert not told_by_body(far, b, 1, LONG)
    assert not told_by_body(near, b, 0, LONG)
    assert not told_by_body(far, None, 0, LONG)
    assert not told_by_body(hand((100, 50), 0.1), b, 0, LONG)
    clip = Clip(clip_id="c", source_id="c", path="c", start_ns=0, exclusive_end_ns=10**9, width_px=1280, height_px=720)
    track = hand_track(clip, frames_ns(3), [far, far, None], "left", [True, False, False])
    assert track.confidence[0, 0] == TOLD
    assert 0 < track.confidence[1, 0] < 0.5
    assert track.confidence[2, 0] == 0


def test_a_wrist_that_is_not_seen_lies_on_the_other_one():
    """From the side both wrists of the network lie on the near hand; only the near one is seen."""
    bodies, sightings = [], []
    for _ in range(20):
        person = body(turn=np.pi / 2)
        p, seen = person.p_image.copy(), person.visibility.copy()
        p[16], seen[16] = p[15] + (0.0, 6.0), 0.15
        bodies.append(dataclasses.replace(person, p_image=p, visibility=seen))
        sightings.append([hand(p[16] + (0.0, 2.0), 0.95, length=60.0)])  # nearer to the one that is guessed
    left, right = assign(sightings, bodies, frames_ns(20), LONG)
    assert all(h is not None for h in left)
    assert all(h is None for h in right)
