"""How chunks become targets. Nothing heavy here: the command line reads this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Blend = Literal["newest", "ensemble"]


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """What is done with a predicted chunk.

    `blend` says which of the chunks that cover a row it follows: the newest one, or all of them ("ensemble"), weighted
    by exp(-decay * k), k = 0 for the oldest (temporal ensembling, Zhao et al., arXiv 2304.13705; its decay is .01).
    `limits` keeps targets inside the joints' limits and below `speed_share` of their speed limits.
    `ask_ahead` rows before its chunks end, a `Controller` asks for the next one.
    """

    blend: Blend = "newest"
    decay: float = 0.01
    limits: bool = True
    speed_share: float = 1.0
    ask_ahead: int = 8

    def __post_init__(self) -> None:
        if self.decay < 0:
            raise ValueError(f"decay is at least 0, not {self.decay}")
        if not 0 < self.speed_share <= 1:
            raise ValueError(f"speed_share lies above 0 and is at most 1, not {self.speed_share}")
        if self.ask_ahead < 0:
            raise ValueError(f"ask_ahead is at least 0, not {self.ask_ahead}")
