"""Palm, fingers and fingertips of a hand: which chain is the thumb, where the back of the hand points, which side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.robot_import.limbs import name_side
from vidpretrain.robot_import.survey import Survey

FINGERS = ("index", "middle", "ring", "pinky")
_FIRST_WORDS = {
    "thumb": ("thumb", "_th", "thj"),
    "index": ("index", "fore", "_ff"),
    "middle": ("middle", "_mf"),
    "ring": ("ring", "_rf"),
    "pinky": ("pinky", "little", "_lf"),
}
_SMALL, _CLEAR = (
    0.25,
    0.12,
)  # a chain shorter than this share of the longest is no finger; a thumb this far off is sided
_PARALLEL = 0.7


@dataclass(frozen=True, kw_only=True)
class FingerGuess:
    """One finger at the zero pose: its joints in a row, where its first bending joint and its tip are (world, m)."""

    name: str
    path: tuple[int, ...]
    joints: tuple[int, ...]
    p_knuckle: Float64[np.ndarray, " 3"]
    p_tip: Float64[np.ndarray, " 3"]
    axis: Float64[np.ndarray, " 3"]
    closing: float
    sure: bool


@dataclass(frozen=True, kw_only=True)
class HandGuess:
    """A hand at the zero pose. `R_world_hand` has x (to the middle knuckle), y, z (out of the back) as columns.

    `carrier` is the joint that moves the palm (-1: the base). `chirality` is what thumb and palm show.
    """

    side: str
    carrier: int
    fingers: tuple[FingerGuess, ...]
    rest: tuple[int, ...]
    p_wrist: Float64[np.ndarray, " 3"]
    p_palm: Float64[np.ndarray, " 3"]
    R_world_hand: Float64[np.ndarray, "3 3"]
    chirality: str
    notes: dict[str, str]
    remarks: tuple[str, ...]


def guess_hand(s: Survey, carrier: int, side: str | None, p_wrist: np.ndarray | None) -> HandGuess | None:
    """The hand whose palm is carried by joint `carrier`; None where fewer than two chains begin there.

    `side` is the arm's (None: a lone hand, whose side is found here), `p_wrist` the arm's end (None: the palm's).
    """
    chains = _chains(s, carrier)
    if len(chains) < 2:
        return None
    notes, remarks = {}, []
    raw = [_measure(s, chain) for chain in chains]
    thumb, why, unsure_thumb = _thumb(s, raw)
    notes["thumb"] = why
    if unsure_thumb:
        remarks.append("which finger stands for the thumb is a guess: two differ from the rest alike")
    others = [f for i, f in enumerate(raw) if i != thumb]
    others, dropped = others[:4], others[4:]
    if dropped:
        remarks.append(f"{len(dropped)} fingers more than a person has")
    towards = np.mean([f.p_tip - f.p_knuckle for f in others], axis=0)
    if p_wrist is None:
        p_wrist = _palm_end(s, carrier, others, towards)
        notes["wrist"] = "the end of the palm's shape"
    knuckles = np.array([f.p_knuckle for f in others])
    x = geometry.normalize(knuckles.mean(axis=0) - p_wrist)
    palmar, sure = _palmar(others, raw[thumb], x)
    if not sure:
        remarks.append("no finger bends further one way than the other: the palm is where the thumb is")
    z = -geometry.normalize(palmar - x * (palmar @ x))
    chirality, offset = _chirality(raw[thumb], others, p_wrist, np.cross(z, x))
    named = {1.0: "left", -1.0: "right"}.get(name_side(" ".join(s.names(j) for j in s.below(carrier) if j >= 0)))
    found = chirality or side or named or "right"
    notes["side"] = f"thumb {offset:+.2f} palm widths towards y" if chirality else "the thumb stands in the middle"
    if chirality and side and chirality != side:
        remarks.append(f"the {side} arm carries a {chirality} hand (by thumb and palm)")
    if chirality and not side and named and named != chirality:
        remarks.append(f"names say {named}, thumb and palm say {chirality}")
    if not chirality and not side:
        remarks.append(f"the thumb stands in the middle, so the side was taken from {'names' if named else 'nothing'}")
    others = _ordered(others, np.cross(z, x), found)
    anchor = others[1 if len(others) > 1 else 0].p_knuckle
    if len(others) == 2:
        anchor = knuckles.mean(axis=0)
    x = geometry.normalize(anchor - p_wrist)
    z = geometry.normalize(z - x * (z @ x))
    fingers = tuple(_renamed(f, FINGERS[i]) for i, f in enumerate(others))
    fingers = (_renamed(raw[thumb], "thumb"), *fingers)
    unsure = [f.name for f in fingers if not f.sure]
    if unsure:
        remarks.append(f"no shape at the tips of {', '.join(unsure)}: tips are guessed from the segment before")
    used = {j for f in fingers for j in f.joints}
    return HandGuess(
        side=side or found,
        carrier=carrier,
        fingers=fingers,
        rest=tuple(j for j in s.below(carrier) if j != carrier and j not in used),
        p_wrist=p_wrist,
        p_palm=p_wrist + 0.6 * (knuckles.mean(axis=0) - p_wrist),
        R_world_hand=np.stack([x, np.cross(z, x), z], axis=1),
        chirality=chirality or "",
        notes=notes,
        remarks=tuple(remarks),
    )


def _renamed(f: FingerGuess, name: str) -> FingerGuess:
    return FingerGuess(
        name=name,
        path=f.path,
        joints=f.joints,
        p_knuckle=f.p_knuckle,
        p_tip=f.p_tip,
        axis=f.axis,
        closing=f.closing,
        sure=f.sure,
    )


def _chains(s: Survey, carrier: int) -> list[list[int]]:
    """Finger chains below a carrier, each along its longest way; stubs beside long ones are left out.

    A joint that carries two fingers (a bone of the palm) begins both of their chains.
    """
    found = [path for root in s.children[carrier] for path in _ways(s, root)]
    longest = max((_reach(s, path[0]) for path in found), default=0.0)
    return [path for path in found if _reach(s, path[0]) > _SMALL * longest]


def _ways(s: Survey, root: int) -> list[list[int]]:
    path = [root]
    while s.children[path[-1]]:
        children = sorted(s.children[path[-1]], key=lambda j: len(s.below(j)) + _reach(s, j), reverse=True)
        big = [j for j in children if len(s.below(j)) >= 2 and _reach(s, j) > 0.5 * _reach(s, children[0])]
        if len(big) >= 2:
            return [[*path, *way] for child in big for way in _ways(s, child)]
        path.append(children[0])
    return [path]


def _reach(s: Survey, j: int) -> float:
    return float(np.linalg.norm(s.points(s.below(j)) - s.anchor[j], axis=1).max())


def _measure(s: Survey, path: list[int]) -> FingerGuess:
    p_tip, sure = _tip(s, path)
    axis = s.axis[path[-1]]
    bending = [j for j in path if abs(s.axis[j] @ axis) > _PARALLEL]
    signs = np.sign([s.axis[j] @ axis for j in bending])
    up = float(np.sum(np.where(signs > 0, s.tree.upper[bending], -s.tree.lower[bending])))
    down = float(np.sum(np.where(signs > 0, -s.tree.lower[bending], s.tree.upper[bending])))
    closing = 0.0 if max(up, down) < 1.3 * max(min(up, down), 1e-3) else float(np.sign(up - down))
    return FingerGuess(
        name="",
        path=tuple(path),
        joints=tuple(j for j in s.below(path[0]) if j in path or not _elsewhere(s, j, path)),
        p_knuckle=s.anchor[bending[0]],
        p_tip=p_tip,
        axis=axis,
        closing=closing,
        sure=sure,
    )


def _elsewhere(s: Survey, j: int, path: list[int]) -> bool:
    """Whether joint j belongs to another finger that begins on this one's path."""
    while int(s.tree.parent[j]) not in path:
        j = int(s.tree.parent[j])
    return len(s.below(j)) >= 2


def _tip(s: Survey, path: list[int]) -> tuple[np.ndarray, bool]:
    """(fingertip, whether a shape shows it): the far end of the last segment, a little inside, on its middle line."""
    last = path[-1]
    p0 = s.anchor[last]
    points = geometry.transform(s.pose(last), s.cloud[last])
    before = p0 - s.anchor[path[-2]] if len(path) > 1 else np.zeros(3)
    if len(points) < 4:
        ends = [geometry.compose(s.pose(last), T)[4:] for _, T in s.bodies[last][1:]]
        if ends:
            far = max(ends, key=lambda p: float(np.linalg.norm(p - p0)))
            if np.linalg.norm(far - p0) > 0.005:
                return far, True
        return p0 + 0.8 * before, False
    out = points.mean(axis=0) - p0
    out = geometry.normalize(out - s.axis[last] * (out @ s.axis[last]))
    far = (points - p0) @ out
    end = points[far > far.max() - 0.25 * (far.max() - max(far.min(), 0.0))]
    middle = (end.min(axis=0) + end.max(axis=0)) / 2
    return middle + out * (0.95 * far.max() - (middle - p0) @ out), True


def _thumb(s: Survey, raw: list[FingerGuess]) -> tuple[int, str, bool]:
    """(which chain is the thumb, why, whether it is a guess).

    A thumb bends about another axis, points elsewhere and begins nearer to the wrist.
    """
    names = [" ".join(s.names(j) for j in f.joints) for f in raw]
    hint = np.array([float(any(word in n for word in _FIRST_WORDS["thumb"])) for n in names])
    if len(raw) == 2:
        if hint.sum() == 1:
            return int(np.argmax(hint)), "by name: a gripper of two fingers", False
        return 0, "a gripper of two fingers: one of them stands for the thumb", True
    axes = np.array([f.axis for f in raw])
    out = geometry.normalize(np.array([f.p_tip - f.p_knuckle for f in raw]))
    base = np.array([s.anchor[f.path[0]] for f in raw])
    spread = max(float(np.ptp(base, axis=0).max()), 1e-6)
    score = np.zeros(len(raw))
    for i in range(len(raw)):
        rest = [k for k in range(len(raw)) if k != i]
        score[i] += 1.0 - np.median(np.abs(axes[rest] @ axes[i]))
        score[i] += 0.5 * (1.0 - np.median(out[rest] @ out[i]))
        score[i] += 0.5 * float(np.linalg.norm(base[i] - np.median(base[rest], axis=0))) / spread
    total = score + 0.4 * hint
    best = int(np.argmax(total))
    second = float(np.sort(total)[-2])
    words = "names agree" if hint[best] else "names do not say" if not hint.any() else "names say another"
    return (
        best,
        f"axis, direction and place differ most ({total[best]:.2f}, next {second:.2f}); {words}",
        total[best] < second + 0.15,
    )


def _palm_end(s: Survey, carrier: int, others: list[FingerGuess], towards: np.ndarray) -> np.ndarray:
    """The wrist of a lone hand: where the palm's shape ends away from the fingers, on its middle line."""
    knuckles = np.mean([f.p_knuckle for f in others], axis=0)
    along = geometry.normalize(towards)
    points = s.points([carrier])
    origin = s.pose(carrier)[4:]
    if len(points) < 8:
        return origin
    mount = float((knuckles - origin) @ along)
    if mount > 0.03:  # the hand hangs on its own origin
        return origin
    depth = (points - knuckles) @ along
    end = points[depth < depth.min() + 0.02]
    return (end.min(axis=0) + end.max(axis=0)) / 2


def _palmar(others: list[FingerGuess], thumb: FingerGuess, x: np.ndarray) -> tuple[np.ndarray, bool]:
    """(direction into which the fingers close, whether their limits say so)."""
    parts = [np.cross(f.axis * f.closing, geometry.normalize(f.p_tip - f.p_knuckle)) for f in others]
    total = np.sum(parts, axis=0)
    total = total - x * (total @ x)
    if np.linalg.norm(total) > 0.3:
        return total, True
    knuckles = np.mean([f.p_knuckle for f in others], axis=0)
    flat = np.cross(np.mean([f.axis * np.sign(f.axis @ others[0].axis) for f in others], axis=0), x)
    where = float(np.sign((thumb.p_tip - knuckles) @ flat)) or 1.0
    return flat * where, False


def _chirality(
    thumb: FingerGuess, others: list[FingerGuess], p_wrist: np.ndarray, y: np.ndarray
) -> tuple[str | None, float]:
    """(side, the thumb's place along y in palm widths); y goes to the little finger of a left hand."""
    if len(others) < 2:
        return None, 0.0
    along = np.array([(f.p_knuckle - p_wrist) @ y for f in others])
    width = max(float(np.ptp(along)) * len(others) / (len(others) - 1), 0.02)
    place = 0.5 * float((thumb.p_knuckle + thumb.p_tip - 2 * p_wrist) @ y) - float(along.mean())
    offset = place / width
    return (None if abs(offset) < _CLEAR else "left" if offset < 0 else "right"), offset


def _ordered(others: list[FingerGuess], y: np.ndarray, side: str) -> list[FingerGuess]:
    """Fingers from the index finger on: along y on a left hand, against it on a right one."""
    sign = 1.0 if side == "left" else -1.0
    return sorted(others, key=lambda f: sign * float(f.p_knuckle @ y))
