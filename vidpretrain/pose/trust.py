"""How surely a candidate is a hand: a logistic of what can be seen about it; who is not sure enough is left out.

The networks' own scores do not say it: a thing at a wrist has a label of .99. What says it is how sure the network is
at a second look, how long the hand is for the body at whose wrist it lies, how far off that wrist it is, and whether
anything like it is there just before or just after. Weights are those of rendered people (`scripts/bench/trust.py`),
each of the one sign that can be argued for; the threshold is the one that real clips bear.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain.pose.near import HAND_OF_TORSO
from vidpretrain.pose.observations import PALM, BodySighting, HandSighting
from vidpretrain.timebase import NS_PER_S

CUES = ("crop", "near", "guess", "doubt", "off_wrist", "short", "tiny", "alone")
BIAS, WEIGHTS = 5.75, np.array([0.92, 1.35, 1.16, 1.64, 1.12, 1.82, 1.65, 3.72])
_TINY_PX = 24.0
_AROUND_S, _MOVES = 0.2, 12.0  # how far in time company is looked for; hand lengths per second that a hand moves
_NEXT_S = 0.25  # and how far where frames are rare
_SURE_DOUBT = 0.2  # of presence that is missing, above which it makes no difference


def sure_hands(
    sightings: Sequence[Sequence[HandSighting]],
    bodies: Sequence[BodySighting | None],
    time_ns: Int64[np.ndarray, " t"],
    least: float,
) -> list[list[HandSighting]]:
    """The candidates that are hands with a probability of `least`; `bodies` are the real ones, gaps bridged."""
    rows = cues(sightings, bodies, time_ns)
    return [
        [hand for hand, p in zip(hands, probability(of), strict=True) if p >= least]
        for hands, of in zip(sightings, rows, strict=True)
    ]


def probability(of: Float64[np.ndarray, "n 8"]) -> Float64[np.ndarray, " n"]:
    """Of being a hand, by the cues."""
    return 1.0 / (1.0 + np.exp(of @ WEIGHTS - BIAS))


def cues(
    sightings: Sequence[Sequence[HandSighting]],
    bodies: Sequence[BodySighting | None],
    time_ns: Int64[np.ndarray, " t"],
) -> list[Float64[np.ndarray, "n 8"]]:
    """What speaks against each candidate of every frame, in [0, 1] or little more, 0 for a good hand.

    `bodies` are the real ones, those of gaps bridged.
    """
    out = []
    for t, (hands, body) in enumerate(zip(sightings, bodies, strict=True)):
        rows = [[*_by_itself(hand), *_at_body(hand, body), _alone(hand, sightings, t, time_ns)] for hand in hands]
        out.append(np.array(rows, dtype=float).reshape(len(rows), len(CUES)))
    return out


def _by_itself(hand: HandSighting) -> list[float]:
    """Where it was found, and how little sure the network was at its second look."""
    origin = [float(hand.origin in names) for names in (("crop", "light"), ("near",), ("tile", "edge"))]
    doubt = 0.0 if hand.presence is None or hand.origin == "near" else 1.0 - hand.presence
    return [*origin, float(np.clip(doubt / _SURE_DOUBT, 0.0, 1.0))]


def _at_body(hand: HandSighting, body: BodySighting | None) -> list[float]:
    """How far off the nearer wrist (of its reach), how short the hand is for the body, how tiny it is at all."""
    tiny = float(np.clip(1.0 - hand.length_px / _TINY_PX, 0.0, 1.0))
    if body is None:
        return [0.0, 0.0, tiny]
    apart = np.linalg.norm(body.p_image[[15, 16]] - hand.p_image[0], axis=1).min() / body.size_px
    off = float(np.clip(apart / max(0.35, 0.8 * hand.length_px / body.size_px), 0.0, 2.0))
    share = float(np.log(max(hand.length_px, 1.0) / (HAND_OF_TORSO * body.size_px)))
    return [off, float(np.clip(-share - 0.2, 0.0, 1.0)), tiny]


def _alone(hand: HandSighting, sightings: Sequence[Sequence[HandSighting]], t: int, time_ns) -> float:
    """How little is like this hand just before or just after, whichever is more alike; 0 where no frame is so near."""
    sides = []
    for step in (-1, 1):
        missing = []
        n = t + step
        while 0 <= n < len(sightings):
            gap_s = abs(int(time_ns[n] - time_ns[t])) / NS_PER_S
            if gap_s > (_AROUND_S if missing else _NEXT_S):
                break
            reach = 0.25 + _MOVES * gap_s
            missing.append(min([1.0, *((_apart(hand, other) / reach) ** 2 for other in sightings[n])]))
            n += step
        sides += [float(np.mean(missing))] if missing else []
    return min(sides, default=0.0)


def _apart(a: HandSighting, b: HandSighting) -> float:
    """Distance of the palms' points, and how different their sizes are, in lengths of the longer hand."""
    longer = max(a.length_px, b.length_px, 1.0)
    off = np.linalg.norm(a.p_image[PALM] - b.p_image[PALM], axis=1).mean()
    return float((off + 0.5 * abs(a.length_px - b.length_px)) / longer)
