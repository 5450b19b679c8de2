"""Whole-clip damped Gauss-Newton: starts, one pass frame by frame, all frames together, speed limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vidpretrain import geometry
from vidpretrain.solve import descend
from vidpretrain.solve.arrays import Data, Scratch, data, lay_out, scratch
from vidpretrain.solve.contact import Collisions, Contacts, no_contacts, windows
from vidpretrain.solve.layout import Layout
from vidpretrain.solve.problem import OrientationTerm, Problem, Solution, Start
from vidpretrain.solve.speed import slowed
from vidpretrain.tree import Tree

_START_ITERATIONS, _SWEEP_ITERATIONS, _TRIAL_ITERATIONS = 60, 4, 10
_SPEED_ROUNDS, _SPEED_ITERATIONS = 12, 3
_RANDOM_STARTS = 6
_CONTACT_ROUNDS, _CONTACT_ITERATIONS, _CONTACT_STIFFNESS = 24, 4, 100.0


class State(NamedTuple):
    """The clip as it stands, as it might stand after a step, and what steers the steps."""

    Q: np.ndarray  # (t j), the columns of followers are not kept up
    Rb: np.ndarray
    pb: np.ndarray
    Q_new: np.ndarray
    Rb_new: np.ndarray
    pb_new: np.ndarray
    multiplier: np.ndarray  # (t v), of the speed limits
    stiffness: np.ndarray  # (v)
    damping: np.ndarray  # (t)
    settled: np.ndarray  # (c t)
    left: np.ndarray  # (t m + k), the lengths of the residuals
    contacts: Contacts


@dataclass
class Work:
    """A solve under way."""

    L: Layout
    D: Data
    st: State
    scratch: Scratch


def solve_clip(tree: Tree, problem: Problem, start: Start) -> Solution:
    """The motion of least cost over all frames together, inside all limits.

    Unknowns that no row brings together are solved apart. Joint limits are kept by a projected active set, speeds by
    an augmented Lagrangian and a final projection, so that neither is ever violated. Source: Nocedal and Wright,
    Numerical Optimization, sections 10.3, 16.7 and 17.4.

    Raises:
        UnknownName: a term names a site that the tree does not have.
        ValueError: shapes do not fit, limits contradict each other, or the start is not finite.
    """
    work, is_motion = begin(tree, problem, start)
    iterations = 0
    if problem.frames and len(work.L.var_column):
        iterations = _solve_free(work, problem, None if is_motion else _candidates(work, tree, start))
        if problem.max_speed is not None:
            iterations += _respect_speed(work, problem)
        if problem.self_collision is not None and len(problem.self_collision.pairs):
            iterations += _keep_apart(work, tree, problem)
    return _solution(work, tree, problem, iterations)


def begin(tree: Tree, problem: Problem, start: Start) -> tuple[Work, bool]:
    """A solve that stands at its start, and whether that is a motion."""
    Q, base, is_motion = _start(tree, problem, start)
    L = lay_out(tree, problem, Q)
    D = data(tree, problem, L)
    joints = L.var_column >= 0
    columns = L.var_column[joints]
    Q[:, columns] = np.clip(Q[:, columns], D.lower[joints], D.upper[joints])
    Rb = np.ascontiguousarray(geometry.matrix_from_quat(geometry.normalize(base[:, :4])))
    pb = np.ascontiguousarray(base[:, 4:])
    frames, width = problem.frames, len(L.var_column)
    st = State(
        Q=Q,
        Rb=Rb,
        pb=pb,
        Q_new=Q.copy(),
        Rb_new=Rb.copy(),
        pb_new=pb.copy(),
        multiplier=np.zeros((frames, width)),
        stiffness=np.zeros(width),
        damping=np.full(frames, descend.FIRST_DAMPING),
        settled=np.zeros((len(L.base), frames), dtype=bool),
        left=np.zeros((frames, len(L.row) + len(L.turn))),
        contacts=no_contacts(frames),
    )
    return Work(L, D, st, scratch(L)), is_motion


def _start(tree: Tree, problem: Problem, start: Start) -> tuple[np.ndarray, np.ndarray, bool]:
    joints = np.asarray(start.joint_pos, dtype=float)
    base = np.asarray(geometry.IDENTITY_POSE if start.T_world_base is None else start.T_world_base, dtype=float)
    shape = (problem.frames, len(tree.joint_names))
    if joints.shape not in (shape, shape[1:]) or base.shape not in ((problem.frames, 7), (7,)):
        raise ValueError(f"start is {joints.shape} and {base.shape}, wanted {shape} or {shape[1:]}, and (t 7) or (7)")
    if not (np.isfinite(joints).all() and np.isfinite(base).all()):
        raise ValueError("the start is not finite")
    return np.broadcast_to(joints, shape).copy(), np.broadcast_to(base, (problem.frames, 7)).copy(), joints.ndim == 2


def _candidates(work: Work, tree: Tree, start: Start) -> np.ndarray:
    """The start, the caller's others, and a few postures between the start and random ones (always the same)."""
    L, D, first = work.L, work.D, work.st.Q[0]
    joints = L.var_column >= 0
    columns, lower, upper = L.var_column[joints], D.lower[joints], D.upper[joints]
    order = np.argsort(columns)
    columns, lower, upper = columns[order], lower[order], upper[order]
    others = np.asarray(start.others, dtype=float).reshape(-1, start.others.shape[-1] or 1)
    rows = [first, *(row for row in others if len(row) == len(first))]
    random = np.random.default_rng(0)
    for _ in range(_RANDOM_STARTS):
        drawn = random.uniform(np.maximum(lower, -np.pi), np.minimum(upper, np.pi))
        row = first.copy()
        row[columns] = first[columns] + 0.5 * (drawn - first[columns])
        rows.append(row)
    out = np.tile(first, (len(rows), 1))
    out[:, columns] = np.clip(np.stack(rows)[:, columns], lower, upper)
    return out


