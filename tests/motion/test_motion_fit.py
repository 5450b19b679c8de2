"""The fit of one human: a person whose bones it has is recovered, others nearly; gaps, sides and masks hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import Filmed, film, hide, look_at, raising, reaching

from vidpretrain import geometry, skeletons
from vidpretrain.human import human_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.motion.bridge import bridge
from vidpretrain.motion.fit_config import FitConfig
from vidpretrain.types import HumanMotion

LEFT, RIGHT, BODY = 0, 1, 2
HEIGHT_M = 1.75
TIME_S = np.arange(90) / 30
THIRD = MotionConfig(fov_x_deg=60.0, height_m=HEIGHT_M, view="third")
EGO = MotionConfig(fov_x_deg=90.0, height_m=HEIGHT_M, view="ego", ego_pitch_deg=50.0)
WRISTS = [33, 54]


def working(time_s: np.ndarray) -> np.ndarray:
    """human75 points of a person with the tree's own bones who stands and works with both hands."""
    tree = human_tree(HEIGHT_M)
    q = np.repeat(rest(tree)[None], len(time_s), axis=0)
    for name, middle, swing, hz in (
        ("left_shoulder_raise", 5, 12, 0.5),
        ("right_shoulder_raise", -5, 15, 0.4),
        ("left_elbow_flex", 70, 25, 0.6),
        ("right_elbow_flex", 80, 20, 0.5),
        ("left_wrist_flex", 0, 15, 0.7),
        ("right_forearm_roll", 10, 25, 0.5),
        ("spine_pitch", 8, 4, 0.3),
        ("left_index_mcp_flex", 35, 25, 0.8),
        ("right_middle_pip_flex", 45, 30, 0.6),
    ):
        q[:, tree.joint(name)] = np.radians(middle + swing * np.sin(2 * np.pi * hz * time_s))
    pelvis = np.tile(geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0, 0, 0.517 * HEIGHT_M])), (len(q), 1))
    names = list(skeletons.skeleton("human75").names)
    return site_poses(tree, tree.with_mimic(q), pelvis, names)[..., 4:]


def third_person(p_world: np.ndarray, **how) -> Filmed:
    camera = look_at(np.array([2.4, 0.3, 1.4]), np.array([0, 0, 1.0]))
    return film(p_world, camera, **{"noise_px": 1.5, "noise_m": 0.01} | how)


def build(filmed: Filmed, config: MotionConfig) -> HumanMotion:
    motions = build_motion(filmed.tracks, filmed.clip, config)
    assert isinstance(motions, tuple), motions
    return motions[0]


def in_camera(motion: HumanMotion) -> np.ndarray:
    pose = motion.camera.T_world_camera
    assert pose is not None
    return geometry.transform(geometry.inverse(pose)[:, None], motion.p_world_keypoint)


def error_m(motion: HumanMotion, filmed: Filmed) -> np.ndarray:
    truth = geometry.transform(geometry.inverse(filmed.T_world_camera), filmed.p_world)
    return np.linalg.norm(in_camera(motion) - truth, axis=-1)


def test_a_person_with_the_trees_bones_is_recovered() -> None:
    filmed = third_person(working(TIME_S))
    motion = build(filmed, THIRD)
    assert motion.body_seen
    assert motion.valid[:, WRISTS].all()
    error = error_m(motion, filmed)
    assert np.median(error[:, WRISTS]) < 0.04
    assert np.median(error[:, [11, 12, 13, 14]]) < 0.04
    for part in skeletons.HAND_SLICES.values():
        own = in_camera(motion)[:, part]
        truth = geometry.transform(geometry.inverse(filmed.T_world_camera), filmed.p_world)[:, part]
        shape = (own - own[:, :1]) - (truth - truth[:, :1])
        assert np.median(np.linalg.norm(shape, axis=-1)) < 0.012


def test_another_persons_proportions_cost_a_few_percent_of_the_distance() -> None:
    filmed = film(raising(TIME_S), look_at(np.array([3.2, 0.3, 1.3]), np.array([0, 0, 0.95])), noise_px=1.5)
    motion = build(filmed, THIRD)
    assert np.median(error_m(motion, filmed)[:, WRISTS]) < 0.03 * 3.2
    assert (motion.p_world_keypoint[:, 33, 1] > 0.2).all(), "left is left"
    assert (motion.p_world_keypoint[:, 54, 1] < -0.2).all()


def test_bones_keep_one_length_and_hands_hang_on_arms() -> None:
    motion = build(third_person(working(TIME_S)), THIRD)
    p = motion.p_world_keypoint
    for wrist, elbow, shoulder, hand in ((15, 13, 11, 33), (16, 14, 12, 54)):
        np.testing.assert_allclose(p[:, wrist], p[:, hand], atol=1e-9)
        for a, b in ((wrist, elbow), (elbow, shoulder), (hand, hand + 9), (hand + 9, hand + 10)):
            assert np.linalg.norm(p[:, a] - p[:, b], axis=-1).std() < 1e-9
    hand_m = sum(np.linalg.norm(p[0, 33 + a] - p[0, 33 + b]) for a, b in ((0, 9), (9, 10), (10, 11), (11, 12)))
    assert hand_m == pytest.approx(0.108 * HEIGHT_M, rel=0.05)


