"""Several people in one picture: who acts, over the whole clip, and whose hands are whose."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from vidpretrain.pose.observations import BodySighting, HandSighting
from vidpretrain.pose.stillness import person_motion
from vidpretrain.timebase import NS_PER_S

_SAME = 0.3  # torso lengths between two findings of one person
_TRUNK = [11, 12, 23, 24]
_WRISTS = [15, 16]
_CHANGE = 3.0  # most that it costs to take another person than the one before
_REACH, _SPEED = 0.5, 3.0  # torso lengths that a person moves from one frame to the next, and per second out of sight
_MOST_STILL = 3  # people who do not move that are passed over
_OTHERS = 0.35  # torso lengths around somebody else's wrist in which a hand is theirs

People = Sequence[Sequence[BodySighting]]


def different(bodies: Sequence[BodySighting]) -> list[BodySighting]:
    """The bodies without repeats of the same person; the first of two stays."""
    kept: list[BodySighting] = []
    for body in bodies:
        if all(trunk_distance(body, other) > _SAME for other in kept):
            kept.append(body)
    return kept


def trunk_distance(a: BodySighting, b: BodySighting) -> float:
    """Mean distance of shoulders and hips, sides left open, in lengths of the longer torso."""
    p, q = a.p_image[_TRUNK], b.p_image[_TRUNK]
    apart = min(np.linalg.norm(p - x, axis=1).mean() for x in (q, q[[1, 0, 3, 2]]))
    return float(apart / max(a.size_px, b.size_px))


def actor(
    people: People, time_ns: Int64[np.ndarray, " t"], width_px: int, height_px: int, still: float = 0.0
) -> tuple[list[BodySighting | None], list[list[BodySighting]]]:
    """The acting person of every frame (None where nobody is) and, frame by frame, the others.

    One person per frame, by dynamic programming: large, central, seen well, with hands that move, and the same one as
    before. Where a frame has one body there is nothing to choose. Somebody who moves less than `still` torso lengths
    in the whole clip (a mannequin, a painting) gives way to anybody who moves more.
    """
    chosen = first = _chosen(people, time_ns, width_px, height_px)
    left: People = people
    for _ in range(_MOST_STILL):
        if not any(b is not None for b in chosen) or person_motion(chosen, time_ns) >= still:
            break
        left = [[b for b in bodies if b is not chosen[t]] for t, bodies in enumerate(left)]
        chosen = _chosen(left, time_ns, width_px, height_px)
    if person_motion(chosen, time_ns) < still:
        chosen = first
    return chosen, [[b for b in bodies if b is not chosen[t]] for t, bodies in enumerate(people)]


def _chosen(people: People, time_ns, width_px: int, height_px: int) -> list[BodySighting | None]:
    frames = [t for t, bodies in enumerate(people) if bodies]
    chosen: list[BodySighting | None] = [None] * len(people)
    if frames:
        for t, i in zip(frames, _path(people, frames, time_ns, width_px, height_px), strict=True):
            chosen[t] = people[t][i]
    return chosen


def _path(people: People, frames: list[int], time_ns, width_px: int, height_px: int) -> list[int]:
    cost = -np.array([_prominence(body, width_px, height_px) for body in people[frames[0]]])
    back = []
    for before, t in itertools.pairwise(frames):
        step_s = float(time_ns[t] - time_ns[before]) / NS_PER_S
        reach = _REACH + _SPEED * step_s
        apart = np.array([[trunk_distance(a, b) for b in people[t]] for a in people[before]]) / reach
        moved = np.array([[_wrist_speed(a, b, step_s) for b in people[t]] for a in people[before]])
        gain = np.array([_prominence(body, width_px, height_px) for body in people[t]])
        pair = _CHANGE * np.minimum(apart, 1.0) - np.where(apart < 1.0, 0.5 * np.minimum(moved, 1.0), 0.0)
        total = cost[:, None] + pair
        back.append(total.argmin(axis=0))
        cost = total.min(axis=0) - gain
    path = [int(cost.argmin())]
    for best in reversed(back):
        path.append(int(best[path[-1]]))
    return path[::-1]


def _prominence(body: BodySighting, width_px: int, height_px: int) -> float:
    """Size and place in the picture and how well the arms are seen, from 0 to 2.5."""
    centre = body.p_image[_TRUNK].mean(0) / (width_px, height_px) - 0.5
    off = float(np.clip(2.0 * np.abs(centre[0]), 0.0, 1.0))
    size = float(np.clip(body.size_px / (0.4 * height_px), 0.0, 1.0))
    return size + 0.5 * (1.0 - off) + float(body.visibility[_WRISTS].max())


def _wrist_speed(a: BodySighting, b: BodySighting, step_s: float) -> float:
    """Of the faster wrist against the trunk, in torso lengths per second."""
    relative = [x.p_image[_WRISTS] - x.p_image[_TRUNK].mean(0) for x in (a, b)]
    return float(np.linalg.norm(relative[1] - relative[0], axis=1).max() / b.size_px / max(step_s, 1e-3))


def own_hands(
    hands: Sequence[HandSighting], body: BodySighting | None, others: Sequence[BodySighting]
) -> list[HandSighting]:
    """The hands without those at somebody else's wrist, unless the actor's own wrist is nearer."""
    kept = []
    for hand in hands:
        wrists = [float(np.linalg.norm(o.p_image[_WRISTS] - hand.p_image[0], axis=1).min()) / o.size_px for o in others]
        own = np.inf if body is None else np.linalg.norm(body.p_image[_WRISTS] - hand.p_image[0], axis=1).min()
        own = own if body is None else own / body.size_px
        if not (wrists and min(wrists) < _OTHERS and min(wrists) < own):
            kept.append(hand)
    return kept
