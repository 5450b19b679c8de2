"""Frames by index, in presentation order, the same ones whichever library decodes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import UInt8

from vidpretrain.errors import InputError, MissingExtra
from vidpretrain.video.decode import Frames, open_container, rgb
from vidpretrain.video.info import VideoInfo

Picture = UInt8[np.ndarray, "h w 3"]
_AHEAD = 48  # frames that are decoded and dropped rather than sought over


class _Backend(Protocol):
    def frames(self, indices: Sequence[int]) -> Iterator[Picture]:
        """Upright RGB pictures of ascending indices."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class VideoReader:
    """A context manager that gives upright RGB frames of one video; made by `open_video`."""

    def __init__(self, info: VideoInfo, backend: _Backend) -> None:
        self.info, self._backend = info, backend

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._backend.close()

    def read(self, indices: Sequence[int] | np.ndarray) -> UInt8[np.ndarray, "n h w 3"]:
        """Frames of those indices (any order, repeats allowed), RGB, upright.

        Raises:
            InputError: an index is outside the video, or the file changed since it was probed.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        out = np.empty((len(wanted), self.info.height_px, self.info.width_px, 3), dtype=np.uint8)
        ascending, where = np.unique(wanted, return_inverse=True)
        self._check(ascending)
        for k, picture in enumerate(self._backend.frames(ascending.tolist())):
            out[where == k] = picture
        return out

    def iterate(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[tuple[int, int, Picture]]:
        """(index, time_ns, frame) for range(start, stop, step), decoded in one sequential pass.

        Raises:
            InputError: as for `read`.
        """
        wanted = np.arange(start, self.info.frame_count if stop is None else stop, step)
        self._check(wanted)
        for index, picture in zip(wanted.tolist(), self._backend.frames(wanted.tolist()), strict=True):
            yield index, int(self.info.time_ns[index]), picture

    def _check(self, indices: np.ndarray) -> None:
        if len(indices) and (indices.min() < 0 or indices.max() >= self.info.frame_count):
            raise InputError(
                f"no such frame in {self.info.path}",
                asked=f"{indices.min()} to {indices.max()}",
                valid=f"0 to {self.info.frame_count - 1}",
            )


def open_video(info: VideoInfo, backend: Literal["auto", "decord", "pyav"] = "auto") -> VideoReader:
    """A reader of the video; `auto` is the backend that `probe` chose. Only PyAV flips, and turns by hand.

    Raises:
        InputError: the file is gone or changed since it was probed.
        MissingExtra: decord is asked for and not installed.
    """
    name = info.backend if backend == "auto" else backend
    if info.mirrored or info.orientation_from == "given":
        name = "pyav"  # decord turns pictures as the container says, and knows no mirror
    return VideoReader(info, _Decord(info) if name == "decord" else _PyAV(info))


def _changed(info: VideoInfo, detail: object) -> InputError:
    return InputError(
        f"the file changed since it was probed: {detail}",
        asked=info.path,
        next_command=f"vidpretrain probe {info.path}",
    )


class _PyAV:
    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._open()

    def _open(self) -> None:
        import av

        try:
            self._container, self._stream = open_container(self._info.path)
        except (av.FFmpegError, OSError) as error:
            raise _changed(self._info, error) from None
        if self._stream is None:
            raise _changed(self._info, "no video stream")
        self._frames: Iterator[tuple[int, Any]] = iter(Frames(self._container, self._stream))
        self._next = 0  # index of the frame that comes next

    def close(self) -> None:
        self._container.close()

    def frames(self, indices: Sequence[int]) -> Iterator[Picture]:
        info = self._info
        width, height = info.width_px, info.height_px
        if info.rotation_deg % 180:
            width, height = height, width
        for index in indices:
            yield rgb(self._frame(index), width, height, info.rotation_deg, info.mirrored)

    def _frame(self, index: int) -> Any:
        if not self._next <= index <= self._next + _AHEAD:
            self._seek(index)
        frame = self._advance(index)
        if frame is None:  # sought past it, or an error after a seek: from the start
            self.close()
            self._open()
            frame = self._advance(index)
        if frame is None:
            raise _changed(self._info, f"frame {index} is not there")
        return frame

    def _advance(self, index: int) -> Any | None:
        target = int(self._info.pts[index])
        for stamp, frame in self._frames:
            if stamp >= target:
                self._next = index + 1
                return frame if stamp == target else None
        return None

    def _seek(self, index: int) -> None:
        import av

        try:
            self._container.seek(int(self._info.pts[index]), stream=self._stream, backward=True)
        except (av.FFmpegError, OSError):  # no index in the container
            self.close()
            self._open()
            return
        self._frames = iter(Frames(self._container, self._stream))


class _Decord:
    def __init__(self, info: VideoInfo) -> None:
        try:
            import decord
        except ImportError:
            raise MissingExtra(
                "decord is not installed", asked="backend='decord'", next_command="pip install vidpretrain[video]"
            ) from None
        decord.logging.set_level(decord.logging.QUIET)
        self._info = info
        try:
            self._reader: Any = decord.VideoReader(info.path, num_threads=1)
        except (decord.DECORDError, RuntimeError) as error:
            raise _changed(info, f"decord cannot open it ({str(error).splitlines()[0]})") from None
        if len(self._reader) != info.frame_count:
            raise _changed(info, f"decord finds {len(self._reader)} frames, not {info.frame_count}")

    def close(self) -> None:
        self._reader = None

    def frames(self, indices: Sequence[int]) -> Iterator[Picture]:
        for index in indices:  # decord turns pictures upright by itself
            yield self._reader[index].asnumpy()
