"""Every kind of file that is or is not a video, and what `probe` makes of it."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from video_helpers import number, write

from vidpretrain.errors import InputError
from vidpretrain.types import Reason, Reject
from vidpretrain.video import VideoConfig, VideoInfo, open_video, probe


def test_times_are_the_containers(make):
    stamps = np.cumsum(np.r_[0, np.random.default_rng(3).integers(20, 120, 59)])
    info = probe(make("vfr.mkv", 60, stamps))
    assert isinstance(info, VideoInfo)
    np.testing.assert_array_equal(info.time_ns, stamps * 1_000_000)
    assert info.variable_rate
    assert info.average_rate_hz == pytest.approx(59 / (stamps[-1] * 1e-3))


def test_rounded_stamps_are_no_variable_rate(make):
    info = probe(make("cfr.mkv", 60, np.round(np.arange(60) * 1000 / 30)))
    assert not info.variable_rate
    assert (info.width_px, info.height_px, info.codec, info.truncated) == (96, 64, "h264", False)
    assert not info.time_ns.flags.writeable


def test_times_start_at_the_first_frame(make):
    info = probe(make("late.mkv", 10, 5000 + np.arange(10) * 40))
    assert info.time_ns[0] == 0
    assert info.time_ns[-1] == 360_000_000


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.mp4", b"not a video at all\n" * 50, Reason.NOT_A_VIDEO),
        ("notes.txt", b"tty would take this\n" * 50, Reason.NOT_A_VIDEO),
        ("noise.mp4", np.random.default_rng(0).bytes(5000), Reason.NOT_A_VIDEO),
        ("empty.mp4", b"", Reason.EMPTY_FILE),
        (
            "headless.mp4",
            b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + b"\x00\x01\x00\x00mdat",
            Reason.TRUNCATED,
        ),
    ],
)
def test_files_that_are_no_video(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    result = probe(path)
    assert isinstance(result, Reject)
    assert result.reason is reason, result
    assert name in result.detail


def test_a_picture_is_no_video(tmp_path):
    from PIL import Image

    for suffix in ("png", "jpg"):
        path = tmp_path / f"still.{suffix}"
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
        path = path.rename(tmp_path / f"{suffix}.mp4")
        assert probe(path).reason is Reason.NOT_A_VIDEO


def test_sound_alone_is_no_video(tmp_path):
    import wave

    path = tmp_path / "sound.mp4"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    assert probe(path).reason is Reason.NOT_A_VIDEO


def test_wrong_extension_does_not_matter(make):
    path = make("right.mp4", 20)
    wrong = path.rename(path.with_suffix(".txt"))
    assert probe(wrong).frame_count == 20


def test_one_frame_is_too_short(make):
    assert probe(make("one.mp4", 1)).reason is Reason.TOO_SHORT


def test_a_huge_frame_is_refused_by_its_header(make, monkeypatch):
    path = make("wide.mp4", 2, size=(10_000, 64))

    def decodes(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr("vidpretrain.video.probing.Frames", decodes)
    result = probe(path)
    assert result.reason is Reason.TOO_LARGE
    assert "10000" in result.detail
    with pytest.raises(AssertionError, match="decoded"):
        probe(path, VideoConfig(max_frame_px=10_000))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["tail.mkv", "tail.mp4"])
def test_a_broken_tail_leaves_the_frames_before_it(make, name, keep):
    options = {"g": "10"}
    path = make(name, 120, options=options)
    if name.endswith("mp4"):  # index first, as a download that broke off has it
        import av

        fast = path.with_name("fast.mp4")
        with av.open(str(path)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        path = fast
    data = path.read_bytes()
    start = data.index(b"mdat") if name.endswith("mp4") else 0
    path.write_bytes(data[: start + int((len(data) - start) * keep)])
    info = probe(path)
    assert isinstance(info, VideoInfo), info
    assert info.truncated
    assert info.backend == "pyav"
    assert 0.4 * keep * 120 < info.frame_count < 120  # headers take their share of so small a file
    with open_video(info) as reader:
        for k, frame in enumerate(reader.read(range(info.frame_count))):
            assert number(frame) == k


def test_a_broken_middle_is_survived(make):
    path = make("hole.mkv", 120, options={"g": "10", "bf": "0"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60] = bytes(60)
    path.write_bytes(data)
    info = probe(path)
    assert isinstance(info, VideoInfo)
    assert 60 < info.frame_count <= 120
    assert (np.diff(info.time_ns) > 0).all()


def test_cut_to_nothing_is_truncated(make):
    for name in ("stub.mkv", "stub.mp4"):
        path = make(name, 60)
        path.write_bytes(path.read_bytes()[:300])
        result = probe(path)
        assert isinstance(result, Reject)
        assert result.reason is Reason.TRUNCATED, result


def test_folder_and_missing_path_are_errors(tmp_path):
    with pytest.raises(InputError, match="folder"):
        probe(tmp_path)
    with pytest.raises(InputError, match=r"nowhere\.mp4"):
        probe(tmp_path / "nowhere.mp4")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(make):
    path = make("secret.mp4", 10)
    path.chmod(0)
    assert probe(path).reason is Reason.UNREADABLE


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx-vp9"])
def test_other_codecs(make, codec):
    name = "other.avi" if codec == "mpeg4" else "other.webm"
    info = probe(make(name, 20, codec=codec))
    assert info.frame_count == 20


def test_camera_metadata(make, tmp_path):
    import av

    source, path = make("plain.mp4", 5), tmp_path / "tagged.mov"
    with av.open(str(source)) as a, av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as b:
        b.metadata["com.apple.quicktime.make"] = "Apple"
        b.metadata["com.apple.quicktime.camera.focal_length.35mm_equivalent"] = "26"
        stream = b.add_stream_from_template(a.streams.video[0])
        for packet in a.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                b.mux(packet)
    info = probe(path)
    assert info.metadata["make"] == "Apple"
    assert info.metadata["focal_length_35mm"] == "26"


def test_the_door_imports_no_decoder():
    heavy = ("av", "decord", "cv2", "mediapipe", "torch")
    code = f"import sys, vidpretrain.video, vidpretrain.pose; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_write_helper_has_b_frames(make):
    """The reordering that the readers are tested on is really in the test videos."""
    import av

    with av.open(str(make("b.mkv", 60))) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert stamps != sorted(stamps)
    assert callable(write)
