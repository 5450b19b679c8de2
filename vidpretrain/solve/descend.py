"""Damped Gauss-Newton on one component: one frame, frame by frame, or all frames together (numba, cached on disk)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.kinematics.kernels import multiply, turn
from vidpretrain.solve.band import blocked, factor, factor_small, prepare, solve
from vidpretrain.solve.contact import contacts_pass
from vidpretrain.solve.rows import rows_pass
from vidpretrain.solve.smooth import base_smooth, joints_smooth

FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-4, 1e-6, 1e8
_STOPPED_RAD, _STOPPED_SHARE = 2e-3, 1e-3
NEAR_FRAMES, NEAR_FRAMES_LARGE, LARGE, STRIDE = 32, 96, 8, 4
SAME_RAD, KEPT = 0.1, 3


class Single(NamedTuple):
    """Buffers of a single frame's solve."""

    G: np.ndarray
    A: np.ndarray
    step: np.ndarray
    gone: np.ndarray
    cost: np.ndarray
    G_kept: np.ndarray
    A_kept: np.ndarray
    stride: np.ndarray


@njit(cache=True)
def single(n):
    """Buffers for n unknowns."""
    return Single(
        np.zeros((1, n)), np.zeros((n, n + 1)), np.zeros((1, n)), np.zeros(n), np.zeros(1), np.zeros(n),
        np.zeros((n, n + 1)), np.array([1, STRIDE]),
    )  # fmt: skip


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
    if len(st.contacts.push) > 0:
        contacts_pass(L.var_at, L.var_column, L.base, c, lo, hi, Q, st.contacts, wanted, G, A, cost)


@njit(cache=True, error_model="numpy")
def move(L, D, c, lo, hi, step, st, work):
    """Write the trial state of frames [lo, hi): joints clipped to their limits, the base turned and shifted."""
    first, base, n = L.var_at[c], L.base[c], L.var_at[c + 1] - L.var_at[c]
    for t in range(lo, hi):
        for v in range(base, n):
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
            most = max(most, abs(st.Q_new[t, j] - st.Q[t, j]))
        for v in range(base):
            most = max(most, abs(step[k, v]))
        level = abs(cost_new[k] - cost[k]) <= _STOPPED_SHARE * (cost[k] + before / frames)
        st.settled[c, t] = (most <= _STOPPED_RAD or level) and st.damping[t] < 1e-1


@njit(cache=True, error_model="numpy")
def settle(L, D, c, t, st, iterations, newton, tie, s, one):
    """Damped Gauss-Newton on frame t of a component alone, held to where it begins by `tie` (v); the cost it reaches.

    `one` holds the buffers of a single frame.
    """
    n, first, base = L.var_at[c + 1] - L.var_at[c], L.var_at[c], L.base[c]
    wide, yes = n, n > 0
    G, A, step, gone, cost = one.G, one.A, one.step, one.gone, one.cost
    damping, held, reached = 1e-3, 0.0, np.inf
    for v in range(n):
        gone[v], step[0, v] = 0.0, 0.0
    copy(L, c, t, t + 1, st.Q, st.Rb, st.pb, st.Q_new, st.Rb_new, st.pb_new)
    for iteration in range(iterations + 1):
        rows_pass(L, D, c, t, t + 1, st.Q_new, st.Rb_new, st.pb_new, yes, newton, G, A, cost, st.left, s)
        held_new = 0.0
        for v in range(n):
            held_new += 0.5 * tie[first + v] * (gone[v] + step[0, v]) ** 2
        new = cost[0] + held_new
        if new < reached:
            fell = reached - new
            copy(L, c, t, t + 1, st.Q_new, st.Rb_new, st.pb_new, st.Q, st.Rb, st.pb)
            for v in range(n):
                gone[v] += step[0, v]
                one.G_kept[v] = G[0, v]
                for k in range(wide + 1):
                    one.A_kept[v, k] = A[v, k]
            reached, held = new, held_new
            damping = max(LEAST_DAMPING, 0.3 * damping)
            if fell < (1e-6 if iterations > 8 else 1e-3) * reached:
                break
        else:
            damping *= 10.0
            if damping > 1e6:
                break
        if iteration == iterations:
            break
        mean = 1e-12
        for v in range(n):
            mean += (one.A_kept[v, wide] + tie[first + v]) / n
        for v in range(n):
            G[0, v] = one.G_kept[v] + tie[first + v] * gone[v]
            step[0, v] = -G[0, v]
            for k in range(wide):
                A[v, k] = one.A_kept[v, k]
            stiff = one.A_kept[v, wide] + tie[first + v]
            A[v, wide] = stiff + damping * (stiff + mean)
        for v in range(base, n):
            if blocked(st.Q[t, L.var_column[first + v]], D.lower[first + v], D.upper[first + v], G[0, v]):
                step[0, v] = 0.0
                A[v, :] = 0.0
                A[v, wide] = 1.0
                for u in range(v + 1, n):
                    A[u, wide - (u - v)] = 0.0
        if factor_small(A, n):
            solve(A, n, step[0])
        else:
            for v in range(n):
                step[0, v] = 0.0
        move(L, D, c, t, t + 1, step, st, s.work)
    return reached - held


