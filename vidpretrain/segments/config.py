"""How a motion is divided in time; importable without anything heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """Thresholds in seconds, metres and metres per second; frame counts of the literature are at 30 frames/s.

    * `split`: segments become `episodes` of their own; or subtasks of one episode per motion (`tasks`); or `none`.
    * `drop_idle`: stretches of at least `idle_min_s` in which no seen wrist is faster than `idle_speed_m_s` and no hand
      opens or closes are left out of the data set, and counted.
    * borders: minima of the wrists' speed, smoothed over `smooth_s`, lowest within `half_window_s` on both sides;
      segments last `min_s` to `max_s`.
    * grasp: closed below `grasp_distance_m - grasp_hysteresis_m` between the tips of thumb and index, open above
      `grasp_distance_m + grasp_hysteresis_m`, for a hand `grasp_hand_m` long (wrist to middle tip along the bones)
      and in proportion for others. Where a hand is never that open or never that closed, its four fingers tell:
      closed above `curl_share` of their own range of curl (which is at least `min_curl_range`; 0 straight, 1 a fist),
      give or take `curl_hysteresis` of it. Closed in any case are fingers beyond `firm_curl` and tips nearer than
      `firm_pinch_m`. A change lasts at least `grasp_min_s`.
    * instructions: a file beside the video, then the table `narration` (csv or parquet: video, start_s, end_s, text),
      then the image-text model `captioner` (of the Hub, or its folder; None: none) on `captioner_frames` pictures.
    """

    split: Literal["none", "tasks", "episodes"] = "tasks"
    drop_idle: bool = True
    idle_min_s: float = 1.0
    idle_speed_m_s: float = 0.05
    smooth_s: float = 5 / 30
    half_window_s: float = 0.5
    min_s: float = 8 / 30
    max_s: float = 10.0
    grasp_distance_m: float = 0.105
    grasp_hand_m: float = 0.19
    grasp_hysteresis_m: float = 0.01
    curl_share: float = 0.7
    curl_hysteresis: float = 0.08
    min_curl_range: float = 0.1
    firm_curl: float = 0.6
    firm_pinch_m: float = 0.03
    grasp_min_s: float = 0.1
    narration: Path | None = None
    captioner: str | None = None
    captioner_frames: int = 4
    captioner_tokens: int = 40
    captioner_prompt: str = "These pictures show one action in order. Say what the hands do, in one short sentence."

    def __post_init__(self) -> None:
        for name in ("idle_min_s", "idle_speed_m_s", "smooth_s", "half_window_s", "min_s", "grasp_distance_m"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is positive; found {getattr(self, name)}")
        if self.max_s < 2 * self.min_s:
            raise ValueError(f"max_s is at least twice min_s; found {self.max_s} and {self.min_s}")
        if not 0 <= self.grasp_hysteresis_m < self.grasp_distance_m or self.grasp_hand_m <= 0:
            raise ValueError("grasp_hysteresis_m is less than grasp_distance_m, and grasp_hand_m positive")
        if not 0 <= self.curl_hysteresis < min(self.curl_share, 1 - self.curl_share):
            raise ValueError(f"curl_share lies in (0, 1), curl_hysteresis within; found {self.curl_share}")
        if self.captioner_frames < 1 or self.captioner_tokens < 1:
            raise ValueError("captioner_frames and captioner_tokens are at least 1")
