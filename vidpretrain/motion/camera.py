"""The camera as the motion room is configured: intrinsics of a clip (given, from metadata or assumed).

Projection and unprojection are the camera room's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from vidpretrain.camera import LensGuess, lens_of, project, ray_rotation, unproject
from vidpretrain.motion.config import MotionConfig
from vidpretrain.types import Camera, Clip

__all__ = ["camera_for", "project", "ray_rotation", "unproject"]


def camera_for(
    clip: Clip,
    config: MotionConfig,
    metadata: Mapping[str, Any] | None = None,
    view: Literal["ego", "third"] = "third",
) -> Camera:
    """Camera of a clip without a pose: what `config` gives, else the metadata, else the field of view of the view.

    See `camera.lens_of` for what metadata may say, and for `intrinsics_from` and `focal_sigma` of the answer.
    """
    ego = view == "ego"
    guess = LensGuess(
        K=config.K,
        distortion=config.distortion,
        lens=config.lens,
        fov_x_deg=config.fov_x_deg,
        fov_diagonal_deg=config.fov_diagonal_deg,
        assumed_deg=config.assumed_fov_diagonal_ego_deg if ego else config.assumed_fov_diagonal_third_deg,
        assumed_sigma=config.fov_uncertainty,
    )
    return lens_of(clip, guess, metadata)
