"""How likely a hand touches or holds something, from its closing, how long that lasts, and where it travels meanwhile.

A guess without an object detector, and named so: a relaxed hand and a hand around a pen look alike. The constants are a
logistic regression on the exact motion of rendered people (dev split, 32 people of `make bench-labels`; contact is a
joint of the hand within 2 cm of the object); on 16 others see docs/log.md.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import timebase
from vidpretrain.segments.grasp import Closing
from vidpretrain.segments.series import speed

# of: nothing, closed, seconds of the whole closing, metres travelled in it, the wrist's speed in m/s
WEIGHTS = (-1.3, 3.8, 3.5, 0.4, 4.5)
_LONGEST_S, _FARTHEST_M, _FASTEST_M_S = 1.0, 0.5, 1.0


def contact(
    closing: Closing, time_ns: Int64[np.ndarray, " t"], p_wrist: Float64[np.ndarray, "t 3"]
) -> Float64[np.ndarray, " t"]:
    """Probability (t) that the hand touches something; NaN where the hand is not known."""
    x = features(closing, time_ns, p_wrist)
    return 1.0 / (1.0 + np.exp(-(x @ np.array(WEIGHTS))))


def features(
    closing: Closing, time_ns: Int64[np.ndarray, " t"], p_wrist: Float64[np.ndarray, "t 3"]
) -> Float64[np.ndarray, "t 5"]:
    """What the probability is made of: the columns of `WEIGHTS`."""
    time_s, t = timebase.seconds(time_ns), len(time_ns)
    lasting, travelled = np.zeros(t), np.zeros(t)
    for start, end in timebase.runs(closing.closed):
        lasting[start:end] = min(time_s[end - 1] - time_s[start], _LONGEST_S)
        p = p_wrist[start:end]
        p = p[np.isfinite(p).all(axis=1)]
        far = np.linalg.norm(p.max(axis=0) - p.min(axis=0)) if len(p) else 0.0
        travelled[start:end] = min(float(far), _FARTHEST_M)
    fast = np.minimum(speed(time_ns, p_wrist), _FASTEST_M_S)
    return np.stack([np.ones(t), closing.closed.astype(float), lasting, travelled, fast], axis=1)
