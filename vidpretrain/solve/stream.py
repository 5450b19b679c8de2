"""One frame at a time: each solved from the two before it, in bounded time."""

from __future__ import annotations

import time

import numba
import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.solve.arrays import data, lay_out, scratch, split_terms
from vidpretrain.solve.clip import solve_clip
from vidpretrain.solve.frame import finite, from_before, keep, predict, report, settle_frame, take_targets
from vidpretrain.solve.frame_apart import stay_apart
from vidpretrain.solve.pack import Pack, entry
from vidpretrain.solve.problem import Problem, Start
from vidpretrain.solve.stream_arrays import Box, frame_of, near_of, targets_of, with_targets
from vidpretrain.tree import Tree

__all__ = ["Stream", "Step", "targets_of"]

_ITERATIONS, _TOLERANCE = 8, 0.1


class Step:
    """What a step answers.

    `joint_pos` (j) has all columns, followers included; `T_world_base` (7); `residual` (terms) is what is left in m or
    rad, NaN where a term had no target; `depth_m` the sum of the overlaps of links; `seconds` what the step took.
    """

    __slots__ = ("_joints", "_out", "seconds")

    def __init__(self, out: np.ndarray, joints: int, seconds: float) -> None:
        self._out, self._joints, self.seconds = out, joints, seconds

    @property
    def joint_pos(self) -> Float64[np.ndarray, " j"]:
        return self._out[: self._joints]

    @property
    def T_world_base(self) -> Float64[np.ndarray, " 7"]:
        return self._out[self._joints : self._joints + 7]

    @property
    def residual(self) -> Float64[np.ndarray, " n"]:
        return self._out[self._joints + 7 : -3]

    @property
    def iterations(self) -> int:
        return int(self._out[-3])

    @property
    def cost(self) -> float:
        return float(self._out[-2])

    @property
    def depth_m(self) -> float:
        return float(self._out[-1])


@entry
def advance(box, iterations, tolerance):
    """Solve the next frame of a box."""
    L, D, s, f, K = box.L, box.D, box.s, box.f, box.K
    take_targets(L, D, f)
    predict(L, D, f)
    done, cost, depth = 0, 0.0, 0.0
    for c in range(len(L.base)):
        own, part = settle_frame(L, D, c, s, f, iterations, tolerance)
        done = max(done, own)
        cost += part
    if not finite(L, f):
        from_before(L, f)
        cost = np.nan
    if len(K.pairs) > 0:
        rounds, depth, cost = stay_apart(L, D, s, f, K, cost)
        done += rounds
    keep(L, f)
    report(L, D, f)
    f.out[-3], f.out[-2], f.out[-1] = done, cost, depth


