"""A `Problem` as the contiguous arrays that the compiled kernels read, in the order of its layout."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vidpretrain import geometry
from vidpretrain.solve.layout import WORLD, Layout, Rows, layout
from vidpretrain.solve.parameters import FocalParameter
from vidpretrain.solve.problem import (
    DistanceTerm,
    FloorTerm,
    OrientationTerm,
    PinholeCamera,
    PixelTerm,
    PointTerm,
    Problem,
)
from vidpretrain.solve.rows import CAUCHY, DISTANCE, FLOOR, HUBER, PLAIN, REPROJECT, TUKEY, VECTOR
from vidpretrain.tree import Tree

AIM = 0.995  # of the speed limit, so that the projection has next to nothing to do
CAMERA = {
    "R_camera_world": slice(0, 9), "p_world_camera": slice(9, 12), "focal_px": slice(12, 14),
    "center_px": slice(14, 16), "near_m": slice(16, 17),
}  # fmt: skip
"""What the 17 numbers of a camera are: one array, because every array handed from kernel to kernel costs time."""
_MODE = {FloorTerm: FLOOR, DistanceTerm: DISTANCE, PixelTerm: REPROJECT}
_LOSS = {"huber": HUBER, "cauchy": CAUCHY, "tukey": TUKEY}


class Data(NamedTuple):
    """Targets, weights and limits: vector rows (t m), orientations (t k), unknowns (v).

    A frame without a target has weight 0 and a target of zeros (of identity).
    """

    target: np.ndarray  # (t m 3)
    weight: np.ndarray  # (t m)
    mode: np.ndarray  # (m)
    loss: np.ndarray  # (m)
    scale: np.ndarray  # (m)
    turn: np.ndarray  # (t k 3 3)
    turn_weight: np.ndarray  # (t k)
    turn_loss: np.ndarray  # (k)
    turn_scale: np.ndarray  # (k)
    posture: np.ndarray  # (t v)
    posture_weight: np.ndarray  # (v)
    lower: np.ndarray  # (v)
    upper: np.ndarray  # (v)
    velocity: np.ndarray  # (v), weight times rate^2
    acceleration: np.ndarray  # (v), weight times rate^4
    step: np.ndarray  # (v), largest change from frame to frame, inf: free
    aim: np.ndarray  # (v), what the solver aims at below `step`
    camera: np.ndarray  # (k t 17), the cameras of the pixel rows, see CAMERA


class Scratch(NamedTuple):
    """Buffers of one frame's evaluation; row 0 of R and p is the component's root."""

    R: np.ndarray
    p: np.ndarray
    S: np.ndarray
    P: np.ndarray
    J: np.ndarray
    C: np.ndarray
    B: np.ndarray
    F: np.ndarray
    r: np.ndarray
    d: np.ndarray
    work: np.ndarray
    quat: np.ndarray


def scratch(L: Layout) -> Scratch:
    """Buffers wide enough for every component."""
    frames = int(np.diff(L.frame_at).max(initial=0))
    widest = int(np.diff(L.var_at).max(initial=0)) + 6
    levers = int(max(np.diff(L.lever_at).max(initial=0), np.diff(L.turn_lever_at).max(initial=0)))
    return Scratch(
        R=np.zeros((frames + 1, 3, 3)),
        p=np.zeros((frames + 1, 3)),
        S=np.zeros((len(L.site_slot), 3, 3)),
        P=np.zeros((len(L.site_slot), 3)),
        J=np.zeros((widest, 3)),
        C=np.zeros((levers, 3)),
        B=np.zeros((widest, widest)),
        F=np.zeros((widest, widest)),
        r=np.zeros(3),
        d=np.zeros(3),
        work=np.zeros((2, 3, 3)),
        quat=np.zeros(4),
    )


def split_terms(problem: Problem) -> tuple[list, list]:
    """The problem's vector rows and its orientations, each in their order."""
    vectors = [term for term in problem.terms if not isinstance(term, OrientationTerm)]
    return vectors, [term for term in problem.terms if isinstance(term, OrientationTerm)]


def active_joints(tree: Tree, problem: Problem) -> np.ndarray:
    """True where a joint is an unknown."""
    count = len(tree.joint_names)
    active = np.ones(count, dtype=bool) if problem.active_joints is None else np.asarray(problem.active_joints, bool)
    _width(count, active_joints=active)
    for j in tree.balls:
        if len(set(active[j : j + 3].tolist())) > 1:
            raise ValueError(f"a ball is active as a whole or not at all: {tree.joint_names[j]}")
    return active & tree.independent


def lay_out(tree: Tree, problem: Problem, Q: np.ndarray) -> Layout:
    """The structure of a problem.

    Raises:
        UnknownName: a term names a site that the tree does not have.
    """
    vectors, turns = split_terms(problem)
    to, frm, axes = [], [], []
    for term in vectors:
        if isinstance(term, PointTerm | FloorTerm | PixelTerm):
            names = (term.site, None, None)
        elif isinstance(term, DistanceTerm):
            names = (term.to_site, term.from_site, term.from_site)  # a length is the same in any axes
        else:
            names = (term.to_site, term.from_site, term.frame_site)
        for row, name in zip((to, frm, axes), names, strict=True):
            row.append(WORLD if name is None else tree.site(name))
    rows = Rows(tuple(to), tuple(frm), tuple(axes), tuple(tree.site(term.site) for term in turns))
    return layout(tree, rows, active_joints(tree, problem), problem.free_base, Q)


