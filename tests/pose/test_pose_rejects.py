"""Every reason has a clip that is refused for it, and one just beside it that is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pose_helpers import body, frames_ns, hand

from vidpretrain.pose import PoseConfig, extract
from vidpretrain.pose.body import is_sideways, is_upside_down
from vidpretrain.pose.observations import BodySighting
from vidpretrain.pose.pictures import measure
from vidpretrain.pose.reject_config import RejectConfig
from vidpretrain.pose.rejects import judge, refuse_people, refuse_pictures
from vidpretrain.pose.tracks import body_track, hand_track
from vidpretrain.types import Clip, Reason, Reject
from vidpretrain.video import H264Writer, VideoConfig, VideoInfo, open_video, probe, split

WIDTH, HEIGHT = 1280, 720
CLIP = Clip(clip_id="c", source_id="c", path="c", start_ns=0, exclusive_end_ns=10**9, width_px=WIDTH, height_px=HEIGHT)


def judged(left=(), right=(), bodies=(), frames=20):
    def whole(seen):
        return [*seen, *[None] * (frames - len(seen))]

    time_ns = frames_ns(frames)
    tracks = (
        hand_track(CLIP, time_ns, whole(left), "left"),
        hand_track(CLIP, time_ns, whole(right), "right"),
        body_track(CLIP, time_ns, whole(bodies)),
    )
    result = judge(tracks, RejectConfig(), WIDTH, HEIGHT)
    return result.reason if isinstance(result, Reject) else None


def test_too_short_and_nobody():
    assert judged([hand((500, 300), 0.9)], frames=1) is Reason.TOO_SHORT
    assert judged() is Reason.NO_PERSON
    assert judged([hand((500, 300), 0.9)] * 20) is None


def test_too_small_is_hands_and_body_both():
    tiny = hand((500, 300), 0.9, length=5)
    assert judged([tiny] * 20) is Reason.TOO_SMALL
    assert judged([tiny] * 20, bodies=[body(scale=40)] * 20) is Reason.TOO_SMALL
    assert judged([tiny] * 20, bodies=[body(scale=120)] * 20) is None
    assert judged([hand((500, 300), 0.9, length=20)] * 20) is None


def test_out_of_frame_is_no_wrist_in_the_picture():
    beside = body(at=(-400, 300))
    assert judged(bodies=[beside] * 20) is Reason.OUT_OF_FRAME
    assert judged(bodies=[body()] * 3 + [beside] * 17) is None
    assert judged([hand((500, 300), 0.9)] * 20, bodies=[beside] * 20) is None


def test_teleporting_tracks():
    steady = [hand((300 + 10 * t, 300), 0.9) for t in range(20)]
    thrown = [hand((300 + 500 * (t % 2), 300), 0.9) for t in range(20)]
    assert judged(steady) is None
    assert judged(thrown) is Reason.TELEPORTING
    once = [hand((900 if t == 9 else 300 + 10 * t, 300), 0.9) for t in range(30)]
    assert judged(once, frames=30) is None  # one step there and one back


def test_a_crowd_is_refused_and_three_are_not():
    crowd = [body(at=(200 + 250 * i, 300)) for i in range(4)]
    assert refuse_people([crowd] * 20, RejectConfig()).reason is Reason.SEVERAL_PEOPLE
    assert refuse_people([crowd[:3]] * 20, RejectConfig()) is None
    assert refuse_people([crowd] * 5 + [crowd[:1]] * 15, RejectConfig()) is None
    assert refuse_people([[]] * 5, RejectConfig()) is None


def test_upside_down_needs_somebody_who_is_surely_there():
    person = body()
    turned = BodySighting(p_image=-person.p_image, p_relative=person.p_relative, visibility=person.visibility)
    doubtful = dataclasses.replace(turned, visibility=0.5 * person.visibility)
    assert is_upside_down(turned)
    assert not is_upside_down(person)
    assert not is_upside_down(doubtful)  # as bodies invented on hands are
    assert refuse_people([[turned]] * 20, RejectConfig()).reason is Reason.UPSIDE_DOWN
    assert refuse_people([[turned]] * 8 + [[person]] * 12, RejectConfig()) is None


def test_sideways_is_a_person_across_the_picture_not_one_who_bends_over():
    person = body()
    lying = dataclasses.replace(person, p_image=person.p_image[:, ::-1] * [1, -1])
    from_the_side = body(turn=np.pi / 2)
    bent_over = dataclasses.replace(from_the_side, p_image=from_the_side.p_image[:, ::-1] * [1, -1])
    assert is_sideways(lying)
    assert not is_sideways(person)
    assert not is_sideways(bent_over)  # shoulders beside each other in depth, not above each other
    assert not is_sideways(dataclasses.replace(lying, visibility=0.5 * person.visibility))
    assert refuse_people([[lying]] * 20, RejectConfig()).reason is Reason.SIDEWAYS
    assert refuse_people([[lying]] * 8 + [[person]] * 12, RejectConfig()) is None


def test_what_moves_less_than_it_jitters_is_motionless():
    rng = np.random.default_rng(0)

    def shaken(person, by):
        return dataclasses.replace(person, p_image=person.p_image + rng.normal(0, by, person.p_image.shape))

    still = [shaken(body(), 1.0) for _ in range(60)]
    waving = [shaken(body(turn=1.2, swing=0.1 * np.sin(t / 5)), 1.0) for t in range(60)]
    assert judged(bodies=still, frames=60) is Reason.MOTIONLESS
    assert judged(bodies=waving, frames=60) is None
    assert judged(bodies=still[:25], frames=25) is None  # less than a second
    hands = [shaken(hand((500, 300), 0.9, length=120), 0.5) for _ in range(60)]
    assert judged(hands, bodies=still, frames=60) is Reason.MOTIONLESS
    moving = [shaken(hand((500 + 20 * np.sin(t / 5), 300), 0.9, length=120), 0.5) for t in range(60)]
    assert judged(moving, bodies=still, frames=60) is None
    thrown = [*hands[:30], hand((900, 600), 0.9, length=120), *hands[31:]]
    assert judged(thrown, bodies=still, frames=60) is Reason.MOTIONLESS  # one bad frame is no motion


def test_dark_and_blurred_pictures():
    import cv2

    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 255, (12, 16, 1)), np.ones((20, 20, 3))).astype(np.uint8)
    sharp = measure(blocks)
    blurred = measure(cv2.GaussianBlur(blocks, (0, 0), 16))
    dark = measure(blocks // 16)
    assert refuse_pictures([sharp] * 10, RejectConfig()) is None
    assert refuse_pictures([blurred] * 10, RejectConfig()).reason is Reason.BLURRED
    assert refuse_pictures([dark] * 10, RejectConfig()).reason is Reason.TOO_DARK
    assert refuse_pictures([dark] * 5 + [sharp] * 5, RejectConfig()) is None
    assert np.isnan(measure(np.full((240, 320, 3), 128, np.uint8)).sharpness)
    assert refuse_pictures([], RejectConfig()) is None


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(RejectConfig)])
def test_thresholds_are_checked(name):
    with pytest.raises(ValueError, match=name):
        RejectConfig(**{name: -1})


def altered(source, target, change, frames: int):
    """(clip, info) of a video whose frames were changed by `change(t, frame)`."""
    info = probe(source)
    assert isinstance(info, VideoInfo)
    with open_video(info) as reader, H264Writer(target, info.width_px, info.height_px, 30) as writer:
        for t, (_, _, frame) in enumerate(reader.iterate(0, frames, 1)):
            writer.write(np.ascontiguousarray(change(t, frame)))
    info = probe(target)
    clips = split(info, VideoConfig(cut_threshold=1.0))
    assert isinstance(clips, tuple)
    return clips[0], info


@pytest.mark.shared
def test_altered_clips_of_a_signer(shared_video, landmarkers, tmp_path):
    """Mirrored and black in the middle: right. Turned around, dark, out of focus: refused for the right reason."""
    import cv2

    source = shared_video / "intel_asl_milk.mkv"

    def run(change, frames=16):
        return extract(*altered(source, tmp_path / "a.mp4", change, frames), PoseConfig())

    left, right, seen = run(lambda t, f: f)
    assert left.found.all()
    assert seen.found.all()
    m_left, m_right, mirrored = run(lambda t, f: f[:, ::-1])
    assert m_right.found.all()
    np.testing.assert_allclose(640 - m_right.p_image_keypoint[:, 0, 0], left.p_image_keypoint[:, 0, 0], atol=8)
    assert abs(m_left.found.mean() - right.found.mean()) < 0.2
    np.testing.assert_allclose(
        640 - mirrored.p_image_keypoint[:, 15, 0], seen.p_image_keypoint[:, 16, 0], atol=15
    )  # sides follow the picture
    black_left, _, black = run(lambda t, f: 0 * f if 6 <= t < 10 else f)
    assert not black.found[6:10].any()
    assert not black_left.found[6:10].any()
    assert black.found[[5, 10]].all()
    for change, reason in (
        (lambda t, f: f[::-1, ::-1], Reason.UPSIDE_DOWN),
        (lambda t, f: f // 16, Reason.TOO_DARK),
        (lambda t, f: cv2.GaussianBlur(f, (0, 0), 12), Reason.BLURRED),
    ):
        refused = run(change)
        assert isinstance(refused, Reject)
        assert refused.reason is reason


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("pose.rejects.min_frames=3", r"'pose\.rejects' has moved"),
        ("motion.rejects.max_scale_sigma=1", r"'motion\.rejects' has moved"),
        ("rejects.max_teleport_share=.5", r"'rejects\.max_teleport_share' has moved"),
        ("rejects.min_frame=3", r"did you mean 'min_frames'"),
    ],
)
def test_one_table_of_rejects_that_old_names_lead_to(override, message):
    from vidpretrain import config
    from vidpretrain.errors import ConfigError
    from vidpretrain.workflow.config import RunConfig

    with pytest.raises(ConfigError, match=message):
        config.load(RunConfig, None, [override])
    asked = config.load(RunConfig, None, ["rejects.min_frames=7", "rejects.max_scale_sigma=.2"])
    assert (asked.data().rejects.min_frames, asked.data().rejects.max_scale_sigma) == (7, 0.2)
