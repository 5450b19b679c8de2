"""Damped Gauss-Newton on all frames of one component, eight stretches of the clip side by side (numba, cached).

Frame t of the clip is frame t % stretch of lane t // stretch; each stretch is padded with two of its neighbours' frames
on both sides. What it does is what `descend.descend` does, for the components that `lane_rows.suits`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.solve.descend import MOST_DAMPING, STOPPED_RAD, STOPPED_SHARE, adapt
from vidpretrain.solve.lane_band import lane_band, lane_solve
from vidpretrain.solve.lane_rows import chain, lane_rows, lane_scratch, pair_at, seen_from_root
from vidpretrain.solve.lanes import LANES, kernel, least, load, most, size, splat, store, total, where_less

LEAST_FRAMES = 64  # a stretch has eight frames or more


class Strip(NamedTuple):
    """The clip of one component; two more frames on both sides of each stretch where it says k + 4."""

    target: np.ndarray  # (k m 3 8)
    weight: np.ndarray  # (k m 8)
    posture: np.ndarray  # (k v 8)
    pair: np.ndarray  # (k + 4 8), 1 where a frame and the next are in the clip
    triple: np.ndarray  # (k + 4 8), 1 where a frame and the next two are
    real: np.ndarray  # (k 8)
    push: np.ndarray  # (k + 4 v 8), multipliers of the speed limit
    damping: np.ndarray  # (k 8)
    free: np.ndarray  # (k + 4 v 8), 0 where an unknown is held by its limit
    left: np.ndarray  # (k m 8)


@kernel
def to_lanes(source, out, margin):
    """Write frames (t ...) flattened to (t w) to stretches (k w 8) from row `margin` on; the last frame is repeated."""
    frames, count = len(source), out.shape[0] - 2 * margin
    for lane in range(LANES):
        for k in range(-margin, count + margin):
            t = min(max(lane * count + k, 0), frames - 1)
            for i in range(source.shape[1]):
                out[k + margin, i, lane] = source[t, i]


@kernel
def margins(X):
    """Copy into each stretch's margins what its neighbours hold there."""
    count = len(X) - 4
    for j in range(2):
        for v in range(X.shape[1]):
            for lane in range(LANES - 1):
                X[count + 2 + j, v, lane] = X[2 + j, v, lane + 1]
                X[j, v, lane + 1] = X[count + j, v, lane]


@njit(cache=True, error_model="numpy")
def strip(L, D, c, st):
    """A component's targets, multipliers and damping in lanes."""
    frames, n, m0, m1 = len(st.Q), L.var_at[c + 1] - L.var_at[c], L.row_at[c], L.row_at[c + 1]
    v0, count, m = L.var_at[c], (len(st.Q) + LANES - 1) // LANES, m1 - m0
    target, weight = np.empty((count, m, 3, LANES)), np.zeros((count, m, LANES))
    posture, push = np.empty((count, n, LANES)), np.zeros((count + 4, n, LANES))
    pair, triple = np.zeros((count + 4, LANES)), np.zeros((count + 4, LANES))
    real, damping = np.zeros((count, LANES)), np.ones((count, LANES))
    to_lanes(seen_from_root(L, D, c, st.Rb, st.pb).reshape(frames, -1), target.reshape(count, -1, LANES), 0)
    stiff = st.stiffness[v0 : v0 + n].max() > 0.0
    for lane in range(LANES):
        for k in range(-2, count + 2):
            t = lane * count + k
            if t >= 0:
                pair[k + 2, lane] = 1.0 if t + 1 < frames else 0.0
                triple[k + 2, lane] = 1.0 if t + 2 < frames else 0.0
            if stiff and 0 <= t < frames:
                for v in range(n):
                    push[k + 2, v, lane] = st.multiplier[t, v0 + v]
            if 0 <= k < count:
                held = min(t, frames - 1)
                for v in range(n):
                    posture[k, v, lane] = D.posture[held, v0 + v]
                if t < frames:
                    real[k, lane], damping[k, lane] = 1.0, st.damping[t]
                    for i in range(m):
                        weight[k, i, lane] = D.weight[t, m0 + i]
    free, left = np.ones((count + 4, n, LANES)), np.empty((count, m, LANES))
    return Strip(target, weight, posture, pair, triple, real, push, damping, free, left)


