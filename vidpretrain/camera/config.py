"""How a camera's motion is found: thresholds and choices. Frozen, plain, without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """How the camera's motion is found; lengths in pixels are those of a picture `picture_px` long.

    `method`: "auto" (a trajectory beside the video if there is one, else features of the background decide between
    still and moving), "static" (taken for granted, nothing is looked at), "features", "sfm" (pycolmap) or "imported".
    `trajectory` is a file or folder of another tool for all videos, or a folder with one entry per video stem;
    `trajectory_unit_m` metres per unit of it (None: the format's own; COLMAP has none, and the body fixes it);
    `trajectory_offset_s` is added to its times. `not_solved`: what becomes of a clip whose camera cannot be solved,
    kept in the camera's own frame and marked, or refused.
    """

    method: Literal["auto", "static", "features", "sfm", "imported"] = "auto"
    not_solved: Literal["mark", "reject"] = "mark"
    # features of the background
    picture_px: int = 640
    features: int = 240
    faint_corner: float = 2e-5  # as `min_corner`, for features that only help where those tell that the camera moves
    min_corner: float = 2e-4  # least eigenvalue of the grey gradients' matrix, grey in [0, 1]: below it is noise
    min_features: int = 12
    min_cells: int = 4  # of 48 cells of the picture that have to show background
    still_px: float = 1.0
    min_still_share: float = 0.5  # of those cells, for a picture to count as still
    max_moving_share: float = 0.03  # of the frames of a static clip
    tolerance_px: float = 2.0  # of a feature that moves as the camera says
    min_agreement: float = 0.35  # of the cells, for a frame to count as solved
    parallax_px: float = 0.7  # of features against a turn alone, above which the camera is taken to move as well
    max_gap_s: float = 0.5  # longest stretch without a solution that is bridged
    # the camera on a head or in a hand
    # from where head and trunk turn to a camera that is worn, in the camera's own axes: it looks down at the hands
    neck_forward_m: float = 0.05
    neck_up_m: float = 0.22
    neck_sigma_m: float = 0.10
    drift_m_s: float = 0.15  # how fast that place, or a camera in a hand, goes
    hand_sigma_m: float = 0.10  # how far a camera in a hand, or on a tripod that pans, moves in a clip
    max_depth_m: float = 20.0
    # trajectories of other tools
    trajectory: Path | None = None
    trajectory_format: Literal["auto", "colmap", "tum", "arkit"] = "auto"
    trajectory_unit_m: float | None = None
    trajectory_offset_s: float = 0.0
    trajectory_up: Literal["auto", "x", "-x", "y", "-y", "z", "-z", "unknown"] = "auto"
    sfm_rate_hz: float = 5.0

    def __post_init__(self) -> None:
        for name in ("min_still_share", "max_moving_share", "min_agreement"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies in [0, 1], not {getattr(self, name)}")
        for name in (
            "picture_px",
            "features",
            "still_px",
            "tolerance_px",
            "neck_sigma_m",
            "hand_sigma_m",
            "sfm_rate_hz",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"camera.{name} is positive; found {getattr(self, name)}")
        if self.trajectory_unit_m is not None and not self.trajectory_unit_m > 0:
            raise ValueError(
                f"trajectory_unit_m is positive, or null for the format's own; found {self.trajectory_unit_m}"
            )
        if self.method == "imported" and self.trajectory is None:
            raise ValueError("method 'imported' needs a trajectory: a file or folder of COLMAP, TUM or ARKit poses")
