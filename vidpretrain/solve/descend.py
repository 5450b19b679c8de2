"""Damped Gauss-Newton on the frames of one component together (numba, cached on disk)."""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.kinematics.kernels import multiply, turn
from vidpretrain.solve.ball import move_balls
from vidpretrain.solve.band import factor, prepare, solve
from vidpretrain.solve.contact import contacts_pass
from vidpretrain.solve.rows import rows_pass
from vidpretrain.solve.smooth import balls_smooth, base_smooth, joints_smooth

FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-4, 1e-6, 1e8
STOPPED_RAD, STOPPED_SHARE = 2e-3, 1e-3


@njit(cache=True, error_model="numpy")
def width(L, D, c, frames):
    """Width of the band: two frames where accelerations count, else one."""
    n = L.var_at[c + 1] - L.var_at[c]
    if frames > 2:
        for i in range(L.var_at[c], L.var_at[c + 1]):
            if D.acceleration[i] > 0.0:
                return 2 * n
    return n


@njit(cache=True, error_model="numpy")
def component_pass(L, D, c, lo, hi, Q, Rb, pb, st, wanted, newton, G, A, cost, s):
    """Cost (frame - lo) of targets, posture, smoothness and speed limit; with `wanted` also gradient and band."""
    rows_pass(L, D, c, lo, hi, Q, Rb, pb, wanted, newton, G, A, cost, st.left, s)
    if len(Q) > 1:
        joints_smooth(L, D, c, lo, hi, Q, st.stiffness, st.multiplier, wanted, G, A, cost)
        if L.base[c] > 0:
            base_smooth(L, D, c, lo, hi, Rb, pb, wanted, G, A, cost)
        if L.ball_at[c] < L.var_at[c + 1] - L.var_at[c]:
            balls_smooth(L, D, c, lo, hi, Q, st.stiffness, st.multiplier, wanted, G, A, cost)
    if len(st.contacts.push) > 0:
        contacts_pass(L.var_at, L.var_column, L.base, c, lo, hi, Q, st.contacts, wanted, G, A, cost)


@njit(cache=True, error_model="numpy")
def move(L, D, c, lo, hi, step, st, work):
    """Write the trial state of frames [lo, hi): joints clipped to their limits, the base turned and shifted."""
    first, base, n = L.var_at[c], L.base[c], L.var_at[c + 1] - L.var_at[c]
    if L.ball_at[c] < n:
        move_balls(L, D, c, lo, hi, step, st.Q, st.Q_new)
    for t in range(lo, hi):
        for v in range(base, L.ball_at[c]):
            i = first + v
            j = L.var_column[i]
            st.Q_new[t, j] = min(max(st.Q[t, j] + step[t - lo, v], D.lower[i]), D.upper[i])
        if base > 0:
            x, y, z = step[t - lo, 0], step[t - lo, 1], step[t - lo, 2]
            angle = np.sqrt(x * x + y * y + z * z)
            axis = np.array([x, y, z]) / angle if angle > 1e-300 else np.array([1.0, 0.0, 0.0])
            turn(axis, angle, work[0])
            multiply(work[0], st.Rb[t], work[1])
            for r in range(3):
                st.pb_new[t, r] = st.pb[t, r] + step[t - lo, 3 + r]
                for k in range(3):
                    st.Rb_new[t, r, k] = work[1, r, k]


@njit(cache=True, error_model="numpy")
def copy(L, c, lo, hi, Q, Rb, pb, Q_to, Rb_to, pb_to):
    """Copy a component's part of the state."""
    for i in range(L.var_at[c] + L.base[c], L.var_at[c + 1]):
        j = L.var_column[i]
        for t in range(lo, hi):
            Q_to[t, j] = Q[t, j]
    if L.base[c] > 0:
        Rb_to[lo:hi], pb_to[lo:hi] = Rb[lo:hi], pb[lo:hi]


@njit(cache=True, error_model="numpy")
def adapt(cost, cost_new, gain, damping, lo, hi):
    """Change the damping by the gain, what the cost fell over what was predicted; most where the cost rose."""
    frames = hi - lo
    rose_before = False
    for k in range(frames):
        rose_here = cost_new[k] > cost[k] * (1 + 1e-9)
        rose_next = k + 1 < frames and cost_new[k + 1] > cost[k + 1] * (1 + 1e-9)
        rose = rose_here or rose_before or rose_next
        rose_before = rose_here
        if gain > 0.7:
            factor = 0.5 if rose else 0.2
        elif gain > 0.2:
            factor = 2.0 if rose else 0.5
        elif gain >= 0.0:
            factor = 3.0 if rose else 1.0
        else:
            factor = 10.0 if rose else 3.0
        damping[lo + k] = min(max(damping[lo + k] * factor, LEAST_DAMPING), MOST_DAMPING)


