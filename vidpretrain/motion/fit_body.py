"""One articulated human over a clip: the body and both hands fitted to everything that was seen of them.

Unknown are the pelvis' pose, all joints but the fingers', which are carried over from `fit_hands`, and a few
factors on bone lengths. Bones are found on a few frames a second, as they are the same in all; then they stay, and
every frame is solved.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.human import FINGER_JOINTS, human_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import clean
from vidpretrain.motion.body import HIPS, SHOULDERS, Body, trusted
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.evidence import (
    HAND_CENTRE,
    TRUNK_CENTRE,
    body_terms,
    far_terms,
    hand_doubt,
    hand_terms,
    hand_weight,
    led_by_hand,
    pinhole,
    really_seen,
    seen,
)
from vidpretrain.motion.fit_hand import FittedHand
from vidpretrain.motion.ground import FEET, stance_terms, standing
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.learned import built, marked
from vidpretrain.motion.moving import body_in_world, from_world, mean_pose, poses_of, to_world
from vidpretrain.motion.priors import acceleration, lengths, posture
from vidpretrain.motion.proportions import parameters
from vidpretrain.motion.world import world_for
from vidpretrain.solve import Problem, Solution, Start, Term, point_covariance, solve_clip, with_parameters
from vidpretrain.tree import Tree
from vidpretrain.types import Camera, PoseTrack

_ARMS = ("clavicle", "shoulder", "elbow", "forearm", "wrist")
_LEGS = ("hip", "knee", "ankle", "toes")
SPREAD_SITES = tuple(
    f"{side}_{part}" for side in skeletons.SIDES for part in ("hand_wrist", "elbow", "shoulder", "hip")
)
_KNEES_DOWN = slice(25, 33)


@dataclasses.dataclass(frozen=True)
class FittedBody:
    """The human's tree, its posture (t j) and pelvis in the camera (t 7), NaN where nobody was seen.

    `factors` are those on the tree's bone lengths, `spread_m` (t) the sigma of each axis of some sites by the normal
    equations, with the bones' own in it, NaN where there is none.
    """

    tree: Tree
    joint_pos: np.ndarray
    T_camera_pelvis: np.ndarray
    iterations: int
    factors: dict[str, float]
    spread_m: dict[str, np.ndarray]


def fit_body(
    tracks: dict[str, PoseTrack],
    body: Body,
    hands: dict[str, Hand],
    fitted: dict[str, FittedHand],
    camera: Camera,
    config: MotionConfig,
    up_first: np.ndarray | None = None,
) -> FittedBody:
    """The human of every frame in which `body`, the first guess, is `found`.

    `up_first` (3) points up in the first frame's camera; None: as the body holds itself.
    """
    index = np.flatnonzero(body.found)
    track = tracks["body33"]
    rate_hz = 1.0 / clean.frame_step_s(track.time_ns)
    stride = max(1, min(round(rate_hz / config.fit.bones_rate_hz), (index[-1] - index[0] + 1) // 8))
    parts = slice(index[0], index[-1] + 1, stride), slice(index[0], index[-1] + 1)
    ok = trusted(track, camera, config) & body.found[:, None]
    legs = bool(ok[:, _KNEES_DOWN].any(axis=1).sum() > 0.2 * len(index))
    plain = with_hands(built(human_tree(config.person_height_m), config), fitted)
    tree = marked(plain, config)
    frame, base = np.arange(len(body.found), dtype=np.int64), pelvis(body)
    q, base = np.tile(rest(tree), (len(frame), 1)), timebase.interpolate_pose(frame[index], base[index], frame)
    base = to_world(camera, base)
    factors, spread, iterations = {}, {}, 0
    for part, rate, bones in zip(parts, (rate_hz / stride, rate_hz), (True, False), strict=True):
        terms, unseen = _evidence(tree, tracks, body, hands, fitted, camera, part, legs, config)
        if legs and not bones:
            up = _up(body, hands, camera, config, up_first)
            terms += _stances(tree, q, base, up, ok, camera, rate, part, config)
        for side in skeletons.SIDES:
            take_fingers(q, tree, fitted[side])
        problem = _problem(tree, terms, len(frame[part]), rate, legs, unseen, bones, config)
        solution = solve_clip(tree, problem, Start(joint_pos=q[part], T_world_base=base[part]))
        q = timebase.interpolate(frame[part], solution.joint_pos, frame)
        base = timebase.interpolate_pose(frame[part], solution.T_world_base, frame)
        iterations += solution.iterations
        if bones:
            factors = {name: float(value) for name, value in solution.parameters.items()}
            spread = _spread(tree, problem, solution, frame[part], frame)
            plain = with_parameters(plain, problem.parameters, solution.parameters)
            tree = marked(plain, config)
    known, base = body.found[:, None], from_world(camera, base)
    return FittedBody(plain, np.where(known, q, np.nan), np.where(known, base, np.nan), iterations, factors, spread)


def _up(body: Body, hands, camera: Camera, config: MotionConfig, up_first: np.ndarray | None) -> np.ndarray:
    """What points up (3) in the first frame's camera, as the world will have it."""
    moving = camera.T_world_camera
    mean = geometry.IDENTITY_POSE if moving is None else mean_pose(moving)
    T_world_fit = world_for(body_in_world(body, camera), "third", hands, config, up_first, mean).T_world_camera
    return geometry.rotate(geometry.quat_inverse(T_world_fit[:4]), np.array([0.0, 0.0, 1.0]))