def data(tree: Tree, problem: Problem, L: Layout) -> Data:
    """Targets, weights and limits of a problem.

    Raises:
        ValueError: a target, weight or limit has another shape than wanted, or limits contradict each other.
    """
    vectors, turns = split_terms(problem)
    places = {id(term): i for i, term in enumerate(problem.terms)}
    target, weight = _targets(
        _vectors(vectors, problem.frames), vectors, [places[id(t)] for t in vectors], problem.frames, 3
    )
    quats, turn_weight = _targets(
        [t.q_world_target for t in turns], turns, [places[id(t)] for t in turns], problem.frames, 4
    )
    zero = np.linalg.norm(quats, axis=-1) < 1e-9
    turn_weight[zero] = 0.0
    quats[zero] = [1.0, 0, 0, 0]
    turn = geometry.matrix_from_quat(geometry.normalize(quats)) if turns else np.zeros((problem.frames, 0, 3, 3))
    mode = [_MODE.get(type(t), VECTOR) for t in vectors]
    loss, scale = _losses(vectors)
    turn_loss, turn_scale = _losses(turns)
    posture, posture_weight = _posture(problem, L)
    return Data(
        target=np.take(target, L.row, axis=1),
        weight=np.take(weight, L.row, axis=1),
        mode=np.array(mode, dtype=np.int64)[L.row],
        loss=loss[L.row],
        scale=scale[L.row],
        turn=np.take(turn, L.turn, axis=1),
        turn_weight=np.take(turn_weight, L.turn, axis=1),
        turn_loss=turn_loss[L.turn],
        turn_scale=turn_scale[L.turn],
        posture=posture,
        posture_weight=posture_weight,
        camera=_cameras(vectors, problem),
        **_limits(tree, problem, L),
    )


def _limits(tree: Tree, problem: Problem, L: Layout) -> dict[str, np.ndarray]:
    count, rate = len(tree.joint_names), problem.rate_hz
    lower, upper = _bounds(tree, problem)
    step = _of_unknowns(L, _speed(tree, problem) / rate, np.full(6, np.inf))
    base_velocity = np.repeat(problem.base_velocity_weight, 3)
    base_acceleration = np.repeat(problem.base_acceleration_weight, 3)
    return {
        "lower": _of_unknowns(L, lower, np.full(6, -np.inf)),
        "upper": _of_unknowns(L, upper, np.full(6, np.inf)),
        "velocity": _of_unknowns(L, _smoothness(problem.velocity_weight, count), base_velocity) * rate**2,
        "acceleration": _of_unknowns(L, _smoothness(problem.acceleration_weight, count), base_acceleration) * rate**4,
        "step": step,
        "aim": AIM * step,
    }


def _of_unknowns(L: Layout, of_joints: np.ndarray, of_base: np.ndarray) -> np.ndarray:
    """Values by unknown, from values by joint and by the base's six."""
    i = L.var_column
    return np.where(i >= 0, of_joints[np.maximum(i, 0)], np.asarray(of_base, dtype=float)[np.maximum(-1 - i, 0) % 6])


def _width(count: int, **arrays: np.ndarray | None) -> None:
    for name, array in arrays.items():
        if array is not None and np.shape(array) != (count,):
            raise ValueError(f"{name} is {np.shape(array)}, wanted ({count},)")


