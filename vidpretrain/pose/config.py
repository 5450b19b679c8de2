"""What the pose room can be told; importable without any network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class PoseConfig:
    """How people are found. `estimator` is a name of the table (`estimator_names()`).

    Frames are used at most at `max_rate_hz`, by a whole stride. Hands that the whole frame does not show are looked for
    in crops around wrists and lost hands (`wrist_crops`), by the network of the points alone (`near_looks`), in other
    lights (`rescue_lights`), over the picture's edges and in tiles (`rescue_tiles`); what is a hand with a probability
    of less than `least_trust` (`trust`) is left out. `precomputed` is the folder of the
    precomputed estimator and `precomputed_format` what wrote it, `models` a folder with landmark models that is looked
    at first, `transformers_model` a pose model of the Hub (or its folder) for the estimator `transformers`.
    """

    MOVED: ClassVar[dict[str, str]] = {"rejects": "rejects (at the top)"}

    estimator: str = "mediapipe"
    max_rate_hz: float = 30.0
    frame_stride: int | None = None
    network_px: int = 1280
    hand_confidence: float = 0.5
    body_confidence: float = 0.5
    wrist_crops: bool = True
    near_looks: bool = True
    rescue_lights: bool = True
    rescue_tiles: bool = True
    rescue_confidence: float = 0.15
    least_trust: float = 0.7
    models: Path | None = None
    precomputed: Path | None = None
    precomputed_format: str = "vidpretrain"
    transformers_model: str = "usyd-community/vitpose-base-simple"

    def __post_init__(self) -> None:
        for name in ("hand_confidence", "body_confidence", "rescue_confidence", "least_trust"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies in [0, 1], not {getattr(self, name)}")
        if self.max_rate_hz <= 0 or (self.frame_stride is not None and self.frame_stride < 1):
            raise ValueError("max_rate_hz is positive and frame_stride at least 1")
        if self.network_px < 64:
            raise ValueError(f"network_px is at least 64, not {self.network_px}")
