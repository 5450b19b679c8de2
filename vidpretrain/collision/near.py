"""Which capsules are near each other, and how that changes with the joints (numba, cached on disk).

Pairs come in blocks, all those of two links together: a frame looks at the balls around the links first, at the balls
around the capsules next. Source of the closest points of two segments: Ericson, Real-Time Collision Detection, section
5.1.9.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.collision.types import CollisionModel
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.kinematics.batch import inputs
from vidpretrain.kinematics.kernels import forward
from vidpretrain.tree import Tree

CROSSED_M = 1e-6


class Blocks(NamedTuple):
    """Runs of pairs of the same two links, `at` (b + 1) where each begins; a ball around each link, in its frame."""

    at: np.ndarray
    link: np.ndarray  # (b 2)
    joint: np.ndarray  # (l)
    centre: np.ndarray  # (l 3)
    radius: np.ndarray  # (l)


def distances(model: CollisionModel, tree: Tree, joint_pos: np.ndarray) -> np.ndarray:
    """Distance of every pair; see `collision.distances`."""
    joint_pos, _, _ = inputs(tree, joint_pos, None)
    out = np.empty((len(joint_pos), len(model.pairs)))
    all_distances(tree_arrays(tree), *capsule_arrays(model), joint_pos, out)
    return out


def capsule_arrays(
    model: CollisionModel,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, Blocks]:
    """(joint, start, end, radius, pairs, blocks) as the kernels take them."""
    fields = (model.joint, model.p_joint_start, model.p_joint_end, model.radius_m, model.pairs)
    joint, start, end, radius, pairs = (np.array(field) for field in fields)
    return joint, start, end, radius, pairs, _blocks(joint, start, end, radius, pairs)


def _blocks(joint, start, end, radius, pairs) -> Blocks:
    """The blocks of pairs in the order in which they are."""
    links, of_capsule = np.unique(joint, return_inverse=True)
    low, high = np.full((len(links), 3), np.inf), np.full((len(links), 3), -np.inf)
    for ends in (start, end):
        np.minimum.at(low, of_capsule, ends - radius[:, None])
        np.maximum.at(high, of_capsule, ends + radius[:, None])
    centre = 0.5 * (low + high)
    out = np.zeros(len(links))
    for ends in (start, end):
        np.maximum.at(out, of_capsule, np.linalg.norm(ends - centre[of_capsule], axis=1) + radius)
    both = of_capsule[pairs].reshape(-1, 2)
    new = np.flatnonzero((both[1:] != both[:-1]).any(axis=1)) + 1
    first = np.concatenate([[0], new]).astype(np.int64)[: len(pairs)]
    at = np.concatenate([first, [len(pairs)]]).astype(np.int64)
    return Blocks(at, np.ascontiguousarray(both[first]).astype(np.int64), links.astype(np.int64), centre, out)


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
def at_origin(R, p):
    """Write the base's pose, identity."""
    for r in range(3):
        p[0, r] = 0.0
        for c in range(3):
            R[0, r, c] = 1.0 if r == c else 0.0


@njit(cache=True, error_model="numpy")
def posture(tree, joint, start, end, order, q, R, p, a, P):
    """Place all capsules in the base's axes."""
    at_origin(R, p)
    forward(order, tree.parent, tree.hinge, tree.R_zero, tree.p_zero, tree.axis, q, R, p, a)
    place(joint, start, end, R, p, P)


@njit(cache=True, error_model="numpy")
def all_distances(tree, joint, start, end, radius, pairs, blocks, Q, out):
    """Write the distance of every pair in every frame, out (t n)."""
    n = len(tree.parent)
    order, P = np.arange(n), np.empty((len(joint), 2, 3))
    R, p, a, x, y = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3)), np.empty(3), np.empty(3)
    for t in range(len(Q)):
        posture(tree, joint, start, end, order, Q[t], R, p, a, P)
        for k in range(len(pairs)):
            out[t, k] = closest(P, pairs[k, 0], pairs[k, 1], x, y) - radius[pairs[k, 0]] - radius[pairs[k, 1]]


@njit(cache=True, error_model="numpy")
def place_links(blocks, R, p, C):
    """Write the middles of the balls around the links, C (l 3)."""
    for k in range(len(blocks.joint)):
        i = blocks.joint[k] + 1
        for r in range(3):
            C[k, r] = (
                p[i, r]
                + R[i, r, 0] * blocks.centre[k, 0]
                + R[i, r, 1] * blocks.centre[k, 1]
                + R[i, r, 2] * blocks.centre[k, 2]
            )


@njit(cache=True, error_model="numpy")
def links_apart(blocks, b, C, near):
    """True where the balls around the links of block b are farther from each other than `near`."""
    i, j = blocks.link[b, 0], blocks.link[b, 1]
    x, y, z = C[i, 0] - C[j, 0], C[i, 1] - C[j, 1], C[i, 2] - C[j, 2]
    most = near + blocks.radius[i] + blocks.radius[j]
    return x * x + y * y + z * z > most * most


@njit(cache=True, error_model="numpy")
def least_gap(joint, start, end, radius, pairs, blocks, R, p, P, C, x, y, near, enough):
    """The least distance of any pair in a posture, `near` where all are farther; below `enough` any such one."""
    place(joint, start, end, R, p, P)
    place_links(blocks, R, p, C)
    least = near
    for b in range(len(blocks.link)):
        if links_apart(blocks, b, C, least):
            continue
        for k in range(blocks.at[b], blocks.at[b + 1]):
            i, j = pairs[k, 0], pairs[k, 1]
            both = radius[i] + radius[j]
            if not far_apart(P, i, j, least + both):
                least = min(least, closest(P, i, j, x, y) - both)
        if least < enough:
            break
    return least


@njit(cache=True, error_model="numpy")
def least_gaps(tree, joint, start, end, radius, pairs, blocks, Q, near, enough, out):
    """Write `least_gap` of every frame to out (t)."""
    n = len(tree.parent)
    order, P, C = np.arange(n), np.empty((len(joint), 2, 3)), np.empty((len(blocks.joint), 3))
    R, p, a, x, y = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3)), np.empty(3), np.empty(3)
    for t in range(len(Q)):
        at_origin(R, p)
        forward(order, tree.parent, tree.hinge, tree.R_zero, tree.p_zero, tree.axis, Q[t], R, p, a)
        out[t] = least_gap(joint, start, end, radius, pairs, blocks, R, p, P, C, x, y, near, enough)


@njit(cache=True, error_model="numpy")
def survey(tree, joint, start, end, radius, pairs, blocks, Q, near, clear, least, touching):
    """Write to least (n) the least distance of each pair over all frames, as far as it is below `near`, and to
    touching (n) in how many frames it is below `clear`."""
    n = len(tree.parent)
    order, P, C = np.arange(n), np.empty((len(joint), 2, 3)), np.empty((len(blocks.joint), 3))
    R, p, a, x, y = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3)), np.empty(3), np.empty(3)
    least[:], touching[:] = near, 0
    for t in range(len(Q)):
        posture(tree, joint, start, end, order, Q[t], R, p, a, P)
        place_links(blocks, R, p, C)
        for b in range(len(blocks.link)):
            if links_apart(blocks, b, C, near):
                continue
            for k in range(blocks.at[b], blocks.at[b + 1]):
                i, j = pairs[k, 0], pairs[k, 1]
                both = radius[i] + radius[j]
                if far_apart(P, i, j, near + both):
                    continue
                gap = closest(P, i, j, x, y) - both
                least[k] = min(least[k], gap)
                touching[k] += 1 if gap < clear else 0
