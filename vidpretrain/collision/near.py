"""Which capsules are near each other, and how that changes with the joints (numba, cached on disk).

Source of the closest points of two segments: Ericson, Real-Time Collision Detection, section 5.1.9.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.collision.types import CollisionModel
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.kinematics.batch import inputs
from vidpretrain.kinematics.kernels import forward
from vidpretrain.tree import Tree

CROSSED_M = 1e-6


def distances(model: CollisionModel, tree: Tree, joint_pos: np.ndarray) -> np.ndarray:
    """Distance of every pair; see `collision.distances`."""
    joint_pos, _, _ = inputs(tree, joint_pos, None)
    out = np.empty((len(joint_pos), len(model.pairs)))
    all_distances(tree_arrays(tree), *capsule_arrays(model), joint_pos, out)
    return out


def capsule_arrays(model: CollisionModel) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(joint, start, end, radius, pairs) as the kernels take them."""
    fields = (model.joint, model.p_joint_start, model.p_joint_end, model.radius_m, model.pairs)
    joint, start, end, radius, pairs = (np.array(field) for field in fields)
    return joint, start, end, radius, pairs


@njit(cache=True, error_model="numpy")
def closest(P, a, b, x, y):
    """Write the nearest points x and y of the segments of capsules a and b, P (c 2 3); their distance."""
    d1x, d1y, d1z = P[a, 1, 0] - P[a, 0, 0], P[a, 1, 1] - P[a, 0, 1], P[a, 1, 2] - P[a, 0, 2]
    d2x, d2y, d2z = P[b, 1, 0] - P[b, 0, 0], P[b, 1, 1] - P[b, 0, 1], P[b, 1, 2] - P[b, 0, 2]
    rx, ry, rz = P[a, 0, 0] - P[b, 0, 0], P[a, 0, 1] - P[b, 0, 1], P[a, 0, 2] - P[b, 0, 2]
    aa, ee = d1x * d1x + d1y * d1y + d1z * d1z, d2x * d2x + d2y * d2y + d2z * d2z
    f, c = d2x * rx + d2y * ry + d2z * rz, d1x * rx + d1y * ry + d1z * rz
    s, t = 0.0, 0.0
    if aa <= 1e-14 and ee > 1e-14:
        t = min(max(f / ee, 0.0), 1.0)
    elif aa > 1e-14 and ee <= 1e-14:
        s = min(max(-c / aa, 0.0), 1.0)
    elif aa > 1e-14:
        bb = d1x * d2x + d1y * d2y + d1z * d2z
        den = aa * ee - bb * bb
        if den > 1e-12 * aa * ee:
            s = min(max((bb * f - c * ee) / den, 0.0), 1.0)
        t = (bb * s + f) / ee
        if t < 0.0:
            t = 0.0
            s = min(max(-c / aa, 0.0), 1.0)
        elif t > 1.0:
            t = 1.0
            s = min(max((bb - c) / aa, 0.0), 1.0)
    x[0], x[1], x[2] = P[a, 0, 0] + s * d1x, P[a, 0, 1] + s * d1y, P[a, 0, 2] + s * d1z
    y[0], y[1], y[2] = P[b, 0, 0] + t * d2x, P[b, 0, 1] + t * d2y, P[b, 0, 2] + t * d2z
    return np.sqrt((x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2 + (x[2] - y[2]) ** 2)


@njit(cache=True, error_model="numpy")
def far_apart(P, a, b, near):
    """True where the balls around two segments are farther from each other than `near`."""
    between, long_a, long_b = 0.0, 0.0, 0.0
    for r in range(3):
        between += (P[a, 0, r] + P[a, 1, r] - P[b, 0, r] - P[b, 1, r]) ** 2
        long_a += (P[a, 0, r] - P[a, 1, r]) ** 2
        long_b += (P[b, 0, r] - P[b, 1, r]) ** 2
    return np.sqrt(between) > np.sqrt(long_a) + np.sqrt(long_b) + 2.0 * near


@njit(cache=True, error_model="numpy")
def place(joint, start, end, R, p, P):
    """Write the ends of the capsules, P (c 2 3)."""
    for c in range(len(joint)):
        i = joint[c] + 1
        for r in range(3):
            x, y, z = R[i, r, 0], R[i, r, 1], R[i, r, 2]
            P[c, 0, r] = p[i, r] + x * start[c, 0] + y * start[c, 1] + z * start[c, 2]
            P[c, 1, r] = p[i, r] + x * end[c, 0] + y * end[c, 1] + z * end[c, 2]


@njit(cache=True, error_model="numpy")
def posture(tree, joint, start, end, order, q, R, p, a, P):
    """Place all capsules in the base's axes."""
    for r in range(3):
        p[0, r] = 0.0
        for c in range(3):
            R[0, r, c] = 1.0 if r == c else 0.0
    forward(order, tree.parent, tree.hinge, tree.R_zero, tree.p_zero, tree.axis, q, R, p, a)
    place(joint, start, end, R, p, P)


@njit(cache=True, error_model="numpy")
def all_distances(tree, joint, start, end, radius, pairs, Q, out):
    """Write the distance of every pair in every frame, out (t n)."""
    n = len(tree.parent)
    order, P = np.arange(n), np.empty((len(joint), 2, 3))
    R, p, a, x, y = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3)), np.empty(3), np.empty(3)
    for t in range(len(Q)):
        posture(tree, joint, start, end, order, Q[t], R, p, a, P)
        for k in range(len(pairs)):
            out[t, k] = closest(P, pairs[k, 0], pairs[k, 1], x, y) - radius[pairs[k, 0]] - radius[pairs[k, 1]]


