"""The same frames from both libraries, in presentation order, upright."""

from __future__ import annotations

import numpy as np
import pytest
from video_helpers import number, write

from vidpretrain.errors import InputError
from vidpretrain.video import find_sources, open_video, probe

decord = pytest.importorskip("decord")


@pytest.mark.parametrize("backend", ["decord", "pyav"])
@pytest.mark.parametrize("name", ["numbers.mp4", "numbers.mkv"])
def test_index_is_presentation_order(make, backend, name):
    info = probe(make(name, 200, options={"g": "25"}))
    assert info.backend == "decord"
    with open_video(info, backend) as reader:
        wanted = [0, 199, 3, 150, 150, 42, 1, 77]
        frames = reader.read(wanted)
        assert frames.shape == (8, 64, 96, 3)
        assert [number(f) for f in frames] == wanted
        walk = [(k, t, number(f)) for k, t, f in reader.iterate(10, 190, 7)]
        assert walk == [(k, int(info.time_ns[k]), k) for k in range(10, 190, 7)]
        assert [number(f) for _, _, f in reader.iterate()] == list(range(200))


@pytest.mark.parametrize("backend", ["decord", "pyav"])
def test_variable_rate(make, backend):
    stamps = np.cumsum(np.r_[0, np.random.default_rng(5).integers(15, 200, 99)])
    info = probe(make("vfr.mkv", 100, stamps))
    assert info.variable_rate
    with open_video(info, backend) as reader:
        for k, time_ns, frame in reader.iterate(5, 95, 9):
            assert number(frame) == k
            assert time_ns == stamps[k] * 1_000_000


@pytest.mark.parametrize("backend", ["decord", "pyav"])
@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_rotation_is_applied(tmp_path, rotate, backend, clockwise):
    corners = np.full((64, 96, 3), 30, np.uint8)
    corners[:32, :48, 0], corners[:32, 48:, 1], corners[32:, :48, 2] = 220, 220, 220
    path = write(tmp_path / "phone.mp4", [corners] * 12, np.arange(12) * 40, options={"crf": "5"})
    info = probe(rotate(path, clockwise))
    upright = np.rot90(corners, -clockwise // 90)
    assert info.rotation_deg == 360 - clockwise
    assert (info.height_px, info.width_px) == upright.shape[:2]
    with open_video(info, backend) as reader:
        frame = reader.read([4])[0]
    assert frame.shape == upright.shape
    inner = np.abs(frame.astype(int) - upright).mean()
    assert inner < 8  # chroma bleeds at the edges; any other turn differs by more than 50


def test_a_changed_file_is_noticed(make):
    path = make("a.mp4", 60)
    info = probe(path)
    make("a.mp4", 20)
    for backend in ("decord", "pyav"):
        with pytest.raises(InputError, match="changed since"), open_video(info, backend) as reader:
            reader.read([50])


def test_indices_outside_are_errors(make):
    info = probe(make("a.mp4", 20))
    with open_video(info) as reader:
        for wrong in ([20], [-1]):
            with pytest.raises(InputError, match="no such frame"):
                reader.read(wrong)


@pytest.mark.shared
@pytest.mark.slow
def test_backends_agree_on_real_clips(shared_video):
    """Both convert by FFmpeg's own swscale with the stream's matrix and range: on these clips the pixels are equal.

    A mean of .5 and a largest difference of 8 grey levels are allowed, for other builds of FFmpeg (bicubic against
    bilinear chroma); a wrong matrix or range would show as more than 5 on the mean, a wrong frame as far more.
    """
    sources = find_sources([shared_video])
    assert len(sources) == 16
    for source in sources:
        info = probe(source.uri)
        assert info.backend == "decord"
        indices = np.unique(np.linspace(0, info.frame_count - 1, 12).astype(int))
        with open_video(info, "decord") as a, open_video(info, "pyav") as b:
            difference = np.abs(a.read(indices).astype(np.int16) - b.read(indices))
        assert difference.max() <= 8, source.source_id
        assert difference.mean() < 0.5, source.source_id
        stamps = decord.VideoReader(info.path).get_frame_timestamp(range(info.frame_count))[:, 0]
        assert len(stamps) == info.frame_count
        np.testing.assert_allclose(stamps - stamps[0], info.time_ns / 1e9, atol=2e-5)


@pytest.mark.shared
def test_av1_opens_by_pyav(shared_robot):
    path = next((shared_robot / "videos").rglob("episode_000000.mp4"))
    info = probe(path)
    assert (info.codec, info.backend, info.width_px, info.height_px) == ("av1", "pyav", 640, 480)
    with open_video(info) as reader:
        first = reader.read([0, info.frame_count - 1])
        walk = [frame for _, _, frame in reader.iterate(0, 3)]
    assert first.std() > 10
    np.testing.assert_array_equal(walk[0], first[0])
    import pandas as pd

    rows = pd.read_parquet(next((shared_robot / "data").rglob("episode_000000.parquet")))
    assert info.frame_count == len(rows)