def test_the_mirrored_clip_gives_the_mirrored_motion() -> None:
    p_world = working(TIME_S)
    order = list(skeletons.skeleton("human75").mirror)
    camera = look_at(np.array([2.4, 0.0, 1.4]), np.array([0, 0, 1.0]))
    one = build(film(p_world, camera), THIRD)
    other = build(film(p_world[:, order] * [1.0, -1.0, 1.0], camera), THIRD)
    mirrored = in_camera(other)[:, order] * [-1.0, 1.0, 1.0]
    assert one.valid[:, WRISTS].all()
    assert np.nanmax(np.abs(in_camera(one) - mirrored)) < 2e-3


def test_the_wearers_arms_hold_the_hands() -> None:
    camera = look_at(np.array([0.08, 0, 1.62]), np.array([0.55, 0, 1.05]))
    filmed = film(reaching(TIME_S), camera, fov_x_deg=90.0, body=False, noise_px=1.5)
    motion = build(filmed, EGO)
    assert motion.view == "ego"
    assert not motion.body_seen
    assert not motion.valid[:, :33].any()
    assert np.nanmedian(error_m(motion, filmed)[:, WRISTS]) < 0.025


def test_a_hand_that_looks_too_small_is_not_put_beyond_the_arms_reach() -> None:
    camera = look_at(np.array([0.08, 0, 1.62]), np.array([0.55, 0, 1.05]))
    filmed = film(reaching(TIME_S), camera, fov_x_deg=90.0, body=False)
    tracks = []
    for track in filmed.tracks:
        image = track.p_image_keypoint
        if track.skeleton != "body33":
            image = image.mean(axis=1, keepdims=True) + 0.7 * (image - image.mean(axis=1, keepdims=True))
        tracks.append(dataclasses.replace(track, p_image_keypoint=image))
    filmed = dataclasses.replace(filmed, tracks=tuple(tracks))
    apart = build(filmed, dataclasses.replace(EGO, method="parts"))
    held = build(filmed, EGO)
    assert np.median(error_m(held, filmed)[:, WRISTS]) < 0.75 * np.median(error_m(apart, filmed)[:, WRISTS])


@pytest.mark.parametrize("config", [THIRD, EGO], ids=["third", "ego"])
def test_a_gap_of_ten_frames_runs_on(config: MotionConfig) -> None:
    if config is EGO:
        camera = look_at(np.array([0.08, 0, 1.62]), np.array([0.55, 0, 1.05]))
        filmed = film(reaching(TIME_S), camera, fov_x_deg=90.0, body=False)
    else:
        filmed = third_person(working(TIME_S), noise_px=0, noise_m=0)
    gap = slice(40, 50)
    hidden = hide(filmed, RIGHT, gap)
    if config is THIRD:
        hidden = hide(hidden, BODY, gap)
    whole, motion = build(filmed, config), build(hidden, config)
    assert motion.imputed[gap, 54].all()
    assert motion.valid[gap, 54].all()
    added = np.linalg.norm(in_camera(motion)[gap, 54] - in_camera(whole)[gap, 54], axis=-1)
    path = in_camera(whole)[:, 54]
    share = np.linspace(0, 1, 12)[1:-1, None]
    linear = np.linalg.norm(path[39] * (1 - share) + path[50] * share - path[gap], axis=-1)
    assert added.max() < max(0.6 * linear.max(), 0.01)


def test_bridges_follow_a_curve_and_touch_nothing_seen() -> None:
    time_ns = (np.arange(60) / 30 * 1e9).astype(np.int64)
    curve = np.stack([np.sin(2 * np.pi * 0.7 * time_ns / 1e9), (time_ns / 1e9) ** 2], axis=1)
    seen = np.ones(60, dtype=bool)
    seen[25:35] = False
    hidden = np.where(seen[:, None], curve, 9.0)
    out = bridge(time_ns, hidden, seen)
    np.testing.assert_array_equal(out[seen], curve[seen])
    straight = np.stack([np.interp(np.arange(60), np.flatnonzero(seen), curve[seen, k]) for k in range(2)], axis=1)
    assert np.abs(out - curve).max() < 0.5 * np.abs(straight - curve).max()


def test_sigma_grows_with_misfit_in_gaps_and_with_what_is_assumed() -> None:
    camera = look_at(np.array([0.08, 0, 1.62]), np.array([0.55, 0, 1.05]))
    filmed = film(reaching(TIME_S), camera, fov_x_deg=90.0, body=False)
    rough = film(reaching(TIME_S), camera, fov_x_deg=90.0, body=False, noise_px=12.0)
    sure = build(filmed, EGO)
    assert np.median(build(rough, EGO).sigma_m[:, WRISTS]) > 1.2 * np.median(sure.sigma_m[:, WRISTS])
    gap = build(hide(filmed, RIGHT, slice(40, 48)), EGO)
    assert gap.sigma_m[44, 54] > 1.5 * gap.sigma_m[30, 54]
    unsure = build(filmed, dataclasses.replace(EGO, fov_x_deg=None, height_m=None))
    assert np.median(unsure.sigma_m[:, WRISTS]) > 1.5 * np.median(sure.sigma_m[:, WRISTS])


def test_config_refuses_what_is_not_positive() -> None:
    with pytest.raises(ValueError, match="hand_px"):
        FitConfig(hand_px=0.0)
