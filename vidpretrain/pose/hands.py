"""Which sighting is the left hand and which the right: tracklets, and one assignment of them over the whole clip.

Sightings that follow each other closely make a tracklet. Each tracklet is a left hand, a right hand or nothing;
dynamic programming over tracklets, in order of their start, finds the assignment of greatest evidence in which no two
left (or right) hands are there at once. The evidence is the distance to the body's wrists where a body is seen, and the
network's label, which means little far from the camera; a hand that comes back where one was lost continues it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from vidpretrain.pose.observations import BodySighting, HandSighting
from vidpretrain.timebase import NS_PER_S

_PALM = [0, 5, 9, 13, 17]
_LINK = 0.6  # hand lengths that a hand moves from one sighting to the next
_GAP_S = 0.25
_WRIST = 0.35  # torso lengths between a hand and the body's wrist
_CLOSE = 0.12  # share of the picture's long side above which a hand's label counts
_SWAP = 4.0
_ENOUGH, _ENOUGH_SIDE = 15, 8  # frames after which more of the same evidence is the same error again
_BRIEF = {"frame": 1.5, "crop": 2.5, "tile": 8.0}  # what a tracklet has to gain, by its best origin


@dataclass
class Tracklet:
    """Sightings of one hand, by frame."""

    frames: list[int] = field(default_factory=list)
    hands: list[HandSighting] = field(default_factory=list)

    def add(self, t: int, hand: HandSighting) -> None:
        """Append a sighting."""
        self.frames.append(t)
        self.hands.append(hand)


def assign(
    sightings: Sequence[Sequence[HandSighting]],
    bodies: Sequence[BodySighting | None],
    time_ns: Int64[np.ndarray, " t"],
    long_side_px: float,
) -> tuple[list[HandSighting | None], list[HandSighting | None]]:
    """Left and right hand of every frame, or None. `bodies` are the real ones, with their sides right."""
    tracklets = link([distinct(hands) for hands in sightings], time_ns)
    sides = _best_sides(tracklets, bodies, time_ns, long_side_px)
    out: tuple[list[HandSighting | None], list[HandSighting | None]] = ([None] * len(bodies), [None] * len(bodies))
    for tracklet, side in zip(tracklets, sides, strict=True):
        if side is None:
            continue
        for t, hand in zip(tracklet.frames, tracklet.hands, strict=True):
            if not _is_reversed(hand, side, long_side_px):
                out[side][t] = hand
    return out


def distinct(hands: Sequence[HandSighting]) -> list[HandSighting]:
    """The sightings without repeats of the same hand; whole-frame sightings go before crops, crops before tiles."""
    kept: list[HandSighting] = []
    for hand in sorted(hands, key=lambda h: (("frame", "crop", "tile").index(h.origin), -abs(h.p_left - 0.5))):
        if all(distance(hand, other) > 0.35 for other in kept):
            kept.append(hand)
    return kept


def distance(a: HandSighting, b: HandSighting) -> float:
    """Mean distance of the palms' points in lengths of the longer hand."""
    apart = np.linalg.norm(a.p_image[_PALM] - b.p_image[_PALM], axis=1).mean()
    return float(apart / max(a.length_px, b.length_px, 1.0))


def link(sightings: Sequence[Sequence[HandSighting]], time_ns: Int64[np.ndarray, " t"]) -> list[Tracklet]:
    """Tracklets in order of their start: nearest first, gaps of up to `_GAP_S`; a label's change counts as distance."""
    done: list[Tracklet] = []
    alive: list[Tracklet] = []
    for t, hands in enumerate(sightings):
        late = [k for k in alive if (time_ns[t] - time_ns[k.frames[-1]]) > max(_GAP_S * NS_PER_S, _one_frame(time_ns))]
        done += late
        alive = [k for k in alive if all(k is not other for other in late)]
        pairs = sorted(
            (distance(k.hands[-1], hand) + 0.3 * abs(k.hands[-1].p_left - hand.p_left), i, j)
            for i, k in enumerate(alive)
            for j, hand in enumerate(hands)
        )
        used_i: set[int] = set()
        used_j: set[int] = set()
        for cost, i, j in pairs:
            if cost < _LINK and i not in used_i and j not in used_j:
                used_i.add(i)
                used_j.add(j)
                alive[i].add(t, hands[j])
        for j, hand in enumerate(hands):
            if j not in used_j:
                alive.append(Tracklet([t], [hand]))
    return sorted(done + alive, key=lambda k: k.frames[0])


