"""What to render: plain data, importable without MuJoCo or Anny."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

View = Literal["head", "chest", "front"]
MotionName = Literal["reach", "grasp", "lift", "handover"]


@dataclass(frozen=True, kw_only=True)
class RobotTaskConfig:
    """Episodes of a scripted robot that picks up a bottle; `width_px` x `height_px` are the stored pictures."""

    episodes: int = 24
    hand: Literal["right", "left", "both"] = "right"
    duration_s: float = 3.0
    rate_hz: float = 30.0
    width_px: int = 320
    height_px: int = 240

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError("episodes must be at least 1")
        if min(self.width_px, self.height_px) < 16 or self.width_px % 2 or self.height_px % 2:
            raise ValueError("width_px and height_px must be even and at least 16")
        if self.duration_s < 2.0 or self.rate_hz < 5:
            raise ValueError("duration_s must be at least 2 (fingers need time to close) and rate_hz at least 5")


@dataclass(frozen=True, kw_only=True)
class SimConfig:
    """Rendered people: `clips` videos that walk through motions and views; everything else follows from `seed`."""

    seed: int = 0
    clips: int = 8
    motions: tuple[MotionName, ...] = ("reach", "grasp", "lift", "handover")
    views: tuple[View, ...] = ("head", "front", "chest")
    bodies: int = 4
    duration_s: float = 3.0
    rate_hz: float = 30.0
    width_px: int = 640
    height_px: int = 480
    workers: int = 2
    robot_task: RobotTaskConfig = field(default_factory=RobotTaskConfig)

    def __post_init__(self) -> None:
        if self.clips < 0 or self.bodies < 1 or self.workers < 1:
            raise ValueError("clips must be at least 0, bodies and workers at least 1")
        if not self.motions or not self.views:
            raise ValueError("motions and views must name at least one each")
        if min(self.width_px, self.height_px) < 16 or self.width_px % 2 or self.height_px % 2:
            raise ValueError("width_px and height_px must be even and at least 16")
        if self.rate_hz <= 0 or self.duration_s * self.rate_hz < 2:
            raise ValueError("duration_s x rate_hz must give at least two frames")