@njit(cache=True, error_model="numpy")
def sweep(L, D, c, first, last, stride, st, iterations, newton, tie, s, one):
    """Carry frame `first` on to `last`, each frame from the one before; the sum of their costs.

    With a stride beyond one frame, those between are interpolated; the last step is as short as it has to be.
    """
    t, total = first, 0.0
    while t != last:
        to = min(t + stride, last) if stride > 0 else max(t + stride, last)
        for i in range(L.var_at[c] + L.base[c], L.var_at[c + 1]):
            j = L.var_column[i]
            st.Q[to, j] = st.Q[t, j]
        if L.base[c] > 0:
            st.Rb[to], st.pb[to] = st.Rb[t], st.pb[t]
        total += settle(L, D, c, to, st, iterations, newton, tie, s, one)
        for i in range(L.var_at[c] + L.base[c], L.var_at[c + 1]):
            j = L.var_column[i]
            slope = (st.Q[to, j] - st.Q[t, j]) / (to - t)
            for k in range(1, abs(to - t)):
                u = t + k if to > t else t - k
                st.Q[u, j] = st.Q[t, j] + slope * (u - t)
        t = to
    return total


@njit(cache=True, error_model="numpy")
def first_pass(L, D, c, k, candidates, st, start_iterations, sweep_iterations, newton, tie, s, one):
    """Settle candidates (i j) on frame k, carry the cheapest to frames nearby, and the best of them to both ends.

    Small components are carried in strides of `one.stride[1]` frames and interpolated between.
    """
    n, frames = L.var_at[c + 1] - L.var_at[c], len(st.Q)
    first = L.var_at[c] + L.base[c]
    columns = L.var_column[first : L.var_at[c + 1]]
    count = len(candidates)
    found, worth = np.empty((count, len(columns))), np.empty(count)
    R0, p0 = st.Rb[k].copy(), st.pb[k].copy()
    R, p = np.empty((count, 3, 3)), np.empty((count, 3))
    none = np.zeros_like(tie) + 1e-9
    for i in range(count):
        put(st, k, columns, candidates[i][columns], R0, p0, L.base[c])
        worth[i] = settle(L, D, c, k, st, start_iterations, newton, none, s, one)
        for v in range(len(columns)):
            found[i, v] = st.Q[k, columns[v]]
        R[i], p[i] = st.Rb[k], st.pb[k]
    order = np.argsort(worth, kind="mergesort")
    kept = distinct(found, worth, order)
    best, least = order[0], np.inf
    near = NEAR_FRAMES if n <= LARGE else NEAR_FRAMES_LARGE
    lo, hi = max(0, k - near // 2), min(frames - 1, k + near // 2)
    if kept.sum() > 1:
        for place in range(count):
            i = order[place]
            if not kept[i]:
                continue
            total = worth[i]
            for side in range(2):
                last, stride = (hi, one.stride[0]) if side == 0 else (lo, -one.stride[0])
                put(st, k, columns, found[i], R[i], p[i], L.base[c])
                total += sweep(L, D, c, k, last, stride, st, sweep_iterations, newton, tie, s, one)
            if total < least:
                best, least = i, total
    put(st, k, columns, found[best], R[best], p[best], L.base[c])
    stride = one.stride[1] if n <= LARGE and L.base[c] == 0 else one.stride[0]
    for side in range(2):
        last = frames - 1 if side == 0 else frames - frames
        way = stride if side == 0 else -stride
        sweep(L, D, c, k, last, way, st, sweep_iterations, newton, tie, s, one)


@njit(cache=True, error_model="numpy")
def distinct(found, worth, order):
    """The cheapest few of the candidates that are not the same posture."""
    kept = np.zeros(len(worth), dtype=np.bool_)
    for place in range(len(order)):
        i = order[place]
        new = worth[i] <= 10.0 * worth[order[0]] + 1e-9 and kept.sum() < KEPT
        for other in range(len(worth)):
            if kept[other] and np.abs(found[other] - found[i]).max() <= SAME_RAD:
                new = False
        kept[i] = new
    return kept


@njit(cache=True, error_model="numpy")
def put(st, k, columns, values, R, p, base):
    """Set frame k of a component."""
    for v in range(len(columns)):
        st.Q[k, columns[v]] = values[v]
    if base > 0:
        st.Rb[k], st.pb[k] = R, p


@njit(cache=True, error_model="numpy")
def richest_frame(L, D, c):
    """The first frame in which most of a component's rows have a target."""
    k, most = 0, -1
    for t in range(len(D.weight)):
        seen = 0
        for m in range(L.row_at[c], L.row_at[c + 1]):
            seen += 1 if D.weight[t, m] > 0.0 else 0
        for m in range(L.turn_at[c], L.turn_at[c + 1]):
            seen += 1 if D.turn_weight[t, m] > 0.0 else 0
        if seen > most:
            k, most = t, seen
    return k


@njit(cache=True, error_model="numpy")
def excess(L, D, c, st):
    """How far a component's largest change from frame to frame is beyond its limit; negative inside it."""
    out = -np.inf
    for i in range(L.var_at[c] + L.base[c], L.var_at[c + 1]):
        j = L.var_column[i]
        for t in range(len(st.Q) - 1):
            out = max(out, abs(st.Q[t + 1, j] - st.Q[t, j]) - D.step[i])
    return out


@njit(cache=True, error_model="numpy")
def curvature(L, D, c, st, s, out):
    """Write the mean diagonal of a component's matrix to out (v), without the speed limits."""
    n, frames = L.var_at[c + 1] - L.var_at[c], len(st.Q)
    zero, yes, no = frames - frames, n > 0, n < 0
    G, cost = np.empty((frames, n)), np.empty(frames)
    A = np.empty((frames * n, width(L, D, c, frames) + 1))
    component_pass(L, D, c, zero, frames, st.Q, st.Rb, st.pb, st, yes, no, G, A, cost, s)
    for v in range(n):
        mean = 1e-9
        for t in range(frames):
            mean += A[t * n + v, A.shape[1] - 1] / frames
        out[L.var_at[c] + v] = mean


@njit(cache=True, error_model="numpy")
def tighten(L, D, c, st, stiff):
    """The next multipliers of the speed limits; `stiff` (v) is for unknowns that are beyond theirs at first."""
    for i in range(L.var_at[c] + L.base[c], L.var_at[c + 1]):
        j, over = L.var_column[i], False
        for t in range(len(st.Q) - 1):
            over = over or abs(st.Q[t + 1, j] - st.Q[t, j]) > D.aim[i]
        if over and st.stiffness[i] == 0.0:
            st.stiffness[i] = stiff[i]
        if st.stiffness[i] > 0.0:
            for t in range(len(st.Q) - 1):
                beyond = abs(st.Q[t + 1, j] - st.Q[t, j]) - D.aim[i]
                st.multiplier[t, i] = max(0.0, st.multiplier[t, i] + st.stiffness[i] * beyond)