def _one_frame(time_ns) -> float:
    return 1.5 * float(np.median(np.diff(time_ns))) if len(time_ns) > 1 else 0.0


def _evidence(tracklet: Tracklet, bodies, long_side_px: float) -> tuple[float, float]:
    """Gain of taking the tracklet as a left and as a right hand; leaving it out gains 0."""
    quality, left = [], []
    for t, hand in zip(tracklet.frames, tracklet.hands, strict=True):
        label = float(np.clip(np.log(max(hand.p_left, 1e-3) / max(1 - hand.p_left, 1e-3)), -2.0, 2.0))
        near = hand.length_px > _CLOSE * long_side_px
        body = bodies[t]
        good = {"frame": 1.0, "crop": 0.5, "tile": 0.0}[hand.origin]
        if body is None:
            quality.append(good + 0.3 * abs(label) - (0.5 if hand.origin == "crop" else 0.0))
            left.append(label)
            continue
        apart = np.linalg.norm(body.p_image[[15, 16]] - hand.p_image[0], axis=1) / body.size_px
        nearness = float(np.clip((apart[1] - apart[0]) / 0.15, -3.0, 3.0))
        reach = max(_WRIST, 0.8 * hand.length_px / body.size_px)
        quality.append(good + float(np.clip(2.0 * (1.0 - apart.min() / reach), -3.0, 2.0)))
        left.append(nearness + (0.7 if near else 0.15) * label)
    origins = {hand.origin for hand in tracklet.hands}
    brief = next(cost for origin, cost in _BRIEF.items() if origin in origins)
    q = float(np.mean(quality)) * _amount(len(quality), _ENOUGH) - brief
    e = float(np.mean(left)) * _amount(len(left), _ENOUGH_SIDE)
    return q + e, q - e


def _amount(count: int, enough: int) -> float:
    return min(count, enough) + 0.1 * max(0, count - enough)


def _best_sides(tracklets, bodies, time_ns, long_side_px) -> list[int | None]:
    """0 (left), 1 (right) or None for every tracklet; exact, as the rest depends on the last of each side only."""
    beams: dict[tuple[int, int], tuple[float, tuple[int | None, ...]]] = {(-1, -1): (0.0, ())}
    for i, tracklet in enumerate(tracklets):
        gains = _evidence(tracklet, bodies, long_side_px)
        grown: dict[tuple[int, int], tuple[float, tuple[int | None, ...]]] = {}
        for last, (score, path) in beams.items():
            for side in (None, 0, 1):
                state, total = last, score
                if side is not None:
                    before = last[side]
                    if before >= 0 and _overlap(tracklets[before], tracklet):
                        continue
                    state = (i, last[1]) if side == 0 else (last[0], i)
                    total += gains[side] - _jump_cost(tracklets, last, side, tracklet, time_ns)
                if state not in grown or total > grown[state][0]:
                    grown[state] = (total, (*path, side))
        beams = dict(sorted(grown.items(), key=lambda item: -item[1][0])[:200])
    return list(max(beams.values(), key=lambda item: item[0])[1]) if tracklets else []


def _overlap(a: Tracklet, b: Tracklet) -> bool:
    return a.frames[-1] >= b.frames[0] and not set(a.frames).isdisjoint(b.frames)


def _jump_cost(tracklets, last, side: int, new: Tracklet, time_ns) -> float:
    """What it costs a hand to come back here: up to `_SWAP` where the other side's hand was lost nearer to it."""
    apart = []
    for before in (last[side], last[1 - side]):
        if before < 0:
            apart.append(1.0)
            continue
        gap_s = (time_ns[new.frames[0]] - time_ns[tracklets[before].frames[-1]]) / NS_PER_S
        reach = 1.0 + 4.0 * max(gap_s, 0.0)
        apart.append(min(distance(tracklets[before].hands[-1], new.hands[0]) / reach, 1.0))
    return _SWAP * max(0.0, apart[0] - apart[1])


def _is_reversed(hand: HandSighting, side: int, long_side_px: float) -> bool:
    """Whether a hand close to the camera is surely labelled as the other side: its shape is then a mirror image."""
    of_side = hand.p_left if side == 0 else 1.0 - hand.p_left
    return hand.length_px > _CLOSE * long_side_px and of_side < 0.1
