"""A clip's banded equations in eight stretches side by side, one per lane.

Every stretch is eliminated but for its last two frames, the separator; what is left is a block tridiagonal system of
eight separators, which is solved as a band, and then every stretch by itself (nested dissection by one level: George
1973). Frames couple unknown by unknown. The factor is L D L^T by rows; a stretch's coupling to the separator before it
is carried along (Z) until it has died away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.solve.band import factor, solve
from vidpretrain.solve.lane_rows import pair_at
from vidpretrain.solve.lane_unrolled import UNROLLED, back_frame, eliminate_frame
from vidpretrain.solve.lanes import LANES, kernel, least, load, most, size, splat, store, total

_GONE = 1e-6  # a coupling that has fallen to this share of where it began is left out


class LaneBand(NamedTuple):
    """The system of a component: frames (k) of each stretch, unknowns (v), both at once (i)."""

    H: np.ndarray  # (k pairs 8), the frames' own blocks, lower triangles
    near: np.ndarray  # (k v 8), coupling to the frame before
    far: np.ndarray  # (k v 8), to the one before that
    b: np.ndarray  # (i 8), the right side, then the solution
    F: np.ndarray  # (i 3v 8), rows of the factor: two frames before, one before, its own
    inverse: np.ndarray  # (i 8), of the pivots
    z: np.ndarray  # (i 8)
    Z: np.ndarray  # (i 2v 8)
    S: np.ndarray  # (2v 2v 8) of the separator, with itself
    R: np.ndarray  # (2v 2v 8), with the one before
    T: np.ndarray  # (2v 2v 8), what the next stretch takes from it
    s: np.ndarray  # (2v 8)
    U: np.ndarray  # (v 3v 8)
    x: np.ndarray  # (2v 8)
    A: np.ndarray  # (16v 4v), the separators' band
    a: np.ndarray  # (16v)


@njit(cache=True)
def lane_band(frames, n):
    """Buffers for stretches of `frames` frames."""
    w, rows = 2 * n, frames * n
    return LaneBand(
        np.zeros((frames, n * (n + 1) // 2, LANES)), np.zeros((frames, n, LANES)), np.zeros((frames, n, LANES)),
        np.zeros((rows, LANES)), np.zeros((rows, 3 * n, LANES)), np.zeros((rows, LANES)), np.zeros((rows, LANES)),
        np.zeros((rows, w, LANES)), np.zeros((w, w, LANES)), np.zeros((w, w, LANES)), np.zeros((w, w, LANES)),
        np.zeros((w, LANES)), np.zeros((n, 3 * n, LANES)), np.zeros((w, LANES)), np.zeros((w * LANES, 2 * w)),
        np.zeros(w * LANES),
    )  # fmt: skip


@kernel
def couple(E, k, n, first, end):
    """Rows of frame k in the columns [first, end) of the two frames before: U before, F after dividing by pivots."""
    F, U, base = E.F, E.U, (k - 2) * n
    for j in range(first, end):
        i = base + j
        shift = n if j >= n else 2 * n  # from this frame's columns to those of the row of column j
        inverse = load(E.inverse, (i,))
        for v in range(min(n, j + 1)):
            x = splat(0.0)
            if j == v:
                x = load(E.far, (k, v))
            elif j == n + v:
                x = load(E.near, (k, v))
            for p in range(max(first, v), j):
                x = x - load(U, (v, p)) * load(F, (i, p + shift))
            store(U, (v, j), x)
            store(F, (k * n + v, j), x * inverse)


@kernel
def own(E, k, n, first, end):
    """Frame k's block less what `couple` took in the columns [first, end), factored; the smallest pivot."""
    F, U, w = E.F, E.U, 2 * n
    pivot = splat(np.inf)
    for c in range(n):
        for r in range(c, n):
            x = load(E.H, (k, pair_at(r, c)))
            for p in range(max(first, r), end):
                x = x - load(U, (r, p)) * load(F, (k * n + c, p))
            for p in range(w, w + c):
                x = x - load(U, (r, p)) * load(F, (k * n + c, p))
            if r == c:
                pivot = least(pivot, x)
                store(E.inverse, (k * n + c,), 1.0 / x)
            else:
                store(U, (r, w + c), x)
                store(F, (k * n + r, w + c), x * load(E.inverse, (k * n + c,)))
    return pivot


@kernel
def before(E, k, n, v, c):
    """Coupling of unknown v of frame k, 0 or 1, to unknown c of the separator before."""
    if (k == 0 and c == v) or (k == 1 and c == n + v):
        return load(E.far, (k, v))
    if k == 0 and c == n + v:
        return load(E.near, (k, v))
    return splat(0.0)


