"""Left and right: whose hand a lone hand is, and whether a body has them exchanged (or is a mirror image)."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.motion_files.config import MotionFileConfig
from vidpretrain.motion_files.raw import HUMAN
from vidpretrain.retarget.human import HANDEDNESS_MARGIN, handedness
from vidpretrain.skeletons import HAND_SLICES, SIDES

_NEXT = "motion_files.mirrored=swap puts it on the other side; a wrong recording stays wrong"


def evidence(p_hand: np.ndarray, side: str) -> float:
    """Share of the telling frames that speak for `side` minus those against, -1 to 1; 0 without any."""
    score = handedness(p_hand, side)
    told = score[np.isfinite(score) & (np.abs(score) > HANDEDNESS_MARGIN)]
    return float(np.sign(told).mean()) if len(told) else 0.0


def place_lone_hand(p: np.ndarray, config: MotionFileConfig, path) -> np.ndarray:
    """The track, which lies in the left hand's columns, on the side that config or the hand itself says.

    Raises:
        InputError: the side is not given and the hand does not tell.
    """
    hand = p[:, HAND_SLICES["left"]]
    side = config.side
    if side is None:
        vote = evidence(hand, "left")
        if abs(vote) < 0.5:
            raise InputError(
                "a left or a right hand? thumb and fingers do not tell", asked=path,
                next_command="motion_files.side=left or motion_files.side=right",
            )  # fmt: skip
        side = "left" if vote > 0 else "right"
    out = np.full_like(p, np.nan)
    out[:, HAND_SLICES[side]] = hand
    return out


def put_right(p: np.ndarray, config: MotionFileConfig, path) -> np.ndarray:
    """The points with no hand or body mirrored: as they are, or exchanged where `mirrored` is "swap".

    Raises:
        InputError: something is mirrored and `mirrored` is "refuse".
    """
    body = toes_ahead(p)
    if body < 0:
        _refuse(f"the toes point backwards in {-body:.0%} of the frames: left and right of the body are exchanged",
                config, path)  # fmt: skip
        return p[:, list(HUMAN.mirror)]
    wrong = [side for side in SIDES if evidence(p[:, HAND_SLICES[side]], side) < -0.5]
    if not wrong:
        return p
    _refuse(f"{' and '.join(wrong)}: a mirrored hand, by the bend of its fingers and the place of its thumb",
            config, path)  # fmt: skip
    out = p.copy()
    for side, other in (SIDES, SIDES[::-1]):
        if side in wrong:
            out[:, HAND_SLICES[other]] = p[:, HAND_SLICES[side]]
            if other not in wrong:
                out[:, HAND_SLICES[side]] = np.nan
    return out


def _refuse(message: str, config: MotionFileConfig, path) -> None:
    if config.mirrored == "refuse":
        raise InputError(message, asked=path, next_command=_NEXT)


def toes_ahead(p: np.ndarray) -> float:
    """Share of the frames whose toes point forwards minus backwards by hips and trunk, -1 to 1; 0 where unknown.

    Only its sign where it is below -.5 counts as exchanged: it is 0 otherwise unless clearly positive.
    """
    at = {name: p[:, HUMAN.index(name)] for name in HUMAN.names[:33]}
    across = at["left_hip"] - at["right_hip"]
    up = at["left_shoulder"] + at["right_shoulder"] - at["left_hip"] - at["right_hip"]
    forward = geometry.normalize(np.cross(across, up))
    toes = sum(at[f"{side}_foot_index"] - at[f"{side}_ankle"] for side in SIDES)
    ahead = (np.asarray(toes) * forward).sum(axis=-1)
    told = ahead[np.isfinite(ahead)]
    share = float(np.sign(told).mean()) if len(told) else 0.0
    return share if abs(share) > 0.5 else 0.0
