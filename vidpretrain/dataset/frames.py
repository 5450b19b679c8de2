"""Pictures of a constant-rate video by their place on the grid k / rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from vidpretrain.errors import DatasetError

_SEEK_GAP = 48  # decoding this many frames forward costs about as much as a seek


def read_frames(path: Path, rate_hz: float, places: Sequence[int]) -> Iterator[np.ndarray]:
    """One uint8 (h, w, 3) RGB picture per entry of `places` (ascending grid places in the file, repeats allowed).

    A frame's place is its time stamp times the rate, rounded. PyAV decodes (its libraries read AV1 and H.264).

    Raises:
        DatasetError: the file is missing or broken, or has no frame at a place.
    """
    import av

    if not Path(path).is_file():
        raise DatasetError("a video of the data set is missing", asked=path)
    try:
        with av.open(str(path)) as container:
            yield from _decode(container, path, rate_hz, [int(place) for place in places])
    except av.error.FFmpegError as error:
        raise DatasetError(f"the video cannot be decoded: {error}", asked=path) from None


def _decode(container, path: Path, rate_hz: float, places: list[int]) -> Iterator[np.ndarray]:
    if not container.streams.video:
        raise DatasetError("the file holds no video", asked=path)
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    here, picture, frames = -1, None, None
    for place in places:
        if frames is None or place > here + _SEEK_GAP:
            container.seek(round(place / rate_hz / stream.time_base), stream=stream, backward=True)
            frames = container.decode(stream)
        while here < place or picture is None:
            frame = next(frames, None)
            if frame is None:
                raise DatasetError("the video ends too early", asked=f"{path}, frame {place}", found=f"frame {here}")
            here = round(float(frame.pts * frame.time_base) * rate_hz)
            picture = None
            if here == place:
                picture = frame.to_ndarray(format="rgb24")
            elif here > place:
                raise DatasetError("the video has no frame there", asked=f"{path}, frame {place}", found=f"{here}")
        yield picture


def packet_places(path: Path, rate_hz: float) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " k"], float]:
    """(grid places of all frames in order, places of key frames, largest distance from the grid in seconds).

    Reads the container only; nothing is decoded.

    Raises:
        DatasetError: the file is missing or no video.
    """
    import av

    if not Path(path).is_file():
        raise DatasetError("a video of the data set is missing", asked=path)
    times, keys = [], []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            for packet in container.demux(stream):
                if packet.pts is not None:
                    times.append(float(packet.pts * packet.time_base))
                    if packet.is_keyframe:
                        keys.append(times[-1])
    except (av.error.FFmpegError, IndexError) as error:
        raise DatasetError(f"the video cannot be read: {error}", asked=path) from None
    seconds = np.sort(np.array(times))
    places = np.round(seconds * rate_hz).astype(np.int64)
    off = float(np.abs(seconds - places / rate_hz).max()) if len(places) else 0.0
    return places, np.round(np.array(keys) * rate_hz).astype(np.int64), off
