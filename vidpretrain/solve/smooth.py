"""Velocity, acceleration and the speed limit of a component's frames (numba, cached on disk).

Frames couple unknown by unknown, so the coupling blocks are diagonal. Only frames in [lo, hi) are unknown: those beside
them count, but do not move.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.kinematics.kernels import multiply
from vidpretrain.solve.ball import change, pull
from vidpretrain.solve.rows import log_of


@njit(cache=True, error_model="numpy")
def pair(a, b, v, n, frames, weight, wide, A):
    """Couple unknown v of frames a and b = a + 1 (counted from the window's first) as weight (x' - x)^2 / 2 does."""
    if a >= 0:
        A[a * n + v, wide] += weight
    if b < frames:
        A[b * n + v, wide] += weight
        if a >= 0:
            A[b * n + v, wide - n] -= weight


@njit(cache=True, error_model="numpy")
def triple(a, v, n, frames, weight, wide, A):
    """Couple unknown v of frames a, a + 1 and a + 2 as weight (x - 2 x' + x'')^2 / 2 does."""
    if 0 <= a < frames:
        A[a * n + v, wide] += weight
    if 0 <= a + 1 < frames:
        A[(a + 1) * n + v, wide] += 4.0 * weight
        if a >= 0:
            A[(a + 1) * n + v, wide - n] -= 2.0 * weight
    if 0 <= a + 2 < frames:
        A[(a + 2) * n + v, wide] += weight
        if a + 1 >= 0:
            A[(a + 2) * n + v, wide - n] -= 2.0 * weight
        if a >= 0:
            A[(a + 2) * n + v, wide - 2 * n] += weight


@njit(cache=True, error_model="numpy")
def joints_smooth(L, D, c, lo, hi, Q, stiffness, multiplier, wanted, G, A, cost):
    """Velocity, acceleration and the augmented Lagrangian of the speed limit, hinge by hinge and slide by slide.

    The limit |x' - x| <= aim has multiplier (t v) and stiffness (v): cost (max(0, m + s c)^2 - m^2) / (2 s) (Nocedal
    and Wright, Numerical Optimization, section 17.4).
    """
    first = L.var_at[c]
    n, base, frames, wide, last = L.var_at[c + 1] - first, L.base[c], hi - lo, A.shape[1] - 1, len(Q) - 1
    flat = L.ball_at[c]
    column, velocity, acceleration, aim = L.var_column, D.velocity, D.acceleration, D.aim
    for t in range(max(lo - 2, 0), min(hi, last)):
        a = t - lo
        near, far = a >= 0, a + 1 < frames
        i0, i1 = a * n, (a + 1) * n
        for v in range(base, flat):
            i = first + v
            j = column[i]
            here, there = Q[t, j], Q[t + 1, j]
            d = there - here
            if a >= -1:
                weight = velocity[i]
                force, worth = weight * d, 0.5 * weight * d * d
                stiff = stiffness[i]
                if stiff > 0.0:
                    m = multiplier[t, i]
                    push = max(0.0, m + stiff * (abs(d) - aim[i]))
                    worth += (push * push - m * m) / (2.0 * stiff)
                    if push > 0.0:
                        force += push if d > 0 else -push
                        weight += stiff
                cost[max(a, 0)] += worth
                if wanted:
                    if near:
                        G[a, v] -= force
                        A[i0 + v, wide] += weight
                    if far:
                        G[a + 1, v] += force
                        A[i1 + v, wide] += weight
                        if near:
                            A[i1 + v, wide - n] -= weight
            weight = acceleration[i]
            if weight <= 0.0 or t + 1 >= last:
                continue
            x = Q[t + 2, j] - there - d
            force = weight * x
            cost[min(max(a + 1, 0), frames - 1)] += 0.5 * force * x
            if not wanted:
                continue
            if near:
                G[a, v] += force
                A[i0 + v, wide] += weight
            if a >= -1 and far:
                G[a + 1, v] -= 2.0 * force
                A[i1 + v, wide] += 4.0 * weight
                if near:
                    A[i1 + v, wide - n] -= 2.0 * weight
            if a + 2 < frames:
                G[a + 2, v] += force
                A[i1 + n + v, wide] += weight
                if a >= -1:
                    A[i1 + n + v, wide - n] -= 2.0 * weight
                if near:
                    A[i1 + n + v, wide - 2 * n] += weight


@njit(cache=True)
def base_change(Rb, pb, t, work, quat, turned, shifted):
    """Write log(R[t+1] R[t]^T) and p[t+1] - p[t]."""
    for r in range(3):
        shifted[r] = pb[t + 1, r] - pb[t, r]
        for c in range(3):
            work[0, r, c] = Rb[t, c, r]
    multiply(Rb[t + 1], work[0], work[1])
    log_of(work[1], quat, turned)


@njit(cache=True)
def add(a, frames, factor, x, G, first):
    """Add factor x (3) to frame a's gradient where that frame is unknown."""
    if 0 <= a < frames:
        for r in range(3):
            G[a, first + r] += factor * x[r]


@njit(cache=True)
def base_smooth(L, D, c, lo, hi, Rb, pb, wanted, G, A, cost):
    """Velocity and acceleration of the base: exact gradient on the manifold, matrix as for a flat space."""
    n, frames, wide = L.var_at[c + 1] - L.var_at[c], hi - lo, A.shape[1] - 1
    first = L.var_at[c]
    velocity, acceleration = D.velocity[first : first + 6], D.acceleration[first : first + 6]
    work, quat, out = np.empty((2, 3, 3)), np.empty(4), np.empty(3)
    w0, w1, d0, d1, x, y = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    for t in range(max(lo - 2, 0), min(hi, len(Rb) - 1)):
        a = t - lo  # the pair is (a, a + 1)
        w0[:], d0[:] = w1, d1
        base_change(Rb, pb, t, work, quat, w1, d1)
        if a >= -1:
            for r in range(3):
                x[r], y[r] = velocity[r] * w1[r], velocity[3 + r] * d1[r]
                cost[max(a, 0)] += 0.5 * (x[r] * w1[r] + y[r] * d1[r])
            if wanted:
                add(a + 1, frames, 1.0, x, G, 0)
                add(a, frames, -1.0, x, G, 0)
                add(a + 1, frames, 1.0, y, G, 3)
                add(a, frames, -1.0, y, G, 3)
                for v in range(6):
                    pair(a, a + 1, v, n, frames, velocity[v], wide, A)
        if t == max(lo - 2, 0):
            continue
        for r in range(3):
            x[r], y[r] = acceleration[r] * (w1[r] - w0[r]), acceleration[3 + r] * (d1[r] - d0[r])
            cost[min(max(a, 0), frames - 1)] += 0.5 * (x[r] * (w1[r] - w0[r]) + y[r] * (d1[r] - d0[r]))
        if not wanted:
            continue
        add(a + 1, frames, 1.0, y, G, 3)
        add(a, frames, -2.0, y, G, 3)
        add(a - 1, frames, 1.0, y, G, 3)
        pull(1.0, w1, x, out)
        add(a + 1, frames, 1.0, out, G, 0)
        pull(-1.0, w1, x, out)
        add(a, frames, -1.0, out, G, 0)
        pull(1.0, w0, x, out)
        add(a, frames, -1.0, out, G, 0)
        pull(-1.0, w0, x, out)
        add(a - 1, frames, 1.0, out, G, 0)
        for v in range(6):
            triple(a - 1, v, n, frames, acceleration[v], wide, A)


@njit(cache=True, error_model="numpy")
def balls_smooth(L, D, c, lo, hi, Q, stiffness, multiplier, wanted, G, A, cost):
    """Velocity and acceleration of the balls, axis by axis of log(R[t+1] R[t]^T) and its change: exact gradient on the
    manifold, matrix as for a flat space. The speed limit is one on the length of that turn, with the multiplier and
    stiffness of the ball's first unknown, as `joints_smooth` has it."""
    n, frames, wide, first = L.var_at[c + 1] - L.var_at[c], hi - lo, A.shape[1] - 1, L.var_at[c]
    w0, w1, x, out = np.zeros(3), np.zeros(3), np.empty(3), np.empty(3)
    begin = max(lo - 2, 0)
    for v in range(L.ball_at[c], n, 3):
        i = first + v
        velocity, acceleration = D.velocity[i : i + 3], D.acceleration[i : i + 3]
        bends, stiff = acceleration.max() > 0.0, stiffness[i]
        if not bends and not velocity.max() > 0.0 and not stiff > 0.0:
            continue
        for t in range(begin, min(hi, len(Q) - 1)):
            a = t - lo  # the pair is (a, a + 1)
            w0[:] = w1
            change(Q, t, t + 1, L.var_column[i], w1)
            if a >= -1:
                for r in range(3):
                    x[r] = velocity[r] * w1[r]
                    cost[max(a, 0)] += 0.5 * x[r] * w1[r]
                more = 0.0
                if stiff > 0.0:
                    m, angle = multiplier[t, i], np.sqrt(w1[0] * w1[0] + w1[1] * w1[1] + w1[2] * w1[2])
                    shove = max(0.0, m + stiff * (angle - D.aim[i]))
                    cost[max(a, 0)] += (shove * shove - m * m) / (2.0 * stiff)
                    if shove > 0.0:
                        more = stiff
                        for r in range(3):
                            x[r] += shove * w1[r] / max(angle, 1e-12)
                if wanted:
                    pull(1.0, w1, x, out)
                    add(a + 1, frames, 1.0, out, G, v)
                    pull(-1.0, w1, x, out)
                    add(a, frames, -1.0, out, G, v)
                    for r in range(3):
                        pair(a, a + 1, v + r, n, frames, velocity[r] + more, wide, A)
            if t == begin or not bends:
                continue
            for r in range(3):
                x[r] = acceleration[r] * (w1[r] - w0[r])
                cost[min(max(a, 0), frames - 1)] += 0.5 * x[r] * (w1[r] - w0[r])
            if not wanted:
                continue
            pull(1.0, w1, x, out)
            add(a + 1, frames, 1.0, out, G, v)
            pull(-1.0, w1, x, out)
            add(a, frames, -1.0, out, G, v)
            pull(1.0, w0, x, out)
            add(a, frames, -1.0, out, G, v)
            pull(-1.0, w0, x, out)
            add(a - 1, frames, 1.0, out, G, v)
            for r in range(3):
                triple(a - 1, v + r, n, frames, acceleration[r], wide, A)
