"""Whole-clip damped Gauss-Newton: starts, one pass frame by frame, all frames together, speed limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from vidpretrain import geometry
from vidpretrain.kinematics.arrays import TreeArrays, tree_arrays
from vidpretrain.solve import band as bands
from vidpretrain.solve import kernels
from vidpretrain.solve import speed as speeds
from vidpretrain.solve.arrays import Terms, Variables, terms, variables
from vidpretrain.solve.problem import OrientationTerm, Problem, Solution, Start
from vidpretrain.tree import Tree

_START_ITERATIONS, _SWEEP_ITERATIONS = 60, 4
_SPEED_ROUNDS, _SPEED_ITERATIONS = 12, 3
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-4, 1e-6, 1e8
_RANDOM_STARTS, _CARRIED_STARTS, _SAME_RAD = 6, 3, 0.1
_STOPPED_RAD, _STOPPED_SHARE = 2e-3, 1e-3


class Scratch(NamedTuple):
    """Buffers of one frame's evaluation; row 0 of R and p is the base."""

    R: np.ndarray
    p: np.ndarray
    a: np.ndarray
    site_R: np.ndarray
    site_p: np.ndarray
    work: np.ndarray
    r: np.ndarray
    quat: np.ndarray
    J: np.ndarray
    touched: np.ndarray


def _scratch(joints: int, sites: int, width: int) -> Scratch:
    return Scratch(
        R=np.empty((joints + 1, 3, 3)),
        p=np.empty((joints + 1, 3)),
        a=np.empty((joints, 3)),
        site_R=np.empty((sites, 3, 3)),
        site_p=np.empty((sites, 3)),
        work=np.empty((2, 3, 3)),
        r=np.empty(3),
        quat=np.empty(4),
        J=np.empty((3, width)),
        touched=np.empty(width, dtype=np.int64),
    )


@dataclass
class _Work:
    """A solve under way: the problem as arrays, the clip as it stands, and buffers that live as long as the solve."""

    tree: TreeArrays
    terms: Terms
    var: Variables
    Q: np.ndarray
    Rb: np.ndarray
    pb: np.ndarray
    left: np.ndarray
    scratch: Scratch
    iterations: int = 0

    def __post_init__(self) -> None:
        frames, width = len(self.Q), len(self.var.lower)
        self.gradient, self.step = np.zeros((frames, width)), np.zeros((frames, width))
        self.band = np.zeros((frames * width, 2 * width + 1))
        self.cost, self.cost_new = np.zeros(frames), np.zeros(frames)
        self.Q_new, self.Rb_new, self.pb_new = self.Q.copy(), self.Rb.copy(), self.pb.copy()
        self.damping = np.full(frames, _FIRST_DAMPING)
        self.settled = np.zeros(frames, dtype=bool)
        self.speed = speeds.off(frames, self.var)


def solve_clip(tree: Tree, problem: Problem, start: Start) -> Solution:
    """The motion of least cost over all frames together, inside all limits.

    Joint limits are kept by a projected active set, speeds by an augmented Lagrangian and a final projection, so that
    neither is ever violated. Damping is per frame: it grows where a frame's cost rose and shrinks elsewhere, and a
    step is taken when the whole cost falls (Levenberg-Marquardt). Source: Nocedal and Wright, Numerical Optimization,
    sections 10.3, 16.7 and 17.4.

    Raises:
        UnknownName: a term names a site that the tree does not have.
        ValueError: shapes do not fit, limits contradict each other, or the start is not finite.
    """
    arrays = tree_arrays(tree)
    Q, base, is_motion = _start(tree, problem, start)
    var = variables(tree, problem, Q)
    rows = terms(tree, problem, var)
    fixed = (var.column < 0) & tree.independent
    Q[:, var.joint] = np.clip(Q[:, var.joint], var.lower[var.base :], var.upper[var.base :])
    Q[:, ~fixed] = tree.with_mimic(Q)[:, ~fixed]
    Rb = np.ascontiguousarray(geometry.matrix_from_quat(geometry.normalize(base[:, :4])))
    left = np.zeros((problem.frames, len(rows.to_site) + len(rows.turn_site)))
    scratch = _scratch(len(tree.joint_names), len(rows.sites), len(var.lower))
    work = _Work(arrays, rows, var, Q, Rb, np.ascontiguousarray(base[:, 4:]), left, scratch)
    if problem.frames and len(var.lower):
        if not is_motion:
            _first_pass(work, tree, start)
        _optimise(work, problem.max_iterations, problem.tolerance)
        if problem.max_speed is not None:
            _respect_speed(work, problem)
    return _solution(work, tree, problem)


