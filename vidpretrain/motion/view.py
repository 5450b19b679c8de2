"""Who holds the camera: the person whose hands are seen (ego), or somebody else (third)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from vidpretrain import skeletons
from vidpretrain.types import Clip, PoseTrack

_KNUCKLES = [5, 9, 13, 17]


def decide_view(tracks: dict[str, PoseTrack], clip: Clip, body_share: float) -> Literal["ego", "third"]:
    """The view of a clip; `body_share` is the share of frames with a body that does not contradict the hands.

    A body in a quarter of the frames: third. Else each of these votes for ego (+) or third (-), and ego wins a
    positive sum: the left hand is left of the right one (weight 2, frames with both); hands are seen from the back
    (1.5); wrists are below the knuckles in the picture, in its lower half (1), or above them (-2: nobody sees the own
    hands come from above).
    """
    if body_share >= 0.25:
        return "third"
    found = votes(tracks, clip)
    low = found.low if found.low > 0 else 2.0 * found.low
    return "ego" if 2.0 * found.order + 1.5 * found.back + low > 0 else "third"


@dataclass(frozen=True)
class Votes:
    """Votes in [-1, 1] for ego: order of the hands, backs of hands seen, wrists low; 0 where nothing tells."""

    order: float
    back: float
    low: float


def votes(tracks: dict[str, PoseTrack], clip: Clip) -> Votes:
    """What the hands tell about the view."""
    hands = {side: tracks[f"hand21_{side}"] for side in skeletons.SIDES}
    both = np.asarray(hands["left"].found & hands["right"].found)
    order = 0.0
    if both.sum() >= 3:
        middle = {side: hand.p_image_keypoint[both].mean(axis=1)[:, 0] for side, hand in hands.items()}
        order = float(np.mean(np.sign(middle["right"] - middle["left"])))
    back, low, count = 0.0, 0.0, 0
    for side, hand in hands.items():
        image = hand.p_image_keypoint[np.asarray(hand.found)]
        back += float(backs(image, side).sum())
        wrist_v, knuckle_v = image[:, 0, 1], image[:, _KNUCKLES, 1].mean(axis=1)
        low += float(np.where(wrist_v > knuckle_v, np.where(wrist_v > 0.5 * clip.height_px, 1.0, 0.0), -1.0).sum())
        count += len(image)
    return Votes(order, back / max(count, 1), low / max(count, 1))


def backs(p_image: Float[np.ndarray, "t 21 2"], side: str) -> Float64[np.ndarray, " t"]:
    """+1 where the back of the hand is seen, -1 for the palm.

    v is down: a right hand seen from the back with its fingers up has its index left of the little finger.
    """
    index, pinky = p_image[:, 5] - p_image[:, 0], p_image[:, 17] - p_image[:, 0]
    turn = index[:, 0] * pinky[:, 1] - index[:, 1] * pinky[:, 0]
    return np.sign(turn if side == "right" else -turn)
