"""Targets and posture of a component: cost, gradient and normal matrix of its frames in one pass (numba, cached).

Storage of the matrix is a lower band of rows: `A[i, w - d]` is A_{i, i - d}, unknowns frame-major.

For an orientation the residual is log(R_site R_target^T) and its derivative is taken as the turn's own Jacobian: the
gradient J^T r is exact (r is an eigenvector of the left Jacobian's inverse with eigenvalue 1), the matrix is that of a
geodesic step. Source of the Jacobians of the logarithm: Sola et al., arXiv 1812.01537, equations 144 to 146.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.kinematics.kernels import quat_of
from vidpretrain.solve.ball import rest_balls
from vidpretrain.solve.placing import place_frames, place_run, place_sites

PLAIN, HUBER, CAUCHY, TUKEY = 0, 1, 2, 3
VECTOR, DISTANCE, FLOOR, REPROJECT = 0, 1, 2, 3


@njit(cache=True)
def log_of(R, q, out):
    """Write the rotation vector of R; q is four numbers of scratch."""
    quat_of(R, q)
    sine = np.sqrt(q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    scale = 2.0 if sine < 1e-9 else 2.0 * np.arctan2(sine, q[0]) / sine
    for i in range(3):
        out[i] = scale * q[1 + i]


@njit(cache=True)
def robust(length, kind, scale):
    """(cost, weight) of a residual of this length.

    Quadratic; Huber (1964), linear beyond `scale`; Cauchy, logarithmic; Tukey's biweight (Beaton and Tukey 1974),
    constant beyond `scale`.
    """
    if kind == HUBER and length > scale:
        return scale * (length - 0.5 * scale), scale / length
    if kind == CAUCHY:
        x = length / scale
        return 0.5 * scale * scale * np.log1p(x * x), 1.0 / (1.0 + x * x)
    if kind == TUKEY:
        if length >= scale:
            return scale * scale / 6.0, 0.0
        x = 1.0 - (length / scale) ** 2
        return scale * scale / 6.0 * (1.0 - x * x * x), x * x
    return 0.5 * length * length, 1.0


@njit(cache=True, error_model="numpy")
def residual(mode, to, frm, axes, target, t, m, S, P, r, d):
    """Write the residual r of a vector row and the vector d between its sites, in the component's axes; its length.

    In a site's axes the residual is R^T d - target; turned out of them it is d - R target with the derivative
    dd - w x d (plus R times a turn of the residual, which leaves its length alone). A distance's residual lies along d,
    and a floor's is what is below it, along z.
    """
    for i in range(3):
        d[i] = P[to, i] - P[frm, i] if frm >= 0 else P[to, i]
    u, v, w = target[t, m, 0], target[t, m, 1], target[t, m, 2]
    if mode == DISTANCE:
        long = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        scale = (long - u) / max(long, 1e-12)
        for i in range(3):
            r[i] = scale * d[i]
        return abs(long - u)
    if mode == FLOOR:
        r[0], r[1], r[2] = 0.0, 0.0, min(0.0, d[2] - w)
        return -r[2]
    if axes >= 0:
        for i in range(3):
            r[i] = d[i] - (S[axes, i, 0] * u + S[axes, i, 1] * v + S[axes, i, 2] * w)
    else:
        r[0], r[1], r[2] = d[0] - u, d[1] - v, d[2] - w
    return np.sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2])


@njit(cache=True, error_model="numpy")
def reproject(camera, t, P, to, target, m, r, M):
    """Write a pixel row's residual r (px) and M[1] = dr / dp, by the point in the world; the residual's length.

    `target[t, m]` is u, v and the camera's place in `camera` (see `arrays.CAMERA`). Nearer than `near`, 1 / z goes on
    with its slope there to at most 2 / near, and r[2] is what is missing to `near` (0 beyond it), so the cost's first
    derivative is continuous. Source of the Jacobian: Hartley and Zisserman, Multiple View Geometry, equation 6.2.
    """
    k = int(target[t, m, 2])
    a, b, e = P[to, 0] - camera[k, t, 9], P[to, 1] - camera[k, t, 10], P[to, 2] - camera[k, t, 11]
    x = camera[k, t, 0] * a + camera[k, t, 1] * b + camera[k, t, 2] * e
    y = camera[k, t, 3] * a + camera[k, t, 4] * b + camera[k, t, 5] * e
    z = camera[k, t, 6] * a + camera[k, t, 7] * b + camera[k, t, 8] * e
    fx, fy, near = camera[k, t, 12], camera[k, t, 13], camera[k, t, 16]
    short = z < near
    if short:
        fading = np.exp(z / near - 1.0)
        inverse, slope = (2.0 - fading) / near, -fading / (near * near)
    else:
        inverse = 1.0 / z
        slope = -inverse * inverse
    r[0] = fx * x * inverse + camera[k, t, 14] - target[t, m, 0]
    r[1] = fy * y * inverse + camera[k, t, 15] - target[t, m, 1]
    r[2] = fx * (near - z) / near if short else 0.0
    for i in range(3):
        M[1, 0, i] = fx * (inverse * camera[k, t, i] + x * slope * camera[k, t, 6 + i])
        M[1, 1, i] = fy * (inverse * camera[k, t, 3 + i] + y * slope * camera[k, t, 6 + i])
        M[1, 2, i] = -fx / near * camera[k, t, 6 + i] if short else 0.0
    return np.sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2])


@njit(cache=True, error_model="numpy")
def through(count, M, J):
    """Turn the first `count` columns of J, motions of a point, into motions of its picture."""
    for i in range(count):
        x, y, z = J[i, 0], J[i, 1], J[i, 2]
        for j in range(3):
            J[i, j] = M[1, j, 0] * x + M[1, j, 1] * y + M[1, j, 2] * z


@njit(cache=True, error_model="numpy")
def columns(first, last, lever_slot, lever_var, lever_ratio, lever_kind, to, frm, R, p, P, d, J, C):
    """Add each lever's column to J (n 3), the row's Jacobian by its unknowns, and write it to C (lever 3)."""
    for e in range(first, last):
        o, v, f, kind = lever_slot[e], lever_var[e], lever_ratio[e], lever_kind[e]
        a, b, c = R[o, 0, 2], R[o, 1, 2], R[o, 2, 2]
        if kind == 0:
            x, y, z = P[to, 0] - p[o, 0], P[to, 1] - p[o, 1], P[to, 2] - p[o, 2]
        elif kind == 1:
            x, y, z = P[frm, 0] - p[o, 0], P[frm, 1] - p[o, 1], P[frm, 2] - p[o, 2]
        else:
            x, y, z = d[0], d[1], d[2]
        k = e - first
        if kind == 3:
            C[k, 0], C[k, 1], C[k, 2] = f * a, f * b, f * c
        else:
            C[k, 0], C[k, 1], C[k, 2] = f * (b * z - c * y), f * (c * x - a * z), f * (a * y - b * x)
        J[v, 0] += C[k, 0]
        J[v, 1] += C[k, 1]
        J[v, 2] += C[k, 2]


@njit(cache=True, error_model="numpy")
def base_columns(kind, x, y, z, J):
    """Write the base's six columns: turning moves the row by e_k x (x, y, z), shifting moves a point."""
    for k in range(6):
        J[k, 0], J[k, 1], J[k, 2] = 0.0, 0.0, 0.0
    J[0, 1], J[0, 2] = -z, y
    J[1, 0], J[1, 2] = z, -x
    J[2, 0], J[2, 1] = -y, x
    if kind == 1:
        for k in range(3):
            J[3 + k, k] = 1.0


