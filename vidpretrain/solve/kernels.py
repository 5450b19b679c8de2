"""One frame's cost, gradient and Gauss-Newton matrix, compiled (numba, cached on disk).

The base is turned and shifted in world axes: R <- exp(w) R, p <- p + d. For an orientation the residual is
log(R_site R_target^T) and its derivative is taken as the turn's own Jacobian: the gradient J^T r is exact (r is an
eigenvector of the left Jacobian's inverse with eigenvalue 1), the matrix is that of a geodesic step. Source of the
Jacobians of the logarithm: Sola et al., arXiv 1812.01537, equations 144 to 146.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.kinematics.kernels import forward, multiply, place_site, point_column, quat_of, turn


@njit(cache=True)
def log_of(R, q, out):
    """Write the rotation vector of R; q is four numbers of scratch."""
    quat_of(R, q)
    sine = np.sqrt(q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    scale = 2.0 if sine < 1e-9 else 2.0 * np.arctan2(sine, q[0]) / sine
    for i in range(3):
        out[i] = scale * q[1 + i]


@njit(cache=True)
def add_cross(sign, x, y, J, column):
    """Add sign * (x cross y) to a column of J."""
    J[0, column] += sign * (x[1] * y[2] - x[2] * y[1])
    J[1, column] += sign * (x[2] * y[0] - x[0] * y[2])
    J[2, column] += sign * (x[0] * y[1] - x[1] * y[0])


@njit(cache=True)
def add_point(sign, tree, column, base, joint, at, pb, p, a, J, one):
    """Add the Jacobian of the world point `at`, carried by `joint`, to J (3 v)."""
    if base > 0:
        for k in range(3):
            one[:] = 0.0
            one[k] = 1.0
            add_cross(sign, one, at - pb, J, k)
            J[k, 3 + k] += sign
    for s in range(tree.path_start[joint + 1], tree.path_start[joint + 2]):
        j = tree.path[s]
        if column[j] >= 0:
            point_column(tree.hinge[j], a[j], p[j], at, one)
            for r in range(3):
                J[r, column[j]] += sign * tree.ratio[j] * one[r]


@njit(cache=True)
def add_turn(sign, tree, column, base, joint, about, a, J, one):
    """Add the Jacobian of turning `joint`'s frame to J: the turn itself, or its cross product with `about`."""
    crossed = about[0] != 0.0 or about[1] != 0.0 or about[2] != 0.0
    if base > 0:
        for k in range(3):
            one[:] = 0.0
            one[k] = 1.0
            if crossed:
                add_cross(sign, one, about, J, k)
            else:
                J[k, k] += sign
    for s in range(tree.path_start[joint + 1], tree.path_start[joint + 2]):
        j = tree.path[s]
        if column[j] >= 0 and tree.hinge[j]:
            if crossed:
                add_cross(sign * tree.ratio[j], a[j], about, J, column[j])
            else:
                for r in range(3):
                    J[r, column[j]] += sign * tree.ratio[j] * a[j, r]


@njit(cache=True)
def accumulate(weight, J, r, g, H, touched):
    """Add weight J^T r to g and weight J^T J to the lower triangle of H."""
    count = 0
    for c in range(J.shape[1]):
        if abs(J[0, c]) + abs(J[1, c]) + abs(J[2, c]) > 1e-13:
            touched[count] = c
            count += 1
    for m in range(count):
        c = touched[m]
        x, y, z = weight * J[0, c], weight * J[1, c], weight * J[2, c]
        g[c] += x * r[0] + y * r[1] + z * r[2]
        for k in range(m + 1):
            b = touched[k]
            H[c, b] += x * J[0, b] + y * J[1, b] + z * J[2, b]


@njit(cache=True)
def robust(length, huber):
    """(cost, weight) of a residual of this length: quadratic, linear beyond `huber` (Huber 1964)."""
    if length <= huber:
        return 0.5 * length * length, 1.0
    return huber * (length - 0.5 * huber), huber / length