def _stances(tree: Tree, q, base, up: np.ndarray, ok, camera: Camera, rate_hz: float, part: slice, config) -> list:
    """Terms of the feet that stand in the frames `part` by the motion `q`, `base`."""
    sites = [site for foot in FEET for site in foot]
    p_world = site_poses(tree, q[part], base[part], sites)[..., 4:].reshape(-1, 2, 2, 3)
    frames = len(q)
    p_camera = poses_of(camera, frames)[part, 4:]
    seen_feet = np.stack([ok[part, 29 + k] & ok[part, 31 + k] for k in range(2)], axis=1)
    stands = standing(p_world, p_camera, up, seen_feet, rate_hz, config.fit)
    return stance_terms(p_world, p_camera, up, stands, config.fit)


def _spread(tree: Tree, problem: Problem, solution: Solution, frames: np.ndarray, every: np.ndarray) -> dict:
    """Sigma (t) of each axis of `SPREAD_SITES` by name, interpolated to every frame."""
    try:
        covariance = point_covariance(tree, problem, solution, SPREAD_SITES)
        sigma = np.sqrt(np.maximum(np.trace(covariance, axis1=2, axis2=3) / 3.0, 1e-8))
    except ValueError:  # nothing holds some unknown: no idea
        sigma = np.full((len(frames), len(SPREAD_SITES)), np.nan)
    return {site: timebase.interpolate(frames, sigma[:, k], every) for k, site in enumerate(SPREAD_SITES)}


def _problem(tree, terms, frames, rate_hz, legs, unseen, bones: bool, config: MotionConfig) -> Problem:
    fit = config.fit
    still = np.array([name in FINGER_JOINTS or (not legs and _is_leg(name)) for name in tree.joint_names])
    return Problem(
        rate_hz=rate_hz,
        frames=frames,
        terms=tuple(terms),
        posture=posture(tree, fit, tuple(unseen), fit.body_wrist_posture),
        acceleration_weight=acceleration(tree, fit, on_body=True),
        active_joints=~still,
        free_base=True,
        base_acceleration_weight=(1.0 / fit.seen_acceleration_rad_s2**2, 1.0 / fit.seen_acceleration_m_s2**2),
        max_iterations=fit.iterations,
        tolerance=fit.tolerance,
        parameters=lengths(tree, legs, fit) if bones else (),
    )


def _evidence(
    tree: Tree, tracks, body: Body, hands, fitted, camera: Camera, part: slice, legs: bool, config: MotionConfig
) -> tuple[list[Term], list[str]]:
    """(terms, sides of which no hand was seen) of the frames `part`."""
    fit, lens, track = config.fit, pinhole(camera, part), tracks["body33"]
    ok = trusted(track, camera, config) & body.found[:, None]
    of_body = np.where(ok, np.nan_to_num(track.confidence), 0.0)
    bridged = body.found & ~ok.any(axis=1)
    of_body[bridged] = fit.run_on_weight * np.median(of_body[ok.any(axis=1)], axis=0)
    there = {side: hands[side].seen & body.found for side in skeletons.SIDES}
    doubt = {
        side: np.where(there[side], hand_doubt(hands[side], tracks[f"hand21_{side}"], config), np.inf)
        for side in skeletons.SIDES
    }
    of_body = led_by_hand(of_body, doubt, fit)
    # through a gap an arm's directions are run on too, and then tell more than points that are guesses
    arms = {side: np.where(there[side] & hands[side].imputed, 1.0, doubt[side])[part] for side in skeletons.SIDES}
    look = seen(track, np.asarray(ok.any(axis=1)), camera, TRUNK_CENTRE).cut(part)
    terms = body_terms(tree, look, of_body[part], arms, legs, lens, fit)
    of_hand = {
        s: np.where(body.found, hand_weight(hands[s], tracks[f"hand21_{s}"], config), 0) for s in skeletons.SIDES
    }
    for side, weight in of_hand.items():
        if weight[part].any():
            whole = seen(tracks[f"hand21_{side}"], weight == 1.0, camera, HAND_CENTRE)
            look = whole.cut(part)
            weight = np.where(weight > 0, weight / doubt[side] ** 2, 0.0)
            terms += hand_terms(tree, side, look, weight[part], lens, fit, fit.arm_share, on_body=True)
            unsure = really_seen(hands[side], tracks[f"hand21_{side}"], config) & body.found
            unsure = np.where(unsure, 1.0 - 1.0 / doubt[side] ** 2, 0.0)
            terms += far_terms(side, fitted[side].T_camera_palm, unsure, whole.size_px, camera, part, fit)
    unseen = [side for side, weight in of_hand.items() if not weight.any()]
    return terms, unseen


def take_fingers(q: np.ndarray, tree: Tree, fitted: FittedHand) -> None:
    """Write the fingers' angles of a hand that was fitted alone, held or interpolated where it was not seen."""
    known = np.isfinite(fitted.joint_pos[:, 0])
    if known.any():
        frames = np.arange(len(known), dtype=np.int64)
        columns = tree.joints(fitted.tree.joint_names)
        q[:, columns] = timebase.interpolate(frames[known], fitted.joint_pos[known], frames)


def with_hands(tree: Tree, fitted: dict[str, FittedHand]) -> Tree:
    """The human whose hands have the proportions that were found for them."""
    factors = next((hand.factors for hand in fitted.values() if hand.factors), None)
    return tree if factors is None else with_parameters(tree, parameters(tree, tuple(fitted), 1.0), dict(factors))


def _is_leg(name: str) -> bool:
    return name.split("_", 1)[1].startswith(_LEGS)


def is_arm(name: str) -> bool:
    """Whether a joint belongs to an arm, from the clavicle to the wrist."""
    return name.startswith(skeletons.SIDES) and name.split("_", 1)[1].startswith(_ARMS)


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
