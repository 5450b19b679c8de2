"""One frame at a time: each solved from the two before it, in bounded time."""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64
from numba import njit

from vidpretrain import geometry
from vidpretrain.collision.near import capsule_arrays
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.solve.arrays import Data, Scratch, data, lay_out, scratch, split_terms, vector_of
from vidpretrain.solve.clip import solve_clip
from vidpretrain.solve.frame import (
    Frame,
    finite,
    from_before,
    keep,
    predict,
    report,
    settle_frame,
    take_targets,
)
from vidpretrain.solve.frame_apart import Near, stay_apart
from vidpretrain.solve.layout import Layout
from vidpretrain.solve.pack import Pack
from vidpretrain.solve.problem import (
    DistanceTerm,
    FloorTerm,
    OrientationTerm,
    PixelTerm,
    PointTerm,
    Problem,
    Start,
    Term,
)
from vidpretrain.tree import Tree

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


class Box(NamedTuple):
    """All that a step reads and writes."""

    L: Layout
    D: Data
    s: Scratch
    f: Frame
    K: Near


@njit(cache=True, error_model="numpy", _nrt=False)
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
        rounds, depth = stay_apart(L, D, s, f, K)
        done += rounds
    keep(L, f)
    report(L, D, f)
    f.out[-3], f.out[-2], f.out[-1] = done, cost, depth


class Stream:
    """A motion that is solved frame by frame as its targets come, for teleoperation and live inference.

    `template` is a `Problem` of one frame: its terms, weights, smoothness and limits; `step` brings the targets. Limits
    of joints and speeds hold in every frame; velocity and acceleration count against the two frames before. A step takes
    at most `iterations` per component, and where links would overlap a few rounds more; it never lets them overlap more
    than in the frame before. A joint that no target moves in a frame slows down and goes home by its posture weight.

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
        self._frame = _frame(tree, L, self._vector_terms, self._turn_terms)
        self._box = Pack(Box(L, D, scratch(L), self._frame, _near(tree, L, template)))
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


def with_targets(template: Problem, vectors, turns, weight, turn_weight) -> Problem:
    """The template with these targets and weights, as `Stream.step` takes them."""
    rows, k, m = [], 0, 0
    for term in template.terms:
        if isinstance(term, OrientationTerm):
            rows.append(
                dataclasses.replace(term, q_world_target=turns[k : k + 1].copy(), weight=turn_weight[k : k + 1])
            )
            k += 1
            continue
        target, own = vectors[m : m + 1].copy(), weight[m : m + 1].copy()
        m += 1
        if isinstance(term, PointTerm):
            rows.append(dataclasses.replace(term, p_world_target=target, weight=own))
        elif isinstance(term, PixelTerm):
            rows.append(dataclasses.replace(term, uv_px=target[:, :2], weight=own))
        elif isinstance(term, DistanceTerm):
            rows.append(dataclasses.replace(term, distance_m=target[:, 0], weight=own))
        elif isinstance(term, FloorTerm):
            rows.append(dataclasses.replace(term, z_world_m=target[:, 2], weight=own))
        else:
            rows.append(dataclasses.replace(term, target_m=target, weight=own))
    return dataclasses.replace(template, terms=tuple(rows))


def targets_of(terms: tuple[Term, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(vectors (t m 3), turns (t k 4), weights (t n)) of terms, frame by frame as `Stream.step` takes them."""
    vectors, turns = [], []
    for term in terms:
        if isinstance(term, OrientationTerm):
            turns.append(term.q_world_target)
        else:
            vectors.append(vector_of(term, len(term.weight)))
    frames = len(terms[0].weight) if terms else 0
    return (
        np.stack(vectors, axis=1).astype(float) if vectors else np.zeros((frames, 0, 3)),
        np.stack(turns, axis=1).astype(float) if turns else np.zeros((frames, 0, 4)),
        np.stack([term.weight for term in terms], axis=1).astype(float) if terms else np.zeros((frames, 0)),
    )