@njit(cache=True)
def frame_cost(tree, terms, var, t, q, Rb, pb, wanted, g, H, left, s):
    """Cost of the targets and the posture of frame t at q (j), Rb, pb; adds to g (v) and H (v v) when `wanted`.

    `left` (m + k) receives the lengths of the residuals. `s` is scratch (see `scratch`).
    """
    forward(tree.parent, tree.hinge, tree.R_zero, tree.p_zero, tree.axis, q, Rb, pb, s.R, s.p, s.a, s.work)
    cost = 0.0
    for m in range(len(terms.to_site)):
        if terms.vector_weight[t, m] > 0.0:
            cost += vector_cost(tree, terms, var, t, m, Rb, pb, wanted, g, H, left, s)
    for k in range(len(terms.turn_site)):
        if terms.turn_weight[t, k] > 0.0:
            cost += turn_cost(tree, terms, var, t, k, Rb, pb, wanted, g, H, left, s)
    for i in range(len(var.joint)):
        v = var.base + i
        off = q[var.joint[i]] - terms.posture[t, v]
        cost += 0.5 * terms.posture_weight[v] * off * off
        if wanted:
            g[v] += terms.posture_weight[v] * off
            H[v, v] += terms.posture_weight[v]
    return cost


@njit(cache=True)
def vector_cost(tree, terms, var, t, m, Rb, pb, wanted, g, H, left, s):
    """One row: the vector between two sites, in the world's or a site's axes, against its target."""
    to, frm, frame = terms.to_site[m], terms.from_site[m], terms.frame_site[m]
    place_site(to, tree.site_joint, tree.R_site, tree.p_site, s.R, s.p, Rb, pb, s.R1, s.to)
    s.frm[:] = 0.0
    if frm >= 0:
        place_site(frm, tree.site_joint, tree.R_site, tree.p_site, s.R, s.p, Rb, pb, s.R1, s.frm)
    d = s.d
    for r in range(3):
        d[r] = s.to[r] - s.frm[r]
    if frame >= 0:
        place_site(frame, tree.site_joint, tree.R_site, tree.p_site, s.R, s.p, Rb, pb, s.R1, s.one)
        for r in range(3):
            s.r[r] = s.R1[0, r] * d[0] + s.R1[1, r] * d[1] + s.R1[2, r] * d[2] - terms.vector[t, m, r]
    else:
        for r in range(3):
            s.r[r] = d[r] - terms.vector[t, m, r]
    length = np.sqrt(s.r[0] * s.r[0] + s.r[1] * s.r[1] + s.r[2] * s.r[2])
    left[m] = length
    cost, share = robust(length, terms.vector_huber[m])
    if wanted:
        J = s.J
        J[:] = 0.0
        add_point(1.0, tree, var.column, var.base, tree.site_joint[to], s.to, pb, s.p, s.a, J, s.one)
        if frm >= 0:
            add_point(-1.0, tree, var.column, var.base, tree.site_joint[frm], s.frm, pb, s.p, s.a, J, s.one)
        if frame >= 0:  # d of R^T d is R^T (dd - w x d); in world axes the residual is R r
            if d[0] != 0.0 or d[1] != 0.0 or d[2] != 0.0:
                add_turn(-1.0, tree, var.column, var.base, tree.site_joint[frame], d, s.a, J, s.one)
            for r in range(3):
                s.one[r] = s.R1[r, 0] * s.r[0] + s.R1[r, 1] * s.r[1] + s.R1[r, 2] * s.r[2]
            for r in range(3):
                s.r[r] = s.one[r]
        accumulate(share * terms.vector_weight[t, m], J, s.r, g, H, s.touched)
    return cost * terms.vector_weight[t, m]


@njit(cache=True)
def turn_cost(tree, terms, var, t, k, Rb, pb, wanted, g, H, left, s):
    """One row: a site's orientation against its target."""
    site = terms.turn_site[k]
    place_site(site, tree.site_joint, tree.R_site, tree.p_site, s.R, s.p, Rb, pb, s.R1, s.to)
    for i in range(3):
        for c in range(3):
            s.work[0, i, c] = terms.turn[t, k, c, i]
    multiply(s.R1, s.work[0], s.work[1])
    log_of(s.work[1], s.quat, s.r)
    length = np.sqrt(s.r[0] * s.r[0] + s.r[1] * s.r[1] + s.r[2] * s.r[2])
    left[len(terms.to_site) + k] = length
    cost, share = robust(length, terms.turn_huber[k])
    if wanted:
        s.J[:] = 0.0
        s.d[:] = 0.0
        add_turn(1.0, tree, var.column, var.base, tree.site_joint[site], s.d, s.a, s.J, s.one)
        accumulate(share * terms.turn_weight[t, k], s.J, s.r, g, H, s.touched)
    return cost * terms.turn_weight[t, k]


