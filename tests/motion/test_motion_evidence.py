"""What counts as evidence: a hand whose side its network denies counts little, one that is sure leads its arm."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import Filmed, film, look_at, raising
from test_motion_fit import THIRD, WRISTS, build, error_m, third_person, working

from vidpretrain.human import FINGER_JOINTS, human_tree
from vidpretrain.motion import MotionConfig
from vidpretrain.motion.camera import camera_for
from vidpretrain.motion.evidence import far_terms, hand_doubt, led_by_hand
from vidpretrain.motion.fit_config import FitConfig
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.priors import acceleration
from vidpretrain.solve import PointTerm

TIME_S = np.arange(60) / 30
LEFT, RIGHT, BODY = 0, 1, 2


def hand(frames: int, imputed: np.ndarray) -> Hand:
    nothing = np.zeros(frames)
    return Hand(np.zeros((frames, 3)), np.zeros((frames, 21, 3)), nothing, nothing, np.ones(frames, bool), imputed)


def changed(filmed: Filmed, number: int, **what) -> Filmed:
    tracks = list(filmed.tracks)
    tracks[number] = dataclasses.replace(tracks[number], **what)
    return dataclasses.replace(filmed, tracks=tuple(tracks))


def test_doubt_goes_from_one_to_the_factor_with_confidence() -> None:
    filmed = film(raising(TIME_S), look_at(np.array([3.2, 0.3, 1.3]), np.array([0, 0, 0.95])))
    confidence = np.repeat(np.linspace(0.5, 1.0, 60)[:, None], 21, axis=1)
    track = dataclasses.replace(filmed.tracks[LEFT], confidence=confidence)
    imputed = np.zeros(60, bool)
    config = MotionConfig()
    doubt = hand_doubt(hand(60, imputed), track, config)
    assert doubt[0] == config.fit.unsure_factor
    assert doubt[-1] == 1.0
    assert (np.diff(doubt) <= 0).all()


def test_what_was_run_on_is_not_sure() -> None:
    filmed = film(raising(TIME_S), look_at(np.array([3.2, 0.3, 1.3]), np.array([0, 0, 0.95])))
    imputed = np.zeros(60, bool)
    imputed[20:30] = True
    track = dataclasses.replace(filmed.tracks[LEFT], confidence=np.full((60, 21), 0.95))
    config = MotionConfig()
    doubt = hand_doubt(hand(60, imputed), track, config)
    np.testing.assert_allclose(doubt, np.where(imputed, config.fit.unsure_factor, 1.0))


def test_only_wrists_with_a_sure_hand_are_led() -> None:
    weight = np.ones((2, 33))
    doubt = {"left": np.array([1.0, np.inf]), "right": np.array([np.inf, 2.0])}
    out = led_by_hand(weight, doubt, FitConfig(led_share=0.2))
    np.testing.assert_allclose(out[0, [15, 17, 19, 21]], 0.2)
    np.testing.assert_allclose(out[1, [16, 18, 20, 22]], 1 - 0.8 / 4)
    np.testing.assert_allclose(out[1, [15, 17, 19, 21]], 1.0)
    assert (np.delete(out, np.arange(15, 23), axis=1) == 1).all()
    assert (weight == 1).all()


def test_a_sure_hand_wins_against_the_bodys_own_wrist() -> None:
    """The body network puts the left arm a fifth of a metre down the picture in half of the clip, fully confident."""
    filmed = third_person(working(TIME_S))
    image = filmed.tracks[BODY].p_image_keypoint.copy()
    image[20:50, [13, 15, 17, 19, 21]] += [0.0, 60.0]
    wrong = changed(filmed, BODY, p_image_keypoint=image)
    error = error_m(build(wrong, THIRD), wrong)[20:50, WRISTS[0]]
    assert np.median(error) < 0.06


def test_a_hand_whose_side_is_denied_does_not_pull_the_arm() -> None:
    filmed = third_person(working(TIME_S))
    image, confidence = filmed.tracks[LEFT].p_image_keypoint.copy(), filmed.tracks[LEFT].confidence.copy()
    image[20:40] += [30.0, -30.0]
    medians = {}
    for name, value in (("denied", 0.54), ("sure", 0.95)):
        confidence[20:40] = value
        wrong = changed(filmed, LEFT, p_image_keypoint=image, confidence=confidence.copy())
        medians[name] = np.nanmedian(error_m(build(wrong, THIRD), wrong)[22:38, WRISTS[0]])
    assert medians["denied"] < 0.5 * medians["sure"]
    assert medians["denied"] < 0.08


def test_an_unsure_hand_still_tells_how_far_it_is() -> None:
    """Its side is denied and its points are another hand's, but as large as its own; nobody sees the arm."""
    filmed = third_person(working(TIME_S))
    image = np.array(filmed.tracks[LEFT].p_image_keypoint)
    image[..., 0] = 2 * image[..., 0].mean(axis=1, keepdims=True) - image[..., 0]
    confidence = np.array(filmed.tracks[BODY].confidence)
    confidence[:, [13, 15, 17, 19, 21]] = 0.1
    wrong = changed(filmed, LEFT, p_image_keypoint=image, confidence=np.full((len(TIME_S), 21), 0.6))
    wrong = changed(wrong, BODY, confidence=confidence)
    medians = []
    for far in (1e3, THIRD.fit.unsure_far):
        config = dataclasses.replace(THIRD, fit=dataclasses.replace(THIRD.fit, unsure_far=far))
        medians.append(np.nanmedian(error_m(build(wrong, config), wrong)[:, WRISTS[0]]))
    assert medians[1] < 0.85 * medians[0], medians


def test_far_terms_stand_where_a_hand_is_unsure() -> None:
    palm = np.tile([1.0, 0, 0, 0, 0.1, 0.2, 2.0], (4, 1))
    palm[3] = np.nan
    camera = camera_for(third_person(working(TIME_S)).clip, THIRD)
    config, size_px = FitConfig(unsure_far=0.1, hand_px=0.03, least_px=1.0), np.array([1e9, 1e9, 1 / 0.03, 1e9])
    (term,) = far_terms("left", palm, np.array([0.0, 0.5, 1.0, 1.0]), size_px, camera, slice(None), config)
    assert isinstance(term, PointTerm)
    np.testing.assert_allclose(term.weight, [0.0, 0.5 / 0.2**2, 0.5 / 0.2**2, 0.0])
    np.testing.assert_allclose(term.p_world_target[1], [0.1, 0.2, 2.0])
    assert far_terms("left", palm, np.zeros(4), size_px, camera, slice(None), FitConfig()) == []


def test_seen_bodies_are_calmer_than_the_wearers() -> None:
    tree, config = human_tree(1.75), FitConfig()
    own, seen = acceleration(tree, config), acceleration(tree, config, on_body=True)
    fingers = np.array([name in FINGER_JOINTS for name in tree.joint_names])
    assert (seen[~fingers] > own[~fingers]).all()
    np.testing.assert_array_equal(seen[fingers], own[fingers])


def test_confidences_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unsure_confidence is below .*0\.85.*0\.9"):
        FitConfig(unsure_confidence=0.9)
