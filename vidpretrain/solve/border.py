"""How a component's rows feel the clip's shared parameters (numba, cached on disk).

The normal matrix of a clip with parameters has an arrow's shape: the frames' band A, a border B and a corner C. This
writes B and C. Rotations do not depend on lengths and offsets, so orientation rows have no part in it. Source: Triggs
et al., Bundle Adjustment - A Modern Synthesis (2000), section 6.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.solve.band import blocked
from vidpretrain.solve.placing import place_frames, place_sites
from vidpretrain.solve.rows import (
    DISTANCE,
    FLOOR,
    REPROJECT,
    along,
    reproject,
    residual,
    robust,
    row_jacobian,
    through,
)


class Slopes(NamedTuple):
    """The geometry of a layout by the parameters (p)."""

    up: np.ndarray  # (p f 3), of p_up
    site: np.ndarray  # (p u 3), of p_site
    focal: np.ndarray  # (k), the parameter that is a camera's focal length, -1: none
    moves: np.ndarray  # (p), whether it moves anything


@njit(cache=True, error_model="numpy")
def place(L, c, t, Q, Rb, pb, s):
    """Place the root, the frames and the sites of a component in frame t."""
    for i in range(3):
        s.p[0, i] = pb[t, i] if L.rooted[c] else 0.0
        for j in range(3):
            s.R[0, i, j] = Rb[t, i, j] if L.rooted[c] else (1.0 if i == j else 0.0)
    first, count = L.frame_at[c], L.frame_at[c + 1] - L.frame_at[c]
    place_frames(first, count, L.up, L.hinge, L.R_up, L.p_up, L.column, L.ratio, L.offset, Q, t, s.R, s.p)
    place_sites(L.site_at[c], L.site_at[c + 1], L.site_slot, L.R_site, L.p_site, s.R, s.p, s.S, s.P)


@njit(cache=True, error_model="numpy")
def add_turned(R, slope, out):
    """Add R slope to out."""
    x, y, z = slope[0], slope[1], slope[2]
    if x != 0.0 or y != 0.0 or z != 0.0:
        for r in range(3):
            out[r] += R[r, 0] * x + R[r, 1] * y + R[r, 2] * z


@njit(cache=True, error_model="numpy")
def drift(L, c, slopes, R, X, Y):
    """Write how the frames' origins X (slot p 3) and the sites Y (u p 3) move by the parameters, frames placed."""
    first = L.frame_at[c]
    X[0] = 0.0
    for o in range(1, L.frame_at[c + 1] - first + 1):
        f = first + o - 1
        i = L.up[f]
        for q in range(len(slopes.moves)):
            for r in range(3):
                X[o, q, r] = X[i, q, r]
            if slopes.moves[q]:
                add_turned(R[i], slopes.up[q, f], X[o, q])
    for u in range(L.site_at[c], L.site_at[c + 1]):
        i = L.site_slot[u]
        for q in range(len(slopes.moves)):
            for r in range(3):
                Y[u, q, r] = X[i, q, r]
            if slopes.moves[q]:
                add_turned(R[i], slopes.site[q, u], Y[u, q])


@njit(cache=True, error_model="numpy")
def row_slopes(L, D, slopes, t, m, Y, s, V):
    """Write the derivatives of row m by its unknowns (s.J) and by the parameters (V), and the residual (s.r).

    Returns the Gauss-Newton weight, 0 where the row does not count.
    """
    to, frm, mode, weight, count = L.to_site[m], L.from_site[m], D.mode[m], D.weight[t, m], len(V)
    first, last = L.rowvar_at[m], L.rowvar_at[m + 1]
    if weight <= 0.0:
        return 0.0
    if mode == REPROJECT:
        length = reproject(D.camera, t, s.P, to, D.target, m, s.r, s.work)
    else:
        length = residual(mode, to, frm, L.axes_site[m], D.target, t, m, s.S, s.P, s.r, s.d)
    share = robust(length, D.loss[m], D.scale[m])[1]
    if share == 0.0 or (mode == FLOOR and length == 0.0):
        return 0.0
    for q in range(count):
        for r in range(3):
            V[q, r] = Y[to, q, r] - (Y[frm, q, r] if frm >= 0 else 0.0)
    row_jacobian(L, m, s)
    if mode == REPROJECT:
        through(last - first, s.work, s.J)
        through(count, s.work, V)
        k = int(D.target[t, m, 2])
        q = slopes.focal[k]
        if q >= 0:
            f = D.camera[k, t, 12]
            V[q, 0] += (s.r[0] + D.target[t, m, 0] - D.camera[k, t, 14]) / f
            V[q, 1] += (s.r[1] + D.target[t, m, 1] - D.camera[k, t, 15]) / f
            V[q, 2] += s.r[2] / f
    elif mode in (DISTANCE, FLOOR):
        along(first, last, s.d, mode == FLOOR, s.J)
        along(0, count, s.d, mode == FLOOR, V)
    return share * weight


