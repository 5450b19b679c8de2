"""Which candidate is the left hand and which the right: one assignment over the whole clip.

In every frame each side has one of the candidates or none, and no candidate has both sides: these pairs are the states
of a dynamic programme over the clip (Viterbi). A candidate gains by the distance to the body's wrist on that side, by
the network's label and the chirality of its 21 points (which mean little far from the camera), and by where it comes
from; a hand pays for moving, for coming new, and most of all for standing where the other side's hand just was. Every
state remembers where both hands were last seen on its best path, so a hand that was lost comes back on its side.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain.pose.arms import Arm, arm_of
from vidpretrain.pose.observations import PALM, BodySighting, HandSighting, distance
from vidpretrain.timebase import NS_PER_S

_ORIGINS = ("frame", "crop", "light", "near", "edge", "tile")
_MOST = 6  # candidates of one frame
_REACH, _SPEED = 0.6, 4.0  # hand lengths that a hand moves from one frame to the next, and per second out of sight
_GAP_S = 0.25
_NEARER = 1.0  # most that a hand gains for being nearer to one wrist; far from both it stays bad
_WRIST = 0.35  # torso lengths between a hand and the body's wrist
_HIDDEN = 0.3  # torso lengths that a wrist that the body network does not see is farther away: it lies on the other one
_BETWEEN = 0.2  # torso lengths of difference below which the label says more about the side than far from the camera
_CLOSE = 0.12  # share of the picture's long side above which a hand's label counts
_SWAP, _FADES_S = 8.0, 0.15  # cost of standing where the other side's hand was, half of it after this time
_NEW = {
    "frame": 1.5,
    "crop": 2.5,
    "light": 3.0,
    "near": 3.0,
    "edge": 4.0,
    "tile": 5.0,
}  # cost of a hand that comes new, by its origin
_BACK = 0.2  # share of it where a hand of this side was lost nearby
_MOVE = 1.0
_GOOD = {
    "frame": 1.0,
    "crop": 0.5,
    "light": 0.5,
    "near": 0.4,
    "edge": 0.3,
    "tile": 0.2,
}  # gain of a candidate by its origin
_LABEL = {True: 0.35, False: 0.08}  # weight of label and chirality, close to the camera and far
_ALONE = 0.35  # and where no body is seen
_BENT = 2.5  # what it costs a hand to point back along the forearm
_HELD = 3.0  # what each hand length costs that an arm would be too long
_SLACK = 1.3  # times as far may a hand be from the wrist of a body that is guessed
_FROM = 0.6  # weight of the edge that the arm comes from
_THERE, _DOUBT = 0.75, 4.0  # presence that is neither for a hand nor against it, and what one more or less counts


def assign(
    sightings: Sequence[Sequence[HandSighting]],
    bodies: Sequence[BodySighting | None],
    time_ns: Int64[np.ndarray, " t"],
    long_side_px: float,
    size_px: tuple[int, int] | None = None,
    seen: Sequence[bool] | None = None,
) -> tuple[list[HandSighting | None], list[HandSighting | None]]:
    """Left and right hand of every frame, or None. `bodies` are the real ones, with their sides right.

    With the picture's `size_px` (width, height) it counts where the arms of hands without a body come from. Bodies that
    are not `seen` but guessed (`body.bridged`) say less.
    """
    candidates = [distinct(hands)[:_MOST] for hands in sightings]
    chosen = best_path(candidates, bodies, time_ns, long_side_px, size_px, seen)
    out: tuple[list[HandSighting | None], list[HandSighting | None]] = ([], [])
    for hands, pair in zip(candidates, chosen, strict=True):
        for side, index in enumerate(pair):
            hand = hands[index] if index >= 0 else None
            out[side].append(None if hand is None or is_reversed(hand, side, long_side_px) else hand)
    return out


def distinct(hands: Sequence[HandSighting]) -> list[HandSighting]:
    """The sightings without repeats of the same hand; whole-frame sightings go before crops, crops before tiles."""
    kept: list[HandSighting] = []
    for hand in sorted(hands, key=lambda h: (_ORIGINS.index(h.origin), -abs(h.p_left - 0.5))):
        if all(distance(hand, other) > 0.35 for other in kept):
            kept.append(hand)
    return kept


def side_evidence(hand: HandSighting) -> float:
    """Evidence of the hand itself that it is a left one, in [-3, 3]: its label's log-odds and its chirality."""
    odds = np.log(max(hand.p_left, 1e-3) / max(1.0 - hand.p_left, 1e-3))
    return float(np.clip(odds, -2.0, 2.0) + np.clip(hand.chirality, -1.0, 1.0))


