"""Cuts are found where two shots meet and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from video_helpers import write

from vidpretrain.types import Reason, Reject
from vidpretrain.video import VideoConfig, find_shots, find_sources, frame_range, probe, split


def shot(seed: int, count: int, pan: int = 2) -> list[np.ndarray]:
    """A camera panning over a coloured scene with something moving in it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 40, 3)).astype(np.uint8)
    scene = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
    frames = []
    for k in range(count):
        frame = scene[:, pan * k : pan * k + 128].copy()
        frame[30:60, (5 * k) % 100 : (5 * k) % 100 + 25] = (250, 200, 40)
        frames.append(frame)
    return frames


def made(tmp_path, *shots):
    frames = [frame for frames in shots for frame in frames]
    return probe(write(tmp_path / "shots.mp4", frames, np.arange(len(frames)) * 40))


def test_a_hard_cut_is_found(tmp_path):
    info = made(tmp_path, shot(1, 50), shot(2, 60), shot(3, 40))
    shots = find_shots(info, VideoConfig(cut_margin_s=0.2))
    assert shots.cut_index == (50, 110)
    assert [(c.start_ns, c.exclusive_end_ns) for c in shots.clips] == [
        (0, 1_800_000_000),
        (2_200_000_000, 4_200_000_000),
        (4_600_000_000, 6_000_000_000),
    ]
    assert frame_range(info, shots.clips[1]) == (55, 105)
    assert len({c.clip_id for c in shots.clips}) == 3
    assert (shots.clips[0].width_px, shots.clips[0].height_px) == (128, 96)


def test_motion_fades_and_a_flash_are_no_cuts(tmp_path):
    frames = shot(1, 100, pan=4)
    for k in range(50):  # the light goes down to a half
        frames[k] = (frames[k] * (1 - 0.01 * k)).astype(np.uint8)
    frames[80] = np.full_like(frames[80], 255)
    assert find_shots(made(tmp_path, frames), VideoConfig()).cut_index == ()


def test_black_frames_are_alike(tmp_path):
    rng = np.random.default_rng(0)
    black = [rng.integers(0, 3, (96, 128, 3)).astype(np.uint8) for _ in range(30)]
    assert find_shots(made(tmp_path, black), VideoConfig()).cut_index == ()


def test_short_stretches_are_dropped_and_counted(tmp_path):
    info = made(tmp_path, shot(1, 50), shot(2, 10), shot(3, 50))
    shots = find_shots(info, VideoConfig(cut_margin_s=0.1))
    assert (len(shots.clips), shots.dropped) == (2, 1)
    assert shots.dropped_s == pytest.approx(0.2)


def test_nothing_left_is_too_short(tmp_path):
    result = split(made(tmp_path, shot(1, 10)), VideoConfig(min_clip_s=1.0))
    assert isinstance(result, Reject)
    assert result.reason is Reason.TOO_SHORT


def test_long_shots_are_divided_without_a_gap(tmp_path):
    info = made(tmp_path, shot(1, 110))
    clips = split(info, VideoConfig(max_clip_s=1.5))
    assert len(clips) == 3
    assert clips[0].start_ns == 0
    assert clips[-1].exclusive_end_ns == info.duration_ns == 4_400_000_000
    ranges = [frame_range(info, clip) for clip in clips]
    assert [k for a, b in ranges for k in range(a, b)] == list(range(110))
    assert all(c.exclusive_end_ns - c.start_ns <= 1_500_000_000 for c in clips)


@pytest.mark.shared
@pytest.mark.slow
def test_real_clips_have_no_cut(shared_video):
    """Each of the sixteen is one shot (looked at); the largest difference is .10 (pancake), the threshold .4."""
    for source in find_sources([shared_video]):
        info = probe(source.uri)
        shots = find_shots(info, VideoConfig())
        assert shots.cut_index == (), source.source_id
        assert shots.difference.max() < 0.2
        assert [frame_range(info, clip) for clip in shots.clips] == [(0, info.frame_count)]


@pytest.mark.shared
def test_real_shots_put_together_are_cut(shared_video, tmp_path):
    from PIL import Image

    from vidpretrain.video import open_video

    frames = []
    for name in ("intel_asl_eat.mkv", "intel_asl_milk.mkv", "sam2_juggle.mp4"):  # the first two share their room
        with open_video(probe(shared_video / name)) as reader:
            frames += [np.asarray(Image.fromarray(f).resize((320, 240))) for f in reader.read(range(40))]
    info = probe(write(tmp_path / "montage.mp4", frames, np.arange(120) * 40))
    assert 80 in find_shots(info, VideoConfig()).cut_index
