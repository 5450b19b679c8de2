"""A hand alone: wrist, palm and fingers of one size, fitted to all frames of a stretch at once."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.human import hand_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import bones, clean
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.evidence import HAND_CENTRE, hand_terms, hand_weight, pinhole, seen
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.moving import from_world, to_world
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


def fit_hand_alone(
    track: PoseTrack, hand: Hand, camera: Camera, side: str, config: MotionConfig, on_body: bool = False
) -> FittedHand:
    """The hand of every frame in which `hand`, its first guess, is `seen`; each stretch is one solve.

    `on_body`: a body is seen whose arm will hold it.
    """
    tree = hand_tree(side, config.person_height_m)
    t = len(hand.seen)
    joints, pose, iterations = np.full((t, len(tree.joint_names)), np.nan), np.full((t, 7), np.nan), 0
    for start, end in timebase.runs(hand.seen):
        part = slice(start, end)
        solution = _solve(tree, track, hand, camera, side, part, config, on_body)
        joints[part], pose[part] = solution.joint_pos, from_world(camera, solution.T_world_base, part)
        iterations += solution.iterations
    return FittedHand(tree, joints, pose, iterations)


def hand_points(fitted: FittedHand, side: str) -> np.ndarray:
    """Points (t 21 3) in the camera's frame, NaN where the hand was not seen."""
    out = np.full((len(fitted.joint_pos), 21, 3), np.nan)
    ok = np.isfinite(fitted.T_camera_palm[:, 0])
    names = [f"{side}_hand_{name}" for name in skeletons.HAND_NAMES]
    out[ok] = site_poses(fitted.tree, fitted.joint_pos[ok], fitted.T_camera_palm[ok], names)[..., 4:]
    return out


def _solve(tree, track, hand: Hand, camera, side: str, part: slice, config: MotionConfig, on_body: bool) -> Solution:
    fit = config.fit
    weight = hand_weight(hand, track, config)
    look = seen(track, weight == 1.0, camera, HAND_CENTRE)
    problem = Problem(
        rate_hz=1.0 / clean.frame_step_s(track.time_ns),
        frames=part.stop - part.start,
        terms=tuple(hand_terms(tree, side, look.cut(part), weight[part], pinhole(camera, part), fit, on_body=on_body)),
        posture=posture(tree, fit),
        acceleration_weight=acceleration(tree, fit),
        free_base=True,
        base_acceleration_weight=(1.0 / fit.hand_acceleration_rad_s2**2, 1.0 / fit.hand_acceleration_m_s2**2),
        max_iterations=fit.iterations,
        tolerance=fit.tolerance,
    )
    start = to_world(camera, geometry.pose(bones.palm_turn(hand.p_point[part]), hand.p_wrist[part]), part)
    return solve_clip(tree, problem, Start(joint_pos=bent(tree, side, hand.p_point[part]), T_world_base=start))


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
