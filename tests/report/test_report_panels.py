"""Panels side by side, words under them, and a person drawn from points alone."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.report import arrange, caption, dimmed, draw_person, heading, word_panel
from vidpretrain.report.draw import LEFT, RIGHT
from vidpretrain.skeletons import skeleton
from vidpretrain.types import Camera, HumanMotion

PLACES = {
    "shoulder": (0.0, 0.2, 1.4), "elbow": (0.0, 0.25, 1.1), "wrist": (0.1, 0.25, 0.9), "hip": (0.0, 0.1, 0.9),
    "knee": (0.0, 0.1, 0.5), "ankle": (0.0, 0.1, 0.1), "heel": (-0.05, 0.1, 0.0), "foot_index": (0.15, 0.1, 0.0),
}  # fmt: skip


def person(frames: int = 3, walk_m: float = 0.0) -> HumanMotion:
    """A body without head and hands that looks along x and goes `walk_m` along it."""
    kind = skeleton("human75")
    p = np.full((frames, 75, 3), np.nan)
    for part, (x, y, z) in PLACES.items():
        for side, sign in (("left", 1), ("right", -1)):
            p[:, kind.index(f"{side}_{part}")] = (x, sign * y, z)
    p[..., 0] += np.linspace(0, walk_m, frames)[:, None]
    known = np.isfinite(p).all(axis=2)
    root = np.zeros((frames, 7))
    root[:, 0], root[:, 6] = 1.0, 0.9
    return HumanMotion(
        clip_id="c",
        skeleton="human75",
        time_ns=np.arange(frames) * 33_333_333,
        T_world_root=root,
        p_world_keypoint=p,
        sigma_m=np.where(known, 0.02, np.nan),
        valid=known,
        imputed=~known & False,
        contact=np.zeros((frames, 2)),
        height_m=1.7,
        height_from="given",
        view="third",
        body_seen=True,
        camera=Camera(K=np.eye(3) * 500, distortion=np.zeros(0), width_px=64, height_px=64),
    )


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(n 2) rows and columns of the pixels of a colour."""
    return np.argwhere(np.abs(picture.astype(int) - colour).max(axis=-1) < 12)


def test_a_person_seen_from_in_front_has_their_left_at_the_right():
    picture = next(draw_person(person(), np.array([0]), (200, 160)))
    assert picture.shape == (160, 200, 3)
    left, right = where(picture, LEFT), where(picture, RIGHT)
    assert min(len(left), len(right)) > 100
    assert left[:, 1].mean() > right[:, 1].mean() + 12
    assert left[:, 0].min() > 10  # nothing is cut off
    assert left[:, 0].max() < 150


def test_the_eye_goes_along_with_a_walk():
    still, walking = person(60), person(60, walk_m=6.0)
    a = next(draw_person(still, np.array([30]), (120, 120)))
    b = next(draw_person(walking, np.array([30]), (120, 120)))
    assert abs(where(a, LEFT)[:, 1].mean() - where(b, LEFT)[:, 1].mean()) < 25


def test_what_is_not_valid_is_not_drawn():
    motion = person()
    valid = np.array(motion.valid)
    valid[1] = False
    import dataclasses

    pictures = list(draw_person(dataclasses.replace(motion, valid=valid), np.array([0, 1]), (100, 100)))
    assert len(where(pictures[0], LEFT)) > 0
    assert len(where(pictures[1], LEFT)) == len(where(pictures[1], RIGHT)) == 0


def test_heading_is_horizontal_and_x_where_nothing_was_seen():
    motion = person()
    np.testing.assert_allclose(heading(motion), [1, 0, 0])
    import dataclasses

    unknown = dataclasses.replace(motion, T_world_root=np.full((3, 7), np.nan))
    np.testing.assert_allclose(heading(unknown), [1, 0, 0])
    turned = np.array(motion.T_world_root)
    turned[:, :4] = [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]  # a quarter turn to the left
    np.testing.assert_allclose(heading(dataclasses.replace(motion, T_world_root=turned)), [0, 1, 0], atol=1e-12)


def test_panels_wrap_where_the_width_ends():
    panels = [np.full((10, 30, 3), 50 * k, np.uint8) for k in range(1, 4)]
    one = arrange(panels, 200)
    assert one.shape == (10, 98, 3)
    two = arrange(panels, 70)
    assert two.shape == (24, 64, 3)
    assert (two[14:24, 0] == 150).all()
    assert (two[14:24, 40] == 255).all()
    odd = arrange([np.zeros((9, 7, 3), np.uint8)])
    assert odd.shape == (10, 8, 3)


@pytest.mark.parametrize(("tone", "channel"), [("good", 1), ("bad", 0)])
def test_a_caption_has_its_tone_and_stays_in_its_width(tone, channel):
    strip = caption(120, "robot" * 40, ["words " * 60, "b", "c", "d"], 2, tone)
    assert strip.shape[1] == 120
    assert strip[14, 12].argmax() == channel
    assert (strip[:, -5:] == 255).all()  # nothing runs over the edge
    assert caption(120, "a", [], 2).shape == strip.shape


def test_words_and_pale_pictures():
    panel = word_panel((100, 60), "no motion because of a long reason that needs lines")
    assert panel.shape == (60, 100, 3)
    assert (panel < 150).any()
    assert dimmed(np.zeros((2, 2, 3), np.uint8)).min() > 120