def is_reversed(hand: HandSighting, side: int, long_side_px: float) -> bool:
    """Whether a hand close to the camera contradicts the side (0 left) that it was given: its shape is a mirror image.

    Either its label does with .9, or both its label and its chirality do.
    """
    if hand.length_px <= _CLOSE * long_side_px:
        return False
    sign = 1.0 if side == 0 else -1.0
    of_side = hand.p_left if side == 0 else 1.0 - hand.p_left
    return of_side < 0.1 or (of_side < 0.4 and sign * hand.chirality < -0.3)


def told_by_body(hand: HandSighting | None, body: BodySighting | None, side: int, long_side_px: float) -> bool:
    """Whether a hand far from the camera is at the body's wrist of that side (0 left), and the other wrist is not."""
    if hand is None or body is None or hand.length_px > _CLOSE * long_side_px:
        return False
    apart = np.linalg.norm(body.p_image[[15, 16]] - hand.p_image[0], axis=1) / body.size_px
    return bool(apart[side] < max(_WRIST, 0.8 * hand.length_px / body.size_px) and apart[1 - side] > apart[side] + 0.15)


def against_forearm(hand: HandSighting, body: BodySighting, side: int) -> float:
    """How much a hand points back to the elbow of that side (0 left), where the forearm is seen at length; 0 to 1."""
    forearm = body.p_image[15 + side] - body.p_image[13 + side]
    along = hand.p_image[PALM[1:]].mean(0) - hand.p_image[0]
    seen, size = float(np.linalg.norm(forearm)), float(np.linalg.norm(along))
    cosine = float(along @ forearm) / max(seen * size, 1e-6)
    return float(np.clip((-cosine - 0.2) / 0.6, 0.0, 1.0) * np.clip(seen / (0.3 * body.size_px), 0.0, 1.0))


def gains(
    hands: Sequence[HandSighting],
    body: BodySighting | None,
    long_side_px: float,
    arms: Sequence[Arm] | None = None,
    slack: float = 1.0,
) -> Float64[np.ndarray, "n 2"]:
    """What each candidate gains as a left and as a right hand; leaving it out gains nothing.

    Without a body the hands' `arms` count: where they come from, and whether they would be too long. `slack` is how
    many times as far from the body's wrists a hand may be.
    """
    out = np.zeros((len(hands), 2))
    for i, hand in enumerate(hands):
        own, quality = side_evidence(hand), _GOOD[hand.origin]
        if hand.presence is not None and hand.origin != "near":
            quality += float(np.clip(_DOUBT * (hand.presence - _THERE), -2.5, 0.5))
        if body is None:
            lone = -0.5 if hand.origin == "crop" else 0.0
            left = _ALONE * own
            if arms is not None:
                lone -= _HELD * float(min(arms[i].too_long, 2.0))
                left += _FROM * arms[i].left
            out[i] = quality + 0.3 * min(abs(own), 2.0) + lone + np.array([left, -left])
            continue
        apart = np.linalg.norm(body.p_image[[15, 16]] - hand.p_image[0], axis=1) / (body.size_px * slack)
        reach = max(_WRIST, 0.8 * hand.length_px / body.size_px)
        quality += float(np.clip(2.0 * (1.0 - apart.min() / reach), -3.0, 2.0))
        told = apart + _HIDDEN * np.clip(1.0 - 2.0 * body.visibility[[15, 16]], 0.0, 1.0)
        nearer = float(np.clip((told[1] - told[0]) / 0.15, -3.0, 3.0))
        near = hand.length_px > _CLOSE * long_side_px
        sides = np.array([nearer, -nearer])
        bent = np.array([against_forearm(hand, body, side) for side in (0, 1)]) / slack
        open_side = float(np.clip(1.0 - abs(told[1] - told[0]) / _BETWEEN, 0.0, 1.0))
        weight = _LABEL[near] + (max(_LABEL.values()) - _LABEL[near]) * open_side
        label = weight * own * np.array([1.0, -1.0])
        out[i] = quality - _BENT * bent + np.minimum(sides, _NEARER) + np.minimum(sides, 0.0) + label
    return out


