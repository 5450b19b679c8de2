"""A `Problem` as the contiguous arrays that the compiled kernels read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vidpretrain import geometry
from vidpretrain.solve.problem import OrientationTerm, PointTerm, Problem, VectorTerm
from vidpretrain.tree import Tree

WORLD = -1


class Terms(NamedTuple):
    """Rows of residuals: m vectors between two sites (or from the world's origin), k orientations, the posture.

    A frame without a target has weight 0 and a target of zeros (of identity).
    """

    order: np.ndarray  # joints that any row needs, parents first
    sites: np.ndarray  # (u), the sites that any row needs; the rows below count in these
    from_site: np.ndarray  # (m), WORLD: the world's origin
    to_site: np.ndarray  # (m)
    frame_site: np.ndarray  # (m), WORLD: the world's axes
    vector: np.ndarray  # (t m 3)
    vector_weight: np.ndarray  # (t m)
    vector_huber: np.ndarray  # (m)
    turn_site: np.ndarray  # (k)
    turn: np.ndarray  # (t k 3 3)
    turn_weight: np.ndarray  # (t k)
    turn_huber: np.ndarray  # (k)
    posture: np.ndarray  # (t v)
    posture_weight: np.ndarray  # (v)


class Variables(NamedTuple):
    """The unknowns of a frame: six of the base (turn, then shift) when it is free, then the active joints."""

    base: int  # 6 or 0
    joint: np.ndarray  # (v - base), the joint of each variable after the base's
    column: np.ndarray  # (j), the variable that moves each joint, -1: none
    lower: np.ndarray  # (v)
    upper: np.ndarray  # (v)
    velocity: np.ndarray  # (v), weight times rate^2
    acceleration: np.ndarray  # (v), weight times rate^4
    step: np.ndarray  # (v), largest change from frame to frame, inf: free


def variables(tree: Tree, problem: Problem, start: np.ndarray) -> Variables:
    """The unknowns of a problem.

    Raises:
        ValueError: a per-joint array has another width than the tree, or limits contradict each other.
    """
    count = len(tree.joint_names)
    active = np.ones(count, dtype=bool) if problem.active_joints is None else np.asarray(problem.active_joints)
    _width(count, active_joints=active)
    joint = np.flatnonzero(active & tree.independent)
    base = 6 if problem.free_base else 0
    column = np.full(count, -1, dtype=np.int64)
    column[joint] = base + np.arange(len(joint))
    followers = np.flatnonzero(tree.mimic_source >= 0)
    column[followers] = column[tree.mimic_source[followers]]
    lower, upper = _bounds(tree, problem, joint)
    rate = problem.rate_hz
    free = np.zeros(base)
    return Variables(
        base=base,
        joint=joint,
        column=column,
        lower=np.concatenate([free - np.inf, lower[joint]]),
        upper=np.concatenate([free + np.inf, upper[joint]]),
        velocity=_smoothness(problem.velocity_weight, problem.base_velocity_weight, base, joint, count) * rate**2,
        acceleration=_smoothness(problem.acceleration_weight, problem.base_acceleration_weight, base, joint, count)
        * rate**4,
        step=np.concatenate([free + np.inf, _speed(tree, problem)[joint] / rate]),
    )


def _width(count: int, **arrays: np.ndarray | None) -> None:
    for name, array in arrays.items():
        if array is not None and np.shape(array) != (count,):
            raise ValueError(f"{name} is {np.shape(array)}, wanted ({count},)")


def _bounds(tree: Tree, problem: Problem, joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = tree.bounds()
    _width(len(lower), lower=problem.lower, upper=problem.upper)
    if problem.lower is not None:
        lower = np.maximum(lower, problem.lower)
    if problem.upper is not None:
        upper = np.minimum(upper, problem.upper)
    bad = [tree.joint_names[j] for j in joint if not lower[j] <= upper[j]]
    if bad:
        raise ValueError(f"no position is inside the limits of {bad}")
    return lower, upper


def _smoothness(weight, base_weight: tuple[float, float], base: int, joint: np.ndarray, count: int) -> np.ndarray:
    _width(count, smoothness=weight)
    joints = np.zeros(len(joint)) if weight is None else np.asarray(weight, dtype=float)[joint]
    return np.concatenate([np.repeat(base_weight, 3)[:base], joints])


def _speed(tree: Tree, problem: Problem) -> np.ndarray:
    """Largest speed of each joint, sources held back for their followers."""
    count = len(tree.joint_names)
    if problem.max_speed is None:
        return np.full(count, np.inf)
    _width(count, max_speed=problem.max_speed)
    speed = np.array(problem.max_speed, dtype=float)
    for j in np.flatnonzero((tree.mimic_source >= 0) & (tree.mimic_ratio != 0)):
        s = tree.mimic_source[j]
        speed[s] = min(speed[s], speed[j] / abs(tree.mimic_ratio[j]))
    if not (speed > 0).all():
        raise ValueError("max_speed is not positive everywhere")
    return speed


def terms(tree: Tree, problem: Problem, var: Variables) -> Terms:
    """The residual rows of a problem; points and vectors in the order of `problem.terms`, likewise orientations.

    Raises:
        UnknownName: a term names a site that the tree does not have.
        ValueError: a target or weight does not have `problem.frames` frames.
    """
    vectors = [term for term in problem.terms if isinstance(term, PointTerm | VectorTerm)]
    turns = [term for term in problem.terms if isinstance(term, OrientationTerm)]
    targets = [t.p_world_target if isinstance(t, PointTerm) else t.target_m for t in vectors]
    vector, vector_weight = _targets(targets, [t.weight for t in vectors], problem.frames, 3)
    quats, turn_weight = _targets([t.q_world_target for t in turns], [t.weight for t in turns], problem.frames, 4)
    zero = np.linalg.norm(quats, axis=-1) < 1e-9
    turn_weight[zero] = 0.0
    quats[zero] = [1.0, 0, 0, 0]
    names = [
        [None if isinstance(t, PointTerm) else t.from_site for t in vectors],
        [t.site if isinstance(t, PointTerm) else t.to_site for t in vectors],
        [None if isinstance(t, PointTerm) else t.frame_site for t in vectors],
        [t.site for t in turns],
    ]
    used = sorted({tree.site(name) for row in names for name in row if name is not None})
    place = {tree.site_names[site]: u for u, site in enumerate(used)}
    from_site, to_site, frame_site, turn_site = (
        np.array([WORLD if name is None else place[name] for name in row], dtype=np.int64) for row in names
    )
    return Terms(
        order=_order(tree, used),
        sites=np.array(used, dtype=np.int64),
        from_site=from_site,
        to_site=to_site,
        frame_site=frame_site,
        vector=vector,
        vector_weight=vector_weight,
        vector_huber=_huber([t.huber_m for t in vectors]),
        turn_site=turn_site,
        turn=np.ascontiguousarray(geometry.matrix_from_quat(geometry.normalize(quats))),
        turn_weight=turn_weight,
        turn_huber=_huber([t.huber_rad for t in turns]),
        posture=_posture(problem, var)[0],
        posture_weight=_posture(problem, var)[1],
    )


def _targets(targets: list, weights: list, frames: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    out, out_weight = np.zeros((frames, len(targets), width)), np.zeros((frames, len(targets)))
    for i, (target, weight) in enumerate(zip(targets, weights, strict=True)):
        if np.shape(target) != (frames, width) or np.shape(weight) != (frames,):
            raise ValueError(
                f"term {i}: target {np.shape(target)} and weight {np.shape(weight)}, "
                f"wanted ({frames}, {width}) and ({frames},)"
            )
        known = np.isfinite(target).all(axis=1) & np.isfinite(weight) & (np.nan_to_num(weight) > 0)
        out[known, i], out_weight[known, i] = target[known], weight[known]
    return out, out_weight


def _order(tree: Tree, sites: list[int]) -> np.ndarray:
    """Joints between the base and the sites, parents first."""
    needed = np.zeros(len(tree.joint_names), dtype=bool)
    for site in sites:
        j = int(tree.site_joint[site])
        while j >= 0:
            needed[j] = True
            j = int(tree.parent[j])
    return np.flatnonzero(needed).astype(np.int64)


def _huber(limits: list[float | None]) -> np.ndarray:
    return np.array([np.inf if limit is None else limit for limit in limits], dtype=float)


def _posture(problem: Problem, var: Variables) -> tuple[np.ndarray, np.ndarray]:
    width = len(var.lower)
    out, weight = np.zeros((problem.frames, width)), np.zeros(width)
    if problem.posture is not None:
        ref = np.asarray(problem.posture.q_ref, dtype=float)
        ref = np.broadcast_to(ref, (problem.frames, ref.shape[-1]))
        out[:, var.base :] = ref[:, var.joint]
        weight[var.base :] = np.asarray(problem.posture.weight, dtype=float)[var.joint]
        if not (np.isfinite(out).all() and np.isfinite(weight).all()):
            raise ValueError("the posture or its weight is not finite")
    return out, weight