@njit(cache=True, error_model="numpy")
def predicted(G, step):
    """How much the cost falls by the quadratic model, at least."""
    out = 0.0
    for k in range(len(step)):
        for v in range(step.shape[1]):
            out -= 0.5 * G[k, v] * step[k, v]
    return out


@njit(cache=True, error_model="numpy")
def descend(L, D, c, lo, hi, st, iterations, tolerance, newton, s):
    """Damped Gauss-Newton on frames [lo, hi) of a component, in place; (iterations, cost).

    Damping is per frame: it grows where a frame's cost rose and shrinks elsewhere, and a step is taken when the whole
    cost falls (Levenberg-Marquardt). It ends when a nearly undamped step, or two steps of any kind, lower the cost by
    less than `tolerance` of itself. Source: Nocedal and Wright, sections 10.3 and 16.7.
    """
    n, frames = L.var_at[c + 1] - L.var_at[c], hi - lo
    yes = n > 0  # a literal would have its own compiled version
    G, step = np.empty((frames, n)), np.empty((frames, n))
    A = np.empty((frames * n, width(L, D, c, frames) + 1))
    cost, cost_new = np.empty(frames), np.empty(frames)
    component_pass(L, D, c, lo, hi, st.Q, st.Rb, st.pb, st, yes, newton, G, A, cost, s)
    copy(L, c, lo, hi, st.Q, st.Rb, st.pb, st.Q_new, st.Rb_new, st.pb_new)
    before, quiet, done = cost.sum(), 0, 0
    for _ in range(iterations):
        done += 1
        prepare(L, D, c, lo, hi, st.Q, G, st.damping, A, step)
        good = factor(A, frames * n)
        if good:
            solve(A, frames * n, step.reshape(-1))
            expected, most = predicted(G, step), st.damping[lo:hi].max()
            if expected <= 0.1 * tolerance * before and most < 1e-3:
                st.settled[c, lo:hi] = True
                break
            move(L, D, c, lo, hi, step, st, s.work)
            component_pass(L, D, c, lo, hi, st.Q_new, st.Rb_new, st.pb_new, st, yes, newton, G, A, cost_new, s)
            after = cost_new.sum()
            good = after <= before
            adapt(cost, cost_new, (before - after) / max(1e-300, expected), st.damping, lo, hi)
        else:
            for t in range(lo, hi):
                st.damping[t] = min(st.damping[t] * 10.0, MOST_DAMPING)
        if not good:
            component_pass(L, D, c, lo, hi, st.Q, st.Rb, st.pb, st, yes, newton, G, A, cost, s)
            if st.damping[lo:hi].min() > 1e4:
                break
            quiet = 0
            continue
        settle_flags(L, c, lo, hi, cost, cost_new, before, st, step)
        copy(L, c, lo, hi, st.Q_new, st.Rb_new, st.pb_new, st.Q, st.Rb, st.pb)
        cost[:] = cost_new
        small = before - after < tolerance * max(before, 1e-300)
        before = after
        quiet = quiet + 1 if small else 0
        if quiet == 2 or (small and most < 1e-3):
            break
    return done, before


@njit(cache=True, error_model="numpy")
def settle_flags(L, c, lo, hi, cost, cost_new, before, st, step):
    """Note the frames that the accepted step hardly changed, in posture or in cost, and that were not held back."""
    frames, base, first = hi - lo, L.base[c], L.var_at[c]
    for k in range(frames):
        t = lo + k
        most = 0.0
        for i in range(first + base, L.var_at[c + 1]):
            j = L.var_column[i]
            moved = abs(st.Q_new[t, j] - st.Q[t, j])
            if i - first >= L.ball_at[c]:  # a rotation vector may change into its equivalent
                moved = min(moved, abs(step[k, i - first]))
            most = max(most, moved)
        for v in range(base):
            most = max(most, abs(step[k, v]))
        level = abs(cost_new[k] - cost[k]) <= STOPPED_SHARE * (cost[k] + before / frames)
        st.settled[c, t] = (most <= STOPPED_RAD or level) and st.damping[t] < 1e-1
