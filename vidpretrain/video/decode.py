"""Frames out of a container by PyAV, surviving every error of a broken stream: what probe, reader and cuts share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8


def open_container(path: Path | str, threads: int = 1) -> tuple[Any, Any]:
    """The open container and its first true video stream (no cover picture), or None for the stream.

    Raises:
        av.FFmpegError: it cannot be opened.
    """
    import av

    container = av.open(str(path), options={"protocol_whitelist": "file"})
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        return container, None
    stream = streams[0]
    stream.codec_context.thread_count = threads
    if threads != 1:
        stream.thread_type = "AUTO"
    return container, stream


class Frames:
    """Iterator over the sound frames of a stream from where it stands; `broken` counts what could not be decoded.

    Only frames whose stamp is above all stamps before are given: presentation order, each time once.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self.container, self.stream, self.broken = container, stream, 0
        self._last: int | None = None

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        for frame in self._decoded():
            stamp = frame.pts if frame.pts is not None else frame.dts
            if stamp is None or frame.is_corrupt:
                self.broken += 1
            elif self._last is None or stamp > self._last:
                self._last = stamp
                yield stamp, frame

    def _decoded(self) -> Iterator[Any]:
        import av

        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):  # a broken tail: what is in the decoder still counts
                self.broken += 1
                packet = None
            try:
                frames = self.stream.codec_context.decode(packet) if packet is None else packet.decode()
            except (av.FFmpegError, OSError):
                frames = []
                self.broken += packet is not None and bool(packet.size)
            yield from frames
            if packet is None or packet.size == 0:
                return


def rgb(frame: Any, width: int, height: int, rotation_deg: int, mirrored: bool = False) -> UInt8[np.ndarray, "h w 3"]:
    """A right RGB picture by the frame's own colour matrix and range; `width` and `height` are the stored ones."""
    return upright(frame.to_ndarray(format="rgb24", width=width, height=height), rotation_deg, mirrored)


def upright(
    picture: UInt8[np.ndarray, "h w 3"], rotation_deg: int, mirrored: bool = False
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture turned counter-clockwise by a multiple of 90 degrees, then flipped left-right if `mirrored`."""
    if not (rotation_deg or mirrored):
        return picture
    turned = np.rot90(picture, rotation_deg // 90)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
