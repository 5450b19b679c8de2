"""Which people are filmed doing which task: plain data, importable without MuJoCo or Anny."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.synth.config import Split

View = Literal["head", "third"]


@dataclass(frozen=True, kw_only=True)
class FilmConfig:
    """How people are filmed at a task: `clips` films, one per seed of its expert, counted up from `first_seed`.

    A person does the task `speed` times as fast as the robot, rests for `lead_s` before and `tail_s` after it, and
    comes from a pool of `people` of a `split`, in one of `rooms`; `views` are gone through in turn. The head camera
    looks at the middle of the table, moved and turned by `camera_shift_m` and `camera_turn_rad` (standard deviations
    over people), and rides on a head that turns by about `gaze_deg`. Horizontal fields of view are drawn from
    `head_fov_deg` and, for a camera beside the person, `third_fov_deg`. Things and table are as large for all, and lie
    before the shoulders as before the robot's.
    """

    clips: int = 60
    first_seed: int = 100_000
    split: Split = "train"
    pool_seed: int = 0
    people: int = 12
    rooms: int = 12
    views: tuple[View, ...] = ("head",)
    speed: tuple[float, float] = (3.0, 4.0)
    lead_s: float = 0.3
    tail_s: float = 0.4
    camera_shift_m: float = 0.03
    camera_turn_rad: float = 0.05
    head_fov_deg: tuple[float, float] = (70.0, 95.0)
    third_fov_deg: tuple[float, float] = (50.0, 80.0)
    gaze_deg: float = 0.8
    rate_hz: float = 30.0
    width_px: int = 448
    height_px: int = 448
    crf: tuple[int, int] = (18, 26)
    shadows: bool = True
    workers: int = 2

    def __post_init__(self) -> None:
        if self.clips < 1 or self.people < 1 or self.rooms < 1 or self.workers < 1:
            raise ValueError("clips, people, rooms and workers are at least 1")
        if not self.views or not 1.0 <= self.speed[0] <= self.speed[1] <= 6.0:
            raise ValueError("views name at least one, speed is (least, most) within 1 to 6")
        if min(self.lead_s, self.tail_s) < 0 or not 5.0 <= self.rate_hz <= 120.0:
            raise ValueError("lead_s and tail_s are not negative, rate_hz lies within 5 to 120")
        if min(self.width_px, self.height_px) < 64 or self.width_px % 2 or self.height_px % 2:
            raise ValueError("width_px and height_px are even and at least 64")
        for low, high in (self.head_fov_deg, self.third_fov_deg):
            if not 20 <= low <= high <= 120:
                raise ValueError("head_fov_deg and third_fov_deg are (least, most) within 20 to 120")


@dataclass(frozen=True, kw_only=True)
class TaskFilmConfig(FilmConfig):
    """Films of one task (a name or a path), whose expert moves `robot`; `world` says how things lie and look."""

    task: str = "pick_lift"
    robot: str = "g1_inspire"
    world: WorldConfig = field(default_factory=WorldConfig)
