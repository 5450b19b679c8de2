"""Robot motion as the vectors that a policy reads and writes, and back.

Door: `ActionConfig`, `spec_for`, `trajectory`, `joint_pos`, `with_wrists`, `robot_groups`; in the
frame of the head camera `camera_spec`, `camera_vectors`, `base_wrists`.
"""

from __future__ import annotations

from vidpretrain.actions.camera import base_wrists, camera_spec, camera_vectors
from vidpretrain.actions.config import ActionConfig
from vidpretrain.actions.spec import robot_groups, spec_for
from vidpretrain.actions.vectors import joint_pos, trajectory, with_wrists

__all__ = [
    "ActionConfig",
    "base_wrists",
    "camera_spec",
    "camera_vectors",
    "joint_pos",
    "robot_groups",
    "spec_for",
    "trajectory",
    "with_wrists",
]