def _bounds(tree: Tree, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = tree.bounds()
    _width(len(lower), lower=problem.lower, upper=problem.upper)
    if problem.lower is not None:
        lower = np.maximum(lower, problem.lower)
    if problem.upper is not None:
        upper = np.minimum(upper, problem.upper)
    bad = [tree.joint_names[j] for j in np.flatnonzero(active_joints(tree, problem)) if not lower[j] <= upper[j]]
    if bad:
        raise ValueError(f"no position is inside the limits of {bad}")
    return lower, upper


def _smoothness(weight: np.ndarray | None, count: int) -> np.ndarray:
    _width(count, smoothness=weight)
    return np.zeros(count) if weight is None else np.asarray(weight, dtype=float)


def _speed(tree: Tree, problem: Problem) -> np.ndarray:
    """Largest speed of each joint, sources held back for their followers; of a ball, the least of its three."""
    count = len(tree.joint_names)
    if problem.max_speed is None:
        return np.full(count, np.inf)
    _width(count, max_speed=problem.max_speed)
    speed = np.array(problem.max_speed, dtype=float)
    for j in np.flatnonzero((tree.mimic_source >= 0) & (tree.mimic_ratio != 0)):
        s = tree.mimic_source[j]
        speed[s] = min(speed[s], speed[j] / abs(tree.mimic_ratio[j]))
    for j in tree.balls:
        speed[j : j + 3] = speed[j : j + 3].min()
    if not (speed > 0).all():
        raise ValueError("max_speed is not positive everywhere")
    return speed


def _vectors(vectors: list, frames: int) -> list[np.ndarray]:
    """The vector rows' targets (t 3); a pixel row's is u, v and its camera's place."""
    places = {(id(camera), focal): k for k, (camera, focal) in enumerate(camera_list(vectors))}
    out = []
    for term in vectors:
        if not isinstance(term, PixelTerm):
            out.append(vector_of(term, frames))
        elif np.shape(term.uv_px) == (frames, 2):
            place = np.full((frames, 1), float(places[id(term.camera), term.focal]))
            out.append(np.concatenate([term.uv_px, place], axis=1))
        else:
            out.append(term.uv_px)  # refused by its shape
    return out


def vector_of(term, frames: int) -> np.ndarray:
    """A vector row's target (t 3)."""
    if isinstance(term, PointTerm):
        return term.p_world_target
    if isinstance(term, DistanceTerm | FloorTerm):
        value = np.asarray(term.distance_m if isinstance(term, DistanceTerm) else term.z_world_m, dtype=float)
        if value.shape not in ((), (frames,)):
            return value  # refused by its shape
        place = 0 if isinstance(term, DistanceTerm) else 2
        out = np.zeros((frames, 3))
        out[:, place] = value
        return out
    return term.target_m


def _targets(targets: list, terms: list, places: list[int], frames: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    for i, target, term in zip(places, targets, terms, strict=True):
        if np.shape(target) != (frames, width) or np.shape(term.weight) != (frames,):
            raise ValueError(
                f"term {i}: target {np.shape(target)} and weight {np.shape(term.weight)}, "
                f"wanted ({frames}, {width}) and ({frames},)"
            )
    out, weight = np.empty((frames, len(terms), width)), np.empty((frames, len(terms)))
    for i, (target, term) in enumerate(zip(targets, terms, strict=True)):
        out[:, i], weight[:, i] = target, term.weight
    known = np.isfinite(sum((out[..., i] for i in range(width)), weight)) & (weight > 0)
    if not known.all():
        out[~known], weight[~known] = 0.0, 0.0
    return out, weight


def camera_list(vectors: list) -> list[tuple[PinholeCamera, str | None]]:
    """The different cameras of the pixel rows, each with the name of its focal length's parameter."""
    return list({(id(t.camera), t.focal): (t.camera, t.focal) for t in vectors if isinstance(t, PixelTerm)}.values())


def _cameras(vectors: list, problem: Problem) -> np.ndarray:
    """The cameras (k t 17); focal lengths that are parameters stand at their priors."""
    every, frames = camera_list(vectors), problem.frames
    focal_px = {p.name: p.prior_px for p in problem.parameters if isinstance(p, FocalParameter)}
    out = np.zeros((len(every), frames, 17))
    for row, (camera, focal) in zip(out, every, strict=True):
        pose = np.asarray(camera.T_world_camera, dtype=float)
        if pose.shape not in ((7,), (frames, 7)) or not np.isfinite(pose).all():
            raise ValueError(f"T_world_camera is {pose.shape} or not finite, wanted (7,) or ({frames}, 7)")
        R = geometry.matrix_from_quat(geometry.quat_inverse(geometry.normalize(pose[..., :4])))
        row[:, CAMERA["R_camera_world"]] = R.reshape(*pose.shape[:-1], 9)
        row[:, CAMERA["p_world_camera"]] = pose[..., 4:]
        known = camera.focal_px if focal is None else camera.focal_px * (focal_px[focal] / camera.focal_px[0])
        row[:, CAMERA["focal_px"]] = known
        row[:, CAMERA["center_px"]] = camera.center_px
        row[:, CAMERA["near_m"]] = camera.near_m
    return out


def _scale(term) -> float | None:
    if isinstance(term, PixelTerm):
        return term.huber_px
    return term.huber_rad if isinstance(term, OrientationTerm) else term.huber_m


def _losses(terms: list) -> tuple[np.ndarray, np.ndarray]:
    scale = [_scale(t) for t in terms]
    kind = [PLAIN if s is None else _LOSS[t.loss] for t, s in zip(terms, scale, strict=True)]
    return np.array(kind, dtype=np.int64), np.array([1.0 if s is None else s for s in scale], dtype=float)


def _posture(problem: Problem, L: Layout) -> tuple[np.ndarray, np.ndarray]:
    out, weight = np.zeros((problem.frames, len(L.var_column))), np.zeros(len(L.var_column))
    if problem.posture is not None:
        joints = np.flatnonzero(L.var_column >= 0)
        columns = L.var_column[joints]
        ref = np.asarray(problem.posture.q_ref, dtype=float)
        out[:, joints] = np.broadcast_to(ref[..., columns], (problem.frames, len(columns)))
        weight[joints] = np.asarray(problem.posture.weight, dtype=float)[columns]
        if not (np.isfinite(out).all() and np.isfinite(weight).all()):
            raise ValueError("the posture or its weight is not finite")
    return out, weight
