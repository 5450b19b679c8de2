"""What the networks said, frame by frame, before anybody judged it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from vidpretrain.types import Frozen

_MIDDLE = [0, 9, 10, 11, 12]  # wrist to the tip of the middle finger


@dataclass(frozen=True, kw_only=True)
class HandSighting(Frozen):
    """One hand in one frame: pixels of the full upright picture, metres in the camera's axes around the hand's centre.

    `p_left` is the network's probability that it is an anatomical left hand.
    """

    p_image: Float64[np.ndarray, "21 2"]
    p_relative: Float64[np.ndarray, "21 3"]
    p_left: float
    origin: Literal["frame", "crop", "tile"]

    @property
    def length_px(self) -> float:
        """Wrist to middle fingertip along the bones: a size that a fist does not change much."""
        return float(np.linalg.norm(np.diff(self.p_image[_MIDDLE], axis=0), axis=1).sum())


@dataclass(frozen=True, kw_only=True)
class BodySighting(Frozen):
    """One body in one frame: pixels, metres in the camera's axes around the hips' centre, visibility in [0, 1]."""

    p_image: Float64[np.ndarray, "33 2"]
    p_relative: Float64[np.ndarray, "33 3"]
    visibility: Float64[np.ndarray, " 33"]

    @property
    def size_px(self) -> float:
        """Length of the torso, or the shoulders' width where the torso is foreshortened; at least one pixel."""
        shoulders, hips = self.p_image[11:13], self.p_image[23:25]
        torso = np.linalg.norm(shoulders.mean(0) - hips.mean(0))
        return float(max(torso, np.linalg.norm(shoulders[0] - shoulders[1]), 1.0))
