"""A clip's motion and its shared parameters together: Gauss-Newton on a bordered band.

Every step solves [[A, B], [B^T, C]] (x, s) = -(G, g), A block-diagonal with one band per component: Cholesky factors of
the bands, then the Schur complement C - B^T A^-1 B for the parameters, then the motion. Source: Nocedal and Wright,
Numerical Optimization, section 10.3; Triggs et al., Bundle Adjustment - A Modern Synthesis (2000), section 6. One
damping serves all frames, because they all pull at the same parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.solve import descend
from vidpretrain.solve.arrays import CAMERA, camera_list, lay_out, split_terms
from vidpretrain.solve.band import factor
from vidpretrain.solve.border import Slopes, border_pass, mark_held
from vidpretrain.solve.layout import Layout
from vidpretrain.solve.many import backward, forward
from vidpretrain.solve.parameters import (
    OffsetParameter,
    Values,
    packed,
    prior,
    share_bones,
    unpacked,
    with_parameters,
)
from vidpretrain.solve.problem import Problem
from vidpretrain.solve.state import Work
from vidpretrain.tree import Tree

_LEAST_SHARE = 0.1  # of a factor or focal length that one step leaves


@dataclass
class Part:
    """One component's gradient, band (row i holds A[i, i - w .. i]), border, cost by frame, step, and cost before."""

    G: np.ndarray
    A: np.ndarray
    B: np.ndarray
    cost: np.ndarray
    step: np.ndarray
    before: np.ndarray


def prior_cost(problem: Problem, values: Values) -> float:
    """What the parameters' priors cost."""
    mean, sigma = prior(problem.parameters)
    return float(0.5 * (((packed(problem.parameters, values) - mean) / sigma) ** 2).sum())


