"""Frames in which nothing was seen follow from those around them, not from a rest posture.

A posture prior that helps where points are seen would pull a hidden arm to rest and back within a third of a second,
and its neighbours with it; so in short gaps the points themselves are run on, and count, less than points seen.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain.motion import clean

_CUTOFF_HZ = 4.0  # of arms; about what is left of a hand's path between the two ends of a gap


def bridge(
    time_ns: Int64[np.ndarray, " t"], value: Float64[np.ndarray, "t n"], seen: Bool[np.ndarray, " t"]
) -> Float64[np.ndarray, "t n"]:
    """The series whose unseen frames run on smoothly between the seen ones (least second difference)."""
    if seen.all() or seen.sum() < 4:
        return value
    filled = clean.interpolate_gaps(time_ns, value, seen)
    smooth = clean.smooth(time_ns, filled, np.where(seen, 1.0, 0.0), _CUTOFF_HZ)
    # what smoothing changed at the ends of a gap fades in over it, so that nothing jumps
    offset = clean.interpolate_gaps(time_ns, np.where(seen[:, None], value - smooth, 0.0), seen)
    return np.where(seen[:, None], value, smooth + offset)
