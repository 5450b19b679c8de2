"""COLMAP's sparse models, text and binary (colmap.github.io/format.html): cameras, and the poses of the images."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vidpretrain import geometry
from vidpretrain.camera.trajectory import Trajectory
from vidpretrain.errors import InputError
from vidpretrain.types import Camera

# name, and where the parameters are: (fx, fy, cx, cy), distortion in OpenCV's order, lens
_MODELS: dict[str, tuple[tuple[int, int, int, int], tuple[int | None, ...], str]] = {
    "SIMPLE_PINHOLE": ((0, 0, 1, 2), (), "radial"),
    "PINHOLE": ((0, 1, 2, 3), (), "radial"),
    "SIMPLE_RADIAL": ((0, 0, 1, 2), (3, None, None, None), "radial"),
    "RADIAL": ((0, 0, 1, 2), (3, 4, None, None), "radial"),
    "OPENCV": ((0, 1, 2, 3), (4, 5, 6, 7), "radial"),
    "OPENCV_FISHEYE": ((0, 1, 2, 3), (4, 5, 6, 7), "fisheye"),
    "FULL_OPENCV": ((0, 1, 2, 3), (4, 5, 6, 7, 8, 9, 10, 11), "radial"),
    "SIMPLE_RADIAL_FISHEYE": ((0, 0, 1, 2), (3, None, None, None), "fisheye"),
    "RADIAL_FISHEYE": ((0, 0, 1, 2), (3, 4, None, None), "fisheye"),
}
_NUMBERS = {0: "SIMPLE_PINHOLE", 1: "PINHOLE", 2: "SIMPLE_RADIAL", 3: "RADIAL", 4: "OPENCV", 5: "OPENCV_FISHEYE"}
_NUMBERS |= {6: "FULL_OPENCV", 8: "SIMPLE_RADIAL_FISHEYE", 9: "RADIAL_FISHEYE"}
_COUNTS = {"SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8, "OPENCV_FISHEYE": 8}
_COUNTS |= {"FULL_OPENCV": 12, "SIMPLE_RADIAL_FISHEYE": 4, "RADIAL_FISHEYE": 5}

_Image = tuple[np.ndarray, int, str]  # pose camera from world (7), camera, name


def is_colmap(path: Path) -> bool:
    """Whether a folder holds a sparse model."""
    return any((path / f"images.{kind}").is_file() for kind in ("txt", "bin"))


def read_colmap(path: Path) -> Trajectory:
    """The images' poses; the scale and the vertical are not known. Numbers in the images' names are those of frames.

    Raises:
        InputError: no model, a broken file, a name without a number, or a camera model that is not among OpenCV's.
    """
    try:
        if (path / "images.bin").is_file():
            cameras, images = _binary_cameras(path / "cameras.bin"), list(_binary_images(path / "images.bin"))
        else:
            cameras, images = _text_cameras(path / "cameras.txt"), list(_text_images(path / "images.txt"))
    except (OSError, ValueError, IndexError, struct.error, KeyError) as error:
        raise InputError(
            f"not a sparse model of COLMAP: {error!r}", asked=path, valid="cameras and images, .txt or .bin"
        ) from None
    if len(images) < 2:
        raise InputError("the model has fewer than two images", asked=path, found=len(images))
    numbers = []
    for _, _, name in images:
        found = re.findall(r"\d+", Path(name).stem)
        if not found:
            raise InputError(
                "images are named by their frame's number", asked=path, found=name, valid="frame_000123.png"
            )
        numbers.append(int(found[-1]))
    order = np.argsort(numbers)
    poses = geometry.inverse(np.stack([images[i][0] for i in order]))
    return Trajectory(
        T_world_camera=poses,
        number=np.array(numbers, dtype=np.int64)[order],
        unit_m=None,
        camera=cameras.get(images[0][1]),
        source=f"COLMAP model {path.name}",
    )


def _camera(model: str, width: int, height: int, values: list[float]) -> Camera:
    if model not in _MODELS:
        raise InputError("no such camera model here", asked=model, valid=", ".join(_MODELS))
    (fx, fy, cx, cy), distortion, lens = _MODELS[model]
    K = np.array([[values[fx], 0, values[cx]], [0, values[fy], values[cy]], [0, 0, 1.0]])
    bent = np.array([0.0 if i is None else values[i] for i in distortion])
    empty = np.zeros(4 if lens == "fisheye" else 5)
    return Camera(
        K=K,
        distortion=bent if len(bent) else empty,
        width_px=width,
        height_px=height,
        intrinsics_from="given",
        lens="fisheye" if lens == "fisheye" else "radial",
        focal_sigma=0.01,
    )


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def _text_cameras(path: Path) -> dict[int, Camera]:
    out = {}
    for line in _lines(path):
        if line.strip():
            number, model, width, height, *values = line.split()
            out[int(number)] = _camera(model, int(width), int(height), [float(v) for v in values])
    return out


def _text_images(path: Path) -> Iterator[_Image]:
    lines = _lines(path)
    for line in lines[::2]:  # every second one lists points, and may be empty
        if line.strip():
            parts = line.split()
            pose = np.array([float(v) for v in parts[1:8]])
            yield pose, int(parts[8]), " ".join(parts[9:])


def _take(file: BinaryIO, kind: str) -> tuple:
    kind = "<" + kind
    return struct.unpack(kind, file.read(struct.calcsize(kind)))


def _binary_cameras(path: Path) -> dict[int, Camera]:
    out = {}
    with path.open("rb") as file:
        for _ in range(_take(file, "Q")[0]):
            number, model, width, height = _take(file, "IiQQ")
            name = _NUMBERS.get(model, f"number {model}")
            if name not in _COUNTS:
                raise InputError("no such camera model here", asked=name, valid=", ".join(_MODELS))
            out[number] = _camera(name, width, height, list(_take(file, f"{_COUNTS[name]}d")))
    return out


def _binary_images(path: Path) -> Iterator[_Image]:
    with path.open("rb") as file:
        for _ in range(_take(file, "Q")[0]):
            _, *pose, camera = _take(file, "I7dI")
            name = b""
            while (letter := file.read(1)) not in (b"\0", b""):
                name += letter
            file.seek(24 * _take(file, "Q")[0], 1)
            yield np.array(pose), camera, name.decode()
