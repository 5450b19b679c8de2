"""Bad input, on rendered people whose truth is known: each clip is labelled right, or refused for the right reason."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import footage
import numpy as np
import pytest
from footage import HEIGHT, WIDTH, Truth, altered, clip_of, frames, shares

from vidpretrain.errors import MissingAsset, MissingExtra
from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.pose import PoseConfig, extract, load_estimator
from vidpretrain.types import Reason, Reject
from vidpretrain.video import VideoConfig

pytestmark = pytest.mark.slow
SIDES = {"left": slice(33, 54), "right": slice(54, 75)}


@pytest.fixture(scope="module")
def clips(tmp_path_factory, landmarkers) -> Path:
    """Folder with the rendered clips."""
    from vidpretrain.sim.gl import choose_gl

    out = tmp_path_factory.mktemp("footage")
    try:
        choose_gl()
        code = [sys.executable, footage.__file__, str(out)]
        subprocess.run(code, check=True, env=os.environ, capture_output=True, text=True)
    except (MissingAsset, MissingExtra) as error:
        pytest.skip(str(error))
    return out


@pytest.fixture(scope="module")
def pictures(clips):
    """Frames of the clips by name."""
    return {name: list(frames(clips / f"{name}.mp4")) for name in ("front", "other", "room")}


@pytest.fixture
def run(clips, tmp_path):
    """run(change, source="front", config=None): what `extract` says of the altered clip."""

    def tracks(change, source: str = "front", config: VideoConfig | None = None):
        path = altered(clips / f"{source}.mp4", tmp_path / "altered.mp4", change)
        return extract(*clip_of(path, config), PoseConfig())

    return tracks


def refused(result, reason: Reason) -> bool:
    return isinstance(result, Reject) and result.reason is reason


def right(tracks, truth: Truth, place=lambda uv: uv, swap=False, least: float = 0.85) -> None:
    """Hands are found where they are and nowhere else."""
    assert not isinstance(tracks, Reject), tracks
    found, wrong = shares(tracks, truth, place, swap)
    assert found >= least
    assert wrong == 0


def motion(tracks, clip, truth: Truth, **more):
    """Hand points (t 2 21 3) of the motion in the camera's metres, NaN where there is none."""
    config = MotionConfig(height_m=truth.height_m, view="third")
    made = build_motion(tracks, clip, config, {"K": truth.K.tolist(), **more})
    assert not isinstance(made, Reject), made
    out = np.full((len(tracks[0].time_ns), 2, 21, 3), np.nan)
    from vidpretrain import geometry

    for part in made:
        rows = np.searchsorted(tracks[0].time_ns, part.time_ns)
        p = geometry.transform(geometry.inverse(part.camera.T_world_camera)[:, None], part.p_world_keypoint)
        p = np.where(part.valid[..., None], p, np.nan)
        out[rows] = np.stack([p[:, part_of] for part_of in SIDES.values()], axis=1)
    return out


def wrist_error_m(points, truth: Truth, time_ns) -> float:
    at = np.searchsorted(truth.time_ns, time_ns).clip(0, len(truth.time_ns) - 1)
    return float(np.nanmedian(np.linalg.norm(points[:, :, 0] - truth.points[at][:, :, 0], axis=-1)))


def test_plain_clips_are_labelled_right(clips):
    for name in ("front", "other", "head"):
        path = clips / f"{name}.mp4"
        right(extract(*clip_of(path), PoseConfig()), Truth.of(path))


def test_mirrored_video_gives_mirrored_motion_and_the_flag_takes_it_back(clips, run):
    """A mirror image cannot be told from the picture: sides follow it, and somebody has to say what it is."""
    truth = Truth.of(clips / "other.mp4")
    clip, info = clip_of(clips / "other.mp4")
    plain = motion(extract(clip, info, PoseConfig()), clip, truth)

    def mirror(t, frame):
        return frame[:, ::-1]

    tracks = run(mirror, "other")
    right(tracks, truth, lambda uv: uv * [-1, 1] + [WIDTH, 0], swap=True)
    seen = motion(tracks, clip, truth)[:, ::-1] * [-1, 1, 1]  # the other side's, mirrored
    apart = np.linalg.norm(seen - plain, axis=-1)[:, :, 0]
    assert np.nanmedian(apart) < 0.03
    righted = run(mirror, "other", VideoConfig(mirrored=True))
    right(righted, truth)
    apart = np.linalg.norm(motion(righted, clip, truth) - plain, axis=-1)[:, :, 0]
    assert np.nanmedian(apart) < 0.02


