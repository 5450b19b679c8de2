#!/usr/bin/env python3
"""How well `vidpretrain robots add` maps the shipped robots when it sees only their model files: 'make bench-mapping'.

Per robot: joints in the group that its YAML says, finger joints on the right finger, side, the angle between palm
frames, and distances of wrists and fingertips. Robots whose YAML began as such a guess (all but G1, H1, T1 and Dex3)
were corrected on renderings, so their agreement says how much was corrected, not more. Then models that no robot file
describes (`unseen.py`), with their makers' names and without any. Every joint that was guessed wrong is named.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from unseen import UNSEEN, Unseen, mapped

from vidpretrain import geometry
from vidpretrain.errors import VidpretrainError
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import load_robot, robot_names
from vidpretrain.robot.assets import find_assets
from vidpretrain.robot.load import read_file
from vidpretrain.robot_import import add_robot

BODY_ONLY = {"g1_inspire": "the hands are put on by the YAML: the body alone is mapped"}
SKIP = {"dex3_left": "a part of the G1's model", "dex3_right": "a part of the G1's model"}


def main() -> int:
    """Print one line per robot; 0 when every joint of every robot is in its group."""
    wrong = 0
    print(f"{'robot':<14} {'joints':>9} {'sites':>6} {'wrist':>8} {'palm axes':>10} {'tips':>16}  remarks")
    for name in robot_names():
        if name in SKIP:
            print(f"{name:<14} not mapped: {SKIP[name]}")
            continue
        try:
            line, missed = compare(name)
        except VidpretrainError as error:
            line, missed = f"not here: {error.message}", []
        wrong += len(missed)
        print(f"{name:<14} {line}")
        for text in missed:
            print(f"{'':<14}   wrong: {text}")
    print(f"\njoints in another group than the YAML says: {wrong}\n")
    for model in UNSEEN:
        wrong += unseen(model)
    print(f"\njoints in another group altogether: {wrong}")
    return 0 if wrong == 0 else 1


def unseen(model: Unseen) -> int:
    """Print two lines for a model that no robot file describes; the joints that were guessed wrong with its names."""
    path = model.path
    if path is None:
        print(f"{model.name:<36} not here (next: make robots)")
        return 0
    count = 0
    for named in (True, False):
        words = "with its names" if named else "names taken away"
        try:
            guess, remarks = mapped(model, path, named=named)
        except VidpretrainError as error:
            print(f"{model.name:<36} {words:<17} not mapped: {error.message}")
            count += named
            continue
        missed = [f"{j} in {g}, is {model.group(j)}" for j, g in guess.items() if g != model.group(j)]
        print(f"{model.name:<36} {words:<17} {len(guess) - len(missed):>3}/{len(guess):<4} {len(remarks)} remarks")
        for text in missed:
            print(f"{'':<36}   wrong: {text}")
        count += len(missed) if named else 0
    return count


def compare(name: str) -> tuple[str, list[str]]:
    """(line of the table, joints in another group than the YAML says, each with both groups)."""
    truth = load_robot(name)
    file, beside = read_file(name)
    model = find_assets(file.model.file, file.model.packages, file.model.next_command, beside)
    with tempfile.TemporaryDirectory() as folder:
        added = add_robot(model, Path(folder) / f"{name}.yaml", draw=False)
        guess = load_robot(added.yaml)
    of = {joint: group for group, joints in truth.groups.items() for joint in joints}
    mine = {joint: group for group, joints in guess.groups.items() for joint in joints}
    known = [joint for joint in mine if joint in of]
    missed = [f"{joint} in {mine[joint]}, is {of[joint]}" for joint in known if mine[joint] != of[joint]]
    right = len(known) - len(missed)
    a, b = (poses(robot, truth) for robot in (truth, guess))
    both = [site for site in a if site in b]
    wrists = [site for site in both if site.endswith("_wrist")]
    palms = [site for site in both if site.endswith("_palm")]
    tips = [site for site in both if site.endswith("_tip")]
    gap = {site: 1000 * float(np.linalg.norm(a[site][4:] - b[site][4:])) for site in both}
    angle = [float(np.rad2deg(geometry.angle_between(a[site][:4], b[site][:4]))) for site in palms]
    tip = f"{np.median([gap[s] for s in tips]):.1f} max {max(gap[s] for s in tips):.1f} mm" if tips else "-"
    line = (
        f"{right:>4}/{len(known):<4} {len(both):>3}/{len(a):<3} {max(gap[s] for s in wrists):>5.1f} mm "
        f"{max(angle):>6.1f} deg {tip:>16}  {len(added.remarks)}{' ' + BODY_ONLY[name] if name in BODY_ONLY else ''}"
    )
    return line, missed


def poses(robot, like) -> dict[str, np.ndarray]:
    """Sites of `robot` in the posture that is `like`'s home, by name."""
    q = np.clip(np.zeros(len(robot.tree.joint_names)), *robot.tree.bounds())
    for joint, value in zip(like.tree.joint_names, like.home, strict=True):
        if joint in robot.tree.joint_names:
            q[robot.tree.joint(joint)] = value
    q = robot.tree.with_mimic(q)
    return dict(zip(robot.tree.site_names, site_poses(robot.tree, q[None])[0], strict=True))


if __name__ == "__main__":
    sys.exit(main())
