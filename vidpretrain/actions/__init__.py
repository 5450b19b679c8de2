"""Robot motion as the vectors that a policy reads and writes, and back.

Door: `ActionConfig`, `spec_for`, `trajectory`, `joint_pos`, `with_wrists`, `robot_groups`.
"""

from __future__ import annotations

from vidpretrain.actions.config import ActionConfig
from vidpretrain.actions.spec import robot_groups, spec_for
from vidpretrain.actions.vectors import joint_pos, trajectory, with_wrists

__all__ = ["ActionConfig", "joint_pos", "robot_groups", "spec_for", "trajectory", "with_wrists"]
