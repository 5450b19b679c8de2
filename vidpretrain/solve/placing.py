"""Where the frames and sites of a component stand in one frame of the clip (numba, cached on disk)."""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.kinematics.kernels import turn_by


@njit(cache=True, error_model="numpy")
def place_run(first, begin, end, up, hinge, R_up, p_up, column, ratio, offset, Q, t, R, p):
    """Write rotation R[1 + k] and origin p[1 + k] of frames k in [begin, end) of a component, whose first is `first`; a
    joint's axis is R[1 + k, :, 2]."""
    for k in range(begin, end):
        f, o = first + k, k + 1
        i = up[f]
        angle = ratio[f] * Q[t, column[f]] + offset[f]
        if hinge[f]:
            c, s = np.cos(angle), np.sin(angle)
        else:
            c, s = 1.0, 0.0
        for r in range(3):
            x, y, z = R[i, r, 0], R[i, r, 1], R[i, r, 2]
            at = p[i, r] + x * p_up[f, 0] + y * p_up[f, 1] + z * p_up[f, 2]
            a = x * R_up[f, 0, 0] + y * R_up[f, 1, 0] + z * R_up[f, 2, 0]
            b = x * R_up[f, 0, 1] + y * R_up[f, 1, 1] + z * R_up[f, 2, 1]
            e = x * R_up[f, 0, 2] + y * R_up[f, 1, 2] + z * R_up[f, 2, 2]
            R[o, r, 0] = c * a + s * b
            R[o, r, 1] = c * b - s * a
            R[o, r, 2] = e
            p[o, r] = at if hinge[f] else at + e * angle


@njit(cache=True, error_model="numpy")
def place_frames(first, count, up, hinge, R_up, p_up, column, ratio, offset, Q, t, R, p):
    """`place_run` for all frames of a component, balls among them: apart, so that it is as fast as ever without any."""
    begin = 0
    for k in range(count):
        f = first + k
        if hinge[f] == 2:
            place_run(first, begin, k + 1, up, hinge, R_up, p_up, column, ratio, offset, Q, t, R, p)
            turn_by(Q[t, column[f]], Q[t, column[f] + 1], Q[t, column[f] + 2], k + 1, R)
            begin = k + 1
    place_run(first, begin, count, up, hinge, R_up, p_up, column, ratio, offset, Q, t, R, p)


@njit(cache=True, error_model="numpy")
def place_sites(first, last, slot, R_site, p_site, R, p, S, P):
    """Write world rotation S and origin P of a component's sites (indices as in the layout)."""
    for u in range(first, last):
        i = slot[u]
        for r in range(3):
            x, y, z = R[i, r, 0], R[i, r, 1], R[i, r, 2]
            P[u, r] = p[i, r] + x * p_site[u, 0] + y * p_site[u, 1] + z * p_site[u, 2]
            for c in range(3):
                S[u, r, c] = x * R_site[u, 0, c] + y * R_site[u, 1, c] + z * R_site[u, 2, c]
