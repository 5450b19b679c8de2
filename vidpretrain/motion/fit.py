"""One articulated human for a clip in place of hands and a body that were placed apart.

The parts' first guess says in which frames something is there and where to start; what comes back is the same body and
hands with the points of the fitted human.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Int64

from vidpretrain import skeletons
from vidpretrain.kinematics import site_poses
from vidpretrain.motion.body import ARM, PALM, Body, follow
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.fit_body import FittedBody, fit_body
from vidpretrain.motion.fit_ego import fit_ego
from vidpretrain.motion.fit_hand import fit_hand_alone, hand_points
from vidpretrain.motion.fit_sigma import hand_sigma
from vidpretrain.motion.hands import Hand
from vidpretrain.types import Camera, PoseTrack


def fit_human(
    tracks: dict[str, PoseTrack],
    body: Body | None,
    hands: dict[str, Hand],
    camera: Camera,
    view: str,
    time_ns: Int64[np.ndarray, " t"],
    config: MotionConfig,
) -> tuple[Body | None, dict[str, Hand]]:
    """(body, hands) with the points of the fitted human in the frames in which they were there before.

    In ego view the wearer's arms hold the hands. Without a body in third person each hand is fitted alone; where only
    the body is missing for a while, the hand's own depth is led to the body's over a moment.
    """
    on_body = view == "third" and body is not None
    fitted = {s: fit_hand_alone(tracks[f"hand21_{s}"], hands[s], camera, s, config, on_body) for s in skeletons.SIDES}
    alone = {s: _moved(hands[s], hand_points(fitted[s], s), hands[s].seen) for s in skeletons.SIDES}
    if view == "ego" and any(hand.seen.any() for hand in hands.values()):
        held = fit_ego(tracks, hands, fitted, camera, config)
        out = {s: _moved(hands[s], hand_points(held[s], s), hands[s].seen) for s in skeletons.SIDES}
        return None, _with_sigma(out, tracks, camera, view, config)
    if body is None:
        return None, _with_sigma(alone, tracks, camera, view, config)
    human = fit_body(tracks, body, hands, fitted, camera, config)
    points = human_points(human)
    out = {}
    for side, part in skeletons.HAND_SLICES.items():
        both = hands[side].seen & body.found
        hand = alone[side]
        if both.any():
            hand = follow(hand, points[:, part.start], both, time_ns)
            hand = _moved(hand, points[:, part], both)
        out[side] = hand
    out = _with_sigma(out, tracks, camera, view, config)
    sigma = body.sigma_m.copy()
    for side in skeletons.SIDES:
        both = np.flatnonzero(out[side].seen & body.found)
        sigma[both[:, None], np.array([[ARM[side][2], *PALM[side]]])] = out[side].sigma_m[both, None]
    return dataclasses.replace(body, p_camera=points[:, skeletons.BODY_SLICE], sigma_m=sigma), out


def _with_sigma(hands: dict[str, Hand], tracks, camera: Camera, view: str, config: MotionConfig) -> dict[str, Hand]:
    """The hands with the fit's sigma in place of the parts'; it has the depth's in it."""
    out = {}
    for side, hand in hands.items():
        sigma = hand_sigma(hand, tracks[f"hand21_{side}"], camera, view, config)
        out[side] = dataclasses.replace(hand, sigma_m=sigma, sigma_depth_m=np.where(hand.seen, 0.0, np.nan))
    return out


def human_points(human: FittedBody) -> np.ndarray:
    """Points (t 75 3) of `human75` in the camera's frame, NaN where nobody was seen."""
    ok = np.isfinite(human.joint_pos[:, 0])
    out = np.full((len(ok), 75, 3), np.nan)
    names = list(skeletons.skeleton("human75").names)
    out[ok] = site_poses(human.tree, human.joint_pos[ok], human.T_camera_pelvis[ok], names)[..., 4:]
    return out


def _moved(hand: Hand, points: np.ndarray, frames: np.ndarray) -> Hand:
    """The hand with these points (t 21 3) in these frames."""
    p_wrist = np.where(frames[:, None], points[:, 0], hand.p_wrist)
    p_point = np.where(frames[:, None, None], points - points[:, :1], hand.p_point)
    return dataclasses.replace(hand, p_wrist=p_wrist, p_point=p_point)
