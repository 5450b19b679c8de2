"""Palms that are collapsed or mirrored are rebuilt for their side; good ones are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.pose.palms import WIDTH, mended, palm_of

MIRROR = np.array([-1.0, 1.0, 1.0])


def bent_hand(side: str, bend: float = 0.8, width: float = WIDTH) -> np.ndarray:
    """A hand with bent fingers: fingers along y, index to little finger along x, a left palm faces z; metres."""
    length = 0.095
    p = np.zeros((21, 3))
    for finger in range(4):
        at = np.array([width * length * (finger / 3 - 0.5), length, 0.0])
        p[5 + 4 * finger] = at
        for part in range(1, 4):
            angle = bend * part
            at = at + 0.03 * np.array([0.0, np.cos(angle), np.sin(angle)])
            p[5 + 4 * finger + part] = at
    for part in range(4):
        p[1 + part] = [-width * length * (0.35 + 0.12 * part), 0.02 + 0.02 * part, 0.012 * (1 + part)]
    p = p if side == "left" else p * MIRROR
    return p - p.mean(0)


def turn(rng) -> np.ndarray:
    Q, R = np.linalg.qr(rng.normal(size=(3, 3)))
    Q = Q * np.sign(np.diag(R))
    return Q if np.linalg.det(Q) > 0 else -Q


def facing(p) -> np.ndarray:
    n = np.cross(p[5] - p[0], p[17] - p[0])
    return n / np.linalg.norm(n)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("width", [0.15, 0.05, -0.05, -0.15])
def test_a_collapsed_palm_faces_where_its_fingers_bend(side, width):
    """A narrow palm, its knuckles in the right or in the wrong order: how the network sees a hand from the edge."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        R, true = turn(rng), bent_hand(side)
        seen = bent_hand(side, width=width)
        out = mended(seen @ R.T, side)
        assert facing(out) @ (R @ facing(true)) > 0.99
        assert palm_of(out).width == pytest.approx(WIDTH, rel=0.05)
        np.testing.assert_allclose(out.mean(0), (seen @ R.T).mean(0), atol=1e-12)
        fingers = [np.linalg.norm(np.diff(x[5:9], axis=0), axis=1) for x in (out, seen)]
        np.testing.assert_allclose(*fingers, atol=1e-9)  # each moved as a whole


def test_a_mirrored_hand_becomes_one_of_its_side():
    out = mended(bent_hand("right"), "left")
    assert palm_of(bent_hand("right")).chirality < -0.3
    assert palm_of(out).chirality > 0.3


@pytest.mark.parametrize("side", ["left", "right"])
def test_good_and_flat_hands_stay_as_they_are(side):
    good = bent_hand(side)
    assert mended(good, side) is good
    flat = bent_hand(side, bend=0.0, width=0.2)
    flat[:, 2] = 0.0
    assert mended(flat, side) is flat  # which way it faces cannot be said
    point = np.zeros((21, 3))
    assert mended(point, side) is point


def test_mirrored_points_are_mended_to_the_mirror_image():
    rng = np.random.default_rng(1)
    for width in (0.1, -0.1, WIDTH):
        p = bent_hand("left", width=width) @ turn(rng).T + rng.normal(0, 0.002, (21, 3))
        np.testing.assert_allclose(mended(p * MIRROR, "right"), mended(p, "left") * MIRROR, atol=1e-9)


def test_the_argument_is_not_changed():
    p = bent_hand("left", width=0.1)
    before = p.copy()
    mended(p, "left")
    np.testing.assert_array_equal(p, before)
