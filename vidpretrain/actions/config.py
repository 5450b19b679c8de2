"""Which groups an embodiment's vector has, and how long a chunk is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ActionConfig:
    """Settings of `spec_for`: `wrist_poses` adds each wrist's pose in the base frame after the joints.

    `grasp` adds a bit per hand after these: 1 closed.
    """

    rate_hz: float = 30.0
    horizon: int = 16
    wrist_poses: bool = True
    grasp: bool = False

    def __post_init__(self) -> None:
        if self.rate_hz <= 0 or self.horizon < 1:
            raise ValueError(f"rate_hz and horizon must be above 0, found {self.rate_hz} and {self.horizon}")
