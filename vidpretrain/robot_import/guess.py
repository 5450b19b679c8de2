"""Plan and hands of a survey as a robot file: groups, sites, speeds, columns, camera, each with why it is so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.robot.file import BaseFrame, CameraFile, ColumnsFile, FractionFile, FrameFile, ModelFile, RobotFile
from vidpretrain.robot_import.hands import HandGuess, guess_hand
from vidpretrain.robot_import.limbs import Limb, Plan, is_lone_hand, middle_joint, plan_humanoid, upright
from vidpretrain.robot_import.survey import Survey

_SPEED = {"arm": 10.0, "leg": 12.0, "hand": 8.0, "waist": 10.0, "head": 8.0, "other": 5.0}  # rad/s, where nobody says
_SLIDE_SPEED = 0.2
SIDES = ("left", "right")


@dataclass
class Guess:
    """A robot file, why each of its lines is so (`notes`, by key), what is doubtful (`remarks`), and the hands."""

    file: RobotFile
    survey: Survey
    kind: str
    notes: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    hands: dict[str, HandGuess] = field(default_factory=dict)


@dataclass
class _Draft:
    """A file under way."""

    s: Survey
    groups: dict[str, list[int]] = field(default_factory=dict)
    sites: dict[str, FrameFile] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    hands: dict[str, HandGuess] = field(default_factory=dict)

    def site(self, name: str, joint: int, p: np.ndarray, R: np.ndarray | None = None, why: str = "") -> None:
        """Put a site at p (and axes R) of the world at the zero pose onto the first body that a joint moves."""
        body, p_body, R_body_world = self.s.frame_on(joint, p)
        R_body = np.eye(3) if R is None else R_body_world @ R
        self.sites[name] = FrameFile(body=body, pos=_vector(p_body), x=_vector(R_body[:, 0]), z=_vector(R_body[:, 2]))
        if why:
            self.notes[f"sites.{name}"] = why


def _vector(v: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 5) + 0.0 for value in v)
    return (x, y, z)


def guess(s: Survey, name: str, model_file: str) -> Guess:
    """The robot file that a survey suggests: a humanoid's, or a lone hand's. `home` and `base_height_m` are not in it.

    Raises:
        InputError: neither two arms nor a hand were found, or names are missing or double.
    """
    _check_names(s)
    lone = is_lone_hand(s)
    s = s if lone else upright(s)
    draft = _Draft(s=s, remarks=list(s.remarks))
    plan = None if lone else plan_humanoid(s)
    if plan is None:
        _lone_hand(draft)
    else:
        _humanoid(draft, plan)
    if s.unlimited:
        draft.remarks.append(
            f"{len(s.unlimited)} joints have no limits and count as free to turn: {', '.join(s.unlimited)}"
        )
    file = RobotFile(
        name=name,
        license="unknown",
        model=ModelFile(file=model_file),
        base=s.base,
        base_frame=None if plan is None else _base_frame(s, plan),
        remove_meshes=s.without,
        groups={g: tuple(s.tree.joint_names[j] for j in joints) for g, joints in draft.groups.items() if joints},
        sites=draft.sites,
        columns=_columns(draft),
        max_speed=_speeds(draft),
        camera=None if plan is None else _camera(draft, plan),
        assumptions=("Made by 'vidpretrain robots add' from the model's tree and shapes; nobody has checked it.",),
    )
    return Guess(
        file=file,
        survey=s,
        kind="hand" if lone else "humanoid",
        notes=draft.notes,
        remarks=draft.remarks,
        hands=draft.hands,
    )


def _check_names(s: Survey) -> None:
    unnamed = [k for k, name in enumerate(s.tree.joint_names) if not name]
    bare = [s.tree.joint_names[j] for j, bodies in s.bodies.items() if j >= 0 and not any(name for name, _ in bodies)]
    if unnamed or bare or not s.base:
        raise InputError(
            "joints and bodies need names",
            asked=s.path,
            found=f"{len(unnamed)} joints without a name, bodies without one at: {', '.join(bare) or 'none'}"
            + ("" if s.base else "; the root body has none"),
        )


def _lone_hand(d: _Draft) -> None:
    s = d.s
    carrier = max(s.children, key=lambda j: (len(s.children[j]), -j))
    hand = guess_hand(s, carrier, None, None if carrier < 0 else s.anchor[carrier])
    if hand is None:
        raise InputError("this is neither a humanoid nor a hand: nothing branches in it", asked=s.path)
    side = hand.side
    before = []
    at = carrier
    while at >= 0:
        before.insert(0, at)
        at = int(s.tree.parent[at])
    d.groups[f"{side}_arm"] = before
    d.groups[f"{side}_hand"] = _hand_joints(hand)
    _hand_sites(d, hand)
    rest = set(range(len(s.tree.joint_names))) - set(before) - set(d.groups[f"{side}_hand"])
    if rest:
        d.groups["other"] = sorted(rest)
        d.remarks.append(f"{len(rest)} joints are not part of the hand: {', '.join(_names(s, sorted(rest)))}")
    d.notes["base"] = "the hand's mount"


def _names(s: Survey, joints) -> list[str]:
    return [s.tree.joint_names[j] for j in joints]


def _humanoid(d: _Draft, plan: Plan) -> None:
    s, R = d.s, plan.R_world_robot
    d.remarks.extend(plan.remarks)
    d.notes["heading"] = plan.notes["heading"]
    for side in SIDES:
        d.groups[f"{side}_arm"] = list(plan.arms[side].path)
    for side in SIDES:
        arm = plan.arms[side]
        hand = guess_hand(s, arm.end, side, _wrist_point(s, arm)) if arm.hand else None
        d.groups[f"{side}_hand"] = list(arm.hand) if hand is None else _hand_joints(hand)
        _arm_sites(d, side, arm, hand, R)
    d.groups["waist"], d.groups["head"] = list(plan.waist), list(plan.head)
    for side, leg in plan.legs.items():
        d.groups[f"{side}_leg"] = list(leg.path)
        _foot(d, side, leg, R)
    d.groups["other"] = list(plan.other)
    legs_on = int(s.tree.parent[plan.legs["left"].path[0]]) if plan.legs else -1
    arms_on = int(s.tree.parent[plan.arms["left"].path[0]])
    d.site(
        "pelvis", legs_on, _body_origin(s, legs_on), R, "what the legs hang on" if plan.legs else "the base: no legs"
    )
    d.site("torso", arms_on, _body_origin(s, arms_on), R, "what the arms hang on")
    shapes = {side: hand.chirality for side, hand in d.hands.items()}
    if len(shapes) == 2 and "" not in shapes.values() and len(set(shapes.values())) == 1:
        d.remarks.append(f"both hands are {shapes['left']} hands")
    if not d.hands and not plan.arms["left"].hand:
        d.remarks.append("no hands with fingers: wrist and palm sit on the last link of each arm")


def _body_origin(s: Survey, j: int) -> np.ndarray:
    return geometry.compose(s.pose(j), s.bodies[j][0][1])[4:]


def _wrist_point(s: Survey, arm: Limb) -> np.ndarray:
    """Where the last two axes of an arm come closest, on the last one; the last joint's anchor where they are apart."""
    last, before = arm.path[-1], arm.path[-2]
    across = np.cross(s.axis[before], s.axis[last])
    if np.linalg.norm(across) < 0.3:
        return s.anchor[last]
    sides = np.stack([s.axis[before], -s.axis[last], across], axis=1)
    along = np.linalg.solve(sides, s.anchor[last] - s.anchor[before])
    point = s.anchor[last] + along[1] * s.axis[last]
    return point if np.linalg.norm(point - s.anchor[last]) < 0.08 else s.anchor[last]


