"""Time series with holes: running means, speeds, local minima."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Int64

from vidpretrain import timebase


def smooth(values: Float[np.ndarray, " t"], frames: int) -> Float64[np.ndarray, " t"]:
    """Running mean over `frames` frames (an even number counts as one more), of what is finite; NaN stays NaN."""
    values = np.asarray(values, dtype=float)
    half = frames // 2
    known = np.isfinite(values)
    kernel = np.ones(2 * half + 1)
    total = np.convolve(np.where(known, values, 0.0), kernel, "full")[half : half + len(values)]
    count = np.convolve(known.astype(float), kernel, "full")[half : half + len(values)]
    return np.where(known, total / np.maximum(count, 1.0), np.nan)


def speed(time_ns: Int64[np.ndarray, " t"], p: Float64[np.ndarray, "t 3"]) -> Float64[np.ndarray, " t"]:
    """Speeds in metres per second by central differences, one-sided at ends and holes; NaN where nothing is known."""
    time_s, out = timebase.seconds(time_ns), np.full(len(p), np.nan)
    for start, end in timebase.runs(np.asarray(np.isfinite(p).all(axis=1))):
        if end - start > 1:
            out[start:end] = np.linalg.norm(np.gradient(p[start:end], time_s[start:end], axis=0), axis=1)
    return out


def minima(values: Float[np.ndarray, " t"], half: int) -> list[int]:
    """Frames at which a series is lowest within `half` frames on both sides; of a plateau its middle, never NaN."""
    filled = np.where(np.isfinite(values), values, np.inf)
    padded = np.pad(filled, half, constant_values=np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).min(axis=1)
    lowest = np.isfinite(filled) & (filled <= around + 1e-12)
    return [(start + end - 1) // 2 for start, end in timebase.runs(lowest)]
