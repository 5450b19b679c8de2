"""How data sets and training caches are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FitMode = Literal["pad", "squash", "crop"]


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """Size, compression and grouping of a data set's files, and the picture of the training cache.

    `max_video_s` keeps shared videos short: LeRobot's reader compares float32 times within 1e-4 s, which stops
    working near 1,000 s into a file.

    Only motions whose feasibility verdict is `min_verdict` or better become episodes ("infeasible": all of them).
    `feasibility_columns` adds every measure of every row to the data set's columns; the verdicts are always there.
    """

    rate_hz: float = 30.0
    image_height_px: int = 480
    image_width_px: int = 640
    image_fit: FitMode = "pad"
    crf: int = 18
    keyframe_interval: int = 2
    data_file_mb: float = 100.0
    video_file_mb: float = 200.0
    max_video_s: float = 480.0
    cache_image_size_px: int = 96
    cache_fit: FitMode = "pad"
    imputed_weight: float = 0.5
    min_verdict: Literal["infeasible", "doubtful", "feasible"] = "infeasible"
    feasibility_columns: bool = False

    def __post_init__(self) -> None:
        for name in ("image_height_px", "image_width_px"):
            value = getattr(self, name)
            if value < 2 or value % 2:
                raise ValueError(f"{name} is {value}: H.264 in 4:2:0 needs an even number of pixels")
        for name in ("rate_hz", "data_file_mb", "video_file_mb", "cache_image_size_px"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be above zero")
        if not 0 < self.max_video_s <= 900:
            raise ValueError(f"max_video_s is {self.max_video_s}: LeRobot's float32 times allow up to 900 s a file")
        if not 0 <= self.imputed_weight <= 1:
            raise ValueError(f"imputed_weight is {self.imputed_weight}: a share between 0 and 1")
