"""The exact projection onto a speed limit."""

from __future__ import annotations

import numpy as np
from numba import njit

_ROUNDING = 1e-9


def slowed(path: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The path (t v) nearest to the given one, in its largest change, that moves at most `step` (v) per frame.

    It is the mean of the largest slower path below and the smallest above (McShane 1934), so it stays between the
    given path's extremes, and therefore inside any limits that the given path respects.
    """
    out = np.array(path, dtype=float)
    slow_down(out, np.asarray(step, dtype=float) * (1.0 - _ROUNDING))
    return out


@njit(cache=True)
def slow_down(path, step):
    """`slowed` in place."""
    frames = len(path)
    below, above = np.empty(frames), np.empty(frames)
    for v in range(path.shape[1]):
        most = 0.0
        for t in range(frames - 1):
            most = max(most, abs(path[t + 1, v] - path[t, v]))
        if most <= step[v]:
            continue
        low, high = path[:, v].min(), path[:, v].max()
        below[0], above[0] = path[0, v], path[0, v]
        for t in range(1, frames):
            below[t] = min(path[t, v], below[t - 1] + step[v])
            above[t] = max(path[t, v], above[t - 1] - step[v])
        for t in range(frames - 2, -1, -1):
            below[t] = min(below[t], below[t + 1] + step[v])
            above[t] = max(above[t], above[t + 1] - step[v])
        for t in range(frames):
            path[t, v] = min(max(0.5 * (below[t] + above[t]), low), high)
