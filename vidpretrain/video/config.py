"""What the video room can be told; importable without any decoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Where the videos are, how they are decoded and how they are cut into clips.

    `paths` are files and folders (searched recursively). `cut_threshold` is the difference of two neighbouring frames
    above which a shot ends (0 same picture, 1 nothing in common); `cut_margin_s` is thrown away on each side of a cut;
    shots longer than `max_clip_s` are divided evenly. `license` holds for files without a manifest or sidecar.

    `mirrored` says whether the pictures are mirror images (selfies) and are to be flipped back, `turn_deg` is the
    counter-clockwise turn that makes pictures upright which the container says are upright already; where they are None
    the sidecars say it. Neither can be seen in a picture.
    """

    paths: tuple[Path, ...] = ()
    backend: Literal["auto", "decord", "pyav"] = "auto"
    cut_threshold: float = 0.4
    cut_margin_s: float = 0.5
    min_clip_s: float = 0.5
    max_clip_s: float = 30.0
    max_frame_px: int = 8192
    license: str = "unknown"
    mirrored: bool | None = None
    turn_deg: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.cut_threshold <= 1:
            raise ValueError(f"cut_threshold lies in (0, 1], not {self.cut_threshold}")
        if self.cut_margin_s < 0 or self.min_clip_s < 0:
            raise ValueError("cut_margin_s and min_clip_s are not negative")
        if self.max_clip_s < max(self.min_clip_s, 0.1):
            raise ValueError(f"max_clip_s is at least min_clip_s and 0.1, not {self.max_clip_s}")
        if self.turn_deg is not None and self.turn_deg not in (0, 90, 180, 270):
            raise ValueError(f"turn_deg is 0, 90, 180, 270 or null, not {self.turn_deg}")
        if self.max_frame_px < 16:
            raise ValueError(f"max_frame_px is at least 16, not {self.max_frame_px}")
