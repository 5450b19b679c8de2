"""Banded normal equations: damping, active limits, factor and solution (numba, cached on disk).

Storage is a lower band of rows, `A[i, w - d]` = A_{i, i - d}: a row's dot product with another runs over neighbours
in memory. Cholesky keeps the band (Golub and Van Loan, Matrix Computations, section 4.3.5).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.solve.ball import hold_balls

_SMALL = 16  # below this band width plain loops beat vector instructions


@njit(cache=True, error_model="numpy")
def blocked(value, lower, upper, gradient):
    """True where an unknown sits on a limit and wants to go beyond it."""
    return (value <= lower and gradient >= 0.0) or (value >= upper and gradient <= 0.0)


@njit(cache=True, error_model="numpy")
def prepare(L, D, c, lo, hi, Q, G, damping, A, step):
    """Damp the band frame by frame, take blocked unknowns out of it, and write minus the gradient to step."""
    n, base, first, wide = L.var_at[c + 1] - L.var_at[c], L.base[c], L.var_at[c], A.shape[1] - 1
    frames = hi - lo
    mean = 0.0
    for i in range(frames * n):
        mean += A[i, wide] / (frames * n)
    for k in range(frames):
        for v in range(n):
            A[k * n + v, wide] += damping[lo + k] * (A[k * n + v, wide] + mean) + 1e-12 * (1.0 + mean)
            step[k, v] = -G[k, v]
    for k in range(frames):
        for v in range(base, L.ball_at[c]):
            value = Q[lo + k, L.var_column[first + v]]
            if not blocked(value, D.lower[first + v], D.upper[first + v], G[k, v]):
                continue
            i = k * n + v
            step[k, v] = 0.0
            A[i, :] = 0.0
            A[i, wide] = 1.0
            for u in range(v + 1, n):
                A[k * n + u, wide - (u - v)] = 0.0
            if k + 1 < frames:
                A[i + n, wide - n] = 0.0
            if k + 2 < frames and wide >= 2 * n:
                A[i + 2 * n, wide - 2 * n] = 0.0
        if L.ball_at[c] < n:
            hold_balls(L, D, c, lo + k, Q, k, G, A, wide)


@njit(cache=True, error_model="numpy")
def factor_small(A, count):
    """Overwrite the first `count` rows of the band with the Cholesky factor, diagonal inverted; False if it fails."""
    wide = A.shape[1] - 1
    for i in range(count):
        first = max(0, i - wide)
        at = wide - i
        for j in range(first, i):
            x, off = A[i, j + at], wide - j
            for k in range(first, j):
                x -= A[i, k + at] * A[j, k + off]
            A[i, j + at] = x * A[j, wide]
        x = A[i, wide]
        for k in range(first + at, wide):
            x -= A[i, k] * A[i, k]
        if not x > 0.0:
            return False
        A[i, wide] = 1.0 / np.sqrt(x)
    return True


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def factor_large(A, count):
    """As `factor_small`, four rows' dot products at a time."""
    wide = A.shape[1] - 1
    for i in range(count):
        first = max(0, i - wide)
        at = wide - i
        row = A[i]
        for j in range(first, i):
            other = A[j, first + wide - j : wide]
            mine = row[first + at : j + at]
            x = 0.0
            for k in range(len(mine)):
                x += mine[k] * other[k]
            row[j + at] = (row[j + at] - x) * A[j, wide]
        x = row[wide]
        for k in range(first + at, wide):
            x -= row[k] * row[k]
        if not x > 0.0:
            return False
        row[wide] = 1.0 / np.sqrt(x)
    return True


@njit(cache=True, error_model="numpy")
def solve(A, count, b):
    """Overwrite b (count) with the solution, A as `factor` leaves it."""
    wide = A.shape[1] - 1
    for i in range(count):
        first, at = max(0, i - wide), wide - i
        x = b[i]
        for k in range(first, i):
            x -= A[i, k + at] * b[k]
        b[i] = x * A[i, wide]
    for i in range(count - 1, -1, -1):
        first, at = max(0, i - wide), wide - i
        x = b[i] * A[i, wide]
        b[i] = x
        for k in range(first, i):
            b[k] -= A[i, k + at] * x


@njit(cache=True, error_model="numpy")
def factor(A, count):
    """Cholesky factor in place, by the way that suits the band's width; False where it is not positive definite."""
    if A.shape[1] - 1 <= _SMALL:
        return factor_small(A, count)
    return factor_large(A, count)
