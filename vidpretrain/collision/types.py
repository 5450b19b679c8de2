"""The shape of an articulated body, as far as it can touch itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain.types import Frozen


@dataclass(frozen=True, kw_only=True)
class CollisionModel(Frozen):
    """Capsules carried by a tree's joints (-1: the base), in the joints' frames, and the pairs that can touch.

    `pairs` are indices of capsules. Pairs of neighbouring links, pairs that touch whatever the posture, and pairs that
    never come near each other are left out.
    """

    names: tuple[str, ...]
    joint: Int64[np.ndarray, " c"]
    p_joint_start: Float64[np.ndarray, "c 3"]
    p_joint_end: Float64[np.ndarray, "c 3"]
    radius_m: Float64[np.ndarray, " c"]
    pairs: Int64[np.ndarray, "n 2"]

    def check(self) -> None:
        count = len(self.names)
        if not (len(self.joint) == len(self.p_joint_start) == len(self.p_joint_end) == len(self.radius_m) == count):
            raise ValueError("CollisionModel: names, joints, ends and radii differ in length")
        if len(self.pairs) and not 0 <= self.pairs.min() <= self.pairs.max() < count:
            raise ValueError("CollisionModel: a pair names a capsule that is not there")


@dataclass(frozen=True, kw_only=True)
class Touches(Frozen):
    """What is near (k), frames ascending: the frame, the pair (a number of its own), the gap in metres, the joints of
    both shapes (-1: the base), the direction from the first to the second and a point between them,
    in the base's axes."""

    frame: Int64[np.ndarray, " k"]
    pair: Int64[np.ndarray, " k"]
    gap_m: Float64[np.ndarray, " k"]
    joint: Int64[np.ndarray, "k 2"]
    normal: Float64[np.ndarray, "k 3"]
    p_base: Float64[np.ndarray, "k 3"]


class Shapes(Protocol):
    """What tells how near shapes are, `collision.hulls_of`'s answer; numbers of pairs are below `pairs`."""

    @property
    def pairs(self) -> int: ...

    def touches(self, joint_pos: Float64[np.ndarray, "t j"], frames: Int64[np.ndarray, " f"], near_m: float) -> Touches:
        """The pairs of shapes nearer than `near_m` in these frames, a pair's least gap counting."""
        ...
