"""A user's model in, a robot file and a page out."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path

from vidpretrain.errors import ConfigError, InputError, UsageError
from vidpretrain.robot import Robot
from vidpretrain.robot.load import assemble, load_robot
from vidpretrain.robot_import.guess import Guess, guess
from vidpretrain.robot_import.home import home
from vidpretrain.robot_import.reach import PERSON_M, SHORT, arm_share, lengths
from vidpretrain.robot_import.survey import survey
from vidpretrain.robot_import.text import to_yaml


@dataclass(frozen=True, kw_only=True)
class Added:
    """What was written: the robot file, the page beside it, what was mapped, and what is doubtful."""

    yaml: Path
    page: Path
    kind: str
    groups: dict[str, tuple[str, ...]]
    remarks: tuple[str, ...]


def add_robot(model: str | Path, out: str | Path | None = None, *, draw: bool = True) -> Added:
    """The robot file and page made of an MJCF or URDF; `out` is the YAML (None: the model's name in this folder).

    The YAML is loaded before it is put in place, so what is written works. `draw` renders five poses into the page.

    Raises:
        InputError: the model cannot be read, or is neither a humanoid nor a hand.
        UsageError: `out` is no .yaml file.
    """
    from vidpretrain.robot_import.page import write_page

    model = Path(model).expanduser()
    yaml = Path(f"{_stem(model)}.yaml") if out is None else Path(out).expanduser()
    if yaml.suffix not in (".yaml", ".yml"):
        raise UsageError("the robot file must end in .yaml", asked=yaml, valid=yaml.with_suffix(".yaml"))
    draft = map_model(model, yaml)
    write_yaml(draft, yaml)
    page = write_page(draft, load_robot(yaml), yaml, yaml.with_suffix(".html"), draw=draw)
    return Added(yaml=yaml, page=page, kind=draft.kind, groups=draft.file.groups, remarks=tuple(draft.remarks))


def _stem(model: Path) -> str:
    """The model's name, or its folder's where the name says nothing."""
    return model.resolve().parent.name if model.stem in ("model", "robot", "scene") else model.stem


def map_model(model: Path, out: Path) -> Guess:
    """The guess for a model file, complete with `home`, for a YAML that will lie at `out`.

    Raises:
        InputError: the model cannot be read, or is neither a humanoid nor a hand.
    """
    if not model.is_file():
        raise InputError("there is no such model file", asked=model, valid="an MJCF (.xml) or URDF file")
    name = re.sub(r"[^a-z0-9_]+", "_", out.stem.lower()).strip("_") or "robot"
    draft = guess(survey(model), name, _model_file(model, out))
    file = draft.file
    if not any(site.endswith("_foot") for site in file.sites):
        file = dataclasses.replace(file, base_height_m=0.0)
    trial = dataclasses.replace(file, base_height_m=file.base_height_m or 0.0)
    try:
        robot = assemble(trial, out.resolve().parent, str(out.resolve()))
        if draft.kind == "humanoid":
            values, height = home(robot)
            file = dataclasses.replace(file, home=values, base_height_m=height)
            draft.remarks.extend(_short_arms(robot))
    except (ConfigError, ValueError) as error:
        raise InputError(f"the model could not be mapped: {error}", asked=model) from error
    draft.file = file
    return draft


def _short_arms(robot: Robot) -> list[str]:
    rows = lengths(robot)
    shares = {side: arm_share(rows, side) for side in robot.sides}
    return [
        f"the {side} arm is short: {share:.0%} of that of a person of {PERSON_M} m; motions shrink to that"
        for side, share in shares.items()
        if share is not None and share < SHORT
    ]


def write_yaml(draft: Guess, out: Path) -> Path:
    """Path of the YAML, written aside and renamed after it was read back."""
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.stem}.tmp{out.suffix}")
    aside.write_text(to_yaml(draft), encoding="utf-8")
    try:
        load_robot(aside)
        os.replace(aside, out)
    finally:
        aside.unlink(missing_ok=True)
    return out


def _model_file(model: Path, out: Path) -> str:
    """The model's place as the YAML says it: relative where it lies beside or below the YAML."""
    model, folder = model.resolve(), out.resolve().parent
    return str(model.relative_to(folder)) if model.is_relative_to(folder) else str(model)