def _hand_joints(hand: HandGuess) -> list[int]:
    return [*dict.fromkeys(j for f in hand.fingers for j in f.joints), *hand.rest]


def _hand_sites(d: _Draft, hand: HandGuess) -> None:
    side, R = hand.side, hand.R_world_hand
    d.hands[side] = hand
    d.site(f"{side}_wrist", hand.carrier, hand.p_wrist, R, hand.notes.get("wrist", "the arm's last axes"))
    d.site(f"{side}_palm", hand.carrier, hand.p_palm, R, hand.notes["side"])
    for f in hand.fingers[1:]:
        d.site(f"{side}_{f.name}_knuckle", hand.carrier, f.p_knuckle, R, "the finger's first bending joint")
    for f in hand.fingers:
        d.site(f"{side}_{f.name}_tip", f.path[-1], f.p_tip, None, "" if f.sure else "no shape here: a guess")
    d.notes[f"sites.{side}_thumb_tip"] = hand.notes["thumb"]
    d.remarks.extend(f"{side} hand: {remark}" for remark in hand.remarks)


def _arm_sites(d: _Draft, side: str, arm: Limb, hand: HandGuess | None, R: np.ndarray) -> None:
    s = d.s
    first = max(0, len(arm.path) - 7)
    shoulder = meeting_point(s, arm.path[first], arm.path[first + 1])
    d.site(f"{side}_shoulder", arm.path[first], shoulder, None, "where its first two axes meet")
    elbow = middle_joint(s, arm.path)
    d.site(f"{side}_elbow", elbow, s.anchor[elbow], None, f"joint {s.tree.joint_names[elbow]}")
    if hand is not None:
        _hand_sites(d, hand)
        return
    end = s.points([arm.end])
    start = s.anchor[elbow] if arm.path.index(elbow) >= len(arm.path) - 2 else _wrist_point(s, arm)
    middle = end.mean(axis=0) - start
    x = geometry.normalize(middle if np.linalg.norm(middle) > 0.01 else start - s.anchor[elbow])
    length = float(((end - start) @ x).max())
    has_wrist = arm.path.index(elbow) < len(arm.path) - 2
    outward = R[:, 1] if side == "left" else -R[:, 1]
    z = outward if abs(x @ outward) < 0.7 else R[:, 2]
    z = geometry.normalize(z - x * (x @ z))
    axes = np.stack([x, np.cross(z, x), z], axis=1)
    spine = start + x * (0.0 if has_wrist else 0.8 * length)
    palm = start + x * length * (0.45 if has_wrist else 0.93)
    d.site(f"{side}_wrist", arm.end, spine, axes, "no hand: on the last link, back of the hand outwards")
    d.site(f"{side}_palm", arm.end, palm, axes)
    if not has_wrist:
        d.remarks.append(f"{side} arm: no wrist after the elbow, so the hand's direction cannot be followed")


