"""Hands in the wearer's own view on the wearer's arms: a wrist is no farther than an arm reaches.

The head camera sits about at the eyes and looks down by the assumed pitch, the trunk hangs about upright below it; both
are known to centimetres and degrees only. No point of the body network counts: it invents bodies in this view.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.human import human_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import clean
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.evidence import HAND_CENTRE, hand_terms, hand_weight, pinhole, seen
from vidpretrain.motion.fit_body import is_arm, take_fingers, with_hands
from vidpretrain.motion.fit_hand import FittedHand
from vidpretrain.motion.fit_lens import find_lens
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.learned import built, marked
from vidpretrain.motion.moving import NOD_DEG, mean_pose, poses_of
from vidpretrain.motion.priors import acceleration, posture
from vidpretrain.solve import OrientationTerm, PointTerm, Problem, Start, solve_clip
from vidpretrain.types import Camera, PoseTrack


def fit_ego(
    tracks: dict[str, PoseTrack],
    hands: dict[str, Hand],
    fitted: dict[str, FittedHand],
    camera: Camera,
    config: MotionConfig,
    lens_known: bool = False,
) -> tuple[dict[str, FittedHand], Camera]:
    """(hands, camera): the hands where the wearer's arms hold them, and the lens found where it was assumed.

    `lens_known`: take an assumed lens as it is.

    The head is where the camera is, the trunk keeps its direction.
    """
    fit, lens = config.fit, pinhole(camera)
    tree = marked(with_hands(built(human_tree(config.person_height_m), config), fitted), config)
    track = tracks["hand21_left"]
    frames = len(track.time_ns)
    q = np.tile(rest(tree), (frames, 1))
    for joint, angle in (("neck_pitch", 0.6 * NOD_DEG), ("head_pitch", 0.4 * NOD_DEG)):
        q[:, tree.joint(joint)] = np.radians(angle)
    path = poses_of(camera, frames)
    upright = geometry.quat_mul(mean_pose(path)[:4], _upright(config.ego_pitch_deg))
    head = site_poses(tree, q[:1], None, ["head"])[0, 0, 4:]
    base = geometry.pose(upright, path[:, 4:] - geometry.rotate(upright, head))
    one = np.ones(frames)
    terms: list = [
        PointTerm(site="head", p_world_target=path[:, 4:].copy(), weight=one / fit.mount_m**2),
        OrientationTerm(
            site="pelvis", q_world_target=np.tile(upright, (frames, 1)), weight=one / np.radians(fit.upright_deg) ** 2
        ),
    ]
    for side in skeletons.SIDES:
        hand, track = hands[side], tracks[f"hand21_{side}"]
        weight = hand_weight(hand, track, config)
        if weight.any():
            terms += hand_terms(
                tree, side, seen(track, weight == 1.0, camera, HAND_CENTRE), weight, lens, fit, fit.arm_share
            )
            take_fingers(q, tree, fitted[side])
    moving = np.array([is_arm(name) for name in tree.joint_names])
    problem = Problem(
        rate_hz=1.0 / clean.frame_step_s(track.time_ns),
        frames=frames,
        terms=tuple(terms),
        posture=posture(tree, fit),
        acceleration_weight=acceleration(tree, fit),
        active_joints=moving,
        free_base=True,
        base_acceleration_weight=(1.0 / fit.body_acceleration_rad_s2**2, 1.0 / fit.body_acceleration_m_s2**2),
        max_iterations=fit.iterations,
        tolerance=fit.tolerance,
    )
    start = Start(joint_pos=q, T_world_base=base)
    if not lens_known and camera.intrinsics_from == "assumed" and camera.focal_sigma > 0:
        return fit_ego(tracks, hands, fitted, find_lens(tree, problem, start, camera, config), config, lens_known=True)
    solution = solve_clip(tree, problem, start)
    palms = site_poses(tree, solution.joint_pos, solution.T_world_base, [f"{side}_palm" for side in skeletons.SIDES])
    palms = geometry.compose(geometry.inverse(path)[:, None], palms)
    held = {
        side: dataclasses.replace(
            fitted[side],
            T_camera_palm=np.where(hands[side].seen[:, None], palms[:, k], np.nan),
        )
        for k, side in enumerate(skeletons.SIDES)
    }
    return held, camera


def _upright(pitch_deg: float) -> np.ndarray:
    """Orientation (4) in the camera of somebody upright who looks where a camera pitched down by so much looks."""
    down = np.radians(pitch_deg)
    up = np.array([0.0, -np.cos(down), -np.sin(down)])
    forward = np.array([0.0, -np.sin(down), np.cos(down)])
    return geometry.quat_from_matrix(np.stack([forward, np.cross(up, forward), up], axis=-1))
