"""Links eased apart by their own shapes: of all that rounds of contacts come by, the best of every frame stays.

A label that is decimetres off is worse than a light touch, so depth is weighed against the distance from the free
motion, and dynamic programming (Bellman) finds the way of least cost through the motions of all rounds, inside speed
limits. Where it stays deep, rounds begin again with more smoothness: neighbouring frames of a deep overlap often point
to opposite ways out.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.solve.rounds import FIRST_DAMPING, Apart, mask, push
from vidpretrain.solve.speed import slow, steps

_DEEP_M, _DEEP_COST_M = 0.004, 0.01
_AWAY_COST_M, _ROUGH_COST_M = 0.003, 0.1  # of a radian away from free, and of its change by one in a frame, squared
_ROUNDS = 20
_SMOOTHER = (1.0, 25.0)  # times the weight of accelerations, attempt after attempt


@njit(cache=True, error_model="numpy")
def best_way(moves, free, cost, step, rough, out):
    """Write to out (t) which of the motions (n t v) to take, for the least sum of cost (n t) and of `rough` times the
    squared changes of the distance from `free` (t v), no change being faster than `step` (v); its cost."""
    count, frames, width = moves.shape
    total, come = np.full((frames, count), np.inf), np.zeros((frames, count), dtype=np.int64)
    total[0] = cost[:, 0]
    for t in range(1, frames):
        for k in range(count):
            for i in range(count):
                worth = total[t - 1, i]
                if worth + cost[k, t] >= total[t, k]:
                    continue
                change = 0.0
                for v in range(width):
                    moved = moves[k, t, v] - moves[i, t - 1, v]
                    if abs(moved) > step[v] and k != i:
                        change = np.inf
                        break
                    change += (moved - free[t, v] + free[t - 1, v]) ** 2
                worth += cost[k, t] + rough * change
                if worth < total[t, k]:
                    total[t, k], come[t, k] = worth, i
    k = np.argmin(total[frames - 1])
    least = total[frames - 1, k]
    for t in range(frames - 1, -1, -1):
        out[t] = k
        k = come[t, k]
    return least


class _Seen:
    """The motions of all rounds (t v), and how deep they are (t)."""

    def __init__(self, run: Apart) -> None:
        self.run = run
        self.columns, self.step = steps(run.work)
        self.moves: list[np.ndarray] = []
        self.depth: list[np.ndarray] = []

    def look(self, stretches: list[tuple[int, int]]) -> None:
        """Remember the motion as it stands, whose gaps have just been found in these stretches."""
        self.moves.append(self.run.work.st.Q[:, self.columns].copy())
        self.depth.append(np.maximum(0.0, -self.run.contact.worst))

    def choose(self, lo: int, hi: int) -> np.ndarray:
        """Put together the best of frames [lo, hi); how deep it is."""
        moves = np.stack([move[lo:hi] for move in self.moves])
        depth = np.stack([depth[lo:hi] for depth in self.depth])
        free = self.run.free[lo:hi][:, self.columns]
        away = np.linalg.norm(moves - free, axis=2)
        cost = depth + _DEEP_COST_M * (depth > _DEEP_M) + _AWAY_COST_M * away
        which = np.zeros(hi - lo, dtype=np.int64)
        best_way(moves, free, cost, self.step, _ROUGH_COST_M, which)
        at = np.arange(hi - lo)
        self.run.work.st.Q[lo:hi, self.columns] = moves[which, at]
        return depth[which, at]


def ease(run: Apart, stretches: list[tuple[int, int]]) -> None:
    """Leave every stretch [lo, hi) at the best that a few attempts from the free motion come by."""
    st, acceleration = run.work.st, run.work.D.acceleration.copy()
    seen, left = _Seen(run), stretches
    for smoother in _SMOOTHER:
        run.work.D.acceleration[:] = smoother * acceleration
        run.contact.forget()
        for lo, hi in left:
            st.Q[lo:hi] = run.free[lo:hi]
            run.damping[:, lo:hi] = FIRST_DAMPING
        push(run, left, seen.look, _ROUNDS)
        left = [stretch for stretch in left if (seen.choose(*stretch) > _DEEP_M).any()]
        if not left:
            break
    run.work.D.acceleration[:] = acceleration
    if run.problem.max_speed is not None:
        slow(run.work)
    run.gave_way &= (np.abs(st.Q - run.free)[:, seen.columns] > 1e-3).any(axis=1) & mask(stretches, len(st.Q))
