"""One frame's cost, gradient and Gauss-Newton matrix, compiled (numba, cached on disk).

The base is turned and shifted in world axes: R <- exp(w) R, p <- p + d. For an orientation the residual is
log(R_site R_target^T) and its derivative is taken as the turn's own Jacobian: the gradient J^T r is exact (r is an
eigenvector of the left Jacobian's inverse with eigenvalue 1), the matrix is that of a geodesic step. Source of the
Jacobians of the logarithm: Sola et al., arXiv 1812.01537, equations 144 to 146.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.kinematics.kernels import add_column, forward, multiply, place_base, place_site, quat_of, turn


@njit(cache=True)
def log_of(R, q, out):
    """Write the rotation vector of R; q is four numbers of scratch."""
    quat_of(R, q)
    sine = np.sqrt(q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    scale = 2.0 if sine < 1e-9 else 2.0 * np.arctan2(sine, q[0]) / sine
    for i in range(3):
        out[i] = scale * q[1 + i]


@njit(cache=True)
def add_point(sign, tree, var, joint, x, y, z, s):
    """Add the Jacobian of the world point (x, y, z), carried by `joint`, to s.J (3 v)."""
    J = s.J
    if var.base > 0:
        add_base_turn(sign, x - s.p[0, 0], y - s.p[0, 1], z - s.p[0, 2], J)
        for k in range(3):
            J[k, 3 + k] += sign
    for i in range(tree.path_start[joint + 1], tree.path_start[joint + 2]):
        j = tree.path[i]
        v = var.column[j]
        if v >= 0:
            add_column(sign * tree.ratio[j], tree.hinge[j], j, s.a, s.p, x, y, z, J, v)


@njit(cache=True)
def add_base_turn(sign, x, y, z, J):
    """Add e_k x (x, y, z) to columns k = 0, 1, 2."""
    J[1, 0] -= sign * z
    J[2, 0] += sign * y
    J[0, 1] += sign * z
    J[2, 1] -= sign * x
    J[0, 2] -= sign * y
    J[1, 2] += sign * x


@njit(cache=True)
def add_turn(tree, var, joint, s):
    """Add the Jacobian of turning `joint`'s frame to s.J."""
    J, a = s.J, s.a
    if var.base > 0:
        for k in range(3):
            J[k, k] += 1.0
    for i in range(tree.path_start[joint + 1], tree.path_start[joint + 2]):
        j = tree.path[i]
        v = var.column[j]
        if v >= 0 and tree.hinge[j]:
            for r in range(3):
                J[r, v] += tree.ratio[j] * a[j, r]


@njit(cache=True)
def subtract_carried(tree, var, joint, x, y, z, s):
    """Subtract w x (x, y, z), w the turn of `joint`'s frame, from s.J."""
    J, a = s.J, s.a
    if var.base > 0:
        add_base_turn(-1.0, x, y, z, J)
    for i in range(tree.path_start[joint + 1], tree.path_start[joint + 2]):
        j = tree.path[i]
        v = var.column[j]
        if v >= 0 and tree.hinge[j]:
            f = tree.ratio[j]
            J[0, v] -= f * (a[j, 1] * z - a[j, 2] * y)
            J[1, v] -= f * (a[j, 2] * x - a[j, 0] * z)
            J[2, v] -= f * (a[j, 0] * y - a[j, 1] * x)


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

    `left` (m + k) receives the lengths of the residuals. `s` holds the buffers (see `clip.Scratch`).
    """
    place_base(Rb, pb, s.R, s.p)
    forward(terms.order, tree.parent, tree.hinge, tree.R_zero, tree.p_zero, tree.axis, q, s.R, s.p, s.a)
    for u in range(len(terms.sites)):
        place_site(terms.sites[u], u, tree.site_joint, tree.R_site, tree.p_site, s.R, s.p, s.site_R, s.site_p)
    cost = 0.0
    for m in range(len(terms.to_site)):
        if terms.vector_weight[t, m] > 0.0:
            cost += vector_cost(tree, terms, var, t, m, wanted, g, H, left, s)
    for k in range(len(terms.turn_site)):
        if terms.turn_weight[t, k] > 0.0:
            cost += turn_cost(tree, terms, var, t, k, wanted, g, H, left, s)
    for i in range(len(var.joint)):
        v = var.base + i
        off = q[var.joint[i]] - terms.posture[t, v]
        cost += 0.5 * terms.posture_weight[v] * off * off
        if wanted:
            g[v] += terms.posture_weight[v] * off
            H[v, v] += terms.posture_weight[v]
    return cost


@njit(cache=True)
def vector_cost(tree, terms, var, t, m, wanted, g, H, left, s):
    """One row: the vector between two sites, in the world's or a site's axes, against its target.

    In a site's axes the residual is R^T d - target; it is turned into the world's axes, where it is d - R target and
    its derivative dd - w x d (plus R times a turn of the residual, which leaves its length alone).
    """
    to, frm, frame = terms.to_site[m], terms.from_site[m], terms.frame_site[m]
    P, F, r = s.site_p, s.site_R, s.r
    x, y, z = P[to, 0], P[to, 1], P[to, 2]
    if frm >= 0:
        x, y, z = x - P[frm, 0], y - P[frm, 1], z - P[frm, 2]
    u, v, w = terms.vector[t, m, 0], terms.vector[t, m, 1], terms.vector[t, m, 2]
    if frame >= 0:
        r[0] = x - (F[frame, 0, 0] * u + F[frame, 0, 1] * v + F[frame, 0, 2] * w)
        r[1] = y - (F[frame, 1, 0] * u + F[frame, 1, 1] * v + F[frame, 1, 2] * w)
        r[2] = z - (F[frame, 2, 0] * u + F[frame, 2, 1] * v + F[frame, 2, 2] * w)
    else:
        r[0], r[1], r[2] = x - u, y - v, z - w
    length = np.sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2])
    left[m] = length
    cost, share = robust(length, terms.vector_huber[m])
    if wanted:
        s.J[:] = 0.0
        add_point(1.0, tree, var, tree.site_joint[terms.sites[to]], P[to, 0], P[to, 1], P[to, 2], s)
        if frm >= 0:
            add_point(-1.0, tree, var, tree.site_joint[terms.sites[frm]], P[frm, 0], P[frm, 1], P[frm, 2], s)
        if frame >= 0:
            subtract_carried(tree, var, tree.site_joint[terms.sites[frame]], x, y, z, s)
        accumulate(share * terms.vector_weight[t, m], s.J, r, g, H, s.touched)
    return cost * terms.vector_weight[t, m]


@njit(cache=True)
def turn_cost(tree, terms, var, t, k, wanted, g, H, left, s):
    """One row: a site's orientation against its target."""
    site = terms.turn_site[k]
    A, B = s.site_R, terms.turn
    for i in range(3):
        for c in range(3):
            s.work[0, i, c] = (
                A[site, i, 0] * B[t, k, c, 0] + A[site, i, 1] * B[t, k, c, 1] + A[site, i, 2] * B[t, k, c, 2]
            )
    log_of(s.work[0], s.quat, s.r)
    length = np.sqrt(s.r[0] * s.r[0] + s.r[1] * s.r[1] + s.r[2] * s.r[2])
    left[len(terms.to_site) + k] = length
    cost, share = robust(length, terms.turn_huber[k])
    if wanted:
        s.J[:] = 0.0
        add_turn(tree, var, tree.site_joint[terms.sites[site]], s)
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
