"""The scale of a path that pictures leave open, by the lever at whose end the camera turns.

A camera on a head goes round by about R l - l as the head turns by R, with l from the neck to the camera. In the
path's own units that lever is found by least squares over ways of half a second, trunk and all; how long levers are is
known. Regressing the way on the turn, and not the other way round, keeps what the trunk does from shrinking the scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.camera.bundle import Carried

_APART_S = 0.5
_GRID = np.exp(np.linspace(np.log(0.05), np.log(20.0), 400))


@dataclass(frozen=True)
class Size:
    """What places are multiplied by, and one sigma of its logarithm; `lever` (3) in the path's own units."""

    factor: float
    sigma: float
    lever: np.ndarray


def lever_size(poses: Float64[np.ndarray, "t 7"], time_s: Float64[np.ndarray, " t"], carried: Carried) -> Size:
    """The scale of a path (t 7) by the lever that its ways and turns over half a second show."""
    step = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1.0
    apart = max(1, round(_APART_S / step))
    if len(poses) <= apart + 2:
        return Size(1.0, 1.0, carried.lever_m)
    R = geometry.matrix_from_quat(poses[:, :4])
    A = (R[apart:] - R[:-apart]).reshape(-1, 3)
    way = (poses[apart:, 4:] - poses[:-apart, 4:]).reshape(-1)
    usual = float((way**2).mean()) / float(np.linalg.norm(carried.lever_m) ** 2)
    information = A.T @ A + 1e-9 * np.eye(3)
    lever = np.linalg.solve(information, A.T @ way)
    variance = max(float(((A @ lever - way) ** 2).mean()), 1e-3 * usual)
    own = np.linalg.inv(information) * variance * apart  # ways that overlap err together
    score = np.array([_score(factor, lever, own, carried) for factor in _GRID])
    share = np.exp(score - score.max())
    share /= share.sum()
    middle = float((share * np.log(_GRID)).sum())
    return Size(float(np.exp(middle)), float(np.sqrt((share * (np.log(_GRID) - middle) ** 2).sum())), lever)


def _score(factor: float, lever: np.ndarray, own: np.ndarray, carried: Carried) -> float:
    """Log-likelihood of a lever in the path's units, when the true one is that of `carried` and the scale `factor`."""
    covariance = np.diag(carried.lever_sigma_m**2) / factor**2 + own
    off = lever - carried.lever_m / factor
    return float(-0.5 * off @ np.linalg.solve(covariance, off) - 0.5 * np.linalg.slogdet(covariance)[1])
