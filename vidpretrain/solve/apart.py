"""Self-collision: rounds of contacts around the frames that touch, and a retreat where rounds do not clear them.

First the free motion is pushed apart (`_push`): it stays as near to the targets as contacts allow, but out of deep
overlap it may not find the way. Such a stretch begins again at the free motion, retreats to where nothing
overlaps (`solve.retreat`), and comes back towards the targets in steps that are cut before anything touches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain.collision.near import least_gaps
from vidpretrain.solve import descend
from vidpretrain.solve.contact import Collisions, of_component
from vidpretrain.solve.limbs import limbs, put_back
from vidpretrain.solve.postures import targets_of
from vidpretrain.solve.problem import Problem
from vidpretrain.solve.retreat import LEVELS, cheapest, clean_levels, cut_steps
from vidpretrain.solve.speed import slow
from vidpretrain.solve.state import Work, with_followers
from vidpretrain.tree import Tree

_STIFFNESS, _AROUND = 100.0, 8
_ROUNDS, _ITERATIONS = 8, 3
_BACK_ROUNDS, _BACK_ITERATIONS, _BACK_NEAR_M, _ARRIVED_RAD = 8, 3, 0.04, 3e-3
_WIDER = 2
_FIRST_DAMPING, _BACK_DAMPING, _MOST_DAMPING = 1e-3, 1e-2, 1e2


@dataclass
class _Apart:
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


def keep_apart(work: Work, tree: Tree, problem: Problem) -> tuple[int, np.ndarray]:
    """Push links apart until no capsules overlap anywhere; (iterations, frames in which the targets gave way)."""
    assert problem.self_collision is not None
    gave_way = np.zeros(problem.frames, dtype=bool)
    first = Collisions(problem.self_collision, tree, work.L, problem.collision_margin_m, 1.0, problem.frames)
    first.find(with_followers(work, tree), np.ones(problem.frames, dtype=bool))
    if not (first.worst < 0.0).any():
        return 0, gave_way
    weights = work.D.weight[work.D.weight > 0]
    stiffness = _STIFFNESS * (float(np.median(weights)) if len(weights) else 1.0)
    limb = limbs(work, tree, problem)
    contact = Collisions(first.model, tree, limb.L, first.margin_m, stiffness, problem.frames)
    contact.worst[:] = first.worst
    free = with_followers(limb, tree)
    damping = np.full((len(limb.L.base), problem.frames), _FIRST_DAMPING)
    run = _Apart(work=limb, tree=tree, problem=problem, contact=contact, free=free, gave_way=gave_way, damping=damping)
    left = _push(run, windows(np.flatnonzero(first.worst < first.margin_m), problem.frames))
    for stretch in left:
        _around(run, *stretch)
    if limb is not work:
        put_back(limb, work)
    return run.iterations, gave_way


def _push(run: _Apart, stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Rounds of multipliers on all stretches; those that are not clean after them."""
    contact, frames = run.contact, run.problem.frames
    for round_ in range(_ROUNDS + 1):
        use = _mask(stretches, frames)
        contacts = contact.find(run.q(), use)
        bad = use & (contact.worst < 0.0)
        stretches = [s for s in stretches if bad[slice(*s)].any()]
        if round_ == _ROUNDS or not stretches:
            break
        for stretch in stretches:
            _solve(run, contacts, *stretch, _ITERATIONS)
        if run.problem.max_speed is not None:
            slow(run.work)
    return stretches


def _solve(run: _Apart, contacts, lo: int, hi: int, iterations: int) -> None:
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


def _around(run: _Apart, lo: int, hi: int) -> None:
    """Retreat from what is left in a stretch and come back: frame by frame around what overlaps, wider where there is
    no way, and in the end from the free motion."""
    frames, bad = run.problem.frames, np.flatnonzero(run.contact.worst[lo:hi] < 0.0) + lo
    for wider in range(_WIDER + 1):
        around = windows(bad, frames, _AROUND << wider)
        left = [(a, b) for a, b in around if not _retreat(run, a, b, run.q())]
        for a, b in around:
            if (a, b) not in left:
                _come_back(run, a, b)
        if not left:
            return
        bad = np.array([t for t in bad if any(a <= t < b for a, b in left)])
    stuck = run.work.st.Q[lo:hi].copy()
    run.work.st.Q[lo:hi] = run.free[lo:hi]
    if _retreat(run, lo, hi, run.q()):
        _come_back(run, lo, hi)
    else:
        run.work.st.Q[lo:hi] = stuck


