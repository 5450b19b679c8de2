"""Robots as data: a `Tree` with names, groups, speeds, torques and action columns.

Door: `Robot`, `Column`, `load_robot`, `robot_names`, `mj_spec`, `find_assets`.
"""

from __future__ import annotations

from pathlib import Path

from vidpretrain.robot.types import Column, Robot

__all__ = ["Column", "Robot", "load_robot", "robot_names", "mj_spec", "find_assets"]


def robot_names() -> tuple[str, ...]:
    """Names of the shipped robots, sorted."""
    from vidpretrain.robot.load import robot_names as names

    return names()


def load_robot(name_or_path: str | Path) -> Robot:
    """The robot of a shipped name, or of the user's own YAML file.

    Raises:
        UnknownName: neither a shipped name nor a file.
        ConfigError: the YAML has an unknown key, or names a joint, body or site that the model does not have.
        MissingAsset: the model files are not on this machine.
    """
    from vidpretrain.robot.load import load_robot as load

    return load(name_or_path)


def mj_spec(robot: Robot):
    """A fresh `mujoco.MjSpec` of the whole robot: hands attached, meshes, the sites of `robot.tree`, free base.

    Raises:
        MissingAsset: the model files are not on this machine.
    """
    from vidpretrain.robot.build import mj_spec as build

    return build(robot)


def find_assets(relative: str, packages: tuple[str, ...] = (), next_command: str | None = None) -> Path:
    """Path of a model file: below MENAGERIE_ROOT, in an installed package, or in mujoco-menagerie's download.

    Raises:
        MissingAsset: it is in none of them; the error names every place and the next command.
    """
    from vidpretrain.robot.assets import find_assets as find

    return find(relative, packages, next_command)
