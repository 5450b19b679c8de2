"""One picture in other lights: the hand network misses dark hands, noisy ones and coloured gloves, and finds them here.

A gamma of a half shows dark skin, less noise and more gain a dim room, and red exchanged for blue a blue glove. Each
light finds hands that the others do not, so a clip's missing hands are looked for in one after the other, and in the
one that found them as long as it does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

Frame = UInt8[np.ndarray, "h w 3"]
_GAMMA = np.array([round(255 * (n / 255) ** 0.5) for n in range(256)], dtype=np.uint8)
_WHITE, _MOST_GAIN, _BLUR_PX = 220.0, 8.0, 1.2
_PATIENCE, _LOST, _SELDOM = 6, 5, 3  # failures until a light is tried seldom, until one that found is left; how seldom


def calmed(frame: Frame) -> Frame:
    """Blurred by a little more than a pixel, and as bright as it can be: noise is gone, and the dark with it."""
    import cv2

    step = max(1, max(frame.shape[:2]) // 160)
    bright = float(np.percentile(frame[::step, ::step], 97))
    soft = cv2.GaussianBlur(frame, (0, 0), _BLUR_PX)
    return cv2.convertScaleAbs(soft, alpha=float(np.clip(_WHITE / max(bright, 1.0), 1.0, _MOST_GAIN)))


def lifted(frame: Frame) -> Frame:
    """Dark parts made lighter, gamma 1/2."""
    import cv2

    return cv2.LUT(frame, _GAMMA)


def exchanged(frame: Frame) -> Frame:
    """Red and blue exchanged: blue and green things look like skin."""
    return np.ascontiguousarray(frame[..., ::-1])


LIGHTS: tuple[Callable[[Frame], Frame], ...] = (calmed, lifted, exchanged)


class LightChoice:
    """Which light to look in next; told after every look whether it showed a hand that was missing."""

    def __init__(self) -> None:
        self._good: int | None = None
        self._next = self._failed = self._asked = 0

    def choose(self) -> Callable[[Frame], Frame] | None:
        """A light, or None where nothing was to be seen for so long that it is not worth a look each frame."""
        self._asked += 1
        if self._good is not None:
            return LIGHTS[self._good]
        if self._failed >= _PATIENCE and self._asked % _SELDOM:
            return None
        return LIGHTS[self._next]

    def found(self, anything: bool) -> None:
        """What the last light that was chosen showed."""
        tried = self._next if self._good is None else self._good
        self._failed = 0 if anything else self._failed + 1
        if anything:
            self._good = tried
        elif self._good is None or self._failed >= _LOST:
            self._good, self._next = None, (tried + 1) % len(LIGHTS)
