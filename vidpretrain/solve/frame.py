"""One frame of a stream: a few damped Newton steps inside a box around the frame before (numba, cached on disk).

What the solver shares with whole clips (`rows_pass`, the band) is compiled again from the same source, into these
functions and on packs: see `pack`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vidpretrain.kinematics import kernels
from vidpretrain.solve import band, rows
from vidpretrain.solve.pack import inline, inlined, kernel

COAST = 0.8  # of its speed a joint keeps from frame to frame where no target moves it
LEAST_DAMPING, MOST_DAMPING = 1e-7, 1e6
_rows, factor, solve = inlined(rows.rows_pass), inlined(band.factor), inlined(band.solve)
multiply, quat_of, turn, log_of = (
    inlined(kernels.multiply),
    inlined(kernels.quat_of),
    inlined(kernels.turn),
    inlined(rows.log_of),
)
blocked = inlined(band.blocked)


class Frame(NamedTuple):
    """The frame under way, the two before it, and buffers; rows as in the layout, unknowns as the problem's."""

    vectors: np.ndarray  # (m 3), given, in the order of the problem's vector terms
    turns: np.ndarray  # (k 4), given quaternions
    weight: np.ndarray  # (m), given
    turn_weight: np.ndarray  # (k), given
    Q: np.ndarray  # (1 j)
    Rb: np.ndarray  # (1 3 3)
    pb: np.ndarray  # (1 3)
    q1: np.ndarray  # (j), the frame before
    R1: np.ndarray  # (3 3)
    p1: np.ndarray  # (3)
    ahead: np.ndarray  # (v), how far that frame had moved, coasting where no target is: joints, rad and m of the base
    q0: np.ndarray  # (j), scratch: before the step
    R0: np.ndarray
    p0: np.ndarray
    seen: np.ndarray  # (v), whether a target moves the unknown in this frame
    lower: np.ndarray  # (v), the box
    upper: np.ndarray  # (v)
    G: np.ndarray  # (1 n)
    A: np.ndarray  # (n n + 1) of the widest component
    step: np.ndarray  # (n)
    cost: np.ndarray  # (1)
    left: np.ndarray  # (1 m + k)
    moved: np.ndarray  # (6), of the base from the frame before: turn and shift
    turned: np.ndarray  # (3), scratch
    quat: np.ndarray  # (4), scratch
    work: np.ndarray  # (2 3 3), scratch
    source: np.ndarray  # (j), who moves each joint, and how
    ratio: np.ndarray
    offset: np.ndarray
    follows: np.ndarray  # (j)
    vector_term: np.ndarray  # (m), places of the vector rows among the problem's terms
    turn_term: np.ndarray  # (k)
    out: np.ndarray  # joints, pose of the base (7), residuals, iterations, cost, depth


@inline
def take_targets(L, D, f):
    """Write this frame's targets and weights in the layout's order: weight 0 where a target or weight is not finite."""
    for i in range(len(f.seen)):
        f.seen[i] = False
    for c in range(len(L.base)):
        first = L.var_at[c]
        for m in range(L.row_at[c], L.row_at[c + 1]):
            place = L.row[m]
            x, y, z, weight = f.vectors[place, 0], f.vectors[place, 1], f.vectors[place, 2], f.weight[place]
            if not (np.isfinite(x + y + z + weight) and weight > 0.0):
                D.weight[0, m] = 0.0
                continue
            D.weight[0, m] = weight
            D.target[0, m, 0], D.target[0, m, 1], D.target[0, m, 2] = x, y, z
            for i in range(L.rowvar_at[m], L.rowvar_at[m + 1]):
                f.seen[first + L.rowvar[i]] = True
        for m in range(L.turn_at[c], L.turn_at[c + 1]):
            place = L.turn[m]
            w, x, y, z = f.turns[place, 0], f.turns[place, 1], f.turns[place, 2], f.turns[place, 3]
            weight, long = f.turn_weight[place], np.sqrt(w * w + x * x + y * y + z * z)
            if not (np.isfinite(long + weight) and weight > 0.0 and long > 1e-9):
                D.turn_weight[0, m] = 0.0
                continue
            D.turn_weight[0, m] = weight
            rotation(w / long, x / long, y / long, z / long, D.turn, 0, m)
            for i in range(L.turnvar_at[m], L.turnvar_at[m + 1]):
                f.seen[first + L.turnvar[i]] = True


@inline
def rotation(w, x, y, z, out, t, m):
    """Write the matrix of a unit quaternion to out[t, m]."""
    out[t, m, 0, 0], out[t, m, 0, 1], out[t, m, 0, 2] = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
    )
    out[t, m, 1, 0], out[t, m, 1, 1], out[t, m, 1, 2] = (
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
    )
    out[t, m, 2, 0], out[t, m, 2, 1], out[t, m, 2, 2] = (
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )


