"""Statistics in the shapes LeRobot's readers expect, with exact quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
QUANTILE_KEYS = ("q01", "q10", "q50", "q90", "q99")
STAT_KEYS = ("min", "max", "mean", "std", "count", *QUANTILE_KEYS)

Stats = dict[str, np.ndarray]


def column_stats(values: np.ndarray) -> Stats:
    """Per column min, max, mean, std, count and NumPy's linear quantiles of (n,) or (n, d) values, as (d,) floats."""
    values = np.asarray(values).astype(np.float64).reshape(len(values), -1)
    quantiles = np.quantile(values, QUANTILES, axis=0)
    out = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "count": np.array([len(values)]),
    }
    return out | dict(zip(QUANTILE_KEYS, quantiles, strict=True))


def image_counts(frame: UInt8[np.ndarray, "h w 3"]) -> Int64[np.ndarray, "3 256"]:
    """How often each value occurs per channel, on a regular grid of about 150 pixels along the longer side."""
    stride = max(1, max(frame.shape[:2]) // 150)
    thin = frame[::stride, ::stride]
    return np.stack([np.bincount(thin[..., channel].ravel(), minlength=256) for channel in range(3)])


def image_stats(counts: Int64[np.ndarray, "3 256"], frames: int) -> Stats:
    """Exact statistics in [0, 1] of the counted pixels, shape (3, 1, 1); `count` is the number of frames."""
    value = np.arange(256) / 255.0
    total = counts.sum(axis=1)
    mean = counts @ value / total
    std = np.sqrt(np.maximum(counts @ value**2 / total - mean**2, 0.0))
    seen = [np.flatnonzero(channel) for channel in counts]
    out = {
        "min": value[[s[0] for s in seen]],
        "max": value[[s[-1] for s in seen]],
        "mean": mean,
        "std": std,
    }
    for key, q in zip(QUANTILE_KEYS, QUANTILES, strict=True):
        out[key] = np.array([_counted_quantile(channel, q) for channel in counts]) / 255.0
    shaped = {key: array.reshape(3, 1, 1) for key, array in out.items()}
    return shaped | {"count": np.array([frames])}


def _counted_quantile(counts: Int64[np.ndarray, " v"], q: float) -> float:
    """NumPy's linear quantile of the values 0, 1, ... that occur `counts` times."""
    below = np.cumsum(counts)
    position = q * (below[-1] - 1)
    low, share = int(np.floor(position)), position - np.floor(position)
    first = np.searchsorted(below, low, side="right")
    second = np.searchsorted(below, min(low + 1, below[-1] - 1), side="right")
    return float(first + share * (second - first))


def plain_stats(stats: dict[str, Stats]) -> dict[str, Any]:
    """Nested lists for JSON."""
    return {key: {name: array.tolist() for name, array in entry.items()} for key, entry in stats.items()}