def _start(tree: Tree, problem: Problem, start: Start) -> tuple[np.ndarray, np.ndarray, bool]:
    joints = np.asarray(start.joint_pos, dtype=float)
    base = np.asarray(geometry.IDENTITY_POSE if start.T_world_base is None else start.T_world_base, dtype=float)
    shape = (problem.frames, len(tree.joint_names))
    if joints.shape not in (shape, shape[1:]) or base.shape not in ((problem.frames, 7), (7,)):
        raise ValueError(f"start is {joints.shape} and {base.shape}, wanted {shape} or {shape[1:]}, and (t 7) or (7)")
    if not (np.isfinite(joints).all() and np.isfinite(base).all()):
        raise ValueError("the start is not finite")
    return np.broadcast_to(joints, shape).copy(), np.broadcast_to(base, (problem.frames, 7)).copy(), joints.ndim == 2


def _first_pass(work: _Work, tree: Tree, start: Start) -> None:
    """The best of several starts: settled on the frame with the most targets, then carried to both ends of the clip."""
    w, rows = work, work.terms
    k = int(np.argmax((rows.vector_weight > 0).sum(axis=1) + (rows.turn_weight > 0).sum(axis=1)))
    Rb, pb = w.Rb.copy(), w.pb.copy()
    best = None
    for q, R, p in _settled(w, tree, start, k):
        w.Q[k], w.Rb[k], w.pb[k] = q, R, p
        _carry(w, k)
        w.Q_new[:], w.Rb_new[:], w.pb_new[:] = w.Q, w.Rb, w.pb
        _evaluate(w)
        if best is None or w.cost_new.sum() < best[0]:
            best = (w.cost_new.sum(), w.Q.copy(), w.Rb.copy(), w.pb.copy())
        w.Rb[:], w.pb[:] = Rb, pb
    assert best is not None
    _, w.Q, w.Rb, w.pb = best