@kernel
def lane_smooth(K, stiffness, P, X, wanted, G, H, near, far, cost):
    """Add velocity, acceleration and the speed limit to what `lane_rows` wrote; writes the coupling of frames."""
    for v in range(len(K.column)):
        at, w1, w2, stiff = pair_at(v, v), K.velocity[v], K.acceleration[v], stiffness[v]
        for k in range(len(cost)):
            x, x1, x2 = load(X, (k + 2, v)), load(X, (k + 1, v)), load(X, (k, v))
            y1, y2 = load(X, (k + 3, v)), load(X, (k + 4, v))
            t0, t1, t2 = load(P.triple, (k + 2,)) * w2, load(P.triple, (k + 1,)) * w2, load(P.triple, (k,)) * w2
            bend0, bend1, bend2 = x - 2.0 * y1 + y2, x1 - 2.0 * x + y1, x2 - 2.0 * x1 + x
            p0, p1 = load(P.pair, (k + 2,)) * w1, load(P.pair, (k + 1,)) * w1
            d0, d1 = y1 - x, x - x1
            worth = (t1 * bend1 * bend1 + p0 * d0 * d0) * 0.5
            force = t0 * bend0 - 2.0 * t1 * bend1 + t2 * bend2 + p1 * d1 - p0 * d0
            if stiff > 0.0:
                m0, m1 = load(P.push, (k + 2, v)), load(P.push, (k + 1, v))
                s0, s1 = load(P.pair, (k + 2,)) * stiff, load(P.pair, (k + 1,)) * stiff
                f0 = most(m0 + s0 * (size(d0) - K.aim[v]), 0.0)
                f1 = most(m1 + s1 * (size(d1) - K.aim[v]), 0.0)
                worth = worth + (f0 * f0 - m0 * m0) * (0.5 / stiff)
                force = force + where_less(0.0, d1, f1, 0.0 - f1) - where_less(0.0, d0, f0, 0.0 - f0)
                p0, p1 = p0 + where_less(0.0, f0, s0, 0.0), p1 + where_less(0.0, f1, s1, 0.0)
            store(cost, (k,), load(cost, (k,)) + worth)
            if wanted:
                store(G, (k, v), load(G, (k, v)) + force)
                store(H, (k, at), load(H, (k, at)) + t0 + 4.0 * t1 + t2 + p0 + p1)
                store(near, (k, v), 0.0 - 2.0 * t1 - 2.0 * t2 - p1)
                store(far, (k, v), t2)


@kernel
def lane_pass(K, stiffness, P, X, wanted, newton, G, H, near, far, cost, s):
    """Cost (k 8) and, with `wanted`, gradient and matrix of all frames at X; the whole cost."""
    for k in range(len(cost)):
        lane_rows(K, X, k + 2, P.target, P.weight, P.posture, k, wanted, newton, G, H, cost, P.left, s)
    lane_smooth(K, stiffness, P, X, wanted, G, H, near, far, cost)
    whole = splat(0.0)
    for k in range(len(cost)):
        worth = load(cost, (k,)) * load(P.real, (k,))
        store(cost, (k,), worth)
        whole = whole + worth
    return total(whole)


@kernel
def lane_prepare(K, P, X, G, H, near, far, E):
    """Write the damped system to E, unknowns at their limits taken out."""
    n, frames = len(K.column), len(G)
    whole, real = splat(0.0), splat(0.0)
    for k in range(frames):
        real = real + load(P.real, (k,))
        for v in range(n):
            whole = whole + load(H, (k, pair_at(v, v))) * load(P.real, (k,))
    mean = total(whole) / (total(real) * n)
    for v in range(n):
        lower, upper = K.lower[v], K.upper[v]
        for k in range(frames):
            x, g = load(X, (k + 2, v)), load(G, (k, v))
            at_lower = where_less(lower, x, 1.0, where_less(g, 0.0, 1.0, 0.0))
            at_upper = where_less(x, upper, 1.0, where_less(0.0, g, 1.0, 0.0))
            store(P.free, (k + 2, v), at_lower * at_upper * load(P.real, (k,)))
    margins(P.free)
    for k in range(frames):
        damping = load(P.damping, (k,))
        for v in range(n):
            free = load(P.free, (k + 2, v))
            store(E.b, (k * n + v,), 0.0 - load(G, (k, v)) * free)
            store(E.near, (k, v), load(near, (k, v)) * free * load(P.free, (k + 1, v)))
            store(E.far, (k, v), load(far, (k, v)) * free * load(P.free, (k, v)))
            for u in range(v):
                store(E.H, (k, pair_at(v, u)), load(H, (k, pair_at(v, u))) * free * load(P.free, (k + 2, u)))
            d = load(H, (k, pair_at(v, v)))
            d = d + damping * (d + mean) + 1e-12 * (1.0 + mean)
            store(E.H, (k, pair_at(v, v)), where_less(0.5, free, d, 1.0))


@kernel
def lane_move(K, X, b, X_new):
    """Write the trial state to X_new; the fall of the cost that is predicted is left to the caller."""
    n = len(K.column)
    for k in range(len(X) - 4):
        for v in range(n):
            x = load(X, (k + 2, v)) + load(b, (k * n + v,))
            store(X_new, (k + 2, v), least(most(x, K.lower[v]), K.upper[v]))
    margins(X_new)


@kernel
def lane_predicted(P, G, b):
    """How much the cost falls by the quadratic model, at least."""
    n, sums = G.shape[1], splat(0.0)
    for k in range(len(G)):
        for v in range(n):
            sums = sums - load(G, (k, v)) * load(b, (k * n + v,)) * load(P.real, (k,)) * 0.5
    return total(sums)


