"""Label errors: zero on the truth itself, known on truths that were moved, turned and thinned out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import geometry, skeletons
from vidpretrain.sim import Truth, label_errors, load_truth, pooled_errors, save_truth
from vidpretrain.sim.label_error import UNITS
from vidpretrain.types import Camera, HumanMotion

T = 60


@pytest.fixture
def truth() -> Truth:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(75, 3)) * 0.1 + np.array([0.5, 0.0, 1.0])
    sway = np.stack([np.sin(np.arange(T) / 9), np.cos(np.arange(T) / 7), np.sin(np.arange(T) / 5)], axis=1) * 0.1
    turned = geometry.quat_exp(np.array([[0.01 * t, 0.3, 0.0] for t in range(T)]))
    return Truth(
        time_ns=np.round(np.arange(T) * 1e9 / 30).astype(np.int64),
        p_world_keypoint=base + sway[:, None],
        visible=np.ones((T, 75), dtype=bool),
        K=np.eye(3),
        T_world_camera=geometry.pose(turned, np.tile([0.0, 0.2, 1.5], (T, 1))),
        T_world_root=geometry.pose(np.array([1.0, 0, 0, 0]), base.mean(0) + sway),
        T_world_object=np.tile([1.0, 0, 0, 0, 0.4, 0.0, 1.0], (T, 1)),
        height_m=1.7,
        width_px=640,
        height_px=480,
        view="head",
        motion="reach",
        side="left",
        object_name="cup",
    )


def labels(truth: Truth, p_world: np.ndarray | None = None, valid: np.ndarray | None = None) -> HumanMotion:
    """The truth as a HumanMotion."""
    p = truth.p_world_keypoint if p_world is None else p_world
    valid = np.ones(p.shape[:2], dtype=bool) if valid is None else valid
    return HumanMotion(
        clip_id="c",
        skeleton="human75",
        time_ns=truth.time_ns,
        T_world_root=truth.T_world_root,
        p_world_keypoint=np.where(valid[..., None], p, np.nan),
        sigma_m=np.full(p.shape[:2], 0.01),
        valid=valid,
        imputed=np.zeros_like(valid),
        contact=np.zeros((len(p), 2)),
        height_m=truth.height_m,
        height_from="given",
        view="third",
        body_seen=True,
        camera=Camera(
            K=truth.K, distortion=np.zeros(0), width_px=640, height_px=480, T_world_camera=truth.T_world_camera
        ),
    )


def medians(errors: dict) -> dict[str, float]:
    return {name: entry["median"] for name, entry in errors["quantities"].items()}


def test_truth_itself_has_no_error(truth):
    errors = label_errors(labels(truth), truth)
    assert set(errors["quantities"]) == set(UNITS)
    assert max(medians(errors).values()) < 1e-5
    assert errors["found"] == 1.0
    assert errors["in_view"] == 2 * T
    assert errors["clips"] == 1


def test_another_world_makes_no_difference(truth):
    """Labels whose world is the camera of the first frame: only the camera frame counts."""
    T_new_old = geometry.inverse(truth.T_world_camera[0])
    moved = labels(truth, geometry.transform(T_new_old, truth.p_world_keypoint))
    camera = dataclasses.replace(
        moved.camera, T_world_camera=geometry.compose(np.tile(T_new_old, (T, 1)), truth.T_world_camera)
    )
    moved = dataclasses.replace(
        moved, camera=camera, T_world_root=geometry.compose(np.tile(T_new_old, (T, 1)), truth.T_world_root)
    )
    assert max(medians(label_errors(moved, truth)).values()) < 1e-5


def test_constant_offset_in_the_camera_frame(truth):
    shift = geometry.rotate(truth.T_world_camera[:, None, :4], np.tile([0.0, 0.0, 0.02], (T, 75, 1)))
    found = medians(label_errors(labels(truth, truth.p_world_keypoint + shift), truth))
    assert found["wrist"] == pytest.approx(2.0)
    assert found["elbow"] == pytest.approx(2.0)
    assert found["wrist_from_root"] == pytest.approx(2.0)  # the root was left where it is
    for name in ("wrist_after_offset", "wrist_half_second", "palm", "fingertip", "hand_shape"):
        assert found[name] == pytest.approx(0.0, abs=1e-4)


def test_turned_hand(truth):
    p = truth.p_world_keypoint.copy()
    for part in skeletons.HAND_SLICES.values():
        q = geometry.quat_exp(np.deg2rad(np.array([0.0, 0.0, 10.0])))
        p[:, part] = p[:, part.start, None] + geometry.rotate(q, p[:, part] - p[:, part.start, None])
    found = medians(label_errors(labels(truth, p), truth))
    assert found["palm"] == pytest.approx(10.0)
    assert found["wrist"] == pytest.approx(0.0, abs=1e-6)
    assert found["hand_shape"] == pytest.approx(0.0, abs=1e-4)
    assert found["fingertip"] > 5


def test_drift_shows_over_half_a_second(truth):
    drift = (
        np.arange(T)[:, None, None]
        / 30
        * geometry.rotate(truth.T_world_camera[:, None, :4], np.array([0.0, 0.0, 0.04]))
    )
    found = medians(label_errors(labels(truth, truth.p_world_keypoint + drift), truth))
    assert found["wrist_half_second"] == pytest.approx(2.0)


def test_found_counts_visible_hands_only(truth):
    valid = np.ones((T, 75), dtype=bool)
    valid[:15, skeletons.LEFT_HAND_SLICE] = False
    assert label_errors(labels(truth, valid=valid), truth)["found"] == pytest.approx((2 * T - 15) / (2 * T))
    hidden = np.array(truth.visible)
    hidden[:15, skeletons.LEFT_HAND_SLICE] = False
    errors = label_errors(labels(truth, valid=valid), dataclasses.replace(truth, visible=hidden))
    assert errors["found"] == 1.0
    assert errors["in_view"] == 2 * T - 15
    imputed = np.zeros_like(valid)
    imputed[:30] = True
    filled = dataclasses.replace(labels(truth), imputed=imputed)
    assert label_errors(filled, truth)["found"] == pytest.approx(0.5)


def test_stretches_and_pooling(truth):
    one = labels(truth)
    parts = []
    for rows in (slice(0, 20), slice(30, T)):
        arrays = {
            f.name: getattr(one, f.name)[rows]
            for f in dataclasses.fields(one)
            if isinstance(getattr(one, f.name), np.ndarray)
        }
        camera = dataclasses.replace(one.camera, T_world_camera=truth.T_world_camera[rows])
        parts.append(dataclasses.replace(one, **arrays, camera=camera))
    errors = label_errors(parts, truth)
    assert errors["found"] == pytest.approx(50 / 60)
    assert errors["quantities"]["wrist"]["frames"] == 100
    both = pooled_errors([(parts, truth), ((), truth)])
    assert both["clips"] == 2
    assert both["found"] == pytest.approx(50 / 120)
    assert pooled_errors([])["quantities"] == {}


def test_truth_survives_its_file(truth, tmp_path):
    save_truth(tmp_path / "a.truth.npz", truth)
    back = load_truth(tmp_path / "a.truth.npz")
    for field in dataclasses.fields(truth):
        a, b = getattr(truth, field.name), getattr(back, field.name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
    assert [p.name for p in tmp_path.iterdir()] == ["a.truth.npz"]
