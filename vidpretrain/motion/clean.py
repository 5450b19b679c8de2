"""Outliers, gaps and zero-phase smoothing of time series with weights.

The smoother is Whittaker's (Eilers 2003, "A perfect smoother"): weighted squares plus a penalty on the second
divided difference. Its penalty follows from the frequency that it halves.
"""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from vidpretrain import timebase
from vidpretrain.motion.config import MotionConfig


def longest_gap(time_ns: Int64[np.ndarray, " t"], config: MotionConfig) -> int:
    """Frames of the longest gap that is bridged, at the clip's own rate, bounded in seconds."""
    return min(config.max_gap_frames, int(config.max_gap_s / frame_step_s(time_ns) + 1e-6))


def frame_step_s(time_ns: Int64[np.ndarray, " t"]) -> float:
    """Median time between frames in seconds; 1/30 for a single frame."""
    return float(np.median(np.diff(time_ns))) / timebase.NS_PER_S if len(time_ns) > 1 else 1 / 30


def fillable(seen: Bool[np.ndarray, " t"], longest: int) -> Bool[np.ndarray, " t"]:
    """Unseen frames that lie between seen ones in a gap of at most `longest` frames."""
    out = np.zeros(len(seen), dtype=bool)
    for start, end in timebase.runs(~np.asarray(seen, dtype=bool)):
        if start > 0 and end < len(seen) and end - start <= longest:
            out[start:end] = True
    return out


def interpolate_gaps(
    time_ns: Int64[np.ndarray, " t"], value: Float[np.ndarray, "t *n"], seen: Bool[np.ndarray, " t"]
) -> Float64[np.ndarray, "t *n"]:
    """The series with unseen frames linearly interpolated in time (held at the ends); unchanged if nothing is seen."""
    if seen.all() or not seen.any():
        return np.array(value, dtype=float)
    return timebase.interpolate(time_ns[seen], np.asarray(value)[seen], time_ns)


def outliers(
    time_ns: Int64[np.ndarray, " t"],
    p_wrist: Float64[np.ndarray, "t 3"],
    seen: Bool[np.ndarray, " t"],
    config: MotionConfig,
) -> Bool[np.ndarray, " t"]:
    """Seen frames whose wrist is somewhere else than the frames around them.

    A short island between two jumps goes when the frames on both sides of it fit each other; so a fast but smooth
    motion stays. A jump is a wrist speed above median + `outlier_mads` MAD (not below the floor). Islands between
    jumps that no human makes go in any case.
    """
    index = np.flatnonzero(seen)
    out = np.zeros(len(seen), dtype=bool)
    if len(index) < 3:
        return out
    longest = longest_gap(time_ns, config)
    time_s = timebase.seconds(time_ns)[index]
    p = p_wrist[index]
    speed = np.linalg.norm(np.diff(p, axis=0), axis=-1) / np.diff(time_s)
    middle = float(np.median(speed))
    mad = float(np.median(np.abs(speed - middle)))
    threshold = min(max(middle + config.outlier_mads * mad, config.outlier_floor_m_s), config.max_wrist_speed_m_s)
    bad = _islands(time_s, p, speed > threshold, threshold, longest)
    keep = np.flatnonzero(~bad)
    if len(keep) > 2:
        speed = np.linalg.norm(np.diff(p[keep], axis=0), axis=-1) / np.diff(time_s[keep])
        bad[keep[_stranded(speed > config.max_wrist_speed_m_s, longest)]] = True
    out[index[bad]] = True
    return out


