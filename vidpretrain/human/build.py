"""`human_tree` and `hand_tree`: bones, hinges, limits and sites.

The base is the pelvis (middle of the hip joints; x forward, y left, z up). The left side is written down, the right one
is its mirror image, with axes such that equal angles are mirror images. Limits: Kapandji, "The Physiology of the
Joints"; AAOS 1965 (ranges of motion), widened by some ten degrees, because the model has fewer joints than a person.

Euler orders keep gimbal lock out of reach: the middle axis of hips, wrists and neck stays far from 90 degrees; the
shoulder's first axis points to the side, back and up, where an upper arm does not go.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.human import points
from vidpretrain.human.shape import FINGER_BONES, PALM, PALM_SHAPE, Shape
from vidpretrain.skeletons import HAND_NAMES, SIDES
from vidpretrain.tree import Tree

_MIRROR = np.array([1.0, -1.0, 1.0])
_X, _Y, _Z = np.eye(3)
_HANGING = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])  # the hanging left hand's axes, by column
_SHOULDER_AXIS = geometry.normalize(np.array([-0.5, 0.75, 0.45]))
_SHOULDER_ZERO = np.array([0.7, 0.25, -0.65])  # the upper arm about where it works
_FAN_RAD = {"index": 0.05, "middle": 0.0, "ring": -0.08, "pinky": -0.2}
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_THUMB_ALONG = np.array([0.72, 0.58, -0.38])  # of the metacarpal of a relaxed right hand
_THUMB_GOAL = np.array([0.15, -0.8, -0.58])  # where it bends to
_DIP_OF_PIP = 2.0 / 3.0  # Rijpkema and Girard 1991

FINGER_JOINTS = tuple(
    f"{side}_{name}"
    for side in SIDES
    for name in (
        *("thumb_cmc_abduct", "thumb_cmc_flex", "thumb_cmc_roll", "thumb_mcp_flex", "thumb_ip_flex"),
        *(f"{f}_{part}" for f in _FINGERS[1:] for part in ("mcp_abduct", "mcp_flex", "pip_flex", "dip_flex")),
    )
)
"""Joints of both hands beyond the wrists, mimic ones included."""


@dataclass
class _Build:
    """Joints in the pelvis' axes while they are being added; `here[name]` is a joint's origin in the zero posture."""

    names: list[str] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    origin: list[np.ndarray] = field(default_factory=list)
    axis: list[np.ndarray] = field(default_factory=list)
    limits: list[tuple[float, float]] = field(default_factory=list)
    mimic: dict[str, tuple[str, float]] = field(default_factory=dict)
    sites: dict[str, tuple[int, np.ndarray, np.ndarray]] = field(default_factory=dict)

    def joint(self, name: str, parent: str, origin, axis, low_deg: float, high_deg: float) -> str:
        """Add a hinge; origin and axis in the pelvis' axes."""
        self.parent.append(self.names.index(parent) if parent else -1)
        self.names.append(name)
        self.origin.append(np.asarray(origin, dtype=float))
        self.axis.append(geometry.normalize(np.asarray(axis, dtype=float)))
        self.limits.append((np.radians(low_deg), np.radians(high_deg)))
        return name

    def site(self, name: str, joint: str, point, R=None) -> None:
        """Add a site; point and axes (columns) in the pelvis' axes in the zero posture."""
        at = self.names.index(joint) if joint else -1
        self.sites[name] = (at, np.asarray(point, dtype=float), np.eye(3) if R is None else R)

    def tree(self) -> Tree:
        """Everything added so far."""
        count = len(self.names)
        origin = np.array(self.origin).reshape(count, 3)
        up = np.array([origin[p] if p >= 0 else np.zeros(3) for p in self.parent]).reshape(count, 3)
        identity = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
        source, ratio = np.full(count, -1, dtype=np.int64), np.ones(count)
        for name, (other, factor) in self.mimic.items():
            source[self.names.index(name)], ratio[self.names.index(name)] = self.names.index(other), factor
        site_joint = np.array([joint for joint, _, _ in self.sites.values()], dtype=np.int64)
        place = np.array([p - (origin[j] if j >= 0 else 0.0) for j, p, _ in self.sites.values()])
        turn = geometry.quat_from_matrix(np.array([R for _, _, R in self.sites.values()]))
        limits = np.array(self.limits).reshape(count, 2)
        return Tree(
            joint_names=tuple(self.names),
            kind=("hinge",) * count,
            parent=np.array(self.parent, dtype=np.int64),
            T_parent_zero=geometry.pose(identity, origin - up),
            axis=np.array(self.axis).reshape(count, 3),
            lower=limits[:, 0],
            upper=limits[:, 1],
            mimic_source=source,
            mimic_ratio=ratio,
            mimic_offset=np.zeros(count),
            site_names=tuple(self.sites),
            site_joint=site_joint,
            T_joint_site=geometry.pose(turn, place),
        )


