"""From rendered light to a camera's picture: exposure time, gain, colour cast, gamma and noise."""

from __future__ import annotations

import numpy as np

from vidpretrain.synth.specs import PictureSpec

BLUR_STEPS = 7
_DECODE = (np.arange(256) / 255.0) ** 2.2  # light adds up in linear values


def moments(shutter: float) -> np.ndarray:
    """When light is taken in, as shares of the frame's interval about the frame's time; 0 alone without blur."""
    return np.linspace(-0.5, 0.5, BLUR_STEPS) * shutter if shutter > 0 else np.zeros(1)


def expose(pictures: list[np.ndarray]) -> np.ndarray:
    """The picture (h w 3) uint8 that all of these, taken together, make."""
    if len(pictures) == 1:
        return pictures[0]
    light = sum(_DECODE[picture] for picture in pictures) / len(pictures)
    return np.round(255 * light ** (1 / 2.2)).astype(np.uint8)


def develop(picture: np.ndarray, spec: PictureSpec, rng: np.random.Generator) -> np.ndarray:
    """The picture (h w 3) uint8 with the sensor's gain, cast, gamma and noise (shot noise and a part that is even)."""
    value = (picture / 255.0) ** spec.gamma * (spec.gain * np.array(spec.cast))
    if spec.noise > 0:
        sigma = spec.noise / 255.0 * np.sqrt(0.35 + 0.65 * np.clip(value, 0, 1))
        value = value + sigma * rng.standard_normal(value.shape)
    return np.round(255 * np.clip(value, 0, 1)).astype(np.uint8)
