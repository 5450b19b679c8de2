"""Where the arm of a hand comes from when nobody's body is in the picture: over which edge, and how far away that is.

Who wears the camera has both arms coming in from below, the left one on the left; who sits opposite has them coming in
from above, the other way round. A thing whose arm would have to be longer than arms are is no hand: the frayed end of a
sleeve, seen from its own wrist, points at its wearer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain.pose.observations import PALM, HandSighting

ARM = 3.3  # hand lengths that can be seen of an arm whose body is not in the picture


@dataclass(frozen=True)
class Arm:
    """`lengths` are the hand lengths from the wrist, straight away from the fingers, to the picture's edge.

    `above` says whether the arm comes from above, 0 for not at all to 1; `left` how surely it is a left arm by where it
    crosses the edge, in [-1, 1], 0 for arms from straight beside.
    """

    lengths: float
    above: float
    left: float

    @property
    def too_long(self) -> float:
        """Hand lengths that an arm from above is longer than arms are; hands that bend aside at the wrist have none."""
        return self.above * max(self.lengths - ARM, 0.0)


def arm_of(hand: HandSighting, width_px: float, height_px: float) -> Arm:
    """The arm that a hand seems to have, in a picture of that size."""
    wrist, away = hand.p_image[0], hand.p_image[0] - hand.p_image[PALM[1:]].mean(0)
    size = np.array([width_px, height_px], dtype=float)
    far = float(np.linalg.norm(away))
    steps = [float(((size[k] if away[k] > 0 else 0.0) - wrist[k]) / away[k]) for k in (0, 1) if abs(away[k]) > 1e-6]
    step = max(min(steps, default=0.0), 0.0)
    crossing = float(np.clip((wrist + step * away)[0] / max(width_px, 1.0), 0.0, 1.0))
    below = float(np.clip(2.0 * away[1] / max(far, 1e-6), -1.0, 1.0))
    return Arm(
        lengths=step * far / max(hand.length_px, 1.0),
        above=max(-below, 0.0),
        left=below * float(np.clip(3.0 * (0.5 - crossing), -1.0, 1.0)),
    )
