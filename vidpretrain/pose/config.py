"""What the pose room can be told; importable without any network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RejectConfig:
    """When a clip is refused; the reason beside each threshold. Shares are of the clip's frames, from 0 to 1.

    * `min_frames`: fewer are TOO_SHORT.
    * `min_hand_share`, `min_body_share`: where hands and a body are both rarer, NO_PERSON or HANDS_TOO_RARE.
    * `min_hand_length`, `min_torso_length`: medians over the picture's long side; where both are less, TOO_SMALL.
    * `min_inside_share`: of the frames with somebody, those with a wrist inside the picture; fewer are OUT_OF_FRAME.
    * `dark_luma`: frames of which 95 % of the pixels are darker (green, of 255); `max_dark_share` of them: TOO_DARK.
    * `min_sharpness`: see `pictures.sharpness`; more than `max_blurred_share` below it: BLURRED.
    * `max_people`: more are a crowd; more than `max_crowd_share` of crowds: SEVERAL_PEOPLE.
    * `max_hand_speed`: hand lengths per second; more than `max_teleport_share` of the steps faster: TELEPORTING.
    * `max_upside_down_share`: of the frames with somebody standing on their head: UPSIDE_DOWN.
    * `max_sideways_share`: of the frames with somebody lying on their side as in a turned picture: SIDEWAYS.
    * `min_motion`: of any limb or hand in the picture, in torso or hand lengths; less in a clip of at least `still_s`
      is MOTIONLESS: a mannequin, a painting, a still picture, or somebody who does nothing.
    """

    min_frames: int = 2
    min_hand_share: float = 0.1
    min_body_share: float = 0.2
    min_hand_length: float = 0.006
    min_torso_length: float = 0.03
    min_inside_share: float = 0.1
    dark_luma: float = 24.0
    max_dark_share: float = 0.7
    min_sharpness: float = 0.0005
    max_blurred_share: float = 0.7
    max_people: int = 3
    max_crowd_share: float = 0.5
    max_hand_speed: float = 80.0
    max_teleport_share: float = 0.1
    max_upside_down_share: float = 0.5
    max_sideways_share: float = 0.5
    min_motion: float = 0.08
    still_s: float = 1.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name.endswith("share") and not 0 <= value <= 1:
                raise ValueError(f"{name} lies in [0, 1], not {value}")
            if value < 0:
                raise ValueError(f"{name} is not negative, found {value}")


@dataclass(frozen=True, kw_only=True)
class PoseConfig:
    """How people are found. `estimator` is a name of the table (`estimator_names()`).

    Frames are used at most at `max_rate_hz`, by a whole stride. `rejects` says when a clip is refused. `precomputed` is
    the folder of the precomputed estimator and `precomputed_format` what wrote it, `models` a folder with landmark
    models that is looked at first, `transformers_model` a pose model of the Hub (or its folder) for the estimator
    `transformers`.
    """

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
    rejects: RejectConfig = field(default_factory=RejectConfig)
    models: Path | None = None
    precomputed: Path | None = None
    precomputed_format: str = "vidpretrain"
    transformers_model: str = "usyd-community/vitpose-base-simple"

    def __post_init__(self) -> None:
        for name in ("hand_confidence", "body_confidence", "rescue_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies in [0, 1], not {getattr(self, name)}")
        if self.max_rate_hz <= 0 or (self.frame_stride is not None and self.frame_stride < 1):
            raise ValueError("max_rate_hz is positive and frame_stride at least 1")
        if self.network_px < 64:
            raise ValueError(f"network_px is at least 64, not {self.network_px}")
