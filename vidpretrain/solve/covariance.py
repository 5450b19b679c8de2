"""How sure a solution is: the covariance of points and parameters, from the curvature of the cost at the solution.

Laplace's approximation: the inverse of the Gauss-Newton matrix, weights being 1 / sigma^2. Errors that neighbouring
frames or terms have in common are not in it, so calibrate what comes out. The diagonal blocks of a band's inverse
follow from its Cholesky factor backwards (Takahashi et al. 1973; Rue and Held, Gaussian Markov Random Fields, section
2.4); the parameters add their share by the Schur complement.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.linalg import cho_solve, solve_triangular

from vidpretrain.solve.border import site_jacobian
from vidpretrain.solve.many import backward
from vidpretrain.solve.parameters import Values, unpacked, with_parameters
from vidpretrain.solve.problem import PointTerm, Problem, Solution, Start
from vidpretrain.solve.shared import SharedSolve
from vidpretrain.solve.state import begin
from vidpretrain.tree import Tree


def point_covariance(
    tree: Tree, problem: Problem, solution: Solution, sites: Sequence[str]
) -> Float64[np.ndarray, "t s 3 3"]:
    """Covariance (m^2, world axes) of the sites' positions, frame by frame; `tree` as it was given to the solve.

    An unknown that sits on its limit and is pressed against it has no variance. Robust losses count with their weights
    at the solution; the pushes of speed limits and self-collision are left out. What nothing holds has a variance
    that is huge, not infinite.

    Raises:
        UnknownName: no site of that name.
        ValueError: the normal matrix is not positive definite.
    """
    nothing = np.zeros(problem.frames)
    nowhere = np.zeros((problem.frames, 3))
    asked = [PointTerm(site=site, p_world_target=nowhere, weight=nothing) for site in sites]
    at = _Factored(tree, dataclasses.replace(problem, terms=(*problem.terms, *asked)), solution)
    L, count = at.solve.work.L, len(sites)
    out = np.zeros((problem.frames, count, 3, 3))
    first = int(L.row.max(initial=-1)) + 1 - count
    for c in at.solve.components:
        rows = np.arange(L.row_at[c], L.row_at[c + 1])
        wanted = rows[L.row[rows] >= first]
        if not len(wanted):
            continue
        J, V = at.jacobians(c, wanted)
        block, W = at.blocks(c), at.W[c]
        out[:, L.row[wanted] - first] = np.einsum("tsia,tab,tsjb->tsij", J, block, J, optimize=True)
        if V.shape[-1]:
            V = V - np.einsum("tsia,tap->tsip", J, W.reshape(*block.shape[:2], V.shape[-1]), optimize=True)
            out[:, L.row[wanted] - first] += np.einsum("tsip,pq,tsjq->tsij", V, at.parameters, V, optimize=True)
    return 0.5 * (out + np.swapaxes(out, -1, -2))


def parameter_sigma(tree: Tree, problem: Problem, solution: Solution) -> Values:
    """Standard deviation of every parameter, by name; an offset's by axis.

    Raises:
        ValueError: the normal matrix is not positive definite.
    """
    return unpacked(problem.parameters, np.sqrt(np.diag(_Factored(tree, problem, solution).parameters)))


class _Factored:
    """The normal matrix at a solution, eliminated: the parameters' covariance, factors, and W = A^-1 B."""

    def __init__(self, tree: Tree, problem: Problem, solution: Solution) -> None:
        body = with_parameters(tree, problem.parameters, solution.parameters) if problem.parameters else tree
        start = Start(joint_pos=solution.joint_pos, T_world_base=solution.T_world_base)
        self.solve = solve = SharedSolve(begin(body, problem, start)[0], tree, problem, solution.parameters)
        solve.evaluate(False)
        C, g = solve.border()
        reduced = solve.eliminate(C, -g, np.zeros(problem.frames))
        if reduced is None:
            raise ValueError("the normal matrix is not positive definite: nothing holds some of the unknowns")
        self.parameters = cho_solve((reduced[0], True), np.eye(len(g)))
        self.W = {}
        for c in solve.components:
            self.W[c] = solve.parts[c].B.copy()
            backward(solve.parts[c].A, self.W[c])

    def jacobians(self, c: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How the points of `rows` move by the component's unknowns (t s 3 n) and by the parameters (t s 3 p)."""
        work, frames = self.solve.work, self.solve.problem.frames
        n = int(work.L.var_at[c + 1] - work.L.var_at[c])
        J = np.zeros((frames, len(rows), 3, n))
        V = np.zeros((frames, len(rows), 3, len(self.solve.vector)))
        args = (work.L, c, self.solve.slopes, work.st.Q, work.st.Rb, work.st.pb, rows, J, V, work.scratch)
        site_jacobian(*args)
        return J, V

    def blocks(self, c: int) -> np.ndarray:
        """The diagonal blocks (t n n) of A^-1, zero where an unknown is held by its limit."""
        part = self.solve.parts[c]
        if not part.G.shape[1]:
            return np.zeros((len(part.G), 0, 0))
        out = inverse_blocks(part.A, part.G.shape[1])
        held = self.solve.held(c)
        out[np.broadcast_to(held[:, :, None] | held[:, None, :], out.shape)] = 0.0
        return out


def inverse_blocks(A: Float64[np.ndarray, "N w"], n: int) -> Float64[np.ndarray, "t n n"]:
    """The diagonal blocks of the inverse of a band of blocks (n n), A as `band.factor` leaves it.

    With L_i the columns of block i below its diagonal block D_i, and E_i = L_i D_i^-1: the inverse S has S_ji =
    -sum_k S_jk E_ki and S_ii = D_i^-T D_i^-1 - sum_k S_ik E_ki, k over the one or two blocks after i. Errors then fade
    backwards as the frames' own dependence does, but only those that are symmetric: a skew one follows another
    recursion, which grows by 2.4 a frame where accelerations alone hold it.
    """
    frames, reach = len(A) // n, (A.shape[1] - 1) // n
    out = np.zeros((frames, n, n))
    near = np.zeros((0, 0))  # S of the blocks after i
    for i in range(frames - 1, -1, -1):
        after = min(reach, frames - 1 - i)
        D_inverse = solve_triangular(_block(A, n, i, i), np.eye(n), lower=True, check_finite=False)
        below = np.concatenate([np.zeros((0, n)), *(_block(A, n, i + k, i) for k in range(1, after + 1))])
        E = below @ D_inverse
        near = near[: after * n, : after * n]
        beside = -near @ E
        out[i] = D_inverse.T @ D_inverse - E.T @ beside
        out[i] = 0.5 * (out[i] + out[i].T)  # the recursion takes S for symmetric: rounding's skew part would grow
        near = np.block([[out[i], beside.T], [beside, near]])
    return out


def _block(A: np.ndarray, n: int, i: int, j: int) -> np.ndarray:
    """Block (i, j) of the factor L as a dense matrix."""
    wide = A.shape[1] - 1
    place = wide - (i - j) * n + np.arange(n) - np.arange(n)[:, None]
    inside = (place >= 0) & (place <= wide)
    rows = A[i * n : (i + 1) * n]
    out = np.where(inside, np.take_along_axis(rows, np.clip(place, 0, wide), axis=1), 0.0)
    if i == j:
        out[np.diag_indices(n)] = 1.0 / out[np.diag_indices(n)]
    return out
