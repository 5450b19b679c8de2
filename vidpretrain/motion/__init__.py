"""Motion: three pose tracks of a clip become metric motions of a person in the world.

Door: `build_motion(tracks, clip, config, metadata=None, seen=None) -> tuple[HumanMotion, ...] | Reject`;
`MotionConfig`; `camera_for`, `project`, `unproject`.
"""

from vidpretrain.motion.build import build_motion
from vidpretrain.motion.camera import camera_for, project, unproject
from vidpretrain.motion.config import MotionConfig

__all__ = ["MotionConfig", "build_motion", "camera_for", "project", "unproject"]
