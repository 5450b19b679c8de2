"""Each reason of the motion room has a clip that is refused for it, and one just beside it that is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import BODY, Filmed, film, look_at, reaching, with_track

from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.pose.reject_config import USUAL, RejectConfig
from vidpretrain.types import Reason, Reject

TIME_S = np.arange(60) / 30
RIGHT, BODY_TRACK = 1, 2
THIRD = MotionConfig(fov_x_deg=60.0, height_m=1.75, view="third", method="parts")


def person(**how) -> Filmed:
    return film(reaching(TIME_S), look_at(np.array([2.8, 0.3, 1.3]), np.array([0, 0, 1.0])), **how)


def reason(filmed: Filmed, config: MotionConfig = THIRD, metadata=None, rejects: RejectConfig = USUAL) -> Reason | None:
    found = build_motion(filmed.tracks, filmed.clip, config, metadata, rejects=rejects)
    return found.reason if isinstance(found, Reject) else None


def moved(filmed: Filmed, which: tuple[int, ...], offset_px: np.ndarray) -> Filmed:
    """The film with the points of some tracks moved by (t 2) or (2) pixels."""
    for index in which:
        image = filmed.tracks[index].p_image_keypoint + np.broadcast_to(offset_px, (60, 2))[:, None]
        filmed = with_track(filmed, index, p_image_keypoint=image)
    return filmed


def test_a_good_clip_is_not_refused() -> None:
    assert reason(person(noise_px=1.5)) is None


@pytest.mark.parametrize(("jumps", "expected"), [(2, None), (12, Reason.TELEPORTING)])
def test_a_body_that_jumps_about(jumps: int, expected: Reason | None) -> None:
    away = np.zeros((60, 2))
    for k in range(jumps):  # there and back is two steps
        away[3 + 4 * k] = [0.0, 160.0]
    assert reason(moved(person(), (0, 1, 2), away)) is expected


def test_a_body_that_grows_and_shrinks_is_several() -> None:
    filmed = person()
    image = filmed.tracks[BODY_TRACK].p_image_keypoint.copy()
    middle = image[:, [11, 12]].mean(axis=1, keepdims=True)
    image[::6] = (middle + 0.5 * (image - middle))[::6]
    found = build_motion(with_track(filmed, BODY_TRACK, p_image_keypoint=image).tracks, filmed.clip, THIRD)
    assert isinstance(found, Reject)
    assert found.reason is Reason.TELEPORTING
    assert "30% may be" in found.detail


def test_a_scale_that_nobody_knows() -> None:
    unknown = dataclasses.replace(THIRD, fov_x_deg=None, height_m=None)
    strict = RejectConfig(max_scale_sigma=0.1)
    assert reason(person(), unknown) is None, "assumed, and said so in every sigma"
    found = build_motion(person().tracks, person().clip, unknown, rejects=strict)
    assert isinstance(found, Reject)
    assert found.reason is Reason.SCALE_UNKNOWN
    assert "height and lens" in found.detail
    assert reason(person(), dataclasses.replace(unknown, fov_x_deg=60.0), rejects=strict) is None
    lens = {"K": person().K.tolist()}
    assert reason(person(), unknown, lens, rejects=strict) is None, "the file tells"


@pytest.mark.parametrize(("share", "expected"), [(0.3, None), (0.8, Reason.NETWORKS_DISAGREE)])
def test_hands_that_are_not_at_the_bodys_wrists(share: float, expected: Reason | None) -> None:
    away = np.where((np.arange(60) < share * 60)[:, None], np.array([0.0, 160.0]), 0.0)
    assert reason(moved(person(), (0, 1), away)) is expected


def test_swapped_hands_contradict_the_body() -> None:
    filmed = person()
    left, right = filmed.tracks[0], filmed.tracks[1]
    wide = np.array([120.0, 0.0])
    filmed = moved(filmed, (0,), wide)
    filmed = moved(filmed, (1,), -wide)
    swapped = with_track(filmed, 0, p_image_keypoint=filmed.tracks[1].p_image_keypoint)
    swapped = with_track(swapped, 1, p_image_keypoint=filmed.tracks[0].p_image_keypoint)
    body = filmed.tracks[BODY_TRACK].p_image_keypoint.copy()
    for side, sign in (("left", 1), ("right", -1)):
        body[:, BODY.index(f"{side}_wrist")] += sign * wide
    swapped = with_track(swapped, BODY_TRACK, p_image_keypoint=body)
    assert left.skeleton != right.skeleton
    assert reason(swapped) is Reason.NETWORKS_DISAGREE


def test_a_body_nobody_trusts_refuses_nothing() -> None:
    away = np.zeros((60, 2))
    away[::3] = [0.0, 160.0]
    filmed = moved(person(), (BODY_TRACK,), away)
    faint = with_track(filmed, BODY_TRACK, confidence=0.1 * filmed.tracks[BODY_TRACK].confidence)
    assert reason(faint) is None
    ego = film(reaching(TIME_S), look_at(np.array([0.08, 0, 1.62]), np.array([0.55, 0, 1.05])), fov_x_deg=90.0)
    config = dataclasses.replace(THIRD, view="ego", fov_x_deg=90.0)
    assert reason(moved(ego, (BODY_TRACK,), away), config) is None, "in the wearer's view no body counts"


def test_config_refuses_nonsense() -> None:
    for wrong in ({"max_body_jumps": 1.2}, {"max_wrist_apart": 0.0}, {"max_size_step": 1.0}):
        with pytest.raises(ValueError, match=r"found|not"):
            RejectConfig(**wrong)
