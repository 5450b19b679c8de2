"""Bodies: people of SMPL files as targets of a humanoid, for mink and for us the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.motion_files import read_motion
from vidpretrain.retarget.human import frame, in_hand
from vidpretrain.robot import Robot, mj_spec
from vidpretrain.skeletons import SIDES, skeleton
from vidpretrain.solve import OrientationTerm, PointTerm, PostureTerm, Problem, Solution, Start, VectorTerm, solve_clip

RATE_HZ = 30.0
# sigma in m or rad of each target; a weight is 1 / sigma^2
POINTS = {
    "pelvis": 0.02,
    **{f"{s}_{p}": v for s in SIDES for p, v in (("foot", 0.02), ("elbow", 0.05), ("wrist", 0.02))},
}
TURNS = {"pelvis": 0.2, "torso": 0.15, "left_foot": 0.3, "right_foot": 0.3}
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
TIP_SIGMA_M, POSTURE_RAD, _KNEE_RAD = 0.01, 2.0, 0.4
ACCELERATION_RAD_S2, _BASE_ACCELERATION = 300.0, (1 / 180.0**2, 1 / 60.0**2)
_MINK_DAMPING = 1.0  # of .01 to 10 the one with the least cost


@dataclass(frozen=True)
class BodyTargets:
    """Poses (t 7) in the robot's world by site: `points` use their places, `turns` their rotations."""

    name: str
    frames: int
    poses: dict[str, np.ndarray]

    def turned(self, heading_rad: float, first: int, frames: int) -> BodyTargets:
        """A window of the motion, turned about the vertical axis."""
        T = geometry.pose(geometry.quat_exp(np.array([0.0, 0.0, heading_rad])), np.zeros(3))
        cut = {name: geometry.compose(T, pose[first : first + frames]) for name, pose in self.poses.items()}
        return BodyTargets(self.name, len(cut["pelvis"]), cut)


def body_targets(path: Path, robot: Robot) -> BodyTargets:
    """Targets of a file with SMPL joints: the person, scaled so that the standing hips are the robot's."""
    motion = read_motion(path)
    sk, p = skeleton("human75"), np.asarray(motion.p_world_keypoint)
    root = np.asarray(motion.T_world_root)
    scale = robot.base_height_m / float(np.percentile(root[:, 6], 90))
    up = np.tile([0.0, 0.0, 1.0], (len(p), 1))

    def at(name: str) -> np.ndarray:
        return scale * p[:, sk.index(name)]

    spine = 0.5 * (at("left_shoulder") + at("right_shoulder")) - scale * root[:, 4:]
    poses = {"pelvis": geometry.pose(root[:, :4], scale * root[:, 4:])}
    ahead = np.cross(at("left_shoulder") - at("right_shoulder"), spine)
    poses["torso"] = geometry.pose(frame(ahead, spine), spine)
    for side in SIDES:
        sole = np.percentile(at(f"{side}_ankle")[:, 2], 5)
        ahead = (at(f"{side}_foot_index") - at(f"{side}_heel")) * [1.0, 1.0, 0.0]
        poses[f"{side}_foot"] = geometry.pose(frame(ahead, up), at(f"{side}_ankle") - [0.0, 0.0, sole])
        for part in ("elbow", "wrist"):
            poses[f"{side}_{part}"] = geometry.pose(np.array([1.0, 0, 0, 0]), at(f"{side}_{part}"))
    return BodyTargets(path.stem, len(p), poses)


def clasped(targets: BodyTargets) -> BodyTargets:
    """The same person with both hands in front of the belly, wrists 7 to 15 cm apart: hands meet."""
    poses, pelvis = dict(targets.poses), targets.poses["pelvis"]
    apart = 0.11 + 0.04 * np.sin(np.arange(targets.frames) / RATE_HZ * 3.0)
    for side, sign in zip(SIDES, (0.5, -0.5), strict=True):
        own = np.stack([np.full(len(apart), 0.27), sign * apart, np.full(len(apart), 0.12)], axis=1)
        poses[f"{side}_wrist"] = geometry.pose(np.array([1.0, 0, 0, 0]), geometry.transform(pelvis, own))
        own = np.stack([np.full(len(apart), 0.05), sign * (0.5 + 0 * apart), np.full(len(apart), 0.08)], axis=1)
        poses[f"{side}_elbow"] = geometry.pose(np.array([1.0, 0, 0, 0]), geometry.transform(pelvis, own))
    return BodyTargets(f"{targets.name}_clasped", targets.frames, poses)


def body_joints(robot: Robot) -> np.ndarray:
    """Mask (j) of arms, legs, waist and head: everything but the fingers."""
    mask = np.ones(len(robot.tree.joint_names), dtype=bool)
    mask[[*robot.joints("left_hand"), *robot.joints("right_hand")]] = False
    return mask


def standing(robot: Robot) -> np.ndarray:
    """Home with bent knees (j), where every solver starts and is drawn to: straight legs are singular."""
    out = np.array(robot.home)
    lower, upper = robot.tree.bounds()
    for side in SIDES:
        for j in robot.joints(f"{side}_leg"):
            name = robot.tree.joint_names[j].lower()
            bend = _KNEE_RAD if "knee" in name else -0.5 * _KNEE_RAD if "pitch" in name else 0.0
            out[j] = np.clip(out[j] + bend, lower[j], upper[j])
    return out


