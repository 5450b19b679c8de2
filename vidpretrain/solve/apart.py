"""Self-collision: rounds of contacts, each of which solves the frames around them again."""

from __future__ import annotations

import numpy as np

from vidpretrain.solve import descend
from vidpretrain.solve.contact import Collisions, windows
from vidpretrain.solve.problem import Problem
from vidpretrain.solve.speed import slow
from vidpretrain.solve.state import Work, with_followers
from vidpretrain.tree import Tree

_ROUNDS, _ITERATIONS, _STIFFNESS = 24, 4, 100.0


def keep_apart(work: Work, tree: Tree, problem: Problem) -> int:
    """Rounds of contacts until no capsules overlap anywhere; the motion with the fewest such frames is kept."""
    L, D, st, frames = work.L, work.D, work.st, problem.frames
    assert problem.self_collision is not None
    weights = D.weight[D.weight > 0]
    stiffness = _STIFFNESS * (float(np.median(weights)) if len(weights) else 1.0)
    contact = Collisions(problem.self_collision, tree, L, problem.collision_margin_m, stiffness, frames)
    use, done, best = np.ones(frames, dtype=bool), 0, (frames + 1, 0.0, st.Q.copy())
    for round_ in range(_ROUNDS):
        contacts, bad = contact.find(with_followers(work, tree), use)
        deep = -float(np.minimum(contact.worst, 0.0).sum())
        if (len(bad), deep) < best[:2]:
            best = (len(bad), deep, st.Q.copy())
        if len(bad) == 0 or round_ == _ROUNDS - 1:
            break
        now = st._replace(contacts=contacts)
        stretches = windows(np.flatnonzero(use & (contact.worst < contact.margin_m)), frames)
        if round_ == 0:
            use[:] = False
        for lo, hi in stretches:
            use[lo:hi] = True
            contact_of = slice(contacts.at[contacts.at_frame[lo]], contacts.at[contacts.at_frame[hi]])
            for c in np.unique(np.searchsorted(L.var_at, contacts.var[contact_of], side="right") - 1):
                st.damping[lo:hi] = descend.FIRST_DAMPING
                args = (L, D, int(c), lo, hi, now, _ITERATIONS, problem.tolerance, False, work.scratch)
                settled = st.settled[c, lo:hi].copy()
                done += descend.descend(*args)[0]
                st.settled[c, lo:hi] |= settled
        if problem.max_speed is not None:
            slow(work)
    st.Q[:] = best[2]
    return done
