"""Placed arms, hands and body as the terms of one whole-clip problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import geometry
from vidpretrain.kinematics import joint_poses, site_poses
from vidpretrain.retarget.body import PlacedBody
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.hands import SeenHand, tip_targets
from vidpretrain.retarget.placement import Placed, PlacedArm
from vidpretrain.retarget.soles import corner_names
from vidpretrain.robot import Robot
from vidpretrain.robot.sizes import Finger, RobotSize
from vidpretrain.skeletons import SIDES
from vidpretrain.solve import FloorTerm, OrientationTerm, PointTerm, PostureTerm, Problem, VectorTerm
from vidpretrain.types import Frozen

Term = PointTerm | OrientationTerm | VectorTerm | FloorTerm
_LEAST_KNEE_RAD = 0.08
_OTHER_POSTURES = 16
_STANDING_RAD = 0.05
_FREE_ARM = 6  # joints that reach any place in any orientation
_FEW_JOINTS_DOUBT = 8.0  # an arm with fewer follows places, and turns the hand only where that costs nothing


@dataclass(frozen=True, kw_only=True)
class SideState(Frozen):
    """What is known of one side, frame by frame."""

    arm: Bool[np.ndarray, " t"]
    hand: Bool[np.ndarray, " t"]
    imputed: Bool[np.ndarray, " t"]
    sigma_m: Float64[np.ndarray, " t"]


def build_problem(
    robot: Robot,
    size: RobotSize,
    placed: Placed,
    hands: dict[str, SeenHand],
    states: dict[str, SideState],
    body: PlacedBody | None,
    config: RetargetConfig,
) -> tuple[Problem, tuple[str, ...]]:
    """The problem, and for each term the error site it measures ("" for those that measure none)."""
    made = list(all_terms(robot, size, placed, hands, states, body, config))
    frames, free = len(placed.T_base_camera), body is not None
    problem = _problem(robot, frames, [term for term, _ in made], _active(robot, free), free, config)
    return problem, tuple(name for _, name in made)


def all_terms(robot: Robot, size: RobotSize, placed: Placed, hands, states, body: PlacedBody | None, config):
    """The terms of `build_problem`, each with the error site that it measures."""
    for side in SIDES:
        few = len(robot.joints(f"{side}_arm")) < _FREE_ARM
        yield from _arm_terms(side, size, placed.arms[side], states[side], body, few, config)
        yield from finger_terms(side, size.arms[side].fingers, hands[side], states[side], config)
    if body is not None:
        yield from _body_terms(body, config)


def hand_problem(
    robot: Robot, side: str, fingers: tuple[Finger, ...], hand: SeenHand, state: SideState, config: RetargetConfig
) -> tuple[Problem, tuple[str, ...]]:
    """As `build_problem`, for a hand of its own: fingertips alone, in the wrist's frame."""
    made = list(finger_terms(side, fingers, hand, state, config))
    active = np.zeros(len(robot.home), dtype=bool)
    active[list(robot.joints(f"{side}_hand"))] = True
    problem = _problem(robot, len(hand.valid), [term for term, _ in made], active, False, config)
    return problem, tuple(name for _, name in made)


def _problem(robot: Robot, frames: int, terms: list[Term], active: np.ndarray, free: bool, config) -> Problem:
    joints = len(robot.home)
    lower, upper = robot.tree.bounds()
    reference = np.array(robot.home)
    if free:
        lower, upper, reference = bent_knees(robot, lower, upper)
    return Problem(
        rate_hz=config.rate_hz,
        frames=frames,
        terms=tuple(terms),
        posture=PostureTerm(q_ref=reference, weight=np.full(joints, config.posture_sigma_rad**-2)),
        velocity_weight=np.full(joints, config.velocity_sigma_rad_s**-2),
        acceleration_weight=np.full(joints, config.acceleration_sigma_rad_s2**-2),
        max_speed=np.asarray(robot.max_speed) * config.speed_share,
        lower=lower,
        upper=upper,
        active_joints=active,
        free_base=free,
        base_velocity_weight=(1 / 10.0**2, 1 / 5.0**2),
        base_acceleration_weight=(1 / 60.0**2, 1 / 20.0**2),
        max_iterations=config.max_iterations,
        tolerance=config.tolerance,
    )


