"""Rounds of contacts: linearised, their multipliers grown, and the frames around them solved again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vidpretrain.solve import descend
from vidpretrain.solve.contact import Collisions, Contacts, of_component
from vidpretrain.solve.problem import Problem
from vidpretrain.solve.speed import slow
from vidpretrain.solve.state import Work, with_followers
from vidpretrain.tree import Tree

AROUND = 8
_ROUNDS, _ITERATIONS = 8, 3
FIRST_DAMPING, _MOST_DAMPING = 1e-3, 1e2


@dataclass
class Apart:
    """One motion being pushed apart; `free` (t j) is where it was before."""

    work: Work
    tree: Tree
    problem: Problem
    contact: Collisions
    free: np.ndarray
    gave_way: np.ndarray
    damping: np.ndarray  # (c t), kept from round to round: contacts make the first, nearly undamped steps too long
    iterations: int = 0

    def q(self) -> np.ndarray:
        return with_followers(self.work, self.tree)


def push(
    run: Apart,
    stretches: list[tuple[int, int]],
    seen: Callable[[list[tuple[int, int]]], None] | None = None,
    rounds: int = _ROUNDS,
) -> list[tuple[int, int]]:
    """Rounds of contacts on all stretches; those that are not clean after them. `seen` is told the
    stretches of a round when their contacts have been found."""
    contact, frames = run.contact, run.problem.frames
    for round_ in range(rounds + 1):
        use = mask(stretches, frames)
        contacts = contact.find(run.q(), use)
        if seen is not None:
            seen(stretches)
        bad = use & (contact.worst < 0.0)
        stretches = [s for s in stretches if bad[slice(*s)].any()]
        if round_ == rounds or not stretches:
            break
        for stretch in stretches:
            solve_again(run, contacts, *stretch, _ITERATIONS)
        if run.problem.max_speed is not None:
            slow(run.work)
    return stretches


def solve_again(run: Apart, contacts: Contacts, lo: int, hi: int, iterations: int) -> None:
    """Solve the components that have contacts in frames [lo, hi) again."""
    L, D, st = run.work.L, run.work.D, run.work.st
    run.gave_way[lo:hi] |= run.contact.worst[lo:hi] < run.contact.margin_m
    inside = slice(contacts.at[contacts.at_frame[lo]], contacts.at[contacts.at_frame[hi]])
    for c in np.unique(np.searchsorted(L.var_at, contacts.var[inside], side="right") - 1):
        st.damping[lo:hi] = run.damping[c, lo:hi]
        now = st._replace(contacts=of_component(L, int(c), lo, hi, st.Q, contacts))
        settled = st.settled[c, lo:hi].copy()
        args = (L, D, int(c), lo, hi, now, iterations, run.problem.tolerance, False, run.work.scratch)
        run.iterations += descend.descend(*args)[0]
        st.settled[c, lo:hi] |= settled
        run.damping[c, lo:hi] = np.minimum(st.damping[lo:hi], _MOST_DAMPING)


def mask(stretches: list[tuple[int, int]], frames: int) -> np.ndarray:
    out = np.zeros(frames, dtype=bool)
    for lo, hi in stretches:
        out[lo:hi] = True
    return out


def windows(frames: np.ndarray, count: int, around: int = AROUND) -> list[tuple[int, int]]:
    """Half-open stretches of a clip of `count` frames around the given ones, `around` frames on each side."""
    out: list[tuple[int, int]] = []
    for t in frames:
        lo, hi = max(0, int(t) - around), min(count, int(t) + around + 1)
        if out and lo <= out[-1][1] + 2:
            out[-1] = (out[-1][0], hi)
        else:
            out.append((lo, hi))
    return out
