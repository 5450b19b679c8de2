"""Where the frames of a component begin, eight solves of single frames at a time (numba, cached on disk).

Postures compete on one frame; the best few are carried from it to both ends of the clip in strides, and the cheapest
path through all of them is kept: a path may change from one to another where that costs less than it saves (Viterbi
1967; the price of a change is that of the smoothest motion between).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.solve.descend import LEAST_DAMPING
from vidpretrain.solve.lane_rows import LaneScratch, chain, lane_rows, lane_scratch, pair_at, seen_from_root
from vidpretrain.solve.lanes import LANES, least, load, most, splat, store, total, where_less
from vidpretrain.solve.single import SAME_RAD

CARRIED = 4  # postures; each goes both ways, so that all lanes are used
_STARTS, _SWEEPS, _MOST_DAMPING = 60, 4, 1e6


class Frames(NamedTuple):
    """Eight frames that are solved alone: one row each of what `lane_rows` wants, as they are and on trial."""

    target: np.ndarray  # (1 m 3 8)
    weight: np.ndarray  # (1 m 8)
    posture: np.ndarray  # (1 v 8)
    X: np.ndarray  # (1 v 8)
    Y: np.ndarray
    begun: np.ndarray
    G: np.ndarray
    G_new: np.ndarray
    H: np.ndarray  # (1 pairs 8)
    H_new: np.ndarray
    U: np.ndarray
    cost: np.ndarray  # (1 8)
    left: np.ndarray
    reached: np.ndarray  # (1 8)
    held: np.ndarray
    damping: np.ndarray
    moving: np.ndarray
    s: LaneScratch


@njit(cache=True)
def frames_of(K):
    """Buffers for a chain."""
    n, m = len(K.column), len(K.slot)
    one, pairs = np.zeros((1, n, LANES)), np.zeros((1, n * (n + 1) // 2, LANES))
    row = np.zeros((1, LANES))
    return Frames(
        np.zeros((1, m, 3, LANES)), np.zeros((1, m, LANES)), one.copy(), one.copy(), one.copy(), one.copy(), one.copy(),
        one.copy(), pairs.copy(), pairs.copy(), pairs.copy(), np.zeros((1, LANES)), np.zeros((1, m, LANES)), row.copy(),
        row.copy(), row.copy(), row.copy(), lane_scratch(K),
    )  # fmt: skip


@njit(cache=True, error_model="numpy", _nrt=False)
def look_at(L, D, c, seen, B, lane, t):
    """Give a lane the targets of frame t."""
    m0, v0 = L.row_at[c], L.var_at[c]
    for m in range(seen.shape[1]):
        B.weight[0, m, lane] = D.weight[t, m0 + m]
        for i in range(3):
            B.target[0, m, i, lane] = seen[t, m, i]
    for v in range(B.X.shape[1]):
        B.posture[0, v, lane] = D.posture[t, v0 + v]


@njit(cache=True, error_model="numpy", _nrt=False)
def lane_settle(K, B, tie, iterations, enough):
    """Damped Gauss-Newton on eight frames by themselves from X, each held to where it begins by `tie` (v).

    A lane is done when a step lowers its cost by less than the share `enough`; `reached` less `held` is the cost.
    """
    n, zero = len(K.column), len(K.column) - len(K.column)
    yes = n > 0
    for v in range(n):
        x = load(B.X, (zero, v))
        store(B.Y, (zero, v), x)
        store(B.begun, (zero, v), x)
    B.reached[:], B.damping[:], B.moving[:] = np.inf, 1e-3, 1.0
    for iteration in range(iterations + 1):
        args = (B.target, B.weight, B.posture, zero, yes, K.newton, B.G_new, B.H_new, B.cost, B.left, B.s)
        lane_rows(K, B.Y, zero, *args)
        held = splat(0.0)
        for v in range(n):
            off, i = load(B.Y, (zero, v)) - load(B.begun, (zero, v)), pair_at(v, v)
            held = held + off * off * (0.5 * tie[v])
            store(B.G_new, (zero, v), load(B.G_new, (zero, v)) + off * tie[v])
            store(B.H_new, (zero, i), load(B.H_new, (zero, i)) + splat(tie[v]))
        new, old, damping = load(B.cost, (zero,)) + held, load(B.reached, (zero,)), load(B.damping, (zero,))
        store(B.reached, (zero,), where_less(new, old, new, old))
        store(B.held, (zero,), where_less(new, old, held, load(B.held, (zero,))))
        store(B.damping, (zero,), where_less(new, old, most(damping * 0.3, LEAST_DAMPING), damping * 10.0))
        stop = where_less(new, old, where_less(old - new, enough * new, 0.0, 1.0), 1.0)
        stop = where_less(_MOST_DAMPING, damping, 0.0, stop)
        store(B.moving, (zero,), least(load(B.moving, (zero,)), stop))
        for v in range(n):
            store(B.X, (zero, v), where_less(new, old, load(B.Y, (zero, v)), load(B.X, (zero, v))))
            store(B.G, (zero, v), where_less(new, old, load(B.G_new, (zero, v)), load(B.G, (zero, v))))
        for i in range(B.H.shape[1]):
            store(B.H, (zero, i), where_less(new, old, load(B.H_new, (zero, i)), load(B.H, (zero, i))))
        if iteration == iterations or total(load(B.moving, (zero,))) == 0.0:
            break
        lane_step(K, B)


@njit(cache=True, error_model="numpy", _nrt=False)
def lane_step(K, B):
    """Write to Y where the damped equations of each lane lead, unknowns at their limits held."""
    n, zero = len(K.column), len(K.column) - len(K.column)
    U, Y, damping = B.U, B.Y, load(B.damping, (zero,))
    mean = splat(1e-12)
    for v in range(n):
        mean = mean + load(B.H, (zero, pair_at(v, v))) * (1.0 / n)
    for v in range(n):
        x, g, lower, upper = load(B.X, (zero, v)), load(B.G, (zero, v)), K.lower[v], K.upper[v]
        free = where_less(lower, x, 1.0, where_less(g, 0.0, 1.0, 0.0))
        free = free * where_less(x, upper, 1.0, where_less(0.0, g, 1.0, 0.0))
        store(B.G_new, (zero, v), free)
        y = 0.0 - g * free
        d = load(B.H, (zero, pair_at(v, v)))
        d = where_less(0.5, free, d + damping * (d + mean), 1.0)
        for c in range(v):
            x = load(B.H, (zero, pair_at(v, c))) * free * load(B.G_new, (zero, c))
            for i in range(c):
                x = x - load(U, (zero, pair_at(v, i))) * load(U, (zero, pair_at(c, i))) * load(U, (zero, pair_at(i, i)))
            x = x / load(U, (zero, pair_at(c, c)))
            store(U, (zero, pair_at(v, c)), x)
            d = d - x * x * load(U, (zero, pair_at(c, c)))
            y = y - x * load(Y, (zero, c))
        store(U, (zero, pair_at(v, v)), d)
        store(Y, (zero, v), y)
    for v in range(n - 1, -1, -1):
        y = load(Y, (zero, v)) / load(U, (zero, pair_at(v, v)))
        for r in range(v + 1, n):
            y = y - load(U, (zero, pair_at(r, v))) * load(B.H_new, (zero, r))
        store(B.H_new, (zero, v), y)  # H_new has at least as many rows
    for v in range(n):
        x = load(B.X, (zero, v)) + load(B.H_new, (zero, v))
        store(Y, (zero, v), least(most(x, K.lower[v]), K.upper[v]))


@njit(cache=True, error_model="numpy", _nrt=False)
def middle_frame(L, D, c):
    """Of the frames in which most of a component's rows have a target, the one nearest the middle."""
    k, best, frames = 0, -1, len(D.weight)
    for t in range(frames):
        seen = 0
        for m in range(L.row_at[c], L.row_at[c + 1]):
            seen += 1 if D.weight[t, m] > 0.0 else 0
        if seen > best or (seen == best and abs(2 * t - frames) < abs(2 * k - frames)):
            k, best = t, seen
    return k


