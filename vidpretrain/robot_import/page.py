"""The page beside a new robot file: what was mapped, five poses, reach against a person's, what could not be mapped."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np

from vidpretrain.errors import DiskFull, InputError, MissingAsset
from vidpretrain.robot import Robot
from vidpretrain.robot_import.guess import Guess
from vidpretrain.robot_import.home import POSES, arm_pose
from vidpretrain.robot_import.pictures import render_postures
from vidpretrain.robot_import.reach import PERSON_M, lengths, reach

_HERE = Path(__file__).parent
_VIEW, _HAND_VIEWS = (28.0, -10.0), ((30.0, -15.0), (210.0, -15.0))


def write_page(draft: Guess, robot: Robot, yaml: Path, out: Path, *, draw: bool = True) -> Path:
    """Path of the page, one HTML file that needs nothing else, written aside and renamed.

    A model that cannot be drawn gets a page that says why.

    Raises:
        DiskFull: no space left on the device.
    """
    import jinja2

    pictures, problem = _pictures(robot, yaml) if draw else ([], "Not asked for.")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    html = environment.get_template("page.html").render(
        name=draft.file.name,
        model=draft.survey.path.name,
        yaml=yaml.name,
        kind=draft.kind,
        joints=len(robot.tree.joint_names),
        free=int(robot.tree.independent.sum()),
        remarks=draft.remarks,
        pictures=pictures,
        no_pictures=problem,
        lengths=lengths(robot),
        reach=reach(robot),
        person_m=PERSON_M,
        groups=draft.file.groups,
        sites=[(name, site.body, draft.notes.get(f"sites.{name}", "")) for name, site in draft.file.sites.items()],
        heading=draft.notes.get("heading"),
    )
    aside = out.with_name(f".{out.name}.tmp")
    try:
        aside.write_text(html, encoding="utf-8")
        os.replace(aside, out)
    except OSError as error:
        raise DiskFull.of(error, out) from None
    return out


def poses(robot: Robot) -> list[tuple[str, np.ndarray]]:
    """Five named postures: a humanoid's arms in five places; a hand open, half and fully closed, seen twice."""
    if not robot.is_hand:
        return [(name, robot.home if name == "home" else arm_pose(robot, name, robot.home)) for name in POSES]
    names = {"zero": None, "open": 1.0, "a third closed": 0.67, "two thirds closed": 0.33, "closed": 0.0}
    return [(name, robot.home if share is None else _fingers(robot, share)) for name, share in names.items()]


def _fingers(robot: Robot, fraction: float) -> np.ndarray:
    q = np.array(robot.home)
    for column in robot.columns:
        if column.unit == "fraction":
            q[robot.tree.joint(column.joint)] = (fraction - column.offset) / column.scale
    return robot.tree.with_mimic(q)


def _pictures(robot: Robot, yaml: Path) -> tuple[list[tuple[str, str]], str]:
    named = poses(robot)
    views = _HAND_VIEWS if robot.is_hand else (_VIEW,)
    try:
        rows = render_postures(yaml.resolve(), np.stack([q for _, q in named]), views, zoom=1.15)
    except (MissingAsset, InputError) as error:
        return [], f"It could not be drawn: {error.message}"
    return [(name, _uri(picture)) for (name, _), row in zip(named, rows, strict=True) for picture in row], ""


def _uri(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
