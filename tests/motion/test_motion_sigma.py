"""Sigma of fitted points: a worse cue never narrows it, the shipped table has every kind, the lens is found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import film, look_at, reaching

from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.motion.fit_sigma import SIGNS, calibration, predict
from vidpretrain.retarget import RetargetConfig
from vidpretrain.retarget.packing import confidence
from vidpretrain.retarget.targets import SideState

KINDS = ("third wrist", "third fingertips", "ego wrist", "ego fingertips", "elbow", "shoulder", "hip")


@pytest.mark.parametrize("kind", KINDS)
def test_a_worse_cue_never_narrows_sigma(kind: str) -> None:
    lines = calibration()[kind]["cues"]
    own_m = 0.45 if kind.startswith("ego") else 1.4
    middle = {name: np.array([lines[name]["middle"] if name in lines else np.log(own_m)]) for name in SIGNS}
    usual = predict(kind, middle)
    assert 0.005 < usual[0] < 0.2
    for name, line in lines.items():
        worse = line["high"] if SIGNS[name] > 0 else line["low"]
        assert predict(kind, middle | {name: np.array([worse])})[0] >= usual[0]
        at_end = predict(kind, middle | {name: np.array([worse])})
        if name == "depth":  # twice as far away, twice as wrong
            twice = predict(kind, middle | {name: np.array([worse + np.log(2.0)])})
            np.testing.assert_allclose(twice, 2.0 * at_end)
        else:
            beyond = predict(kind, middle | {name: np.array([worse + 100.0 * SIGNS[name]])})
            np.testing.assert_allclose(beyond, at_end)
        np.testing.assert_allclose(predict(kind, middle | {name: np.array([np.nan])}), usual)


def test_calibration_finds_a_known_noise_model() -> None:
    import calibrate

    rng, clips, frames = np.random.default_rng(0), 48, 60
    clip = np.repeat(np.arange(clips), frames)
    cues = {name: np.full(len(clip), np.nan) for name in SIGNS}
    cues["misfit"], cues["edge_on"] = rng.normal(-3.5, 0.4, len(clip)), rng.uniform(0, 1, len(clip))
    cues["confidence"] = rng.uniform(0.5, 3.5, len(clip))  # which tells nothing
    cues["depth"] = np.log(np.repeat(rng.uniform(1.0, 3.0, clips), frames))
    true = np.hypot(0.02 * np.exp(cues["depth"]), np.exp(-4.0 + 0.8 * (cues["misfit"] + 3.5) + 0.9 * cues["edge_on"]))
    radius = np.sqrt(6.2514) * true  # 90 % of a Gaussian in space
    error = np.linalg.norm(rng.normal(size=(len(clip), 3)) * true[:, None], axis=-1)
    table, figures = calibrate.fit(cues, error, clip, clip % 8)
    assert 0.88 < figures["inside"] < 0.92
    assert figures["worst clip"] > 0.7
    found = 2.5 * predict("x", cues, {"x": table})
    assert np.median(np.abs(np.log(found / radius))) < 0.05
    assert np.corrcoef(np.log(found), np.log(radius))[0, 1] > 0.97
    assert table["cues"]["misfit"]["weight"] > 0.3
    assert abs(table["cues"].get("confidence", {"weight": 0.0})["weight"]) < 0.05


def test_a_larger_sigma_is_a_smaller_weight() -> None:
    every = np.ones(2, dtype=bool)
    state = SideState(arm=every, hand=every, imputed=~every, sigma_m=np.array([0.01, 0.1]))
    sure, unsure = confidence(state, None, RetargetConfig())
    assert 0 < unsure < sure


def test_the_wearers_arms_tell_the_lens() -> None:
    camera = look_at(np.array([0.08, 0, 1.62]), np.array([0.55, 0, 1.05]))
    filmed = film(reaching(np.arange(60) / 30), camera, fov_x_deg=90.0, body=False)
    config = MotionConfig(height_m=1.75, view="ego", ego_pitch_deg=50.0, assumed_fov_diagonal_ego_deg=85.0)
    motions = build_motion(filmed.tracks, filmed.clip, config)
    told = build_motion(filmed.tracks, filmed.clip, dataclasses.replace(config, fov_x_deg=90.0))
    assert isinstance(motions, tuple)
    assert isinstance(told, tuple)
    true_px, found_px = told[0].figures["focal_px"], motions[0].figures["focal_px"]
    diagonal = np.hypot(filmed.clip.width_px, filmed.clip.height_px)
    assumed_px = 0.5 * diagonal / np.tan(np.radians(85.0) / 2)
    assert abs(found_px - true_px) < 0.7 * abs(assumed_px - true_px)
    assert motions[0].camera.intrinsics_from == "assumed"
    assert told[0].figures["focal_sigma_px"] == 0.0 < motions[0].figures["focal_sigma_px"]
