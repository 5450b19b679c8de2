"""What `build_motion` assumes about cameras, people and noise. Frozen, plain, without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.intrinsics import DISTORTION_LENGTHS
from vidpretrain.motion.fit_config import FitConfig
from vidpretrain.motion.gap_config import GapConfig


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """Assumptions and thresholds of the motion room; lengths in metres, times in seconds, angles in degrees.

    Intrinsics: `K` (row by row, pixels of the upright picture), else `fov_x_deg`, else `fov_diagonal_deg` count as
    given; else the clip's metadata; else the two assumed diagonals, by view. `lens` is OpenCV's model of `distortion`;
    `camera` is how the camera's motion is found. The fit runs on through gaps of at most `max_gap_frames` at the clip's
    own rate and `max_gap_s`, so that a clip of 5 frames/s is not bridged over two seconds; what stays of such gaps, and
    of longer ones, is for `gaps` to say.
    """

    MOVED: ClassVar[dict[str, str]] = {"rejects": "rejects (at the top)"}

    method: Literal["fit", "parts"] = "fit"  # one articulated human for the clip, or hands and body apart
    fit: FitConfig = field(default_factory=FitConfig)
    gaps: GapConfig = field(default_factory=GapConfig)
    # camera
    camera: CameraConfig = field(default_factory=CameraConfig)
    K: tuple[float, ...] | None = None
    distortion: tuple[float, ...] = ()
    lens: Literal["radial", "fisheye"] = "radial"
    fov_x_deg: float | None = None
    fov_diagonal_deg: float | None = None
    assumed_fov_diagonal_third_deg: float = 68.0
    assumed_fov_diagonal_ego_deg: float = 90.0
    fov_uncertainty: float = 0.15  # relative, of a focal length that is assumed
    view: Literal["auto", "ego", "third"] = "auto"
    ego_pitch_deg: float = 45.0  # how far an egocentric camera looks down
    ego_camera_height_m: float | None = None  # None: eyes of a person of that height
    third_camera_height_m: float = 1.3  # of a camera that sees hands and no body
    third_pitch_deg: float | None = None  # of such a camera; None: level for palms, 60 down for backs of hands
    # person
    height_m: float | None = None
    assumed_height_m: float = 1.70
    size_uncertainty: float = 0.06  # relative, of hand and body sizes for a height
    learned_offsets: str | None = None  # "rendered" or a table's file; real clips gain nothing by it (docs/log.md)
    # trust
    min_hand_confidence: float = 0.5
    min_visibility: float = 0.5
    max_reprojection: float = 0.25  # root mean square, in hand lengths (body: in torso lengths)
    min_depth_ratio: float = 0.55  # hand over body wrist; below it the body is an invention on a large hand
    max_wrist_apart: float = 0.4  # hand and body wrist across the view, in torso lengths
    palm_rotation_sigma_deg: float = 40.0  # of the network's palm, which is flat and often wrong
    hand_noise: float = 0.03  # of hand image points, in sizes of the hand
    hand_noise_floor: float = 0.01  # and at least, in x / z
    body_rotation_sigma_deg: float = 6.0
    body_wrist_sigma_m: float = 0.07
    floor_sigma_m: float = 0.05
    # cleaning
    outlier_mads: float = 5.0
    outlier_floor_m_s: float = 1.5
    max_wrist_speed_m_s: float = 9.0
    max_gap_frames: int = 10
    max_gap_s: float = 0.5
    min_hand_run_s: float = 0.2  # shorter sightings, with open gaps around them, are taken for false
    smooth_place_hz: float = 6.0
    smooth_depth_hz: float = 2.0
    smooth_body_depth_hz: float = 1.0
    ground_hz: float = 0.7
    smooth_turn_hz: float = 5.0
    smooth_shape_hz: float = 5.0
    # segments
    min_segment_s: float = 0.8
    min_usable_share: float = 0.1

    def __post_init__(self) -> None:
        if self.K is not None and len(self.K) != 9:
            raise ValueError(f"K has 9 numbers, row by row; found {len(self.K)}")
        if len(self.distortion) not in DISTORTION_LENGTHS:
            raise ValueError(f"distortion has 4, 5, 8, 12 or 14 coefficients; found {len(self.distortion)}")
        if self.lens == "fisheye" and len(self.distortion) not in (0, 4):
            raise ValueError(f"a fisheye has 4 coefficients of distortion; found {len(self.distortion)}")
        for name in ("fov_x_deg", "fov_diagonal_deg", "assumed_fov_diagonal_third_deg", "assumed_fov_diagonal_ego_deg"):
            value = getattr(self, name)
            if value is not None and not 5.0 <= value <= 170.0:
                raise ValueError(f"{name} lies between 5 and 170 degrees; found {value}")
        if self.height_m is not None and not 0.5 <= self.height_m <= 2.5:
            raise ValueError(f"height_m is in metres, .5 to 2.5; found {self.height_m}")
        positive = (
            "smooth_place_hz",
            "smooth_depth_hz",
            "smooth_body_depth_hz",
            "smooth_turn_hz",
            "smooth_shape_hz",
            "min_segment_s",
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is positive; found {getattr(self, name)}")

    @property
    def person_height_m(self) -> float:
        """The height that sizes hands and body: given or assumed."""
        return self.assumed_height_m if self.height_m is None else self.height_m
