"""Cameras: the lens of a clip, points through it and back, and where the camera was in every frame.

Door: `camera_facts(path, info, config) -> dict`; `lens_of(clip, guess, metadata) -> Camera` with `LensGuess`;
`project`, `unproject`, `directions`, `ray_rotation`; `observe(clip, info, tracks, config) -> Background`, which needs
no lens, and `solve_path(background, camera, config, view, facts) -> CameraPath or Reject`; `CameraConfig`.
"""

from vidpretrain.camera.background import Background, observe
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.intrinsics import DISTORTION_LENGTHS, LensGuess, lens_of
from vidpretrain.camera.lens import directions, project, ray_rotation, unproject
from vidpretrain.camera.metadata import camera_facts
from vidpretrain.camera.path import CameraPath, still_path
from vidpretrain.camera.solve import solve_path
from vidpretrain.camera.trajectory import Trajectory

__all__ = [
    "DISTORTION_LENGTHS",
    "Background",
    "CameraConfig",
    "CameraPath",
    "LensGuess",
    "Trajectory",
    "camera_facts",
    "directions",
    "lens_of",
    "observe",
    "project",
    "ray_rotation",
    "solve_path",
    "still_path",
    "unproject",
]
