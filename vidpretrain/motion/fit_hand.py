"""A hand alone: wrist, palm and fingers of one size, fitted to all frames of a stretch at once."""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.human import hand_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import bones, clean
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.evidence import hand_terms, pinhole, seen
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.priors import acceleration, posture
from vidpretrain.solve import Problem, Solution, Start, solve_clip
from vidpretrain.tree import Tree
from vidpretrain.types import Camera, PoseTrack


@dataclasses.dataclass(frozen=True)
class FittedHand:
    """A hand's tree, its posture (t j) and palm's pose in the camera (t 7), NaN where it was not seen."""

    tree: Tree
    joint_pos: np.ndarray
    T_camera_palm: np.ndarray
    iterations: int


def fit_hand_alone(track: PoseTrack, hand: Hand, camera: Camera, side: str, config: MotionConfig) -> FittedHand:
    """The hand of every frame in which `hand`, its first guess, is `seen`; each stretch is one solve."""
    tree = hand_tree(side, config.person_height_m)
    t = len(hand.seen)
    joints, pose, iterations = np.full((t, len(tree.joint_names)), np.nan), np.full((t, 7), np.nan), 0
    for start, end in timebase.runs(hand.seen):
        part = slice(start, end)
        solution = _solve(tree, track, hand, camera, side, part, config)
        joints[part], pose[part] = solution.joint_pos, solution.T_world_base
        iterations += solution.iterations
    return FittedHand(tree, joints, pose, iterations)


def hand_points(fitted: FittedHand, side: str) -> np.ndarray:
    """Points (t 21 3) in the camera's frame, NaN where the hand was not seen."""
    out = np.full((len(fitted.joint_pos), 21, 3), np.nan)
    ok = np.isfinite(fitted.T_camera_palm[:, 0])
    names = [f"{side}_hand_{name}" for name in skeletons.HAND_NAMES]
    out[ok] = site_poses(fitted.tree, fitted.joint_pos[ok], fitted.T_camera_palm[ok], names)[..., 4:]
    return out


def _solve(tree, track, hand: Hand, camera, side: str, part: slice, config: MotionConfig) -> Solution:
    frames = part.stop - part.start
    weight = (track.found & ~hand.imputed)[part].astype(float)
    terms = hand_terms(tree, side, seen(track, part, camera, list(range(21))), weight, pinhole(camera), config.fit)
    fit = config.fit
    problem = Problem(
        rate_hz=1.0 / clean.frame_step_s(track.time_ns),
        frames=frames,
        terms=tuple(terms),
        posture=posture(tree, fit),
        acceleration_weight=acceleration(tree, fit),
        free_base=True,
        base_acceleration_weight=(1.0 / fit.hand_acceleration_rad_s2**2, 1.0 / fit.hand_acceleration_m_s2**2),
        max_iterations=fit.iterations,
        tolerance=fit.tolerance,
    )
    start = geometry.pose(bones.palm_turn(hand.p_point[part]), hand.p_wrist[part])
    return solve_clip(tree, problem, Start(joint_pos=np.tile(rest(tree), (frames, 1)), T_world_base=start))