@njit(cache=True, error_model="numpy")
def along(first, last, d, floor, J):
    """Keep of every column what is along d (a distance) or along z (a floor)."""
    x, y, z = d[0], d[1], d[2]
    if floor:
        x, y, z = 0.0, 0.0, 1.0
    long = max(1e-12, np.sqrt(x * x + y * y + z * z))
    x, y, z = x / long, y / long, z / long
    for i in range(last - first):
        part = J[i, 0] * x + J[i, 1] * y + J[i, 2] * z
        J[i, 0], J[i, 1], J[i, 2] = part * x, part * y, part * z


@njit(cache=True, error_model="numpy")
def accumulate(weight, first, last, own, J, r, k, n, wide, G, A):
    """Add weight J^T r to row k of G and weight J^T J to frame k's block of the band."""
    for i in range(last - first):
        c = own[first + i]
        x, y, z = weight * J[i, 0], weight * J[i, 1], weight * J[i, 2]
        G[k, c] += x * r[0] + y * r[1] + z * r[2]
        row, shift = k * n + c, wide - c
        for h in range(i + 1):
            A[row, shift + own[first + h]] += x * J[h, 0] + y * J[h, 1] + z * J[h, 2]


@njit(cache=True, error_model="numpy")
def bend(weight, first, last, rowvar0, lever_slot, lever_var, lever_ratio, lever_kind, own, R, C, r, B):
    """Add the second-order term weight r . d2p / dq_i dq_j to B (n n, lower): r . (a_i x J_j), i at or above j."""
    for e in range(first, last):
        if lever_kind[e] == 3:
            continue
        o, f = lever_slot[e], weight * lever_ratio[e]
        a, b, c = R[o, 0, 2], R[o, 1, 2], R[o, 2, 2]
        x, y, z = f * (r[1] * c - r[2] * b), f * (r[2] * a - r[0] * c), f * (r[0] * b - r[1] * a)
        v = own[rowvar0 + lever_var[e]]
        for k in range(e, last):
            u = own[rowvar0 + lever_var[k]]
            add = C[k - first, 0] * x + C[k - first, 1] * y + C[k - first, 2] * z
            if u == v and k != e:
                add *= 2.0
            if u >= v:
                B[u, v] += add
            else:
                B[v, u] += add


