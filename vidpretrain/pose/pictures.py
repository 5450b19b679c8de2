"""Whether the pictures themselves are fit to be looked at: light and sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

_LONG_SIDE_PX = 320
_CONTRAST = 20.0  # standard deviation of luma below which nothing can be said about sharpness


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`bright` is the green (of 255) that 95 % of the pixels stay below; `sharpness` is NaN where it is not known."""

    bright: float
    sharpness: float


def measure(frame: UInt8[np.ndarray, "h w 3"], sharp: bool = True) -> Picture:
    """Light and, if asked for, sharpness of an RGB frame."""
    import cv2

    step = max(1, max(frame.shape[:2]) // 128)
    bright = float(np.percentile(frame[::step, ::step, 1], 95))
    if not sharp:
        return Picture(bright=bright, sharpness=float("nan"))
    share = _LONG_SIDE_PX / max(frame.shape[:2])
    size = (max(8, round(frame.shape[1] * share)), max(8, round(frame.shape[0] * share)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return Picture(bright=bright, sharpness=sharpness(luma))


def sharpness(luma: Float64[np.ndarray, "h w"]) -> float:
    """The strongest edges' curvature against the contrast: a pixel-wide edge has about .1, NaN for flat pictures.

    The 99th percentile of the squared Laplacian over 64 times the variance of the luma, on a picture of 320 px.
    """
    variance = float(luma.var())
    if variance < _CONTRAST**2:
        return float("nan")
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    return float(np.percentile(laplacian**2, 99) / (64.0 * variance))
