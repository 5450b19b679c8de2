"""Speed limits: an augmented Lagrangian round by round, then the exact projection (numba, cached on disk)."""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.solve import descend
from vidpretrain.solve.ball import change, slow_ball
from vidpretrain.solve.begin import fits
from vidpretrain.solve.lane_clip import lane_curvature, lane_descend
from vidpretrain.solve.layout import ball_unknowns
from vidpretrain.solve.problem import Problem
from vidpretrain.solve.state import Work

_ROUNDS, _ITERATIONS, _DAMPED, _ROUNDING = 12, 3, 1e-2, 1e-9


def _hold_speed(work: Work, problem: Problem, c: int) -> int:
    """Rounds of multipliers until a component is nowhere too fast; the iterations they took."""
    L, D, st, s = work.L, work.D, work.st, work.scratch
    done, stiff, settled = 0, np.zeros(len(L.var_column)), st.settled[c].copy()
    fast = fits(work, c)
    if fast:
        lane_curvature(L, D, c, st, stiff)
    else:
        curvature(L, D, c, st, s, stiff)
    st.damping[:] = descend.FIRST_DAMPING
    for _ in range(_ROUNDS):
        tighten(L, D, c, st, stiff)
        st.damping[:] = np.minimum(st.damping, _DAMPED)  # a round that is refused altogether makes the next push twice
        if fast:
            done += lane_descend(L, D, c, st, _ITERATIONS, problem.tolerance, False)[0]
        else:
            done += descend.descend(L, D, c, 0, problem.frames, st, _ITERATIONS, problem.tolerance, False, s)[0]
        if excess(L, D, c, st) <= 0.0:
            break
    st.settled[c] |= settled
    return done


def respect_speed(work: Work, problem: Problem) -> int:
    """A few rounds of multipliers, then the exact projection."""
    L, st, iterations = work.L, work.st, 0
    for c in np.flatnonzero(np.diff(L.var_at)):
        if excess(L, work.D, c, st) > 0.0:
            iterations += _hold_speed(work, problem, int(c))
    slow(work)
    return iterations


def slow(work: Work) -> None:
    """The exact projection onto the speed limits; balls are held back on their way from frame to frame."""
    L, D, Q = work.L, work.D, work.st.Q
    balls = ball_unknowns(L)
    flat = L.var_column >= 0
    for i in balls:
        flat[i : i + 3] = False
        _slow_turns(Q, int(L.var_column[i]), D.lower, D.upper, int(i), float(D.step[i]) * (1.0 - _ROUNDING))
    columns = L.var_column[flat]
    Q[:, columns] = slowed(Q[:, columns], D.step[flat])


def _slow_turns(Q: np.ndarray, j: int, lower: np.ndarray, upper: np.ndarray, i: int, step: float) -> None:
    """Hold the ball at column j back, in place: between a path that lags behind and one that begins early."""
    ahead, back = Q.copy(), Q[::-1].copy()
    slow_ball(ahead, j, lower, upper, i, step)
    slow_ball(back, j, lower, upper, i, step)
    early = back[::-1, j : j + 3]
    near = (
        np.linalg.norm(early - ahead[:, j : j + 3], axis=1, keepdims=True) < np.pi
    )  # else they name turns differently
    Q[:, j : j + 3] = np.where(near, 0.5 * (ahead[:, j : j + 3] + early), ahead[:, j : j + 3])
    slow_ball(Q, j, lower, upper, i, step)


