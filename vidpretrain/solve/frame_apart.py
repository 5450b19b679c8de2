"""Self-collision of one frame: steps from the frame before that keep linearised distances (numba, cached on disk).

Each round is a quadratic program in all unknowns together: the frame's cost, every near pair's linearised distance at
least the margin, and the box. It begins at the joints of the frame before, which are clear, so that a pair is pushed
back to the side that it came from, and only postures that overlap no more than that are taken. Where a step is refused,
the pairs that got in its way join the program, however far they are, and the next one may go less far. The program is
solved in its dual, constraint after constraint (Hildreth 1957; Bertsekas, Nonlinear Programming, section 6.2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vidpretrain.collision.linear import linearise
from vidpretrain.collision.near import Blocks
from vidpretrain.kinematics.arrays import TreeArrays
from vidpretrain.solve.frame import evaluated, factor, from_before, push, solve
from vidpretrain.solve.pack import allocating, kernel

ROUNDS, SWEEPS, TRIES, ALSO = 8, 40, 3, 64
_NEAR_M, _TRUST_RAD, _LEAST_RAD, _SOFT, _SHRINK = 0.01, 0.25, 0.01, 1e-4, 0.4
_CALM_M, _CALM_SHARE = 1e-5, 1e-3
_linearise = allocating(linearise.py_func)


class Near(NamedTuple):
    """Capsules and pairs, the contacts found, and the buffers of the quadratic program over all unknowns."""

    tree: TreeArrays
    joint: np.ndarray
    start: np.ndarray
    end: np.ndarray
    radius: np.ndarray
    pairs: np.ndarray
    blocks: Blocks
    column: np.ndarray  # (j), the unknown that moves each joint, -1: none
    margin: np.ndarray  # (1)
    full: np.ndarray  # (1 j), followers included
    use: np.ndarray  # (1)
    also: np.ndarray  # (n), pairs that count however far, -1: no more
    frame: np.ndarray
    pair: np.ndarray
    gap: np.ndarray
    at: np.ndarray
    var: np.ndarray
    slope: np.ndarray
    inverse: np.ndarray  # (v v), of the matrix
    g: np.ndarray  # (v)
    go: np.ndarray  # (v), the step
    low: np.ndarray  # (v), walls of the step
    high: np.ndarray  # (v)
    wall: np.ndarray  # (v), multipliers of the walls
    force: np.ndarray  # (k), multipliers of the contacts
    Y: np.ndarray  # (k v), what a contact's force moves
    yields: np.ndarray  # (k), by how much it opens its own gap, 0: not known yet
    q: np.ndarray  # (j), the best so far
    R: np.ndarray
    p: np.ndarray


@kernel
def overlap(f, K):
    """(contacts, sum of the depths) where the frame stands; linearises the near pairs."""
    for j in range(len(f.source)):
        K.full[0, j] = f.ratio[j] * f.Q[0, f.source[j]] + f.offset[j] if f.follows[j] else f.Q[0, j]
    near, deep = K.margin[0] + _NEAR_M, 0.0
    count = _linearise(
        K.tree, K.joint, K.start, K.end, K.radius, K.pairs, K.blocks, K.column, K.full, K.use, near, K.also, len(K.gap),
        K.frame, K.pair, K.gap, K.at, K.var, K.slope,
    )  # fmt: skip
    for k in range(count):
        deep += max(0.0, -K.gap[k])
    return count, deep


@kernel
def slopes(L, D, s, f, K, inverse):
    """Write the gradient of all unknowns, and with `inverse` the inverse of the matrix, block by block; the cost."""
    total = 0.0
    for c in range(len(L.base)):
        first, n, wide = L.var_at[c], L.var_at[c + 1] - L.var_at[c], f.A.shape[1] - 1
        total += evaluated(L, D, c, s, f, n >= 0)
        mean = 0.0
        for v in range(n):
            K.g[first + v] = f.G[0, v]
            mean += f.A[v, wide] / n
        if not inverse or n == 0:
            continue
        for v in range(n):
            f.A[v, wide] += 1e-6 * (f.A[v, wide] + mean) + 1e-12 * (1.0 + mean)
        if not factor(f.A, n):
            return np.nan
        for v in range(n):
            for u in range(n):
                f.step[u] = 1.0 if u == v else 0.0
            solve(f.A, n, f.step)
            for u in range(n):
                K.inverse[first + v, first + u] = f.step[u]
    return total


@kernel
def shift(V, of, amount, row, K):
    """Add amount times a row to the step."""
    for u in range(V):
        K.go[u] += amount * of[row, u]


@kernel
def hold_contacts(V, count, K):
    """One sweep over the contacts; the largest change of a gap in metres."""
    most = 0.0
    for k in range(count):
        short = K.margin[0] - K.gap[k]
        for e in range(K.at[k], K.at[k + 1]):
            short -= K.slope[e] * K.go[K.var[e]]
        if short <= 0.0 and K.force[k] == 0.0:
            continue
        if K.yields[k] == 0.0:
            for u in range(V):
                K.Y[k, u] = 0.0
            for e in range(K.at[k], K.at[k + 1]):
                for u in range(V):
                    K.Y[k, u] += K.slope[e] * K.inverse[K.var[e], u]
            for e in range(K.at[k], K.at[k + 1]):
                K.yields[k] += K.slope[e] * K.Y[k, K.var[e]]
        soft = _SOFT * K.yields[k]
        change = max(-K.force[k], (short - soft * K.force[k]) / (K.yields[k] + soft))
        K.force[k] += change
        shift(V, K.Y, change, k, K)
        most = max(most, abs(change) * K.yields[k])
    return most


@kernel
def hold_walls(V, K):
    """One sweep over the walls of the step; the largest change in rad."""
    most = 0.0
    for v in range(V):
        free = K.go[v] - K.wall[v] * K.inverse[v, v]
        if K.wall[v] == 0.0 and K.low[v] <= free <= K.high[v]:
            continue
        new = (min(max(free, K.low[v]), K.high[v]) - free) / K.inverse[v, v]
        change = new - K.wall[v]
        K.wall[v] = new
        shift(V, K.inverse, change, v, K)
        most = max(most, abs(change) * K.inverse[v, v])
    return most


@kernel
def program(L, f, K, count, trust):
    """Write the step d of least cost that keeps the linearised contacts and stays inside box and trust."""
    V = len(L.var_column)
    for v in range(V):
        j = L.var_column[v]
        K.wall[v] = 0.0
        K.low[v] = max(-trust, f.lower[v] - f.Q[0, j]) if j >= 0 else -trust
        K.high[v] = min(trust, f.upper[v] - f.Q[0, j]) if j >= 0 else trust
        K.go[v] = 0.0
    for c in range(len(L.base)):
        for v in range(L.var_at[c], L.var_at[c + 1]):
            for u in range(L.var_at[c], L.var_at[c + 1]):
                K.go[v] -= K.inverse[v, u] * K.g[u]
    for k in range(count):
        K.force[k] = 0.0
        K.yields[k] = 0.0
    for _ in range(SWEEPS):
        moved = hold_contacts(V, count, K)
        if max(moved, hold_walls(V, K)) < _CALM_M:
            break


@kernel
def follow(L, f, K, share):
    """Put the frame at `share` of the step from the best."""
    for v in range(len(L.var_column)):
        j = L.var_column[v]
        K.low[v] = share * K.go[v]
        if j >= 0:
            f.Q[0, j] = min(max(K.q[j] + share * K.go[v], f.lower[v]), f.upper[v])
    for c in range(len(L.base)):
        if L.base[c] > 0:
            push(K.low, L.var_at[c], K.R, K.p, f)


@kernel
def in_the_way(K, count):
    """The pairs that overlap count from now on, as many as there is room for."""
    for k in range(count):
        place = 0
        while K.gap[k] < 0.0 and place < len(K.also) and K.also[place] != K.pair[k]:
            if K.also[place] < 0:
                K.also[place] = K.pair[k]
            else:
                place += 1


@kernel
def remember(f, K):
    """The best is where the frame stands."""
    for j in range(len(K.q)):
        K.q[j] = f.Q[0, j]
    for r in range(3):
        K.p[r] = f.pb[0, r]
        for k in range(3):
            K.R[r, k] = f.Rb[0, r, k]


@kernel
def put_base(f, K):
    """Put the base where the best has it."""
    for r in range(3):
        f.pb[0, r] = K.p[r]
        for k in range(3):
            f.Rb[0, r, k] = K.R[r, k]


@kernel
def recall(f, K):
    """Put the frame where the best is."""
    for j in range(len(K.q)):
        f.Q[0, j] = K.q[j]
    put_base(f, K)


@kernel
def set_out(L, D, s, f, K):
    """Put the frame at the joints of the one before, the base there too or where it is now: the cheaper."""
    free, no = False, len(K.also) < 0
    for c in range(len(L.base)):
        free = free or L.base[c] > 0
    for k in range(len(K.also)):
        K.also[k] = -1
    remember(f, K)
    from_before(L, f)
    if not free:
        return
    before = slopes(L, D, s, f, K, no)
    put_base(f, K)
    if not slopes(L, D, s, f, K, no) < before:
        from_before(L, f)


@kernel
def stay_apart(L, D, s, f, K, free):
    """Leave the frame as it is where nothing overlaps, else solve it again; (rounds, depth, cost).

    `free` is the cost where the frame stands.
    """
    _, deep = overlap(f, K)
    if deep <= 0.0:
        return 0, deep, free
    set_out(L, D, s, f, K)
    remember(f, K)
    count, deep = overlap(f, K)
    yes, eased, rounds = count >= 0, count < 0, 0  # a literal would have its own compiled version
    cost, trust = slopes(L, D, s, f, K, yes), _TRUST_RAD
    while rounds < ROUNDS and np.isfinite(cost):
        rounds += 1
        program(L, f, K, count, trust)
        share, taken, moved = 1.0, False, 0.0
        for _ in range(TRIES):
            follow(L, f, K, share)
            count, depth = overlap(f, K)
            if depth <= deep:
                after = slopes(L, D, s, f, K, not yes)
                if depth < deep or after < cost:
                    taken = True
                    break
            in_the_way(K, count)
            share *= _SHRINK
        if not taken:
            recall(f, K)
            count, _ = overlap(f, K)
            if eased or (deep <= 0.0 and trust < _LEAST_RAD):
                break
            if deep <= 0.0:
                slopes(L, D, s, f, K, not yes)
                trust *= _SHRINK
                continue
            eased = yes  # whatever the targets say, the shortest way out
            for v in range(len(K.g)):
                K.g[v] = 0.0
            continue
        eased = not yes
        for v in range(len(K.go)):
            moved = max(moved, abs(share * K.go[v]))
        small = depth == deep and cost - after <= _CALM_SHARE * cost
        deep, cost = depth, after
        remember(f, K)
        if moved < 1e-4 or small:
            break
    recall(f, K)
    for c in range(len(L.base)):
        evaluated(L, D, c, s, f, not yes)
    return rounds, deep, cost
