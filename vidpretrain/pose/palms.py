"""Hands whose 3-D palm is collapsed or mirrored, rebuilt for the side that they were given.

Seen from the edge a hand's knuckles lie behind each other. The network then gives a palm of a third of its width, whose
little finger is on either side of the index by chance, and the palm faces backwards as often as not. Fingers are seen
well from there, and they bend to the palm: with the side known, the direction from the index to the little finger
follows from the direction of the fingers and that of their bend.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

KNUCKLES, TIPS = [5, 9, 13, 17], [8, 12, 16, 20]
WIDTH = 0.62  # of the palm's length, index to little knuckle: adult hands have .6 to .65
_THUMB = np.array([0.35, 0.6, 0.7, 0.7])  # its joints' places on the index's side of the wrist, over the palm's width
_NARROW = 0.3  # a palm narrower than this (of its length) is collapsed
_BENT = 0.35  # palm lengths of bend without which nothing can be said
_MIRRORED = 0.3  # chirality against the side above which the hand is another one's mirror image


@dataclass(frozen=True)
class Palm:
    """Along the fingers and to where they bend (unit vectors), how far (palm lengths), the palm's width (the same).

    `chirality` is how surely this is a left hand (positive) or a right one, near 0 for a flat hand.
    """

    along: np.ndarray
    bend: np.ndarray
    bent: float
    width: float
    chirality: float


def palm_of(p: Float64[np.ndarray, "21 3"]) -> Palm:
    """The palm of a hand's 21 points in any frame and unit; zeros where they are one point."""
    knuckles = p[KNUCKLES].mean(0)
    row, length = p[17] - p[5], np.linalg.norm(p[9] - p[0])
    palmar = (p[TIPS].mean(0) - knuckles) + (p[4] - p[2]) + (p[2] - 0.5 * (p[0] + p[5]))
    normal = np.cross(row, knuckles - p[0])
    reach = np.linalg.norm(knuckles - p[0])
    area = np.linalg.norm(normal)
    if length == 0 or reach == 0 or area == 0:
        return Palm(np.zeros(3), np.zeros(3), 0.0, 0.0, 0.0)
    along = (knuckles - p[0]) / reach
    bend = palmar - (palmar @ along) * along
    bent = float(np.linalg.norm(bend))
    width = float(np.linalg.norm(row - (row @ along) * along) / length)
    return Palm(along, bend / max(bent, 1e-12), float(bent / length), width, float(normal @ palmar / (area * length)))


def mended(p: Float64[np.ndarray, "21 3"], side: str) -> Float64[np.ndarray, "21 3"]:
    """The points with the palm of a left or right hand, unchanged where theirs is wide and right, or nothing is bent.

    Each finger is moved sideways as a whole, its knuckle to its place over the palm's width; the thumb's four points
    are put beside the palm.
    """
    palm, sign = palm_of(p), 1.0 if side == "left" else -1.0
    wrong = palm.width < _NARROW or sign * palm.chirality < -_MIRRORED
    if not wrong or palm.bent < _BENT:
        return p
    across = sign * np.cross(palm.along, palm.bend)  # from the index to the little finger
    width = WIDTH * np.linalg.norm(p[9] - p[0])
    now = (p - p[0]) @ across
    move = np.zeros(21)
    move[1:5] = -width * _THUMB - now[1:5]
    for knuckle, share in zip(KNUCKLES, (-0.5, -1 / 6, 1 / 6, 0.5), strict=True):
        move[knuckle : knuckle + 4] = share * width - now[knuckle]
    moved = p + move[:, None] * across
    return moved - moved.mean(0) + p.mean(0)
