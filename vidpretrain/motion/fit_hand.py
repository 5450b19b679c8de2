"""Hands alone: wrist, palm and fingers, fitted to all frames of a stretch at once.

A person's two hands share their proportions (`proportions.py`), which are found first, on a few frames a second.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.human import hand_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import bones, clean
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.evidence import HAND_CENTRE, Seen, hand_terms, hand_weight, pinhole, seen
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.learned import built, marked
from vidpretrain.motion.moving import from_world, to_world
from vidpretrain.motion.priors import acceleration, posture
from vidpretrain.motion.proportions import common, parameters
from vidpretrain.solve import Problem, Solution, Start, solve_clip, with_parameters
from vidpretrain.tree import Tree
from vidpretrain.types import Camera, PoseTrack


@dataclasses.dataclass(frozen=True)
class FittedHand:
    """A hand's tree, its posture (t j) and palm's pose in the camera (t 7), NaN where it was not seen.

    `factors` are those on the bones of a usual hand of its size, by `proportions.GROUPS`.
    """

    tree: Tree
    joint_pos: np.ndarray
    T_camera_palm: np.ndarray
    iterations: int
    factors: dict[str, float]


def fit_hands(
    tracks: dict[str, PoseTrack], hands: dict[str, Hand], camera: Camera, config: MotionConfig, on_body: bool = False
) -> dict[str, FittedHand]:
    """Both hands, by side, in every frame in which they, the first guesses, are `seen`; each stretch is one solve.

    `on_body`: a body is seen whose arms will hold them.
    """
    views = {side: _view(tracks[f"hand21_{side}"], hands[side], camera, side, config, on_body) for side in hands}
    sparse = {side: _sparse(view) for side, view in views.items() if view.hand.seen.any()}
    factors = common([(len(part), found.parameters) for part, found in sparse.values()], on_body)
    return {side: _fitted(view, factors, sparse.get(side)) for side, view in views.items()}


def hand_points(fitted: FittedHand, side: str) -> np.ndarray:
    """Points (t 21 3) in the camera's frame, NaN where the hand was not seen."""
    out = np.full((len(fitted.joint_pos), 21, 3), np.nan)
    ok = np.isfinite(fitted.T_camera_palm[:, 0])
    names = [f"{side}_hand_{name}" for name in skeletons.HAND_NAMES]
    out[ok] = site_poses(fitted.tree, fitted.joint_pos[ok], fitted.T_camera_palm[ok], names)[..., 4:]
    return out


@dataclasses.dataclass(frozen=True)
class _View:
    """A hand and what was seen of it."""

    hand: Hand
    track: PoseTrack
    camera: Camera
    side: str
    config: MotionConfig
    on_body: bool
    weight: np.ndarray
    look: Seen


def _view(track: PoseTrack, hand: Hand, camera: Camera, side: str, config: MotionConfig, on_body: bool) -> _View:
    weight = hand_weight(hand, track, config)
    return _View(hand, track, camera, side, config, on_body, weight, seen(track, weight == 1.0, camera, HAND_CENTRE))