class Stream:
    """A motion that is solved frame by frame as its targets come, for teleoperation and live inference.

    `template` is a `Problem` of one frame: its terms, weights, smoothness and limits; `step` brings the targets. Limits
    of joints and speeds hold in every frame; velocity and acceleration count against the two frames before. A step
    takes at most `iterations` per component, and where links would overlap a few rounds more; it never lets them
    overlap more than in the frame before. A joint that no target moves in a frame slows down and goes home by its
    posture weight.

    From `start` (one posture) the first step goes wherever the targets are, solved by `solve_clip` in milliseconds;
    with `standing` the robot is there already, and the first step obeys its speed limits too.

    Raises:
        UnknownName: a term names a site that the tree does not have.
        ValueError: the template has more than one frame, the tree other joints than hinges and slides, or shapes or
            limits do not fit.
    """

    def __init__(
        self, tree: Tree, template: Problem, start: Start, *, standing: bool = False, iterations: int = _ITERATIONS
    ) -> None:
        if template.frames != 1:
            raise ValueError(f"a stream's template has one frame, found {template.frames}")
        if set(tree.kind) - {"hinge", "slide"}:
            raise ValueError(f"a stream moves hinges and slides, found {sorted(set(tree.kind))}")
        self._tree, self._template, self._iterations = tree, template, iterations
        vectors, turns = split_terms(template)
        self._places = {id(term): i for i, term in enumerate(template.terms)}
        self._vector_terms = [self._places[id(term)] for term in vectors]
        self._turn_terms = [self._places[id(term)] for term in turns]
        self._weights = [np.array([term.weight[0] for term in kind], dtype=float) for kind in (vectors, turns)]
        Q = np.array(start.joint_pos, dtype=float).reshape(1, -1)
        L = lay_out(tree, template, Q)
        D = data(tree, template, L)
        self._frame = frame_of(tree, L, self._vector_terms, self._turn_terms)
        self._box = Pack(Box(L, D, scratch(L), self._frame, near_of(tree, L, template)))
        kinds = (numba.typeof(self._box), numba.types.int64, numba.types.float64)
        self._advance = advance.compile(
            kinds
        )  # the compiled entry itself: looking types up takes longer than a step's call
        self._limits = (L.var_column, D.lower, D.upper)
        self.vectors, self.turns = self._frame.vectors, self._frame.turns
        self._joints = Q.shape[1]
        self._template_weights()
        self.reset(start, standing=standing)

    def reset(self, start: Start | None = None, *, standing: bool = False) -> None:
        """Begin again from `start` (the one of before without)."""
        self._start = self._start if start is None else start
        Q = np.asarray(self._start.joint_pos, dtype=float)
        base = geometry.IDENTITY_POSE if self._start.T_world_base is None else self._start.T_world_base
        base = np.asarray(base, dtype=float)
        if Q.shape != (self._joints,) or base.shape != (7,) or not (np.isfinite(Q).all() and np.isfinite(base).all()):
            raise ValueError(f"start is {Q.shape} and {base.shape}, wanted finite ({self._joints},) and (7,)")
        self._put(Q, base)
        self._begun = standing

    def step(
        self,
        vectors: Float64[np.ndarray, "m 3"] | None = None,
        turns: Float64[np.ndarray, "k 4"] | None = None,
        *,
        weights: Float64[np.ndarray, " n"] | None = None,
    ) -> Step:
        """The next frame, from targets in the order of the template's terms: `turns` of its orientations, `vectors`
        of all others (a distance or a height as in (d, 0, 0) and (0, 0, z)); None: the same as before.

        `weights` (terms) replace the template's in this frame. A target or weight that is not finite does not count.

        Raises:
            ValueError: shapes are not those of the template.
        """
        begin = time.perf_counter()
        f = self._frame
        if vectors is not None:
            if vectors.shape != f.vectors.shape:
                raise ValueError(f"vectors are {vectors.shape}, wanted {f.vectors.shape}")
            f.vectors[...] = vectors
        if turns is not None:
            if turns.shape != f.turns.shape:
                raise ValueError(f"turns are {turns.shape}, wanted {f.turns.shape}")
            f.turns[...] = turns
        if weights is not None:
            f.weight[...], f.turn_weight[...] = weights[self._vector_terms], weights[self._turn_terms]
            self._own_weights = True
        elif self._own_weights:
            self._template_weights()
        if not self._begun:
            self._begin()
        self._advance(self._box, self._iterations, _TOLERANCE)
        return Step(f.out.copy(), self._joints, time.perf_counter() - begin)

    def _template_weights(self) -> None:
        self._frame.weight[...], self._frame.turn_weight[...] = self._weights
        self._own_weights = False

    def _begin(self) -> None:
        """Go to the first targets at once."""
        f = self._frame
        vectors = np.isfinite(f.vectors).all(axis=1) & np.isfinite(f.weight) & (f.weight > 0)
        turns = np.isfinite(f.turns).all(axis=1) & np.isfinite(f.turn_weight) & (f.turn_weight > 0)
        if not (vectors.any() or turns.any()):
            return
        self._begun = True
        problem = with_targets(self._template, f.vectors, f.turns, f.weight, f.turn_weight)
        found = solve_clip(self._tree, problem, self._start)
        self._put(np.asarray(found.joint_pos[0]), np.asarray(found.T_world_base[0]))

    def _put(self, Q: np.ndarray, base: np.ndarray) -> None:
        """Stand still in a posture."""
        f, (columns, lower, upper) = self._frame, self._limits
        f.q1[...] = Q
        joints = columns >= 0
        f.q1[columns[joints]] = np.clip(Q[columns[joints]], lower[joints], upper[joints])
        f.Q[0] = f.q1
        f.R1[...] = geometry.matrix_from_quat(geometry.normalize(base[:4]))
        f.p1[...] = base[4:]
        f.Rb[0], f.pb[0] = f.R1, f.p1
        f.ahead[...] = 0.0
