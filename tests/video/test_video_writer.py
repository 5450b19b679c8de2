"""What is written is read back: pictures, times, key frames; and nothing half-written stays."""

from __future__ import annotations

import os
from fractions import Fraction

import av
import numpy as np
import pytest
from video_helpers import number, picture

from vidpretrain.errors import ConfigError, DiskFull, InputError
from vidpretrain.video import H264Writer, open_video, probe


@pytest.mark.parametrize("rate", [30, 12.5, 29.97, Fraction(30000, 1001), 5])
def test_round_trip_of_times(tmp_path, rate):
    path = tmp_path / "out.mp4"
    with H264Writer(path, 96, 64, rate) as writer:
        for k in range(70):
            writer.write(picture(k))
    info = probe(path)
    exact = [round(k * 1_000_000_000 / Fraction(rate).limit_denominator(100_000)) for k in range(70)]
    np.testing.assert_allclose(info.time_ns, exact, atol=1)
    assert not info.variable_rate
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert [p.pts * stream.time_base * writer.rate for p in container.demux(stream) if p.size] == list(range(70))
        assert stream.average_rate == writer.rate
    for backend in ("decord", "pyav"):
        with open_video(info, backend) as reader:
            assert [number(f) for _, _, f in reader.iterate()] == list(range(70))


def test_key_frames_are_where_they_were_asked_for(tmp_path):
    path = tmp_path / "out.mp4"
    rng = np.random.default_rng(0)
    with H264Writer(path, 96, 64, 30, keyframe_interval=20) as writer:
        for k in range(60):
            writer.write(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8), force_keyframe=k == 27)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size]
        assert [k for k, p in enumerate(packets) if p.is_keyframe] == [0, 20, 27, 47]
        assert [p.pts for p in packets] == [p.dts for p in packets]  # no B-frames
        assert stream.codec_context.pix_fmt == "yuv420p"
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_colours_survive(tmp_path):
    path = tmp_path / "out.mp4"
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [200, 120, 40]], np.uint8)
    frame = np.repeat(np.repeat(colours[None], 64, 0), 16, 1)
    with H264Writer(path, 96, 64, 30, crf=5) as writer:
        for _ in range(3):
            writer.write(frame)
    with open_video(probe(path)) as reader:
        back = reader.read([1])[0]
    np.testing.assert_allclose(back[32, 8::16], colours, atol=6)


def test_odd_sizes_and_wrong_frames(tmp_path):
    with pytest.raises(ConfigError, match=r"valid: 98 x 64"):
        H264Writer(tmp_path / "odd.mp4", 97, 64, 30)
    with pytest.raises(InputError, match=r"uint8 \(64, 96, 3\)"), H264Writer(tmp_path / "a.mp4", 96, 64, 30) as writer:
        writer.write(np.zeros((64, 98, 3), np.uint8))
    assert os.listdir(tmp_path) == []


def test_an_exception_leaves_nothing_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"the old one")

    def broken():
        with H264Writer(path, 96, 64, 30) as writer:
            writer.write(picture(1))
            raise KeyError("stop")

    with pytest.raises(KeyError):
        broken()
    assert os.listdir(tmp_path) == ["out.mp4"]
    assert path.read_bytes() == b"the old one"
    with pytest.raises(InputError, match="needs a frame"), H264Writer(tmp_path / "none.mp4", 96, 64, 30):
        pass
    assert os.listdir(tmp_path) == ["out.mp4"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk(tmp_path):
    path = tmp_path / "out.mp4"
    os.symlink("/dev/full", f"{path}.tmp")  # the kernel itself says ENOSPC
    noise = np.random.default_rng(0).integers(0, 255, (200, 64, 96, 3), dtype=np.uint8)

    def fill():
        with H264Writer(path, 96, 64, 30) as writer:
            for frame in noise:
                writer.write(frame)

    with pytest.raises(DiskFull, match="no space left"):
        fill()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"), H264Writer(tmp_path / "file" / "out.mp4", 96, 64, 30):
        pass
