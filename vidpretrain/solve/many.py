"""Many right sides of one banded system: the two halves of `band.solve` by themselves (numba, cached on disk).

No BLAS: its threads get into each other's way on bands of this size.
"""

from __future__ import annotations

from numba import njit

_AT_ONCE = 32  # columns, so that the rows that a row needs stay in the nearest cache


@njit(cache=True, error_model="numpy")
def forward(A, X):
    """Overwrite X (N p) with L^-1 X, A as `band.factor` leaves it."""
    count, wide, columns = len(A), A.shape[1] - 1, X.shape[1]
    for begin in range(0, columns, _AT_ONCE):
        end = min(begin + _AT_ONCE, columns)
        for i in range(count):
            first, at = max(0, i - wide), wide - i
            row = X[i, begin:end]
            for k in range(first, i):
                factor = A[i, k + at]
                if factor != 0.0:
                    other = X[k, begin:end]
                    for q in range(len(row)):
                        row[q] -= factor * other[q]
            for q in range(len(row)):
                row[q] *= A[i, wide]


@njit(cache=True, error_model="numpy")
def backward(A, X):
    """Overwrite X (N p) with L^-T X, A as `band.factor` leaves it."""
    wide, columns = A.shape[1] - 1, X.shape[1]
    for begin in range(0, columns, _AT_ONCE):
        end = min(begin + _AT_ONCE, columns)
        for i in range(len(A) - 1, -1, -1):
            first, at = max(0, i - wide), wide - i
            row = X[i, begin:end]
            for q in range(len(row)):
                row[q] *= A[i, wide]
            for k in range(first, i):
                factor = A[i, k + at]
                if factor != 0.0:
                    other = X[k, begin:end]
                    for q in range(len(row)):
                        other[q] -= factor * row[q]