def human_tree(height_m: float, shape: Shape | None = None) -> Tree:
    """A person of that height: free base at the pelvis, 81 hinges that move on their own, sites `human75` and more.

    Beyond the 75 points: `pelvis`, `head` (x forward, z up), `left_palm`, `right_palm` (at the wrist; x to the middle
    knuckle, y from the little finger's to the index's, z = x cross y).
    """
    shape = shape or Shape()
    b = _Build()
    _trunk(b, height_m, shape)
    for side in SIDES:
        _arm(b, side, height_m, shape)
        _leg(b, side, height_m, shape)
    return _in_order(b).tree()


def hand_tree(side: str, height_m: float, shape: Shape | None = None) -> Tree:
    """One hand of such a person alone: the base is its palm's frame at the wrist; sites as in `human_tree`."""
    b = _Build()
    z = 1.0 if side == "right" else -1.0
    _hand(b, side, "", np.zeros(3), np.diag([1.0, 1.0, z]), (shape or Shape()).hand_m(height_m))
    b.site(f"{side}_palm", "", np.zeros(3))
    return b.tree()


def rest(tree: Tree) -> Float64[np.ndarray, " j"]:
    """A relaxed posture: arms hanging a little forward, elbows half bent, fingers a little curled."""
    q = np.zeros(len(tree.joint_names))
    angles = {"elbow_flex": 60.0, "knee_flex": 5.0, "thumb_mcp_flex": 10.0, "thumb_ip_flex": 10.0}
    angles |= {f"{f}_{part}": a for f in _FINGERS[1:] for part, a in (("mcp_flex", 20.0), ("pip_flex", 25.0))}
    for i, name in enumerate(tree.joint_names):
        q[i] = np.radians(angles.get(name.split("_", 1)[1], 0.0))
    return tree.with_mimic(np.clip(q, tree.lower, tree.upper))


def _in_order(b: _Build) -> _Build:
    order = [name for name in points.SITES if name in b.sites]
    b.sites = {name: b.sites[name] for name in (*order, *(n for n in b.sites if n not in order))}
    return b


def _trunk(b: _Build, height_m: float, shape: Shape) -> None:
    h = height_m
    lumbar, thorax = np.array([-0.01, 0, 0.065]) * h, np.array([-0.01, 0, 0.165]) * h
    b.site("pelvis", "", np.zeros(3))
    b.joint("spine_pitch", "", lumbar, _Y, -30, 70)
    b.joint("spine_roll", "spine_pitch", lumbar, _X, -30, 30)
    b.joint("spine_yaw", "spine_roll", lumbar, _Z, -40, 40)
    b.joint("chest_pitch", "spine_yaw", thorax, _Y, -20, 40)
    b.joint("chest_roll", "chest_pitch", thorax, _X, -20, 20)
    shoulders = np.array([0.0, 0.0, shape.torso * h])
    neck, skull = shoulders + np.array([-0.012, 0, 0.02]) * h, shoulders + np.array([0.0, 0, 0.085]) * h
    b.joint("neck_yaw", "chest_roll", neck, _Z, -80, 80)
    b.joint("neck_pitch", "neck_yaw", neck, _Y, -50, 50)
    b.joint("neck_roll", "neck_pitch", neck, _X, -40, 40)
    b.joint("head_pitch", "neck_roll", skull, _Y, -30, 40)
    eyes = shoulders + np.array([0.056, 0.0, shape.eyes]) * h
    for name, offset in points.face(h * shape.head_scale).items():
        b.site(name, "head_pitch", eyes + offset)
    b.site("head", "head_pitch", eyes)


