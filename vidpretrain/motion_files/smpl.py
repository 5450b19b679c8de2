"""Joints of the SMPL family as points of human75.

Orders of the joints: SMPL (Loper et al. 2015) 24, SMPL-H (Romero et al. 2017) 52, SMPL-X (Pavlakos et al. 2019) 55;
with the 21 points that the smplx library appends (face, feet, fingertips) 45, 73 and 76; with face landmarks 127 and
144; the body alone 22.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from vidpretrain.errors import InputError
from vidpretrain.motion_files.raw import HUMAN, empty

_BODY = {
    **{f"{side}_{part}": index + k for part, index in (("hip", 1), ("knee", 4), ("ankle", 7), ("foot_index", 10))
       for k, side in enumerate(("left", "right"))},
    **{f"{side}_{part}": index + k for part, index in (("shoulder", 16), ("elbow", 18), ("wrist", 20))
       for k, side in enumerate(("left", "right"))},
}  # fmt: skip
# the 21 that smplx appends, from the first: nose, eyes, ears, big toe, small toe and heel of both feet, fingertips
_FACE = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
_FEET = {"left_foot_index": 5, "left_heel": 7, "right_foot_index": 8, "right_heel": 10}
_FINGERS, _TIPS = ("index", "middle", "pinky", "ring", "thumb"), ("thumb", "index", "middle", "ring", "pinky")
_PARTS = dict.fromkeys(_FINGERS, ("mcp", "pip", "dip")) | {"thumb": ("cmc", "mcp", "ip")}
# joints -> (first joint of the left hand or None, first of the appended points or None)
_LAYOUTS: dict[int, tuple[int | None, int | None]] = {
    22: (None, None), 24: (None, None), 45: (None, 24), 52: (22, None), 73: (22, 52),
    55: (25, None), 76: (25, 55), 127: (25, 55), 144: (25, 55),
}  # fmt: skip


def layout_names(count: int) -> dict[str, int]:
    """Index of every point of human75 in a file of that many joints.

    Raises:
        InputError: no skeleton of the family has that many.
    """
    if count not in _LAYOUTS:
        raise InputError(
            f"{count} joints are no skeleton of the SMPL family",
            valid=", ".join(map(str, sorted(_LAYOUTS))) + " joints (t k 3); 21 for one hand",
        )
    hand, extra = _LAYOUTS[count]
    names = dict(_BODY)
    if extra is not None:
        names |= {name: extra + i for i, name in enumerate(_FACE)}
        names |= {name: extra + i for name, i in _FEET.items()}
    for k, side in enumerate(("left", "right")):
        if hand is None:
            continue
        names[f"{side}_hand_wrist"] = _BODY[f"{side}_wrist"]
        for f, finger in enumerate(_FINGERS):
            for j, part in enumerate(_PARTS[finger]):
                names[f"{side}_hand_{finger}_{part}"] = hand + 15 * k + 3 * f + j
        if extra is not None:
            for f, finger in enumerate(_TIPS):
                names[f"{side}_hand_{finger}_tip"] = extra + 11 + 5 * k + f
    return names


def points_of_joints(joints: Float64[np.ndarray, "t k 3"]) -> Float64[np.ndarray, "t 75 3"]:
    """Points of human75; NaN where this skeleton has none.

    Raises:
        InputError: no skeleton of the family has that many joints.
    """
    out = empty(len(joints))
    for name, index in layout_names(joints.shape[1]).items():
        out[:, HUMAN.index(name)] = joints[:, index]
    return out
