"""Contacts linearised: which pairs are near in a frame, and how their distances change with the unknowns (numba)."""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.collision.near import CROSSED_M, closest, far_apart, links_apart, place_links, posture


@njit(cache=True, error_model="numpy")
def candidates(P, radius, pairs, blocks, C, near_m, out):
    """Write the pairs that may be nearer than `near_m` to out (n), in order; how many."""
    count = 0
    for b in range(len(blocks.link)):
        if links_apart(blocks, b, C, near_m):
            continue
        for k in range(blocks.at[b], blocks.at[b + 1]):
            if not far_apart(P, pairs[k, 0], pairs[k, 1], near_m + radius[pairs[k, 0]] + radius[pairs[k, 1]]):
                out[count] = k
                count += 1
    return count


@njit(cache=True, error_model="numpy", forceinline=True)
def gap_slopes(tree, column, a, p, one, other, x, y, away, end, var, slope, sums):
    """Write from var[end], slope[end] on which unknowns move a gap and d gap / dq; where they end.

    The gap is from y (3) on joint `other` to x (3) on joint `one`, along the unit vector `away`; a (j 3) and
    p (j + 1 3) are axes and origins of the joints, `sums` scratch of all unknowns. What carries both links does not
    move them apart, so their paths count from where they part. Allocates nothing, for kernels that cannot.
    """
    first, shared = end, 0
    one_at, other_at = tree.path_start[one + 1], tree.path_start[other + 1]
    one_end, other_end = tree.path_start[one + 2], tree.path_start[other + 2]
    while (
        one_at + shared < one_end
        and other_at + shared < other_end
        and tree.path[one_at + shared] == tree.path[other_at + shared]
    ):
        shared += 1
    for side in range(2):
        sign, point = (1.0, x) if side == 0 else (-1.0, y)
        for i in range((one_at if side == 0 else other_at) + shared, one_end if side == 0 else other_end):
            f = tree.path[i]
            v = column[f]
            if v < 0:
                continue
            g = 0.0
            for r in range(3):
                r1, r2 = (r + 1) % 3, (r + 2) % 3
                move = a[f, r]
                if tree.hinge[f]:
                    move = a[f, r1] * (point[r2] - p[f + 1, r2]) - a[f, r2] * (point[r1] - p[f + 1, r1])
                g += away[r] * move
            new = True
            for e in range(first, end):
                new = new and var[e] != v
            if new:
                var[end] = v
                sums[v] = 0.0
                end += 1
            sums[v] += sign * tree.ratio[f] * g
    kept = first
    for e in range(first, end):
        if abs(sums[var[e]]) > 1e-9:
            var[kept], slope[kept] = var[e], sums[var[e]]
            kept += 1
    return kept


@njit(cache=True, error_model="numpy")
def linearise(
    tree, joint, start, end, radius, pairs, blocks, column, Q, use, near_m, also, most,
    frame, pair, gap, at, var, slope,
):  # fmt: skip
    """Contacts nearer than `near_m` in the frames of `use`, in the order of frames; how many.

    Writes frame, pair and gap of each, and to var, slope [at[k], at[k + 1]) the unknowns that move it and d gap / dq.
    `column` (j) is the unknown that moves each joint, -1: none. The pairs `also` (-1: no more) count however far they
    are. At most `most` contacts are written.
    """
    n = len(tree.parent)
    order, P, C = np.arange(n), np.empty((len(joint), 2, 3)), np.empty((len(blocks.joint), 3))
    near = np.empty(len(pairs), dtype=np.int64)
    R, p, a, x, y = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3)), np.empty(3), np.empty(3)
    count, end_at, sums, away = 0, 0, np.zeros(column.max() + 1), np.empty(3)
    at[0] = 0
    for t in range(len(Q)):
        if not use[t]:
            continue
        posture(tree, joint, start, end, order, Q[t], R, p, a, P)
        place_links(blocks, R, p, C)
        found = candidates(P, radius, pairs, blocks, C, near_m, near)
        for c in range(found + len(also)):
            k = near[c] if c < found else also[c - found]
            if k < 0:
                break
            A, B = pairs[k, 0], pairs[k, 1]
            long = closest(P, A, B, x, y)
            apart = long - radius[A] - radius[B]
            if (apart > near_m) == (c < found) or count == most:
                continue
            for r in range(3):
                away[r] = x[r] - y[r]
            if long < CROSSED_M:  # the axes cross and say nothing about the way out: take that of the middles
                for r in range(3):
                    away[r] = 0.5 * (P[A, 0, r] + P[A, 1, r] - P[B, 0, r] - P[B, 1, r])
            norm = max(1e-12, np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2))
            for r in range(3):
                away[r] /= norm
            kept = gap_slopes(tree, column, a, p, joint[A], joint[B], x, y, away, end_at, var, slope, sums)
            if kept == end_at:
                continue
            end_at = kept
            frame[count], pair[count], gap[count] = t, k, apart
            count += 1
            at[count] = end_at
    return count