@njit(cache=True, error_model="numpy")
def compete(L, D, c, K, B, seen, k, starts):
    """Settle starts (i j) on frame k; the cheapest `CARRIED` that are not the same posture (p v), cheapest first."""
    count, n = len(starts), len(K.column)
    found, worth = np.empty((count, n)), np.empty(count)
    none = np.full(n, 1e-9)
    for first in range(0, count, LANES):
        for lane in range(LANES):
            look_at(L, D, c, seen, B, lane, k)
            for v in range(n):
                B.X[0, v, lane] = starts[min(first + lane, count - 1), K.column[v]]
        lane_settle(K, B, none, _STARTS, 1e-6)
        for i in range(first, min(first + LANES, count)):
            worth[i] = B.reached[0, i - first] - B.held[0, i - first]
            for v in range(n):
                found[i, v] = B.X[0, v, i - first]
    order, kept = np.argsort(worth, kind="mergesort"), np.empty((CARRIED, n))
    chosen = 0
    for i in order:
        new = chosen < CARRIED and worth[i] <= 10.0 * worth[order[0]] + 1e-9
        for other in range(chosen):
            new = new and np.abs(kept[other] - found[i]).max() > SAME_RAD
        if new:
            kept[chosen] = found[i]
            chosen += 1
    return kept[:chosen]


