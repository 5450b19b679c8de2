"""Pictures that can be told apart after coding, and videos of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def picture(k: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A picture whose grey bars spell the number k in nine bits, so that a decoded frame can be told by its content."""
    frame = np.zeros((height, width, 3), np.uint8)
    step = width // 9
    for bit in range(9):
        frame[:, bit * step : (bit + 1) * step] = 230 if k >> bit & 1 else 20
    return frame


def number(frame: np.ndarray) -> int:
    """The number that `picture` spelt."""
    step = frame.shape[1] // 9
    return sum((frame[:, bit * step : (bit + 1) * step].mean() > 125) << bit for bit in range(9))


def write(path: Path, frames, stamps_ms, codec: str = "libx264", options: dict | None = None) -> Path:
    """A video with those time stamps, B-frames allowed."""
    frames = list(frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for frame, stamp in zip(frames, stamps_ms, strict=True):
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            image.pts, image.time_base = int(stamp), Fraction(1, 1000)
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    return path
