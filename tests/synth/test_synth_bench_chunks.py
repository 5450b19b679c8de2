"""Rows about action chunks and grasps: perfect labels explain all, a stranger's nothing; times are matched once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from labelling import chunk_rows as rows

from vidpretrain import geometry
from vidpretrain.sim import Truth
from vidpretrain.types import Camera, HumanMotion

T = 40


def hand() -> np.ndarray:
    """21 points of a flat hand, wrist at the origin, fingers along x."""
    p = np.zeros((21, 3))
    for finger in range(5):
        p[1 + 4 * finger : 5 + 4 * finger, 0] = [0.08, 0.11, 0.13, 0.15]
        p[1 + 4 * finger : 5 + 4 * finger, 1] = 0.02 * (2 - finger)
    return p


def truth_and_labels(seed: int) -> tuple[Truth, HumanMotion]:
    """A hand that moves and turns near a cup, and labels that are right in a world of their own."""
    rng = np.random.default_rng(seed)
    t = np.arange(T)[:, None] / 30.0
    q = geometry.quat_exp(0.5 * np.sin(t * rng.uniform(2, 4, 3) + rng.uniform(0, 6, 3)))
    way = np.array([0.5, 0.0, 1.0]) + 0.1 * np.sin(t * rng.uniform(2, 4, 3) + rng.uniform(0, 6, 3))
    p = np.full((T, 75, 3), np.nan)
    for first in (33, 54):
        p[:, first : first + 21] = geometry.rotate(q[:, None], hand()[None]) + way[:, None]
    time_ns = np.round(np.arange(T) * 1e9 / 30).astype(np.int64)
    still = np.tile(geometry.IDENTITY_POSE, (T, 1))
    cup = still.copy()
    cup[:, 4:] = p[10, 33]
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    truth = Truth(
        time_ns=time_ns, p_world_keypoint=p, visible=np.isfinite(p[..., 0]), K=K, T_world_camera=still,
        T_world_root=still, T_world_object=cup, height_m=1.7, width_px=640, height_px=480, view="front",
        motion="lift", side="left", object_name="cup",
    )  # fmt: skip
    own = geometry.pose(geometry.quat_exp(np.array([0.3, -0.2, 1.0])), np.array([2.0, 1.0, -1.0]))
    valid = np.isfinite(p[..., 0])
    labels = HumanMotion(
        clip_id="c", skeleton="human75", time_ns=time_ns, T_world_root=np.full((T, 7), np.nan),
        p_world_keypoint=geometry.transform(own, p), sigma_m=np.where(valid, 0.01, np.nan), valid=valid,
        imputed=np.zeros_like(valid), contact=np.zeros((T, 2)), height_m=1.7, height_from="given", view="third",
        body_seen=False, camera=Camera(K=K, distortion=np.zeros(0), width_px=640, height_px=480),
    )  # fmt: skip
    return truth, labels


def test_perfect_labels_explain_everything_in_whatever_world_they_are():
    sides = {}
    for seed in range(6):
        truth, labels = truth_and_labels(seed)
        pair = labels, rows.true_motion(labels, truth)
        for name, chunks in rows._of_points(pair, "left").items():
            assert len(chunks.ours) == T - rows.HORIZON
            sides.setdefault(name, []).append(chunks)
    rng = np.random.default_rng(0)
    for name in ("wrist, way", "wrist, turn"):
        true = np.concatenate([c.true for c in sides[name]])
        assert rows.explained([(np.concatenate([c.ours for c in sides[name]]), true)]) == pytest.approx(1.0, abs=1e-9)
        for same_phase in (False, True):
            assert rows.explained([(rows.lent(sides[name], same_phase, rng), true)]) < 0.2


def test_a_chunk_needs_every_frame_and_invalid_labels_are_left_out_of_the_truth():
    truth, labels = truth_and_labels(0)
    valid = np.array(labels.valid)
    valid[20, 35] = False
    labels = dataclasses.replace(labels, valid=valid)
    chunks = rows._of_points((labels, rows.true_motion(labels, truth)), "left")["wrist, way"]
    np.testing.assert_allclose(chunks.phase * T, [*range(4), *range(21, 24)], atol=1e-9)


def test_lent_labels_come_from_other_episodes_at_the_same_share():
    chunks = [
        rows.Chunks(np.full((n, 16, 1), k) + np.arange(n)[:, None, None] / 100, np.zeros((n, 16, 1)), np.arange(n) / n)
        for k, n in enumerate((10, 20, 40))
    ]
    for same_phase in (False, True):
        lent = rows.lent(chunks, same_phase, np.random.default_rng(1))[:, 0, 0]
        own = np.repeat([0, 1, 2], [10, 20, 40])
        assert (np.floor(lent + 1e-9) != own).all()
    lender = int(np.floor(lent[0] + 1e-9))
    length = {1: 20, 2: 40}[lender]
    np.testing.assert_allclose(100 * (lent[:10] - lender), np.arange(10) * length / 10, atol=1.01)


def test_touching_is_near_the_surface():
    truth, labels = truth_and_labels(0)
    touch = rows.touching(rows.true_motion(labels, truth), truth)
    assert touch[10].all()
    away = truth.T_world_object + np.array([0, 0, 0, 0, 5.0, 0, 0])
    assert not rows.touching(labels, dataclasses.replace(truth, T_world_object=away)).any()
    beside = truth.T_world_object + np.array([0, 0, 0, 0, 0, -0.07, 0])  # a cup has a radius of 3.8 cm
    assert not rows.touching(labels, dataclasses.replace(truth, T_world_object=beside))[10].all()


def test_times_are_matched_once_and_only_within_reach():
    found = rows.matched(np.array([1.0, 1.1, 3.0]), np.array([1.05, 3.3]))
    np.testing.assert_array_equal(found, [1, 2, 1])
    closed = np.array([0, 0, 1, 1, 0, 1], dtype=bool)
    known = np.array([1, 1, 1, 1, 1, 0], dtype=bool)
    time_ns = np.arange(6, dtype=np.int64) * 10**9
    np.testing.assert_allclose(rows.changes(closed, known, time_ns, True), [2.0])
    np.testing.assert_allclose(rows.changes(closed, known, time_ns, False), [4.0])


def test_auc_and_f1_of_known_cases():
    flags = np.array([0, 0, 1, 1], dtype=bool)
    assert rows.auc(np.array([0.1, 0.2, 0.3, 0.4]), flags) == 1.0
    assert rows.auc(np.array([0.4, 0.3, 0.2, 0.1]), flags) == 0.0
    assert rows.auc(np.full(4, 0.5), flags) == 0.5
    assert rows.f1(np.array([1, 1, 0, 0], dtype=bool), np.array([1, 0, 1, 0], dtype=bool)) == 0.5
