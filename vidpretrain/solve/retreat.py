"""Where links are too deep in each other to find the way out: limbs retreat towards a posture in which they are not.

Frame by frame and share by share of the way it is looked up whether anything overlaps, and dynamic programming
(Bellman) finds the path of least retreat through what is clean, inside the speed limits. Steps are cut where they would
overlap, as Li et al. do (Incremental Potential Contact, 2020).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.collision.near import at_origin, least_gap
from vidpretrain.kinematics.kernels import forward

LEVELS = np.array([0.0, 0.01, 0.02, 0.04, 0.07, 0.11, 0.16, 0.22, 0.3, 0.4, 0.52, 0.65, 0.8, 1.0])
_ROUGH = 10.0
_SLOPE, _PASSES, _HALVINGS = 0.34, 40, 7


@njit(cache=True, error_model="numpy")
def clean_levels(tree, joint, start, end, radius, pairs, blocks, Q, Q_to, levels, enough, out):
    """Write to out (t n) whether every gap is at least `enough` that share of the way from Q to Q_to (t j)."""
    n = len(tree.parent)
    order, P, C = np.arange(n), np.empty((len(joint), 2, 3)), np.empty((len(blocks.joint), 3))
    R, p, a, x, y = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3)), np.empty(3), np.empty(3)
    q = np.empty(n)
    at_origin(R, p)
    for t in range(len(Q)):
        for k in range(len(levels)):
            for j in range(n):
                q[j] = Q[t, j] + levels[k] * (Q_to[t, j] - Q[t, j])
            forward(order, tree.parent, tree.hinge, tree.R_zero, tree.p_zero, tree.axis, q, R, p, a)
            gap = least_gap(joint, start, end, radius, pairs, blocks, R, p, P, C, x, y, enough, enough)
            out[t, k] = gap >= enough


@njit(cache=True, error_model="numpy")
def slow_enough(Q, Q_to, a, b, t, columns, step):
    """True where no joint is too fast from share a of frame t - 1 to share b of frame t."""
    for v in range(len(columns)):
        j = columns[v]
        here = Q[t - 1, j] + a * (Q_to[t - 1, j] - Q[t - 1, j])
        there = Q[t, j] + b * (Q_to[t, j] - Q[t, j])
        if abs(there - here) > step[v]:
            return False
    return True


@njit(cache=True, error_model="numpy")
def cheapest(Q, Q_to, clean, levels, columns, step, ends, out):
    """Write the shares (t) of least retreat and least change through clean (t n); False where there is no such path.

    `ends` says whether the first and the last frame have to stay where they are.
    """
    frames, count = clean.shape
    cost, come = np.full((frames, count), np.inf), np.zeros((frames, count), dtype=np.int64)
    for k in range(count):
        if clean[0, k] and (k == 0 or not ends[0]):
            cost[0, k] = levels[k]
    for t in range(1, frames):
        for k in range(count):
            if not clean[t, k] or (k > 0 and t == frames - 1 and ends[1]):
                continue
            for i in range(count):
                change = levels[k] - levels[i]
                worth = cost[t - 1, i] + levels[k] + _ROUGH * change * change
                if worth < cost[t, k] and slow_enough(Q, Q_to, levels[i], levels[k], t, columns, step):
                    cost[t, k], come[t, k] = worth, i
    k = np.argmin(cost[frames - 1])
    if not np.isfinite(cost[frames - 1, k]):
        return False
    for t in range(frames - 1, -1, -1):
        out[t] = levels[k]
        k = come[t, k]
    return True


@njit(cache=True, error_model="numpy")
def cut_steps(tree, joint, start, end, radius, pairs, blocks, Q, Q_to, watch, columns, step, enough, share):
    """Write the share (t) of every frame's step from Q to Q_to (t j) that leaves no watched frame with a gap below
    `enough` and no joint too fast; both motions are slow enough, and Q is clean where it is watched."""
    n, frames = len(tree.parent), len(Q)
    order, P, C = np.arange(n), np.empty((len(joint), 2, 3)), np.empty((len(blocks.joint), 3))
    R, p, a, x, y = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3)), np.empty(3), np.empty(3)
    q, look = np.empty(n), np.ones(frames, dtype=np.bool_)
    at_origin(R, p)
    share[:] = 1.0
    for _ in range(_PASSES):
        for t in range(frames):
            if not look[t] or not watch[t]:
                continue
            for halving in range(_HALVINGS + 1):
                if halving == _HALVINGS:
                    share[t] = 0.0
                if share[t] == 0.0:
                    break
                for j in range(n):
                    q[j] = Q[t, j] + share[t] * (Q_to[t, j] - Q[t, j])
                forward(order, tree.parent, tree.hinge, tree.R_zero, tree.p_zero, tree.axis, q, R, p, a)
                if least_gap(joint, start, end, radius, pairs, blocks, R, p, P, C, x, y, enough, enough) >= enough:
                    break
                share[t] *= 0.5
        look[:] = False
        changed = False
        for side in range(2):
            for i in range(1, frames):
                t, other = (i, i - 1) if side == 0 else (frames - 1 - i, frames - i)
                most = share[other] + _SLOPE
                if share[t] > most:
                    share[t], look[t], changed = most, True, True
        for t in range(1, frames):
            if share[t] != share[t - 1] and not slow_enough(Q, Q_to, share[t - 1], share[t], t, columns, step):
                least = min(share[t - 1], share[t])
                for u in (t - 1, t):
                    look[u] = look[u] or share[u] > least
                    share[u] = least
                changed = True
        if not changed:
            return
    share[:] = 0.0
