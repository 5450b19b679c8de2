"""What a container holds once every frame of it was decoded: the object that all later decoding goes by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Int64

from vidpretrain.types import Frozen


@dataclass(frozen=True, kw_only=True)
class VideoInfo(Frozen):
    """One video file: its decodable frames in presentation order.

    `width_px` and `height_px` are those of the upright picture, `rotation_deg` the counter-clockwise turn (0, 90, 180
    or 270) that makes the stored picture upright, `mirrored` whether it is flipped left-right after that;
    `orientation_from` says whether the container alone knew it, or somebody had to tell. `pts` are the container's own
    stamps of the decodable frames, `time_ns` the same relative to the first of them. `truncated` tells of a broken tail
    or broken frames that are not among them. `metadata` has lower-case keys; `make`, `model` and `focal_length_35mm`
    where a camera left them, `facing` (front) where it says so.
    """

    path: str
    sha256: str
    codec: str
    width_px: int
    height_px: int
    rotation_deg: int
    pts: Int64[np.ndarray, " t"]
    time_ns: Int64[np.ndarray, " t"]
    average_rate_hz: float
    variable_rate: bool
    backend: Literal["decord", "pyav"]
    truncated: bool
    metadata: dict[str, str] = field(default_factory=dict)
    mirrored: bool = False
    orientation_from: Literal["container", "given"] = "container"

    @property
    def frame_count(self) -> int:
        """Number of decodable frames."""
        return len(self.time_ns)

    @property
    def frame_ns(self) -> int:
        """Median time from one frame to the next: what the last frame is taken to last."""
        return int(np.median(np.diff(self.time_ns))) if len(self.time_ns) > 1 else 0

    @property
    def duration_ns(self) -> int:
        """Time from the first frame's start to the last frame's end."""
        return int(self.time_ns[-1]) + self.frame_ns
