"""Grasp and release from the fingers alone, and the guess of contact."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.human import hand_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.segments import SegmentConfig
from vidpretrain.segments.contact import contact
from vidpretrain.segments.grasp import closing, hysteresis
from vidpretrain.skeletons import HAND_NAMES

CONFIG = SegmentConfig()
STEP_S = 1 / 30


def hand(side: str, curl: np.ndarray, height_m: float = 1.75) -> np.ndarray:
    """Points (t 21 3) of a hand whose fingers bend from straight (0) to a fist (1), the thumb across the palm."""
    tree = hand_tree(side, height_m)
    q = np.tile(rest(tree), (len(curl), 1))
    for finger in ("index", "middle", "ring", "pinky"):
        q[:, tree.joint(f"{side}_{finger}_mcp_flex")] = np.radians(80) * curl
        q[:, tree.joint(f"{side}_{finger}_pip_flex")] = np.radians(100) * curl
    q[:, tree.joint(f"{side}_thumb_cmc_flex")] = np.radians(-30 + 60 * curl)
    q[:, tree.joint(f"{side}_thumb_mcp_flex")] = np.radians(60) * curl
    base = np.tile([1.0, 0, 0, 0, 0, 0, 0], (len(curl), 1))
    names = [f"{side}_hand_{name}" for name in HAND_NAMES]
    return site_poses(tree, tree.with_mimic(q), base, names)[..., 4:]


def opening_and_closing() -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(120) / 60)  # open, shut at 30, open at 60, shut at 90


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("height_m", [1.2, 1.75, 2.0])
def test_both_hands_of_any_size_close_and_open(side: str, height_m: float) -> None:
    points = hand(side, opening_and_closing(), height_m)
    found = closing(points, np.ones(120, dtype=bool), STEP_S, CONFIG)
    reference = closing(hand(side, opening_and_closing()), np.ones(120, dtype=bool), STEP_S, CONFIG)
    assert found.closed[[30, 90]].all()
    assert not found.closed[[0, 60, 119]].any()
    assert np.count_nonzero(np.diff(found.closed.astype(int))) == 4
    np.testing.assert_allclose(found.pinch_m, reference.pinch_m, atol=1e-6)
    assert found.curl[30] > 0.8
    assert found.curl[60] < 0.25


def test_hysteresis_ignores_trembling_around_the_threshold() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([np.linspace(1, 0, 50), np.linspace(0, 1, 50)]) + rng.uniform(-0.08, 0.08, 100)
    plain = x < 0.5
    held = hysteresis(x < 0.4, x > 0.6, np.ones(100, dtype=bool))
    assert np.count_nonzero(np.diff(plain.astype(int))) > 2
    assert np.count_nonzero(np.diff(held.astype(int))) == 2


def test_unknown_frames_are_open_and_the_grasp_goes_on_after_them() -> None:
    points = hand("right", opening_and_closing())
    known = np.ones(120, dtype=bool)
    known[28:33] = False
    points[~known] = np.nan
    found = closing(points, known, STEP_S, CONFIG)
    assert not found.closed[28:33].any()
    assert found.closed[27]
    assert found.closed[33]
    assert np.isnan(found.pinch_m[30])
    nobody = closing(np.full((9, 21, 3), np.nan), np.zeros(9, dtype=bool), STEP_S, CONFIG)
    assert not nobody.closed.any()


def test_a_hand_that_never_opens_wide_is_told_by_its_own_range() -> None:
    curl = 0.3 + 0.25 * opening_and_closing()
    points = hand("right", curl)
    found = closing(points, np.ones(120, dtype=bool), STEP_S, CONFIG)
    assert found.pinch_m.max() < CONFIG.grasp_distance_m + CONFIG.grasp_hysteresis_m
    assert found.closed[30]
    assert not found.closed[60]
    still = closing(hand("right", np.full(60, 0.3)), np.ones(60, dtype=bool), STEP_S, CONFIG)
    assert not still.closed.any(), "a relaxed hand that does nothing holds nothing"
    fist = closing(hand("right", np.full(60, 0.95)), np.ones(60, dtype=bool), STEP_S, CONFIG)
    assert fist.closed.all()


def test_a_blink_of_the_fingers_is_no_grasp() -> None:
    curl = np.zeros(60)
    curl[30] = 1.0
    found = closing(hand("left", curl), np.ones(60, dtype=bool), STEP_S, SegmentConfig(smooth_s=1e-3))
    assert not found.closed.any()


def test_contact_is_likelier_closed_than_open_and_while_it_lasts_and_travels() -> None:
    time_ns = np.round(np.arange(120) * 1e9 / 30).astype(np.int64)
    open_hand = closing(hand("right", np.zeros(120)), np.ones(120, dtype=bool), STEP_S, CONFIG)
    fist = closing(hand("right", np.full(120, 0.95)), np.ones(120, dtype=bool), STEP_S, CONFIG)
    short = closing(hand("right", (np.arange(120) // 10 == 5) * 0.95), np.ones(120, dtype=bool), STEP_S, CONFIG)
    still, moving = np.zeros((120, 3)), np.stack([np.arange(120) / 300, np.zeros(120), np.zeros(120)], axis=1)
    p = {
        "open": contact(open_hand, time_ns, still)[60],
        "short": contact(short, time_ns, still)[54],
        "held": contact(fist, time_ns, still)[60],
        "carried": contact(fist, time_ns, moving)[60],
    }
    assert p["open"] < 0.3 < p["short"] < p["held"] < p["carried"] < 1.0
