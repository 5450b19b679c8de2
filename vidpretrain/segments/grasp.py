"""Opening and closing of a hand, and how likely it holds something. No object is looked for.

Closing is told by the tips of thumb and index coming together (pinch), or by all four fingers (power grasp), with
hysteresis. Contact is a probability from the hand alone: a closed hand that stays closed, most of all while it moves,
probably holds something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import geometry, timebase
from vidpretrain.segments.config import SegmentConfig
from vidpretrain.segments.series import smooth

_MIDDLE = [0, 9, 10, 11, 12]
_THUMB_TIP, _INDEX_TIP = 4, 8
_FINGERS = tuple(range(5, 21, 4))  # knuckles of the four fingers
_FIST_RAD = np.radians(100.0)  # how far a finger's last bone is turned from its first in a fist (of 180 or so)


@dataclass(frozen=True)
class Closing:
    """Of one hand over frames: pinch distance (t) in metres of a hand of reference size, curl (t) of the four fingers
    from 0 to 1, `closed` (t); NaN and false where the hand is not known."""

    pinch_m: np.ndarray
    curl: np.ndarray
    closed: np.ndarray


def closing(
    points: Float64[np.ndarray, "t 21 3"], known: Bool[np.ndarray, " t"], step_s: float, config: SegmentConfig
) -> Closing:
    """How closed a hand is; `points` in any frame in metres, `known` where they may be used."""
    pinch, curl = np.full(len(points), np.nan), np.full(len(points), np.nan)
    if known.any():
        p = points[known]
        length = np.linalg.norm(np.diff(p[:, _MIDDLE], axis=1), axis=-1).sum(axis=1)
        scale = config.grasp_hand_m / np.maximum(np.median(length), 1e-6)
        pinch[known] = np.linalg.norm(p[:, _THUMB_TIP] - p[:, _INDEX_TIP], axis=-1) * scale
        curl[known] = _curl(p)
    frames = max(1, round(config.smooth_s / step_s))
    pinch, curl = smooth(pinch, frames), smooth(curl, frames)
    closed = _closed(pinch, curl, known, config)
    return Closing(pinch, curl, _steady(closed, known, max(1, round(config.grasp_min_s / step_s))))


def _closed(pinch: np.ndarray, curl: np.ndarray, known: np.ndarray, config: SegmentConfig) -> np.ndarray:
    firm = known & ((curl > config.firm_curl) | (pinch < config.firm_pinch_m))
    if not known.any():
        return firm
    near, far = config.grasp_distance_m - config.grasp_hysteresis_m, config.grasp_distance_m + config.grasp_hysteresis_m
    if np.nanmin(pinch) < near and np.nanmax(pinch) > far:
        return firm | hysteresis(pinch < near, pinch > far, known)
    low, high = np.nanpercentile(curl, [5, 95])
    if high - low < config.min_curl_range:
        return firm
    middle, half = low + config.curl_share * (high - low), config.curl_hysteresis * (high - low)
    return firm | hysteresis(curl > middle + half, curl < middle - half, known)


def _curl(p: np.ndarray) -> np.ndarray:
    """Mean turn of the four fingers from their first to their last bone, over that of a fist, clipped to [0, 1]."""
    turns = []
    for knuckle in _FINGERS:
        first, last = p[:, knuckle + 1] - p[:, knuckle], p[:, knuckle + 3] - p[:, knuckle + 2]
        palm = p[:, knuckle] - p[:, 0]
        whole = _angle(palm, first) + _angle(first, last)
        turns.append(whole)
    return np.clip(np.mean(turns, axis=0) / (2.0 * _FIST_RAD), 0.0, 1.0)


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip((geometry.normalize(a) * geometry.normalize(b)).sum(axis=-1), -1.0, 1.0))


def hysteresis(
    on: Bool[np.ndarray, " t"], off: Bool[np.ndarray, " t"], known: Bool[np.ndarray, " t"]
) -> Bool[np.ndarray, " t"]:
    """A state that goes on where `on`, off where `off`, and else stays; unknown frames are off and end nothing."""
    state, out = False, np.zeros(len(on), dtype=bool)
    for t in range(len(on)):
        if known[t]:
            state = bool(on[t]) or (state and not off[t])
            out[t] = state
    return out


def _steady(closed: np.ndarray, known: np.ndarray, least: int) -> np.ndarray:
    """The state without changes that are shorter than `least` known frames."""
    index = np.flatnonzero(known)
    state = closed[index].copy()
    for value in (True, False):  # short closings first, then short openings
        for start, end in timebase.runs(state == value):
            if end - start < least and start > 0 and end < len(state):
                state[start:end] = not value
    out = np.zeros_like(closed)
    out[index] = state
    return out
