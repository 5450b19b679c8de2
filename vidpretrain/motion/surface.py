"""The scale of a worn camera's path by the hands: they work at a surface, and how large they are is known.

A path from pictures is in units that only the way of carrying fixes, to about a half. In the same pictures hands lie
before the background, at depths that their size tells in metres, and from time to time close to it: on the table, on
what they reach for. So the background behind a hand is a little farther than the hand.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.camera import CameraPath
from vidpretrain.motion.hands import Hand

_FARTHER, _SIGMA = 1.15, 0.2  # depth of what is behind a hand over the hand's, and one sigma of its logarithm
_QUANTILE = 0.25  # of a clip's frames: hands come close to the surface in some, and are lifted in others
_LEAST_FRAMES, _LEAST_POINTS = 8, 3
_WIDTH = 1.0  # of the window around a hand, in lengths of the hand


def sized_by_hands(path: CameraPath, hands: dict[str, Hand]) -> CameraPath:
    """The path, its points and its sigma at the scale of the hands; as it is where the scale is known, or no hand lies
    before the background."""
    if not path.moves or path.p_first_point is None or path.size_sigma <= 0:
        return path
    ratios = np.concatenate([_behind(path, hand) for hand in hands.values()])
    if len(ratios) < _LEAST_FRAMES:
        return path
    told = float(np.log(_FARTHER) - np.quantile(np.log(ratios), _QUANTILE))
    precision = 1.0 / _SIGMA**2 + 1.0 / path.size_sigma**2
    factor, sigma = float(np.exp(told / _SIGMA**2 / precision)), precision**-0.5
    poses = geometry.pose(path.T_first_camera[:, :4], factor * path.T_first_camera[:, 4:])
    far2 = (path.T_first_camera[:, 4:] ** 2).sum(axis=1) / 3.0
    without = np.maximum(path.sigma_m**2 - path.size_sigma**2 * far2, 0.0)
    return dataclasses.replace(
        path,
        T_first_camera=poses,
        sigma_m=factor * np.sqrt(without + sigma**2 * far2),
        p_first_point=factor * path.p_first_point,
        size_sigma=sigma,
        detail=f"{path.detail}; {factor:.2f} of that by the hands before the background, within {sigma:.0%}",
    )


def _behind(path: CameraPath, hand: Hand) -> Float64[np.ndarray, " n"]:
    """Depth of the background over the depth of the hand before it, in the frames that show both."""
    out = []
    assert path.p_first_point is not None
    for t in np.flatnonzero(hand.seen):
        p = hand.p_camera[t]
        if not np.isfinite(p).all() or not np.isfinite(path.sigma_rad[t]):
            continue
        behind = geometry.transform(geometry.inverse(path.T_first_camera[t]), path.p_first_point)
        behind = behind[behind[:, 2] > 1e-3]
        middle, depth = p[:, :2].mean(axis=0) / p[:, 2].mean(), float(p[:, 2].mean())
        length = float(np.linalg.norm(p[12] - p[0])) / depth
        off = np.linalg.norm(behind[:, :2] / behind[:, 2:] - middle, axis=1)
        near = off < 2.0 * _WIDTH * length
        if near.sum() >= _LEAST_POINTS:
            weight = np.exp(-0.5 * (off[near] / (_WIDTH * length)) ** 2)
            out.append(np.exp(_weighted_median(np.log(behind[near, 2] / depth), weight)))
    return np.array(out)


def _weighted_median(value: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(value)
    total = np.cumsum(weight[order])
    return float(value[order][np.searchsorted(total, 0.5 * total[-1])])
