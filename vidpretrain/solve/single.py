"""One frame of a component by itself, and from frame to frame: where a clip's solve begins (numba, cached on disk)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.solve.ball import between, hold_balls
from vidpretrain.solve.band import blocked, factor_small, solve
from vidpretrain.solve.descend import LEAST_DAMPING, copy, move
from vidpretrain.solve.rows import rows_pass

NEAR_FRAMES, NEAR_FRAMES_LARGE, LARGE, STRIDE = 32, 96, 8, 4
SAME_RAD, KEPT = 0.1, 3


class Single(NamedTuple):
    """Buffers of a single frame's solve."""

    G: np.ndarray
    A: np.ndarray
    step: np.ndarray
    gone: np.ndarray
    cost: np.ndarray
    G_kept: np.ndarray
    A_kept: np.ndarray
    stride: np.ndarray


@njit(cache=True)
def single(n):
    """Buffers for n unknowns."""
    return Single(
        np.zeros((1, n)), np.zeros((n, n + 1)), np.zeros((1, n)), np.zeros(n), np.zeros(1), np.zeros(n),
        np.zeros((n, n + 1)), np.array([1, STRIDE]),
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def settle(L, D, c, t, st, iterations, newton, tie, s, one):
    """Damped Gauss-Newton on frame t of a component alone, held to where it begins by `tie` (v); the cost it reaches.

    `one` holds the buffers of a single frame.
    """
    n, first, base = L.var_at[c + 1] - L.var_at[c], L.var_at[c], L.base[c]
    wide, yes = n, n > 0
    G, A, step, gone, cost = one.G, one.A, one.step, one.gone, one.cost
    damping, held, reached = 1e-3, 0.0, np.inf
    for v in range(n):
        gone[v], step[0, v] = 0.0, 0.0
    copy(L, c, t, t + 1, st.Q, st.Rb, st.pb, st.Q_new, st.Rb_new, st.pb_new)
    for iteration in range(iterations + 1):
        rows_pass(L, D, c, t, t + 1, st.Q_new, st.Rb_new, st.pb_new, yes, newton, G, A, cost, st.left, s)
        held_new = 0.0
        for v in range(n):
            held_new += 0.5 * tie[first + v] * (gone[v] + step[0, v]) ** 2
        new = cost[0] + held_new
        if new < reached:
            fell = reached - new
            copy(L, c, t, t + 1, st.Q_new, st.Rb_new, st.pb_new, st.Q, st.Rb, st.pb)
            for v in range(n):
                gone[v] += step[0, v]
                one.G_kept[v] = G[0, v]
                for k in range(wide + 1):
                    one.A_kept[v, k] = A[v, k]
            reached, held = new, held_new
            damping = max(LEAST_DAMPING, 0.3 * damping)
            if fell < (1e-6 if iterations > 8 else 1e-3) * reached:
                break
        else:
            damping *= 10.0
            if damping > 1e6:
                break
        if iteration == iterations:
            break
        mean = 1e-12
        for v in range(n):
            mean += (one.A_kept[v, wide] + tie[first + v]) / n
        for v in range(n):
            G[0, v] = one.G_kept[v] + tie[first + v] * gone[v]
            step[0, v] = -G[0, v]
            for k in range(wide):
                A[v, k] = one.A_kept[v, k]
            stiff = one.A_kept[v, wide] + tie[first + v]
            A[v, wide] = stiff + damping * (stiff + mean)
        for v in range(base, L.ball_at[c]):
            if blocked(st.Q[t, L.var_column[first + v]], D.lower[first + v], D.upper[first + v], G[0, v]):
                step[0, v] = 0.0
                A[v, :] = 0.0
                A[v, wide] = 1.0
                for u in range(v + 1, n):
                    A[u, wide - (u - v)] = 0.0
        if L.ball_at[c] < n:
            hold_balls(L, D, c, t, st.Q, 0, G, A, wide)
        if factor_small(A, n):
            solve(A, n, step[0])
        else:
            for v in range(n):
                step[0, v] = 0.0
        move(L, D, c, t, t + 1, step, st, s.work)
    return reached - held


@njit(cache=True, error_model="numpy")
def sweep(L, D, c, first, last, stride, st, iterations, newton, tie, s, one):
    """Carry frame `first` on to `last`, each frame from the one before; the sum of their costs.

    With a stride beyond one frame, those between are interpolated; the last step is as short as it has to be.
    """
    t, total = first, 0.0
    while t != last:
        to = min(t + stride, last) if stride > 0 else max(t + stride, last)
        for i in range(L.var_at[c] + L.base[c], L.var_at[c + 1]):
            j = L.var_column[i]
            st.Q[to, j] = st.Q[t, j]
        if L.base[c] > 0:
            st.Rb[to], st.pb[to] = st.Rb[t], st.pb[t]
        total += settle(L, D, c, to, st, iterations, newton, tie, s, one)
        for i in range(L.var_at[c] + L.base[c], L.var_at[c + 1]):
            j = L.var_column[i]
            slope = (st.Q[to, j] - st.Q[t, j]) / (to - t)
            for k in range(1, abs(to - t)):
                u = t + k if to > t else t - k
                st.Q[u, j] = st.Q[t, j] + slope * (u - t)
        if L.ball_at[c] < L.var_at[c + 1] - L.var_at[c]:
            for k in range(1, abs(to - t)):
                between(L, D, c, st.Q, t, to, t + k if to > t else t - k)
        t = to
    return total


@njit(cache=True, error_model="numpy")
def first_pass(L, D, c, k, candidates, st, start_iterations, sweep_iterations, newton, tie, s, one):
    """Settle candidates (i j) on frame k, carry the cheapest to frames nearby, and the best of them to both ends.

    Small components are carried in strides of `one.stride[1]` frames and interpolated between.
    """
    n, frames = L.var_at[c + 1] - L.var_at[c], len(st.Q)
    first = L.var_at[c] + L.base[c]
    columns = L.var_column[first : L.var_at[c + 1]]
    count = len(candidates)
    found, worth = np.empty((count, len(columns))), np.empty(count)
    R0, p0 = st.Rb[k].copy(), st.pb[k].copy()
    R, p = np.empty((count, 3, 3)), np.empty((count, 3))
    none = np.zeros_like(tie) + 1e-9
    for i in range(count):
        put(st, k, columns, candidates[i][columns], R0, p0, L.base[c])
        worth[i] = settle(L, D, c, k, st, start_iterations, newton, none, s, one)
        for v in range(len(columns)):
            found[i, v] = st.Q[k, columns[v]]
        R[i], p[i] = st.Rb[k], st.pb[k]
    order = np.argsort(worth, kind="mergesort")
    kept = distinct(found, worth, order)
    best, least = order[0], np.inf
    near = NEAR_FRAMES if n <= LARGE else NEAR_FRAMES_LARGE
    lo, hi = max(0, k - near // 2), min(frames - 1, k + near // 2)
    if kept.sum() > 1:
        for place in range(count):
            i = order[place]
            if not kept[i]:
                continue
            total = worth[i]
            for side in range(2):
                last, stride = (hi, one.stride[0]) if side == 0 else (lo, -one.stride[0])
                put(st, k, columns, found[i], R[i], p[i], L.base[c])
                total += sweep(L, D, c, k, last, stride, st, sweep_iterations, newton, tie, s, one)
            if total < least:
                best, least = i, total
    put(st, k, columns, found[best], R[best], p[best], L.base[c])
    stride = one.stride[1] if n <= LARGE and L.base[c] == 0 else one.stride[0]
    for side in range(2):
        last = frames - 1 if side == 0 else frames - frames
        way = stride if side == 0 else -stride
        sweep(L, D, c, k, last, way, st, sweep_iterations, newton, tie, s, one)


@njit(cache=True, error_model="numpy")
def distinct(found, worth, order):
    """The cheapest few of the candidates that are not the same posture."""
    kept = np.zeros(len(worth), dtype=np.bool_)
    for place in range(len(order)):
        i = order[place]
        new = worth[i] <= 10.0 * worth[order[0]] + 1e-9 and kept.sum() < KEPT
        for other in range(len(worth)):
            if kept[other] and np.abs(found[other] - found[i]).max() <= SAME_RAD:
                new = False
        kept[i] = new
    return kept


@njit(cache=True, error_model="numpy")
def put(st, k, columns, values, R, p, base):
    """Set frame k of a component."""
    for v in range(len(columns)):
        st.Q[k, columns[v]] = values[v]
    if base > 0:
        st.Rb[k], st.pb[k] = R, p


@njit(cache=True, error_model="numpy")
def richest_frame(L, D, c):
    """The first frame in which most of a component's rows have a target."""
    k, most = 0, -1
    for t in range(len(D.weight)):
        seen = 0
        for m in range(L.row_at[c], L.row_at[c + 1]):
            seen += 1 if D.weight[t, m] > 0.0 else 0
        for m in range(L.turn_at[c], L.turn_at[c + 1]):
            seen += 1 if D.turn_weight[t, m] > 0.0 else 0
        if seen > most:
            k, most = t, seen
    return k