def _solve_free(work: Work, problem: Problem, candidates: np.ndarray | None) -> int:
    """Component after component, without limits of speed; the most iterations that one took."""
    L, D, st, s = work.L, work.D, work.st, work.scratch
    done, tie = 0, np.maximum(D.velocity, 1e-9)
    for c in np.flatnonzero(np.diff(L.var_at)):
        if candidates is not None:
            _carry(work, problem, candidates, int(c), tie)
        st.damping[:] = descend.FIRST_DAMPING
        args = (L, D, c, 0, problem.frames, st, problem.max_iterations, problem.tolerance, True, s)
        done = max(done, descend.descend(*args)[0])
    return done


def _carry(work: Work, problem: Problem, candidates: np.ndarray, c: int, tie: np.ndarray) -> None:
    """Start a component on every frame. One that turns a hand falls into other basins frame by frame than in strides:
    both are tried for a few iterations, and the cheaper one stays."""
    L, D, st, s = work.L, work.D, work.st, work.scratch
    k, one = descend.richest_frame(L, D, c), descend.single(L.var_at[c + 1] - L.var_at[c])
    begin = (L, D, c, k, candidates, st, _START_ITERATIONS, _SWEEP_ITERATIONS, True, tie, s, one)
    small = L.base[c] == 0 and L.var_at[c + 1] - L.var_at[c] <= descend.LARGE
    if L.newton[c] or not small:
        descend.first_pass(*begin)
        return
    columns = L.var_column[L.var_at[c] : L.var_at[c + 1]]
    found: list[tuple[float, np.ndarray]] = []
    for stride in (1, descend.STRIDE):
        one.stride[1] = stride
        descend.first_pass(*begin)
        st.damping[:] = descend.FIRST_DAMPING
        cost = descend.descend(L, D, c, 0, problem.frames, st, _TRIAL_ITERATIONS, problem.tolerance, True, s)[1]
        found.append((cost, st.Q[:, columns].copy()))
    st.Q[:, columns] = min(found, key=lambda pair: pair[0])[1]


def _hold_speed(work: Work, problem: Problem, c: int) -> int:
    """Rounds of multipliers until a component is nowhere too fast; the iterations they took."""
    L, D, st, s = work.L, work.D, work.st, work.scratch
    done, stiff, settled = 0, np.zeros(len(L.var_column)), st.settled[c].copy()
    descend.curvature(L, D, c, st, s, stiff)
    for _ in range(_SPEED_ROUNDS):
        descend.tighten(L, D, c, st, stiff)
        st.damping[:] = descend.FIRST_DAMPING
        done += descend.descend(L, D, c, 0, problem.frames, st, _SPEED_ITERATIONS, problem.tolerance, False, s)[0]
        if descend.excess(L, D, c, st) <= 0.0:
            break
    st.settled[c] |= settled
    return done


