"""One articulated human for a clip in place of hands and a body that were placed apart.

The parts' first guess says in which frames something is there and where to start; what comes back is the same body and
hands with the points of the fitted human.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import skeletons
from vidpretrain.kinematics import site_poses
from vidpretrain.motion.body import ARM, HIPS, PALM, SHOULDERS, Body, follow
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.fit_body import FittedBody, fit_body
from vidpretrain.motion.fit_ego import fit_ego
from vidpretrain.motion.fit_hand import fit_hands, hand_points
from vidpretrain.motion.fit_sigma import Cues, body_cues, body_sigma, hand_cues, hand_sigma, lens_sigma
from vidpretrain.motion.hands import Hand
from vidpretrain.types import Camera, PoseTrack


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A fitted clip: body (None in ego view, or without one) and hands with their sigma, the camera with its lens.

    `cues` are what each sigma was made of, by side and kind (`left wrist`, `right hip`); `figures` see `HumanMotion`.
    """

    body: Body | None
    hands: dict[str, Hand]
    camera: Camera
    cues: dict[str, Cues]
    figures: dict[str, float]


def fit_human(
    tracks: dict[str, PoseTrack],
    body: Body | None,
    hands: dict[str, Hand],
    camera: Camera,
    view: str,
    time_ns: Int64[np.ndarray, " t"],
    config: MotionConfig,
    up_first: Float64[np.ndarray, " 3"] | None = None,
) -> Fitted:
    """The points of the fitted human in the frames in which `body` and `hands` were there before.

    In ego view the wearer's arms hold the hands. Without a body in third person each hand is fitted alone; where only
    the body is missing for a while, the hand's own depth is led to the body's over a moment. `up_first` points up in
    the first frame's camera where that is known: the floor on which feet stand is square to it.
    """
    on_body = view == "third" and body is not None
    fitted = fit_hands(tracks, hands, camera, config, on_body)
    own_m = {s: fitted[s].T_camera_palm[:, 6] for s in skeletons.SIDES}
    alone = {s: _moved(hands[s], hand_points(fitted[s], s), hands[s].seen) for s in skeletons.SIDES}
    if view == "ego" and any(hand.seen.any() for hand in hands.values()):
        held, camera = fit_ego(tracks, hands, fitted, camera, config)
        out = {s: _moved(hands[s], hand_points(held[s], s), hands[s].seen) for s in skeletons.SIDES}
        return _hands_alone(out, tracks, camera, "ego", config, own_m)
    if body is None:
        return _hands_alone(alone, tracks, camera, view, config)
    human = fit_body(tracks, body, hands, fitted, camera, config, up_first)
    points, cues, out = human_points(human), {}, {}
    for side, part in skeletons.HAND_SLICES.items():
        both = hands[side].seen & body.found
        hand = alone[side]
        if both.any():
            hand = follow(hand, points[:, part.start], both, time_ns)
            hand = _moved(hand, points[:, part], both)
        spread = np.where(both, human.spread_m[f"{side}_hand_wrist"], np.nan)
        shoulder_m = points[:, SHOULDERS[skeletons.SIDES.index(side)], 2]
        own = hand_cues(hand, tracks[f"hand21_{side}"], camera, config, spread, own_m[side], shoulder_m)
        cues[f"{side} wrist"] = own
        out[side] = _with_sigma(hand, own, camera, "third", config)
    body = dataclasses.replace(body, p_camera=points[:, skeletons.BODY_SLICE])
    for k, side in enumerate(skeletons.SIDES):
        for kind, at in (("elbow", [ARM[side][1]]), ("shoulder", [SHOULDERS[k]]), ("hip", [HIPS[k]])):
            cues[f"{side} {kind}"] = body_cues(
                at, body, tracks["body33"], human.spread_m[f"{side}_{kind}"], SHOULDERS[k]
            )
    sigma = body_sigma(body, {n: c for n, c in cues.items() if not n.endswith("wrist")}, camera, config)
    for side in skeletons.SIDES:
        both, of_hand = np.flatnonzero(out[side].seen & body.found), out[side].sigma_point_m
        if of_hand is not None:
            sigma[both[:, None], [[ARM[side][2], *PALM[side]]]] = of_hand[both][:, [0, 17, 5, 2]]
    figures = assumptions(camera, config) | {f"{name}_factor": value for name, value in human.factors.items()}
    return Fitted(dataclasses.replace(body, sigma_m=sigma), out, camera, cues, figures)


def assumptions(camera: Camera, config: MotionConfig) -> dict[str, float]:
    """Height (m) and focal length (px) that a clip's motion rests on, and their sigmas, 0 where they were told."""
    sigma_m = 0.0 if config.height_m is not None else config.size_uncertainty * config.assumed_height_m
    focal_px = float(camera.K[0, 0])
    return {
        "height_m": config.person_height_m,
        "height_sigma_m": sigma_m,
        "focal_px": focal_px,
        "focal_sigma_px": lens_sigma(camera) * focal_px,
    }


def _hands_alone(hands: dict[str, Hand], tracks, camera: Camera, view: str, config, own_m=None) -> Fitted:
    """Hands without a body that is seen; with `own_m` (t), their depths by themselves, the wearer's arms hold them."""
    cues, out = {}, {}
    for side, hand in hands.items():
        own = None if own_m is None else own_m[side]
        cues[f"{side} wrist"] = hand_cues(hand, tracks[f"hand21_{side}"], camera, config, own_depth_m=own)
        out[side] = _with_sigma(hand, cues[f"{side} wrist"], camera, view, config, alone=own_m is None)
    return Fitted(None, out, camera, cues, assumptions(camera, config))


def _with_sigma(hand: Hand, cues: Cues, camera: Camera, view: str, config: MotionConfig, alone: bool = False) -> Hand:
    """The hand with the fit's sigma in place of the parts'; it has the depth's in it."""
    sigma = hand_sigma(hand, cues, camera, view, config, alone)
    depth = np.where(hand.seen, 0.0, np.nan)
    return dataclasses.replace(hand, sigma_m=sigma[:, 0], sigma_depth_m=depth, sigma_point_m=sigma)


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
