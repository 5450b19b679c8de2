"""A `Tree` as the contiguous arrays that the compiled kernels read."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vidpretrain import geometry
from vidpretrain.tree import Tree

SLIDE, HINGE, BALL, BALL_REST = 0, 1, 2, 3


class TreeArrays(NamedTuple):
    """parent (j), hinge (j), R_zero (j 3 3), p_zero (j 3), axis (j 3); sites likewise; the joints that move a site.

    `hinge` is SLIDE or one of the kinds that turn: HINGE, BALL (a ball's first entry), BALL_REST (its other two).
    What hangs on a ball has its last entry as parent here, and each entry's path has all three.
    `path[path_start[i + 1] : path_start[i + 2]]` are the joints between the base and joint i, i included, root
    first; joint -1, the base, has none. `source` (j) and `ratio` (j) say which independent joint moves each joint,
    and how much.
    """

    parent: np.ndarray
    hinge: np.ndarray
    R_zero: np.ndarray
    p_zero: np.ndarray
    axis: np.ndarray
    site_joint: np.ndarray
    R_site: np.ndarray
    p_site: np.ndarray
    path_start: np.ndarray
    path: np.ndarray
    source: np.ndarray
    ratio: np.ndarray
    offset: np.ndarray


def tree_arrays(tree: Tree) -> TreeArrays:
    """The arrays of a tree; unit quaternions and axes are made exactly unit here."""
    return _cached(tree.digest, _Keyed(tree))


class _Keyed:
    """Carries a tree past the cache's key, which is the digest alone."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _cached(digest: str, keyed: _Keyed) -> TreeArrays:
    tree = keyed.tree
    count = len(tree.joint_names)
    kind, carrier = np.array([HINGE if k == "hinge" else SLIDE for k in tree.kind], dtype=np.int64), np.arange(count)
    for j in tree.balls:
        kind[j : j + 3] = BALL, BALL_REST, BALL_REST
        carrier[j : j + 3] = j + 2
    parent, site_joint = np.array(tree.parent, dtype=np.int64), np.array(tree.site_joint, dtype=np.int64)
    outside = (parent >= 0) & (kind != BALL_REST)
    parent[outside] = carrier[parent[outside]]
    site_joint[site_joint >= 0] = carrier[site_joint[site_joint >= 0]]
    paths: list[list[int]] = []
    for j in range(count):
        above = [] if parent[j] < 0 else paths[parent[j]]
        paths.append([*above, j])
    for j in tree.balls:
        paths[j] = paths[j + 1] = paths[j + 2]
    lengths = np.array([0, *(len(path) for path in paths)], dtype=np.int64)
    independent = tree.mimic_source < 0
    return TreeArrays(
        parent=parent,
        hinge=kind,
        R_zero=_matrices(tree.T_parent_zero),
        p_zero=np.array(tree.T_parent_zero[:, 4:], dtype=float).reshape(-1, 3),
        axis=np.ascontiguousarray(geometry.normalize(np.array(tree.axis, dtype=float).reshape(-1, 3))),
        site_joint=site_joint,
        R_site=_matrices(tree.T_joint_site),
        p_site=np.array(tree.T_joint_site[:, 4:], dtype=float).reshape(-1, 3),
        path_start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        path=np.array([j for path in paths for j in path], dtype=np.int64),
        source=np.where(independent, np.arange(count), tree.mimic_source).astype(np.int64),
        ratio=np.where(independent, 1.0, tree.mimic_ratio).astype(float),
        offset=np.where(independent, 0.0, tree.mimic_offset).astype(float),
    )


def _matrices(T: np.ndarray) -> np.ndarray:
    if len(T) == 0:
        return np.zeros((0, 3, 3))
    return np.ascontiguousarray(geometry.matrix_from_quat(geometry.normalize(T[:, :4])))
