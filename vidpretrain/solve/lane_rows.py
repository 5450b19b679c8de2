"""Targets and posture of eight frames side by side, for components whose rows are points seen from their root.

What `rows.rows_pass` does frame by frame for every kind of row, here for the commonest one, a finger's: the row's
site moves, what it is measured from does not. Storage of the matrix is the lower triangle row by row, `pair_at`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.solve.lanes import LANES, kernel, least, load, root, sine_cosine, splat, store, where_less
from vidpretrain.solve.rows import HUBER, PLAIN, VECTOR

MOST_UNKNOWNS = 10


class Chain(NamedTuple):
    """One component: joints (f), rows (m), their levers (e) and unknowns (v), counted from its first."""

    up: np.ndarray
    hinge: np.ndarray
    R_up: np.ndarray
    p_up: np.ndarray
    var: np.ndarray  # (f), which unknown turns the joint
    ratio: np.ndarray
    offset: np.ndarray
    slot: np.ndarray  # (m), the joint that carries the row's site
    p_site: np.ndarray  # (m 3)
    loss: np.ndarray
    scale: np.ndarray
    lever_at: np.ndarray
    lever_slot: np.ndarray
    lever_var: np.ndarray
    lever_ratio: np.ndarray
    slides: np.ndarray
    column: np.ndarray  # (v), column of Q
    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    aim: np.ndarray
    posture_weight: np.ndarray
    newton: bool


class LaneScratch(NamedTuple):
    """Buffers of one evaluation."""

    g: np.ndarray  # (f + 1 12 8), rotation row by row and origin; the first is the root
    C: np.ndarray  # (e 3 8)
    N: np.ndarray  # (e 3 8)
    B: np.ndarray
    U: np.ndarray


@kernel
def suits(L, D, c):
    """Whether a component is of the kind that lanes can do."""
    n = L.var_at[c + 1] - L.var_at[c]
    if n == 0 or n > MOST_UNKNOWNS or L.base[c] > 0 or L.turn_at[c + 1] > L.turn_at[c]:
        return False
    if L.has_ball[c] or L.ball_at[c] < n:
        return False
    for m in range(L.row_at[c], L.row_at[c + 1]):
        frm, axes = L.from_site[m], L.axes_site[m]
        if D.mode[m] != VECTOR or not (D.loss[m] == PLAIN or D.loss[m] == HUBER):
            return False
        if (frm >= 0 and L.site_slot[frm] != 0) or (axes >= 0 and L.site_slot[axes] != 0):
            return False
        for e in range(L.lever_at[m], L.lever_at[m + 1]):
            if not (L.lever_kind[e] == 0 or L.lever_kind[e] == 3):
                return False
    for f in range(L.frame_at[c], L.frame_at[c + 1]):
        own = False
        for i in range(L.var_at[c], L.var_at[c + 1]):
            own = own or L.var_column[i] == L.column[f]
        if not own:
            return False
    return True


@njit(cache=True, error_model="numpy")
def chain(L, D, c):
    """The arrays of component c."""
    f0, f1, m0, m1 = L.frame_at[c], L.frame_at[c + 1], L.row_at[c], L.row_at[c + 1]
    v0, v1 = L.var_at[c], L.var_at[c + 1]
    e0, e1 = L.lever_at[m0], L.lever_at[m1]
    var, slot, p_site = np.empty(f1 - f0, np.int64), np.empty(m1 - m0, np.int64), np.empty((m1 - m0, 3))
    lever_var = np.empty(e1 - e0, np.int64)
    for f in range(f0, f1):
        for i in range(v0, v1):
            if L.var_column[i] == L.column[f]:
                var[f - f0] = i - v0
    for m in range(m0, m1):
        slot[m - m0] = L.site_slot[L.to_site[m]]
        p_site[m - m0] = L.p_site[L.to_site[m]]
        for e in range(L.lever_at[m], L.lever_at[m + 1]):
            lever_var[e - e0] = L.rowvar[L.rowvar_at[m] + L.lever_var[e]]
    return Chain(
        L.up[f0:f1], L.hinge[f0:f1], L.R_up[f0:f1], L.p_up[f0:f1], var, L.ratio[f0:f1], L.offset[f0:f1], slot, p_site,
        D.loss[m0:m1], D.scale[m0:m1], L.lever_at[m0 : m1 + 1] - e0, L.lever_slot[e0:e1], lever_var,
        L.lever_ratio[e0:e1], L.lever_kind[e0:e1] == 3, L.var_column[v0:v1], D.lower[v0:v1], D.upper[v0:v1],
        D.velocity[v0:v1], D.acceleration[v0:v1], D.aim[v0:v1], D.posture_weight[v0:v1], L.newton[c],
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def lane_scratch(K):
    """Buffers for a chain."""
    n, levers = len(K.column), len(K.lever_slot)
    pairs = n * (n + 1) // 2
    g = np.zeros((len(K.up) + 1, 12, LANES))
    g[0, 0], g[0, 4], g[0, 8] = 1.0, 1.0, 1.0
    return LaneScratch(
        g, np.zeros((levers, 3, LANES)), np.zeros((levers, 3, LANES)), np.zeros((pairs, LANES)),
        np.zeros((pairs, LANES)),
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def seen_from_root(L, D, c, Rb, pb):
    """Where each row's site should be (t m 3), in the axes of the component's root."""
    frames, m0, m1 = len(D.weight), L.row_at[c], L.row_at[c + 1]
    out = np.empty((frames, m1 - m0, 3))
    d = np.empty(3)
    for m in range(m0, m1):
        frm, axes = L.from_site[m], L.axes_site[m]
        for t in range(frames):
            for i in range(3):
                d[i] = D.target[t, m, i] - (pb[t, i] if L.rooted[c] and frm < 0 else 0.0)
            for i in range(3):
                x = 0.0
                if axes >= 0:
                    for j in range(3):
                        x += L.R_site[axes, i, j] * d[j]
                elif L.rooted[c]:
                    for j in range(3):
                        x += Rb[t, j, i] * d[j]
                else:
                    x = d[i]
                out[t, m - m0, i] = x + (L.p_site[frm, i] if frm >= 0 else 0.0)
    return out


@kernel
def pair_at(a, b):
    """Place of entry (a, b) of a symmetric matrix in its lower triangle."""
    return a * (a + 1) // 2 + b if a >= b else b * (b + 1) // 2 + a


@kernel
def lane_place(K, X, x, s):
    """Write the joints' rotations and origins (in the root's axes) of eight frames to s.g."""
    g = s.g
    for k in range(len(K.up)):
        i, o = K.up[k], k + 1
        angle = load(X, (x, K.var[k])) * K.ratio[k] + K.offset[k]
        sine, cosine = splat(0.0), splat(1.0)
        if K.hinge[k]:
            sine, cosine = sine_cosine(angle)
        for r in range(3):
            a0, a1, a2 = load(g, (i, 3 * r)), load(g, (i, 3 * r + 1)), load(g, (i, 3 * r + 2))
            at = load(g, (i, 9 + r)) + a0 * K.p_up[k, 0] + a1 * K.p_up[k, 1] + a2 * K.p_up[k, 2]
            a = a0 * K.R_up[k, 0, 0] + a1 * K.R_up[k, 1, 0] + a2 * K.R_up[k, 2, 0]
            b = a0 * K.R_up[k, 0, 1] + a1 * K.R_up[k, 1, 1] + a2 * K.R_up[k, 2, 1]
            e = a0 * K.R_up[k, 0, 2] + a1 * K.R_up[k, 1, 2] + a2 * K.R_up[k, 2, 2]
            store(g, (o, 3 * r), cosine * a + sine * b)
            store(g, (o, 3 * r + 1), cosine * b - sine * a)
            store(g, (o, 3 * r + 2), e)
            if K.hinge[k]:
                store(g, (o, 9 + r), at)
            else:
                store(g, (o, 9 + r), at + e * angle)


@kernel
def lane_rows(K, X, x, target, weight, posture, t, wanted, newton, G, H, cost, left, s):
    """Cost of eight frames at `X[x]` (v 8) against the targets at index t; fills `cost[t]` and `left[t]`.

    With `wanted` also gradient `G[t]` and matrix `H[t]`, second derivatives included where it stays positive definite.
    """
    n, g, C, N = len(K.column), s.g, s.C, s.N
    pairs = n * (n + 1) // 2
    lane_place(K, X, x, s)
    if wanted:
        for v in range(n):
            store(G, (t, v), 0.0)
        for i in range(pairs):
            store(H, (t, i), 0.0)
            store(s.B, (i,), 0.0)
    worth = splat(0.0)
    for m in range(len(K.slot)):
        o = K.slot[m]
        a, b, e = K.p_site[m, 0], K.p_site[m, 1], K.p_site[m, 2]
        px = load(g, (o, 9)) + load(g, (o, 0)) * a + load(g, (o, 1)) * b + load(g, (o, 2)) * e
        py = load(g, (o, 10)) + load(g, (o, 3)) * a + load(g, (o, 4)) * b + load(g, (o, 5)) * e
        pz = load(g, (o, 11)) + load(g, (o, 6)) * a + load(g, (o, 7)) * b + load(g, (o, 8)) * e
        rx, ry, rz = px - load(target, (t, m, 0)), py - load(target, (t, m, 1)), pz - load(target, (t, m, 2))
        square, w = rx * rx + ry * ry + rz * rz, load(weight, (t, m))
        long = root(square)
        store(left, (t, m), long)
        if K.loss[m] == HUBER:
            far = K.scale[m]
            worth = worth + w * where_less(far, long, far * (long - 0.5 * far), 0.5 * square)
            w = w * where_less(far, long, far / long, 1.0)
        else:
            worth = worth + w * square * 0.5
        if not wanted:
            continue
        e0 = K.lever_at[m]
        for j in range(e0, K.lever_at[m + 1]):
            o, f = K.lever_slot[j], K.lever_ratio[j]
            ax, ay, az = load(g, (o, 2)) * f, load(g, (o, 5)) * f, load(g, (o, 8)) * f
            if K.slides[j]:
                cx, cy, cz = ax, ay, az
                ax, ay, az = splat(0.0), splat(0.0), splat(0.0)  # a slide does not turn what it carries
            else:
                dx, dy, dz = px - load(g, (o, 9)), py - load(g, (o, 10)), pz - load(g, (o, 11))
                cx, cy, cz = ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx
            u = K.lever_var[j]
            store(G, (t, u), load(G, (t, u)) + w * (cx * rx + cy * ry + cz * rz))
            store(C, (j, 0), cx)
            store(C, (j, 1), cy)
            store(C, (j, 2), cz)
            store(N, (j, 0), ry * az - rz * ay)
            store(N, (j, 1), rz * ax - rx * az)
            store(N, (j, 2), rx * ay - ry * ax)
            wx, wy, wz = w * cx, w * cy, w * cz
            for h in range(e0, j + 1):
                v = K.lever_var[h]
                i, twice = pair_at(u, v), 2.0 if u == v and h != j else 1.0
                dot = wx * load(C, (h, 0)) + wy * load(C, (h, 1)) + wz * load(C, (h, 2))
                store(H, (t, i), load(H, (t, i)) + dot * twice)
                if newton:
                    dot = wx * load(N, (h, 0)) + wy * load(N, (h, 1)) + wz * load(N, (h, 2))
                    store(s.B, (i,), load(s.B, (i,)) + dot * twice)
    for v in range(n):
        w = K.posture_weight[v]
        if w > 0.0:
            off = load(X, (x, v)) - load(posture, (t, v))
            worth = worth + off * off * (0.5 * w)
            if wanted:
                i = pair_at(v, v)
                store(G, (t, v), load(G, (t, v)) + off * w)
                store(H, (t, i), load(H, (t, i)) + splat(w))
    store(cost, (t,), worth)
    if wanted and newton:
        bend_where_positive(n, t, H, s.B, s.U)


@kernel
def bend_where_positive(n, t, H, B, U):
    """Add B to `H[t]` in the lanes where the sum stays positive definite with the least damping; U is scratch."""
    pivot = splat(np.inf)
    for c in range(n):
        cc = pair_at(c, c)
        d = load(H, (t, cc)) * 0.999 + load(B, (cc,))
        for i in range(c):
            x = load(U, (pair_at(c, i),))
            d = d - x * x * load(U, (pair_at(i, i),))
        pivot = least(pivot, d)
        inverse = 1.0 / d
        store(U, (cc,), d)
        for r in range(c + 1, n):
            rc = pair_at(r, c)
            y = load(H, (t, rc)) + load(B, (rc,))
            for i in range(c):
                y = y - load(U, (pair_at(r, i),)) * load(U, (pair_at(c, i),)) * load(U, (pair_at(i, i),))
            store(U, (rc,), y * inverse)
    for i in range(n * (n + 1) // 2):
        a = load(H, (t, i))
        store(H, (t, i), where_less(0.0, pivot, a + load(B, (i,)), a))
