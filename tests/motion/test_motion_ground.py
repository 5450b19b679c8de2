"""Feet that stand: which frames, where, and what the fit makes of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import film, look_at, raising
from test_motion_fit import THIRD, build

from vidpretrain import geometry
from vidpretrain.camera.path import still_path
from vidpretrain.motion import build_motion, fit_body
from vidpretrain.motion.camera import camera_for
from vidpretrain.motion.fit_config import FitConfig
from vidpretrain.motion.ground import FEET, stance_terms, standing

RATE_HZ = 30.0
UP = np.array([0.0, 0.0, 1.0])
CAMERA = np.tile([4.0, 0.0, 1.5], (60, 1))
SEEN = np.ones((60, 2), dtype=bool)


def feet(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Heel and toe (t 2 2 3) of feet whose heels are at these places (t 3), pointing forward."""
    return np.stack([np.stack([p, p + np.array([0.2, 0.0, 0.0])], axis=1) for p in (left, right)], axis=1)


def still(y: float, z: float = 0.0) -> np.ndarray:
    return np.tile([0.0, y, z], (60, 1))


def test_a_step_is_told_from_a_stance_and_rough_depth_is_not() -> None:
    left, right = still(0.1), still(-0.1)
    step = np.clip((np.arange(60) - 20) / 15, 0, 1)
    left[:, 0] += 0.5 * step
    left[:, 2] += 0.15 * np.sin(np.pi * step)
    rough = 1.0 + 0.03 * np.sin(2 * np.pi * np.arange(60) / 30)
    p = CAMERA[:, None, None] + (feet(left, right) - CAMERA[:, None, None]) * rough[:, None, None, None]
    stands = standing(p, CAMERA, UP, SEEN, RATE_HZ, FitConfig(standing_m=0.2))
    assert stands[:, 1].all()
    assert stands[:18, 0].all()
    assert stands[38:, 0].all()
    assert not stands[23:32, 0].any()


def test_what_is_high_or_not_seen_or_short_does_not_stand() -> None:
    config = FitConfig()
    lifted = feet(still(0.1, 0.4), still(-0.1))
    stands = standing(lifted, CAMERA, UP, SEEN, RATE_HZ, config)
    assert not stands[:, 0].any()
    assert stands[:, 1].all()
    seen = SEEN.copy()
    seen[:, 1] = np.arange(60) % 5 == 0
    assert not standing(lifted, CAMERA, UP, seen, RATE_HZ, config)[:, 1].any()


def test_stances_come_to_one_floor_along_their_rays() -> None:
    p = feet(still(0.1), still(-0.1))
    p[40:, 0, :, 2] += 0.05  # a later stance that floats
    stands = SEEN.copy()
    stands[36:40, 0] = False
    terms = {t.site: t for t in stance_terms(p, CAMERA, UP, stands, FitConfig(stance_floor_m=0.01, stance_depth=0.05))}
    assert set(terms) == {site for foot in FEET for site in foot}
    left, right = terms["left_heel"], terms["right_heel"]
    np.testing.assert_allclose(right.p_world_target, p[:, 1, 0], atol=1e-12)
    assert (left.weight[36:40] == 0).all()
    np.testing.assert_allclose(left.p_world_target[:36], p[:36, 0, 0], atol=1e-12)
    moved = left.p_world_target[50] - p[50, 0, 0]
    ray = p[50, 0].mean(axis=0) - CAMERA[50]
    np.testing.assert_allclose(np.cross(moved, ray), 0.0, atol=1e-9)
    assert -0.05 < moved[2] < -0.035, "most of the way down, and not below the floor"
    assert not stance_terms(p, CAMERA, UP, np.zeros_like(SEEN), FitConfig())


def test_the_feet_of_who_stands_do_not_slide() -> None:
    """The picture breathes by 2 % once in two seconds, as if the person went to and fro."""
    time_s = np.arange(90) / RATE_HZ
    filmed = film(raising(time_s), look_at(np.array([3.2, 0.3, 1.3]), np.array([0, 0, 0.95])), noise_px=1.0)
    tracks = []
    for track in filmed.tracks:
        grown = 1.0 + 0.02 * np.sin(np.pi * time_s)[:, None, None]
        middle = np.nanmean(track.p_image_keypoint, axis=(0, 1))
        tracks.append(dataclasses.replace(track, p_image_keypoint=middle + grown * (track.p_image_keypoint - middle)))
    filmed = dataclasses.replace(filmed, tracks=tuple(tracks))
    travel = {}
    for name, fit in (("with", FitConfig()), ("without", FitConfig(standing_m=1e-9))):
        p = build(filmed, dataclasses.replace(THIRD, fit=fit)).p_world_keypoint
        travel[name] = np.ptp(p[:, 29:33], axis=0).max()
        assert np.abs(np.median(p[:, 31:33, 2])) < 0.05
    assert travel["with"] < 0.3 * travel["without"]
    assert travel["with"] < 0.02


def test_a_known_up_reaches_the_feet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor is square to what gravity says, not to how the body holds itself."""
    asked = []

    def spy(p_world, p_camera, up, *rest):
        asked.append(up)
        return standing(p_world, p_camera, up, *rest)

    monkeypatch.setattr(fit_body, "standing", spy)
    filmed = film(raising(np.arange(60) / RATE_HZ), look_at(np.array([3.2, 0.3, 1.3]), np.array([0, 0, 0.95])))
    tilted = geometry.normalize(np.array([0.2, -1.0, -0.1]))
    camera, time_ns = camera_for(filmed.clip, THIRD), np.asarray(filmed.tracks[0].time_ns)
    path = still_path("c", time_ns, camera, "static", "given", "a tripod")
    path = dataclasses.replace(path, up_first=tilted, gravity_from="metadata")
    for seen in (path, None):
        motions = build_motion(filmed.tracks, filmed.clip, THIRD, None, seen)
        assert isinstance(motions, tuple)
    np.testing.assert_allclose(asked[0], tilted, atol=1e-9)
    assert np.degrees(np.arccos(asked[1] @ tilted)) > 5.0
