"""Whole-clip damped Gauss-Newton: all frames together, then the limits that couple frames or links."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.solve import descend
from vidpretrain.solve.apart import keep_apart
from vidpretrain.solve.begin import candidates, fits, solve_free
from vidpretrain.solve.lane_clip import lane_cost
from vidpretrain.solve.parameters import Values, prior_values, with_parameters
from vidpretrain.solve.problem import OrientationTerm, Problem, Solution, Start
from vidpretrain.solve.shared import SharedSolve, prior_cost
from vidpretrain.solve.speed import respect_speed
from vidpretrain.solve.state import State, Work, begin, with_followers
from vidpretrain.tree import Tree


def solve_clip(tree: Tree, problem: Problem, start: Start) -> Solution:
    """The motion of least cost over all frames together, inside all limits.

    Unknowns that no row brings together are solved apart. Joint limits are kept by a projected active set, speeds by
    an augmented Lagrangian and a final projection, so that neither is ever violated. Source: Nocedal and Wright,
    Numerical Optimization, sections 10.3, 16.7 and 17.4.

    Raises:
        UnknownName: a term names a site that the tree does not have.
        ValueError: shapes do not fit, limits contradict each other, or the start is not finite.
    """
    values = prior_values(problem.parameters)
    body = with_parameters(tree, problem.parameters, values) if values else tree
    work, is_motion = begin(body, problem, start)
    iterations, gave_way = 0, np.zeros(problem.frames, dtype=bool)
    if problem.frames and len(work.L.var_column):
        iterations = solve_free(work, problem, None if is_motion else candidates(work, body, start))
        if values:
            shared = SharedSolve(work, tree, problem)
            iterations += shared.run()
            values, body = shared.values, shared.body
        if problem.max_speed is not None:
            iterations += respect_speed(work, problem)
        if problem.self_collision is not None and len(problem.self_collision.pairs):
            more, gave_way = keep_apart(work, body, problem)
            iterations += more
    return _solution(work, body, problem, iterations, values, gave_way)


def total_cost(work: Work) -> float:
    """The cost of the state without the multipliers of the limits; fills `left`."""
    L, st = work.L, work.st
    free = st._replace(stiffness=np.zeros_like(st.stiffness))
    cost, nothing, total = np.zeros(len(st.Q)), np.zeros((1, 1)), 0.0
    for c in range(len(L.base)):
        if fits(work, c):
            total += float(lane_cost(L, work.D, c, free))
            continue
        args = (L, work.D, c, 0, len(st.Q), st.Q, st.Rb, st.pb, free, False, False, nothing, nothing, cost)
        descend.component_pass(*args, work.scratch)
        total += float(cost.sum())
    return total


def _solution(
    work: Work, tree: Tree, problem: Problem, iterations: int, values: Values, gave_way: np.ndarray
) -> Solution:
    L, D, st = work.L, work.D, work.st
    Q = with_followers(work, tree)
    cost = total_cost(work) + prior_cost(problem, values) if problem.frames else 0.0
    left, weight = st.left, np.zeros_like(st.left)
    weight[:, L.row] = D.weight
    weight[:, len(L.row) + L.turn] = D.turn_weight
    left[weight == 0] = np.nan
    vectors, turns = iter(range(len(L.row))), iter(range(len(L.row), left.shape[1]))
    order = [next(turns if isinstance(term, OrientationTerm) else vectors) for term in problem.terms]
    asked = np.diff(L.var_at) > 0
    return Solution(
        joint_pos=Q,
        T_world_base=_base(st, problem.free_base),
        cost=cost,
        iterations=iterations,
        converged=np.asarray(st.settled[asked].all(axis=0)),
        gave_way=gave_way,
        residual=tuple(np.ascontiguousarray(left[:, i]) for i in order),
        parameters=values,
    )


def _base(st: State, moved: bool) -> np.ndarray:
    """(t 7) pose of the base; one that was not solved and stood still is converted once."""
    if moved or len(st.Rb) == 0 or (st.Rb != st.Rb[0]).any():
        return geometry.pose(geometry.quat_from_matrix(st.Rb), st.pb)
    out = np.empty((len(st.Rb), 7))
    out[:, :4], out[:, 4:] = geometry.quat_from_matrix(st.Rb[0]), st.pb
    return out
