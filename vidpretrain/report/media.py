"""Stills and clips small enough to be put into a page."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

GAP_PX = 4


def jpeg(frame: UInt8[np.ndarray, "h w 3"], *, width_px: int | None = None, quality: int = 82) -> bytes:
    """JPEG bytes of an RGB picture, scaled down to `width_px` when it is wider."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(frame))
    if width_px is not None and picture.width > width_px:
        picture = picture.resize((width_px, round(picture.height * width_px / picture.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
    return buffer.getvalue()


def pair_videos(
    person_frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    robot_frames: Iterable[UInt8[np.ndarray, "h2 w2 3"]],
    path: Path | str,
    *,
    rate_hz: float,
    height_px: int = 360,
    max_seconds: float = 12.0,
    crf: int = 27,
) -> Path:
    """Path of an H.264 MP4 with both streams side by side, frame by frame, as long as the shorter one (at most
    `max_seconds`), and a JPEG of its middle frame beside it (same name, `.jpg`).

    Both pictures are scaled to `height_px`; the frames are consumed one at a time, so iterators are fine.

    Raises:
        InputError: one of the streams is empty, or the file cannot be written.
        DiskFull: no space left on the device.
    """
    from vidpretrain.errors import InputError
    from vidpretrain.video import H264Writer

    path = Path(path)
    pairs = zip(person_frames, robot_frames, strict=False)
    first = next(pairs, None)
    if first is None:
        raise InputError("nothing to show side by side", asked=path, found="an empty stream of frames")
    limit = max(1, round(max_seconds * rate_hz))
    kept = _side_by_side(*first, height_px)
    middle, size = kept, kept.shape
    with H264Writer(path, size[1], size[0], rate_hz, crf=crf, keyframe_interval=max(1, round(2 * rate_hz))) as writer:
        writer.write(kept)
        count = 1
        for person, robot in pairs:
            if count == limit:
                break
            kept = _side_by_side(person, robot, height_px)
            writer.write(kept)
            count += 1
            if count & (count - 1) == 0:  # doubling: in the end the poster lies between the middle and the end
                middle = kept
    path.with_suffix(".jpg").write_bytes(jpeg(middle, quality=75))
    return path


def _side_by_side(left: np.ndarray, right: np.ndarray, height_px: int) -> np.ndarray:
    height = height_px - height_px % 2
    a, b = _fit(left, height), _fit(right, height)
    width = a.shape[1] + GAP_PX + b.shape[1]
    out = np.full((height, width, 3), 255, np.uint8)
    out[:, : a.shape[1]] = a
    out[:, a.shape[1] + GAP_PX :] = b
    return out[:, : width - width % 2]  # H.264 wants even sizes


def _fit(frame: np.ndarray, height: int) -> np.ndarray:
    from PIL import Image

    width = max(2, round(frame.shape[1] * height / frame.shape[0]))
    if frame.shape[:2] == (height, width):
        return frame
    return np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize((width, height), Image.Resampling.BILINEAR))
