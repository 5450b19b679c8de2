"""What the networks said, frame by frame, before anybody judged it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float64

from vidpretrain.pose.palms import palm_of
from vidpretrain.types import Frozen

_MIDDLE = [0, 9, 10, 11, 12]  # wrist to the tip of the middle finger
PALM = [0, 5, 9, 13, 17]
Origin = Literal["frame", "crop", "light", "near", "edge", "tile"]


@dataclass(frozen=True, kw_only=True)
class HandSighting(Frozen):
    """One hand in one frame: pixels of the full upright picture, metres in the camera's axes around the hand's centre.

    `p_left` is the network's probability that it is an anatomical left hand; `origin` the part of the picture in which
    it was found: the whole frame, a crop around a wrist or a lost hand, either in another light (`lights`), the square
    around a place where a hand should be (`near`), the frame with its edges widened, or a tile. `presence` is how sure
    the network is that a hand is there, in [0, 1], where it was asked.
    """

    p_image: Float64[np.ndarray, "21 2"]
    p_relative: Float64[np.ndarray, "21 3"]
    p_left: float
    origin: Origin
    presence: float | None = None

    @property
    def score(self) -> float:
        """The network's certainty about its label, in [.5, 1]: the only score that it gives out."""
        return max(self.p_left, 1.0 - self.p_left)

    @cached_property
    def length_px(self) -> float:
        """Wrist to middle fingertip along the bones: a size that a fist does not change much."""
        return float(np.linalg.norm(np.diff(self.p_image[_MIDDLE], axis=0), axis=1).sum())

    @cached_property
    def chirality(self) -> float:
        """How surely the 21 points are a left hand's (positive) or a right one's; near 0 for a flat hand.

        Fingers bend and the thumb lies on the palm's side. Its height over the palm's plane, in lengths of the palm,
        has one sign for a left hand and the other for a right one, whichever way the hand is turned.
        """
        return palm_of(self.p_relative).chirality


def distance(a: HandSighting, b: HandSighting) -> float:
    """Mean distance of the palms' points in lengths of the longer hand."""
    apart = np.linalg.norm(a.p_image[PALM] - b.p_image[PALM], axis=1).mean()
    return float(apart / max(a.length_px, b.length_px, 1.0))


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
