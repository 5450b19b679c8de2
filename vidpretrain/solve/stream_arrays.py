"""What a stream is made of: buffers of a frame and of its contacts, and targets as arrays."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from vidpretrain.collision import CollisionModel
from vidpretrain.collision.near import capsule_arrays
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.solve.arrays import Data, Scratch, vector_of
from vidpretrain.solve.frame import Frame
from vidpretrain.solve.frame_apart import ALSO, Near
from vidpretrain.solve.layout import Layout
from vidpretrain.solve.problem import DistanceTerm, FloorTerm, OrientationTerm, PixelTerm, PointTerm, Problem, Term
from vidpretrain.tree import Tree


class Box(NamedTuple):
    """All that a step reads and writes."""

    L: Layout
    D: Data
    s: Scratch
    f: Frame
    K: Near


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


def frame_of(tree: Tree, L: Layout, vector_terms: list[int], turn_terms: list[int]) -> Frame:
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


def near_of(tree: Tree, L: Layout, template: Problem) -> Near:
    """The pairs of the template's shape, or none."""
    shape, arrays, joints, unknowns = (
        template.self_collision,
        tree_arrays(tree),
        len(tree.joint_names),
        len(L.var_column),
    )
    parts = capsule_arrays(_nothing() if shape is None else shape)
    most = len(parts[4])
    widest = 2 * max(1, int(np.diff(arrays.path_start).max(initial=1)))
    return Near(
        arrays,
        *parts,
        column=column_of(tree, L),
        margin=np.array([template.collision_margin_m]),
        full=np.zeros((1, joints)),
        use=np.ones(1, dtype=bool),
        also=np.full(ALSO, -1, dtype=np.int64),
        frame=np.zeros(most, dtype=np.int64),
        pair=np.zeros(most, dtype=np.int64),
        gap=np.zeros(most),
        at=np.zeros(most + 1, dtype=np.int64),
        var=np.zeros(most * widest, dtype=np.int64),
        slope=np.zeros(most * widest),
        inverse=np.zeros((unknowns, unknowns)),
        g=np.zeros(unknowns),
        go=np.zeros(unknowns),
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


def _nothing() -> CollisionModel:
    """A shape that cannot touch itself."""
    none, points = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    return CollisionModel(
        names=(), joint=none, p_joint_start=points, p_joint_end=points, radius_m=np.zeros(0), pairs=none.reshape(0, 2)
    )


def column_of(tree: Tree, L: Layout) -> np.ndarray:
    """The unknown (j) that moves each joint, followers included; -1: none."""
    out = np.full(len(tree.joint_names), -1, dtype=np.int64)
    joints = np.flatnonzero(L.var_column >= 0)
    out[L.var_column[joints]] = joints
    followers = np.flatnonzero(tree.mimic_source >= 0)
    out[followers] = out[tree.mimic_source[followers]]
    return out
