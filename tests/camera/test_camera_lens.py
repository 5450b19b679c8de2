"""Lenses: every model there and back, against OpenCV, and what files say of them."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from vidpretrain.camera import LensGuess, camera_facts, lens_of, project, unproject
from vidpretrain.camera.metadata import gopro_tags
from vidpretrain.errors import InputError
from vidpretrain.types import Camera, Clip
from vidpretrain.video import H264Writer, probe

CLIP = Clip(clip_id="c", source_id="s", path="x", start_ns=0, exclusive_end_ns=1, width_px=1280, height_px=720)
FISHEYE = (0.08, -0.02, 0.006, -0.001)


def camera(lens: str, distortion: tuple[float, ...], focal: float = 500.0) -> Camera:
    K = np.array([[focal, 0, 655.0], [0, 1.02 * focal, 350.0], [0, 0, 1.0]])
    return Camera(K=K, distortion=np.array(distortion), width_px=1280, height_px=720, lens=lens)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lens", "distortion", "reach"),
    [
        ("radial", (), 1.2),
        ("radial", (-0.28, 0.09, 0.001, -0.0007, -0.012), 0.9),
        ("fisheye", FISHEYE, 4.0),
        ("fisheye", (0.0,) * 4, 8.0),
    ],
)
def test_points_go_through_a_lens_and_back(lens, distortion, reach):
    """`reach` is the largest x / z: a fisheye sees 76 and 83 degrees off its axis."""
    own = camera(lens, distortion)
    rng = np.random.default_rng(3)
    ray = rng.uniform(-reach, reach, (200, 2)) / np.sqrt(2)
    depth = rng.uniform(0.3, 3.0, (200, 1))
    pixel = project(own, np.concatenate([ray * depth, depth], axis=1))
    np.testing.assert_allclose(unproject(own, pixel), ray, atol=1e-6 * (1 + reach) ** 2)
    pixel[5] = np.nan
    back = unproject(own, pixel)
    assert np.isnan(back[5]).all()
    assert np.isfinite(np.delete(back, 5, axis=0)).all()


def test_the_fisheye_is_opencvs():
    import cv2

    own, rng = camera("fisheye", FISHEYE), np.random.default_rng(4)
    p = np.concatenate([rng.uniform(-2, 2, (50, 2)), rng.uniform(0.8, 1.5, (50, 1))], axis=1)
    theirs = cv2.fisheye.projectPoints(p.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), own.K, own.distortion)[0]
    np.testing.assert_allclose(project(own, p), theirs.reshape(-1, 2), atol=1e-6)


def test_a_fisheye_has_no_ray_beyond_its_side():
    own = camera("fisheye", (0.0,) * 4)
    beyond = np.array([[655.0 + 500 * np.radians(95), 350.0]])
    assert np.isnan(unproject(own, beyond)).all()
    assert np.isnan(project(own, np.array([0.3, 0.1, -0.2]))).all()


def test_a_lens_says_where_it_comes_from_and_how_sure_it_is():
    film = lens_of(CLIP, LensGuess(), {"focal_length_35mm": "26"})
    angle = lens_of(CLIP, LensGuess(), {"fov_diagonal_deg": 90.0})
    beside = lens_of(
        CLIP,
        LensGuess(assumed_sigma=0.2),
        {"K": [500, 0, 640, 0, 500, 360, 0, 0, 1], "distortion": list(FISHEYE), "lens": "fisheye"},
    )
    assumed = lens_of(CLIP, LensGuess(assumed_sigma=0.2))
    assert [c.intrinsics_from for c in (film, angle, beside, assumed)] == ["metadata", "metadata", "given", "assumed"]
    assert beside.focal_sigma < angle.focal_sigma < film.focal_sigma < assumed.focal_sigma == 0.2
    assert (beside.lens, beside.distortion.tolist()) == ("fisheye", list(FISHEYE))
    corner = unproject(angle, np.array([0.0, 0.0]))
    assert np.degrees(2 * np.arctan(np.linalg.norm(corner))) == pytest.approx(90.0)
    wide = lens_of(CLIP, LensGuess(lens="fisheye", fov_diagonal_deg=150.0))
    corner = unproject(wide, np.array([0.0, 0.0]))
    assert np.degrees(2 * np.arctan(np.linalg.norm(corner))) == pytest.approx(150.0)


def box(name: bytes, inside: bytes) -> bytes:
    return struct.pack(">I", 8 + len(inside)) + name + inside


def entry(key: bytes, kind: bytes, size: int, values: list[bytes]) -> bytes:
    data = b"".join(values)
    head = key + kind + bytes([size]) + struct.pack(">H", len(values) if kind != b"\0" else len(data))
    return head + data + b"\0" * (-len(data) % 4)


def test_a_gopros_field_of_view_is_read_from_its_own_box(tmp_path):
    lens = entry(b"VFOV", b"c", 1, [b"W"]) + entry(b"ZFOV", b"f", 4, [struct.pack(">f", 121.5)])
    tags = entry(b"DEVC", b"\0", 1, [entry(b"DVNM", b"c", 6, [b"Camera"]) + lens])
    path = tmp_path / "a.mp4"
    path.write_bytes(box(b"ftyp", b"mp41") + box(b"moov", box(b"mvhd", b"\0" * 20) + box(b"udta", box(b"GPMF", tags))))
    assert gopro_tags(path) == {"fov_diagonal_deg": pytest.approx(121.5)}
    path.write_bytes(path.read_bytes()[:-9])
    assert gopro_tags(path) == {}
    path.write_bytes(b"no container at all")
    assert gopro_tags(path) == {}


def test_a_sidecar_wins_and_its_trajectory_lies_beside_it(tmp_path):
    path = tmp_path / "a.mp4"
    with H264Writer(path, 64, 64, 10.0) as writer:
        for _ in range(4):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    info = probe(path)
    assert "K" not in camera_facts(path, info)
    beside = {"fx": 50, "cx": 32, "cy": 32, "lens": "fisheye", "gravity": [0, 1, 0], "trajectory": "poses.txt"}
    path.with_suffix(".json").write_text(json.dumps(beside))
    with pytest.raises(InputError, match="no such trajectory"):
        camera_facts(path, info)
    (tmp_path / "poses.txt").write_text("0 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1\n")
    facts = camera_facts(path, info)
    assert facts["K"] == [[50, 0, 32], [0, 50, 32], [0, 0, 1]]
    assert facts["trajectory"] == str(tmp_path / "poses.txt")
    assert facts["gravity"] == [0, 1, 0]
    path.with_suffix(".json").write_text(json.dumps({"lens": "barrel"}))
    with pytest.raises(InputError, match="no such lens"):
        camera_facts(path, info)
