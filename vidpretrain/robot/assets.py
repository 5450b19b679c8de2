"""Where model files lie: MENAGERIE_ROOT, an installed package with robots inside, mujoco-menagerie's download."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from vidpretrain.errors import MissingAsset

_DIST = "dist:"
_DOWNLOADER = "mujoco_menagerie"  # the package that fetches a robot of MuJoCo Menagerie at first use


def find_assets(
    relative: str, packages: tuple[str, ...] = (), next_command: str | None = None, beside: Path | None = None
) -> Path:
    """Path of `relative`: beside a user's YAML, below MENAGERIE_ROOT, in a package, or from mujoco-menagerie.

    A package is written as its import name and the folder inside, `fourier_robot_descriptions/assets`; it is located
    without being imported. `dist:icub-models` is a distribution whose installed files are searched for one whose path
    ends in `relative`, for those that put their files outside of any package. mujoco-menagerie's cache is searched
    too, and when that package is installed it may download the robot (the first folder of `relative`).

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
    for package in packages:
        if package.startswith(_DIST) and (path := _installed(package.removeprefix(_DIST), relative)):
            return path
    robot, _, inside = relative.partition("/")
    for path in sorted(_cache().glob(f"models/{robot}-*/{inside}")) if inside else ():
        return path
    path, problem = _download(robot, inside)
    if path is not None:
        return path
    missing = sorted({p.split("/")[0] for p in packages if not _is_installed(p)})
    raise MissingAsset(
        f"the model file {relative} is not on this machine",
        asked=relative,
        found=f"packages not installed: {', '.join(missing)}; {problem}" if missing else problem,
        valid="; ".join([*tried, str(_cache() / "models" / f"{robot}-*" / inside)]),
        next_command=next_command or "export MENAGERIE_ROOT=/path/to/mujoco_menagerie",
    )


def _roots(packages: tuple[str, ...], beside: Path | None) -> Iterator[Path]:
    if beside is not None:
        yield beside
    if root := os.environ.get("MENAGERIE_ROOT"):
        yield Path(root).expanduser()
    for package in packages:
        name, _, inside = package.partition("/")
        if name.startswith(_DIST):
            continue
        spec = importlib.util.find_spec(name)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(location) / inside


def _is_installed(package: str) -> bool:
    name = package.split("/")[0]
    if not name.startswith(_DIST):
        return importlib.util.find_spec(name) is not None
    try:
        metadata.distribution(name.removeprefix(_DIST))
    except metadata.PackageNotFoundError:
        return False
    return True


def _installed(distribution: str, relative: str) -> Path | None:
    """The file of an installed distribution whose path ends in `relative`."""
    try:
        files = metadata.distribution(distribution).files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if str(file).endswith(f"/{relative}") and (path := Path(str(file.locate())).resolve()).is_file():
            return path
    return None


def _cache() -> Path:
    """mujoco-menagerie's cache, in its own order of precedence."""
    if given := os.environ.get("MENAGERIE_CACHE_DIR"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mujoco_menagerie"


def _download(robot: str, inside: str) -> tuple[Path | None, str]:
    """(file, "") from mujoco-menagerie, or (None, why not)."""
    if importlib.util.find_spec(_DOWNLOADER) is None:
        return None, "mujoco-menagerie is not installed either"
    menagerie = importlib.import_module(_DOWNLOADER)
    try:
        path = Path(menagerie.get(robot).path()) / inside
    except (menagerie.MenagerieError, OSError) as error:
        return None, f"mujoco-menagerie: {error}"
    return (path, "") if inside and path.is_file() else (None, f"mujoco-menagerie's {robot} has no {inside}")