@kernel
def carry(E, k, n, first):
    """What the separator before feels of frame k: its rows of Z, and their share of T and x; the largest of them."""
    F, Z, base, w = E.F, E.Z, (k - 2) * n, 2 * n
    largest = splat(0.0)
    for v in range(n):
        i, least_j = k * n + v, max(first, v)
        c = 0
        while c + 4 <= w:  # four at a time: each entry of F is read once for all
            y0, y1, y2, y3 = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
            if k < 2:
                y0, y1 = before(E, k, n, v, c), before(E, k, n, v, c + 1)
                y2, y3 = before(E, k, n, v, c + 2), before(E, k, n, v, c + 3)
            for j in range(least_j, w + v):
                f, o = load(F, (i, j)), base + j
                y0, y1 = y0 - f * load(Z, (o, c)), y1 - f * load(Z, (o, c + 1))
                y2, y3 = y2 - f * load(Z, (o, c + 2)), y3 - f * load(Z, (o, c + 3))
            store(Z, (i, c), y0)
            store(Z, (i, c + 1), y1)
            store(Z, (i, c + 2), y2)
            store(Z, (i, c + 3), y3)
            largest = most(largest, size(y0) + size(y1) + size(y2) + size(y3))
            c += 4
        if c < w:
            y0, y1 = splat(0.0), splat(0.0)
            if k < 2:
                y0, y1 = before(E, k, n, v, c), before(E, k, n, v, c + 1)
            for j in range(least_j, w + v):
                f, o = load(F, (i, j)), base + j
                y0, y1 = y0 - f * load(Z, (o, c)), y1 - f * load(Z, (o, c + 1))
            store(Z, (i, c), y0)
            store(Z, (i, c + 1), y1)
            largest = most(largest, size(y0) + size(y1))
    for c in range(0, w, 2):
        for j in range(c + 2):  # one entry above the diagonal comes along
            t0, t1 = load(E.T, (c, j)), load(E.T, (c + 1, j))
            for i in range(k * n, k * n + n):
                y = load(Z, (i, j)) * load(E.inverse, (i,))
                t0, t1 = t0 + y * load(Z, (i, c)), t1 + y * load(Z, (i, c + 1))
            store(E.T, (c, j), t0)
            store(E.T, (c + 1, j), t1)
        x0, x1 = load(E.x, (c,)), load(E.x, (c + 1,))
        for i in range(k * n, k * n + n):
            z = load(E.z, (i,)) * load(E.inverse, (i,))
            x0, x1 = x0 + z * load(Z, (i, c)), x1 + z * load(Z, (i, c + 1))
        store(E.x, (c,), x0)
        store(E.x, (c + 1,), x1)
    return total(largest)


@kernel
def frame(E, k, n):
    """What `couple`, `own` and the right side's row do, for few unknowns."""
    if n == 1:
        return eliminate_frame(E.F, E.H, E.near, E.far, E.b, E.inverse, E.z, k, 1)
    if n == 2:
        return eliminate_frame(E.F, E.H, E.near, E.far, E.b, E.inverse, E.z, k, 2)
    if n == 3:
        return eliminate_frame(E.F, E.H, E.near, E.far, E.b, E.inverse, E.z, k, 3)
    if n == 4:
        return eliminate_frame(E.F, E.H, E.near, E.far, E.b, E.inverse, E.z, k, 4)
    return eliminate_frame(E.F, E.H, E.near, E.far, E.b, E.inverse, E.z, k, 5)


@kernel
def back(E, k, n):
    """Take the solution of frame k out of the two before, for few unknowns."""
    if n == 1:
        back_frame(E.F, E.b, k, 1)
    elif n == 2:
        back_frame(E.F, E.b, k, 2)
    elif n == 3:
        back_frame(E.F, E.b, k, 3)
    elif n == 4:
        back_frame(E.F, E.b, k, 4)
    else:
        back_frame(E.F, E.b, k, 5)


