"""The turn between two views from rays to things far away: consensus of pairs, then a robust fit with its covariance.

With known intrinsics the homography of a camera that only turns is its rotation, so two rays are enough (Brown, Hartley
and Nister 2007, "Minimal solutions for panoramic stitching"); the fit is Kabsch's with Cauchy weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry

_TRIALS, _ROUNDS = 200, 8
_TOGETHER = 0.2  # share of the points that counts: neighbours err together


@dataclass(frozen=True)
class Turn:
    """Rotation (4) that takes rays of view b to view a, sigma in rad (one axis), and the share that agrees.

    `agreement` is the weighted share of the points within the tolerance, `agrees` (n) which they are.
    """

    q_a_b: np.ndarray
    sigma_rad: float
    agreement: float
    agrees: np.ndarray


def turn_between(
    ray_a: Float64[np.ndarray, "n 3"],
    ray_b: Float64[np.ndarray, "n 3"],
    weight: Float64[np.ndarray, " n"],
    tolerance_rad: float,
    near: Float64[np.ndarray, " 4"] | None = None,
) -> Turn | None:
    """The turn that most of the weight agrees with, or None below three points; `near` is a guess that competes."""
    n = len(ray_a)
    if n < 3 or weight.sum() <= 0:
        return None
    rng = np.random.default_rng(n)
    share = weight / weight.sum()
    first = rng.choice(n, _TRIALS, p=share)
    second = rng.choice(n, _TRIALS, p=share)
    keep = np.linalg.norm(np.cross(ray_a[first], ray_a[second]), axis=-1) > 0.05
    R = _triad(ray_a[first[keep]], ray_a[second[keep]]) @ _triad(ray_b[first[keep]], ray_b[second[keep]]).transpose(
        0, 2, 1
    )
    guesses = [np.eye(3)] if near is None else [np.eye(3), geometry.matrix_from_quat(near)]
    R = np.concatenate([R, np.stack(guesses)])
    off = np.linalg.norm(np.einsum("hij,nj->hni", R, ray_b) - ray_a[None], axis=-1)
    score = (share * np.maximum(0.0, 1.0 - (off / (2 * tolerance_rad)) ** 2)).sum(axis=1)
    R_best = R[int(score.argmax())]
    scale = tolerance_rad
    for _ in range(_ROUNDS):
        off = np.linalg.norm(ray_b @ R_best.T - ray_a, axis=-1)
        robust = share / (1.0 + (off / scale) ** 2)
        robust = np.where(off < 4 * tolerance_rad, robust, 0.0)
        if np.count_nonzero(robust) < 3:
            return None
        R_best = _kabsch(ray_a, ray_b, robust)
        inside = off < 2 * tolerance_rad
        scale = float(
            np.clip(1.5 * np.median(off[inside]) if inside.any() else scale, 0.2 * tolerance_rad, tolerance_rad)
        )
    off = np.linalg.norm(ray_b @ R_best.T - ray_a, axis=-1)
    agrees = off < tolerance_rad
    return Turn(
        geometry.quat_from_matrix(R_best),
        _sigma(ray_a, off, share, agrees, tolerance_rad),
        float(share[agrees].sum()),
        agrees,
    )


def _kabsch(ray_a: np.ndarray, ray_b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rotation alone: no shift is taken out before."""
    U, _, Vt = np.linalg.svd((ray_a * weight[:, None]).T @ ray_b)
    return U @ np.diag([1.0, 1.0, np.sign(np.linalg.det(U @ Vt))]) @ Vt


def _triad(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Orthonormal axes (h 3 3, columns) of pairs of rays."""
    x = geometry.normalize(a + b)
    z = geometry.normalize(np.cross(a, b))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _sigma(ray_a, off, share, agrees, tolerance_rad: float) -> float:
    """Of one axis: residual variance through the information of rays, which say nothing about their own axis."""
    if agrees.sum() < 3:
        return np.inf
    rays, own = ray_a[agrees], share[agrees] / share[agrees].sum()
    variance = max(float((own * off[agrees] ** 2).sum()) / 2, (0.05 * tolerance_rad) ** 2)
    information = np.eye(3) - np.einsum("n,ni,nj->ij", own, rays, rays)
    count = _TOGETHER / float((own**2).sum())
    eigen = np.linalg.eigvalsh(information)
    return float(np.sqrt(variance / max(count, 1.0) * np.mean(1.0 / np.maximum(eigen, 1e-6))))