def _frame(tree: Tree, L: Layout, vector_terms: list[int], turn_terms: list[int]) -> Frame:
    joints, unknowns, widest = len(tree.joint_names), len(L.var_column), int(np.diff(L.var_at).max(initial=1))
    vectors, turns, arrays = len(vector_terms), len(turn_terms), tree_arrays(tree)
    return Frame(
        vectors=np.full((vectors, 3), np.nan),
        turns=np.full((turns, 4), np.nan),
        weight=np.zeros(vectors),
        turn_weight=np.zeros(turns),
        Q=np.zeros((1, joints)),
        Rb=np.eye(3)[None].copy(),
        pb=np.zeros((1, 3)),
        q1=np.zeros(joints),
        R1=np.eye(3),
        p1=np.zeros(3),
        ahead=np.zeros(unknowns),
        q0=np.zeros(joints),
        R0=np.eye(3),
        p0=np.zeros(3),
        seen=np.zeros(unknowns, dtype=bool),
        lower=np.full(unknowns, -np.inf),
        upper=np.full(unknowns, np.inf),
        G=np.zeros((1, widest)),
        A=np.zeros((widest, widest + 1)),
        step=np.zeros(widest),
        cost=np.zeros(1),
        left=np.zeros((1, vectors + turns)),
        moved=np.zeros(6),
        turned=np.zeros(3),
        quat=np.zeros(4),
        work=np.zeros((2, 3, 3)),
        source=arrays.source,
        ratio=arrays.ratio,
        offset=arrays.offset,
        follows=np.asarray(tree.mimic_source >= 0).copy(),
        vector_term=np.array(vector_terms, dtype=np.int64),
        turn_term=np.array(turn_terms, dtype=np.int64),
        out=np.zeros(joints + 7 + vectors + turns + 3),
    )


def _near(tree: Tree, L: Layout, template: Problem) -> Near:
    """The pairs of the template's shape, or none."""
    shape, arrays, joints, unknowns = (
        template.self_collision,
        tree_arrays(tree),
        len(tree.joint_names),
        len(L.var_column),
    )
    if shape is None:
        none = np.zeros((0, 3))
        parts = (np.zeros(0, dtype=np.int64), none, none, np.zeros(0), np.zeros((0, 2), dtype=np.int64))
    else:
        parts = capsule_arrays(shape)
    most = len(parts[-1])
    widest = 2 * max(1, int(np.diff(arrays.path_start).max(initial=1)))
    return Near(
        arrays,
        *parts,
        column=column_of(tree, L),
        margin=np.array([template.collision_margin_m]),
        full=np.zeros((1, joints)),
        use=np.ones(1, dtype=bool),
        frame=np.zeros(most, dtype=np.int64),
        pair=np.zeros(most, dtype=np.int64),
        gap=np.zeros(most),
        at=np.zeros(most + 1, dtype=np.int64),
        var=np.zeros(most * widest, dtype=np.int64),
        slope=np.zeros(most * widest),
        inverse=np.zeros((unknowns, unknowns)),
        g=np.zeros(unknowns),
        d=np.zeros(unknowns),
        low=np.zeros(unknowns),
        high=np.zeros(unknowns),
        wall=np.zeros(unknowns),
        force=np.zeros(most),
        Y=np.zeros((most, unknowns)),
        yields=np.zeros(most),
        q=np.zeros(joints),
        R=np.eye(3),
        p=np.zeros(3),
    )


def column_of(tree: Tree, L: Layout) -> np.ndarray:
    """The unknown (j) that moves each joint, followers included; -1: none."""
    out = np.full(len(tree.joint_names), -1, dtype=np.int64)
    joints = np.flatnonzero(L.var_column >= 0)
    out[L.var_column[joints]] = joints
    followers = np.flatnonzero(tree.mimic_source >= 0)
    out[followers] = out[tree.mimic_source[followers]]
    return out
