"""What a file and its sidecar say of the camera: focal length, field of view, lens, gravity, trajectory.

The container's tags come with `VideoInfo.metadata`; GoPro keeps its lens in a box of its own that FFmpeg passes over
(GPMF: key, type, size and repeat, then big-endian values; github.com/gopro/gpmf-parser). `NAME.json` beside the video
may hold `K` or fx, fy, cx, cy, `distortion`, `lens`, `fov_x_deg`, `fov_diagonal_deg`, `focal_length_35mm`, `gravity`
(3 numbers: down in the first frame's camera), `trajectory` (a path beside the video) with `trajectory_format`,
`trajectory_unit_m` and `trajectory_offset_s`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.imported import digest, find_trajectory, read_trajectory, scaled_lens, upright_lens
from vidpretrain.errors import InputError
from vidpretrain.video import VideoInfo, find_intrinsics, read_sidecar

_KEYS = (
    *("lens", "fov_x_deg", "fov_diagonal_deg", "focal_length_35mm", "gravity"),
    *("trajectory", "trajectory_format", "trajectory_unit_m", "trajectory_offset_s", "trajectory_up"),
)
_LARGEST = 1 << 20  # bytes of a box that is read


def camera_facts(path: Path | str, info: VideoInfo, config: CameraConfig | None = None) -> dict[str, Any]:
    """Everything known of a video's camera, by key; the sidecar wins over the file's own tags.

    `trajectory` is the path of the video's own, whoever named it, and `trajectory_sha256` what is in it.

    Raises:
        InputError: the sidecar is there and wrong, or a trajectory is named that is not there.
    """
    path = Path(path)
    facts: dict[str, Any] = {**info.metadata, **gopro_tags(path)}
    said = read_sidecar(path)
    facts |= {key: said[key] for key in _KEYS if said.get(key) is not None}
    if "trajectory" in facts and not Path(str(facts["trajectory"])).is_absolute():
        facts["trajectory"] = str(path.parent / str(facts["trajectory"]))
    if facts.get("lens") not in (None, "radial", "fisheye"):
        raise InputError("no such lens", asked=path.with_suffix(".json"), found=facts["lens"], valid="radial, fisheye")
    given = find_intrinsics(path)
    if given is not None:
        facts |= {"K": given.K.tolist(), "distortion": given.distortion.tolist()}
    poses = find_trajectory(path, facts, config or CameraConfig())
    facts.pop("trajectory", None)
    if poses is not None:
        facts |= {"trajectory": str(poses), "trajectory_sha256": digest(poses)}
        if given is None:
            facts |= _trajectory_lens(poses, facts, config or CameraConfig(), info)
    return facts


def _trajectory_lens(poses: Path, facts: dict[str, Any], config: CameraConfig, info: VideoInfo) -> dict[str, Any]:
    """The lens that a trajectory's tool used, for the upright picture; nothing where it has none or is broken."""
    try:
        found = read_trajectory(poses, facts, config)
    except InputError:  # said when the path is solved
        return {}
    if found.camera is None:
        return {}
    own = upright_lens(found.camera, info.rotation_deg) if found.sensor_axes else found.camera
    lens = scaled_lens(own, info.width_px, info.height_px)
    if lens is None:
        return {}
    return {"K": lens.K.tolist(), "distortion": lens.distortion.tolist(), "lens": lens.lens}


def gopro_tags(path: Path) -> dict[str, Any]:
    """`fov_diagonal_deg` of a GoPro's MP4 that tells it (HERO8 and later); empty for every other file."""
    try:
        with path.open("rb") as file:
            for data in _boxes(file, [b"moov", b"udta", b"GPMF"]):
                found = dict(_values(data))
                degrees = found.get(b"ZFOV")
                if degrees is not None and 5 <= degrees <= 170:
                    return {"fov_diagonal_deg": degrees}
    except OSError:
        pass
    return {}


def _boxes(file: BinaryIO, names: list[bytes]) -> Iterator[bytes]:
    """Contents of the boxes at that path through an ISO file."""
    file.seek(0, 2)
    yield from _inside(file, 0, file.tell(), names)


def _inside(file: BinaryIO, at: int, end: int, names: list[bytes]) -> Iterator[bytes]:
    while at + 8 <= end:
        file.seek(at)
        head = file.read(16)
        length, kind, skip = int.from_bytes(head[:4], "big"), head[4:8], 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:
            length = end - at
        if length < 8 or at + length > end:
            return
        if kind == names[0]:
            if len(names) > 1:
                yield from _inside(file, at + skip, at + length, names[1:])
            elif length < _LARGEST:
                file.seek(at + skip)
                yield file.read(length - skip)
        at += length


def _values(data: bytes) -> Iterator[tuple[bytes, float]]:
    """First values of all float entries, in whatever they are nested."""
    at = 0
    while at + 8 <= len(data):
        key, kind, size, repeat = data[at : at + 4], data[at + 4 : at + 5], data[at + 5], data[at + 6 : at + 8]
        length = size * int.from_bytes(repeat, "big")
        inside = data[at + 8 : at + 8 + length]
        if kind == b"\x00":
            yield from _values(inside)
        elif kind == b"f" and len(inside) >= 4:
            yield key, struct.unpack(">f", inside[:4])[0]
        at += 8 + (length + 3) // 4 * 4
