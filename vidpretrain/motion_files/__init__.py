"""Motions that others recorded, in; robot motions for others' trainers, out.

Door: `MotionFileConfig`, `read_motion(path, config) -> HumanMotion`, `write_motion(path, motion, robot)`,
`read_robot_motion(path, robot)`, `MOTION_SUFFIXES`. docs/motion_files.md lists the layouts.
"""

from __future__ import annotations

from pathlib import Path

from vidpretrain.motion_files.config import MotionFileConfig, OutFormat
from vidpretrain.robot import Robot
from vidpretrain.types import HumanMotion, RobotMotion

__all__ = ["MOTION_SUFFIXES", "MotionFileConfig", "OutFormat", "read_motion", "read_robot_motion", "write_motion"]

MOTION_SUFFIXES = (".bvh", ".npz", ".pkl")


def read_motion(path: Path | str, config: MotionFileConfig | None = None) -> HumanMotion:
    """The person's motion (skeleton human75, metres, z up) of a BVH, SMPL joints or hand track file; see `read`."""
    from vidpretrain.motion_files.read import read_motion as read

    return read(path, config or MotionFileConfig())


def write_motion(
    path: Path | str,
    motion: RobotMotion,
    robot: Robot,
    format: OutFormat | None = None,
    joints: tuple[str, ...] | None = None,
) -> Path:
    """The file written: npz (ours), pkl (GMR's layout) or csv (holosoma's and BeyondMimic's); see `write`."""
    from vidpretrain.motion_files.write import write_motion as write

    return write(path, motion, robot, format, joints)


def read_robot_motion(
    path: Path | str, robot: Robot, rate_hz: float | None = None, joints: tuple[str, ...] | None = None
) -> RobotMotion:
    """The robot motion in a file of any format that `write_motion` writes; see `robot_read`."""
    from vidpretrain.motion_files.robot_read import read_robot_motion as read

    return read(path, robot, rate_hz, joints)
