"""A robot file as YAML, each guess with its reason behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from vidpretrain.robot.file import FrameFile, RobotFile
from vidpretrain.robot_import.guess import Guess

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-/]*")
_WORDS = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}


def to_yaml(guess: Guess) -> str:
    """The text of the robot file: what `load_robot` reads, with a comment per guess and the remarks at the top."""
    file = guess.file
    lines = [
        f"# {file.name}: made by 'vidpretrain robots add'. Every comment below is a guess's reason; correct at will."
    ]
    lines += [f"# NOTE {_one_line(remark)}" for remark in guess.remarks]
    lines += [f"name: {_name(file.name)}", f"license: {_name(file.license)}  # write down who may do what with it"]
    lines.append(f"model: {{file: {json.dumps(file.model.file)}}}")
    lines.append(f"base: {_name(file.base)}{_why(guess, 'base')}")
    if file.base_frame is not None:
        axes = f"x: {_list(file.base_frame.x)}, z: {_list(file.base_frame.z)}"
        lines.append(f"base_frame: {{{axes}}}{_why(guess, 'heading')}")
    if file.base_height_m is not None:
        lines.append(f"base_height_m: {file.base_height_m}  # over the soles, at home")
    if file.remove_meshes:
        lines.append(f"remove_meshes: [{', '.join(map(_name, file.remove_meshes))}]  # not there or not readable")
    lines.append("groups:" + (_why(guess, "heading") if file.base_frame is None else ""))
    lines += [f"  {group}: [{', '.join(map(_name, names))}]" for group, names in file.groups.items()]
    lines.append("sites:")
    lines += [f"  {name}: {_frame(site)}{_why(guess, f'sites.{name}')}" for name, site in file.sites.items()]
    lines += _tables(guess, file)
    if file.camera is not None:
        lines.append(f"camera:{_why(guess, 'camera')}")
        lines += [f"  body: {_name(file.camera.body)}"]
        lines += [f"  {key}: {_list(getattr(file.camera, key))}" for key in ("pos", "x", "z")]
        lines.append(f"  fov_x_deg: {file.camera.fov_x_deg}")
    lines.append("assumptions:")
    lines += [f"  - {json.dumps(sentence)}" for sentence in file.assumptions]
    return "\n".join(lines) + "\n"


def _tables(guess: Guess, file: RobotFile) -> list[str]:
    lines = []
    if file.home:
        lines.append("home:  # by the solver: wrists in front of the body, palms inwards")
        lines += [f"  {_name(joint)}: {value}" for joint, value in file.home.items()]
    lines.append("max_speed:  # rad/s (m/s where a joint slides)")
    lines += [f"  {_name(key)}: {value}{_why(guess, f'max_speed.{key}')}" for key, value in file.max_speed.items()]
    if file.max_torque:
        lines.append("max_torque:")
        lines += [f"  {_name(key)}: {value}" for key, value in file.max_torque.items()]
    lines.append(
        "columns:  # fractions: 1 open, 0 closed (where the finger bends to; else the limit farther from zero)"
    )
    for part in file.columns:
        lines.append(f"  - group: {part.group}")
        if part.fractions:
            lines.append("    fractions:")
            lines += [
                f"      - {{name: {_name(f.name)}, joint: {_name(f.joint)}, closed: {f.closed}, open: {f.open}}}"
                for f in part.fractions
            ]
    return lines


def _why(guess: Guess, key: str) -> str:
    return f"  # {_one_line(guess.notes[key])}" if guess.notes.get(key) else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else json.dumps(name)


def _list(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in values) + "]"


def _frame(site: FrameFile) -> str:
    parts = [f"body: {_name(site.body)}"]
    if any(site.pos):
        parts.append(f"pos: {_list(site.pos)}")
    if (site.x, site.z) != ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)):
        parts += [f"x: {_list(site.x)}", f"z: {_list(site.z)}"]
    return "{" + ", ".join(parts) + "}"
