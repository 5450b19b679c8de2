"""One articulated human over a clip: the body and both hands fitted to everything that was seen of them.

Unknown are the pelvis' pose and all joints but the fingers', which are carried over from `fit_hand_alone`, so that the
hands' points and the body's points decide together where the wrists are.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.human import FINGER_JOINTS, human_tree, rest
from vidpretrain.motion import clean
from vidpretrain.motion.body import HIPS, SHOULDERS, Body, trusted
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.evidence import body_terms, hand_terms, pinhole, seen
from vidpretrain.motion.fit_hand import FittedHand
from vidpretrain.motion.hands import Hand, found
from vidpretrain.motion.priors import acceleration, posture
from vidpretrain.solve import Problem, Start, solve_clip
from vidpretrain.tree import Tree
from vidpretrain.types import Camera, PoseTrack

_LEGS = ("hip", "knee", "ankle", "toes")
_KNEES_DOWN = slice(25, 33)


@dataclasses.dataclass(frozen=True)
class FittedBody:
    """The human's tree, its posture (t j) and pelvis in the camera (t 7), NaN where nobody was seen."""

    tree: Tree
    joint_pos: np.ndarray
    T_camera_pelvis: np.ndarray
    legs: bool
    iterations: int


def fit_body(
    tracks: dict[str, PoseTrack],
    body: Body,
    hands: dict[str, Hand],
    fitted: dict[str, FittedHand],
    camera: Camera,
    config: MotionConfig,
) -> FittedBody:
    """The human of every frame in which `body`, the first guess, is `found`; each stretch is one solve."""
    tree = human_tree(config.person_height_m)
    t = len(body.found)
    ok = trusted(tracks["body33"], camera, config) & body.found[:, None]
    legs = bool(ok[:, _KNEES_DOWN].any(axis=1).sum() > 0.2 * body.found.sum())
    joints, pose, iterations = np.full((t, len(tree.joint_names)), np.nan), np.full((t, 7), np.nan), 0
    for start, end in timebase.runs(body.found):
        part = slice(start, end)
        solution = _solve(tree, tracks, ok, body, hands, fitted, camera, part, legs, config)
        joints[part], pose[part] = solution.joint_pos, solution.T_world_base
        iterations += solution.iterations
    return FittedBody(tree, joints, pose, legs, iterations)


def _solve(tree, tracks, ok, body, hands, fitted, camera, part: slice, legs: bool, config: MotionConfig):
    fit, frames, lens = config.fit, part.stop - part.start, pinhole(camera)
    track = tracks["body33"]
    weight = np.where(ok[part], np.nan_to_num(track.confidence[part]), 0.0)
    terms = body_terms(tree, seen(track, part, camera, [11, 12, 23, 24]), weight, legs, lens, fit)
    q = np.tile(rest(tree), (frames, 1))
    unseen = []
    for side in skeletons.SIDES:
        hand, track = hands[side], tracks[f"hand21_{side}"]
        weight = (hand.seen & found(track, config) & ~hand.imputed)[part].astype(float)
        if not weight.any():
            unseen.append(side)
            continue
        terms += hand_terms(tree, side, seen(track, part, camera, list(range(21))), weight, lens, fit, fit.arm_share)
        take_fingers(q, tree, fitted[side], part)
    still = np.array([name in FINGER_JOINTS or (not legs and _is_leg(name)) for name in tree.joint_names])
    problem = Problem(
        rate_hz=1.0 / clean.frame_step_s(track.time_ns),
        frames=frames,
        terms=tuple(terms),
        posture=posture(tree, fit, tuple(unseen)),
        acceleration_weight=acceleration(tree, fit),
        active_joints=~still,
        free_base=True,
        base_acceleration_weight=(1.0 / fit.body_acceleration_rad_s2**2, 1.0 / fit.body_acceleration_m_s2**2),
        max_iterations=fit.iterations,
        tolerance=fit.tolerance,
    )
    return solve_clip(tree, problem, Start(joint_pos=q, T_world_base=pelvis(body)[part]))


def take_fingers(q: np.ndarray, tree: Tree, fitted: FittedHand, part: slice) -> None:
    """Write the fingers' angles of a hand that was fitted alone, held or interpolated where it was not seen."""
    known = np.isfinite(fitted.joint_pos[part, 0])
    if not known.any():
        return
    frames = np.arange(len(q), dtype=np.int64)
    angles = timebase.interpolate(frames[known], fitted.joint_pos[part][known], frames)
    q[:, tree.joints(fitted.tree.joint_names)] = angles


def _is_leg(name: str) -> bool:
    return name.split("_", 1)[1].startswith(_LEGS)


def pelvis(body: Body) -> np.ndarray:
    """Pose (t 7) of the pelvis in the camera by the lifted body: x forward, y left, z along the spine."""
    hips, shoulders = body.p_camera[:, HIPS], body.p_camera[:, SHOULDERS]
    middle = hips.mean(axis=1)
    up = geometry.normalize(shoulders.mean(axis=1) - middle)
    across = hips[:, 0] - hips[:, 1] + shoulders[:, 0] - shoulders[:, 1]
    left = geometry.normalize(across - (across * up).sum(-1, keepdims=True) * up)
    ok = np.isfinite(middle[:, 0])
    R = np.where(ok[:, None, None], np.stack([np.cross(left, up), left, up], axis=-1), np.eye(3))
    return geometry.pose(geometry.quat_from_matrix(R), np.where(ok[:, None], middle, 0.0))
