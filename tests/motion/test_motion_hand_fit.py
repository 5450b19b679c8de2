"""The fit of one hand: what it recovers from networks that are flat, turned or noisy."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.motion import MotionConfig, bones
from vidpretrain.motion.camera import ray_rotation
from vidpretrain.motion.hand_fit import fit_hand

CONFIG = MotionConfig(height_m=1.75)


def true_hand(side: str, count: int = 60, depth_m: float = 0.45) -> np.ndarray:
    """Hands (t 21 3) in the camera frame with the fit's own lengths, fingers bent, at many orientations."""
    rng = np.random.default_rng(3)
    lengths, palm = bones.hand_lengths(1.75), bones.palm_points(side, 1.75)
    curl = rng.uniform(0.1, 0.5, count)
    points = np.zeros((count, 21, 3))
    points[:, list(bones.PALM)] = palm
    inward = 1.0 if side == "right" else -1.0
    for finger in range(5):
        out = geometry.normalize(palm[list(bones.PALM).index((1, 5, 9, 13, 17)[finger])])
        for part in range(1, 4):
            q = geometry.quat_exp(curl[:, None] * part * np.array([0.0, inward, 0.0]))
            i = 1 + 4 * finger + part
            points[:, i] = points[:, i - 1] + lengths[i] * geometry.rotate(q, out)
    q = geometry.quat_exp(rng.normal(0, 0.6, (count, 3)))
    middle = np.stack([rng.uniform(-0.2, 0.2, count), rng.uniform(-0.15, 0.15, count), np.full(count, depth_m)], -1)
    return geometry.rotate(q[:, None], points) + middle[:, None]


def network(hand: np.ndarray, turn_rad: float = 0.0, flat: float = 1.0, scale: float = 0.8) -> np.ndarray:
    """What a network says of it: seen straight on, in its own scale, turned wrongly, flattened in depth."""
    ray = hand[..., :2] / hand[..., 2:]
    q = geometry.quat_inverse(ray_rotation(ray.mean(axis=1)))
    seen = geometry.rotate(q[:, None], hand - hand.mean(axis=1, keepdims=True))
    axis = geometry.normalize(np.random.default_rng(0).normal(size=(len(hand), 3)))
    return geometry.rotate(geometry.quat_exp(turn_rad * axis)[:, None], seen) * [1, 1, flat] * scale


def errors(hand: np.ndarray, relative: np.ndarray, side: str, noise: float = 0.0) -> tuple[float, float, float]:
    """Medians: palm (deg), wrist (m), points relative to the wrist (m)."""
    ray = hand[..., :2] / hand[..., 2:] + np.random.default_rng(1).normal(0, noise, (*hand.shape[:2], 2))
    shape, spot = fit_hand(relative, ray, np.ones(hand.shape[:2]), side, CONFIG)
    turn = geometry.angle_between(bones.palm_turn(shape), bones.palm_turn(hand))
    apart = np.linalg.norm(shape - (hand - hand[:, :1]), axis=-1)
    wrist = np.linalg.norm(spot.p - hand[:, 0], axis=-1)
    return float(np.degrees(np.median(turn))), float(np.median(wrist)), float(np.median(apart))


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_true_hand_comes_back(side):
    hand = true_hand(side)
    palm, wrist, points = errors(hand, network(hand), side)
    assert palm < 1.0
    assert wrist < 0.005
    assert points < 0.005


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_wrongly_turned_palm_is_turned_back_by_its_image(side):
    hand = true_hand(side)
    palm, wrist, _ = errors(hand, network(hand, turn_rad=0.5), side, noise=0.003)  # 29 degrees, 1 % of the hand
    assert palm < 12.0
    assert wrist < 0.03


def test_a_flat_network_hurts_less_than_its_own_points_say():
    hand = true_hand("right")
    relative = network(hand, flat=0.3)
    palm, _, points = errors(hand, relative, "right")
    ray = hand[..., :2] / hand[..., 2:]
    said = geometry.rotate(ray_rotation(ray.mean(axis=1))[:, None], relative / 0.8)
    said_palm = np.degrees(np.median(geometry.angle_between(bones.palm_turn(said), bones.palm_turn(hand))))
    said_points = np.median(np.linalg.norm(said - said[:, :1] - (hand - hand[:, :1]), axis=-1))
    assert palm < 0.5 * said_palm
    assert points < 0.7 * said_points


def test_noise_far_away_leaves_the_orientation_of_the_network():
    """A hand of a few pixels: its image says little, so a right network is not turned away."""
    hand = true_hand("right", depth_m=3.0)
    palm, _, _ = errors(hand, network(hand), "right", noise=0.008)
    assert palm < 12.0


def test_bones_have_the_lengths_of_the_person():
    hand = true_hand("left")
    ray = hand[..., :2] / hand[..., 2:]
    shape, _ = fit_hand(network(hand, turn_rad=0.4), ray, np.ones(hand.shape[:2]), "left", CONFIG)
    lengths = np.linalg.norm(shape[:, 1:] - shape[:, bones.HAND_PARENT[1:]], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(bones.hand_lengths(1.75)[1:], lengths.shape), atol=1e-9)
    assert bones.hand_lengths(1.75)[[9, 10, 11, 12]].sum() == pytest.approx(0.108 * 1.75)


def test_an_empty_frame_is_nan_and_harms_no_other():
    hand = true_hand("right", count=5)
    ray = hand[..., :2] / hand[..., 2:]
    weight = np.ones(hand.shape[:2])
    weight[2] = 0
    shape, spot = fit_hand(network(hand), ray, weight, "right", CONFIG)
    assert np.isnan(spot.p[2]).all()
    assert np.isfinite(shape[[0, 1, 3, 4]]).all()
    np.testing.assert_allclose(spot.p[[0, 1, 3, 4]], hand[[0, 1, 3, 4], 0], atol=0.03)
