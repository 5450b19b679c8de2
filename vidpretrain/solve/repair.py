"""Stretches of a clip that took a wrong turn: found by their cost, begun again, kept where the whole gets cheaper.

A limb that a frame leaves undecided (stretched out, or its limits far away) may go the wrong way there, and then every
later frame follows. Its cost rises until some frame is far dearer than the posture that would serve it. So the dearest
frame is solved alone from other postures of the limbs whose rows cost most; a better one is carried to both sides for
as long as it saves anything, and the stretch is solved again, all its frames together.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.solve.descend import FIRST_DAMPING, component_pass, copy, descend, width
from vidpretrain.solve.rows import robust, rows_pass
from vidpretrain.solve.single import put, settle
from vidpretrain.solve.state import Work

_TRIES, _DRAWN, _LIMBS, _OTHERS = 6, 12, 3, 4
_SETTLE, _CARRY, _WINDOW = 8, 4, 60  # iterations
_SAVES, _MISSES, _AROUND = 0.95, 3, 8
_STEP = 0.6180339887498949  # of evenly spread draws, with another start for every unknown


def repair(work: Work, c: int, starts: np.ndarray, one) -> bool:
    """Try to better a component's dearest stretches; whether any was changed. `one` is `single.single`'s."""
    L, D, st = work.L, work.D, work.st
    return repaired(L, D, c, starts, st, work.scratch, one, np.full(len(L.var_column), 1e-9)) > 0


@njit(cache=True, error_model="numpy")
def repaired(L, D, c, starts, st, s, one, tie):
    """`repair` on arrays; how many stretches were changed."""
    frames, done = len(st.Q), 0
    no, yes, zero = frames < 0, frames > 0, frames - frames
    nothing, cost, tried = np.zeros((1, 1)), np.zeros(frames), np.zeros(frames, np.bool_)
    kept_Q, kept_R, kept_p = st.Q.copy(), st.Rb.copy(), st.pb.copy()
    for attempt in range(_TRIES):
        rows_pass(L, D, c, zero, frames, st.Q, st.Rb, st.pb, no, no, nothing, nothing, cost, st.left, s)
        t = np.argmax(np.where(tried, -1.0, cost))
        if tried[t] or not cost[t] > 0.0:
            break
        copy(L, c, zero, frames, st.Q, st.Rb, st.pb, kept_Q, kept_R, kept_p)
        tried[max(0, t - _AROUND) : t + _AROUND + 1] = True
        if not better(L, D, c, t, cost[t], starts, attempt, st, s, one, tie):
            copy(L, c, t, t + 1, kept_Q, kept_R, kept_p, st.Q, st.Rb, st.pb)
            if attempt > 0 or done > 0:
                break
            continue
        lo = spread(L, D, c, t, -1, cost, st, kept_Q, kept_R, kept_p, s, one, tie)
        hi = spread(L, D, c, t, 1, cost, st, kept_Q, kept_R, kept_p, s, one, tie) + 1
        lo, hi = max(0, lo - _AROUND), min(frames, hi + _AROUND)
        n = L.var_at[c + 1] - L.var_at[c]
        G, A = np.empty((hi - lo, n)), np.empty(((hi - lo) * n, width(L, D, c, hi - lo) + 1))
        part = np.zeros(hi - lo)
        component_pass(L, D, c, lo, hi, kept_Q, kept_R, kept_p, st, no, no, G, A, part, s)
        st.damping[lo:hi] = FIRST_DAMPING
        after = descend(L, D, c, lo, hi, st, _WINDOW, 1e-6, yes, s)[1]
        if after < part.sum():
            done += 1
        else:
            copy(L, c, lo, hi, kept_Q, kept_R, kept_p, st.Q, st.Rb, st.pb)
    return done


@njit(cache=True, error_model="numpy")
def dearest(L, D, c, t, st, s):
    """The vector rows of frame t that move by joints, dearest first; `left` must be that of frame t as it stands."""
    base, m0, m1 = L.base[c], L.row_at[c], L.row_at[c + 1]
    worth = np.zeros(m1 - m0)
    for m in range(m0, m1):
        moved = False
        for i in range(L.rowvar_at[m], L.rowvar_at[m + 1]):
            moved = moved or L.rowvar[i] >= base
        if moved and D.weight[t, m] > 0.0:
            worth[m - m0] = D.weight[t, m] * robust(st.left[t, L.row[m]], D.loss[m], D.scale[m])[0]
    order = np.argsort(-worth, kind="mergesort")
    return order[: (worth > 0.0).sum()] + m0


@njit(cache=True, error_model="numpy")
def better(L, D, c, t, cost, starts, attempt, st, s, one, tie):
    """Leave the best posture found for frame t alone in place; whether it costs much less than `cost`."""
    first = L.var_at[c] + L.base[c]
    columns = L.var_column[first : L.var_at[c + 1]]
    rows, base, n = dearest(L, D, c, t, st, s)[:_LIMBS], L.base[c], len(columns)
    Q0, R0, p0 = st.Q[t].copy(), st.Rb[t].copy(), st.pb[t].copy()
    best, Q1, R1, p1 = np.inf, Q0.copy(), R0.copy(), p0.copy()
    redrawn, values = np.zeros(n, np.bool_), np.empty(n)
    for i in range(_DRAWN + min(_OTHERS, len(starts))):
        redrawn[:] = False
        if i < _DRAWN:
            if len(rows) == 0:
                continue
            row = rows[i % len(rows)]
            for e in range(L.rowvar_at[row], L.rowvar_at[row + 1]):
                if L.rowvar[e] >= base:
                    redrawn[L.rowvar[e] - base] = True
        for v in range(n):
            values[v] = Q0[columns[v]]
            if i >= _DRAWN:
                values[v] = starts[i - _DRAWN, columns[v]]
            elif redrawn[v]:
                lower, upper = max(D.lower[first + v], -np.pi), min(D.upper[first + v], np.pi)
                share = ((i + 1 + attempt * _DRAWN) * (_STEP + 0.3819660112501051 * (v % 7) / 7.0) + 0.37 * v) % 1.0
                values[v] = min(max(lower + share * (upper - lower), D.lower[first + v]), D.upper[first + v])
        put(st, t, columns, values, R0, p0, base)
        reached = settle(L, D, c, t, st, _SETTLE, n > 0, tie, s, one)
        if reached < best:
            best = reached
            Q1[:], R1[:], p1[:] = st.Q[t], st.Rb[t], st.pb[t]
        if best < 0.01 * cost:
            break
    st.Q[t], st.Rb[t], st.pb[t] = Q1, R1, p1
    return best < _SAVES * cost


@njit(cache=True, error_model="numpy")
def spread(L, D, c, t, way, cost, st, kept_Q, kept_R, kept_p, s, one, tie):
    """Carry frame t on for as long as that costs less than what stood there; the last frame that it changed."""
    frames, last, misses, u = len(st.Q), t, 0, t + way
    first = L.var_at[c] + L.base[c]
    columns = L.var_column[first : L.var_at[c + 1]]
    while 0 <= u < frames and misses < _MISSES:
        put(st, u, columns, st.Q[u - way][columns], st.Rb[u - way], st.pb[u - way], L.base[c])
        if settle(L, D, c, u, st, _CARRY, frames > 0, tie, s, one) < 0.95 * cost[u]:
            last, misses = u, 0
        else:
            misses += 1
        u += way
    for k in range(last + way, u, way):
        copy(L, c, k, k + 1, kept_Q, kept_R, kept_p, st.Q, st.Rb, st.pb)
    return last