@njit(cache=True, error_model="numpy")
def add_where_positive(k, n, wide, A, B, F):
    """Add B to frame k's block where the sum stays positive definite with the least damping; F is scratch (n n)."""
    for r in range(n):
        for c in range(r + 1):
            F[r, c] = A[k * n + r, wide - r + c] + B[r, c]
        F[r, r] -= 1e-3 * A[k * n + r, wide]
    for c in range(n):
        x = F[c, c]
        for i in range(c):
            x -= F[c, i] * F[c, i]
        if not x > 0.0:
            return
        F[c, c] = np.sqrt(x)
        for r in range(c + 1, n):
            y = F[r, c]
            for i in range(c):
                y -= F[r, i] * F[c, i]
            F[r, c] = y / F[c, c]
    for r in range(n):
        for c in range(r + 1):
            A[k * n + r, wide - r + c] += B[r, c]


@njit(cache=True, error_model="numpy")
def pixel_row(L, D, c, t, m, wanted, k, G, A, left, s):
    """The cost of pixel row m in frame t, whose sites are placed; with `wanted` also adds to G and A as `rows_pass`.

    Apart from it, so that the other rows are as fast as without any camera.
    """
    weight, to, n = D.weight[t, m], L.to_site[m], L.var_at[c + 1] - L.var_at[c]
    P, J, r = s.P, s.J, s.r
    length = reproject(D.camera, t, P, to, D.target, m, r, s.work)
    left[t, L.row[m]] = length
    worth, share = robust(length, D.loss[m], D.scale[m])
    if wanted and share > 0.0:
        first, last = L.rowvar_at[m], L.rowvar_at[m + 1]
        row_jacobian(L, m, s)
        through(last - first, s.work, J)
        accumulate(share * weight, first, last, L.rowvar, J, r, k, n, A.shape[1] - 1, G, A)
    return weight * worth


