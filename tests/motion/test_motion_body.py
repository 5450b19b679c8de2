"""Bodies that are not there, hands of somebody else, wrists that hands and body share, feet on the floor."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import Filmed, film, hide, look_at, raising, reaching, with_track

from vidpretrain import geometry, skeletons
from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.motion.view import decide_view, votes
from vidpretrain.motion.world import back_towards_camera
from vidpretrain.types import HumanMotion

LEFT, RIGHT, BODY = 0, 1, 2
CONFIG = MotionConfig(fov_x_deg=60.0, height_m=1.75)
PARTS = dataclasses.replace(CONFIG, method="parts")  # what hands and body placed apart do; see test_motion_fit.py
TIME_S = np.arange(90) / 30


def build(filmed: Filmed, config: MotionConfig = CONFIG) -> HumanMotion:
    motions = build_motion(filmed.tracks, filmed.clip, config)
    assert isinstance(motions, tuple), motions
    return motions[0]


def standing(**how) -> Filmed:
    camera = look_at(np.array([3.2, 0.3, 1.3]), np.array([0, 0, 0.95]))
    return film(raising(TIME_S), camera, **{"noise_px": 1.0, "noise_m": 0.004} | how)


def close_up(**how) -> Filmed:
    """The right hand, palm to the camera."""
    camera = look_at(np.array([0.9, -0.2, 1.25]), np.array([0.35, -0.17, 1.2]))
    return film(reaching(TIME_S), camera, body=False, hands=("right",), noise_px=1.0, noise_m=0.003, **how)


def test_a_body_invented_on_a_hand_is_dropped():
    hand = close_up()
    body = standing().tracks[BODY]
    image = body.p_image_keypoint.copy()
    image += hand.tracks[RIGHT].p_image_keypoint[:, :1] - image[:, 16:17]  # its wrist is where the hand is
    image = np.clip(image, 1, [hand.clip.width_px - 1, hand.clip.height_px - 1])
    invented = with_track(
        hand, BODY, p_image_keypoint=image, p_relative_keypoint=body.p_relative_keypoint, confidence=body.confidence
    )
    motion = build(invented)
    assert not motion.body_seen
    assert not motion.valid[:, skeletons.BODY_SLICE].any()
    np.testing.assert_allclose(motion.p_world_keypoint, build(hand).p_world_keypoint)
    assert build(standing()).body_seen


def test_a_hand_far_from_the_wrist_of_its_side_is_dropped():
    filmed = standing()
    left, right = filmed.tracks[LEFT], filmed.tracks[RIGHT]
    image, relative = right.p_image_keypoint.copy(), np.array(right.p_relative_keypoint)
    image[30:75], relative[30:75] = left.p_image_keypoint[30:75], np.array(left.p_relative_keypoint)[30:75]
    motion = build(with_track(filmed, RIGHT, p_image_keypoint=image, p_relative_keypoint=relative))
    assert not motion.valid[30:75, skeletons.RIGHT_HAND_SLICE].any()
    assert motion.valid[:, skeletons.LEFT_HAND_SLICE].all()
    assert motion.valid[:, 16].all()
    assert (motion.p_world_keypoint[:, 16, 1] < 0).all()


def test_sightings_too_short_to_trust_are_dropped():
    filmed = hide(hide(close_up(), RIGHT, slice(0, 20)), RIGHT, slice(23, 40))
    motion = build(filmed)
    assert motion.time_ns[0] == filmed.tracks[RIGHT].time_ns[40]


def test_the_hand_decides_the_depth_close_up_and_the_body_far_away():
    """Hands that look 15 % larger than they are: close up they are believed, far away the body is."""

    def relative_depth_error(distance_m: float) -> float:
        eye = np.array([distance_m, 0.0, 1.3])
        filmed = film(raising(TIME_S), look_at(eye, np.array([0, 0, 1.1])), fov_x_deg=100.0 if distance_m < 2 else 60.0)
        for index in (LEFT, RIGHT):
            image = filmed.tracks[index].p_image_keypoint
            larger = image[:, :1] + 1.15 * (image - image[:, :1])
            filmed = with_track(filmed, index, p_image_keypoint=larger)
        config = dataclasses.replace(PARTS, fov_x_deg=100.0 if distance_m < 2 else 60.0)
        motion = build(filmed, config)
        pose = motion.camera.T_world_camera
        assert pose is not None
        z = geometry.transform(geometry.inverse(pose)[:, None], motion.p_world_keypoint)[:, [33, 54], 2]
        truth = geometry.transform(geometry.inverse(filmed.T_world_camera), filmed.p_world)[:, [33, 54], 2]
        return float(np.nanmedian(1 - z / truth))

    near, far = relative_depth_error(1.0), relative_depth_error(4.0)
    assert near > 0.05  # of the .13 that the hands claim
    assert abs(far) < 0.04


def test_in_a_bridged_gap_the_wrist_of_the_body_leads():
    filmed = hide(standing(noise_px=0, noise_m=0), RIGHT, slice(40, 50))
    motion = build(filmed)
    assert motion.imputed[40:50, skeletons.RIGHT_HAND_SLICE].all()
    assert not motion.imputed[40:50, 16].any()  # the body's wrist was seen
    error = np.linalg.norm(motion.p_world_keypoint[:, 54] - filmed.p_world[:, 54], axis=-1)
    assert error[40:50].max() < error[20:40].max() + 0.015


def test_feet_keep_the_body_at_its_distance():
    """A camera that looks down, and a network whose body grows and shrinks: depth drifts, the feet bring it back."""
    filmed = film(raising(np.arange(150) / 30), look_at(np.array([4.0, 0, 2.6]), np.array([0, 0, 0.9])))
    drift = 1 + 0.06 * np.sin(2 * np.pi * 0.2 * np.arange(150) / 30)
    relative = np.array(filmed.tracks[BODY].p_relative_keypoint) * drift[:, None, None]
    filmed = with_track(filmed, BODY, p_relative_keypoint=relative)
    loose, held = (build(filmed, dataclasses.replace(PARTS, floor_sigma_m=s)) for s in (10.0, 0.05))

    def sway(motion: HumanMotion) -> float:
        return float(np.ptp(motion.T_world_root[:, 4]))

    assert sway(loose) > 0.3
    assert sway(held) < 0.5 * sway(loose)
    sole = held.p_world_keypoint[:, [29, 30], 2].min(axis=1)
    assert np.ptp(sole) < 0.5 * np.ptp(loose.p_world_keypoint[:, [29, 30], 2].min(axis=1))


@pytest.mark.parametrize("side", ["left", "right"])
def test_back_and_palm(side):
    from synthetic_person import hand_points

    hand = hand_points(side, np.full(3, 0.1))  # palm down, z up
    above = np.stack([hand[..., 1] * -1, hand[..., 0] * -1, 1.0 - hand[..., 2]], -1)  # camera above, looking down
    below = np.stack([hand[..., 1], hand[..., 0] * -1, 1.0 + hand[..., 2]], -1)
    assert back_towards_camera(above, side).all()
    assert not back_towards_camera(below, side).any()


def test_view_of_hands_alone():
    time_s = np.arange(30) / 30
    eye = np.array([0.05, 0.0, 1.62])
    ego = film(reaching(time_s), look_at(eye, np.array([0.5, 0, 1.05])), fov_x_deg=90.0, body=False)
    tracks = {t.skeleton: t for t in ego.tracks}
    assert votes(tracks, ego.clip).order == 1.0
    assert decide_view(tracks, ego.clip, 0.0) == "ego"
    assert decide_view(tracks, ego.clip, 0.6) == "third"  # a believable body is never one's own face
    facing = film(reaching(time_s), look_at(np.array([1.6, 0, 1.5]), np.array([0.4, 0, 1.15])), body=False)
    tracks = {t.skeleton: t for t in facing.tracks}
    assert votes(tracks, facing.clip).order == -1.0
    assert decide_view(tracks, facing.clip, 0.0) == "third"


def test_hands_on_a_table_seen_from_the_other_side_get_a_camera_that_looks_down():
    time_s = np.arange(40) / 30
    eye = np.array([0.75, 0.0, 1.75])
    filmed = film(reaching(time_s), look_at(eye, np.array([0.45, 0, 1.1])), body=False)
    motion = build(filmed)
    assert motion.view == "third"
    pose = motion.camera.T_world_camera
    assert pose is not None
    forward = geometry.rotate(pose[0, :4], np.array([0, 0, 1.0]))
    assert np.degrees(np.arcsin(-forward[2])) == pytest.approx(60.0)
    z_of_back = motion.p_world_keypoint[:, 54, 1].mean()
    assert z_of_back < motion.p_world_keypoint[:, 33, 1].mean()  # right is right of left
    fixed = build(filmed, dataclasses.replace(CONFIG, third_pitch_deg=20.0)).camera.T_world_camera
    assert fixed is not None
    assert np.degrees(np.arcsin(-geometry.rotate(fixed[0, :4], np.array([0, 0, 1.0]))[2])) == pytest.approx(20.0)


def test_hidden_hips_leave_a_root_below_the_shoulders():
    filmed = standing()
    confidence = filmed.tracks[BODY].confidence.copy()
    confidence[:, 23:] = 0.05
    motion = build(with_track(filmed, BODY, confidence=confidence))
    assert not motion.valid[:, 23:33].any()
    assert np.isfinite(motion.T_world_root).all()
    assert np.median(motion.T_world_root[:, 6]) == pytest.approx(0.53 * 1.75, abs=0.08)
    assert (motion.contact == 0).all()  # no foot is seen