@njit(cache=True, error_model="numpy")
def linearise(tree, joint, start, end, radius, pairs, column, Q, use, near_m, most, frame, pair, gap, at, var, slope):
    """Contacts nearer than `near_m` in the frames of `use`, in the order of frames; how many.

    Writes frame, pair and gap of each, and to var, slope [at[k], at[k + 1]) the unknowns that move it and d gap / dq.
    `column` (j) is the unknown that moves each joint, -1: none. At most `most` contacts are written.
    """
    n = len(tree.parent)
    order, P = np.arange(n), np.empty((len(joint), 2, 3))
    R, p, a, x, y = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3)), np.empty(3), np.empty(3)
    count, end_at, sums, away = 0, 0, np.zeros(column.max() + 1), np.empty(3)
    at[0] = 0
    for t in range(len(Q)):
        if not use[t]:
            continue
        posture(tree, joint, start, end, order, Q[t], R, p, a, P)
        for k in range(len(pairs)):
            if far_apart(P, pairs[k, 0], pairs[k, 1], near_m + radius[pairs[k, 0]] + radius[pairs[k, 1]]):
                continue
            long = closest(P, pairs[k, 0], pairs[k, 1], x, y)
            apart = long - radius[pairs[k, 0]] - radius[pairs[k, 1]]
            if apart > near_m or count == most:
                continue
            for r in range(3):
                away[r] = x[r] - y[r]
            if long < CROSSED_M:  # the axes cross and say nothing about the way out: take that of the middles
                for r in range(3):
                    A, B = pairs[k, 0], pairs[k, 1]
                    away[r] = 0.5 * (P[A, 0, r] + P[A, 1, r] - P[B, 0, r] - P[B, 1, r])
            norm = max(1e-12, np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2))
            first = end_at
            for side in range(2):
                j, sign = joint[pairs[k, side]], 1.0 if side == 0 else -1.0
                point = x if side == 0 else y
                for i in range(tree.path_start[j + 1], tree.path_start[j + 2]):
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
                        g += away[r] / norm * move
                    new = True
                    for e in range(first, end_at):
                        new = new and var[e] != v
                    if new:
                        var[end_at] = v
                        sums[v] = 0.0
                        end_at += 1
                    sums[v] += sign * tree.ratio[f] * g
            kept = first
            for e in range(first, end_at):
                if abs(sums[var[e]]) > 1e-9:
                    var[kept], slope[kept] = var[e], sums[var[e]]
                    kept += 1
            end_at = kept
            if kept == first:
                continue
            frame[count], pair[count], gap[count] = t, k, apart
            count += 1
            at[count] = end_at
    return count