@inline
def predict(L, D, f):
    """Draw the box around the frame before, and put the frame where it would go on to."""
    for i in range(len(L.var_column)):
        j = L.var_column[i]
        if not f.seen[i]:
            f.ahead[i] *= COAST
        if j < 0:
            continue
        reach = D.step[i] * (1.0 - 1e-9)
        f.lower[i] = max(D.lower[i], f.q1[j] - reach)
        f.upper[i] = min(D.upper[i], f.q1[j] + reach)
        f.Q[0, j] = min(max(f.q1[j] + f.ahead[i], f.lower[i]), f.upper[i])
    for c in range(len(L.base)):
        if L.base[c] > 0:
            first = L.var_at[c]
            push(f.ahead, first, f.R1, f.p1, f)


@inline
def push(by, first, R, p, f):
    """Write the base's pose turned and shifted by by[first : first + 6] from R and p."""
    x, y, z = by[first], by[first + 1], by[first + 2]
    angle = np.sqrt(x * x + y * y + z * z)
    scale = 1.0 / angle if angle > 1e-300 else 0.0
    f.turned[0], f.turned[1], f.turned[2] = x * scale, y * scale, z * scale
    turn(f.turned, angle, f.work[0])
    multiply(f.work[0], R, f.work[1])
    for r in range(3):
        f.pb[0, r] = p[r] + by[first + 3 + r]
        for k in range(3):
            f.Rb[0, r, k] = f.work[1, r, k]


@inline
def base_moved(f):
    """Write how the base has moved from the frame before: log(R R1^T) and p - p1."""
    for r in range(3):
        f.moved[3 + r] = f.pb[0, r] - f.p1[r]
        for k in range(3):
            f.work[0, r, k] = f.R1[k, r]
    multiply(f.Rb[0], f.work[0], f.work[1])
    log_of(f.work[1], f.quat, f.turned)
    for r in range(3):
        f.moved[r] = f.turned[r]


@inline
def smooth(L, D, c, f, wanted):
    """Cost of velocity and acceleration against the frames before; with `wanted` also gradient and matrix."""
    first, base, n, wide, total = L.var_at[c], L.base[c], L.var_at[c + 1] - L.var_at[c], f.A.shape[1] - 1, 0.0
    if base > 0:
        base_moved(f)
    for v in range(n):
        i = first + v
        velocity, acceleration = D.velocity[i], D.acceleration[i]
        if velocity == 0.0 and acceleration == 0.0:
            continue
        d = f.moved[v] if v < base else f.Q[0, L.var_column[i]] - f.q1[L.var_column[i]]
        e = d - f.ahead[i]
        total += 0.5 * (velocity * d * d + acceleration * e * e)
        if wanted:
            f.G[0, v] += velocity * d + acceleration * e
            f.A[v, wide] += velocity + acceleration
    return total


@inline
def evaluate(L, D, c, s, f, wanted):
    """Cost of a component where it stands, with `wanted` also its gradient and matrix.

    Second derivatives are left out: from the frame before they save an iteration less often than they cost one.
    """
    _rows(L, D, c, 0, 1, f.Q, f.Rb, f.pb, wanted, c < 0, f.G, f.A, f.cost, f.left, s)
    return f.cost[0] + smooth(L, D, c, f, wanted)


@inline
def newton_step(L, c, f, damping):
    """Write the damped step that stays off the box's walls; False where the matrix is not positive definite."""
    first, base, n, wide, mean = L.var_at[c], L.base[c], L.var_at[c + 1] - L.var_at[c], f.A.shape[1] - 1, 0.0
    for v in range(n):
        mean += f.A[v, wide] / n
    for v in range(n):
        f.A[v, wide] += damping * (f.A[v, wide] + mean) + 1e-12 * (1.0 + mean)
        f.step[v] = -f.G[0, v]
    for v in range(base, n):
        if blocked(f.Q[0, L.var_column[first + v]], f.lower[first + v], f.upper[first + v], f.G[0, v]):
            f.step[v] = 0.0
            for k in range(wide):
                f.A[v, k] = 0.0
            f.A[v, wide] = 1.0
            for u in range(v + 1, n):
                f.A[u, wide - (u - v)] = 0.0
    if not factor(f.A, n):
        return False
    solve(f.A, n, f.step)
    return True


@inline
def walk(L, c, f):
    """Go along the step as far as the box allows; (largest change, whether a wall was met, fall that is expected)."""
    first, base, n = L.var_at[c], L.base[c], L.var_at[c + 1] - L.var_at[c]
    most, met, fall = 0.0, False, 0.0
    for v in range(base, n):
        i = first + v
        j = L.var_column[i]
        f.q0[j] = f.Q[0, j]
        to = f.Q[0, j] + f.step[v]
        inside = min(max(to, f.lower[i]), f.upper[i])
        met = met or inside != to
        f.Q[0, j] = inside
        most = max(most, abs(inside - f.q0[j]))
        fall -= 0.5 * f.G[0, v] * (inside - f.q0[j])
    if base > 0:
        for r in range(3):
            f.p0[r] = f.pb[0, r]
            for k in range(3):
                f.R0[r, k] = f.Rb[0, r, k]
        push(f.step, 0, f.R0, f.p0, f)
        for v in range(base):
            most = max(most, abs(f.step[v]))
            fall -= 0.5 * f.G[0, v] * f.step[v]
    return most, met, fall


