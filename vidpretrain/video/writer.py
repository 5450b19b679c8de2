"""H.264 files that every reader agrees on: constant rate, no B-frames, complete or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vidpretrain.errors import ConfigError, DiskFull, InputError


class H264Writer:
    """A context manager that writes RGB frames as H.264 in MP4 (yuv420p, BT.601, faststart).

    Frame k is stamped k / rate exactly. The file is written as PATH.tmp and renamed when the block ends well; after an
    exception nothing is left.

    Raises:
        ConfigError: a size is odd (yuv420p halves it) or not positive.
        DiskFull: no space left on the device.
        InputError: the file cannot be written, a frame has another size, or no frame was written.
    """

    def __init__(
        self,
        path: Path | str,
        width_px: int,
        height_px: int,
        rate_hz: float | Fraction,
        *,
        crf: int = 18,
        keyframe_interval: int = 30,
        preset: str = "veryfast",
        threads: int = 1,
    ) -> None:
        if min(width_px, height_px) < 2 or width_px % 2 or height_px % 2:
            even = f"{max(2, width_px + width_px % 2)} x {max(2, height_px + height_px % 2)}"
            raise ConfigError("H.264 frames have even sizes", asked=f"{width_px} x {height_px}", valid=even)
        self.path, self._tmp = Path(path), Path(f"{path}.tmp")
        self.width_px, self.height_px = width_px, height_px
        self.rate = Fraction(rate_hz).limit_denominator(100_000)
        if self.rate <= 0:
            raise ConfigError("a frame rate is positive", asked=rate_hz)
        self.frame_count = 0
        self._options = {
            "crf": str(crf),
            "preset": preset,
            "bf": "0",
            "g": str(keyframe_interval),
            "sc_threshold": "0",  # key frames where they were asked for, and nowhere else
            "forced-idr": "1",
            "threads": str(threads),
        }
        self._container: Any = None
        self._stream: Any = None

    def __enter__(self) -> H264Writer:
        import av

        with self._disk_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(self._tmp), "w", format="mp4", options={"movflags": "faststart"})
            stream = self._container.add_stream("libx264", rate=self.rate, options=self._options)
            stream.width, stream.height, stream.pix_fmt = self.width_px, self.height_px, "yuv420p"
            stream.time_base = stream.codec_context.time_base = 1 / self.rate
            context = stream.codec_context
            context.colorspace, context.color_range = 6, 1  # SMPTE 170M, limited: what the conversion below makes
            context.color_primaries, context.color_trc = 6, 6
            self._stream = stream
        return self

    def write(self, frame: UInt8[np.ndarray, "h w 3"], *, force_keyframe: bool = False) -> None:
        """Append one RGB frame of the file's size."""
        import av
        from av.video.frame import PictureType

        frame = np.asarray(frame)
        if frame.shape != (self.height_px, self.width_px, 3) or frame.dtype != np.uint8:
            raise InputError(
                f"a frame does not fit {self.path.name}",
                found=f"{frame.dtype} {frame.shape}",
                valid=f"uint8 ({self.height_px}, {self.width_px}, 3)",
            )
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
        picture.pts, picture.time_base = self.frame_count, 1 / self.rate
        picture.pict_type = PictureType.I if force_keyframe or not self.frame_count else PictureType.NONE
        with self._disk_errors():
            self._container.mux(self._stream.encode(picture))
        self.frame_count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self.frame_count:
                raise InputError("a video needs a frame", asked=self.path, found="0 frames")
            with self._disk_errors():
                if kind is None:
                    self._container.mux(self._stream.encode(None))
                self._close(quiet=kind is not None)
                if kind is None:
                    _flush(self._tmp)
                    os.replace(self._tmp, self.path)
        finally:
            self._clean()

    def _clean(self) -> None:
        self._close(quiet=True)
        with suppress(OSError):  # its folder may not be one
            self._tmp.unlink(missing_ok=True)

    def _close(self, quiet: bool) -> None:
        import av

        container, self._container = self._container, None
        if container is None:
            return
        try:
            container.close()
        except (av.FFmpegError, OSError):
            if not quiet:
                raise

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # av's errors of the operating system are OSErrors too
            self._clean()
            folder = self.path.parent
            if error.errno == errno.ENOSPC:
                raise DiskFull("no space left on the device", asked=self.path, next_command=f"df -h {folder}") from None
            raise InputError(f"cannot write: {error.strerror or error}", asked=self.path) from None


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
