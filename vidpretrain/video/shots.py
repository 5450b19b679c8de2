"""Hard cuts, and the clips between them.

A cut shows in two ways at once: the colours change (histogram over hue, saturation, value) and the arrangement changes
(correlation of the small grey pictures). Motion within a shot keeps the colours; a change of light keeps the
arrangement; their mean passes the threshold only where both go.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    pictures = _small_pictures(info)
    difference, cuts = find_cuts(pictures, config.cut_threshold)
    edges = [0, *cuts, info.frame_count]
    stretches, dropped = [], []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
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


def find_cuts(pictures: UInt8[np.ndarray, "t h w 3"], threshold: float) -> tuple[Float64[np.ndarray, " t"], list[int]]:
    """Difference of each small RGB picture to the one before (the first has 0), and the indices that start a shot.

    A single odd frame (a flash, a decoding error) is no cut: the frames on both sides of it must differ too.
    """
    colours, greys = _features(pictures)
    difference = np.zeros(len(pictures))
    difference[1:] = _difference(colours[:-1], colours[1:], greys[:-1], greys[1:])
    across = np.ones(len(pictures))  # frame i - 1 against frame i + 1
    if len(pictures) > 2:
        across[1:-1] = _difference(colours[:-2], colours[2:], greys[:-2], greys[2:])
    cuts = np.flatnonzero((difference > threshold) & (across > threshold))
    return difference, cuts.tolist()


def _features(pictures):
    t = len(pictures)
    scaled = pictures.reshape(t, -1, 3).astype(np.float32) / 255.0
    value = scaled.max(-1)
    chroma = value - scaled.min(-1)
    saturation = chroma / np.maximum(value, 1e-6)
    hue = _hue(scaled, value, chroma)
    colours = np.zeros((t, 3, _BINS))
    for i, (channel, weight) in enumerate(((hue, chroma), (saturation, None), (value, None))):
        index = np.minimum((channel * _BINS).astype(np.int64), _BINS - 1) + _BINS * np.arange(t)[:, None]
        counts = np.bincount(index.ravel(), None if weight is None else weight.ravel(), minlength=t * _BINS)
        counts = counts.reshape(t, _BINS)
        colours[:, i] = counts / np.maximum(counts.sum(1, keepdims=True), 1e-6)
    grey = scaled @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    grey = grey - grey.mean(1, keepdims=True)
    return colours, grey


def _hue(scaled, value, chroma):
    r, g, b = np.moveaxis(scaled, -1, 0)
    safe = np.maximum(chroma, 1e-6)
    hue = np.where(value == r, (g - b) / safe % 6, np.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4))
    return np.where(chroma < 1e-6, 0.0, hue / 6.0 % 1.0)


def _difference(colours_a, colours_b, greys_a, greys_b):
    """Mean of the histograms' half L1 distance and the arrangement's lack of correlation, both in [0, 1].

    Flat pictures (less than 1/255 of contrast) have no arrangement; they are compared with a floor under the norm.
    """
    colour = 0.5 * np.abs(colours_a - colours_b).sum(-1).mean(-1)
    floor = (greys_a.shape[1] ** 0.5) / 255.0
    norm_a = np.maximum(np.linalg.norm(greys_a, axis=1), floor)
    norm_b = np.maximum(np.linalg.norm(greys_b, axis=1), floor)
    step = np.linalg.norm(greys_a - greys_b, axis=1)
    correlation = (greys_a * greys_b).sum(1) / (norm_a * norm_b)
    arrangement = np.where(step < floor, 0.0, np.clip(1.0 - correlation, 0.0, 1.0))
    return 0.5 * (colour + arrangement)


def _divide(start: int, end: int, longest: int) -> list[tuple[int, int]]:
    count = -(-(end - start) // longest)
    edges = [start + (end - start) * i // count for i in range(count + 1)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _small_pictures(info: VideoInfo) -> UInt8[np.ndarray, "t h w 3"]:
    container, stream = open_container(info.path, threads=2)
    wanted = set(info.pts.tolist())
    with container:
        frames = [
            frame.to_ndarray(format="rgb24", width=_SMALL[0], height=_SMALL[1], interpolation="AREA")
            for stamp, frame in Frames(container, stream)
            if stamp in wanted
        ]
    return np.stack(frames)
