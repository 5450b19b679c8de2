"""What every reader gives: points of human75 in the file's own units and axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import skeletons
from vidpretrain.types import Frozen

HUMAN = skeletons.skeleton("human75")


@dataclass(frozen=True, kw_only=True)
class RawMotion(Frozen):
    """`p` (t 75 3) in the file's units, NaN where the file has no point; `rate_hz` None where it has none.

    `lone_hand`: a hand track in the columns of the left hand whose side is not known yet.
    """

    p: Float64[np.ndarray, "t 75 3"]
    rate_hz: float | None
    lone_hand: bool = False

    @property
    def known(self) -> Bool[np.ndarray, "t 75"]:
        """Points with three finite coordinates."""
        return finite(self.p)


def finite(p: Float64[np.ndarray, "*b n"]) -> Bool[np.ndarray, "*b"]:
    """Where all numbers of the last axis are finite."""
    return np.asarray(np.isfinite(p).all(axis=-1))


def empty(frames: int) -> np.ndarray:
    """(t 75 3) of NaN."""
    return np.full((frames, len(HUMAN), 3), np.nan)