def steps(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """(columns that are unknown, how much each may change in a frame so that no joint is too fast).

    A turn is no longer than the change of its rotation vector, so a ball's columns get 1 / sqrt(3) of its limit each.
    """
    step = work.D.step.copy()
    for i in ball_unknowns(work.L):
        step[i : i + 3] /= np.sqrt(3.0)
    joints = work.L.var_column >= 0
    return work.L.var_column[joints], step[joints]


def slowed(path: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The path (t v) nearest to the given one, in its largest change, that moves at most `step` (v) per frame.

    It is the mean of the largest slower path below and the smallest above (McShane 1934), so it stays between the
    given path's extremes, and therefore inside any limits that the given path respects.
    """
    out = np.array(path, dtype=float)
    slow_down(out, np.asarray(step, dtype=float) * (1.0 - _ROUNDING))
    return out


@njit(cache=True)
def slow_down(path, step):
    """`slowed` in place."""
    frames = len(path)
    below, above = np.empty(frames), np.empty(frames)
    for v in range(path.shape[1]):
        most = 0.0
        for t in range(frames - 1):
            most = max(most, abs(path[t + 1, v] - path[t, v]))
        if most <= step[v]:
            continue
        low, high = path[:, v].min(), path[:, v].max()
        below[0], above[0] = path[0, v], path[0, v]
        for t in range(1, frames):
            below[t] = min(path[t, v], below[t - 1] + step[v])
            above[t] = max(path[t, v], above[t - 1] - step[v])
        for t in range(frames - 2, -1, -1):
            below[t] = min(below[t], below[t + 1] + step[v])
            above[t] = max(above[t], above[t + 1] - step[v])
        for t in range(frames):
            path[t, v] = min(max(0.5 * (below[t] + above[t]), low), high)


@njit(cache=True, error_model="numpy")
def excess(L, D, c, st):
    """How far a component's largest change from frame to frame is beyond its limit; negative inside it."""
    out, w = -np.inf, np.empty(3)
    flat = L.var_at[c] + L.ball_at[c]
    for i in range(L.var_at[c] + L.base[c], flat):
        j = L.var_column[i]
        for t in range(len(st.Q) - 1):
            out = max(out, abs(st.Q[t + 1, j] - st.Q[t, j]) - D.step[i])
    for i in range(flat, L.var_at[c + 1], 3):
        for t in range(len(st.Q) - 1):
            out = max(out, turned(st.Q, t, L.var_column[i], w) - D.step[i])
    return out


@njit(cache=True, error_model="numpy")
def turned(Q, t, j, w):
    """The angle by which the ball at column j turns from frame t to the next; w (3) is written to."""
    change(Q, t, t + 1, j, w)
    return np.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])


@njit(cache=True, error_model="numpy")
def curvature(L, D, c, st, s, out):
    """Write the mean diagonal of a component's matrix to out (v), without the speed limits."""
    n, frames = L.var_at[c + 1] - L.var_at[c], len(st.Q)
    zero, yes, no = frames - frames, n > 0, n < 0
    G, cost = np.empty((frames, n)), np.empty(frames)
    A = np.empty((frames * n, descend.width(L, D, c, frames) + 1))
    descend.component_pass(L, D, c, zero, frames, st.Q, st.Rb, st.pb, st, yes, no, G, A, cost, s)
    for v in range(n):
        mean = 1e-9
        for t in range(frames):
            mean += A[t * n + v, A.shape[1] - 1] / frames
        out[L.var_at[c] + v] = mean


@njit(cache=True, error_model="numpy")
def tighten(L, D, c, st, stiff):
    """The next multipliers of the speed limits; `stiff` (v) is for unknowns that are beyond theirs at first."""
    flat, w = L.var_at[c] + L.ball_at[c], np.empty(3)
    for i in range(flat, L.var_at[c + 1], 3):
        over = False
        for t in range(len(st.Q) - 1):
            over = over or turned(st.Q, t, L.var_column[i], w) > D.aim[i]
        if over and st.stiffness[i] == 0.0:
            st.stiffness[i] = max(stiff[i], max(stiff[i + 1], stiff[i + 2]))
        if st.stiffness[i] > 0.0:
            for t in range(len(st.Q) - 1):
                beyond = turned(st.Q, t, L.var_column[i], w) - D.aim[i]
                st.multiplier[t, i] = max(0.0, st.multiplier[t, i] + st.stiffness[i] * beyond)
    for i in range(L.var_at[c] + L.base[c], flat):
        j, over = L.var_column[i], False
        for t in range(len(st.Q) - 1):
            over = over or abs(st.Q[t + 1, j] - st.Q[t, j]) > D.aim[i]
        if over and st.stiffness[i] == 0.0:
            st.stiffness[i] = stiff[i]
        if st.stiffness[i] > 0.0:
            for t in range(len(st.Q) - 1):
                beyond = abs(st.Q[t + 1, j] - st.Q[t, j]) - D.aim[i]
                st.multiplier[t, i] = max(0.0, st.multiplier[t, i] + st.stiffness[i] * beyond)