@njit(cache=True, error_model="numpy")
def cheapest(found, worth, price):
    """Cheapest path through postures (j p v) of costs (j p) from step 0 on: (its cost, path (j)) per first posture.

    A change costs `price` (v) times its square, beyond what the posture's own change would have cost.
    """
    steps, count, n = found.shape
    total, after = np.zeros((steps, count)), np.zeros((steps, count), np.int64)
    for j in range(steps - 1, -1, -1):
        for a in range(count):
            total[j, a], after[j, a] = worth[j, a], a
            if j + 1 == steps:
                continue
            best = np.inf
            for b in range(count):
                change = 0.0
                for v in range(n):
                    change += price[v] * (found[j + 1, b, v] - found[j, a, v]) ** 2
                if total[j + 1, b] + change < best:
                    best, after[j, a] = total[j + 1, b] + change, b
            total[j, a] += best
    return total[0], after


@njit(cache=True, error_model="numpy")
def lane_start(L, D, c, starts, st, stride, tie):
    """Begin a component that `suits` on every frame of the clip: writes its columns of Q."""
    K = chain(L, D, c)
    B, seen, k = frames_of(K), seen_from_root(L, D, c, st.Rb, st.pb), middle_frame(L, D, c)
    n, frames, v0 = len(K.column), len(st.Q), L.var_at[c]
    kept = compete(L, D, c, K, B, seen, k, starts)
    count = len(kept)
    steps = 1 + max((frames - 1 - k + stride - 1) // stride, (k + stride - 1) // stride)
    found, worth = np.empty((2, steps, count, n)), np.zeros((2, steps, count))
    for lane in range(LANES):
        for v in range(n):
            B.X[0, v, lane] = kept[(lane // 2) % count, v]
    own = tie[v0 : v0 + n]
    for j in range(steps):
        for lane in range(LANES):
            t = min(k + j * stride, frames - 1) if lane % 2 == 0 else max(k - j * stride, 0)
            look_at(L, D, c, seen, B, lane, t)
        lane_settle(K, B, own, _SWEEPS, 1e-3)
        for p in range(count):
            for side in range(2):
                lane = 2 * p + side
                worth[side, j, p] = stride * (B.reached[0, lane] - B.held[0, lane])
                for v in range(n):
                    found[side, j, p, v] = B.X[0, v, lane]
    price = 0.5 * K.velocity / stride + 6.0 * K.acceleration / stride**3
    ahead, after = cheapest(found[0], worth[0], price)
    back, before = cheapest(found[1], worth[1], price)
    best = np.argmin(ahead + back)
    for side in range(2):
        p, sign = best, 1 if side == 0 else -1
        for j in range(steps):
            t, last = k + sign * j * stride, frames - 1 if side == 0 else 0
            to = after[j, p] if side == 0 else before[j, p]
            here, there = min(max(t, 0), frames - 1), min(max(t + sign * stride, 0), frames - 1)
            if j + 1 == steps:
                there, to = here, p
            for v in range(n):
                a = found[side, j, p, v]
                b = found[side, min(j + 1, steps - 1), to, v]
                st.Q[here, K.column[v]] = a
                for u in range(1, abs(there - here)):
                    st.Q[here + sign * u, K.column[v]] = a + (b - a) * u / abs(there - here)
            p = to
            if here == last:
                break
