"""What a file of motion does not say itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

OutFormat = Literal["npz", "gmr", "csv", "lerobot"]


@dataclass(frozen=True, kw_only=True)
class MotionFileConfig:
    """Settings of `read_motion`; what is None or "auto" is taken from the file, or it is an error to leave it out.

    `rate_hz` (frames per second) wins over the file's. `unit_m` is metres per unit of the file (.01 for centimetres);
    without it the person's legs, or the palm, decide between metres, centimetres, inches and millimetres. `up` is the
    file's vertical axis. `side` says whose hand a lone hand track is; without it thumb and fingers decide. A mirrored
    hand, or a body with left and right exchanged, is refused, or with "swap" put on the other side. `names` maps points
    of human75 to joints of a BVH whose names are not known ({"left_wrist": "Hand.L"}); `motion` is the name of one of
    several motions in a file. A file whose bones change their length by more than `max_length_spread` (spread of the
    middle half over the median) does not hold points in space.
    """

    rate_hz: float | None = None
    unit_m: float | None = None
    up: Literal["auto", "x", "y", "z", "-x", "-y", "-z"] = "auto"
    side: Literal["left", "right"] | None = None
    mirrored: Literal["refuse", "swap"] = "refuse"
    height_m: float | None = None
    names: dict[str, str] = field(default_factory=dict)
    motion: str | None = None
    body_sigma_m: float = 0.02
    hand_sigma_m: float = 0.01
    min_usable_share: float = 0.1
    max_length_spread: float = 0.35

    def __post_init__(self) -> None:
        for name in ("rate_hz", "unit_m", "height_m"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be above 0, found {value}")