def _retreat(run: _Apart, lo: int, hi: int, Q: np.ndarray) -> bool:
    """Move frames [lo, hi) from Q (t j) to a motion without overlap that begins and ends on its neighbours; False if
    there is none."""
    contact, frames = run.contact, run.problem.frames
    L, D = run.work.L, run.work.D
    first, last = max(0, lo - 1), min(frames, hi + 1)
    ends = np.array([first < lo, last > hi])
    joints = L.var_column >= 0
    columns, step = L.var_column[joints], D.step[joints]
    share = np.empty(last - first)
    clean = np.empty((last - first, len(LEVELS)), dtype=bool)
    for Q_to in targets_of(run.tree, contact, run.problem, Q[first:last], columns):
        clean_levels(*contact.arrays, Q[first:last], Q_to, LEVELS, contact.margin_m, clean)
        for end, row in ((ends[0], 0), (ends[1], -1)):
            clean[row, 0] |= end
        if cheapest(Q[first:last], Q_to, clean, LEVELS, columns, step, ends, share):
            moved = Q[first:last] + share[:, None] * (Q_to - Q[first:last])
            run.work.st.Q[first:last, columns] = moved[:, columns]
            run.gave_way[first:last] |= share > 0.0
            return True
    return False


def _come_back(run: _Apart, lo: int, hi: int) -> None:
    """Rounds of contacts from a clean motion, every step cut where it would make a frame overlap."""
    contact, st, L, D = run.contact, run.work.st, run.work.L, run.work.D
    use = _mask([(lo, hi)], run.problem.frames)
    joints = L.var_column >= 0
    columns, step = L.var_column[joints], D.step[joints]
    first, last = max(0, lo - 1), min(run.problem.frames, hi + 1)
    share = np.empty(last - first)
    contact.forget()
    run.damping[:, lo:hi], quiet = _BACK_DAMPING, 0
    for _ in range(_BACK_ROUNDS):
        Q, before = run.q(), st.Q.copy()
        contacts = contact.find(Q, use, _BACK_NEAR_M)
        watch = np.zeros(last - first, dtype=bool)
        watch[lo - first : hi - first] = contact.worst[lo:hi] > 0.0
        _solve(run, contacts, lo, hi, _BACK_ITERATIONS)
        if run.problem.max_speed is not None:
            slow(run.work)
        Q_to = run.q()
        cut_steps(*contact.arrays, Q[first:last], Q_to[first:last], watch, columns, step, 1e-6, share)
        moved = share[:, None] * (Q_to[first:last] - Q[first:last])[:, columns]
        gaps = np.empty(hi - lo)
        for part in (1.0, 0.5, 0.25, 0.1, 0.0):
            st.Q[:] = before  # slowing down may have moved frames outside, which nobody has looked at
            st.Q[lo:hi, columns] += part * moved[lo - first : hi - first]
            fast = columns[(np.abs(np.diff(st.Q[first:last, columns], axis=0)) > step).any(axis=0)]
            st.Q[:, fast] = before[:, fast]
            least_gaps(*contact.arrays, run.q()[lo:hi], 0.01, 0.0, gaps)
            if (gaps[watch[lo - first : hi - first]] > 0.0).all():
                break
        moved *= part
        quiet = quiet + 1 if np.abs(moved).max(initial=0.0) < _ARRIVED_RAD else 0
        if quiet == 2:  # once may only mean that the steps were too long, and the damping has grown
            break


def _mask(stretches: list[tuple[int, int]], frames: int) -> np.ndarray:
    out = np.zeros(frames, dtype=bool)
    for lo, hi in stretches:
        out[lo:hi] = True
    return out


def windows(frames: np.ndarray, count: int, around: int = _AROUND) -> list[tuple[int, int]]:
    """Half-open stretches of a clip of `count` frames around the given ones, `around` frames on each side."""
    out: list[tuple[int, int]] = []
    for t in frames:
        lo, hi = max(0, int(t) - around), min(count, int(t) + around + 1)
        if out and lo <= out[-1][1] + 2:
            out[-1] = (out[-1][0], hi)
        else:
            out.append((lo, hi))
    return out