@dataclass
class Memory:
    """Where each state's best path last saw its two hands (s states, 2 sides); `at` is -1 where it never did."""

    cost: np.ndarray  # (s)
    palm: np.ndarray  # (s 2 5 2) px
    length: np.ndarray  # (s 2) px
    at: np.ndarray  # (s 2) frame


def best_path(
    candidates: Sequence[Sequence[HandSighting]],
    bodies: Sequence[BodySighting | None],
    time_ns: Int64[np.ndarray, " t"],
    long_side_px: float,
    size_px: tuple[int, int] | None = None,
    seen: Sequence[bool] | None = None,
) -> list[tuple[int, int]]:
    """Per frame the index of the left and of the right hand among the candidates, -1 for none."""
    memory = Memory(np.zeros(1), np.zeros((1, 2, len(PALM), 2)), np.ones((1, 2)), np.full((1, 2), -1))
    back, states = [], []
    for t, (hands, body) in enumerate(zip(candidates, bodies, strict=True)):
        pairs = _pairs(len(hands))
        step = _step_costs(memory, hands, t, time_ns)
        slack = 1.0 if seen is None or seen[t] else _SLACK
        arms = None if size_px is None else [arm_of(hand, *size_px) for hand in hands]
        taken = np.concatenate(
            [gains(hands, body, long_side_px, arms, slack), np.zeros((1, 2))]
        )  # -1 is the last row: none
        total = memory.cost[:, None] + step[:, 0, pairs[:, 0]] + step[:, 1, pairs[:, 1]]
        total = total - (taken[pairs[:, 0], 0] + taken[pairs[:, 1], 1])
        best = total.argmin(axis=0)
        back.append(best)
        states.append(pairs)
        memory = _remember(memory, best, total.min(axis=0), pairs, hands, t)
    out, state = [], int(memory.cost.argmin())
    for best, pairs in zip(reversed(back), reversed(states), strict=True):
        out.append((int(pairs[state, 0]), int(pairs[state, 1])))
        state = int(best[state])
    return out[::-1]


def _pairs(count: int) -> np.ndarray:
    every = itertools.product(range(-1, count), repeat=2)
    return np.array([(a, b) for a, b in every if a != b or a < 0])


def _step_costs(memory: Memory, hands: Sequence[HandSighting], t: int, time_ns) -> np.ndarray:
    """Costs (s 2 n+1) of taking candidate n on a side after each state; the last one, none, costs nothing."""
    states, count = len(memory.cost), len(hands)
    out = np.zeros((states, 2, count + 1))
    if not count:
        return out
    palm = np.stack([hand.p_image[PALM] for hand in hands])
    length = np.array([hand.length_px for hand in hands])
    known = memory.at >= 0
    gap_s = np.where(known, (time_ns[t] - time_ns[np.maximum(memory.at, 0)]) / NS_PER_S, 0.0)
    apart = np.linalg.norm(memory.palm[:, :, None] - palm, axis=-1).mean(-1)
    apart = apart / np.maximum(np.maximum(memory.length[:, :, None], length), 1.0)
    share = np.where(known[:, :, None], apart / (_REACH + _SPEED * gap_s)[:, :, None], 1.0)
    own, other = np.minimum(share, 1.0), np.minimum(share[:, ::-1], 1.0)
    new = np.array([_NEW[hand.origin] for hand in hands])
    fresh = (known & (gap_s <= max(_GAP_S, _one_frame(time_ns))))[:, :, None] & (share < 1.0)
    moved = np.where(fresh, _MOVE * own**2, new * np.where(own < 1.0, _BACK + (1 - _BACK) * own, 1.0))
    swap = _SWAP / (1.0 + gap_s[:, ::-1] / _FADES_S)
    out[:, :, :count] = moved + swap[:, :, None] * np.maximum(own - other, 0.0)
    return out


def _one_frame(time_ns) -> float:
    return 1.5 * float(np.median(np.diff(time_ns))) / NS_PER_S if len(time_ns) > 1 else 0.0


def _remember(memory: Memory, best, cost, pairs, hands, t: int) -> Memory:
    palm, length, at = memory.palm[best], memory.length[best], memory.at[best]
    for side in (0, 1):
        rows = np.flatnonzero(pairs[:, side] >= 0)
        for row in rows:
            hand = hands[pairs[row, side]]
            palm[row, side], length[row, side], at[row, side] = hand.p_image[PALM], hand.length_px, t
    return Memory(cost, palm, length, at)
