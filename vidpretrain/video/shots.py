"""Hard cuts, and the clips between them.

A cut shows in two ways at once: the colours change (histogram over hue, saturation, value) and the arrangement changes
(correlation of the small grey pictures). Motion within a shot keeps the colours; a change of light keeps the
arrangement; their mean passes the threshold only where both go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, UInt8

from vidpretrain.timebase import NS_PER_S, ns
from vidpretrain.types import Clip, Frozen, Reason, Reject
from vidpretrain.video.config import VideoConfig
from vidpretrain.video.decode import Frames, open_container
from vidpretrain.video.info import VideoInfo
from vidpretrain.video.sources import source_id

_SMALL = (64, 48)
_BINS = 8


@dataclass(frozen=True, kw_only=True)
class Shots(Frozen):
    """Where a video is cut. `difference[i]` is that of frame i to frame i - 1, in [0, 1]; `dropped` counts the
    stretches that were too short to keep and `dropped_s` their length."""

    clips: tuple[Clip, ...]
    cut_index: tuple[int, ...]
    difference: Float64[np.ndarray, " t"]
    dropped: int
    dropped_s: float


def split(info: VideoInfo, config: VideoConfig) -> tuple[Clip, ...] | Reject:
    """The clips of a video: stretches without a cut, between `min_clip_s` and `max_clip_s` long; see `find_shots`."""
    shots = find_shots(info, config)
    if shots.clips:
        return shots.clips
    length = info.duration_ns / NS_PER_S
    detail = f"{length:.2f} s with {len(shots.cut_index)} cuts leave no stretch of {config.min_clip_s} s"
    return Reject(reason=Reason.TOO_SHORT, detail=detail)


def find_shots(info: VideoInfo, config: VideoConfig) -> Shots:
    """Cuts and clips of a video in one decoding pass at low resolution."""
    difference, cuts = find_cuts(_small_pictures(info), config.cut_threshold)
    edges = [0, *cuts, info.frame_count]
    stretches, dropped = [], []
    for first, last in pairwise(edges):
        start = int(info.time_ns[first])
        end = int(info.time_ns[last]) if last < info.frame_count else info.duration_ns
        start += ns(config.cut_margin_s) if first else 0
        end -= ns(config.cut_margin_s) if last < info.frame_count else 0
        if end - start < max(ns(config.min_clip_s), 1):
            dropped.append(max(end - start, 0))
        else:
            stretches += _divide(start, end, ns(config.max_clip_s))
    name = source_id(info.path, info.sha256)
    clips = tuple(
        Clip(
            clip_id=f"{name}_c{i:02d}",
            source_id=name,
            path=info.path,
            start_ns=start,
            exclusive_end_ns=end,
            width_px=info.width_px,
            height_px=info.height_px,
        )
        for i, (start, end) in enumerate(stretches)
    )
    return Shots(
        clips=clips,
        cut_index=tuple(cuts),
        difference=difference,
        dropped=len(dropped),
        dropped_s=sum(dropped) / NS_PER_S,
    )


def frame_range(info: VideoInfo, clip: Clip) -> tuple[int, int]:
    """Half-open indices of the frames whose times lie in the clip."""
    first, last = np.searchsorted(info.time_ns, [clip.start_ns, clip.exclusive_end_ns])
    return int(first), int(last)


def find_cuts(
    pictures: Iterable[UInt8[np.ndarray, "h w 3"]], threshold: float
) -> tuple[Float64[np.ndarray, " t"], list[int]]:
    """Difference of each small RGB picture to the one before (the first has 0), and the indices that start a shot.

    A single odd frame (a flash, a decoding error) is no cut: the frames on both sides of it must differ too.
    """
    difference, across = [0.0], []  # across: frame i - 1 against frame i + 1
    window: list[tuple[np.ndarray, np.ndarray]] = []
    for picture in pictures:
        window = [*window[-2:], _features(picture)]
        if len(window) > 1:
            difference.append(_difference(window[-2], window[-1]))
        across.append(_difference(window[0], window[2]) if len(window) > 2 else 1.0)
    beyond = np.array([*across[1:], 1.0])  # at each frame, the look across it
    before = np.array([1.0, *beyond[:-1]])
    cuts = np.flatnonzero((np.array(difference) > threshold) & (np.minimum(beyond, before) > threshold))
    return np.array(difference), cuts.tolist()


def _features(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Histograms (3 8) of hue (weighted by chroma), saturation and value, and the grey picture around its mean."""
    scaled = picture.reshape(-1, 3).astype(np.float32) / 255.0
    value = scaled.max(-1)
    chroma = value - scaled.min(-1)
    saturation = chroma / np.maximum(value, 1e-6)
    colours = np.zeros((3, _BINS))
    for i, (channel, weight) in enumerate(((_hue(scaled, value, chroma), chroma), (saturation, None), (value, None))):
        index = np.minimum((channel * _BINS).astype(np.int64), _BINS - 1)
        counts = np.bincount(index, weight, minlength=_BINS)
        colours[i] = counts / max(counts.sum(), 1e-6)
    grey = scaled @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return colours, grey - grey.mean()


def _hue(scaled: np.ndarray, value: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    r, g, b = scaled.T
    safe = np.maximum(chroma, 1e-6)
    hue = np.where(value == r, (g - b) / safe % 6, np.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4))
    return np.where(chroma < 1e-6, 0.0, hue / 6.0 % 1.0)


def _difference(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    """Mean of the histograms' half L1 distance and the arrangement's lack of correlation, both in [0, 1].

    Pictures that differ by less than 1/255 are arranged alike, however flat they are.
    """
    colour = 0.5 * float(np.abs(a[0] - b[0]).sum(-1).mean())
    floor = (len(a[1]) ** 0.5) / 255.0
    if np.linalg.norm(a[1] - b[1]) < floor:
        return 0.5 * colour
    norm = max(float(np.linalg.norm(a[1])), floor) * max(float(np.linalg.norm(b[1])), floor)
    return 0.5 * (colour + float(np.clip(1.0 - a[1] @ b[1] / norm, 0.0, 1.0)))


def _divide(start: int, end: int, longest: int) -> list[tuple[int, int]]:
    count = -(-(end - start) // longest)
    edges = [start + (end - start) * i // count for i in range(count + 1)]
    return list(pairwise(edges))


def _small_pictures(info: VideoInfo) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    container, stream = open_container(info.path, threads=2)
    wanted = set(info.pts.tolist())
    with container:
        for stamp, frame in Frames(container, stream):
            if stamp in wanted:
                yield frame.to_ndarray(format="rgb24", width=_SMALL[0], height=_SMALL[1], interpolation="AREA")
