"""Capsules around a convex shape: one to four of them, fitted so that they cover it and stick out little.

A shape is known by its support function, the reach of its vertices in each of a few hundred directions; a capsule
sticks out of it in a direction by max(d . p, d . q) + r - h(d), and a point of its surface is bare by its distance to
the nearest capsule. Levenberg-Marquardt lowers the fourth powers of both, bare points counting more, and the
radii grow in the end until no point is bare by more than a tenth of half the shape's thickness, at least .5 mm and at
most 1.5 mm. Source of the support function: Boyd and Vandenberghe,
Convex Optimization, section 2.5.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numba import njit

BARE_M, BARE_SHARE = (0.0005, 0.0015), 0.1
MOST = 3
_PLANES, _RAYS = 320, 320
_GOOD_M, _GOOD_SHARE, _BETTER = (0.0035, 0.006), 0.25, 0.75
_ITERATIONS, _BARE_WEIGHT, _SETTLED = 120, 8.0, 1e-3
_SPLITS = ((0, 1), (0, 2), (1, 0))


def sphere(count: int) -> Float64[np.ndarray, "n 3"]:
    """Unit vectors spread evenly (a Fibonacci lattice)."""
    place = np.arange(count) + 0.5
    z, angle = 1.0 - 2.0 * place / count, np.pi * (1.0 + 5.0**0.5) * place
    flat = np.sqrt(1.0 - z * z)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], axis=1)


def fit(points: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, "k 7"]:
    """(start, end, radius) of capsules around the convex hull of points, in metres: the fewest that do it well."""
    normals = sphere(_PLANES)
    far = points @ normals.T
    corners = points[np.unique(far.argmax(axis=0))]
    reach = far.max(axis=0)
    surface = np.concatenate([corners, _surface(corners, normals, reach)])
    size = max(1e-4, float((0.5 * np.ptp(corners, axis=0)).max()))
    thin = float((reach - far.min(axis=0)).min()) / 2
    allowed = float(np.clip(BARE_SHARE * thin, *BARE_M))
    best, least = np.zeros((1, 7)), np.inf
    for count in range(1, MOST + 1):
        found, out = best, np.inf
        for along, across in _SPLITS if count > 1 else ((0, 1), (1, 0)):
            begin = _strips(corners, count, along, across) / size
            tried = _descend(begin, surface / size, normals, reach / size, _ITERATIONS) * size
            tried[:, 6] = np.maximum(tried[:, 6] + max(0.0, bare(tried, surface) - allowed), 1e-4)
            beyond = excess(tried, normals, reach)
            if beyond < out:
                found, out = tried, beyond
        if out < _BETTER * least:
            best, least = found, out
        if least <= np.clip(_GOOD_SHARE * thin, *_GOOD_M):
            break
    return best


def _surface(corners: np.ndarray, normals: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Points (n 3) where rays from the middle leave the shape, as far as its planes tell."""
    middle = 0.5 * (corners.max(axis=0) + corners.min(axis=0))
    axes = np.linalg.svd(corners - corners.mean(axis=0), full_matrices=False)[2]
    rays = (sphere(_RAYS) * np.maximum(np.ptp(corners @ axes.T, axis=0), 1e-9)) @ axes  # as many on narrow sides
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    ahead = rays @ normals.T
    room = np.maximum(reach - middle @ normals.T, 0.0)
    with np.errstate(divide="ignore"):
        long = np.where(ahead > 1e-9, room / np.where(ahead > 1e-9, ahead, 1.0), np.inf).min(axis=1)
    return middle + rays * long[:, None]


def bare(capsules: np.ndarray, points: np.ndarray) -> float:
    """How far in metres the barest of points is from the nearest capsule; negative: all are inside."""
    start, along = capsules[:, :3], capsules[:, 3:6] - capsules[:, :3]
    square = np.maximum((along * along).sum(axis=1), 1e-14)
    off = points[:, None] - start
    at = np.clip((off * along).sum(axis=-1) / square, 0.0, 1.0)
    return float((np.linalg.norm(off - at[..., None] * along, axis=-1) - capsules[:, 6]).min(axis=1).max())


def excess(capsules: np.ndarray, normals: np.ndarray, reach: np.ndarray) -> float:
    """How far in metres the capsules stick out of the shape, in the direction where they do most."""
    ends = np.maximum(capsules[:, :3] @ normals.T, capsules[:, 3:6] @ normals.T)
    return float((ends + capsules[:, 6:] - reach).max())