def meeting_point(s: Survey, a: int, b: int) -> np.ndarray:
    """The middle of the shortest line between two joints' axes at the zero pose; b's anchor where they are parallel."""
    across = np.cross(s.axis[a], s.axis[b])
    if np.linalg.norm(across) < 0.1:
        return s.anchor[b]
    along = np.linalg.solve(np.stack([s.axis[a], -s.axis[b], across], axis=1), s.anchor[b] - s.anchor[a])
    return 0.5 * (s.anchor[a] + along[0] * s.axis[a] + s.anchor[b] + along[1] * s.axis[b])


def _foot(d: _Draft, side: str, leg: Limb, R: np.ndarray) -> None:
    s = d.s
    points = s.points([leg.end])
    if len(points) < 4:
        d.site(f"{side}_foot", leg.end, s.anchor[leg.end], R, "no shape here: the last joint, not the sole")
        d.remarks.append(f"{side} foot: no shape, so the sole is taken to be at the last joint")
        return
    low = points[points[:, 2] < points[:, 2].min() + 0.015]
    p = np.array([*(low[:, :2].min(axis=0) + low[:, :2].max(axis=0)) / 2, points[:, 2].min()])
    d.site(f"{side}_foot", leg.end, p, R, "middle of the lowest 15 mm at the zero pose")


def _base_frame(s: Survey, plan: Plan) -> BaseFrame | None:
    R = geometry.matrix_from_quat(s.turn).T @ plan.R_world_robot
    if np.allclose(R, np.eye(3), atol=1e-6):
        return None
    return BaseFrame(x=_vector(R[:, 0]), z=_vector(R[:, 2]))


