"""What hands do over a motion, and the stretches that it is divided into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain.types.base import Frozen, same_length


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A piece of a motion, [start_ns, exclusive_end_ns): what is done in it ("" when not told) and who says so."""

    start_ns: int
    exclusive_end_ns: int
    idle: bool = False
    instruction: str = ""
    told_by: Literal["", "narration", "captioner"] = ""


@dataclass(frozen=True, kw_only=True)
class Activity(Frozen):
    """What both hands (columns left, right) do over the frames of a motion, and its stretches, which cover all of it.

    `grasp` is a hand that is closed; `contact` the probability that it touches something, guessed from the hand alone
    (no object is looked for); `known` where the hand may be used: elsewhere `grasp` is false, the rest NaN.
    """

    clip_id: str
    time_ns: Int64[np.ndarray, " t"]
    wrist_speed_m_s: Float64[np.ndarray, "t 2"]
    grasp: Bool[np.ndarray, "t 2"]
    contact: Float64[np.ndarray, "t 2"]
    known: Bool[np.ndarray, "t 2"]
    stretches: tuple[Stretch, ...]

    def check(self) -> None:
        same_length(
            self,
            time_ns=self.time_ns,
            wrist_speed_m_s=self.wrist_speed_m_s,
            grasp=self.grasp,
            contact=self.contact,
            known=self.known,
        )
