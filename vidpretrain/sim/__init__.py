"""Rendered people with exact truth, a scripted robot, and robots that play motions back (MuJoCo; no torch).

Door: `SimConfig`, `RobotTaskConfig`, `render_people`, `Truth`, `load_truth`, `save_truth`, `choose_gl`,
`render_motion`, `render_motion_to_file`, `render_motion_files`, `PlaybackJob`,
`label_errors`, `pooled_errors`, `record_robot_episodes`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vidpretrain.sim.config import RobotTaskConfig, SimConfig

if TYPE_CHECKING:
    from vidpretrain.sim.gl import choose_gl
    from vidpretrain.sim.label_error import label_errors, pooled_errors
    from vidpretrain.sim.person import render_people
    from vidpretrain.sim.playback import PlaybackJob, render_motion, render_motion_files, render_motion_to_file
    from vidpretrain.sim.robot_record import record_robot_episodes
    from vidpretrain.sim.truth import Truth, load_truth, save_truth

_DOOR = {
    "choose_gl": "gl",
    "render_people": "person",
    "PlaybackJob": "playback",
    "render_motion": "playback",
    "render_motion_files": "playback",
    "render_motion_to_file": "playback",
    "record_robot_episodes": "robot_record",
    "label_errors": "label_error",
    "pooled_errors": "label_error",
    "Truth": "truth",
    "load_truth": "truth",
    "save_truth": "truth",
}

__all__ = [
    "SimConfig",
    "RobotTaskConfig",
    "record_robot_episodes",
    "choose_gl",
    "render_people",
    "PlaybackJob",
    "render_motion",
    "render_motion_to_file",
    "render_motion_files",
    "Truth",
    "load_truth",
    "save_truth",
    "label_errors",
    "pooled_errors",
]


def __getattr__(name: str) -> Any:
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"vidpretrain.sim.{_DOOR[name]}"), name)
