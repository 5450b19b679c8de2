"""Hands looked for from near, in other lights, and judged by the arm that they would have."""

import dataclasses

import numpy as np
import pytest
from pose_helpers import body, hand

from vidpretrain.pose.arms import ARM, arm_of
from vidpretrain.pose.body import bridged
from vidpretrain.pose.hands import against_forearm, assign, gains
from vidpretrain.pose.lights import LIGHTS, LightChoice, calmed, exchanged, lifted
from vidpretrain.pose.looking import bare_wrists
from vidpretrain.pose.near import find_near, look_in, presence_of, square_of, squares_around, squares_at_wrist


def turned(p: np.ndarray, angle_rad: float) -> np.ndarray:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return p @ np.array([[c, s], [-s, c]])


def test_a_square_turns_and_grows_with_the_hand() -> None:
    p = hand((300, 200), 0.9).p_image
    plain, other = square_of(p), square_of(2.0 * turned(p, 0.7))
    assert other.side_px == pytest.approx(2.0 * plain.side_px)
    assert np.sin(other.turn_rad - plain.turn_rad) == pytest.approx(np.sin(0.7))
    assert other.centre == pytest.approx(2.0 * turned(plain.centre[None], 0.7)[0])


def test_squares_lie_before_the_wrist_of_their_side() -> None:
    seen = body(at=(320, 240), scale=100.0)
    for side in (0, 1):
        wrist, elbow = seen.p_image[15 + side], seen.p_image[13 + side]
        for square in squares_at_wrist(seen, side):
            assert np.linalg.norm(square.centre - wrist) < 0.3 * seen.size_px
        assert (squares_at_wrist(seen, side)[1].centre - wrist) @ (wrist - elbow) > 0, "the second one along the arm"


def test_lights() -> None:
    frame = np.zeros((48, 64, 3), dtype=np.uint8)
    frame[:] = (10, 20, 40)
    assert (lifted(frame) > frame).all()
    assert (lifted(np.full_like(frame, 255)) == 255).all()
    assert exchanged(frame)[0, 0].tolist() == [40, 20, 10]
    assert calmed(frame).max() > 3 * frame.max()
    assert (calmed(np.full_like(frame, 250)) == 250).all(), "nothing is made darker"


def test_a_light_that_shows_something_stays_until_it_fails() -> None:
    choice = LightChoice()
    assert choice.choose() is LIGHTS[0]
    choice.found(False)
    assert choice.choose() is LIGHTS[1]
    choice.found(True)
    for _ in range(4):
        assert choice.choose() is LIGHTS[1]
        choice.found(False)
    choice.choose()
    choice.found(False)
    assert choice.choose() is LIGHTS[2]


def test_lights_that_show_nothing_are_tried_seldom() -> None:
    choice, tried = LightChoice(), 0
    for _ in range(60):
        tried += choice.choose() is not None
        choice.found(False) if tried else None
    assert 20 <= tried <= 30


def pointing(wrist: tuple[float, float], way: tuple[float, float], p_left: float = 0.9):
    """A hand of 100 px at a wrist, its fingers that way."""
    unit = np.asarray(way) / np.linalg.norm(way)
    p = hand((0, 0), p_left).p_image
    p = p - p[0]
    along = p[[5, 9, 13, 17]].mean(0)
    angle = np.arctan2(unit[1], unit[0]) - np.arctan2(along[1], along[0])
    p = turned(p, angle)
    return dataclasses.replace(hand((0, 0), p_left), p_image=p + np.asarray(wrist))


def test_arms_from_below_and_from_opposite() -> None:
    low = arm_of(pointing((150, 300), (0.2, -1)), 640, 480)
    assert low.left > 0.5
    assert low.above == 0.0
    opposite = arm_of(pointing((150, 100), (0, 1)), 640, 480)
    assert opposite.left < -0.5
    assert opposite.above == 1.0
    assert opposite.too_long == 0.0
    beside = arm_of(pointing((200, 240), (1, 0)), 640, 480)
    assert abs(beside.left) < 0.1


def test_a_hand_that_points_at_its_wearer_has_no_arm() -> None:
    frayed = pointing((200, 460), (0, 1))
    long = arm_of(frayed, 640, 480)
    assert long.lengths > ARM
    assert long.too_long > 0
    with_arm = gains([frayed], None, 640, [long])[0].max()
    assert with_arm < gains([frayed], None, 640)[0].max()


def test_a_lone_unsure_hand_goes_by_where_its_arm_comes_from() -> None:
    frames = [[pointing((120, 300), (0.1, -1), p_left=0.5)] for _ in range(20)]
    left, right = assign(frames, [None] * 20, np.arange(20) * 33_000_000, 640, (640, 480))
    assert all(h is not None for h in left)
    assert all(h is None for h in right)


def test_fingers_that_point_to_the_elbow() -> None:
    seen = body(at=(320, 240), scale=100.0)
    wrist, elbow = seen.p_image[15], seen.p_image[13]
    assert against_forearm(pointing(tuple(wrist), tuple(wrist - elbow)), seen, 0) == 0.0
    assert against_forearm(pointing(tuple(wrist), tuple(elbow - wrist)), seen, 0) > 0.5


def test_bodies_are_bridged_over_short_gaps_only() -> None:
    a, b = body(at=(100, 200), scale=100.0), body(at=(200, 200), scale=100.0)
    time_ns = np.arange(5) * 200_000_000
    out = bridged([a, None, b, None, None], time_ns)
    assert out[1] is not None
    assert out[1].p_image == pytest.approx(0.5 * (a.p_image + b.p_image))
    assert out[4] is b
    assert bridged([a, None, b], np.array([0, 1, 2]) * 1_000_000_000)[1] is None
    assert bridged([None, None], time_ns[:2]) == [None, None]


def test_wrists_without_a_hand() -> None:
    seen = body(at=(320, 240), scale=100.0)
    assert bare_wrists(seen, [], 640, 480) == [0, 1]
    assert bare_wrists(seen, [pointing(tuple(seen.p_image[15]), (0, 1))], 640, 480) == [1]


@pytest.mark.shared
@pytest.mark.slow
def test_the_network_of_points_sees_the_hand_that_the_whole_sees(shared_video, landmarkers) -> None:
    """A real hand: from its own square the points are those of the whole chain, from elsewhere there is none."""
    from vidpretrain.pose import find_model
    from vidpretrain.pose.networks import find_hands
    from vidpretrain.video import open_video, probe

    info = probe(shared_video / "dexretarget_hand.mp4")
    with open_video(info) as reader:
        frame = reader.read([30])[0]
    model = find_model("hand")
    found = find_hands(frame, (0, 0, info.width_px, info.height_px), "frame", model, 0.5, 1280)[0]
    again = look_in(frame, square_of(found.p_image), model)
    assert again is not None
    assert np.linalg.norm(again.p_image - found.p_image, axis=1).mean() < 0.1 * found.length_px
    assert (again.p_left > 0.5) == (found.p_left > 0.5)
    assert np.linalg.norm(again.p_relative - found.p_relative, axis=1).mean() < 0.02
    assert presence_of(frame, found, model) > 0.8
    near = find_near(frame, squares_around(found), model, found.length_px, 0.5)
    assert near is not None
    assert near.origin == "near"
    assert find_near(np.full_like(frame, 128), squares_around(found), model, found.length_px, 0.5) is None
