"""All frames together: the banded normal equations of a clip, compiled (numba, cached on disk).

Storage is LAPACK's lower band, one row per unknown (frame-major): `band[k, d]` is A[k + d, k]. Frames couple through
velocity and acceleration, variable by variable, so the band is twice a frame's width.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.kinematics.kernels import multiply
from vidpretrain.solve.kernels import blocked, frame_cost, log_of, move


@njit(cache=True)
def linearise(tree, terms, var, speed, Q, Rb, pb, gradient, band, cost, left, s):
    """Fill gradient (t v), band (t v, 2 v + 1) and cost (t)."""
    n = len(var.lower)
    H = np.empty((n, n))
    gradient[:], band[:] = 0.0, 0.0
    for t in range(len(Q)):
        H[:] = 0.0
        cost[t] = frame_cost(tree, terms, var, t, Q[t], Rb[t], pb[t], True, gradient[t], H, left[t], s)
        for c in range(n):
            for r in range(c, n):
                band[t * n + c, r - c] = H[r, c]
    joints_smooth(var, speed, Q, True, gradient, band, cost)
    if var.base > 0:
        base_smooth(var, Rb, pb, True, gradient, band, cost)


@njit(cache=True)
def evaluate(tree, terms, var, speed, Q, Rb, pb, gradient, band, cost, left, s):
    """Fill cost (t) alone."""
    H = np.empty((1, 1))
    for t in range(len(Q)):
        cost[t] = frame_cost(tree, terms, var, t, Q[t], Rb[t], pb[t], False, gradient[t], H, left[t], s)
    joints_smooth(var, speed, Q, False, gradient, band, cost)
    if var.base > 0:
        base_smooth(var, Rb, pb, False, gradient, band, cost)


@njit(cache=True)
def pair(n, t, v, weight, band):
    """Couple variable v of frames t and t + 1 as weight (x' - x)^2 / 2 does."""
    k = t * n + v
    band[k, 0] += weight
    band[k + n, 0] += weight
    band[k, n] -= weight


@njit(cache=True)
def triple(n, t, v, weight, band):
    """Couple variable v of frames t - 1, t and t + 1 as weight (x' - 2 x + x'')^2 / 2 does."""
    k = (t - 1) * n + v
    band[k, 0] += weight
    band[k, n] -= 2.0 * weight
    band[k, 2 * n] += weight
    band[k + n, 0] += 4.0 * weight
    band[k + n, n] -= 2.0 * weight
    band[k + 2 * n, 0] += weight


@njit(cache=True)
def joints_smooth(var, speed, Q, wanted, gradient, band, cost):
    """Velocity, acceleration and the augmented Lagrangian of the speed limit, joint by joint.

    The limit |x' - x| <= step has multiplier `speed.multiplier` (t v) and stiffness `speed.stiffness` (v):
    cost (max(0, m + s c)^2 - m^2) / (2 s) (Nocedal and Wright, Numerical Optimization, section 17.4).
    """
    n = len(var.lower)
    for i in range(len(var.joint)):
        v, j = var.base + i, var.joint[i]
        for t in range(len(Q) - 1):
            d = Q[t + 1, j] - Q[t, j]
            force, weight = var.velocity[v] * d, var.velocity[v]
            cost[t] += 0.5 * weight * d * d
            stiff = speed.stiffness[v]
            if stiff > 0.0:
                m = speed.multiplier[t, v]
                push = max(0.0, m + stiff * (abs(d) - speed.aim[v]))
                cost[t] += (push * push - m * m) / (2.0 * stiff)
                if push > 0.0:
                    force += push if d > 0 else -push
                    weight += stiff
            if wanted:
                gradient[t + 1, v] += force
                gradient[t, v] -= force
                pair(n, t, v, weight, band)
            if t > 0 and var.acceleration[v] > 0.0:
                a = d - (Q[t, j] - Q[t - 1, j])
                cost[t] += 0.5 * var.acceleration[v] * a * a
                if wanted:
                    force = var.acceleration[v] * a
                    gradient[t - 1, v] += force
                    gradient[t, v] -= 2.0 * force
                    gradient[t + 1, v] += force
                    triple(n, t, v, var.acceleration[v], band)


@njit(cache=True)
def pull(sign, w, a, out):
    """Write a + sign w x a / 2 + c w x (w x a): the transposed inverse left (+) or right (-) Jacobian at w times a."""
    angle2 = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    angle = np.sqrt(angle2)
    c = 1.0 / 12.0 if angle < 1e-3 else 1.0 / angle2 - (1.0 + np.cos(angle)) / (2.0 * angle * np.sin(angle))
    x = np.array([w[1] * a[2] - w[2] * a[1], w[2] * a[0] - w[0] * a[2], w[0] * a[1] - w[1] * a[0]])
    y = np.array([w[1] * x[2] - w[2] * x[1], w[2] * x[0] - w[0] * x[2], w[0] * x[1] - w[1] * x[0]])
    for r in range(3):
        out[r] = a[r] + 0.5 * sign * x[r] + c * y[r]


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
def base_smooth(var, Rb, pb, wanted, gradient, band, cost):
    """Velocity and acceleration of the base: exact gradient on the manifold, matrix as for a flat space."""
    n = len(var.lower)
    work, quat, out = np.empty((2, 3, 3)), np.empty(4), np.empty(3)
    w0, w1, d0, d1, a = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    for t in range(len(Rb) - 1):
        w0[:], d0[:] = w1, d1
        base_change(Rb, pb, t, work, quat, w1, d1)
        for r in range(3):
            kw, kd = var.velocity[r], var.velocity[3 + r]
            cost[t] += 0.5 * (kw * w1[r] * w1[r] + kd * d1[r] * d1[r])
            if wanted:
                gradient[t + 1, r] += kw * w1[r]
                gradient[t, r] -= kw * w1[r]
                gradient[t + 1, 3 + r] += kd * d1[r]
                gradient[t, 3 + r] -= kd * d1[r]
                pair(n, t, r, kw, band)
                pair(n, t, 3 + r, kd, band)
        if t == 0:
            continue
        for r in range(3):
            kw, kd = var.acceleration[r], var.acceleration[3 + r]
            turn_off, shift_off = w1[r] - w0[r], d1[r] - d0[r]
            a[r] = kw * turn_off
            cost[t] += 0.5 * (kw * turn_off * turn_off + kd * shift_off * shift_off)
            if wanted:
                gradient[t + 1, 3 + r] += kd * shift_off
                gradient[t, 3 + r] -= 2.0 * kd * shift_off
                gradient[t - 1, 3 + r] += kd * shift_off
                triple(n, t, r, kw, band)
                triple(n, t, 3 + r, kd, band)
        if wanted:
            pull(1.0, w1, a, out)
            gradient[t + 1, :3] += out
            pull(-1.0, w1, a, out)
            gradient[t, :3] -= out
            pull(1.0, w0, a, out)
            gradient[t, :3] -= out
            pull(-1.0, w0, a, out)
            gradient[t - 1, :3] += out


@njit(cache=True)
def prepare(var, Q, gradient, damping, band, step):
    """Damp the band frame by frame, take blocked variables out of it, and write minus the gradient to step (t v)."""
    frames, n = gradient.shape
    wide = band.shape[1] - 1
    mean = 0.0
    for k in range(frames * n):
        mean += band[k, 0] / (frames * n)
    for t in range(frames):
        for v in range(n):
            band[t * n + v, 0] += damping[t] * (band[t * n + v, 0] + mean) + 1e-12 * (1.0 + mean)
            step[t, v] = -gradient[t, v]
    for t in range(frames):
        for i in range(len(var.joint)):
            v = var.base + i
            if blocked(v, Q[t, var.joint[i]], gradient[t, v], var):
                k = t * n + v
                step[t, v] = 0.0
                band[k, :] = 0.0
                band[k, 0] = 1.0
                for d in range(1, min(wide, k) + 1):
                    band[k - d, d] = 0.0


@njit(cache=True)
def move_all(tree, var, step, Q, Rb, pb, Q_out, Rb_out, pb_out):
    """Write the clip after a step."""
    work = np.empty((2, 3, 3))
    for t in range(len(Q)):
        move(tree, var, step[t], Q[t], Rb[t], pb[t], Q_out[t], Rb_out[t], pb_out[t], work)