def body_problem(
    robot: Robot, targets: BodyTargets, hands: dict[str, np.ndarray] | None = None, **more: Any
) -> Problem:
    """Our problem; `hands` are points (t 21 3) in the hand's own frame by side, whose tips the robot's follow."""
    ones, joints = np.ones(targets.frames), len(robot.tree.joint_names)
    terms: list[Any] = [
        PointTerm(site=n, p_world_target=np.ascontiguousarray(targets.poses[n][:, 4:]), weight=s**-2 * ones)
        for n, s in POINTS.items()
    ]
    terms += [
        OrientationTerm(site=n, q_world_target=np.ascontiguousarray(targets.poses[n][:, :4]), weight=s**-2 * ones)
        for n, s in TURNS.items()
    ]
    for side, points in (hands or {}).items():
        for f, finger in enumerate(FINGERS):
            site = f"{side}_{finger}_tip"
            if site in robot.tree.site_names:
                terms.append(
                    VectorTerm(
                        from_site=f"{side}_wrist",
                        to_site=site,
                        target_m=np.ascontiguousarray(points[: targets.frames, 4 * f + 4]),
                        weight=TIP_SIGMA_M**-2 * ones,
                        frame_site=f"{side}_wrist",
                    )
                )
    settings: dict[str, Any] = {
        "acceleration_weight": np.full(joints, ACCELERATION_RAD_S2**-2),
        "base_acceleration_weight": _BASE_ACCELERATION,
        "active_joints": None if hands else body_joints(robot),
    }
    return Problem(
        rate_hz=RATE_HZ,
        frames=targets.frames,
        terms=tuple(terms),
        posture=PostureTerm(q_ref=standing(robot), weight=np.full(joints, POSTURE_RAD**-2)),
        free_base=True,
        **(settings | more),
    )


def solve_body(robot: Robot, problem: Problem, targets: BodyTargets) -> Solution:
    """From the standing posture, the base where the pelvis should be."""
    return solve_clip(robot.tree, problem, Start(joint_pos=standing(robot), T_world_base=targets.poses["pelvis"]))


def cost(robot: Robot, targets: BodyTargets, joint_pos: np.ndarray, T_world_base: np.ndarray) -> float:
    """The objective both are given, without smoothness: points, rotations and posture, summed over the frames."""
    names = list(dict.fromkeys([*POINTS, *TURNS]))
    at = dict(zip(names, np.moveaxis(site_poses(robot.tree, joint_pos, T_world_base, names), 1, 0), strict=True))
    total = 0.0
    for name, sigma in POINTS.items():
        total += 0.5 * sigma**-2 * ((at[name][:, 4:] - targets.poses[name][:, 4:]) ** 2).sum()
    for name, sigma in TURNS.items():
        total += 0.5 * sigma**-2 * (geometry.angle_between(at[name][:, :4], targets.poses[name][:, :4]) ** 2).sum()
    moved = (joint_pos - standing(robot))[:, body_joints(robot)]
    return float(total + 0.5 * POSTURE_RAD**-2 * (moved**2).sum())


def mink_model(robot: Robot, work: Path) -> tuple[Path, list[str]]:
    """(MJCF of the robot with its fingers fixed, the joints that are left in order)."""
    from vidpretrain.robot.extract import light_model

    spec = mj_spec(robot)
    body = [n for n, kept in zip(robot.tree.joint_names, body_joints(robot), strict=True) if kept]
    for equality in list(spec.equalities):
        spec.delete(equality)
    for joint in list(spec.joints):
        if int(joint.type) != 0 and joint.name not in body:
            spec.delete(joint)
    light_model(spec)
    path = work / f"{robot.name}_body.xml"
    path.write_text(spec.to_xml())
    return path, body


def mink_case(robot: Robot, model: tuple[Path, list[str]], targets: BodyTargets, work: Path) -> Path:
    """The same targets and weights as a case for mink; a place and a rotation of one site are two tasks."""
    names = [(n, 1.0 / s, 0.0) for n, s in POINTS.items()] + [(n, 0.0, 1.0 / s) for n, s in TURNS.items()]
    tasks = [
        {"name": f"task{i}", "site": n, "position": position, "orientation": orientation}
        for i, (n, position, orientation) in enumerate(names)
    ]
    poses = {task["name"]: targets.poses[task["site"]] for task in tasks}
    np.savez(work / "body_targets.npz", **(poses | {"T_world_base": targets.poses["pelvis"]}))  # type: ignore[arg-type]
    case = {
        "mjcf": str(model[0]),
        "joints": model[1],
        "targets": str(work / "body_targets.npz"),
        "tasks": tasks,
        "start": standing(robot)[robot.tree.joints(model[1])].tolist(),
        "posture": 1.0 / POSTURE_RAD,
        "damping": _MINK_DAMPING,
    }
    path = work / "body.json"
    path.write_text(json.dumps(case))
    return path


def hand_points(p_hand: np.ndarray, frames: int) -> dict[str, np.ndarray]:
    """Both hands' points (t 21 3) in their own frames from a right hand's track, the left one its mirror image."""
    own = in_hand(p_hand, "right")[np.arange(frames) % len(p_hand)]
    return {"left": own * [1.0, -1.0, 1.0], "right": own}