@kernel
def from_lanes(source, out):
    """Copy (k 8) to frames (t)."""
    count = len(source)
    for t in range(len(out)):
        out[t] = source[t % count, t // count]


@njit(cache=True, error_model="numpy")
def lane_descend(L, D, c, st, iterations, tolerance, newton):
    """As `descend.descend` on all frames of a component that `suits`: (iterations, cost)."""
    K, P = chain(L, D, c), strip(L, D, c, st)
    s, frames, v0 = lane_scratch(K), len(st.Q), L.var_at[c]
    n, count = len(K.column), len(P.real)
    stiffness = st.stiffness[v0 : v0 + n]
    newton, yes = newton and K.newton, n > 0
    E = lane_band(count, n)
    X = np.empty((count + 4, n, LANES))
    to_lanes(np.ascontiguousarray(st.Q[:, K.column]), X, 2)
    X_new = X.copy()  # the margins at both ends of the clip stay
    G, G_new, H, H_new = E.z.copy().reshape(count, n, LANES), np.empty((count, n, LANES)), E.H.copy(), E.H.copy()
    near, far, near_new, far_new = E.near.copy(), E.far.copy(), E.near.copy(), E.far.copy()
    cost, cost_new = np.empty((count, LANES)), np.empty((count, LANES))
    flat, flat_new, damping = np.empty(frames), np.empty(frames), st.damping[:frames].copy()
    before, quiet, done = lane_pass(K, stiffness, P, X, yes, newton, G, H, near, far, cost, s), 0, 0
    from_lanes(cost, flat)
    for _ in range(iterations):
        done += 1
        lane_prepare(K, P, X, G, H, near, far, E)
        good = lane_solve(E)
        if good:
            expected, largest = lane_predicted(P, G, E.b), damping.max()
            if expected <= 0.1 * tolerance * before and largest < 1e-3:
                st.settled[c] = True
                break
            lane_move(K, X, E.b, X_new)
            after = lane_pass(K, stiffness, P, X_new, yes, newton, G_new, H_new, near_new, far_new, cost_new, s)
            good = after <= before
            from_lanes(cost_new, flat_new)
            adapt(flat, flat_new, (before - after) / max(1e-300, expected), damping, 0, frames)
        else:
            for t in range(frames):
                damping[t] = min(damping[t] * 10.0, MOST_DAMPING)
        for t in range(frames):
            P.damping[t % count, t // count] = damping[t]
        if not good:
            if damping.min() > 1e4:
                break
            quiet = 0
            continue
        for t in range(frames):
            k, lane, moved = t % count, t // count, 0.0
            for v in range(n):
                moved = max(moved, abs(X_new[k + 2, v, lane] - X[k + 2, v, lane]))
            level = abs(flat_new[t] - flat[t]) <= STOPPED_SHARE * (flat[t] + before / frames)
            st.settled[c, t] = (moved <= STOPPED_RAD or level) and damping[t] < 1e-1
        X, X_new, G, G_new, H, H_new = X_new, X, G_new, G, H_new, H
        near, near_new, far, far_new, flat, flat_new = near_new, near, far_new, far, flat_new, flat
        small = before - after < tolerance * max(before, 1e-300)
        before = after
        quiet = quiet + 1 if small else 0
        if quiet == 2 or (small and largest < 1e-3):
            break
    for t in range(frames):
        st.damping[t] = damping[t]
        for v in range(n):
            st.Q[t, K.column[v]] = X[t % count + 2, v, t // count]
    return done, before


@njit(cache=True, error_model="numpy")
def lane_cost(L, D, c, st):
    """The cost of a component that `suits` without the multipliers of the limits; fills its part of `left`."""
    K, P = chain(L, D, c), strip(L, D, c, st)
    s, n, count = lane_scratch(K), len(K.column), len(P.real)
    no, none = n < 0, np.zeros((1, n, LANES))
    X, cost = np.empty((count + 4, n, LANES)), np.empty((count, LANES))
    to_lanes(np.ascontiguousarray(st.Q[:, K.column]), X, 2)
    whole = lane_pass(K, np.zeros(n), P, X, no, no, none, none, none, none, cost, s)
    for m in range(len(K.slot)):
        row = L.row[L.row_at[c] + m]
        for t in range(len(st.Q)):
            st.left[t, row] = P.left[t % count, m, t // count]
    return whole


@njit(cache=True, error_model="numpy")
def lane_curvature(L, D, c, st, out):
    """Write the mean diagonal of a component's matrix to out (v), without the speed limits."""
    K, P = chain(L, D, c), strip(L, D, c, st)
    n, count = len(K.column), len(P.real)
    E, no, yes = lane_band(count, n), n < 0, n > 0
    X, G, cost = np.empty((count + 4, n, LANES)), np.empty((count, n, LANES)), np.empty((count, LANES))
    to_lanes(np.ascontiguousarray(st.Q[:, K.column]), X, 2)
    lane_pass(K, np.zeros(n), P, X, yes, no, G, E.H, E.near, E.far, cost, lane_scratch(K))
    for v in range(n):
        mean = 1e-9
        for t in range(len(st.Q)):
            mean += E.H[t % count, pair_at(v, v), t // count] / len(st.Q)
        out[L.var_at[c] + v] = mean