@njit(cache=True, error_model="numpy")
def row_jacobian(L, m, s):
    """Write how the point of vector row m moves by the row's unknowns to s.J, or the vector between its sites, s.d."""
    to, J, P, p = L.to_site[m], s.J, s.P, s.p
    for i in range(L.rowvar_at[m + 1] - L.rowvar_at[m]):
        J[i, 0], J[i, 1], J[i, 2] = 0.0, 0.0, 0.0
    if L.base_kind[m] == 1:
        base_columns(1, P[to, 0] - p[0, 0], P[to, 1] - p[0, 1], P[to, 2] - p[0, 2], J)
    elif L.base_kind[m] == 2:
        base_columns(2, s.d[0], s.d[1], s.d[2], J)
    columns(
        L.lever_at[m], L.lever_at[m + 1], L.lever_slot, L.lever_var, L.lever_ratio, L.lever_kind, to, L.from_site[m],
        s.R, p, P, s.d, J, s.C,
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def rows_pass(L, D, c, lo, hi, Q, Rb, pb, wanted, newton, G, A, cost, left, s):
    """Cost of the targets and the posture of frames [lo, hi) of component c; fills cost (frame - lo) and `left`.

    With `wanted` also fills gradient G (frame - lo, n) and the frames' blocks of the band A, which are cleared here.
    """
    n, base = L.var_at[c + 1] - L.var_at[c], L.base[c]
    wide = A.shape[1] - 1
    frame0, frames = L.frame_at[c], L.frame_at[c + 1] - L.frame_at[c]
    R, p, S, P, J, C, r, d = s.R, s.p, s.S, s.P, s.J, s.C, s.r, s.d
    newton = newton and L.newton[c]
    if not L.rooted[c]:
        for i in range(3):
            p[0, i] = 0.0
            for j in range(3):
                R[0, i, j] = 1.0 if i == j else 0.0
    if wanted:
        G[: hi - lo, :n] = 0.0
        A[: (hi - lo) * n] = 0.0
    for t in range(lo, hi):
        k = t - lo
        if L.rooted[c]:
            for i in range(3):
                p[0, i] = pb[t, i]
                for j in range(3):
                    R[0, i, j] = Rb[t, i, j]
        if L.has_ball[c]:
            place_frames(frame0, frames, L.up, L.hinge, L.R_up, L.p_up, L.column, L.ratio, L.offset, Q, t, R, p)
        else:
            place_run(frame0, 0, frames, L.up, L.hinge, L.R_up, L.p_up, L.column, L.ratio, L.offset, Q, t, R, p)
        place_sites(L.site_at[c], L.site_at[c + 1], L.site_slot, L.R_site, L.p_site, R, p, S, P)
        total, bent = 0.0, False
        for m in range(L.row_at[c], L.row_at[c + 1]):
            weight = D.weight[t, m]
            if weight <= 0.0:
                continue
            to, frm, axes, mode = L.to_site[m], L.from_site[m], L.axes_site[m], D.mode[m]
            if mode == REPROJECT:
                total += pixel_row(L, D, c, t, m, wanted, k, G, A, left, s)
                continue
            length = residual(mode, to, frm, axes, D.target, t, m, S, P, r, d)
            left[t, L.row[m]] = length
            worth, share = robust(length, D.loss[m], D.scale[m])
            total += weight * worth
            if not wanted or share == 0.0 or (mode == FLOOR and length == 0.0):
                continue
            first, last = L.rowvar_at[m], L.rowvar_at[m + 1]
            for i in range(last - first):
                J[i, 0], J[i, 1], J[i, 2] = 0.0, 0.0, 0.0
            if L.base_kind[m] == 1:
                base_columns(1, P[to, 0] - p[0, 0], P[to, 1] - p[0, 1], P[to, 2] - p[0, 2], J)
            elif L.base_kind[m] == 2:
                base_columns(2, d[0], d[1], d[2], J)
            e0, e1 = L.lever_at[m], L.lever_at[m + 1]
            columns(e0, e1, L.lever_slot, L.lever_var, L.lever_ratio, L.lever_kind, to, frm, R, p, P, d, J, C)
            if mode != VECTOR:
                along(first, last, d, mode == FLOOR, J)
            accumulate(share * weight, first, last, L.rowvar, J, r, k, n, wide, G, A)
            if newton and L.simple[m] and mode == VECTOR:
                if not bent:
                    s.B[:n, :n] = 0.0
                    bent = True
                bend(
                    share * weight, e0, e1, first, L.lever_slot, L.lever_var, L.lever_ratio, L.lever_kind,
                    L.rowvar, R, C, r, s.B,
                )  # fmt: skip
        for m in range(L.turn_at[c], L.turn_at[c + 1]):
            weight = D.turn_weight[t, m]
            if weight <= 0.0:
                continue
            site = L.turn_site[m]
            for i in range(3):
                for j in range(3):
                    x = 0.0
                    for h in range(3):
                        x += S[site, i, h] * D.turn[t, m, j, h]
                    s.work[0, i, j] = x
            log_of(s.work[0], s.quat, r)
            length = np.sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2])
            left[t, len(L.row) + L.turn[m]] = length
            worth, share = robust(length, D.turn_loss[m], D.turn_scale[m])
            total += weight * worth
            if not wanted or share == 0.0:
                continue
            first, last = L.turnvar_at[m], L.turnvar_at[m + 1]
            for i in range(last - first):
                for j in range(3):
                    J[i, j] = 1.0 if base > 0 and i == j else 0.0
            for e in range(L.turn_lever_at[m], L.turn_lever_at[m + 1]):
                o, f = L.turn_lever_slot[e], L.turn_lever_ratio[e]
                for j in range(3):
                    J[L.turn_lever_var[e], j] += f * R[o, j, 2]
            accumulate(share * weight, first, last, L.turnvar, J, r, k, n, wide, G, A)
        for v in range(base, L.ball_at[c]):
            i = L.var_at[c] + v
            weight = D.posture_weight[i]
            if weight > 0.0:
                off = Q[t, L.var_column[i]] - D.posture[t, i]
                total += 0.5 * weight * off * off
                if wanted:
                    G[k, v] += weight * off
                    A[k * n + v, wide] += weight
        if L.ball_at[c] < n:
            total += rest_balls(L, D, c, t, Q, k, wanted, G, A, wide)
        cost[k] = total
        if bent:
            add_where_positive(k, n, wide, A, s.B, s.F)
