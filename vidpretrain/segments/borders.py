"""Where a motion may be divided: minima of the wrists' speed; and where nothing is done."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import timebase
from vidpretrain.segments.config import SegmentConfig
from vidpretrain.segments.series import minima, smooth


def pace(
    wrist_speed_m_s: Float64[np.ndarray, "t 2"], step_s: float, config: SegmentConfig
) -> Float64[np.ndarray, " t"]:
    """Smoothed speed (t) of the faster wrist, of those that are known; NaN where none is."""
    frames = max(1, round(config.smooth_s / step_s))
    each = np.stack([smooth(column, frames) for column in wrist_speed_m_s.T], axis=1)
    known = np.isfinite(each)
    return np.where(known.any(axis=1), np.where(known, each, -np.inf).max(axis=1), np.nan)


def borders(speed: Float64[np.ndarray, " t"], step_s: float, config: SegmentConfig) -> list[int]:
    """Frames at which segments begin, the first one 0 (without the end).

    Minima of `speed` (of `pace`), each at least `min_s` after the last and before the end; what stays longer than
    `max_s` is divided again, at its slowest frame that leaves `min_s` on both sides.
    """
    least, most = max(1, round(config.min_s / step_s)), max(2, round(config.max_s / step_s))
    out = [0]
    for at in minima(speed, max(1, round(config.half_window_s / step_s))):
        if at - out[-1] >= least and len(speed) - at >= least:
            out.append(at)
    edges = [*out, len(speed)]
    k = 0
    while k + 1 < len(edges):
        start, end = edges[k], edges[k + 1]
        if end - start > most:
            inner = np.where(np.isfinite(speed[start:end]), speed[start:end], np.inf)
            first, last = least, min(most, end - start - least)
            edges.insert(k + 1, start + first + int(np.argmin(inner[first : last + 1])))
        else:
            k += 1
    return edges[:-1]


def idle(
    speed: Float64[np.ndarray, " t"], grasp: Bool[np.ndarray, "t 2"], step_s: float, config: SegmentConfig
) -> Bool[np.ndarray, " t"]:
    """Frames (t) in long stretches without anything: known wrists slow, no hand that opens or closes."""
    changes = np.zeros(len(grasp), dtype=bool)
    changes[1:] = (grasp[1:] != grasp[:-1]).any(axis=1)
    slow = np.isfinite(speed) & (speed < config.idle_speed_m_s) & ~changes
    out = np.zeros(len(speed), dtype=bool)
    for start, end in timebase.runs(slow):
        if (end - start) * step_s >= config.idle_min_s - 1e-9:
            out[start:end] = True
    return out
