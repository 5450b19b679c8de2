"""Other tools' keypoint orders in terms of ours.

Sources, each checked against the tool's public code: COCO 17 and COCO-WholeBody 133 (body, feet, face, hands), MHR 70
(`sam_3d_body/metadata/mhr70.py`), MANO's 21 in OpenPose order (HaMeR's and WiLoR's `pred_keypoints_3d`), which is ours.
"""

from __future__ import annotations

import numpy as np

from vidpretrain.skeletons import skeleton

_BODY = skeleton("body33")
_COCO = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee"),
    *("left_ankle", "right_ankle"),
)


def _pairs(names: dict[int, str]) -> tuple[tuple[int, int], ...]:
    return tuple((theirs, _BODY.indices(ours)[0]) for theirs, ours in names.items())


COCO17 = _pairs(dict(enumerate(_COCO)))
_FEET = {17: "left_foot_index", 19: "left_heel", 20: "right_foot_index", 22: "right_heel"}
WHOLEBODY133 = COCO17 + _pairs(_FEET)
_MHR = {i: name for i, name in enumerate(_COCO) if i < 9}
_MHR |= {9: "left_hip", 10: "right_hip", 11: "left_knee", 12: "right_knee", 13: "left_ankle", 14: "right_ankle"}
_MHR |= {15: "left_foot_index", 17: "left_heel", 18: "right_foot_index", 20: "right_heel"}
_MHR |= {41: "right_wrist", 62: "left_wrist"}
_MHR |= {28: "right_index", 49: "left_index", 40: "right_pinky", 61: "left_pinky", 23: "right_thumb", 44: "left_thumb"}
MHR70 = _pairs(_MHR)
_NEIGHBOURS = {f"{side}_eye_{part}": f"{side}_eye" for side in ("left", "right") for part in ("inner", "outer")}
_NEIGHBOURS |= {"mouth_left": "nose", "mouth_right": "nose"}
for _side in ("left", "right"):
    _NEIGHBOURS |= {f"{_side}_{part}": f"{_side}_wrist" for part in ("pinky", "index", "thumb")}
    _NEIGHBOURS |= {f"{_side}_{part}": f"{_side}_ankle" for part in ("heel", "foot_index")}


def _mhr_hand(start: int, wrist: int) -> tuple[int, ...]:
    """Our 21 as indices of theirs: each finger runs from the tip (first) to its base (fourth) there."""
    return (wrist, *(start + 4 * finger + part for finger in range(5) for part in (3, 2, 1, 0)))


MHR70_HANDS = {"left": _mhr_hand(42, 62), "right": _mhr_hand(21, 41)}
"""Tip, first, second and third joint of a finger there are its tip, outer, middle and base joint."""


def body_pairs(count: int) -> tuple[tuple[int, int], ...] | None:
    """(their index, our body index) for a keypoint set of that size, or None where the size says nothing."""
    return {17: COCO17, 133: WHOLEBODY133, 70: MHR70}.get(count)


def body33(points: np.ndarray, pairs: tuple[tuple[int, int], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Points (33 d) from another tool's (k d), and which of them it has (33); the others lie on their neighbours."""
    out = np.full((33, points.shape[1]), np.nan)
    for theirs, ours in pairs:
        out[ours] = points[theirs]
    has = np.isfinite(out[:, 0])
    for name, near in _NEIGHBOURS.items():
        i = _BODY.indices(name)[0]
        if not has[i]:
            out[i] = out[_BODY.indices(near)[0]]
    return out, has