class SharedSolve:
    """A solve in which the parameters are unknown too; begins where `work` stands, with the parameters at `values`."""

    def __init__(self, work: Work, tree: Tree, problem: Problem, values: Values | None = None) -> None:
        self.work, self.tree, self.problem = work, tree, problem
        self.mean, self.sigma = prior(problem.parameters)
        self.vector = self.mean.copy() if values is None else packed(problem.parameters, values)
        self.trial, self.damping = self.vector, descend.FIRST_DAMPING
        self.origin: tuple[np.ndarray, Layout] | None = None  # where the slopes hold
        L = work.L  # rows that no joint moves count too: bones may
        self.components = [int(c) for c in np.flatnonzero(np.diff(L.var_at) + np.diff(L.row_at) + np.diff(L.turn_at))]
        frames, count = problem.frames, len(self.mean)
        self.parts = {}
        for c in self.components:
            n = int(work.L.var_at[c + 1] - work.L.var_at[c])
            wide = int(descend.width(work.L, work.D, c, frames))
            shapes = ((frames, n), (frames * n, wide + 1), (frames * n, count), (frames,), (frames, n), (frames,))
            self.parts[c] = Part(*(np.zeros(shape) for shape in shapes))
        self.put(self.vector)
        self.slopes = self.find_slopes()
        self.origin = None if share_bones(problem.parameters) else (self.vector, self.work.L)

    @property
    def values(self) -> Values:
        """The parameters by name."""
        return unpacked(self.problem.parameters, self.vector)

    @property
    def body(self) -> Tree:
        """The tree with the parameters in it."""
        return self.body_at(self.vector)

    def body_at(self, vector: np.ndarray) -> Tree:
        """The tree with other values."""
        return with_parameters(self.tree, self.problem.parameters, unpacked(self.problem.parameters, vector))

    def layout_at(self, vector: np.ndarray) -> Layout:
        """The layout with other values: the same structure, other bones; from the slopes where it is linear in all."""
        if self.origin is None:
            return lay_out(self.body_at(vector), self.problem, self.work.st.Q)
        at, L = self.origin
        up, site = (np.tensordot(vector - at, slope, axes=1) for slope in (self.slopes.up, self.slopes.site))
        return L._replace(p_up=L.p_up + up, p_site=L.p_site + site)

    def put(self, vector: np.ndarray) -> None:
        """Make the values part of the work: its bones and its cameras."""
        self.work.L = self.layout_at(vector)
        camera, values = np.array(self.work.D.camera), unpacked(self.problem.parameters, vector)
        for k, (pinhole, focal) in enumerate(camera_list(split_terms(self.problem)[0])):
            if focal is not None:
                camera[k, :, CAMERA["focal_px"]] = pinhole.focal_px * (values[focal] / pinhole.focal_px[0])
        self.work.D = self.work.D._replace(camera=camera)

    def find_slopes(self) -> Slopes:
        """The geometry by the parameters, exactly: it is linear in each of them."""
        L, parameters, count = self.work.L, self.problem.parameters, len(self.vector)
        up, site = np.zeros((count, len(L.up), 3)), np.zeros((count, len(L.site_slot), 3))
        of_name = {}
        at = 0
        for parameter in parameters:
            of_name[parameter.name] = at
            if isinstance(parameter, OffsetParameter):
                self._offset_slopes(parameter, site[at : at + 3])
                at += 3
                continue
            if getattr(parameter, "joints", ()) or getattr(parameter, "sites", ()):
                more = self.vector.copy()
                more[at] += 1.0
                other = self.layout_at(more)
                up[at], site[at] = other.p_up - L.p_up, other.p_site - L.p_site
            at += 1
        focal = [-1 if name is None else of_name[name] for _, name in camera_list(split_terms(self.problem)[0])]
        moves = (up != 0).any(axis=(1, 2)) | (site != 0).any(axis=(1, 2))
        return Slopes(up, site, np.array(focal, dtype=np.int64), moves)

    def _offset_slopes(self, parameter: OffsetParameter, out: np.ndarray) -> None:
        """An offset is in the axes of its site's joint."""
        L, index = self.work.L, self.tree.site(parameter.site)
        for u in np.flatnonzero(self.site_index() == index):
            out[:, u] = (L.R_site[u] @ tree_arrays(self.tree).R_site[index].T).T

    def site_index(self) -> np.ndarray:
        """The tree's site behind each of the layout's (u)."""
        L, out = self.work.L, np.full(len(self.work.L.site_slot), -1)
        vectors, turns = split_terms(self.problem)
        for name, sites in (("to_site", L.to_site), ("from_site", L.from_site), ("axes_site", L.axes_site)):
            for m, u in enumerate(sites):
                if u >= 0:
                    out[u] = self.tree.site(_named(vectors[L.row[m]], name))
        for k, u in enumerate(L.turn_site):
            out[u] = self.tree.site(turns[L.turn[k]].site)
        return out

    def evaluate(self, trial: bool, wanted: bool = True) -> float:
        """Cost of the state (of the trial state), priors included; fills the parts' costs, gradients and bands."""
        L, D, st, frames = self.work.L, self.work.D, self.work.st, self.problem.frames
        where = (st.Q_new, st.Rb_new, st.pb_new) if trial else (st.Q, st.Rb, st.pb)
        vector = self.trial if trial else self.vector
        total = 0.5 * float((((vector - self.mean) / self.sigma) ** 2).sum())
        for c in self.components:
            p = self.parts[c]
            p.before[:] = p.cost
            args = (st, wanted, False, p.G, p.A, p.cost, self.work.scratch)
            descend.component_pass(L, D, c, 0, frames, *where, *args)
            total += float(p.cost.sum())
        return total

    def border(self) -> tuple[np.ndarray, np.ndarray]:
        """(corner, gradient) of the parameters at the state, priors included; fills the parts' borders."""
        st, count = self.work.st, len(self.vector)
        C, g = np.zeros((count, count)), np.zeros(count)
        for c in self.components:
            p = self.parts[c]
            border_pass(self.work.L, self.work.D, c, self.slopes, st.Q, st.Rb, st.pb, p.B, C, g, self.work.scratch)
            p.B.reshape(*p.G.shape, count)[self.held(c)] = 0.0
        C[np.diag_indices(count)] += self.sigma**-2.0
        return C, g + (self.vector - self.mean) / self.sigma**2

    def held(self, c: int) -> np.ndarray:
        """Which unknowns (t n) of an evaluated component sit on a limit and are pressed against it."""
        out = np.zeros(self.parts[c].G.shape, dtype=bool)
        mark_held(self.work.L, self.work.D, c, self.work.st.Q, self.parts[c].G, out)
        return out

    def eliminate(self, C: np.ndarray, right: np.ndarray, damping: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """(Schur complement's Cholesky factor, right side) of the parameters; None where a matrix is not positive.

        The bands become their Cholesky factors, B becomes L^-1 B, and the steps L^-1 of minus the gradients.
        """
        S, right = C.copy(), right.copy()
        for c in self.components:
            p = self.parts[c]
            descend.prepare(
                self.work.L, self.work.D, c, 0, self.problem.frames, self.work.st.Q, p.G, damping, p.A, p.step
            )
            if not factor(p.A, len(p.A)):
                return None
            forward(p.A, p.B)
            forward(p.A, p.step.reshape(-1, 1))
            S -= p.B.T @ p.B
            right -= p.B.T @ p.step.reshape(-1)
        try:
            return np.linalg.cholesky(S), right
        except np.linalg.LinAlgError:
            return None

    def step(self, C: np.ndarray, g: np.ndarray) -> np.ndarray | None:
        """The parameters' step; the parts' steps are filled. None where the damping is too small."""
        damped = C.copy()
        damped[np.diag_indices(len(g))] *= 1.0 + self.damping
        reduced = self.eliminate(damped, -g, np.full(self.problem.frames, self.damping))
        if reduced is None:
            return None
        found = cho_solve((reduced[0], True), reduced[1])
        for c in self.components:
            p = self.parts[c]
            flat = p.step.reshape(-1, 1)
            flat[:, 0] -= p.B @ found
            backward(p.A, flat)
        return found

    def run(self) -> int:
        """Solve in place; the number of iterations."""
        st, tolerance = self.work.st, self.problem.tolerance
        before, done, quiet = self.evaluate(False), 0, 0
        C, g = self.border()
        while done < self.problem.max_iterations:
            done += 1
            found = self.step(C, g)
            if found is None:
                self.damping = min(10.0 * self.damping, descend.MOST_DAMPING)
            else:
                expected = -0.5 * float(g @ found) + sum(
                    descend.predicted(self.parts[c].G, self.parts[c].step) for c in self.components
                )
                free = self.damping < 1e-3
                if expected <= 0.1 * tolerance * before and free:
                    st.settled[self.components] = True
                    break
                after = self.move_to(found)
                self.damping = _adapted(self.damping, (before - after) / max(1e-300, expected))
                if after <= before:
                    self.accept()
                    small = before - after < tolerance * max(before, 1e-300)
                    before, quiet = after, quiet + 1 if small else 0
                    if quiet == 2 or (small and free):
                        break
                    C, g = self.border()
                    continue
                self.put(self.vector)
            if self.damping > 1e4:
                break
            quiet = 0
            self.evaluate(False)
            C, g = self.border()
        self.put(self.vector)
        return done

    def move_to(self, found: np.ndarray) -> float:
        """The cost of the trial state, which is written: the parts' steps, and the parameters' as far as they stay
        positive."""
        st, lengths = self.work.st, self.mean > 0
        self.trial = self.vector + found
        self.trial[lengths] = np.maximum(self.trial[lengths], _LEAST_SHARE * self.vector[lengths])
        self.put(self.trial)
        for c in self.components:
            descend.move(
                self.work.L, self.work.D, c, 0, self.problem.frames, self.parts[c].step, st, self.work.scratch.work
            )
        return self.evaluate(True)

    def accept(self) -> None:
        """The trial state becomes the state."""
        L, st, frames = self.work.L, self.work.st, self.problem.frames
        st.damping[:] = self.damping
        for c in self.components:
            p = self.parts[c]
            descend.settle_flags(L, c, 0, frames, p.before, p.cost, float(p.before.sum()), st, p.step)
            descend.copy(L, c, 0, frames, st.Q_new, st.Rb_new, st.pb_new, st.Q, st.Rb, st.pb)
        self.vector = self.trial
        if share_bones(self.problem.parameters):
            self.slopes = self.find_slopes()


def _adapted(damping: float, gain: float) -> float:
    factor_ = 0.2 if gain > 0.7 else 0.5 if gain > 0.2 else 1.0 if gain >= 0.0 else 10.0
    return float(np.clip(damping * factor_, descend.LEAST_DAMPING, descend.MOST_DAMPING))


def _named(term, role: str) -> str:
    """The site behind a row's place in the layout."""
    if role == "to_site" and not hasattr(term, "to_site"):
        return term.site
    if role == "axes_site":
        return getattr(term, "frame_site", None) or term.from_site
    return getattr(term, role)