def _respect_speed(work: Work, problem: Problem) -> int:
    """A few rounds of multipliers, then the exact projection."""
    L, st, iterations = work.L, work.st, 0
    for c in np.flatnonzero(np.diff(L.var_at)):
        if descend.excess(L, work.D, c, st) > 0.0:
            iterations += _hold_speed(work, problem, int(c))
    _slow(work)
    return iterations


def _slow(work: Work) -> None:
    """The exact projection onto the speed limits."""
    joints = work.L.var_column >= 0
    columns = work.L.var_column[joints]
    work.st.Q[:, columns] = slowed(work.st.Q[:, columns], work.D.step[joints])


def _with_followers(work: Work, tree: Tree) -> np.ndarray:
    """All columns, mimic joints following; joints that are no unknowns as they are."""
    fixed = tree.independent.copy()
    fixed[work.L.var_column[work.L.var_column >= 0]] = False
    return np.where(fixed, work.st.Q, tree.with_mimic(work.st.Q))


def _keep_apart(work: Work, tree: Tree, problem: Problem) -> int:
    """Rounds of contacts until no capsules overlap anywhere; the motion with the fewest such frames is kept."""
    L, D, st, frames = work.L, work.D, work.st, problem.frames
    assert problem.self_collision is not None
    weights = D.weight[D.weight > 0]
    stiffness = _CONTACT_STIFFNESS * (float(np.median(weights)) if len(weights) else 1.0)
    contact = Collisions(problem.self_collision, tree, L, problem.collision_margin_m, stiffness, frames)
    use, done, best = np.ones(frames, dtype=bool), 0, (frames + 1, 0.0, st.Q.copy())
    for round_ in range(_CONTACT_ROUNDS):
        contacts, bad = contact.find(_with_followers(work, tree), use)
        deep = -float(np.minimum(contact.worst, 0.0).sum())
        if (len(bad), deep) < best[:2]:
            best = (len(bad), deep, st.Q.copy())
        if len(bad) == 0 or round_ == _CONTACT_ROUNDS - 1:
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
                args = (L, D, int(c), lo, hi, now, _CONTACT_ITERATIONS, problem.tolerance, False, work.scratch)
                settled = st.settled[c, lo:hi].copy()
                done += descend.descend(*args)[0]
                st.settled[c, lo:hi] |= settled
        if problem.max_speed is not None:
            _slow(work)
    st.Q[:] = best[2]
    return done


def total_cost(work: Work) -> float:
    """The cost of the state without the multipliers of the limits; fills `left`."""
    L, st = work.L, work.st
    free = st._replace(stiffness=np.zeros_like(st.stiffness))
    cost, nothing, total = np.zeros(len(st.Q)), np.zeros((1, 1)), 0.0
    for c in range(len(L.base)):
        args = (L, work.D, c, 0, len(st.Q), st.Q, st.Rb, st.pb, free, False, False, nothing, nothing, cost)
        descend.component_pass(*args, work.scratch)
        total += float(cost.sum())
    return total


def _solution(work: Work, tree: Tree, problem: Problem, iterations: int) -> Solution:
    L, D, st = work.L, work.D, work.st
    Q = _with_followers(work, tree)
    cost = total_cost(work) if problem.frames else 0.0
    left, weight = st.left, np.zeros_like(st.left)
    weight[:, L.row] = D.weight
    weight[:, len(L.row) + L.turn] = D.turn_weight
    left[weight == 0] = np.nan
    vectors, turns = iter(range(len(L.row))), iter(range(len(L.row), left.shape[1]))
    order = [next(turns if isinstance(term, OrientationTerm) else vectors) for term in problem.terms]
    asked = np.diff(L.var_at) > 0
    return Solution(
        joint_pos=Q,
        T_world_base=geometry.pose(geometry.quat_from_matrix(st.Rb), st.pb),
        cost=cost,
        iterations=iterations,
        converged=np.asarray(st.settled[asked].all(axis=0)),
        residual=tuple(np.ascontiguousarray(left[:, i]) for i in order),
    )
