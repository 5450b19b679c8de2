"""Who holds the camera: the person whose hands are seen (ego), or somebody else (third)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from vidpretrain import skeletons
from vidpretrain.types import Clip, PoseTrack

_AT = skeletons.skeleton("body33").index
_FACE = [_AT("nose"), _AT("left_eye"), _AT("right_eye")]
_SHOULDERS = [_AT("left_shoulder"), _AT("right_shoulder")]
_KNUCKLES = [5, 9, 13, 17]


def decide_view(tracks: dict[str, PoseTrack], clip: Clip, min_visibility: float) -> Literal["ego", "third"]:
    """The view of a clip.

    A face or both shoulders inside the picture, trusted, in a quarter of the frames: third. Else each of these
    gives a vote for ego (+1) or third (-1), and ego wins a positive sum: the left hand is left of the right one (frames
    with both); hands are seen from the back; wrists are below the knuckles in the picture, in its lower half.
    """
    if _body_share(tracks["body33"], clip, min_visibility) >= 0.25:
        return "third"
    return "ego" if sum(votes(tracks, clip)) > 0 else "third"


def _body_share(body: PoseTrack, clip: Clip, min_visibility: float) -> float:
    with np.errstate(invalid="ignore"):
        inside = ((body.p_image_keypoint >= 0) & (body.p_image_keypoint <= [clip.width_px, clip.height_px])).all(-1)
    ok = inside & (np.nan_to_num(body.confidence) >= min_visibility)
    seen = np.asarray(ok[:, _FACE].all(axis=1) | ok[:, _SHOULDERS].all(axis=1))
    return float(seen.mean()) if len(seen) else 0.0


def votes(tracks: dict[str, PoseTrack], clip: Clip) -> list[float]:
    """Votes for ego in [-1, 1]: order of the hands, sides of the hands seen, and where the wrists are."""
    out = []
    hands = {side: tracks[f"hand21_{side}"] for side in skeletons.SIDES}
    both = hands["left"].found & hands["right"].found
    if both.sum() >= 3:
        middle = {side: hand.p_image_keypoint[both].mean(axis=1)[:, 0] for side, hand in hands.items()}
        out.append(float(np.mean(np.sign(middle["right"] - middle["left"]))))
    back, low, count = 0.0, 0.0, 0
    for side, hand in hands.items():
        image = hand.p_image_keypoint[hand.found]
        if len(image) == 0:
            continue
        towards_index, towards_pinky = image[:, 5] - image[:, 0], image[:, 17] - image[:, 0]
        # v is down: a right hand seen from the back, fingers up, has its index left of the little finger
        turn = towards_index[:, 0] * towards_pinky[:, 1] - towards_index[:, 1] * towards_pinky[:, 0]
        back += float(np.sign(turn if side == "right" else -turn).sum())
        wrist_v, knuckle_v = image[:, 0, 1], image[:, _KNUCKLES, 1].mean(axis=1)
        low += float(np.where(wrist_v > knuckle_v, np.where(wrist_v > 0.5 * clip.height_px, 1.0, 0.0), -1.0).sum())
        count += len(image)
    if count:
        out += [back / count, low / count]
    return out