def _arm(b: _Build, side: str, height_m: float, shape: Shape) -> None:
    h, w = height_m, 0.5 * shape.shoulder_width
    sternum = np.array([0.02, 0.018, shape.torso - 0.004]) * h
    shoulder = np.array([0.0, w, shape.torso]) * h
    # a minimal turn takes the hanging arm to the zero posture, in which the first axis is square to it
    goal = geometry.normalize(_SHOULDER_ZERO - (_SHOULDER_ZERO @ _SHOULDER_AXIS) * _SHOULDER_AXIS)
    R = _between(-_Z, goal)
    elbow = shoulder + goal * shape.upper_arm * h
    wrist = elbow + goal * shape.forearm * h
    R_hand = R @ _HANGING
    M, flip = _side(side)

    def add(name, parent, origin, axis, low, high):
        return b.joint(f"{side}_{name}", parent, M * origin, flip * axis, low, high)

    up = add("clavicle_raise", "chest_roll", sternum, _X, -15, 40)
    up = add("clavicle_forward", up, sternum, -_Z, -25, 35)
    up = add("shoulder_swing", up, shoulder, _SHOULDER_AXIS, -125, 125)
    up = add("shoulder_raise", up, shoulder, np.cross(_SHOULDER_AXIS, goal), -80, 80)
    up = add("shoulder_twist", up, shoulder, goal, -110, 110)
    b.site(f"{side}_shoulder", f"{side}_clavicle_forward", M * shoulder)
    up = add("elbow_flex", up, elbow, R @ -_Y, 0, 155)
    b.site(f"{side}_elbow", f"{side}_shoulder_twist", M * elbow)
    up = add("forearm_roll", up, elbow, goal, -110, 110)
    up = add("wrist_deviate", up, wrist, R_hand[:, 2], -40, 45)
    up = add("wrist_flex", up, wrist, R_hand[:, 1], -85, 90)
    shape_axes = R_hand @ np.diag([1.0, 1.0, -1.0])  # the palm's shape is a right one's
    mirrored = shape_axes if side == "left" else np.diag(_MIRROR) @ shape_axes
    _hand(b, side, up, M * wrist, mirrored, shape.hand_m(h))
    own = mirrored @ np.diag([1.0, 1.0, 1.0 if side == "right" else -1.0])
    b.site(f"{side}_palm", up, M * wrist, own)
    for name, point in (("wrist", "wrist"), ("pinky", "pinky_mcp"), ("index", "index_mcp"), ("thumb", "thumb_mcp")):
        b.sites[f"{side}_{name}"] = b.sites[f"{side}_hand_{point}"]


def _hand(b: _Build, side: str, parent: str, wrist: np.ndarray, A: np.ndarray, length_m: float) -> None:
    """Palm and fingers. The columns of A are the axes of the right hand's shape: a reflection for a left hand."""
    hand = np.linalg.det(A)  # an axis of rotation is an axial vector

    def at(p):
        return wrist + A @ (np.asarray(p) * length_m)

    def turn(axis):
        return hand * (A @ axis)

    palm: dict[int, np.ndarray] = dict(zip(PALM, PALM_SHAPE, strict=True))
    b.site(f"{side}_hand_wrist", parent, wrist)
    up = parent
    along, goal = geometry.normalize(_THUMB_ALONG), geometry.normalize(_THUMB_GOAL)
    bend = geometry.normalize(np.cross(along, goal))
    ends = [palm[1]]
    for point in (2, 3, 4):
        ends.append(ends[-1] + FINGER_BONES[point] * along)
    names = HAND_NAMES[1:5]
    b.site(f"{side}_hand_{names[0]}", parent, at(ends[0]))
    up = b.joint(f"{side}_thumb_cmc_abduct", up, at(ends[0]), turn(np.cross(bend, along)), -35, 35)
    up = b.joint(f"{side}_thumb_cmc_flex", up, at(ends[0]), turn(bend), -40, 45)
    up = b.joint(f"{side}_thumb_cmc_roll", up, at(ends[0]), turn(along), -30, 30)
    b.site(f"{side}_hand_{names[1]}", up, at(ends[1]))
    up = b.joint(f"{side}_thumb_mcp_flex", up, at(ends[1]), turn(bend), -15, 75)
    b.site(f"{side}_hand_{names[2]}", up, at(ends[2]))
    up = b.joint(f"{side}_thumb_ip_flex", up, at(ends[2]), turn(bend), -20, 90)
    b.site(f"{side}_hand_{names[3]}", up, at(ends[3]))
    for number, finger in enumerate(_FINGERS[1:], start=1):
        _finger(b, side, parent, finger, palm[4 * number + 1], number, at, turn)


