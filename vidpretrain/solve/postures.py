"""Postures to retreat to: which joints move, and where to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidpretrain.collision.near import all_distances, least_gaps
from vidpretrain.solve.contact import Collisions
from vidpretrain.solve.problem import Problem
from vidpretrain.tree import Tree

_DRAWN, _TRIED = 24, 3


def targets_of(
    tree: Tree, contact: Collisions, problem: Problem, Q: np.ndarray, columns: np.ndarray
) -> Iterator[np.ndarray]:
    """Motions (t j) that stand where Q (t j) does but for the limbs that touch, which are somewhere clean: at the
    rest of the posture term, then at drawn postures, widest first. `columns` are the joints that may move."""
    moved = _limbs_that_touch(tree, contact, Q, columns)
    if not len(moved):
        return
    lower, upper = tree.bounds()
    rest = np.clip(np.zeros(len(lower)), lower, upper)
    if problem.posture is not None:
        rest = np.array(np.asarray(problem.posture.q_ref, dtype=float).reshape(-1, len(lower))[0])
    yield _with(tree, Q, moved, rest)
    random = np.random.default_rng(0)
    drawn = rest + 0.6 * (
        random.uniform(np.maximum(lower, -np.pi), np.minimum(upper, np.pi), (_DRAWN, len(rest))) - rest
    )
    gaps = np.empty((_DRAWN, len(Q[::4])))
    for i, posture in enumerate(drawn):
        least_gaps(*contact.arrays, _with(tree, Q[::4], moved, posture), 0.05, -np.inf, gaps[i])
    for i in np.argsort(-np.minimum(gaps, 0.02).sum(axis=1), kind="stable")[:_TRIED]:
        yield _with(tree, Q, moved, drawn[i])


def _with(tree: Tree, Q: np.ndarray, moved: np.ndarray, posture: np.ndarray) -> np.ndarray:
    out = Q.copy()
    out[:, moved] = posture[moved]
    follow = np.flatnonzero(tree.mimic_source >= 0)
    source = tree.mimic_source[follow]
    mine = np.isin(source, moved)
    follow, source = follow[mine], source[mine]
    out[:, follow] = out[:, source] * tree.mimic_ratio[follow] + tree.mimic_offset[follow]
    return out


def _limbs_that_touch(tree: Tree, contact: Collisions, Q: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The joints between the pairs that overlap in Q; where arms are among them, without the fingers they carry."""
    gaps = np.empty((len(Q), len(contact.model.pairs)))
    all_distances(*contact.arrays, Q, gaps)
    arrays, own = contact.arrays[0], set(columns.tolist())
    branching = _branching(tree, contact.model.joint)
    out: set[int] = set()
    links = contact.model.joint[contact.model.pairs[(gaps < contact.margin_m).any(axis=0)]]
    for a, b in {(int(a), int(b)) for a, b in links}:
        paths = [set(arrays.path[arrays.path_start[j + 1] : arrays.path_start[j + 2]].tolist()) for j in (a, b)]
        way = {int(arrays.source[j]) for j in paths[0] ^ paths[1]} & own
        carrying = {j for j in way if branching[j]}
        out |= carrying or way
    return np.array(sorted(out), dtype=np.int64)


def _branching(tree: Tree, joint: np.ndarray) -> np.ndarray:
    """True (j) where a joint has two or more children below it that carry capsules of their own."""
    holds = np.zeros(len(tree.joint_names), dtype=bool)
    holds[joint[joint >= 0]] = True
    out, children = np.zeros(len(holds), dtype=bool), np.zeros(len(holds), dtype=np.int64)
    for j in range(len(holds) - 1, -1, -1):
        holds[j] |= children[j] > 0
        up = tree.parent[j]
        if up >= 0:
            children[up] += int(holds[j])
            out[up] |= out[j]
        out[j] |= children[j] > 1
        if up >= 0:
            out[up] |= out[j]
    return out
