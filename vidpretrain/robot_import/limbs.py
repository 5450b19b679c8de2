"""Arms, legs, head and waist from the tree and its geometry; names are asked only where geometry has no answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.robot_import.survey import Survey

_SIDED, _LIMB, _TWIN = 0.015, 0.12, 0.06  # shares of the robot's size
_SMALL_M = 0.6
_MOST_ARM_JOINTS, _LEAST_LEG_JOINTS = 8, 3
_HEADING_SURE = 0.3
_LEG_WORDS, _ARM_WORDS = ("hip", "leg", "thigh", "knee", "ankle"), ("arm", "shoulder", "elbow", "wrist")


@dataclass(frozen=True, kw_only=True)
class Limb:
    """A limb: `path` is its chain of joints, `hand` what hangs on the end of an arm, `other` side branches."""

    side: str
    path: tuple[int, ...]
    hand: tuple[int, ...] = ()
    other: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """The last joint of the chain."""
        return self.path[-1]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which joint belongs to what. `R_world_robot` has forward, left, up as columns; the world is the model's."""

    R_world_robot: Float64[np.ndarray, "3 3"]
    arms: dict[str, Limb] = field(default_factory=dict)
    legs: dict[str, Limb] = field(default_factory=dict)
    waist: tuple[int, ...] = ()
    head: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)


def is_lone_hand(s: Survey) -> bool:
    """Whether the model is a hand and no humanoid: small, branching, and without two mirrored pairs of limbs."""
    fans = max(len(children) for children in s.children.values())
    if s.size >= _SMALL_M or fans < 2:
        return False
    lateral = _lateral(s)
    pairs, alone = _pairs(s, _limb_roots(s, lateral), lateral)
    arms, legs, spare = _arms_and_legs(s, pairs)
    return arms is None or legs is None or bool(alone or spare)


def _lateral(s: Survey) -> np.ndarray:
    """The horizontal axis across which the model mirrors itself better."""
    return np.eye(3)[1 if mirror_share(s, 1) >= mirror_share(s, 0) else 0]


def mirror_share(s: Survey, axis: int) -> float:
    """Share of the joints off the middle plane that have a partner in the mirror; 0 when none is off it."""
    p = s.anchor
    off = np.flatnonzero(np.abs(p[:, axis]) > _SIDED * s.size)
    if not len(off):
        return 0.0
    mirrored = p[off].copy()
    mirrored[:, axis] *= -1
    nearest = np.linalg.norm(mirrored[:, None] - p[None, off], axis=-1).min(axis=1)
    return float((nearest < 0.03 * s.size).mean())


def upright(s: Survey) -> Survey:
    """The survey turned so that z is up: as it is, or with y or x for up where only that shows a pair of arms."""
    for turn in (None, (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0)):
        turned = s if turn is None else replace(s, turn=geometry.quat_exp(np.array(turn) * np.pi / 2))
        lateral = _lateral(turned)
        arms, legs, _ = _arms_and_legs(turned, _pairs(turned, _limb_roots(turned, lateral), lateral)[0])
        if arms is not None and (turn is None or legs is not None):
            return turned
    return s


