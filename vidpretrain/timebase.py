"""Half-open windows, uniform grids and resampling on int64 nanoseconds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from vidpretrain import geometry

NS_PER_S = 1_000_000_000


def ns(seconds: float) -> int:
    """Whole nanoseconds, rounded."""
    return round(seconds * NS_PER_S)


def seconds(time_ns: Int64[np.ndarray, " t"]) -> Float64[np.ndarray, " t"]:
    """Seconds since the first entry."""
    time_ns = np.asarray(time_ns, dtype=np.int64)
    return (time_ns - time_ns[:1]).astype(float) / NS_PER_S


def uniform_grid(start_ns: int, exclusive_end_ns: int, rate_hz: float) -> Int64[np.ndarray, " t"]:
    """Times start + k / rate inside [start, end), each rounded on its own, so that errors do not add up."""
    count = max(0, int(np.ceil((exclusive_end_ns - start_ns) * rate_hz / NS_PER_S - 1e-9)))
    return start_ns + np.round(np.arange(count) * (NS_PER_S / rate_hz)).astype(np.int64)


def nearest_index(time_ns: Int64[np.ndarray, " t"], query_ns: Int64[np.ndarray, " q"]) -> Int64[np.ndarray, " q"]:
    """Index of the entry nearest to each query; of two equally near ones the earlier."""
    time_ns, query_ns = np.asarray(time_ns), np.asarray(query_ns)
    right = np.clip(np.searchsorted(time_ns, query_ns), 1, max(1, len(time_ns) - 1))
    right = np.minimum(right, len(time_ns) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(query_ns - time_ns[left] <= time_ns[right] - query_ns, left, right).astype(np.int64)


def interpolate(
    time_ns: Int64[np.ndarray, " t"], value: Float[np.ndarray, "t *n"], query_ns: Int64[np.ndarray, " q"]
) -> Float64[np.ndarray, "q *n"]:
    """Linear interpolation along the first axis; NaN neighbours give NaN, queries outside hold the end values."""
    value = np.asarray(value, dtype=float)
    left, share = _bracket(time_ns, query_ns)
    right = np.minimum(left + 1, len(value) - 1)
    share = share.reshape(-1, *([1] * (value.ndim - 1)))
    exact_left, exact_right = share == 0, share == 1
    mixed = (1 - share) * value[left] + share * value[right]
    return np.where(exact_left, value[left], np.where(exact_right, value[right], mixed))


def interpolate_pose(
    time_ns: Int64[np.ndarray, " t"], T: Float[np.ndarray, "t 7"], query_ns: Int64[np.ndarray, " q"]
) -> Float64[np.ndarray, "q 7"]:
    """Translation linearly, rotation by slerp; queries outside hold the end values."""
    left, share = _bracket(time_ns, query_ns)
    right = np.minimum(left + 1, len(T) - 1)
    q = geometry.slerp(T[left, :4], T[right, :4], share)
    return geometry.pose(q, interpolate(time_ns, np.asarray(T)[:, 4:], query_ns))


def _bracket(time_ns, query_ns):
    time_ns, query_ns = np.asarray(time_ns, dtype=np.int64), np.asarray(query_ns, dtype=np.int64)
    if len(time_ns) == 1:
        return np.zeros(len(query_ns), dtype=np.int64), np.zeros(len(query_ns))
    left = np.clip(np.searchsorted(time_ns, query_ns, side="right") - 1, 0, len(time_ns) - 2)
    share = (query_ns - time_ns[left]) / np.maximum(time_ns[left + 1] - time_ns[left], 1)
    return left, np.clip(share, 0.0, 1.0)


def runs(mask: Bool[np.ndarray, " t"]) -> list[tuple[int, int]]:
    """Half-open [start, end) of every stretch of True."""
    padded = np.concatenate([[False], np.asarray(mask, dtype=bool), [False]]).astype(np.int8)
    edges = np.diff(padded)
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))
