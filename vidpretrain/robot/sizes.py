"""Lengths and places of a robot that the person's motion is scaled to, read off its tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.errors import ConfigError
from vidpretrain.kinematics import joint_poses, site_poses
from vidpretrain.robot.types import Robot
from vidpretrain.skeletons import SIDES
from vidpretrain.tree import Tree

# Which human fingers drive a robot finger, by the fingertips that the robot has.
_FIVE = {finger: (finger,) for finger in ("thumb", "index", "middle", "ring", "pinky")}
_LEAST_ARM_M = 0.1
_THREE = {"thumb": ("thumb",), "index": ("index",), "middle": ("middle", "ring")}


@dataclass(frozen=True, kw_only=True)
class Finger:
    """A robot finger: its base joint in the wrist frame, its length from there to the tip, and who drives it."""

    site: str
    p_wrist_base: Float64[np.ndarray, " 3"]
    length_m: float
    driven_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ArmSize:
    """One arm at home, in the base frame. The shoulder is where the axes of its first two joints (nearly) meet."""

    p_base_shoulder: Float64[np.ndarray, " 3"]
    T_base_wrist: Float64[np.ndarray, " 7"]
    upper_m: float
    fore_m: float
    fingers: tuple[Finger, ...]

    @property
    def length_m(self) -> float:
        """Shoulder to wrist, stretched."""
        return self.upper_m + self.fore_m


@dataclass(frozen=True, kw_only=True)
class RobotSize:
    """Both arms, the torso at home, and of the legs their length, the middle of the hips and the feet's distance.

    A hip is the leg's first joint. Lengths are NaN without legs.
    """

    arms: dict[str, ArmSize]
    T_base_torso: Float64[np.ndarray, " 7"]
    leg_m: float
    p_base_hips: Float64[np.ndarray, " 3"]
    stance_m: float


def measure(robot: Robot) -> RobotSize:
    """The robot's sizes at home.

    Raises:
        ConfigError: the robot lacks a site that retargeting needs, or has hardly any arms.
    """
    needed = ["torso", *(f"{side}_{part}" for side in SIDES for part in ("elbow", "wrist"))]
    missing = [name for name in needed if name not in robot.tree.site_names]
    if missing:
        raise ConfigError(
            f"robot {robot.name} lacks sites that retargeting needs",
            asked=", ".join(missing),
            found=", ".join(robot.tree.site_names),
        )
    home = robot.tree.with_mimic(robot.home)[None]
    at = dict(zip(needed, site_poses(robot.tree, home, None, needed)[0], strict=True))
    arms = {side: _arm(robot, side, at, home) for side in SIDES}
    short = {side: arm.length_m for side, arm in arms.items() if not arm.length_m >= _LEAST_ARM_M}
    if short:
        raise ConfigError(
            f"robot {robot.name} has arms that are too short to follow a person's",
            asked=f"shoulder to elbow to wrist of at least {_LEAST_ARM_M} m",
            found=", ".join(f"{side} {length:.3g} m" for side, length in short.items()),
            next_command="check the sites elbow and wrist and the group of the arm in the robot's YAML",
        )
    leg_m, p_base_hips, stance_m = _legs(robot, home)
    return RobotSize(arms=arms, T_base_torso=at["torso"], leg_m=leg_m, p_base_hips=p_base_hips, stance_m=stance_m)


def fingers_of(robot: Robot, side: str) -> tuple[Finger, ...]:
    """The fingers of a side at home, none where it has no hand.

    Raises:
        ConfigError: the robot has no such wrist, or is a hand without fingers.
    """
    name = f"{side}_wrist"
    if name not in robot.tree.site_names:
        raise ConfigError(f"robot {robot.name} has no {side} wrist", asked=name, found=", ".join(robot.tree.site_names))
    home = robot.tree.with_mimic(robot.home)[None]
    fingers = _fingers(robot, side, site_poses(robot.tree, home, None, [name])[0, 0], home)
    if robot.is_hand and not fingers:
        tips = ", ".join(f"{side}_{finger}_tip" for finger in _FIVE)
        raise ConfigError(f"robot {robot.name} is a hand without fingers", asked=f"at least one of {tips}")
    return fingers


def _arm(robot: Robot, side: str, at: dict[str, np.ndarray], home: np.ndarray) -> ArmSize:
    elbow, wrist = at[f"{side}_elbow"], at[f"{side}_wrist"]
    shoulder = _shoulder(robot, side, home)
    return ArmSize(
        p_base_shoulder=shoulder,
        T_base_wrist=wrist,
        upper_m=float(np.linalg.norm(elbow[4:] - shoulder)),
        fore_m=float(np.linalg.norm(wrist[4:] - elbow[4:])),
        fingers=_fingers(robot, side, wrist, home),
    )


def _shoulder(robot: Robot, side: str, home: np.ndarray) -> np.ndarray:
    """The middle of the shortest line between the first two axes of an arm (on a robot: pitch and roll)."""
    joints = robot.joints(f"{side}_arm")
    if len(joints) < 2:
        raise ConfigError(f"robot {robot.name} has no {side} arm", found=", ".join(robot.groups))
    poses = joint_poses(robot.tree, home)[0, list(joints[:2])]
    axes = geometry.rotate(poses[:, :4], robot.tree.axis[list(joints[:2])])
    across = np.cross(axes[0], axes[1])
    if np.linalg.norm(across) < 0.1:
        return poses[1, 4:]
    along = np.linalg.solve(np.stack([axes[0], -axes[1], across], axis=1), poses[1, 4:] - poses[0, 4:])
    return 0.5 * (poses[0, 4:] + along[0] * axes[0] + poses[1, 4:] + along[1] * axes[1])


def _fingers(robot: Robot, side: str, T_base_wrist: np.ndarray, home: np.ndarray) -> tuple[Finger, ...]:
    tree = robot.tree
    tips = {finger: f"{side}_{finger}_tip" for finger in _FIVE if f"{side}_{finger}_tip" in tree.site_names}
    drivers = _FIVE if "ring" in tips else _THREE
    stop = int(tree.site_joint[tree.site(f"{side}_wrist")])
    joints = joint_poses(tree, home)[0, :, 4:]
    out = []
    for finger, site in tips.items():
        path = ancestors(tree, int(tree.site_joint[tree.site(site)]), stop)
        if not path:
            continue
        track = np.concatenate([joints[path], site_poses(tree, home, None, [site])[0, :, 4:]])
        out.append(
            Finger(
                site=site,
                p_wrist_base=geometry.transform(geometry.inverse(T_base_wrist), track[0]),
                length_m=float(np.linalg.norm(np.diff(track, axis=0), axis=1).sum()),
                driven_by=drivers.get(finger, (finger,)),
            )
        )
    return tuple(out)


def ancestors(tree: Tree, joint: int, stop: int) -> list[int]:
    """Joints from below `stop` down to `joint`, in tree order."""
    path = []
    while joint not in (stop, -1):
        path.append(joint)
        joint = int(tree.parent[joint])
    return path[::-1]


def _legs(robot: Robot, home: np.ndarray) -> tuple[float, np.ndarray, float]:
    """(first joint to sole, straight: the longer of the zero pose and home; middle of the hips; feet's distance)."""
    feet = [f"{side}_foot" for side in SIDES]
    first = [robot.joints(f"{side}_leg")[:1] for side in SIDES]
    if not all(first) or not all(foot in robot.tree.site_names for foot in feet):
        return float("nan"), np.full(3, np.nan), float("nan")
    both = np.concatenate([robot.tree.with_mimic(np.zeros_like(home)), home])
    hips = joint_poses(robot.tree, both)[:, [joint for (joint,) in first], 4:]
    soles = site_poses(robot.tree, both, None, feet)[..., 4:]
    length = np.linalg.norm(soles - hips, axis=-1).max()
    return float(length), hips[1].mean(axis=0), float(np.linalg.norm(soles[1, 0] - soles[1, 1]))