@pytest.mark.parametrize(("turns", "reason"), [(1, Reason.SIDEWAYS), (2, Reason.UPSIDE_DOWN), (3, Reason.SIDEWAYS)])
def test_turned_people_are_refused_and_righted_by_the_flag(clips, run, turns, reason):
    def turn(t, frame):
        return np.rot90(frame, turns)

    assert refused(run(turn), reason)
    right(run(turn, config=VideoConfig(turn_deg=360 - 90 * turns)), Truth.of(clips / "front.mp4"))


def test_hands_alone_are_right_whichever_way_up(clips, run):
    """Nobody can say which way up a picture of hands is; where they are in it, and which is which, stays right."""
    truth = Truth.of(clips / "head.mp4")
    tracks = run(lambda t, f: f[::-1, ::-1], "head")
    right(tracks, truth, lambda uv: np.array([WIDTH, HEIGHT]) - uv)
    assert not tracks[2].found.any()
    right(run(lambda t, f: np.rot90(f), "head"), truth, lambda uv: uv[..., ::-1] * [1, -1] + [0, WIDTH])


@pytest.mark.parametrize(("name", "frames_seen"), [("slow", 20), ("fast", 30)])
def test_five_and_240_frames_a_second(clips, name, frames_seen):
    path = clips / f"{name}.mp4"
    clip, info = clip_of(path)
    tracks, truth = extract(clip, info, PoseConfig()), Truth.of(path)
    right(tracks, truth)
    assert len(tracks[0].time_ns) == frames_seen
    assert wrist_error_m(motion(tracks, clip, truth), truth, tracks[0].time_ns) < 0.1


class Lens:
    """A lens that bends the picture of the same focal length: where its pixels come from, and where points go."""

    def __init__(self, kind: str, K: np.ndarray) -> None:
        import cv2

        self.K, self.kind = K, kind
        self.bend = np.array([0.05, -0.01, 0.0, 0.0] if kind == "fisheye" else [-0.35, 0.12, 0.0, 0.0, 0.0])
        self.room = cv2.fisheye if kind == "fisheye" else cv2

    def source(self) -> np.ndarray:
        grid = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1).reshape(-1, 1, 2).astype(np.float64)
        points = self.room.undistortPoints(grid, self.K, self.bend, P=self.K)
        return points.reshape(HEIGHT, WIDTH, 2).astype(np.float32)

    def place(self, uv: np.ndarray) -> np.ndarray:
        shape = np.asarray(uv).shape
        normal = (np.reshape(uv, (-1, 2)) - self.K[:2, 2]) / self.K[[0, 1], [0, 1]]
        points = np.concatenate([normal, np.ones((len(normal), 1))], axis=1).reshape(-1, 1, 3)
        return self.room.projectPoints(points, np.zeros(3), np.zeros(3), self.K, self.bend)[0].reshape(shape)


@pytest.mark.parametrize("kind", ["radial", "fisheye"])
def test_a_bent_picture_is_followed_and_its_lens_undone(clips, tmp_path, kind):
    """An action camera's and a fisheye: found where it is bent to; with the lens known as good as without."""
    import cv2

    truth = Truth.of(clips / "front.mp4")
    lens = Lens(kind, truth.K)
    source = lens.source()
    path = altered(
        clips / "front.mp4",
        tmp_path / "bent.mp4",
        lambda t, f: cv2.remap(f, source[..., 0], source[..., 1], cv2.INTER_LINEAR),
    )
    clip, info = clip_of(path)
    tracks = extract(clip, info, PoseConfig())
    right(tracks, truth, lens.place)
    plain_clip, plain_info = clip_of(clips / "front.mp4")
    plain_tracks = extract(plain_clip, plain_info, PoseConfig())
    times = tracks[0].time_ns
    plain = wrist_error_m(motion(plain_tracks, plain_clip, truth), truth, times)
    known = wrist_error_m(motion(tracks, clip, truth, distortion=lens.bend.tolist(), lens=kind), truth, times)
    assert known < max(1.3 * plain, 0.05)


def test_a_picture_in_the_picture_does_not_distract(clips, run, pictures):
    import cv2

    def inset(t, frame):
        frame = frame.copy()
        frame[10:154, 440:632] = cv2.resize(pictures["other"][t], (192, 144))
        return frame

    right(run(inset), Truth.of(clips / "front.mp4"))