@njit(cache=True)
def move(tree, var, delta, q, Rb, pb, q_out, Rb_out, pb_out, work):
    """Write the state after a step: joints clipped to their limits, followers set, base turned and shifted."""
    for j in range(len(q)):
        q_out[j] = q[j]
    for i in range(len(var.joint)):
        v = var.base + i
        q_out[var.joint[i]] = min(max(q[var.joint[i]] + delta[v], var.lower[v]), var.upper[v])
    for j in range(len(q)):
        if tree.source[j] != j:
            q_out[j] = tree.ratio[j] * q_out[tree.source[j]] + tree.offset[j]
    if var.base > 0:
        angle = np.sqrt(delta[0] * delta[0] + delta[1] * delta[1] + delta[2] * delta[2])
        axis = delta[:3] / angle if angle > 1e-300 else np.array([1.0, 0.0, 0.0])
        turn(axis, angle, work[0])
        multiply(work[0], Rb, work[1])
        for r in range(3):
            pb_out[r] = pb[r] + delta[3 + r]
            for c in range(3):
                Rb_out[r, c] = work[1, r, c]
    else:
        for r in range(3):
            pb_out[r] = pb[r]
            for c in range(3):
                Rb_out[r, c] = Rb[r, c]


@njit(cache=True)
def blocked(v, value, gradient, var):
    """True where a variable sits on a limit and wants to go beyond it."""
    return (value <= var.lower[v] and gradient >= 0.0) or (value >= var.upper[v] and gradient <= 0.0)


@njit(cache=True)
def cholesky_solve(A, b):
    """Overwrite b with A^-1 b and the lower triangle of A with its factor; False where A is not positive definite."""
    n = len(b)
    for c in range(n):
        for r in range(c, n):
            x = A[r, c]
            for k in range(c):
                x -= A[r, k] * A[c, k]
            if r == c:
                if not x > 0.0:
                    return False
                A[c, c] = np.sqrt(x)
            else:
                A[r, c] = x / A[c, c]
    for r in range(n):
        for k in range(r):
            b[r] -= A[r, k] * b[k]
        b[r] /= A[r, r]
    for r in range(n - 1, -1, -1):
        for k in range(r + 1, n):
            b[r] -= A[k, r] * b[k]
        b[r] /= A[r, r]
    return True


@njit(cache=True)
def settle(tree, terms, var, t, q, Rb, pb, iterations, tie, left, s):
    """Damped Gauss-Newton on frame t alone, in place, held to where it begins by `tie` (v); the cost it reaches."""
    n = len(var.lower)
    g, H, step = np.empty(n), np.empty((n, n)), np.empty(n)
    q_new, R_new, p_new, gone = np.empty_like(q), np.empty((3, 3)), np.empty(3), np.zeros(n)
    damping = 1e-3
    g[:], H[:] = 0.0, 0.0
    cost = frame_cost(tree, terms, var, t, q, Rb, pb, True, g, H, left, s)
    held = 0.0
    for _ in range(iterations):
        mean = 1e-12
        for v in range(n):
            mean += (H[v, v] + tie[v]) / n
        for v in range(n):
            g[v] += tie[v] * gone[v]
            H[v, v] += tie[v] + damping * (H[v, v] + tie[v] + mean)
            step[v] = -g[v]
        for i in range(len(var.joint)):
            v = var.base + i
            if blocked(v, q[var.joint[i]], g[v], var):
                step[v] = 0.0
                for k in range(n):
                    if k < v:
                        H[v, k] = 0.0
                    else:
                        H[k, v] = 0.0
                H[v, v] = 1.0
        good = cholesky_solve(H, step)
        if good:
            move(tree, var, step, q, Rb, pb, q_new, R_new, p_new, s.work)
            held_new = 0.0
            for v in range(n):
                held_new += 0.5 * tie[v] * (gone[v] + step[v]) ** 2
            new = frame_cost(tree, terms, var, t, q_new, R_new, p_new, False, g, H, left, s)
            good = new + held_new < cost + held
        if good:
            done = cost + held - new - held_new < 1e-6 * (cost + held)
            q[:], Rb[:], pb[:] = q_new, R_new, p_new
            gone += step
            held = held_new
            damping = max(1e-6, 0.3 * damping)
            if done:
                return new
        else:
            damping *= 10.0
            if damping > 1e6:
                break
        g[:], H[:] = 0.0, 0.0
        cost = frame_cost(tree, terms, var, t, q, Rb, pb, True, g, H, left, s)
    return cost


@njit(cache=True)
def sweep(tree, terms, var, first, last, stride, Q, Rb, pb, iterations, tie, left, s):
    """Carry frame `first` on to `last`, frame by frame, each from its neighbour's solution."""
    t = first
    while t != last:
        Q[t + stride], Rb[t + stride], pb[t + stride] = Q[t], Rb[t], pb[t]
        t += stride
        settle(tree, terms, var, t, Q[t], Rb[t], pb[t], iterations, tie, left, s)