def _finger(b: _Build, side: str, parent: str, finger: str, knuckle: np.ndarray, number: int, at, turn) -> None:
    first = 4 * number + 1
    fan = _FAN_RAD[finger]
    along, bend = np.array([np.cos(fan), np.sin(fan), 0.0]), np.array([-np.sin(fan), np.cos(fan), 0.0])
    ends = [knuckle]
    for point in (first + 1, first + 2, first + 3):
        ends.append(ends[-1] + FINGER_BONES[point] * along)
    up = b.joint(f"{side}_{finger}_mcp_abduct", parent, at(knuckle), turn(_Z), -22, 22)
    b.site(f"{side}_hand_{finger}_mcp", parent, at(knuckle))
    up = b.joint(f"{side}_{finger}_mcp_flex", up, at(knuckle), turn(bend), -30, 95)
    b.site(f"{side}_hand_{finger}_pip", up, at(ends[1]))
    up = b.joint(f"{side}_{finger}_pip_flex", up, at(ends[1]), turn(bend), -5, 115)
    b.site(f"{side}_hand_{finger}_dip", up, at(ends[2]))
    up = b.joint(f"{side}_{finger}_dip_flex", up, at(ends[2]), turn(bend), -5, 80)
    b.mimic[up] = (f"{side}_{finger}_pip_flex", _DIP_OF_PIP)
    b.site(f"{side}_hand_{finger}_tip", up, at(ends[3]))


def _leg(b: _Build, side: str, height_m: float, shape: Shape) -> None:
    h = height_m
    hip = np.array([0.0, 0.5 * shape.hip_width, 0.0]) * h
    knee, ankle = hip - shape.thigh * h * _Z, hip - (shape.thigh + shape.shank) * h * _Z
    M, flip = _side(side)

    def add(name, parent, origin, axis, low, high):
        return b.joint(f"{side}_{name}", parent, M * origin, flip * axis, low, high)

    up = add("hip_flex", "", hip, -_Y, -35, 130)
    up = add("hip_abduct", up, hip, _X, -35, 55)
    up = add("hip_turn", up, hip, _Z, -50, 55)
    b.site(f"{side}_hip", "", M * hip)
    up = add("knee_flex", up, knee, _Y, -5, 150)
    b.site(f"{side}_knee", f"{side}_hip_turn", M * knee)
    up = add("ankle_flex", up, ankle, _Y, -30, 55)
    up = add("ankle_roll", up, ankle, _X, -30, 30)
    b.site(f"{side}_ankle", f"{side}_knee_flex", M * ankle)
    sole = ankle - shape.ankle * h * _Z
    b.site(f"{side}_heel", up, M * (sole + np.array([-0.25 * shape.foot, 0.0, 0.006]) * h))
    ball = sole + np.array([0.5 * shape.foot, 0.0, 0.006]) * h
    up = add("toes_flex", up, ball, _Y, -50, 30)
    b.site(f"{side}_foot_index", up, M * (sole + np.array([0.72 * shape.foot, 0.0, 0.006]) * h))


def _side(side: str) -> tuple[np.ndarray, np.ndarray]:
    """What mirrors points, and axes of rotation, of the left side to `side`."""
    return (np.ones(3), np.ones(3)) if side == "left" else (_MIRROR, -_MIRROR)


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation (3 3) from one unit vector to another that is not its opposite."""
    axis = np.cross(a, b)
    return geometry.matrix_from_quat(geometry.normalize(np.concatenate([[1.0 + a @ b], axis])))