def plan_humanoid(s: Survey) -> Plan:
    """The plan of a humanoid whose survey is upright.

    Raises:
        InputError: no pair of arms, or an arm of one joint.
    """
    lateral = _lateral(s)
    pairs, alone = _pairs(s, _limb_roots(s, lateral), lateral)
    arm_pair, leg_pair, spare = _arms_and_legs(s, pairs)
    if arm_pair is None:
        raise InputError(
            "no pair of arms was found in this model",
            asked=s.path,
            found=f"{len(pairs)} pairs of limbs, {len(alone)} single ones"
            + (": one pair of legs" if leg_pair is not None else ""),
            valid="a humanoid with two arms, or one hand of its own",
        )
    remarks = []
    for root in alone:
        remarks.append(f"the limb that begins with {s.tree.joint_names[root]} has no partner on the other side")
    left, why, by_shape = _left_side(s, lateral, arm_pair, leg_pair)
    if by_shape < _HEADING_SURE:
        remarks.append("toes, knees and elbows do not show which way it faces: left and right rest on names, if any")
    up = np.array([0.0, 0.0, 1.0])
    R = np.stack([np.cross(left, up), left, up], axis=1)
    arms, legs = {}, {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arms[side] = _arm(s, side, _on_side(s, arm_pair, sign * left))
        if leg_pair is not None:
            legs[side] = _leg(s, side, _on_side(s, leg_pair, sign * left))
    if leg_pair is None:
        remarks.append("no legs were found: only the upper body moves")
    for pair in spare:
        remarks.append(f"a third pair of limbs is not mapped: {', '.join(s.tree.joint_names[j] for j in pair)}")
    for side, arm in arms.items():
        if len(arm.path) < 2:
            raise InputError(
                f"the {side} arm has {len(arm.path)} joint: too few to follow anybody",
                asked=s.path,
                found=s.tree.joint_names[arm.path[0]],
                valid="arms of two joints and more",
            )
        if len(arm.path) > _MOST_ARM_JOINTS:
            remarks.append(f"the {side} arm has {len(arm.path)} joints in a row, more than a shoulder to wrist needs")
    waist, head, other = _middle(s, arms, legs)
    sides = [limb.other for limb in (*arms.values(), *legs.values())]
    other = tuple(sorted({*other, *(j for part in sides for j in part)}))
    if other:
        names = ", ".join(s.tree.joint_names[j] for j in other)
        remarks.append(f"{len(other)} joints are part of no arm, hand, leg, waist or head: {names}")
    return Plan(
        R_world_robot=R,
        arms=arms,
        legs=legs,
        waist=waist,
        head=head,
        other=other,
        remarks=tuple(remarks),
        notes={"heading": why},
    )


def _limb_roots(s: Survey, lateral: np.ndarray) -> list[int]:
    """The uppermost joints whose whole subtree lies on one side of the middle, long enough for a limb."""
    centre = np.array([s.points([j]).mean(axis=0) @ lateral for j in range(len(s.tree.joint_names))])
    sided = []
    for j in range(len(centre)):
        c = centre[s.below(j)]
        far = c[np.abs(c) > _SIDED * s.size]
        one = len(far) > 0 and (np.all(far > 0) or np.all(far < 0)) and abs(c.mean()) > _SIDED * s.size
        parent = int(s.tree.parent[j])
        if one or parent in sided:
            sided.append(j)
    roots = [j for j in sided if int(s.tree.parent[j]) not in sided]
    return [j for j in roots if _extent(s, j) > _LIMB * s.size]


def _extent(s: Survey, j: int) -> float:
    """Largest distance of anything below joint j from it."""
    return float(np.linalg.norm(s.points(s.below(j)) - s.anchor[j], axis=1).max())


def _pairs(s: Survey, roots: list[int], lateral: np.ndarray) -> tuple[list[tuple[int, int]], list[int]]:
    """Roots and their mirror images, nearest first, and those without."""
    middle = {j: s.points(s.below(j)).mean(axis=0) for j in roots}
    mirror = np.eye(3) - 2 * np.outer(lateral, lateral)
    options = []
    for i, a in enumerate(roots):
        for b in roots[i + 1 :]:
            if (middle[a] @ lateral) * (middle[b] @ lateral) < 0:
                apart = np.linalg.norm(mirror @ s.anchor[a] - s.anchor[b])
                options.append((apart + 0.3 * np.linalg.norm(mirror @ middle[a] - middle[b]), a, b))
    pairs: list[tuple[int, int]] = []
    used: set[int] = set()
    for cost, a, b in sorted(options):
        if a not in used and b not in used and cost < 3 * _TWIN * s.size:
            pairs.append((a, b))
            used |= {a, b}
    return pairs, [j for j in roots if j not in used]


def _arms_and_legs(s: Survey, pairs):
    """(arms, legs, further pairs): legs reach the robot's lowest point and begin below the arms."""
    if not pairs:
        return None, None, []
    height = {pair: float(np.mean([s.anchor[j][2] for j in pair])) for pair in pairs}
    lowest = {pair: float(s.points(s.below(pair[0]))[:, 2].min()) for pair in pairs}
    ground = float(s.points([-1, *range(len(s.tree.joint_names))])[:, 2].min())
    if len(pairs) == 1:
        (pair,) = pairs
        return (None, pair, []) if _is_leg_pair(s, pair, ground) else (pair, None, [])
    by_height = sorted(pairs, key=lambda pair: height[pair])
    legs = by_height[0] if lowest[by_height[0]] <= min(lowest.values()) + 0.1 * s.size else None
    if legs is not None and lowest[legs] > ground + 0.15 * s.size:
        legs = None  # the lowest limbs do not reach the ground: the robot stands on something else
    if legs is not None and any(len(_chain(s, j, False)[0]) < _LEAST_LEG_JOINTS for j in legs):
        pairs = [pair for pair in pairs if pair != legs]
        by_height, legs = [pair for pair in by_height if pair != legs], None  # wheels
        if not pairs:
            return None, None, []
    rest = [pair for pair in by_height if pair != legs]
    with_hands = [pair for pair in rest if max(len(s.children[j]) for j in s.below(pair[0])) >= 2]
    arms = (with_hands or rest)[-1]
    return arms, legs, [pair for pair in rest if pair != arms]


def _is_leg_pair(s: Survey, pair, ground: float) -> bool:
    """Of a single pair: it begins low on the trunk and reaches the ground. Without a trunk's shape the names decide."""
    trunk = s.points([-1])
    if len(trunk) < 20 or s.without:
        words = " ".join(s.names(j) for j in s.below(pair[0]))
        leg, arm = (any(word in words for word in known) for known in (_LEG_WORDS, _ARM_WORDS))
        if leg != arm:
            return leg
    if len(trunk) < 2:
        return False
    low, high = float(trunk[:, 2].min()), float(trunk[:, 2].max())
    share = (float(s.anchor[pair[0]][2]) - low) / max(high - low, 1e-6)
    reaches = float(s.points(s.below(pair[0]))[:, 2].min()) < ground + 0.03 * s.size
    return reaches and share < 0.5


def _on_side(s: Survey, pair, direction: np.ndarray) -> int:
    return max(pair, key=lambda j: float(s.points(s.below(j)).mean(axis=0) @ direction))


def _left_side(s: Survey, lateral: np.ndarray, arms, legs) -> tuple[np.ndarray, str, float]:
    """(unit vector to the robot's left, why, how far the shape alone says so).

    Toes point forward, knees bend backward, elbows forward, and names agree.
    """
    up = np.array([0.0, 0.0, 1.0])
    forward = np.cross(lateral, up)  # if `lateral` is left
    votes: dict[str, float] = {}
    for pair, kind in ((legs, "legs"), (arms, "arms")):
        if pair is None:
            continue
        for root in pair:
            path, *_ = _chain(s, root, kind == "arms")
            if kind == "legs":
                foot = s.points([path[-1]])
                toe = ((foot.max(axis=0) + foot.min(axis=0)) / 2 - s.anchor[path[-1]]) @ forward
                votes["toes"] = votes.get("toes", 0.0) + float(np.clip(toe / (0.02 * s.size), -1, 1))
            bend = _bend(s, path) @ forward
            sign = -1.0 if kind == "legs" else 1.0
            key = "knees" if kind == "legs" else "elbows"
            weight = 1.0 if kind == "legs" else 0.5
            votes[key] = votes.get(key, 0.0) + weight * sign * float(np.clip(bend / (0.05 * s.size), -1, 1))
            hint = name_side(s.names(root))
            place = float(np.sign(s.points(s.below(root)).mean(axis=0) @ lateral))
            votes["names"] = votes.get("names", 0.0) + hint * place
    total = sum(votes.values())
    why = ", ".join(f"{key} {value:+.1f}" for key, value in votes.items())
    sign = 1.0 if total >= 0 else -1.0
    return sign * lateral, why, sign * (total - votes.get("names", 0.0))


def name_side(names: str) -> float:
    """1 for left, -1 for right, 0 where the names do not say."""
    words = re.split(r"[^a-z0-9]+", names)
    left = "left" in names or any(re.fullmatch(r"l([ha]?|arm.*|leg.*|hip.*|sho.*|hand.*)", word) for word in words)
    right = "right" in names or any(re.fullmatch(r"r([ha]?|arm.*|leg.*|hip.*|sho.*|hand.*)", word) for word in words)
    return float(left) - float(right)


def _bend(s: Survey, path: list[int]) -> np.ndarray:
    """Where the end of a chain goes when its middle hinge turns the way it can turn further."""
    k = middle_joint(s, path)
    end = s.points([path[-1]]).mean(axis=0)
    lower, upper = s.tree.lower[k], s.tree.upper[k]
    turn = 0.6 * (np.sign(upper + lower) if abs(upper + lower) > 0.2 else 0.0)
    return np.cross(s.axis[k] * turn, end - s.anchor[k])


def middle_joint(s: Survey, path: list[int] | tuple[int, ...]) -> int:
    """The elbow or knee of a chain: the hinge across the limb that is farthest from both of its ends."""
    end = s.points([path[-1]]).mean(axis=0)
    start = s.anchor[path[0]]

    def score(j: int) -> float:
        out = end - s.anchor[j]
        across = np.linalg.norm(np.cross(s.axis[j], out)) / max(float(np.linalg.norm(out)), 1e-9)
        return float(min(np.linalg.norm(s.anchor[j] - start), np.linalg.norm(out)) * (across > 0.7))

    inner = path[1:] or path
    best = max(inner, key=score)
    return best if score(best) > 0 else max(inner, key=lambda j: float(np.linalg.norm(s.anchor[j] - start)))


def _chain(s: Survey, root: int, arm: bool) -> tuple[list[int], list[int], list[int]]:
    """(joints in a row from the root, the hand's joints, side branches)."""
    below = s.below(root)
    fan = [j for j in below if len(s.children[j]) >= 2]
    if arm and fan:
        stop = max(fan, key=lambda j: (len(s.children[j]), -j))
        path = _up(s, stop, root)
        hand = [j for j in s.below(stop) if j != stop]
    else:
        path = [root]
        while s.children[path[-1]]:
            path.append(max(s.children[path[-1]], key=lambda j: _extent(s, j)))
        hand = []
        while arm and len(path) > 2 and s.tree.kind[path[-1]] == "slide":
            hand.insert(0, path.pop())
    return path, hand, [j for j in below if j not in path and j not in hand]


def _up(s: Survey, j: int, root: int) -> list[int]:
    path = [j]
    while path[-1] != root:
        path.append(int(s.tree.parent[path[-1]]))
    return path[::-1]


def _arm(s: Survey, side: str, root: int) -> Limb:
    path, hand, other = _chain(s, root, True)
    return Limb(side=side, path=tuple(path), hand=tuple(hand), other=tuple(other))


def _leg(s: Survey, side: str, root: int) -> Limb:
    path, _, other = _chain(s, root, False)
    return Limb(side=side, path=tuple(path), other=tuple(other))


def _middle(s: Survey, arms: dict[str, Limb], legs: dict[str, Limb]):
    """(waist, head, other): the trunk's joints that carry arms (or legs), those above the shoulders, the rest."""
    limbs = {j for limb in (*arms.values(), *legs.values()) for j in s.below(limb.path[0])}
    shoulders = float(np.mean([s.anchor[arm.path[0]][2] for arm in arms.values()]))
    arm_roots = {arm.path[0] for arm in arms.values()}
    leg_roots = {leg.path[0] for leg in legs.values()}
    waist, head, other = [], [], []
    for j in range(len(s.tree.joint_names)):
        if j in limbs:
            continue
        below = set(s.below(j))
        if below & arm_roots or below & leg_roots:
            (waist if _near_trunk(s, j, arm_roots | leg_roots) else other).append(j)
        elif s.points(s.below(j))[:, 2].max() > shoulders - 0.02 * s.size:
            head.append(j)
        else:
            other.append(j)
    return tuple(waist), tuple(head), tuple(other)


def _near_trunk(s: Survey, j: int, roots: set[int]) -> bool:
    """A waist turns the trunk; wheels and lifts of a mobile base slide or turn below it without end."""
    return s.tree.kind[j] == "hinge" and s.tree.joint_names[j] not in s.unlimited
