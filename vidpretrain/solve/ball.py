"""Balls inside the solver: steps, limits, posture and smoothness of rotation vectors (numba, cached on disk).

The unknowns of a ball are the small turns dw of R <- exp(dw) R; its state is the rotation vector w of R. Cost and
gradient are exact on the manifold, matrices are those of a flat space. Source of the Jacobians: Sola et al., arXiv
1812.01537, equations 144 to 146.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_STIFF = 1e6  # of a held direction, over what the ball's diagonal has
_STAYS = 1e-4  # a component on its limit that moves by less of the step than this does not move


@njit(cache=True, error_model="numpy")
def composed(ax, ay, az, bx, by, bz):
    """log(exp(a) exp(b)), at most pi long, by quaternions."""
    a, b = np.sqrt(ax * ax + ay * ay + az * az), np.sqrt(bx * bx + by * by + bz * bz)
    s = np.sin(0.5 * a) / a if a > 1e-9 else 0.5
    r = np.sin(0.5 * b) / b if b > 1e-9 else 0.5
    p0, p1, p2, p3 = np.cos(0.5 * a), s * ax, s * ay, s * az
    q0, q1, q2, q3 = np.cos(0.5 * b), r * bx, r * by, r * bz
    w = p0 * q0 - p1 * q1 - p2 * q2 - p3 * q3
    x = p0 * q1 + p1 * q0 + p2 * q3 - p3 * q2
    y = p0 * q2 - p1 * q3 + p2 * q0 + p3 * q1
    z = p0 * q3 + p1 * q2 - p2 * q1 + p3 * q0
    if w < 0.0:
        w, x, y, z = -w, -x, -y, -z
    sine = np.sqrt(x * x + y * y + z * z)
    scale = 2.0 * np.arctan2(sine, w) / sine if sine > 1e-9 else 2.0
    return scale * x, scale * y, scale * z


@njit(cache=True, error_model="numpy")
def change(Q, t, u, j, out):
    """Write log(R_u R_t^T) of the ball with columns j, j + 1, j + 2."""
    out[0], out[1], out[2] = composed(Q[u, j], Q[u, j + 1], Q[u, j + 2], -Q[t, j], -Q[t, j + 1], -Q[t, j + 2])


@njit(cache=True, error_model="numpy")
def outside(x, y, z, lower, upper, i):
    """How far a rotation vector is outside the box of the unknowns i, i + 1, i + 2."""
    out = max(max(lower[i] - x, x - upper[i]), 0.0)
    out += max(max(lower[i + 1] - y, y - upper[i + 1]), 0.0)
    return out + max(max(lower[i + 2] - z, z - upper[i + 2]), 0.0)


@njit(cache=True, error_model="numpy")
def put_ball(Q, t, j, x, y, z, lower, upper, i):
    """Write a turn as rotation vector: the short one, or the other way round where only that is inside the limits; then
    clipped to them."""
    short = outside(x, y, z, lower, upper, i)
    if short > 0.0:
        angle = np.sqrt(x * x + y * y + z * z)
        back = 1.0 - 2.0 * np.pi / max(angle, 1e-9)
        if angle > 1e-9 and outside(back * x, back * y, back * z, lower, upper, i) < short:
            x, y, z = back * x, back * y, back * z
    Q[t, j] = min(max(x, lower[i]), upper[i])
    Q[t, j + 1] = min(max(y, lower[i + 1]), upper[i + 1])
    Q[t, j + 2] = min(max(z, lower[i + 2]), upper[i + 2])


@njit(cache=True, error_model="numpy")
def between(L, D, c, Q, t, to, u):
    """Write frame u of every ball of a component between frames t and `to`, on the shortest way."""
    share, w = (u - t) / (to - t), np.empty(3)
    for v in range(L.ball_at[c], L.var_at[c + 1] - L.var_at[c], 3):
        i = L.var_at[c] + v
        j = L.var_column[i]
        change(Q, t, to, j, w)
        x, y, z = composed(share * w[0], share * w[1], share * w[2], Q[t, j], Q[t, j + 1], Q[t, j + 2])
        put_ball(Q, u, j, x, y, z, D.lower, D.upper, i)


@njit(cache=True, error_model="numpy")
def pull(sign, w, a, out):
    """Write a + sign w x a / 2 + c w x (w x a): the transposed inverse left (+) or right (-) Jacobian at w times a."""
    angle2 = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    angle = np.sqrt(angle2)
    c = 1.0 / 12.0 if angle < 1e-3 else 1.0 / angle2 - 0.5 / (angle * np.tan(0.5 * angle))
    x, y, z = w[1] * a[2] - w[2] * a[1], w[2] * a[0] - w[0] * a[2], w[0] * a[1] - w[1] * a[0]
    out[0] = a[0] + 0.5 * sign * x + c * (w[1] * z - w[2] * y)
    out[1] = a[1] + 0.5 * sign * y + c * (w[2] * x - w[0] * z)
    out[2] = a[2] + 0.5 * sign * z + c * (w[0] * y - w[1] * x)


@njit(cache=True, error_model="numpy")
def push(w, a, out):
    """Write the transposed left Jacobian at w times a: the gradient by w, from a, the gradient by dw."""
    angle2 = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    angle = np.sqrt(angle2)
    b = 0.5 if angle < 1e-3 else (1.0 - np.cos(angle)) / angle2
    c = 1.0 / 6.0 if angle < 1e-3 else (angle - np.sin(angle)) / (angle2 * angle)
    x, y, z = w[1] * a[2] - w[2] * a[1], w[2] * a[0] - w[0] * a[2], w[0] * a[1] - w[1] * a[0]
    out[0] = a[0] - b * x + c * (w[1] * z - w[2] * y)
    out[1] = a[1] - b * y + c * (w[2] * x - w[0] * z)
    out[2] = a[2] - b * z + c * (w[0] * y - w[1] * x)


@njit(cache=True, error_model="numpy")
def at_limit(Q, t, j, lower, upper, i):
    """Whether a component of the rotation vector stands on a limit."""
    out = False
    for r in range(3):
        out = out or Q[t, j + r] <= lower[i + r] or Q[t, j + r] >= upper[i + r]
    return out


@njit(cache=True, error_model="numpy")
def move_balls(L, D, c, lo, hi, step, Q, Q_new):
    """Write exp(step) R of every ball of a component to Q_new.

    A ball on a limit moves by as much in a straight line of its rotation vector instead, so that it stays on a limit
    that holds it: a turn would leave it in second order, and the next step would not know it.
    """
    n, small = L.var_at[c + 1] - L.var_at[c], np.empty(3)
    for v in range(L.ball_at[c], n, 3):
        i = L.var_at[c] + v
        j = L.var_column[i]
        for t in range(lo, hi):
            k = t - lo
            if not at_limit(Q, t, j, D.lower, D.upper, i):
                x, y, z = composed(step[k, v], step[k, v + 1], step[k, v + 2], Q[t, j], Q[t, j + 1], Q[t, j + 2])
                put_ball(Q_new, t, j, x, y, z, D.lower, D.upper, i)
                continue
            w = Q[t, j : j + 3]
            pull(-1.0, w, step[k, v : v + 3], small)  # the left Jacobian's inverse is the right one's transposed
            least = _STAYS * (abs(small[0]) + abs(small[1]) + abs(small[2]))
            for r in range(3):
                if (w[r] <= D.lower[i + r] or w[r] >= D.upper[i + r]) and abs(small[r]) < least:
                    small[r] = 0.0
                Q_new[t, j + r] = min(max(w[r] + small[r], D.lower[i + r]), D.upper[i + r])


@njit(cache=True, error_model="numpy")
def hold_balls(L, D, c, t, Q, k, G, A, wide):
    """Stiffen the directions in which the balls of frame t (row k of G) would leave their limits.

    A limit is one on a component of w, and dw moves that by a row of the left Jacobian's inverse. The matrix gets so
    stiff along this row that the step keeps to the limit, and its other two directions stay free.
    """
    n = L.var_at[c + 1] - L.var_at[c]
    for v in range(L.ball_at[c], n, 3):
        i = L.var_at[c] + v
        j = L.var_column[i]
        if not at_limit(Q, t, j, D.lower, D.upper, i):
            continue
        w, axis, by_w, row = Q[t, j : j + 3], np.zeros(3), np.empty(3), np.empty(3)
        push(w, G[k, v : v + 3], by_w)
        at, stiff = k * n + v, 0.0
        for r in range(3):
            stiff = max(stiff, _STIFF * A[at + r, wide])
        for r in range(3):
            beyond = (w[r] <= D.lower[i + r] and by_w[r] >= 0.0) or (w[r] >= D.upper[i + r] and by_w[r] <= 0.0)
            if not beyond:
                continue
            axis[:] = 0.0
            axis[r] = 1.0
            pull(1.0, w, axis, row)
            for a in range(3):
                for b in range(a + 1):
                    A[at + a, wide - (a - b)] += stiff * row[a] * row[b]


@njit(cache=True, error_model="numpy")
def rest_balls(L, D, c, t, Q, k, wanted, G, A, wide):
    """Cost of the balls' distance from the posture, axis by axis of log(R R_ref^T), with its gradient and matrix."""
    n = L.var_at[c + 1] - L.var_at[c]
    total, off, pulled, force = 0.0, np.empty(3), np.empty(3), np.empty(3)
    for v in range(L.ball_at[c], n, 3):
        i = L.var_at[c] + v
        weight = D.posture_weight[i : i + 3]
        if weight[0] <= 0.0 and weight[1] <= 0.0 and weight[2] <= 0.0:
            continue
        j, ref = L.var_column[i], D.posture[t, i : i + 3]
        off[0], off[1], off[2] = composed(Q[t, j], Q[t, j + 1], Q[t, j + 2], -ref[0], -ref[1], -ref[2])
        for r in range(3):
            force[r] = weight[r] * off[r]
            total += 0.5 * force[r] * off[r]
        if not wanted:
            continue
        pull(1.0, off, force, pulled)
        for r in range(3):
            G[k, v + r] += pulled[r]
            A[k * n + v + r, wide] += weight[r]
    return total