def _settled(w: _Work, tree: Tree, start: Start, k: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The candidates after settling on frame k: the cheapest few that are not the same posture."""
    found = []
    tie = np.full(len(w.var.lower), 1e-9)
    for q in _candidates(w, tree, start):
        q, Rb, pb = q.copy(), w.Rb[k].copy(), w.pb[k].copy()
        args = (w.tree, w.terms, w.var, k, q, Rb, pb, _START_ITERATIONS, tie, w.left[k], w.scratch)
        found.append((kernels.settle(*args), q, Rb, pb))
    found.sort(key=lambda item: item[0])
    kept = []
    for cost, q, Rb, pb in found:
        if all(np.abs(q - other[0]).max(initial=0.0) > _SAME_RAD for other in kept) and cost <= 10 * found[0][0] + 1e-9:
            kept.append((q, Rb, pb))
    return kept[:_CARRIED_STARTS]


def _carry(w: _Work, k: int) -> None:
    """Carry frame k to both ends of the clip, frame by frame."""
    tie = np.maximum(w.var.velocity, 1e-9)
    for last, stride in ((len(w.Q) - 1, 1), (0, -1)):
        args = (w.tree, w.terms, w.var, k, last, stride, w.Q, w.Rb, w.pb, _SWEEP_ITERATIONS, tie)
        kernels.sweep(*args, w.left[k], w.scratch)


def _candidates(work: _Work, tree: Tree, start: Start) -> list[np.ndarray]:
    """The start, the caller's others, and a few postures between the start and random ones (always the same)."""
    var, first = work.var, work.Q[0]
    others = np.asarray(start.others, dtype=float).reshape(-1, start.others.shape[-1] or 1)
    rows = [first, *(row for row in others if len(row) == len(first))]
    random = np.random.default_rng(0)
    lower, upper = var.lower[var.base :], var.upper[var.base :]
    for _ in range(_RANDOM_STARTS):
        drawn = random.uniform(np.maximum(lower, -np.pi), np.minimum(upper, np.pi))
        row = first.copy()
        row[var.joint] = first[var.joint] + 0.5 * (drawn - first[var.joint])
        rows.append(row)
    for i, row in enumerate(rows):
        row = row.copy()
        row[var.column < 0] = first[var.column < 0]
        row[var.joint] = np.clip(row[var.joint], lower, upper)
        moving = var.column >= 0
        row[moving] = tree.with_mimic(row)[moving]
        rows[i] = row
    return rows


def _optimise(work: _Work, iterations: int, tolerance: float) -> None:
    """Iterate until the whole cost falls by less than `tolerance` of itself, twice."""
    w, quiet = work, 0
    for _ in range(iterations):
        w.iterations += 1
        _linearise(w)
        if not _step(w):
            w.damping = np.minimum(w.damping * 10.0, _MOST_DAMPING)
            continue
        args = (w.tree, w.var, w.step, w.Q, w.Rb, w.pb, w.Q_new, w.Rb_new, w.pb_new)
        bands.move_all(*args)
        _evaluate(w)
        before, after = w.cost.sum(), w.cost_new.sum()
        accepted = after <= before
        _adapt(w, (before - after) / max(1e-300, -0.5 * float((w.gradient * w.step).sum())))
        if accepted:
            w.settled = _settled_frames(w, before)
            w.Q, w.Q_new = w.Q_new, w.Q
            w.Rb, w.Rb_new = w.Rb_new, w.Rb
            w.pb, w.pb_new = w.pb_new, w.pb
        small = before - after < tolerance * max(before, 1e-300)
        quiet = quiet + 1 if accepted and small else 0
        if quiet == 2 or (not accepted and w.damping.min() > 1e4):
            break


def _adapt(w: _Work, gain: float) -> None:
    """Change the damping by the gain, what the cost fell over what was predicted; most where the cost rose."""
    rose = w.cost_new > w.cost * (1 + 1e-9)
    rose = rose | np.roll(rose, 1) | np.roll(rose, -1)
    if gain > 0.7:
        factor = np.where(rose, 0.5, 0.2)
    elif gain > 0.2:
        factor = np.where(rose, 2.0, 0.5)
    elif gain >= 0.0:
        factor = np.where(rose, 3.0, 1.0)
    else:
        factor = np.where(rose, 10.0, 3.0)
    w.damping = np.clip(factor * w.damping, _LEAST_DAMPING, _MOST_DAMPING)


def _linearise(w: _Work) -> None:
    args = (w.tree, w.terms, w.var, w.speed, w.Q, w.Rb, w.pb, w.gradient, w.band, w.cost, w.left, w.scratch)
    bands.linearise(*args)


def _evaluate(w: _Work) -> None:
    args = (w.tree, w.terms, w.var, w.speed, w.Q_new, w.Rb_new, w.pb_new)
    bands.evaluate(*args, w.gradient, w.band, w.cost_new, w.left, w.scratch)


def _step(w: _Work) -> bool:
    """Solve the damped band for the step; False where it is not positive definite."""
    bands.prepare(w.var, w.Q, w.gradient, w.damping, w.band, w.step)
    factor, info = lapack.dpbtrf(w.band.T, lower=1, overwrite_ab=1)
    if info != 0:
        return False
    step, info = lapack.dpbtrs(factor, w.step.reshape(-1), lower=1)
    w.step = np.ascontiguousarray(step).reshape(w.step.shape)
    return info == 0 and bool(np.isfinite(w.step).all())


def _settled_frames(w: _Work, before: float) -> np.ndarray:
    """Frames in which the accepted step changed next to nothing, in posture or in cost, and was not held back."""
    still = np.abs(w.Q_new - w.Q).max(axis=1, initial=0.0) <= _STOPPED_RAD
    if w.var.base:
        still &= np.abs(w.step[:, :6]).max(axis=1) <= _STOPPED_RAD
    level = np.abs(w.cost_new - w.cost) <= _STOPPED_SHARE * (w.cost + before / len(w.cost))
    return (still | level) & (w.damping < 1e-1)


def _respect_speed(w: _Work, problem: Problem) -> None:
    """A few rounds of multipliers, then the exact projection."""
    if (speeds.excess(w.var, w.Q) > 0).any():
        for _ in range(_SPEED_ROUNDS):
            _linearise(w)
            diagonal = w.band[:, 0].reshape(w.step.shape)
            w.speed = speeds.tightened(w.speed, w.var, w.Q, diagonal.mean(axis=0) + 1e-9)
            w.damping[:] = _FIRST_DAMPING
            _optimise(w, _SPEED_ITERATIONS, problem.tolerance)
            if not (speeds.excess(w.var, w.Q) > 0).any():
                break
    joint, limit = w.var.joint, w.var.step[w.var.base :]
    w.Q[:, joint] = speeds.slowed(w.Q[:, joint], limit)


def _solution(w: _Work, tree: Tree, problem: Problem) -> Solution:
    moving = w.var.column >= 0
    Q = w.Q.copy()
    Q[:, moving] = tree.with_mimic(w.Q)[:, moving]
    w.Q_new[:], w.Rb_new[:], w.pb_new[:] = Q, w.Rb, w.pb
    w.speed = speeds.off(len(Q), w.var)
    _evaluate(w)
    left = w.left.copy()
    left[np.concatenate([w.terms.vector_weight, w.terms.turn_weight], axis=1) == 0] = np.nan
    vectors, turns = iter(range(len(w.terms.to_site))), iter(range(len(w.terms.to_site), left.shape[1]))
    order = [next(turns if isinstance(term, OrientationTerm) else vectors) for term in problem.terms]
    return Solution(
        joint_pos=Q,
        T_world_base=geometry.pose(geometry.quat_from_matrix(w.Rb), w.pb),
        cost=float(w.cost_new.sum()),
        iterations=w.iterations,
        converged=w.settled if len(w.var.lower) else np.ones(len(Q), dtype=bool),
        residual=tuple(np.ascontiguousarray(left[:, i]) for i in order),
    )
