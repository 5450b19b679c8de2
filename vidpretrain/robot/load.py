"""Robot YAML + model files -> `Robot`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from vidpretrain import config
from vidpretrain.errors import ConfigError, nearest, unknown_name
from vidpretrain.kinematics import site_poses
from vidpretrain.robot.file import ColumnsFile, RobotFile
from vidpretrain.robot.types import Column, Robot
from vidpretrain.tree import FREE_SUFFIXES, Tree

_FOLDER = Path(__file__).parent / "robots"


def robot_names() -> tuple[str, ...]:
    """Names of the shipped robots, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def read_file(name_or_path: str | Path) -> tuple[RobotFile, Path | None]:
    """The parsed YAML, and its folder when it is the user's own.

    Raises:
        UnknownName: neither a shipped name nor a file.
        ConfigError: it does not parse.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return config.load(RobotFile, path), path.resolve().parent
    if str(name_or_path) in robot_names():
        return config.load(RobotFile, _FOLDER / f"{name_or_path}.yaml"), None
    raise unknown_name("robot", str(name_or_path), robot_names())


def load_robot(name_or_path: str | Path) -> Robot:
    """The robot of a shipped name or of a YAML file; see `robot.load_robot`."""
    file, beside = read_file(name_or_path)
    source = str(name_or_path) if beside is None else str(Path(name_or_path).expanduser().resolve())
    return assemble(file, beside, source)


def assemble(file: RobotFile, beside: Path | None, source: str) -> Robot:
    """The robot of a parsed file that may not be written yet; `source` is what `mj_spec` reads again."""
    return _assemble(_Request(file, beside, source), config.digest(file))


class _Request:
    """Carries the parsed file past the cache's key, which is where the robot comes from and the file's digest."""

    def __init__(self, file: RobotFile, beside: Path | None, source: str) -> None:
        self.file, self.beside, self.source = file, beside, source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Request) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)


@lru_cache(maxsize=16)
def _assemble(request: _Request, file_digest: str) -> Robot:
    from vidpretrain.robot.build import base_body, build_spec
    from vidpretrain.robot.extract import extract_tree, light_model

    file = request.file
    spec = build_spec(file, request.beside)
    torque_range = {joint.name: float(np.max(np.abs(joint.actfrcrange))) for joint in spec.joints}
    base = base_body(file, spec)
    tree = extract_tree(light_model(spec), base, tuple(file.frames))
    camera = file.camera
    groups = _groups(file, tree)
    home = _home(file, tree)
    max_speed = _per_joint(file.max_speed, groups, tree, np.full(len(tree.joint_names), np.inf), "max_speed")
    _require_all(max_speed, tree)
    for joint in [joint for joint in spec.joints if int(joint.type) in (0, 1)]:  # free and ball: several entries
        torque_range |= {joint.name + suffix: torque_range[joint.name] for suffix in FREE_SUFFIXES}
    torque = np.array([torque_range[name] or np.inf for name in tree.joint_names])
    max_torque = _per_joint(file.max_torque, groups, tree, torque, "max_torque")
    columns = tuple(column for part in file.columns for column in _columns(part, groups, tree))
    return Robot(
        name=file.name,
        tree=tree,
        groups=groups,
        home=home,
        max_speed=max_speed,
        max_torque=max_torque,
        columns=columns,
        T_base_camera=np.full(7, np.nan)
        if camera is None
        else site_poses(tree, home[None], None, ["head_camera"])[0, 0],
        expected_fov_x_rad=float("nan") if camera is None else float(np.deg2rad(camera.fov_x_deg)),
        base_height_m=_base_height(file),
        license=file.license,
        assumptions=file.assumptions,
        source=request.source,
        digest=config.digest(tree.digest, file_digest),
    )


def _base_height(file: RobotFile) -> float:
    """Metres over the soles; 0 for a robot without feet."""
    if file.base_height_m is None and any(name.endswith("_foot") for name in file.sites):
        raise ConfigError("a robot with feet needs 'base_height_m': the base's height over the soles at home")
    return 0.0 if file.base_height_m is None else file.base_height_m


def _known(name: str, tree: Tree, where: str) -> str:
    if name not in tree.joint_names:
        raise ConfigError(
            f"'{where}' names a joint that the model does not have{nearest(name, tree.joint_names)}",
            asked=name,
            valid=", ".join(tree.joint_names),
        )
    return name


def _groups(file: RobotFile, tree: Tree) -> dict[str, tuple[str, ...]]:
    groups = {group: tuple(_known(n, tree, f"groups.{group}") for n in names) for group, names in file.groups.items()}
    every = [name for names in groups.values() for name in names]
    twice = sorted({name for name in every if every.count(name) > 1})
    if twice:
        raise ConfigError("a joint stands in two groups", asked=", ".join(twice))
    return groups


def _home(file: RobotFile, tree: Tree) -> np.ndarray:
    lower, upper = tree.bounds()
    home = np.clip(np.zeros(len(tree.joint_names)), lower, upper)
    for name, value in file.home.items():
        home[tree.joint(_known(name, tree, "home"))] = value
    home = tree.with_mimic(home)
    outside = [n for n, q, a, b in zip(tree.joint_names, home, lower, upper, strict=True) if not a <= q <= b]
    if outside:
        raise ConfigError("'home' lies outside the joint limits", asked=", ".join(outside))
    return home


def _per_joint(
    table: dict[str, float], groups: dict[str, tuple[str, ...]], tree: Tree, default: np.ndarray, where: str
) -> np.ndarray:
    """A value per joint from a table of groups and joints; a joint's own line wins over its group's."""
    out = np.array(default, dtype=float)
    for name, value in sorted(table.items(), key=lambda item: item[0] not in groups):
        for joint in groups.get(name, (name,)):
            out[tree.joint(_known(joint, tree, where))] = value
    return out


def _require_all(max_speed: np.ndarray, tree: Tree) -> None:
    missing = [name for name, v in zip(tree.joint_names, max_speed, strict=True) if not (np.isfinite(v) and v > 0)]
    if missing:
        raise ConfigError("'max_speed' needs a positive number for every joint", asked=", ".join(missing))


def _columns(part: ColumnsFile, groups: dict[str, tuple[str, ...]], tree: Tree) -> list[Column]:
    if part.group not in groups:
        raise ConfigError(
            f"'columns' names no group{nearest(part.group, groups)}", asked=part.group, valid=list(groups)
        )
    if not part.fractions:
        return [Column(name=name, group=part.group, joint=name, unit="rad") for name in groups[part.group]]
    return [
        Column(
            name=f.name,
            group=part.group,
            joint=_known(f.joint, tree, f"columns.{part.group}"),
            unit="fraction",
            scale=1.0 / (f.open - f.closed),
            offset=-f.closed / (f.open - f.closed),
        )
        for f in part.fractions
    ]