@njit(cache=True, error_model="numpy")
def border_pass(L, D, c, slopes, Q, Rb, pb, B, C, g, s):
    """Write the border B (t n, p) of component c; add its part of the corner C (p p) and of the gradient g (p)."""
    n, count = L.var_at[c + 1] - L.var_at[c], len(g)
    X = np.zeros((L.frame_at[c + 1] - L.frame_at[c] + 1, count, 3))
    Y, V = np.zeros((len(s.P), count, 3)), np.zeros((count, 3))
    some = np.empty(count, dtype=np.int64)
    B[:] = 0.0
    for t in range(len(Q)):
        place(L, c, t, Q, Rb, pb, s)
        drift(L, c, slopes, s.R, X, Y)
        for m in range(L.row_at[c], L.row_at[c + 1]):
            weight = row_slopes(L, D, slopes, t, m, Y, s, V)
            if weight == 0.0:
                continue
            found = 0
            for q in range(count):
                if V[q, 0] != 0.0 or V[q, 1] != 0.0 or V[q, 2] != 0.0:
                    some[found] = q
                    found += 1
            first, J, r = L.rowvar_at[m], s.J, s.r
            for a in range(found):
                q = some[a]
                x, y, z = weight * V[q, 0], weight * V[q, 1], weight * V[q, 2]
                g[q] += x * r[0] + y * r[1] + z * r[2]
                for b in range(a + 1):
                    h = some[b]
                    add = x * V[h, 0] + y * V[h, 1] + z * V[h, 2]
                    C[q, h] += add
                    if h != q:
                        C[h, q] += add
                for i in range(L.rowvar_at[m + 1] - first):
                    B[t * n + L.rowvar[first + i], q] += x * J[i, 0] + y * J[i, 1] + z * J[i, 2]


@njit(cache=True, error_model="numpy")
def mark_held(L, D, c, Q, G, out):
    """Write which unknowns of a component are pressed against a limit that they sit on (t n); balls are stiffened."""
    first = L.var_at[c]
    for t in range(len(Q)):
        for v in range(L.base[c], L.ball_at[c]):
            out[t, v] = blocked(Q[t, L.var_column[first + v]], D.lower[first + v], D.upper[first + v], G[t, v])


@njit(cache=True, error_model="numpy")
def site_jacobian(L, c, slopes, Q, Rb, pb, rows, J, V, s):
    """Write how the points of `rows` move by the unknowns of component c, J (t r 3 n), and by the parameters, V
    (t r 3 p)."""
    count = len(slopes.moves)
    X = np.zeros((L.frame_at[c + 1] - L.frame_at[c] + 1, count, 3))
    Y = np.zeros((len(s.P), count, 3))
    for t in range(len(Q)):
        place(L, c, t, Q, Rb, pb, s)
        drift(L, c, slopes, s.R, X, Y)
        for h in range(len(rows)):
            m = rows[h]
            row_jacobian(L, m, s)
            first = L.rowvar_at[m]
            for r in range(3):
                for i in range(L.rowvar_at[m + 1] - first):
                    J[t, h, r, L.rowvar[first + i]] = s.J[i, r]
                for q in range(count):
                    V[t, h, r, q] = Y[L.to_site[m], q, r]
