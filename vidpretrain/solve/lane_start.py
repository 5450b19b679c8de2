"""Where the frames of a component begin, eight solves of single frames at a time (numba, cached on disk).

Postures compete on the first frame and on the last; the best few are carried through the clip in strides, forwards and
backwards. Where two of them meet, or one is much dearer than the best, another posture takes its place, so that the
clip is searched all the way. What is kept is the cheapest path through all of them: it may change from one to another
where that costs less than it saves (Viterbi 1967; the price of a change is that of the smoothest motion between).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.solve.descend import LEAST_DAMPING
from vidpretrain.solve.lane_rows import LaneScratch, chain, lane_rows, lane_scratch, pair_at, seen_from_root
from vidpretrain.solve.lanes import LANES, kernel, least, load, most, splat, store, total, where_less
from vidpretrain.solve.single import SAME_RAD

CARRIED = LANES // 2  # postures each way, so that all lanes are used
_STARTS, _SWEEPS, _MOST_DAMPING = 60, 4, 1e6
_LONG = 64  # frames
_DEAR, _PATIENCE = 4.0, 2  # a posture of that many times the least cost is given up after so many strides
_STEPS = np.sqrt(np.array([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0, 23.0, 29.0]))  # of evenly spread postures


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


@kernel
def look_at(L, D, c, seen, B, lane, t):
    """Give a lane the targets of frame t."""
    m0, v0 = L.row_at[c], L.var_at[c]
    for m in range(seen.shape[1]):
        B.weight[0, m, lane] = D.weight[t, m0 + m]
        for i in range(3):
            B.target[0, m, i, lane] = seen[t, m, i]
    for v in range(B.X.shape[1]):
        B.posture[0, v, lane] = D.posture[t, v0 + v]


@kernel
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


@kernel
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


@njit(cache=True, error_model="numpy")
def more(K, starts):
    """The starts (i j) and evenly spread ones, so that all lanes are used three times."""
    out = np.empty((3 * LANES + len(starts) // LANES * LANES, starts.shape[1]))
    for i in range(len(out)):
        out[i] = starts[i] if i < len(starts) else starts[0]
        if i >= len(starts):
            for v in range(len(K.column)):
                out[i, K.column[v]] = spread(K, v, i)
    return out


@kernel
def spread(K, v, i):
    """Value i of unknown v of a sequence that fills its range evenly (Weyl 1916), within half a turn of zero."""
    lower, upper = max(K.lower[v], -np.pi), min(K.upper[v], np.pi)
    return min(max(lower + i * _STEPS[v] % 1.0 * (upper - lower), K.lower[v]), K.upper[v])


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
    """Cheapest path (j) through postures (j p v) of costs (j p); a change costs `price` (v) times its square."""
    steps, count, n = found.shape
    whole, after = worth.copy(), np.zeros((steps, count), np.int64)
    for j in range(steps - 2, -1, -1):
        for a in range(count):
            best = np.inf
            for b in range(count):
                change = whole[j + 1, b]
                for v in range(n):
                    change += price[v] * (found[j + 1, b, v] - found[j, a, v]) ** 2
                if change < best:
                    best, after[j, a] = change, b
            whole[j, a] += best
    path = np.empty(steps, np.int64)
    path[0] = np.argmin(whole[0])
    for j in range(steps - 1):
        path[j + 1] = after[j, path[j]]
    return path


@kernel
def replace(K, B, age, seed):
    """Put another posture where two on the same way have met, or where one has stayed dear; the next seed."""
    n = len(K.column)
    for lane in range(LANES):
        first = lane - lane % CARRIED
        cost, gone = B.reached[0, lane] - B.held[0, lane], False
        age[lane] += 1
        for other in range(first, first + CARRIED):
            theirs, apart = B.reached[0, other] - B.held[0, other], 0.0
            if other == lane:
                continue
            for v in range(n):
                apart = max(apart, abs(B.X[0, v, other] - B.X[0, v, lane]))
            gone = gone or (apart <= SAME_RAD and (theirs < cost or (theirs == cost and other < lane)))
            gone = gone or (age[lane] > _PATIENCE and cost > _DEAR * theirs)
        if not gone:
            continue
        age[lane] = 0
        seed += 1
        for v in range(n):
            B.X[0, v, lane] = spread(K, v, seed)
    return seed


@njit(cache=True, error_model="numpy")
def lane_start(L, D, c, starts, st, stride, tie):
    """Begin a component that `suits` on every frame of the clip: writes its columns of Q."""
    K = chain(L, D, c)
    B, seen = frames_of(K), seen_from_root(L, D, c, st.Rb, st.pb)
    n, frames, v0 = len(K.column), len(st.Q), L.var_at[c]
    steps = 1 + (frames - 1 + stride - 1) // stride
    found, worth, age, seed = np.empty((steps, LANES, n)), np.zeros((steps, LANES)), np.zeros(LANES, np.int64), 0
    if frames < _LONG:  # too short to search on the way
        starts = more(K, starts)
    forwards = compete(L, D, c, K, B, seen, 0, starts)
    backwards = compete(L, D, c, K, B, seen, frames - 1, starts)
    for lane in range(LANES):
        kept = forwards if lane < CARRIED else backwards
        for v in range(n):
            B.X[0, v, lane] = kept[(lane % CARRIED) % len(kept), v]
    own = tie[v0 : v0 + n]
    for j in range(steps):
        for lane in range(LANES):
            look_at(L, D, c, seen, B, lane, min((j if lane < CARRIED else steps - 1 - j) * stride, frames - 1))
        lane_settle(K, B, own, _SWEEPS, 1e-3)
        for lane in range(LANES):
            at = j if lane < CARRIED else steps - 1 - j
            worth[at, lane] = stride * (B.reached[0, lane] - B.held[0, lane])
            for v in range(n):
                found[at, lane, v] = B.X[0, v, lane]
        seed = replace(K, B, age, seed)
    path = cheapest(found, worth, K.velocity / stride + 12.0 * K.acceleration / stride**3)
    for j in range(steps):
        here, there = j * stride, min((j + 1) * stride, frames - 1)
        to = min(j + 1, steps - 1)
        for v in range(n):
            a, b = found[j, path[j], v], found[to, path[to], v]
            for t in range(min(here, frames - 1), there + 1):
                st.Q[t, K.column[v]] = a + (b - a) * (t - here) / max(1, there - here)
