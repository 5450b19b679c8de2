"""Capsules around a shape cover it to the stated tolerance and stick out by no more than a bound."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.collision import capsules, distances
from vidpretrain.collision.near import capsule_arrays, least_gaps
from vidpretrain.kinematics.arrays import tree_arrays

DENSE = capsules.sphere(2000)


def box(*half: float) -> np.ndarray:
    return np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T * half


def surface_of_box(*half: float) -> np.ndarray:
    points = np.random.default_rng(0).uniform(-1, 1, size=(3000, 3))
    points /= np.abs(points).max(axis=1, keepdims=True)
    return points * half


SHAPES = {
    "box": (box(0.02, 0.04, 0.08), surface_of_box(0.02, 0.04, 0.08)),
    "plate": (box(0.005, 0.04, 0.06), surface_of_box(0.005, 0.04, 0.06)),
    "ball": (DENSE * 0.03, DENSE * 0.03),
    "trunk": (DENSE * [0.08, 0.12, 0.2], DENSE * [0.08, 0.12, 0.2]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_capsules_cover_a_shape_and_stick_out_little(name):
    points, surface = SHAPES[name]
    found = capsules.fit(points)
    assert 1 <= len(found) <= capsules.MOST
    thin = 0.5 * np.ptp(points, axis=0).min()
    allowed = np.clip(capsules.BARE_SHARE * thin, *capsules.BARE_M)
    assert capsules.bare(found, surface) <= allowed + 0.001  # its own samples are 320, these are thousands
    beyond = capsules.excess(found, DENSE, (points @ DENSE.T).max(axis=0))
    assert beyond <= max(0.012, 0.7 * thin)


def test_one_capsule_is_found_again():
    along = np.array([0.0, 0.02, 0.05])
    points = np.concatenate([DENSE * 0.015 - along, DENSE * 0.015 + along])
    found = capsules.fit(points)
    assert len(found) == 1
    assert found[0, 6] == pytest.approx(0.015, abs=1.5e-3)
    ends = found[0, :6].reshape(2, 3)
    ends = ends if ends[1, 2] > 0 else ends[::-1]
    np.testing.assert_allclose(ends, [-along, along], atol=2e-3)


def test_a_fat_fit_is_seen_by_its_measures():
    points = box(0.02, 0.02, 0.02)
    ball = np.array([[0, 0, 0, 0, 0, 0, 0.02]])
    assert capsules.bare(ball, points) == pytest.approx(0.02 * (3**0.5 - 1))
    reach = (points @ DENSE.T).max(axis=0)
    assert capsules.excess(ball, DENSE, reach) == pytest.approx(0.0, abs=5e-4)
    ball[0, 6] = 0.05
    assert capsules.excess(ball, DENSE, reach) == pytest.approx(0.03, abs=5e-4)


def test_least_gaps_are_the_least_distances():
    from test_collision_model import fingers, postures

    _, model, tree = fingers()
    Q = postures(tree, 300)
    found = np.empty(len(Q))
    least_gaps(tree_arrays(tree), *capsule_arrays(model), Q, 0.02, -np.inf, found)
    wanted = np.minimum(distances(model, tree, Q).min(axis=1), 0.02)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert (found < 0).any()
    assert (found == 0.02).any()
