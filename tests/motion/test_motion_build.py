"""The door on synthetic people whose truth is known: places, sides, gaps, outliers, rejects."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import Filmed, film, hide, look_at, raising, reaching, with_track

from vidpretrain import geometry, skeletons
from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.types import HumanMotion, Reason, Reject

LEFT, RIGHT, BODY = 0, 1, 2
CONFIG = MotionConfig(fov_x_deg=60.0, height_m=1.75)
PARTS = dataclasses.replace(
    CONFIG, method="parts"
)  # figures of hands and body placed apart; test_motion_fit.py has the fit's
TIME_S = np.arange(120) / 30
WRISTS = [33, 54]


def third_person(roll_rad: float = 0.0, eye=(3.2, 0.3, 1.3), seconds: np.ndarray = TIME_S, **how) -> Filmed:
    target = np.array([0, 0, 0.95])
    return film(raising(seconds), look_at(np.array(eye), target, roll_rad), **{"noise_px": 1.5, "noise_m": 0.006} | how)


def egocentric(**how) -> Filmed:
    camera = look_at(np.array([0.08, 0, 1.62]), np.array([0.55, 0, 1.05]))
    how = {"noise_px": 1.5, "noise_m": 0.004, "fov_x_deg": 90.0, "body": False} | how
    return film(reaching(TIME_S), camera, **how)


def one(result: tuple[HumanMotion, ...] | Reject) -> HumanMotion:
    assert isinstance(result, tuple), result
    assert len(result) == 1
    return result[0]


def build(filmed: Filmed, config: MotionConfig = CONFIG) -> HumanMotion:
    return one(build_motion(filmed.tracks, filmed.clip, config))


def in_camera(motion: HumanMotion) -> np.ndarray:
    pose = motion.camera.T_world_camera
    assert pose is not None
    return geometry.transform(geometry.inverse(pose)[:, None], motion.p_world_keypoint)


def camera_error_m(motion: HumanMotion, filmed: Filmed) -> np.ndarray:
    truth = geometry.transform(geometry.inverse(filmed.T_world_camera), filmed.p_world)
    return np.linalg.norm(in_camera(motion) - truth, axis=-1)


def speed(p: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(p, axis=0), axis=-1) * 30


def test_third_person_recovers_places_and_sides():
    filmed = third_person()
    motion = build(filmed, PARTS)
    assert motion.view == "third"
    assert motion.body_seen
    assert motion.skeleton == "human75"
    assert motion.clip_id == "synthetic_s00"
    assert motion.valid[:, WRISTS].all()
    error = camera_error_m(motion, filmed)
    assert np.median(error[:, WRISTS]) < 0.04
    assert np.median(error[:, [11, 12, 23, 24]]) < 0.04
    world = np.linalg.norm(motion.p_world_keypoint - filmed.p_world, axis=-1)
    assert np.median(world[:, WRISTS]) < 0.06
    assert (motion.p_world_keypoint[:, 33, 1] > 0.2).all()  # left is left
    assert (motion.p_world_keypoint[:, 54, 1] < -0.2).all()


def test_hands_hang_on_the_body_and_bones_keep_their_length():
    motion = build(third_person(), PARTS)
    p = motion.p_world_keypoint
    for side, wrist, elbow, shoulder in (("left", 15, 13, 11), ("right", 16, 14, 12)):
        hand = p[:, skeletons.HAND_SLICES[side]]
        np.testing.assert_allclose(hand[:, 0], p[:, wrist], atol=1e-9)
        for a, b in ((0, 9), (9, 10), (11, 12), (5, 6), (0, 17)):
            assert np.linalg.norm(hand[:, a] - hand[:, b], axis=-1).std() < 1e-9
        length = sum(np.linalg.norm(hand[:, a] - hand[:, b], axis=-1) for a, b in ((0, 9), (9, 10), (10, 11), (11, 12)))
        np.testing.assert_allclose(length, 0.108 * 1.75, atol=1e-9)
        assert np.linalg.norm(p[:, elbow] - p[:, wrist], axis=-1).std() < 1e-9
        assert np.linalg.norm(p[:, elbow] - p[:, shoulder], axis=-1).std() < 1e-9


def test_world_is_upright_with_its_floor_under_the_person():
    for eye in ((3.0, 0.0, 1.3), (2.6, 0.5, 2.4)):  # level, and looking down 28 degrees
        filmed = third_person(eye=eye)
        motion = build(filmed)
        assert motion.camera.gravity_from == "body"
        pose = motion.camera.T_world_camera
        assert pose is not None
        forward, true = (geometry.rotate(T[:4], np.array([0, 0, 1.0])) for T in (pose[0], filmed.T_world_camera))
        assert np.degrees(np.arcsin(abs(forward[2] - true[2]))) < 8
        root = motion.T_world_root
        assert np.linalg.norm(np.median(root[:, 4:6], axis=0)) < 0.02
        assert np.median(root[:, 6]) == pytest.approx(0.53 * 1.75, abs=0.06)
        x = geometry.rotate(root[:, :4], np.array([1.0, 0, 0]))
        z = geometry.rotate(root[:, :4], np.array([0, 0, 1.0]))
        assert np.median(x[:, 0]) > 0.97
        assert np.median(z[:, 2]) > 0.97
        assert np.abs(np.median(motion.p_world_keypoint[:, [29, 30, 31, 32], 2])) < 0.06
        assert np.median(motion.contact) > 0.8


def test_upside_down_camera_gives_the_same_world():
    upright, turned = build(third_person(noise_px=0, noise_m=0)), build(third_person(np.pi, noise_px=0, noise_m=0))
    assert turned.camera.gravity_from == "body"
    apart = np.linalg.norm(upright.p_world_keypoint - turned.p_world_keypoint, axis=-1)
    assert np.median(apart) < 0.12  # the level camera pulls one of them by a few degrees
    assert (turned.p_world_keypoint[:, 0, 2] > turned.p_world_keypoint[:, 27, 2] + 1).all()


def test_egocentric_hands():
    filmed = egocentric()
    config = MotionConfig(fov_x_deg=90.0, height_m=1.75, ego_pitch_deg=50.5, ego_camera_height_m=1.62)
    motion = build(filmed, config)
    assert motion.view == "ego"
    assert not motion.body_seen
    assert np.isnan(motion.T_world_root).all()
    assert not motion.valid[:, :33].any()
    assert motion.camera.gravity_from == "assumed"
    assert np.nanmedian(camera_error_m(motion, filmed)[:, 33:]) < 0.03  # this person's fingers are a little shorter
    expected = filmed.p_world - [0.08, 0, 0]  # the origin is below the camera
    assert np.nanmedian(np.linalg.norm(motion.p_world_keypoint - expected, axis=-1)[:, 33:]) < 0.025


def test_a_hand_alone_that_faces_the_camera_is_third_person():
    filmed = film(
        raising(TIME_S), look_at(np.array([1.3, -0.4, 1.5]), np.array([0, -0.75, 1.45])), body=False, hands=("right",)
    )
    palms_up = build(filmed)
    assert palms_up.view in ("ego", "third")
    assert build(filmed, dataclasses.replace(CONFIG, view="third")).view == "third"
    assert not palms_up.valid[:, skeletons.LEFT_HAND_SLICE].any()
    assert np.isnan(palms_up.p_world_keypoint[:, skeletons.LEFT_HAND_SLICE]).all()


@pytest.mark.parametrize("network_scale", [0.7, 1.0, 1.3])
def test_size_of_the_network_does_not_matter(network_scale):
    filmed = third_person(noise_px=0, noise_m=0, network_scale=network_scale)
    assert np.median(camera_error_m(build(filmed, PARTS), filmed)[:, WRISTS]) < 0.02


def test_network_points_in_millimetres_give_the_same_motion():
    metres, millimetres = (build(egocentric(noise_m=0, network_scale=scale)) for scale in (1.0, 1000.0))
    np.testing.assert_allclose(metres.p_world_keypoint, millimetres.p_world_keypoint, atol=1e-6)


def test_assumptions_are_recorded_and_widen_sigma():
    filmed = egocentric()
    sure, unsure = build(filmed, MotionConfig(fov_x_deg=90.0, height_m=1.75)), build(filmed, MotionConfig())
    assert (sure.height_from, sure.camera.intrinsics_from) == ("given", "given")
    assert (unsure.height_from, unsure.camera.intrinsics_from) == ("assumed", "assumed")
    assert unsure.height_m == pytest.approx(1.70)
    assert np.nanmedian(unsure.sigma_m) > 1.5 * np.nanmedian(sure.sigma_m)
    assert np.isfinite(sure.sigma_m[sure.valid]).all()
    assert (sure.sigma_m[sure.valid] > 0).all()


@pytest.mark.parametrize(("length", "filled"), [(3, True), (10, True), (11, False), (25, False)])
def test_gaps_of_a_hand_are_filled_and_marked_or_left_open(length, filled):
    filmed = hide(egocentric(), RIGHT, slice(50, 50 + length))
    motion = build(filmed, dataclasses.replace(PARTS, fov_x_deg=90.0))
    gap = motion.valid[50 : 50 + length, skeletons.RIGHT_HAND_SLICE]
    assert gap.all() if filled else not gap.any()
    assert (motion.imputed[50 : 50 + length, skeletons.RIGHT_HAND_SLICE] == filled).all()
    outside = np.delete(motion.imputed, np.s_[50 : 50 + length], axis=0)
    assert not outside.any()  # nothing is imputed silently or elsewhere
    assert motion.valid[:, skeletons.LEFT_HAND_SLICE].all()
    if filled:
        error = camera_error_m(motion, filmed)[50 : 50 + length, 54]
        assert error.max() < 0.05
        assert (motion.sigma_m[51, 54] > motion.sigma_m[45, 54]).all()


def test_gap_of_everything_splits_the_clip():
    filmed = egocentric()
    for index in (LEFT, RIGHT):
        filmed = hide(filmed, index, slice(40, 70))
    result = build_motion(filmed.tracks, filmed.clip, MotionConfig(fov_x_deg=90.0))
    assert isinstance(result, tuple)
    assert [m.clip_id for m in result] == ["synthetic_s00", "synthetic_s01"]
    assert [len(m.time_ns) for m in result] == [40, 50]
    assert result[1].time_ns[0] == filmed.tracks[0].time_ns[70]
    for motion in result:
        pose = motion.camera.T_world_camera
        assert pose is not None
        assert len(pose) == len(motion.time_ns)


def test_five_frames_a_second_are_not_bridged_over_two_seconds():
    filmed = third_person(seconds=np.arange(40) / 5, rate_hz=5.0)
    filmed = hide(hide(filmed, RIGHT, slice(10, 12)), LEFT, slice(20, 24))
    motion = build(filmed)
    assert motion.imputed[10:12, 54].all()
    assert not motion.valid[20:24, 33].any()


def test_hidden_hand_leaves_the_arm_and_invents_no_fingers():
    filmed = hide(third_person(), RIGHT, slice(30, 80))
    motion = build(filmed, PARTS)
    assert not motion.valid[30:80, skeletons.RIGHT_HAND_SLICE].any()
    assert motion.valid[30:80, 16].all()
    assert speed(motion.p_world_keypoint[:, 16]).max() < 3.0  # nothing jumps when the hand goes and comes
    assert np.median(camera_error_m(motion, filmed)[30:80, 16]) < 0.06


def test_teleports_are_removed_and_marked():
    filmed = egocentric()
    image = filmed.tracks[RIGHT].p_image_keypoint.copy()
    image[60:62] += [-320.0, 150.0]
    image[90] += [0.0, -260.0]
    broken = with_track(filmed, RIGHT, p_image_keypoint=image)
    motion = build(broken, MotionConfig(fov_x_deg=90.0, height_m=1.75))
    assert np.flatnonzero(motion.imputed[:, 54]).tolist() == [60, 61, 90]
    assert np.nanmax(camera_error_m(motion, filmed)[:, 54]) < 0.06


def test_a_body_that_contradicts_nothing_but_is_unsure_is_not_used():
    filmed = third_person()
    weak = with_track(filmed, BODY, confidence=np.full((120, 33), 0.3))
    motion = build(weak)
    assert not motion.body_seen
    assert not motion.valid[:, :33].any()
    assert motion.valid[:, WRISTS].all()


def _mirrored(filmed: Filmed) -> Filmed:
    width = filmed.clip.width_px
    flipped = []
    for track in filmed.tracks:
        image, relative = track.p_image_keypoint.copy(), np.array(track.p_relative_keypoint)
        image[..., 0] = width - image[..., 0]
        relative[..., 0] *= -1
        order = list(skeletons.skeleton(track.skeleton).mirror)
        name = {"hand21_left": "hand21_right", "hand21_right": "hand21_left"}.get(track.skeleton, track.skeleton)
        flipped.append(
            dataclasses.replace(
                track,
                skeleton=name,
                p_image_keypoint=image[:, order],
                p_relative_keypoint=relative[:, order],
                confidence=track.confidence[:, order],
            )
        )
    return dataclasses.replace(filmed, tracks=tuple(flipped))


@pytest.mark.parametrize("make", [third_person, egocentric])
def test_mirrored_tracks_give_the_mirrored_motion(make):
    filmed = make()
    motion, other = build(filmed), build(_mirrored(filmed))
    order = list(skeletons.skeleton("human75").mirror)
    expected = motion.p_world_keypoint[:, order] * [1, -1, 1]
    np.testing.assert_allclose(other.p_world_keypoint, expected, atol=1e-6)
    np.testing.assert_array_equal(other.valid, motion.valid[:, order])
    assert motion.view == other.view


def test_turning_the_camera_about_its_axis_turns_the_camera_frame_points():
    """The same scene through a rolled camera: camera-frame points are the old ones, rolled."""
    filmed, rolled = third_person(noise_px=0, noise_m=0), third_person(0.3, noise_px=0, noise_m=0)
    p, q = in_camera(build(filmed)), in_camera(build(rolled))
    undone = geometry.rotate(geometry.quat_exp(np.array([0, 0, 0.3])), q)
    np.testing.assert_allclose(undone, p, atol=0.02)


def test_inputs_stay_as_they_are():
    filmed = hide(third_person(), LEFT, slice(10, 15))
    before = [(t.p_image_keypoint.copy(), np.array(t.p_relative_keypoint), t.confidence.copy()) for t in filmed.tracks]
    build(filmed)
    for track, (image, relative, confidence) in zip(filmed.tracks, before, strict=True):
        np.testing.assert_array_equal(track.p_image_keypoint, image)
        np.testing.assert_array_equal(np.array(track.p_relative_keypoint), relative)
        np.testing.assert_array_equal(track.confidence, confidence)


def test_nan_and_only_nan_under_the_mask():
    motion = build(hide(third_person(), LEFT, slice(0, 40)))
    assert np.isnan(motion.p_world_keypoint[~motion.valid]).all()
    assert np.isfinite(motion.p_world_keypoint[motion.valid]).all()
    assert np.isnan(motion.sigma_m[~motion.valid]).all()
    assert not (motion.imputed & ~motion.valid).any()


def test_rejects_say_why():
    filmed = egocentric()
    none = filmed
    for index in (LEFT, RIGHT):
        none = hide(none, index, slice(None))
    rejected = build_motion(none.tracks, none.clip, CONFIG)
    assert isinstance(rejected, Reject)
    assert rejected.reason is Reason.HANDS_TOO_RARE
    assert "0.0%" in rejected.detail
    flicker = filmed
    for index in (LEFT, RIGHT):
        for start in range(0, 120, 30):
            flicker = hide(flicker, index, slice(start, start + 15))
    rejected = build_motion(flicker.tracks, flicker.clip, CONFIG)
    assert isinstance(rejected, Reject)
    assert rejected.reason is Reason.NO_USABLE_SEGMENT
    assert "0.50 s" in rejected.detail
    short = film(reaching(TIME_S[:12]), filmed.T_world_camera, fov_x_deg=90.0, body=False)
    rejected = build_motion(short.tracks, short.clip, CONFIG)
    assert isinstance(rejected, Reject)
    assert rejected.reason is Reason.TOO_SHORT


def test_one_frame_is_too_short():
    filmed = film(reaching(TIME_S[:1]), egocentric().T_world_camera)
    rejected = build_motion(filmed.tracks, filmed.clip, CONFIG)
    assert isinstance(rejected, Reject)
    assert rejected.reason is Reason.TOO_SHORT


def test_wrong_tracks_raise():
    filmed = egocentric()
    with pytest.raises(ValueError, match="hand21_left, hand21_right, body33"):
        build_motion(filmed.tracks[:2], filmed.clip, CONFIG)
    late = with_track(filmed, RIGHT, time_ns=filmed.tracks[RIGHT].time_ns + 5)
    with pytest.raises(ValueError, match="time grid"):
        build_motion(late.tracks, late.clip, CONFIG)


def test_fast_enough():
    import time

    filmed = third_person(seconds=np.arange(300) / 30)
    spent = []
    for _ in range(3):
        start = time.process_time()
        build(filmed)
        spent.append(time.process_time() - start)
    assert min(spent) / 300 < 0.003


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("error")
def test_broken_tracks_never_reach_the_motion(seed):
    """NaN, infinite, empty and jumping frames at random: no exception, no warning, nothing but NaN under the mask."""
    rng = np.random.default_rng(seed)
    filmed = third_person(seconds=np.arange(60) / 30, seed=seed)
    for index in (LEFT, RIGHT, BODY):
        track = filmed.tracks[index]
        image, confidence = track.p_image_keypoint.copy(), track.confidence.copy()
        relative = np.array(track.p_relative_keypoint)
        image[rng.random(60) < 0.1] = np.nan
        relative[rng.random(60) < 0.1] = np.inf
        relative[rng.random(60) < 0.1] = 0.0
        confidence[rng.random(60) < 0.1] = np.nan
        image[rng.random(60) < 0.1] += rng.normal(0, 300, 2)
        filmed = with_track(filmed, index, p_image_keypoint=image, p_relative_keypoint=relative, confidence=confidence)
    result = build_motion(filmed.tracks, filmed.clip, CONFIG)
    if isinstance(result, Reject):
        assert result.reason in (Reason.HANDS_TOO_RARE, Reason.NO_USABLE_SEGMENT)
        return
    for motion in result:
        assert np.isfinite(motion.p_world_keypoint[motion.valid]).all()
        assert np.isfinite(motion.sigma_m[motion.valid]).all()
        assert np.isnan(motion.p_world_keypoint[~motion.valid]).all()
        assert np.abs(motion.p_world_keypoint[motion.valid]).max() < 5


def test_tracks_without_relative_points_are_rejected():
    filmed = egocentric()
    for index in (LEFT, RIGHT):
        track = dataclasses.replace(filmed.tracks[index], p_relative_keypoint=None)
        filmed = dataclasses.replace(filmed, tracks=(*filmed.tracks[:index], track, *filmed.tracks[index + 1 :]))
    assert isinstance(build_motion(filmed.tracks, filmed.clip, CONFIG), Reject)
