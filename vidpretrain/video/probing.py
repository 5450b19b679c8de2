"""What is in a file that somebody calls a video: a full, cheap decode that never raises for bad data."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vidpretrain.errors import InputError, MissingExtra
from vidpretrain.timebase import NS_PER_S
from vidpretrain.types import Reason, Reject
from vidpretrain.video import containers
from vidpretrain.video.config import VideoConfig
from vidpretrain.video.decode import Frames, open_container
from vidpretrain.video.info import VideoInfo
from vidpretrain.video.orientation import Orientation, facing, given_orientation, stored_orientation
from vidpretrain.video.sources import file_sha256

_CAMERA_KEYS = {
    "make": ("com.apple.quicktime.make", "com.android.manufacturer", "make"),
    "model": ("com.apple.quicktime.model", "com.android.model", "model"),
    "focal_length_35mm": ("com.apple.quicktime.camera.focal_length.35mm_equivalent", "focal_length_35mm"),
}


def probe(path: Path | str, config: VideoConfig | None = None) -> VideoInfo | Reject:
    """Everything about a video file, or the reason why it is none; every frame is decoded once (not converted).

    The extension does not matter, the content does. A broken tail or broken frames are left out and recorded.

    Raises:
        InputError: the path does not exist or is a folder, or the sidecar beside it is wrong.
        MissingExtra: decord is asked for and not installed.
    """
    config, path = config or VideoConfig(), Path(path)
    if path.is_dir():
        raise InputError("a video is a file, this is a folder", asked=path, next_command=f"vidpretrain probe {path}/*")
    if not path.exists():
        raise InputError("no such video file", asked=path, next_command=f"ls {path.parent}")
    try:
        sha256 = file_sha256(path)
        if path.stat().st_size == 0:
            return Reject(reason=Reason.EMPTY_FILE, detail=f"{path.name} has 0 bytes")
        early, known = containers.ends_early(path), containers.is_container(path)
    except OSError as error:
        return Reject(reason=Reason.UNREADABLE, detail=f"{path.name}: {error.strerror or error}")
    return _probe_container(path, sha256, early, known, config)


def _probe_container(path: Path, sha256: str, early: bool, known: bool, config: VideoConfig) -> VideoInfo | Reject:
    import av

    try:
        container, stream = open_container(path, threads=2)
    except (av.FFmpegError, OSError, ValueError) as error:
        if early:
            return Reject(reason=Reason.TRUNCATED, detail=f"{path.name} ends before its index: {error}")
        reason = Reason.UNREADABLE if known else Reason.NOT_A_VIDEO
        return Reject(reason=reason, detail=f"{path.name}: {error}")
    with container:
        still = container.format.name
        if stream is None or still in ("image2", "tty") or still.endswith("_pipe"):
            return Reject(reason=Reason.NOT_A_VIDEO, detail=f"{path.name} is {container.format.long_name or still}")
        width, height = stream.codec_context.width, stream.codec_context.height
        if max(width, height) > config.max_frame_px:
            detail = f"{path.name} has frames of {width} x {height} px, the limit is {config.max_frame_px}"
            return Reject(reason=Reason.TOO_LARGE, detail=detail)
        return _decode_all(path, sha256, early, container, stream, config)


def _decode_all(path, sha256, early, container, stream, config: VideoConfig) -> VideoInfo | Reject:
    frames, pts, first = Frames(container, stream), [], None
    for stamp, frame in frames:
        first = first or (frame.width, frame.height, stored_orientation(frame))
        pts.append(stamp)
    truncated = early or frames.broken > 0
    if not pts or first is None:
        reason = Reason.TRUNCATED if truncated else Reason.UNREADABLE
        return Reject(reason=reason, detail=f"{path.name}: not one frame of its {stream.codec_context.name} decodes")
    if len(pts) == 1:
        tail = " before it breaks off" if truncated else ""
        return Reject(reason=Reason.TOO_SHORT, detail=f"{path.name} has one frame{tail}")
    width, height, stored = first
    given = given_orientation(path, config)
    shown, by_hand = stored.then(given), given != Orientation()
    if max(width, height) > config.max_frame_px:  # the header lied
        return Reject(reason=Reason.TOO_LARGE, detail=f"{path.name} has frames of {width} x {height} px")
    if shown.turn_deg % 180:
        width, height = height, width
    time_ns = _to_ns(pts, stream.time_base)
    tick_ns = float(stream.time_base) * NS_PER_S
    return VideoInfo(
        path=str(path),
        sha256=sha256,
        codec=stream.codec_context.codec.canonical_name,
        width_px=width,
        height_px=height,
        rotation_deg=shown.turn_deg,
        mirrored=shown.mirrored,
        orientation_from="given" if by_hand else "container",
        pts=np.array(pts, dtype=np.int64),
        time_ns=time_ns,
        average_rate_hz=float((len(pts) - 1) / ((pts[-1] - pts[0]) * stream.time_base)),
        variable_rate=_is_variable(time_ns, tick_ns),
        backend="pyav" if by_hand or shown.mirrored else _choose_backend(path, time_ns, truncated, config),
        truncated=truncated,
        metadata=_metadata(container, stream),
    )


def _to_ns(pts: list[int], time_base: Fraction) -> np.ndarray:
    num, den = time_base.numerator * NS_PER_S, time_base.denominator
    return np.array([((p - pts[0]) * num + den // 2) // den for p in pts], dtype=np.int64)


def _is_variable(time_ns: np.ndarray, tick_ns: float) -> bool:
    """Whether frame times depart from a uniform grid by more than rounding: a tenth of a frame and 1.5 ticks."""
    step = np.diff(time_ns)
    usual = np.median(step)
    return bool((np.abs(step - usual) > 0.1 * usual + 1.5 * tick_ns).any())


def _choose_backend(path: Path, time_ns, truncated: bool, config: VideoConfig) -> Literal["decord", "pyav"]:
    """decord where it opens the stream whole and agrees on every frame's time, else PyAV."""
    if config.backend == "pyav" or (truncated and config.backend == "auto"):
        return "pyav"
    try:
        import decord
    except ImportError:
        if config.backend == "decord":
            raise MissingExtra(
                "decord is not installed", asked="video.backend=decord", next_command="pip install vidpretrain[video]"
            ) from None
        return "pyav"
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        start_s = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(float)
    except (decord.DECORDError, RuntimeError):
        return "pyav"
    if len(start_s) != len(time_ns):
        return "pyav"
    late_s = np.abs((start_s - start_s[0]) - time_ns / NS_PER_S).max()  # decord's stamps are float32
    return "decord" if late_s < 0.25 * np.diff(time_ns).min() / NS_PER_S else "pyav"


def _metadata(container: Any, stream: Any) -> dict[str, str]:
    raw = {str(k).lower(): str(v) for k, v in {**stream.metadata, **container.metadata}.items()}
    for name, keys in _CAMERA_KEYS.items():
        value = next((raw[key] for key in keys if key in raw), None)
        if value is not None:
            raw[name] = value
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        raw["pixel_aspect"] = str(aspect)
    if facing(raw):
        raw["facing"] = "front"
    return raw