def _strips(points: np.ndarray, count: int, along: int, across: int) -> np.ndarray:
    """Parallel capsules (k 7) along one main axis of a cloud, side by side across another: where the fit begins."""
    centre = 0.5 * (points.max(axis=0) + points.min(axis=0))
    axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2]
    local = (points - centre) @ axes.T
    low, high = local.min(axis=0), local.max(axis=0)
    half = 0.5 * (high - low)
    width = half[across] / count
    radius = max(min(half[3 - along - across], 1.2 * width if count > 1 else width), 1e-3)
    out = np.zeros((count, 7))
    for k in range(count):
        middle, reach = 0.5 * (low + high), np.zeros(3)
        middle[across] = low[across] + (2 * k + 1) * width
        reach[along] = max(0.0, half[along] - radius)
        out[k] = [*(centre + (middle - reach) @ axes), *(centre + (middle + reach) @ axes), radius]
    return out


@njit(cache=True, error_model="numpy")
def _descend(begin, surface, normals, reach, iterations):
    """Capsules (k 7) of least cost from `begin`: Levenberg-Marquardt on fourth powers, as weighted squares."""
    n = begin.size
    now, trial = begin.copy(), begin.copy()
    A, g, A_now, g_now = np.zeros((n, n)), np.zeros(n), np.zeros((n, n)), np.zeros(n)
    J, damping, least = np.zeros(7), 1e-3, np.inf
    for _ in range(iterations):
        A[:], g[:] = 0.0, 0.0
        cost = _bare_rows(trial, surface, J, A, g) + _excess_rows(trial, normals, reach, J, A, g)
        if cost < least:
            fell, least = least - cost, cost
            now[:], A_now[:], g_now[:] = trial, A, g
            damping = max(0.3 * damping, 1e-6)
            if fell < _SETTLED * least:
                break
        else:
            damping *= 4.0
            if damping > 1e6:
                break
        mean = np.trace(A_now) / n
        B = A_now.copy()
        for i in range(n):
            B[i, i] += damping * (A_now[i, i] + mean) + 1e-14
        trial[:] = now - np.linalg.solve(B, g_now).reshape(now.shape)
        trial[:, 6] = np.maximum(trial[:, 6], 1e-4)
    return now


@njit(cache=True, error_model="numpy")
def _bare_rows(capsules, surface, J, A, g):
    """Add the rows of bare points; their cost."""
    cost = 0.0
    for x in surface:
        least, mine, at = np.inf, 0, 0.0
        nx, ny, nz = 0.0, 0.0, 0.0
        for i in range(len(capsules)):
            c = capsules[i]
            dx, dy, dz = c[3] - c[0], c[4] - c[1], c[5] - c[2]
            square, t = dx * dx + dy * dy + dz * dz, 0.0
            if square > 1e-14:
                t = min(max(((x[0] - c[0]) * dx + (x[1] - c[1]) * dy + (x[2] - c[2]) * dz) / square, 0.0), 1.0)
            vx, vy, vz = x[0] - c[0] - t * dx, x[1] - c[1] - t * dy, x[2] - c[2] - t * dz
            long = np.sqrt(vx * vx + vy * vy + vz * vz)
            if long - c[6] < least:
                least, mine, at, scale = long - c[6], i, t, 1.0 / max(long, 1e-9)
                nx, ny, nz = vx * scale, vy * scale, vz * scale
        if least <= 0.0:
            continue
        for r, n in enumerate((nx, ny, nz)):
            J[r], J[3 + r] = -(1.0 - at) * n, -at * n
        J[6] = -1.0
        weight = _BARE_WEIGHT * least * least
        cost += weight * least * least
        for a in range(7):
            g[7 * mine + a] += weight * J[a] * least
            for b in range(7):
                A[7 * mine + a, 7 * mine + b] += weight * J[a] * J[b]
    return cost


@njit(cache=True, error_model="numpy")
def _excess_rows(capsules, normals, reach, J, A, g):
    """Add the rows of directions in which capsules stick out; their cost."""
    cost = 0.0
    for i in range(len(capsules)):
        c = capsules[i]
        for f in range(len(normals)):
            n = normals[f]
            first = n[0] * c[0] + n[1] * c[1] + n[2] * c[2]
            second = n[0] * c[3] + n[1] * c[4] + n[2] * c[5]
            beyond = max(first, second) + c[6] - reach[f]
            if beyond <= 0.0:
                continue
            for r in range(3):
                J[r], J[3 + r] = (n[r], 0.0) if first > second else (0.0, n[r])
            J[6] = 1.0
            weight = beyond * beyond
            cost += weight * beyond * beyond
            for a in range(7):
                g[7 * i + a] += weight * J[a] * beyond
                for b in range(7):
                    A[7 * i + a, 7 * i + b] += weight * J[a] * J[b]
    return cost
