"""Which joint of a BVH is which point of human75, by the names that makers use.

Known: Mixamo, LAFAN1 and CMU (LeftUpLeg), Xsens (LeftHip, LeftKnee), Rokoko and OptiTrack (LeftThigh), 3ds Max biped
(Bip01 L Thigh), Poser (lShldr), SMPL exports (L_Hip), with fingers as LeftHandIndex1 or LeftIndexProximal.
"""

from __future__ import annotations

import re

import numpy as np

from vidpretrain.errors import InputError, unknown_name
from vidpretrain.motion_files.bvh import Bvh, Joint
from vidpretrain.motion_files.raw import HUMAN, empty
from vidpretrain.skeletons import SIDES

# first match wins; a later word counts only where no earlier one is there (a "LeftShoulder" above a "LeftArm" is a
# collar bone, a "LeftFoot" below a "LeftAnkle" the toes)
_PARTS: dict[str, tuple[str, ...]] = {
    "hip": ("upleg", "upperleg", "thigh", "hip", "hipjoint"),
    "knee": ("leg", "lowleg", "lowerleg", "shin", "calf", "knee"),
    "ankle": ("ankle", "foot"),
    "foot_index": ("toebase", "toe", "toes", "toe0", "ball", "toebaseend", "toeend", "foot"),
    "shoulder": ("arm", "upperarm", "uparm", "shldr", "shoulder"),
    "elbow": ("forearm", "lowerarm", "lowarm", "elbow"),
    "wrist": ("hand", "wrist"),
}
_FINGER = re.compile(
    r"(?:in)?(?:hand)?(thumb|index|middle|mid|ring|pinky|little)(?:finger)?"
    r"(metacarpal|proximal|intermediate|medial|distal|tip|[0-4])?(end)?\Z"
)
_ORDER = {"proximal": 1, "intermediate": 2, "medial": 2, "distal": 3, "tip": 4}
_THUMB, _LONG = ("cmc", "mcp", "ip", "tip"), ("mcp", "pip", "dip", "tip")
_NEEDED = tuple(f"{side}_{part}" for side in SIDES for part in ("shoulder", "elbow", "wrist"))


def split_side(name: str) -> tuple[str | None, str]:
    """("left" or "right" or None, the rest in lower case without separators)."""
    name = re.sub(r"^(?:.*:|[Bb]ip\d*[ _]?|mixamorig\d*_?)", "", name)
    match = re.match(r"(?i)(left|right)(.*)\Z", name) or re.match(r"([lLrR])[ _.-](.*)\Z", name)
    match = match or re.match(r"([lr])([A-Z].*)\Z", name) or re.match(r"([LR])((?:Hip|Foot|Toe).*)\Z", name)
    if match:
        side, rest = match.groups()
    else:
        tail = re.match(r"(?i)(.*?)[ _.-]?(left|right)\Z", name) or re.match(r"(.*?)[ _.-]([lLrR])(_end)?\Z", name)
        if not tail:
            return None, _squeezed(name)
        rest, side = tail.group(1), tail.group(2)
        rest += "end" if name.endswith("_end") and not rest.endswith("end") else ""
    return ("left" if side.lower().startswith("l") else "right"), _squeezed(rest)


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def points_by_name(joints: tuple[Joint, ...], given: dict[str, str]) -> dict[str, int]:
    """Index in `joints` of every point of human75 that the BVH has; `given` names win.

    Raises:
        UnknownName: a given point or joint does not exist.
        InputError: shoulders, elbows and wrists of both sides are not among them: another skeleton.
    """
    by_side: dict[str, dict[str, int]] = {side: {} for side in SIDES}
    for i, joint in enumerate(joints):
        side, rest = split_side(joint.name)
        if side is not None:
            by_side[side].setdefault(rest, i)
    out: dict[str, int] = {}
    for side, words in by_side.items():
        for part, known in _PARTS.items():
            taken = out.get(f"{side}_ankle")
            found = next((words[word] for word in known if word in words and words[word] != taken), None)
            if found is not None:
                out[f"{side}_{part}"] = found
        out |= _fingers(side, words, joints)
        if f"{side}_wrist" in out and any(name.startswith(f"{side}_hand_") for name in out):
            out[f"{side}_hand_wrist"] = out[f"{side}_wrist"]
    names = [joint.name for joint in joints]
    for point, joint in given.items():
        HUMAN.index(point)
        if joint not in names:
            raise unknown_name("joint of the BVH", joint, names)
        out[point] = names.index(joint)
    missing = [point for point in _NEEDED if point not in out]
    if missing:
        raise InputError(
            "another skeleton: these points have no joint of a known name",
            asked=", ".join(missing),
            found=", ".join(name for name, joint in zip(names, joints, strict=True) if not joint.is_end),
            next_command=f"name them: 'motion_files.names={{{missing[0]}: ITS_JOINT, ...}}'",
        )
    return out


def _fingers(side: str, words: dict[str, int], joints: tuple[Joint, ...]) -> dict[str, int]:
    rows: dict[str, dict[int, int]] = {}
    for word, i in words.items():
        match = _FINGER.match(word)
        if not match or match.group(2) == "metacarpal":
            continue
        finger = {"mid": "middle", "little": "pinky"}.get(match.group(1), match.group(1))
        place = match.group(2) or "1"
        number = _ORDER[place] if place in _ORDER else int(place)
        rows.setdefault(finger, {})[number + (1 if match.group(3) else 0)] = i
    out = {}
    for finger, places in rows.items():
        first = 0 if 0 in places and max(places) <= 3 and finger == "thumb" else 1
        for k, part in enumerate(_THUMB if finger == "thumb" else _LONG):
            if first + k in places:
                out[f"{side}_hand_{finger}_{part}"] = places[first + k]
        last = places[max(places)]
        end = next((i for i, joint in enumerate(joints) if joint.parent == last and joint.is_end), None)
        if f"{side}_hand_{finger}_tip" not in out and end is not None and max(places) - first == 2:
            out[f"{side}_hand_{finger}_tip"] = end
    return out


def points_of_bvh(bvh: Bvh, given: dict[str, str]) -> np.ndarray:
    """(t 75 3) points of human75, NaN where the BVH has none; raises as `points_by_name`."""
    out = empty(len(bvh.p))
    for name, index in points_by_name(bvh.joints, given).items():
        out[:, HUMAN.index(name)] = bvh.p[:, index]
    return out