def _sparse(view: _View) -> tuple[np.ndarray, Solution]:
    """(frames, solution) of a few frames a second of the longest stretch, the proportions among the unknowns."""
    start, end = max(timebase.runs(view.hand.seen), key=lambda run: run[1] - run[0])
    rate_hz = 1.0 / clean.frame_step_s(view.track.time_ns)
    stride = max(1, min(round(rate_hz / view.config.fit.proportions_rate_hz), (end - start) // 8))
    part = slice(start, end, stride)
    tree = marked(built(hand_tree(view.side, view.config.person_height_m), view.config), view.config)
    unknown = parameters(tree, (view.side,), view.config.fit.proportions_sigma)
    problem = dataclasses.replace(_problem(tree, view, part, rate_hz / stride), parameters=unknown)
    return np.arange(start, end, stride), solve_clip(tree, problem, _start(tree, view, part))


def _fitted(view: _View, factors: dict[str, float], sparse: tuple[np.ndarray, Solution] | None) -> FittedHand:
    tree = built(hand_tree(view.side, view.config.person_height_m), view.config)
    if factors:
        tree = with_parameters(tree, parameters(tree, (view.side,), 1.0), dict(factors))
    looks = marked(tree, view.config)
    t = len(view.hand.seen)
    joints, pose, iterations = np.full((t, len(tree.joint_names)), np.nan), np.full((t, 7), np.nan), 0
    for start, end in timebase.runs(view.hand.seen):
        part = slice(start, end)
        first = _start(looks, view, part)
        if sparse is not None and start <= sparse[0][0] < end:
            first = _between(*sparse, np.arange(start, end))
        problem = _problem(looks, view, part, 1.0 / clean.frame_step_s(view.track.time_ns))
        solution = solve_clip(looks, problem, first)
        joints[part], pose[part] = solution.joint_pos, from_world(view.camera, solution.T_world_base, part)
        iterations += solution.iterations
    return FittedHand(tree, joints, pose, iterations, factors)


def _problem(tree: Tree, view: _View, part: slice, rate_hz: float) -> Problem:
    fit, lens = view.config.fit, pinhole(view.camera, part)
    look, weight = view.look.cut(part), view.weight[part]
    return Problem(
        rate_hz=rate_hz,
        frames=len(weight),
        terms=tuple(hand_terms(tree, view.side, look, weight, lens, fit, on_body=view.on_body)),
        posture=posture(tree, fit),
        acceleration_weight=acceleration(tree, fit),
        free_base=True,
        base_acceleration_weight=(1.0 / fit.hand_acceleration_rad_s2**2, 1.0 / fit.hand_acceleration_m_s2**2),
        max_iterations=fit.iterations,
        tolerance=fit.tolerance,
    )


def _start(tree: Tree, view: _View, part: slice) -> Start:
    """From the first guess of the frames `part`."""
    points, wrist = view.hand.p_point[part], view.hand.p_wrist[part]
    base = to_world(view.camera, geometry.pose(bones.palm_turn(points), wrist), part)
    return Start(joint_pos=bent(tree, view.side, points), T_world_base=base)


def _between(known: np.ndarray, found: Solution, frames: np.ndarray) -> Start:
    """From the solution of a few frames, the last of them held to the end."""
    frames = np.minimum(frames, known[-1])
    return Start(
        joint_pos=timebase.interpolate(known, found.joint_pos, frames),
        T_world_base=timebase.interpolate_pose(known, found.T_world_base, frames),
    )


def bent(tree: Tree, side: str, points: Float64[np.ndarray, "t 21 3"]) -> Float64[np.ndarray, "t j"]:
    """Postures whose four fingers bend about as the bones between the points do; the thumb at rest.

    A start for the fit: from a relaxed hand a fist is not found.
    """
    q = np.tile(rest(tree), (len(points), 1))
    turn = geometry.quat_inverse(bones.palm_turn(points))
    along = geometry.rotate(turn[:, None], bones.hand_directions(points))
    palmwards = -1.0 if side == "right" else 1.0
    for number, finger in enumerate(("index", "middle", "ring", "pinky"), start=1):
        first, second = along[:, 4 * number + 2], along[:, 4 * number + 3]
        knuckle = np.arctan2(palmwards * first[:, 2], first[:, 0])
        middle = np.arctan2(palmwards * second[:, 2], second[:, 0]) - knuckle
        q[:, tree.joint(f"{side}_{finger}_mcp_flex")] = np.where(knuckle < -np.pi / 2, np.pi, knuckle)
        q[:, tree.joint(f"{side}_{finger}_pip_flex")] = (middle + np.pi / 2) % (2 * np.pi) - np.pi / 2
    return tree.with_mimic(np.clip(q, tree.lower, tree.upper))