@kernel
def eliminate(E, last):
    """Factor frames [0, last) of every stretch; (smallest pivot, frames that feel the separator before)."""
    n = E.near.shape[1]
    w, F, Z = 2 * n, E.F, E.Z
    pivot, began, felt = splat(np.inf), 0.0, last
    E.T[:], E.x[:] = 0.0, 0.0
    for k in range(last):
        first = 0 if k >= 2 else (2 - k) * n  # the first column that exists
        if k < 2 or n > UNROLLED:
            couple(E, k, n, first, w)
            pivot = least(pivot, own(E, k, n, first, w))
            base = (k - 2) * n
            for v in range(n):
                z = load(E.b, (k * n + v,))
                for j in range(max(first, v), w + v):
                    z = z - load(F, (k * n + v, j)) * load(E.z, (base + j,))
                store(E.z, (k * n + v,), z)
        else:
            pivot = least(pivot, frame(E, k, n))
        if k < felt:
            now = carry(E, k, n, first)
            began = max(began, now)
            if k > 3 and now <= _GONE * began:
                felt = k + 1
                Z[felt * n : (felt + 2) * n] = 0.0
    return pivot, felt


@kernel
def separate(E, last, felt):
    """What elimination leaves of the separators, frames last and last + 1: S, R (with the one before) and s."""
    n = E.near.shape[1]
    w, F, U, Z = 2 * n, E.F, E.U, E.Z
    for q in range(2):
        k, inner = last + q, w - q * n  # columns of frames that were eliminated; those beyond are the separator's
        base = (k - 2) * n
        couple(E, k, n, 0, inner)
        for v in range(n):
            row, i = q * n + v, k * n + v
            z = load(E.b, (i,))
            for j in range(v, inner):
                z = z - load(F, (i, j)) * load(E.z, (base + j,))
            store(E.s, (row,), z)
            for c in range(w):
                y = splat(0.0)
                if felt >= last:
                    for j in range(v, inner):
                        y = y - load(F, (i, j)) * load(Z, (base + j, c))
                store(E.R, (row, c), y)
            for col in range(row + 1):
                other, at = (last, col) if col < n else (last + 1, col - n)
                x = splat(0.0)
                if other == k:
                    x = load(E.H, (k, pair_at(v, at)))
                elif at == v:
                    x = load(E.near, (k, v))
                back = (k - other) * n  # the other row's columns are counted from that many further back
                for j in range(max(v, at - back), inner):
                    x = x - load(U, (v, j)) * load(F, (other * n + at, j + back))
                store(E.S, (row, col), x)


@kernel
def join(E):
    """Solve the separators together; writes their frames of b and, to x, what each stretch sees before it."""
    n = E.near.shape[1]
    w, A, a = 2 * n, E.A, E.a
    wide, first = A.shape[1] - 1, len(E.b) - 2 * n
    A[:] = 0.0
    for lane in range(LANES):
        for row in range(w):
            i = lane * w + row
            a[i] = E.s[row, lane] - (E.x[row, lane + 1] if lane + 1 < LANES else 0.0)
            for col in range(row + 1):
                taken = E.T[row, col, lane + 1] if lane + 1 < LANES else 0.0
                A[i, wide - row + col] = E.S[row, col, lane] - taken
            if lane > 0:
                for col in range(w):
                    A[i, wide - w - row + col] = E.R[row, col, lane]
    if not factor(A, w * LANES):
        return False
    solve(A, w * LANES, a)
    for lane in range(LANES):
        for row in range(w):
            E.b[first + row, lane] = a[lane * w + row]
            E.x[row, lane] = a[(lane - 1) * w + row] if lane > 0 else 0.0
    return True


@kernel
def lane_solve(E):
    """Overwrite b with the solution of the system; False where it is not positive definite. H stays."""
    frames, n = E.near.shape[0], E.near.shape[1]
    w, last = 2 * n, frames - 2
    pivot, felt = eliminate(E, last)
    store(E.s, (0,), least(pivot, 1.0))
    for lane in range(LANES):
        if not E.s[0, lane] > 0.0:
            return False
    separate(E, last, felt)
    if not join(E):
        return False
    for i in range(last * n):
        z = load(E.z, (i,))
        if i < felt * n:
            for c in range(w):
                z = z - load(E.Z, (i, c)) * load(E.x, (c,))
        store(E.b, (i,), z * load(E.inverse, (i,)))
    for k in range(frames - 1, -1, -1):
        if n <= UNROLLED and 2 <= k < last:
            back(E, k, n)
            continue
        first, base = 0 if k >= 2 else (2 - k) * n, (k - 2) * n
        for v in range(n - 1, -1, -1):
            x = load(E.b, (k * n + v,))
            end = w - (k - last) * n if k >= last else w + v
            for j in range(max(first, v), end):
                store(E.b, (base + j,), load(E.b, (base + j,)) - load(E.F, (k * n + v, j)) * x)
    return True