@njit(cache=True, error_model="numpy")
def slow_ball(Q, j, lower, upper, i, step):
    """Hold the ball at column j back to turns of at most `step` from frame to frame, in place.

    A frame comes as near as that on the shortest way, or where a limit is in between, on the straight way of the
    rotation vector, which stays inside the limits.
    """
    w, here = np.empty(3), np.empty((2, 3))
    for t in range(len(Q) - 1):
        change(Q, t, t + 1, j, w)
        angle = np.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
        if angle <= step:
            continue
        here[0], here[1] = Q[t, j : j + 3], Q[t + 1, j : j + 3]
        s = step / angle
        x, y, z = composed(s * w[0], s * w[1], s * w[2], here[0, 0], here[0, 1], here[0, 2])
        put_ball(Q, t + 1, j, x, y, z, lower, upper, i)
        low, high = 0.0, 1.0
        change(Q, t, t + 1, j, w)
        if np.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]) <= step * (1.0 + 1e-9):
            continue
        for _ in range(60):
            middle = 0.5 * (low + high)
            for r in range(3):
                Q[t + 1, j + r] = here[0, r] + middle * (here[1, r] - here[0, r])
            change(Q, t, t + 1, j, w)
            if np.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]) <= step:
                low = middle
            else:
                high = middle
        for r in range(3):
            Q[t + 1, j + r] = here[0, r] + low * (here[1, r] - here[0, r])


def by_vector(turn, w):
    """The slope (3) by a ball's rotation vector w (3), from the slope by its small turn."""
    out = np.empty(3)
    push(np.ascontiguousarray(w), np.ascontiguousarray(turn), out)
    return out