def test_somebody_only_in_the_inset_is_labelled_there(clips, run, pictures):
    import cv2

    def inset(t, frame):
        whole = pictures["room"][t].copy()
        whole[10:250, 310:630] = cv2.resize(frame, (320, 240))
        return whole

    right(run(inset), Truth.of(clips / "front.mp4"), lambda uv: 0.5 * uv + [310, 10])


@pytest.mark.parametrize("kind", ["mannequin", "painting", "photograph"])
def test_what_never_moves_is_nobody(clips, run, pictures, kind):
    """A mannequin behind a moving bottle, a picture under changing light with a camera's noise, and a still."""
    rng, still = np.random.default_rng(0), pictures["front"][0]

    def change(t, frame):
        if kind == "mannequin":
            return frame
        if kind == "photograph":
            return still
        light = 1.0 + 0.03 * np.sin(t)
        return np.clip(still * light + rng.normal(0, 6, still.shape), 0, 255).astype(np.uint8)

    assert refused(run(change, "mannequin" if kind == "mannequin" else "front"), Reason.MOTIONLESS)


def test_the_living_one_is_followed_beside_a_larger_mannequin(clips, run, pictures):
    import cv2

    def beside(t, frame):
        small = np.pad(cv2.resize(frame, (320, 240)), ((120, 120), (0, 0), (0, 0)), mode="edge")
        return np.hstack([small, pictures["other"][0]])

    right(run(beside), Truth.of(clips / "front.mp4"), lambda uv: 0.5 * uv + [0, 120])


def test_a_painting_on_the_wall_does_not_distract(clips, run, pictures):
    import cv2

    def hung(t, frame):
        frame = frame.copy()
        frame[40:240, 500:633] = cv2.resize(pictures["other"][0][20:470, 150:450], (133, 200))
        return frame

    right(run(hung), Truth.of(clips / "front.mp4"), least=0.8)


def test_hands_without_anybody_have_no_body(clips):
    left, _, body = extract(*clip_of(clips / "head.mp4"), PoseConfig())
    assert left.found.all()
    assert not body.found.any()


@pytest.mark.parametrize("name", ["feet", "room", "room_head"])
def test_feet_and_empty_rooms_are_nobody(clips, name):
    assert refused(extract(*clip_of(clips / f"{name}.mp4"), PoseConfig()), Reason.NO_PERSON)


def test_a_body_whose_hands_are_out_of_the_picture_has_none(clips, tmp_path):
    """The picture ends below the elbows: whatever is taken for a hand is none."""
    clip, info = clip_of(altered(clips / "other.mp4", tmp_path / "cut.mp4", lambda t, f: f[:270]))
    left, right_hand, body = load_estimator("mediapipe").estimate(clip, info, PoseConfig())
    assert body.found.mean() > 0.9
    assert not (left.found | right_hand.found).any()
    assert refused(extract(clip, info, PoseConfig()), Reason.OUT_OF_FRAME)


def test_a_crowd_is_refused(run, pictures):
    def four(t, frame):
        kinds = ("front", "other", "front", "other")
        return np.hstack([pictures[kind][(t + 5 * k) % 24][:, 120:480] for k, kind in enumerate(kinds)])

    assert refused(run(four), Reason.SEVERAL_PEOPLE)


@pytest.mark.parametrize("gone", ["black", "room"])
def test_black_frames_and_an_empty_room_in_the_middle(clips, run, pictures, gone):
    """Somebody leaves and returns, or the camera sees nothing: no label in between, the right ones on both sides."""
    away = range(8, 14)
    tracks = run(lambda t, f: f if t not in away else pictures["room"][t] if gone == "room" else 0 * f)
    truth = Truth.of(clips / "front.mp4")
    seen = truth.seen.copy()
    seen[list(away)] = False
    right(tracks, dataclasses.replace(truth, seen=seen))
    for track in tracks:
        assert not track.found[list(away)].any()
        assert track.found[[7, 14]].all() or track.skeleton != "body33"
    clip, _ = clip_of(clips / "front.mp4")
    config = MotionConfig(height_m=truth.height_m, view="third")
    made = build_motion(tracks, clip, config, {"K": truth.K.tolist()})
    assert not isinstance(made, Reject), made
    (whole,) = made  # half a second is bridged, and marked; more would divide the clip
    imputed = np.flatnonzero(whole.imputed[:, 11:13].all(axis=1))
    np.testing.assert_array_equal(imputed, away)
    assert not whole.imputed[:, [15, 16]][truth.seen.all(axis=1) & ~np.isin(np.arange(24), away)].any()