def bent_knees(robot: Robot, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lower, upper, reference posture) in which no knee is straight.

    A straight leg is singular, and beyond it a fit gets stuck at the wrong end of the knee's range (H1's goes there by
    0.26 rad): so knees keep `_LEAST_KNEE_RAD` towards the wider side of their range and rest a little farther.
    """
    lower, upper, reference = lower.copy(), upper.copy(), np.array(robot.home)
    for j in knees(robot):
        if upper[j] >= -lower[j]:
            lower[j] = max(lower[j], _LEAST_KNEE_RAD)
            reference[j] = max(reference[j], 3 * _LEAST_KNEE_RAD)
        else:
            upper[j] = min(upper[j], -_LEAST_KNEE_RAD)
            reference[j] = min(reference[j], -3 * _LEAST_KNEE_RAD)
    return lower, upper, reference


def knees(robot: Robot) -> tuple[int, ...]:
    """Leg joints half way from the hip to the sole whose axis points sideways, at most one to a leg."""
    home = robot.tree.with_mimic(np.array(robot.home))[None]
    poses = joint_poses(robot.tree, home)[0]
    out = []
    for side in SIDES:
        leg = list(robot.joints(f"{side}_leg"))
        if not leg or f"{side}_foot" not in robot.tree.site_names:
            continue
        sole = site_poses(robot.tree, home, None, [f"{side}_foot"])[0, 0, 4:]
        down = (poses[leg[0], 6] - poses[leg, 6]) / (poses[leg[0], 6] - sole[2])
        axis = geometry.rotate(poses[leg, :4], robot.tree.axis[leg])
        middle = np.where((np.abs(axis[:, 1]) > 0.8) & (down > 0.25) & (down < 0.75), np.abs(down - 0.5), np.inf)
        if np.isfinite(middle).any():
            out.append(leg[int(np.argmin(middle))])
    return tuple(out)


def _active(robot: Robot, whole_body: bool) -> np.ndarray:
    groups = ["left_arm", "right_arm", "left_hand", "right_hand"]
    if whole_body:
        groups += ["waist", "left_leg", "right_leg"]
    active = np.zeros(len(robot.home), dtype=bool)
    active[[j for group in groups for j in robot.joints(group)]] = True
    return active


def _weight(sigma: np.ndarray, use: np.ndarray, imputed: np.ndarray, factor: float) -> np.ndarray:
    """1 / sigma^2 where the target may be used, 0 elsewhere; imputed frames count with `factor` times the sigma."""
    sigma = np.where(imputed, factor, 1.0) * np.where(use, sigma, 1.0)
    return np.where(use, sigma**-2.0, 0.0)


def _arm_terms(
    side: str, size: RobotSize, arm: PlacedArm, state: SideState, body: PlacedBody | None, few_joints: bool, config
):
    sigma = np.clip(state.sigma_m, config.min_sigma_m, config.max_sigma_m)
    for part, target, factor in (("wrist", arm.p_base_wrist, 1.0), ("elbow", arm.p_base_elbow, config.elbow_sigma)):
        use = state.arm & np.isfinite(target).all(axis=1)
        if use.any():
            weight = _weight(factor * sigma, use, state.imputed, config.imputed_sigma)
            yield _place_term(side, part, size, target, weight, body, config), f"{side}_{part}"
    use = state.hand & np.isfinite(arm.q_base_wrist).all(axis=1)
    if use.any():
        sigma_rad = np.full(len(use), config.orientation_sigma_rad * (_FEW_JOINTS_DOUBT if few_joints else 1.0))
        q = arm.q_base_wrist
        if body is not None:
            q_torso_wrist = geometry.quat_mul(geometry.quat_inverse(size.T_base_torso[:4]), q)
            q = geometry.quat_mul(body.q_world_torso, q_torso_wrist)
        weight = _weight(sigma_rad, use, state.imputed, config.imputed_sigma)
        yield OrientationTerm(site=f"{side}_wrist", q_world_target=q, weight=weight, huber_rad=0.5), ""


def _place_term(side: str, part: str, size: RobotSize, target, weight, body: PlacedBody | None, config) -> Term:
    """A point of the arm: in the world of a fixed base, or from the trunk and in its axes where that moves."""
    if body is None:
        return PointTerm(site=f"{side}_{part}", p_world_target=target, weight=weight, huber_m=config.huber_m)
    return VectorTerm(
        from_site="torso",
        to_site=f"{side}_{part}",
        target_m=geometry.transform(geometry.inverse(size.T_base_torso), target),
        weight=weight,
        frame_site="torso",
        huber_m=config.huber_m,
    )


def finger_terms(side: str, fingers: tuple[Finger, ...], hand: SeenHand, state: SideState, config: RetargetConfig):
    wrist = f"{side}_wrist"
    tips = tip_targets(hand, fingers, config)
    sigma = np.full(len(hand.valid), config.fingertip_sigma_m)
    for tip in tips:
        weight = _weight(sigma, state.hand, state.imputed, config.imputed_sigma)
        yield (
            VectorTerm(from_site=wrist, to_site=tip.site, target_m=tip.p_wrist_tip, weight=weight, frame_site=wrist),
            tip.site,
        )
        if tip.from_thumb_m is None or not (tip.pinch > 0).any():
            continue
        pinch = tip.pinch * _weight(
            np.full(len(sigma), config.pinch_sigma_m), state.hand, state.imputed, config.imputed_sigma
        )
        yield (
            VectorTerm(
                from_site=f"{side}_thumb_tip",
                to_site=tip.site,
                target_m=tip.from_thumb_m,
                weight=pinch,
                frame_site=wrist,
            ),
            "",
        )


def _body_terms(body: PlacedBody, config: RetargetConfig):
    """Pelvis, trunk and soles; the soles' corners, sites of `soles.with_corners`, stay above the ground."""
    doubt = np.where(body.seen, 1.0, 3.0)
    sigma = np.clip(body.sigma_m, 0.02, 0.1) * doubt
    pelvis, torso = body.T_world_pelvis, body.q_world_torso
    yield PointTerm(site="pelvis", p_world_target=pelvis[:, 4:], weight=sigma**-2.0, huber_m=0.1), "pelvis"
    yield OrientationTerm(site="pelvis", q_world_target=pelvis[:, :4], weight=(0.2 * doubt) ** -2.0), ""
    yield OrientationTerm(site="torso", q_world_target=torso, weight=(0.15 * doubt) ** -2.0), ""
    for i, side in enumerate(SIDES):
        foot = body.T_world_foot[side]
        stands = body.stands[:, i]
        firm, turn = np.where(stands, config.stand_sigma_m, sigma), np.where(stands, _STANDING_RAD, 0.3 * doubt)
        name = f"{side}_foot"
        yield PointTerm(site=name, p_world_target=foot[:, 4:], weight=firm**-2.0, huber_m=0.1), name
        yield OrientationTerm(site=name, q_world_target=foot[:, :4], weight=turn**-2.0, huber_rad=0.5), ""
        for corner in corner_names(side) if config.plant_feet else ():
            floor = np.full(len(foot), config.stand_sigma_m**-2.0)
            yield FloorTerm(site=corner, z_world_m=body.lift_m[:, i], weight=floor), ""


def other_postures(robot: Robot, problem: Problem) -> Float64[np.ndarray, "n j"]:
    """Postures all over the joints' ranges, always the same, for a solve to begin with beside home.

    Arms of few joints, and legs, have several ways to nearly the same place, and only some lead on from there.
    """
    lower, upper = robot.tree.bounds()
    drawn = np.random.default_rng(1).uniform(
        np.maximum(lower, -np.pi), np.minimum(upper, np.pi), (_OTHER_POSTURES, len(lower))
    )
    active = np.ones(len(lower), dtype=bool) if problem.active_joints is None else problem.active_joints
    return robot.tree.with_mimic(np.where(active, drawn, robot.home))