def _camera(d: _Draft, plan: Plan) -> CameraFile:
    """A camera fixed body by name, or the front of the head, or of the top of the trunk; 30 degrees down."""
    s, R = d.s, plan.R_world_robot
    named = [
        (j, name, T)
        for j, bodies in s.bodies.items()
        for name, T in bodies
        if "camera" in name.lower() and (j in plan.head or not plan.head) and abs((_at(s, j, T) @ R)[1]) < 0.06
    ]
    down = np.deg2rad(30.0)
    z = np.cos(down) * R[:, 0] - np.sin(down) * R[:, 2]
    axes = np.stack([-R[:, 1], np.cross(z, -R[:, 1]), z], axis=1)
    if named:
        joint, name, T = named[0]
        p, why = _at(s, joint, T), f"the place of body {name}; 30 degrees down and 60 degrees wide are guesses"
    else:
        joint = (
            max(plan.head, key=lambda j: len(s.cloud[j]))
            if plan.head
            else int(s.tree.parent[plan.arms["left"].path[0]])
        )
        points = s.points([joint])
        high = points[points[:, 2] > points[:, 2].max() - 0.4 * np.ptp(points[:, 2]) - 1e-6] @ R
        p = R @ np.array([high[:, 0].max(), 0.0, float(np.median(high[:, 2]))])
        why = "the front of the head" if plan.head else "no head: the front of the trunk's top"
        why += "; place, direction and width are guesses"
    d.notes["camera"] = why
    body, p_body, R_body_world = s.frame_on(joint, p)
    A = R_body_world @ axes
    return CameraFile(body=body, pos=_vector(p_body), x=_vector(A[:, 0]), z=_vector(A[:, 2]), fov_x_deg=60.0)


def _at(s: Survey, j: int, T: np.ndarray) -> np.ndarray:
    return geometry.compose(s.pose(j), T)[4:]


def _speeds(d: _Draft) -> dict[str, float]:
    """Speeds that the URDF states, else guesses: a group's commonest, then the joints that differ."""
    s, table, single = d.s, {}, {}
    for group, joints in d.groups.items():
        if not joints:
            continue
        default = _SPEED[group.split("_")[-1]]
        speed = {
            j: s.speed.get(s.tree.joint_names[j], default if s.tree.kind[j] == "hinge" else _SLIDE_SPEED)
            for j in joints
        }
        stated = sum(s.tree.joint_names[j] in s.speed for j in joints)
        common = Counter(speed.values()).most_common(1)[0][0]
        table[group] = common
        single |= {s.tree.joint_names[j]: v for j, v in speed.items() if v != common}
        d.notes[f"max_speed.{group}"] = "from the URDF" if stated == len(joints) else "a guess: the model states none"
    return {**table, **single}


def _columns(d: _Draft) -> tuple[ColumnsFile, ...]:
    out = []
    for group, joints in d.groups.items():
        free = [j for j in joints if d.s.tree.mimic_source[j] < 0]
        side = group.split("_")[0]
        if not free:
            continue
        if group.endswith("_hand") and side in d.hands:
            out.append(ColumnsFile(group=group, fractions=tuple(_fractions(d, d.hands[side], free))))
        elif len(free) == len(joints):
            out.append(ColumnsFile(group=group))
        else:
            out.append(
                ColumnsFile(group=group, fractions=tuple(_fraction(d, j, d.s.tree.joint_names[j], 1.0) for j in free))
            )
    return tuple(out)


def _fractions(d: _Draft, hand: HandGuess, free: list[int]) -> list[FractionFile]:
    s, out = d.s, []
    for f in hand.fingers:
        mine = [j for j in f.joints if j in free and not any(o.joint == s.tree.joint_names[j] for o in out)]
        for k, j in enumerate(mine):
            turn = float(s.axis[j] @ f.axis)
            sign = f.closing * np.sign(turn) if abs(turn) > 0.7 and f.closing else 0.0
            out.append(_fraction(d, j, f"{hand.side}_hand_{f.name}_{k}", sign))
    done = {o.joint for o in out}
    rest = [j for j in free if s.tree.joint_names[j] not in done]
    return out + [_fraction(d, j, f"{hand.side}_hand_other_{k}", 0.0) for k, j in enumerate(rest)]


def _fraction(d: _Draft, j: int, name: str, sign: float) -> FractionFile:
    """Closed is the end towards which the finger bends; for other joints the end farther from zero."""
    tree = d.s.tree
    bounds = tree.bounds()  # what its followers can do, too
    lower = float(np.ceil(1e6 * np.clip(bounds[0][j], -np.pi, np.pi)) / 1e6)
    upper = float(np.floor(1e6 * np.clip(bounds[1][j], -np.pi, np.pi)) / 1e6)
    if sign == 0.0:
        sign = 1.0 if abs(upper) >= abs(lower) else -1.0
    closed, opened = (upper, lower) if sign > 0 else (lower, upper)
    if closed == opened:
        closed, opened = lower + 1e-3, lower
    return FractionFile(name=name, joint=tree.joint_names[j], closed=closed, open=opened)
