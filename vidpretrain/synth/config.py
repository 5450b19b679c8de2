"""What to render: plain data, importable without MuJoCo or Anny."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "dev", "held"]
MotionName = Literal["reach", "grasp", "lift", "handover", "carry", "pour", "two_hands", "show", "gesture"]
GroupName = Literal[
    "third",
    "third_held",
    "third_blur",
    "third_noise",
    "third_sleeves",
    "third_gloves",
    "third_side",
    "third_back",
    "third_small",
    "third_occluded",
    "third_moving",
    "third_files",
    "head",
    "head_held",
    "head_blur",
    "head_noise",
    "head_sleeves",
    "head_gloves",
    "head_moving",
    "head_still",
    "chest",
    "two_people",
    "empty",
    "no_hands",
]


@dataclass(frozen=True, kw_only=True)
class SynthConfig:
    """Rendered clips with exact truth: `clips` videos that walk through `groups`; all else follows from `seed`.

    People, rooms, cameras and motions of one `split` are in no other, whatever the seeds. `people` and `rooms` are the
    sizes of the pools that one seed draws from. `motion_files` is a folder (searched with its sub-folders) whose
    motions group `third_files` plays, shared out to the splits by name; files that say no rate have `file_rate_hz`.
    Horizontal fields of view are drawn from `fov_deg`, H.264's quality from `crf` (group noise: the top of it).
    """

    seed: int = 0
    clips: int = 24
    split: Split = "train"
    groups: tuple[GroupName, ...] = (
        "third",
        "head",
        "chest",
        "third_held",
        "head_held",
        "third_blur",
        "head_moving",
        "third_noise",
        "head_gloves",
        "third_sleeves",
        "third_side",
        "two_people",
        "third_occluded",
        "head_noise",
        "third_gloves",
        "third_small",
        "third_moving",
        "head_blur",
        "third_back",
        "head_sleeves",
        "no_hands",
        "empty",
    )
    motions: tuple[MotionName, ...] = (
        "reach",
        "grasp",
        "lift",
        "handover",
        "carry",
        "pour",
        "two_hands",
        "show",
        "gesture",
    )
    motion_files: Path | None = None
    file_rate_hz: float = 30.0
    people: int = 8
    rooms: int = 8
    duration_s: float = 3.0
    rate_hz: float = 30.0
    width_px: int = 640
    height_px: int = 480
    fov_deg: tuple[float, float] = (50.0, 110.0)
    crf: tuple[int, int] = (18, 30)
    shadows: bool = True
    workers: int = 2

    def __post_init__(self) -> None:
        if self.clips < 1 or self.people < 2 or self.rooms < 1 or self.workers < 1:
            raise ValueError("clips, rooms and workers must be at least 1, people at least 2")
        if not self.groups or not self.motions:
            raise ValueError("groups and motions must name at least one each")
        if min(self.width_px, self.height_px) < 64 or self.width_px % 2 or self.height_px % 2:
            raise ValueError("width_px and height_px must be even and at least 64")
        if self.rate_hz <= 0 or self.file_rate_hz <= 0 or self.duration_s * self.rate_hz < 4:
            raise ValueError("rates must be above 0, and duration_s x rate_hz must give at least four frames")
        if not 20.0 <= self.fov_deg[0] <= self.fov_deg[1] <= 130.0:
            raise ValueError("fov_deg is (least, most), within 20 to 130 degrees")
        if not 0 <= self.crf[0] <= self.crf[1] <= 51:
            raise ValueError("crf is (least, most), within 0 to 51")
        if "third_files" in self.groups and self.motion_files is None:
            raise ValueError("group third_files needs motion_files, a folder of motion files")
