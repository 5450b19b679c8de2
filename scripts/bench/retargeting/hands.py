"""Hands: the peers' own models and vectors, and our solve of the same targets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import PostureTerm, Problem, Start, VectorTerm, solve_clip
from vidpretrain.tree import Tree

FRAMES, RATE_HZ = 621, 30.0
TIPS = (4, 8, 12, 16, 20)  # of the person's 21 points
LOCKED = {"shadow": ("WRJ1", "WRJ2")}  # the wrist, which is not the hand's to move
FILES = {"svh": "schunk_svh_hand"}  # dex-retargeting's own name, where it is not NAME_hand
# weight of acceleration against 1/m^2 of a vector, in rad per frame squared: "clean" is where jerk and error are both
# below the peers', "smooth" gives a little error for half the jerk
CLEAN, SMOOTH = 3e-3, 9e-3
_TOLERANCE = 1e-4  # of ours: the cost stays within 1e-4 of that with 1e-5, errors and jerk are measured
_POSTURE, _DAMPING = 1e-6, 1e-3  # damping of mink: the best of 1e-5 to 1e-2 for its error


@dataclass(frozen=True)
class HandCase:
    """A hand with its targets: the peers' file, the tree, vectors (t n 3) in the base's and the palm's axes."""

    name: str
    path: Path
    case: dict[str, Any]
    tree: Tree
    target: np.ndarray
    target_palm: np.ndarray
    moving: np.ndarray
    tips: np.ndarray
    base: str

    def full(self, q: np.ndarray) -> np.ndarray:
        """Joint positions of the tree from a peer's answer."""
        out = np.zeros((len(q), len(self.tree.joint_names)))
        out[:, self.moving] = q
        return out


def shipped_config(name: str, packages: Path) -> dict[str, Any]:
    """What dex-retargeting ships for a right hand (teleoperation, vector): links, the person's points, scale, URDF."""
    import yaml

    file = f"{FILES.get(name, name + '_hand')}_right.yml"
    spec = yaml.safe_load((packages / "dex_retargeting/configs/teleop" / file).read_text())["retargeting"]
    (origin,) = set(spec["target_origin_link_names"])
    return {
        "urdf": packages / "dexi_rs/resources/assets/robots/hands" / spec["urdf_path"],
        "origin": origin,
        "links": spec["target_task_link_names"],
        "human": spec["target_link_human_indices"][1],
        "scale": spec["scaling_factor"],
    }


def hand_case(name: str, packages: Path, p_hand: np.ndarray, work: Path) -> HandCase:
    """The case of a hand, written for the peers into `work`; `packages` is where theirs are installed.

    All solve on the URDF of dexi-rs's wheel, mink on the same tree as MJCF.
    """
    from vidpretrain.robot.extract import extract_tree, light_model
    from vidpretrain.robot.reading import read_model

    spec, locked = shipped_config(name, packages), LOCKED.get(name, ())
    model = read_model(spec["urdf"])
    sites = (spec["origin"], *spec["links"])
    for link in sites:
        model.body(link).add_site(name=link)
    base = next(b.name for b in model.bodies if b.parent is not None and b.parent.name == "world")
    tree = extract_tree(light_model(model), base, sites)
    moving = tree.joints([n for n in tree.joint_names if n not in locked])
    T_world_base = geometry.pose(np.array(model.body(base).quat), np.array(model.body(base).pos))
    for joint in list(model.joints):
        if joint.name in locked:
            model.delete(joint)
    mjcf = work / f"{name}.xml"
    mjcf.write_text(model.to_xml())
    target_world = spec["scale"] * (p_hand[:, spec["human"]] - p_hand[:, :1])  # the URDF's axes, as its peers take them
    T_base_palm = site_poses(tree, np.zeros((1, len(tree.joint_names))), None, [spec["origin"]])[0, 0]
    p_world_palm = geometry.compose(T_world_base, T_base_palm)[4:]
    target = geometry.rotate(geometry.quat_inverse(T_world_base[:4]), target_world)
    tasks = [{"name": f"task{i}", "site": n, "position": 1.0, "orientation": 0.0} for i, n in enumerate(spec["links"])]
    upright = np.array([1.0, 0, 0, 0])
    poses = {t["name"]: geometry.pose(upright, p_world_palm + target_world[:, i]) for i, t in enumerate(tasks)}
    np.savez(work / f"{name}_targets.npz", **(poses | {"p_hand": p_hand}))  # type: ignore[arg-type]
    lower, upper = tree.bounds()
    case = {
        **spec,
        "urdf": str(spec["urdf"]),
        "mjcf": str(mjcf),
        "targets": str(work / f"{name}_targets.npz"),
        "joints": [tree.joint_names[j] for j in moving],
        "locked": list(locked),
        "free": [tree.joint_names[j] for j in moving if tree.independent[j]],
        "start": (0.5 * (lower + upper))[moving].tolist(),
        "tasks": tasks,
        "posture": np.sqrt(_POSTURE),
        "damping": _DAMPING,
    }
    path = work / f"{name}.json"
    path.write_text(json.dumps(case))
    target_palm = geometry.rotate(geometry.quat_inverse(T_base_palm[:4]), target)
    tips = np.array([point in TIPS for point in spec["human"]])
    return HandCase(name, path, case, tree, target, target_palm, moving, tips, base)


def hand_problem(hand: HandCase, acceleration: float, max_speed: float | None = None, **more: Any) -> Problem:
    """Our problem: the same vectors with equal weights, acceleration against jitter, joint limits."""
    joints, frames = len(hand.tree.joint_names), len(hand.target)
    terms = tuple(
        VectorTerm(
            from_site=hand.case["origin"],
            to_site=link,
            target_m=np.ascontiguousarray(hand.target_palm[:, i]),
            weight=np.ones(frames),
            frame_site=hand.case["origin"],
        )
        for i, link in enumerate(hand.case["links"])
    )
    active = np.zeros(joints, dtype=bool)
    active[hand.moving] = True
    return Problem(
        rate_hz=RATE_HZ,
        frames=frames,
        terms=terms,
        posture=PostureTerm(q_ref=np.zeros(joints), weight=np.full(joints, _POSTURE)),
        acceleration_weight=np.full(joints, acceleration / RATE_HZ**4),
        max_speed=None if max_speed is None else np.full(joints, max_speed),
        tolerance=_TOLERANCE,
        active_joints=active,
        **more,
    )


def solve_hand(hand: HandCase, problem: Problem) -> np.ndarray:
    """(t j) joint positions from the posture of zeros."""
    lower, upper = hand.tree.bounds()
    return np.asarray(
        solve_clip(hand.tree, problem, Start(joint_pos=np.clip(np.zeros(len(lower)), lower, upper))).joint_pos
    )
