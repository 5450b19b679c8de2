"""From starts to a motion: candidates compete on one frame, the best is carried to all others, then all are solved."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vidpretrain.solve import descend, single
from vidpretrain.solve.lane_clip import LEAST_FRAMES, lane_descend
from vidpretrain.solve.lane_rows import suits
from vidpretrain.solve.lane_start import lane_start
from vidpretrain.solve.problem import Problem, Start
from vidpretrain.solve.repair import repair
from vidpretrain.solve.state import Work
from vidpretrain.tree import Tree

_START_ITERATIONS, _SWEEP_ITERATIONS, _TRIAL_ITERATIONS = 60, 4, 10
_RANDOM_STARTS, _LANE_FRAMES, _LANE_STRIDE = 6, 8, 6
_BEFORE_PARAMETERS = 6  # iterations with the parameters at their priors


def candidates(work: Work, tree: Tree, start: Start) -> np.ndarray:
    """The start, the caller's others, and a few postures between the start and random ones (always the same)."""
    L, D, first = work.L, work.D, work.st.Q[0]
    joints = L.var_column >= 0
    columns, lower, upper = L.var_column[joints], D.lower[joints], D.upper[joints]
    order = np.argsort(columns)
    columns, lower, upper = columns[order], lower[order], upper[order]
    others = np.asarray(start.others, dtype=float).reshape(-1, start.others.shape[-1] or 1)
    rows = [first, *(row for row in others if len(row) == len(first))]
    low, high = np.maximum(lower, -np.pi), np.minimum(upper, np.pi)
    drawn = np.tile(first, (_RANDOM_STARTS, 1))
    drawn[:, columns] = first[columns] + 0.5 * (low + (high - low) * _shares(len(columns)) - first[columns])
    rows.extend(drawn)
    out = np.tile(first, (len(rows), 1))
    out[:, columns] = np.clip(tree.shortest(np.stack(rows))[:, columns], lower, upper)
    return out


@lru_cache(maxsize=64)
def _shares(count: int) -> np.ndarray:
    """Where between their limits `count` unknowns are drawn, one row per start."""
    return np.random.default_rng(0).uniform(size=(_RANDOM_STARTS, count))


def fits(work: Work, c: int) -> bool:
    """Whether a component is solved in lanes."""
    return len(work.st.Q) >= LEAST_FRAMES and bool(suits(work.L, work.D, c))


def solve_free(work: Work, problem: Problem, starts: np.ndarray | None) -> int:
    """Component after component, without limits of speed; the most iterations that one took."""
    L, D, st, s = work.L, work.D, work.st, work.scratch
    done, tie = 0, np.maximum(D.velocity, 1e-9)
    most = min(problem.max_iterations, _BEFORE_PARAMETERS) if problem.parameters else problem.max_iterations
    for c in np.flatnonzero(np.diff(L.var_at)):
        fast = fits(work, int(c))
        if starts is not None and problem.frames >= _LANE_FRAMES and suits(L, D, c):
            lane_start(L, D, c, starts, st, _LANE_STRIDE, tie)
        elif starts is not None:
            _carry(work, problem, starts, int(c), tie)
        st.damping[:] = descend.FIRST_DAMPING
        if fast:
            done = max(done, lane_descend(L, D, c, st, most, problem.tolerance, True)[0])
            continue
        args = (L, D, c, 0, problem.frames, st, most, problem.tolerance, True, s)
        done = max(done, descend.descend(*args)[0])
        if starts is None or problem.parameters:
            continue
        if repair(work, int(c), starts, single.single(L.var_at[c + 1] - L.var_at[c])):
            st.damping[:] = descend.FIRST_DAMPING
            done += descend.descend(*args)[0]
    return done


def _carry(work: Work, problem: Problem, starts: np.ndarray, c: int, tie: np.ndarray) -> None:
    """Start a component on every frame. One that turns a hand falls into other basins frame by frame than in strides:
    both are tried for a few iterations, and the cheaper one stays."""
    L, D, st, s = work.L, work.D, work.st, work.scratch
    k, one = single.richest_frame(L, D, c), single.single(L.var_at[c + 1] - L.var_at[c])
    begin = (L, D, c, k, starts, st, _START_ITERATIONS, _SWEEP_ITERATIONS, True, tie, s, one)
    small = L.base[c] == 0 and L.var_at[c + 1] - L.var_at[c] <= single.LARGE
    if L.newton[c] or not small:
        single.first_pass(*begin)
        return
    columns = L.var_column[L.var_at[c] : L.var_at[c + 1]]
    found: list[tuple[float, np.ndarray]] = []
    for stride in (1, single.STRIDE):
        one.stride[1] = stride
        single.first_pass(*begin)
        st.damping[:] = descend.FIRST_DAMPING
        cost = descend.descend(L, D, c, 0, problem.frames, st, _TRIAL_ITERATIONS, problem.tolerance, True, s)[1]
        found.append((cost, st.Q[:, columns].copy()))
    st.Q[:, columns] = min(found, key=lambda pair: pair[0])[1]
