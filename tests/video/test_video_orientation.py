"""Turns and mirror images: by the container's matrix, by the sidecar, by the configuration, and all of them at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from video_helpers import write

from vidpretrain.errors import InputError
from vidpretrain.video import Orientation, VideoConfig, given_orientation, open_video, probe
from vidpretrain.video.decode import upright

CORNERS = np.full((64, 96, 3), 30, np.uint8)
CORNERS[:32, :48, 0], CORNERS[:32, 48:, 1], CORNERS[32:, :48, 2] = 220, 220, 220  # no turn or flip maps it on itself


@pytest.fixture
def phone(tmp_path):
    return write(tmp_path / "phone.mp4", [CORNERS] * 12, np.arange(12) * 40, options={"crf": "5"})


def shown(path, config=None, backend="auto"):
    info = probe(path, config)
    with open_video(info, backend) as reader:
        frame = reader.read([4])[0]
    assert frame.shape[:2] == (info.height_px, info.width_px)
    return info, frame


def same(a, b) -> bool:
    return a.shape == b.shape and np.abs(a.astype(int) - b).mean() < 8  # others differ by more than 50


@pytest.mark.parametrize("backend", ["auto", "decord", "pyav"])
@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_a_flip_in_the_display_matrix_is_done(phone, rotate, clockwise, backend):
    """FFmpeg's angle alone would stand a plain flip on its head."""
    info, frame = shown(rotate(phone, clockwise, flip=True), backend=backend)
    assert (info.rotation_deg, info.mirrored, info.backend) == (-clockwise % 360, True, "pyav")
    assert same(frame, np.rot90(CORNERS, -clockwise // 90)[:, ::-1])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [True, False])
def test_what_the_user_says_comes_after_the_container(phone, rotate, flip, clockwise, turn, mirrored):
    path = rotate(phone, clockwise, flip)
    _, by_container = shown(path)
    info, frame = shown(path, VideoConfig(mirrored=mirrored, turn_deg=turn), backend="decord")
    expected = np.rot90(by_container, turn // 90)
    assert same(frame, expected[:, ::-1] if mirrored else expected)
    assert info.orientation_from == ("container" if (turn, mirrored) == (0, False) else "given")


def test_the_sidecar_says_it_and_the_configuration_overrules(phone, tmp_path):
    plain = shown(phone)[1]
    assert given_orientation(phone, VideoConfig()) == Orientation()
    (tmp_path / "phone.json").write_text(json.dumps({"mirrored": True, "turn_deg": 180}))
    assert same(shown(phone)[1], plain[::-1, ::-1][:, ::-1])
    assert same(shown(phone, VideoConfig(mirrored=False, turn_deg=0))[1], plain)
    (tmp_path / "phone.json").unlink()
    (tmp_path / "manifest.tsv").write_text("name\tmirrored\nphone.mp4\tyes\n")
    assert same(shown(phone)[1], plain[:, ::-1])


@pytest.mark.parametrize("facts", [{"mirrored": "perhaps"}, {"turn_deg": 45}, {"turn_deg": "left"}])
def test_values_that_are_none_are_named(phone, tmp_path, facts):
    (tmp_path / "phone.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=next(iter(facts))):
        probe(phone)
    with pytest.raises(ValueError, match="turn_deg"):
        VideoConfig(turn_deg=45)


def test_one_orientation_after_another():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (3, 4, 3), dtype=np.uint8)
    every = [Orientation(turn_deg=t, mirrored=m) for t in (0, 90, 180, 270) for m in (False, True)]
    for a in every:
        for b in every:
            c = a.then(b)
            twice = upright(upright(picture, a.turn_deg, a.mirrored), b.turn_deg, b.mirrored)
            np.testing.assert_array_equal(upright(picture, c.turn_deg, c.mirrored), twice)


def test_a_front_camera_is_told_from_its_lens(phone, tmp_path):
    import av

    path = tmp_path / "selfie.mov"
    with av.open(str(phone)) as a, av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as b:
        b.metadata["com.apple.quicktime.camera.lens_model"] = "iPhone 15 front camera 2.69mm f/1.9"
        stream = b.add_stream_from_template(a.streams.video[0])
        for packet in a.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                b.mux(packet)
    info = probe(path)
    assert info.metadata["facing"] == "front"
    assert not info.mirrored, "a front camera's video may be mirrored or not"
    assert "facing" not in probe(phone).metadata
