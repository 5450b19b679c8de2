"""Self-collision: rounds of contacts around the frames that touch, and a retreat where rounds do not clear them.

First the free motion is pushed apart (`rounds.push`): it stays as near to the targets as contacts allow, but out of
deep overlap it may not find the way. Such a stretch begins again at the free motion, retreats to where nothing
overlaps (`solve.retreat`), and comes back towards the targets in steps that are cut before anything touches.
Where a problem has `shapes`, those count instead of capsules, and nothing retreats (`solve.ease`).
"""

from __future__ import annotations

import numpy as np

from vidpretrain.collision.near import least_gaps
from vidpretrain.solve.contact import Collisions
from vidpretrain.solve.ease import ease
from vidpretrain.solve.limbs import limbs, put_back
from vidpretrain.solve.postures import targets_of
from vidpretrain.solve.problem import Problem
from vidpretrain.solve.retreat import LEVELS, cheapest, clean_levels, cut_steps
from vidpretrain.solve.rounds import AROUND, FIRST_DAMPING, Apart, mask, push, solve_again, windows
from vidpretrain.solve.speed import slow, steps
from vidpretrain.solve.state import Work, with_followers
from vidpretrain.solve.touch import ShapeCollisions
from vidpretrain.tree import Tree

_STIFFNESS = 100.0
_BACK_ROUNDS, _BACK_ITERATIONS, _BACK_NEAR_M, _ARRIVED_RAD = 8, 3, 0.04, 3e-3
_WIDER = 2
_BACK_DAMPING = 1e-2


def keep_apart(work: Work, tree: Tree, problem: Problem) -> tuple[int, np.ndarray]:
    """Push links apart until no capsules overlap anywhere; (iterations, frames in which the targets gave way)."""
    assert problem.self_collision is not None
    gave_way = np.zeros(problem.frames, dtype=bool)
    first = _collisions(problem, tree, work, 1.0)
    first.find(with_followers(work, tree), np.ones(problem.frames, dtype=bool))
    if not (first.worst < 0.0).any():
        return 0, gave_way
    weights = work.D.weight[work.D.weight > 0]
    stiffness = _STIFFNESS * (float(np.median(weights)) if len(weights) else 1.0)
    limb = limbs(work, tree, problem)
    contact = _collisions(problem, tree, limb, stiffness)
    contact.worst[:] = first.worst
    free = with_followers(limb, tree)
    damping = np.full((len(limb.L.base), problem.frames), FIRST_DAMPING)
    run = Apart(work=limb, tree=tree, problem=problem, contact=contact, free=free, gave_way=gave_way, damping=damping)
    stretches = windows(np.flatnonzero(first.worst < first.margin_m), problem.frames)
    if problem.shapes is not None:
        ease(run, stretches)
    else:
        for stretch in push(run, stretches):
            _around(run, *stretch)
    if limb is not work:
        put_back(limb, work)
    return run.iterations, gave_way


def _collisions(problem: Problem, tree: Tree, work: Work, stiffness: float) -> Collisions:
    assert problem.self_collision is not None
    margin_m, firm = problem.collision_margin_m, problem.firm_joints
    args = (problem.self_collision, tree, work.L, margin_m, stiffness, problem.frames, firm)
    return Collisions(*args) if problem.shapes is None else ShapeCollisions(problem.shapes, problem.rate_hz, *args)


def _around(run: Apart, lo: int, hi: int) -> None:
    """Retreat from what is left in a stretch and come back: frame by frame around what overlaps, wider where there is
    no way, and in the end from the free motion."""
    frames, bad = run.problem.frames, np.flatnonzero(run.contact.worst[lo:hi] < 0.0) + lo
    for wider in range(_WIDER + 1):
        around = windows(bad, frames, AROUND << wider)
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


def _retreat(run: Apart, lo: int, hi: int, Q: np.ndarray) -> bool:
    """Move frames [lo, hi) from Q (t j) to a motion without overlap that begins and ends on its neighbours; False if
    there is none."""
    contact, frames = run.contact, run.problem.frames
    first, last = max(0, lo - 1), min(frames, hi + 1)
    ends = np.array([first < lo, last > hi])
    columns, step = steps(run.work)
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


def _come_back(run: Apart, lo: int, hi: int) -> None:
    """Rounds of contacts from a clean motion, every step cut where it would make a frame overlap."""
    contact, st = run.contact, run.work.st
    use = mask([(lo, hi)], run.problem.frames)
    columns, step = steps(run.work)
    first, last = max(0, lo - 1), min(run.problem.frames, hi + 1)
    share = np.empty(last - first)
    contact.forget()
    run.damping[:, lo:hi], quiet = _BACK_DAMPING, 0
    for _ in range(_BACK_ROUNDS):
        Q, before = run.q(), st.Q.copy()
        contacts = contact.find(Q, use, _BACK_NEAR_M)
        watch = np.zeros(last - first, dtype=bool)
        watch[lo - first : hi - first] = contact.worst[lo:hi] > 0.0
        solve_again(run, contacts, lo, hi, _BACK_ITERATIONS)
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