def _islands(time_s, p, jump, threshold, longest):
    bad = np.zeros(len(p), dtype=bool)
    edges = [0, *(np.flatnonzero(jump) + 1).tolist(), len(p)]
    count = len(edges) - 1
    i = 1
    while i < count - 1:
        # the shortest stretch of islands whose removal joins both sides
        for j in range(i + 1, count):
            start, end = edges[i], edges[j]
            if end - start > longest:
                break
            back = np.linalg.norm(p[end] - p[start - 1]) / (time_s[end] - time_s[start - 1])
            if back <= threshold:
                bad[start:end] = True
                i = j
                break
        i += 1
    for start, end in ((edges[0], edges[1]), (edges[-2], edges[-1])):  # a bad first or last frame or two
        if count > 1 and end - start <= 2:
            bad[start:end] = True
    return bad


def _stranded(jump, longest):
    edges = [0, *(np.flatnonzero(jump) + 1).tolist(), len(jump) + 1]
    out = np.zeros(len(jump) + 1, dtype=bool)
    if len(edges) > 2:
        for start, end in itertools.pairwise(edges):
            out[start:end] = end - start <= longest
    return out


def penalty(cutoff_hz: float, step_s: float) -> float:
    """Weight of the second difference at which the smoother halves `cutoff_hz`; 0 when the rate does not reach it."""
    share = cutoff_hz * step_s
    return 0.0 if share >= 0.5 else float(1.0 / (2.0 * np.sin(np.pi * share)) ** 4)


def smooth(
    time_ns: Int64[np.ndarray, " t"],
    value: Float[np.ndarray, "t *n"],
    weight: Float[np.ndarray, " t"],
    cutoff_hz: float,
) -> Float64[np.ndarray, "t *n"]:
    """The series smoothed forwards and backwards at once (no delay), by weights around 1; constant speeds are kept.

    `value` is finite everywhere; frames of weight 0 follow their neighbours.
    """
    value = np.asarray(value, dtype=float)
    step_s = frame_step_s(time_ns)
    strength = penalty(cutoff_hz, step_s)
    if len(value) < 4 or strength == 0.0:
        return value.copy()
    h = np.diff(timebase.seconds(time_ns)) / step_s
    before, after = h[:-1], h[1:]
    a, b, c = 2 / (before * (before + after)), -2 / (before * after), 2 / (after * (before + after))
    band = np.zeros((3, len(value)))
    band[2] = np.maximum(weight, 1e-4)
    band[2, :-2] += strength * a * a
    band[2, 1:-1] += strength * b * b
    band[2, 2:] += strength * c * c
    band[1, 1:-1] += strength * a * b
    band[1, 2:] += strength * b * c
    band[0, 2:] = strength * a * c
    from scipy.linalg import solveh_banded

    rhs = np.maximum(weight, 1e-4)[:, None] * value.reshape(len(value), -1)
    return solveh_banded(band, rhs, check_finite=False).reshape(value.shape)


def smooth_turn(
    time_ns: Int64[np.ndarray, " t"], q: Float64[np.ndarray, "t 4"], weight: Float[np.ndarray, " t"], cutoff_hz: float
) -> Float64[np.ndarray, "t 4"]:
    """Rotations smoothed through their four components, after equal signs along time."""
    flip = np.cumprod(np.concatenate([[1.0], np.where((q[1:] * q[:-1]).sum(-1) < 0, -1.0, 1.0)]))
    mean = smooth(time_ns, q * flip[:, None], weight, cutoff_hz)
    return mean / np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9)


def robust_depth(
    time_ns: Int64[np.ndarray, " t"],
    depth: Float64[np.ndarray, " t"],
    weight: Float[np.ndarray, " t"],
    cutoff_hz: float,
) -> Float64[np.ndarray, " t"]:
    """Positive depths smoothed in their logarithm, with frames that stand out given little weight (Cauchy, twice)."""
    log = np.log(depth)
    mean = log
    weight = np.asarray(weight, dtype=float)
    now = weight
    for _ in range(3):
        mean = smooth(time_ns, log, now, cutoff_hz)
        off = np.abs(log - mean)
        scale = max(1.5 * float(np.median(off)), 1e-3)
        now = weight / (1.0 + (off / (2 * scale)) ** 2)
    return np.exp(mean)