@inline
def go_back(L, c, f):
    """Undo `walk`."""
    for i in range(L.var_at[c] + L.base[c], L.var_at[c + 1]):
        f.Q[0, L.var_column[i]] = f.q0[L.var_column[i]]
    if L.base[c] > 0:
        for r in range(3):
            f.pb[0, r] = f.p0[r]
            for k in range(3):
                f.Rb[0, r, k] = f.R0[r, k]


@kernel
def evaluated(L, D, c, s, f, wanted):
    """`evaluate` as a call."""
    return evaluate(L, D, c, s, f, wanted)


@inline
def settle_frame(L, D, c, s, f, most, tolerance):
    """Damped Newton on a component inside its box; (iterations, cost). What it ends with is evaluated (`left`).

    It ends where the fall was as expected but for `tolerance` of the cost: the next step would not bring more.
    """
    cost, expected, moved, damping, met, done = 0.0, 0.0, 0.0, LEAST_DAMPING, False, 0
    wanted, last = L.var_at[c + 1] > L.var_at[c], False  # one call of `evaluate` serves all: it is inlined
    while True:
        value = evaluate(L, D, c, s, f, wanted)
        if last or L.var_at[c + 1] == L.var_at[c]:
            return done, value
        if wanted:
            cost = value
            if newton_step(L, c, f, damping):
                moved, met, expected = walk(L, c, f)
                wanted = False
            else:
                damping = max(1e-4, damping * 10.0)
                last = damping > MOST_DAMPING
                wanted = not last
            continue
        done += 1
        if value <= cost * (1.0 + 1e-12):
            damping = max(LEAST_DAMPING, 0.1 * damping)
            calm = not met and abs(cost - value - expected) <= tolerance * value and damping < 1e-3
            if done >= most or moved < 1e-6 or calm:
                return done, value
            wanted = True
            continue
        go_back(L, c, f)
        damping = max(1e-4, damping * 10.0)
        last = done >= most or damping > MOST_DAMPING
        wanted = not last


@inline
def from_before(L, f):
    """Put the frame where the one before is."""
    for i in range(len(L.var_column)):
        j = L.var_column[i]
        if j >= 0:
            f.Q[0, j] = min(max(f.q1[j], f.lower[i]), f.upper[i])
    for r in range(3):
        f.pb[0, r] = f.p1[r]
        for k in range(3):
            f.Rb[0, r, k] = f.R1[r, k]


@inline
def finite(L, f):
    """Whether all unknowns are numbers."""
    total = 0.0
    for i in range(len(L.var_column)):
        j = L.var_column[i]
        total += f.Q[0, j] if j >= 0 else 0.0
    for r in range(3):
        total += f.pb[0, r] + f.Rb[0, r, 0] + f.Rb[0, r, 1] + f.Rb[0, r, 2]
    return np.isfinite(total)


@inline
def keep(L, f):
    """The frame becomes the one before, and the one before says how far it moved."""
    base_moved(f)
    for c in range(len(L.base)):
        for i in range(L.var_at[c], L.var_at[c + 1]):
            j = L.var_column[i]
            f.ahead[i] = f.Q[0, j] - f.q1[j] if j >= 0 else f.moved[i - L.var_at[c]]
    for j in range(len(f.q1)):
        f.q1[j] = f.Q[0, j]
    for r in range(3):
        f.p1[r] = f.pb[0, r]
        for k in range(3):
            f.R1[r, k] = f.Rb[0, r, k]


@inline
def report(L, D, f):
    """Write joints with followers, the base's pose and the residuals to `out`."""
    joints = len(f.q1)
    for j in range(joints):
        f.out[j] = f.ratio[j] * f.Q[0, f.source[j]] + f.offset[j] if f.follows[j] else f.Q[0, j]
    quat_of(f.Rb[0], f.quat)
    for r in range(4):
        f.out[joints + r] = f.quat[r]
    for r in range(3):
        f.out[joints + 4 + r] = f.pb[0, r]
    for m in range(len(L.row)):
        place = L.row[m]
        f.out[joints + 7 + f.vector_term[place]] = f.left[0, place] if D.weight[0, m] > 0.0 else np.nan
    for m in range(len(L.turn)):
        place = L.turn[m]
        left = f.left[0, len(L.row) + place] if D.turn_weight[0, m] > 0.0 else np.nan
        f.out[joints + 7 + f.turn_term[place]] = left
