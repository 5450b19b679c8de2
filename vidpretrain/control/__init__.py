"""From chunks that a policy predicts to targets that a robot may follow: limits, blending, and a loop that never waits.

Door: `ControlConfig`, `ColumnLimits`, `limits_of`, `project`, `planned`, `ChunkBuffer`, `Controller`.
"""

from __future__ import annotations

from vidpretrain.control.chunks import ChunkBuffer
from vidpretrain.control.config import ControlConfig
from vidpretrain.control.controller import Controller
from vidpretrain.control.limits import ColumnLimits, limits_of, planned, project

__all__ = ["ControlConfig", "ColumnLimits", "limits_of", "project", "planned", "ChunkBuffer", "Controller"]
