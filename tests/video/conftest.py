"""Small videos made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from video_helpers import picture, write


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """make(name, count, stamps_ms=..., **options of `write`): a video of numbered pictures in tmp_path."""

    def made(name: str, count: int = 60, stamps_ms=None, size=(96, 64), **kwargs) -> Path:
        stamps = np.arange(count) * 40 if stamps_ms is None else stamps_ms
        return write(tmp_path / name, (picture(k, *size) for k in range(count)), stamps, **kwargs)

    return made


@pytest.fixture
def rotate() -> Callable[..., Path]:
    """rotate(path, degrees clockwise, flip=False): an MP4's track header gets the display matrix of a phone held so.

    With `flip` the picture is to be flipped left-right after the turn, as front cameras want it.
    """

    def turned(path: Path, clockwise: int, flip: bool = False) -> Path:
        one = 1 << 16
        turns = {0: (one, 0, 0, one), 90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}
        a, b, c, d = turns[clockwise]
        if flip:
            a, c = -a, -c  # x of what is shown
        matrix = b"".join(v.to_bytes(4, "big", signed=True) for v in (a, b, 0, c, d, 0, 0, 0, 1 << 30))
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 4 + 40
        data[at : at + 36] = matrix
        path.write_bytes(data)
        return path

    return turned
