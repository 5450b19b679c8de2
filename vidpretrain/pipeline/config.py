"""What turning videos into robot motion depends on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from vidpretrain.feasibility.config import FeasibilityConfig
from vidpretrain.motion.config import MotionConfig
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.reject_config import RejectConfig
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.segments.config import SegmentConfig
from vidpretrain.video.config import VideoConfig


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The settings of every stage up to robot motion and its feasibility, the robot, and how many processes share it.

    `workers` 0 is one process per core.
    """

    video: VideoConfig = field(default_factory=VideoConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    rejects: RejectConfig = field(default_factory=RejectConfig)
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    retarget: RetargetConfig = field(default_factory=RetargetConfig)
    feasibility: FeasibilityConfig = field(default_factory=FeasibilityConfig)
    robot: str = "g1_inspire"
    workers: int = 0

    def video_key(self) -> dict[str, Any]:
        """The video settings that a file's content and cuts depend on: not where it lies, nor its licence."""
        values = dataclasses.asdict(self.video)
        return {name: value for name, value in values.items() if name not in ("paths", "license")}
