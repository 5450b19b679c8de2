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

    One person for the whole clip: large, central, seen well and long, with hands that move. Somebody who moves less
    than `still` torso lengths in the whole clip (a mannequin, a painting) gives way to anybody who moves more.
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
    """The most prominent person of the clip, and in frames without them whoever was never there at the same time."""
    persons = linked(people, time_ns)
    gains = [_worth(people, person, time_ns, width_px, height_px) for person in persons]
    chosen: list[BodySighting | None] = [None] * len(people)
    for number in sorted(range(len(persons)), key=lambda n: -gains[n]):
        if all(chosen[t] is None for t in persons[number]):
            for t, i in persons[number].items():
                chosen[t] = people[t][i]
    return chosen


def linked(people: People, time_ns: Int64[np.ndarray, " t"]) -> list[dict[int, int]]:
    """Every person as {frame: number of the body there}: bodies linked to the nearest person of before, if near enough.

    Somebody who is not found for a while is the same person again where they could have gone meanwhile.
    """
    persons: list[dict[int, int]] = []
    for t, bodies in enumerate(people):
        pairs = []
        for n, person in enumerate(persons):
            before = next(reversed(person))
            last = people[before][person[before]]
            reach = _REACH + _SPEED * float(time_ns[t] - time_ns[before]) / NS_PER_S
            pairs += [(trunk_distance(last, body) / reach, n, i) for i, body in enumerate(bodies)]
        taken: set[int] = set()
        for share, n, i in sorted(pairs):
            if share < 1.0 and t not in persons[n] and i not in taken:
                persons[n][t] = i
                taken.add(i)
        persons += [{t: i} for i in range(len(bodies)) if i not in taken]
    return persons


def _worth(people: People, person: dict[int, int], time_ns, width_px: int, height_px: int) -> float:
    """Prominence over all frames, and up to half as much again for hands that move."""
    total = sum(_prominence(people[t][i], width_px, height_px) for t, i in person.items())
    for (before, a), (t, b) in itertools.pairwise(person.items()):
        step_s = float(time_ns[t] - time_ns[before]) / NS_PER_S
        total += 0.5 * min(_wrist_speed(people[before][a], people[t][b], step_s), 1.0)
    return total


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
