"""HumanMotion to RobotMotion: resample, place, solve, and judge the result."""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain import geometry
from vidpretrain.retarget import body as whole
from vidpretrain.retarget import faults, human, placement
from vidpretrain.retarget.alone import retarget_hand
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.hands import SeenHand, seen_hand
from vidpretrain.retarget.packing import robot_motion
from vidpretrain.retarget.resample import GridMotion, resample
from vidpretrain.retarget.sides import face_is_behind
from vidpretrain.retarget.soles import sole_corners, with_corners
from vidpretrain.retarget.solving import Solved, errors_of, solve
from vidpretrain.retarget.targets import SideState, build_problem, other_postures
from vidpretrain.retarget.verdicts import chosen
from vidpretrain.robot import Robot
from vidpretrain.robot.sizes import measure
from vidpretrain.skeletons import SIDES
from vidpretrain.solve import Solution, Start
from vidpretrain.types import FaultName, HumanMotion, InputFault, Reason, Reject, RobotMotion

_MOST_ROWS_PER_FRAME = 100  # of a video of one frame in three seconds


def retarget(motion: HumanMotion, robot: Robot, config: RetargetConfig) -> RobotMotion | Reject:
    """The robot's motion on the grid of `rate_hz`, or a Reject: too short, no usable side, not converged, off target.

    `time_ns` is the video's time of every row. Limits and speeds hold in every frame; a side without a person to
    follow drifts home smoothly and is not `valid`.

    Raises:
        ConfigError: the robot lacks sites that retargeting needs.
        ValueError: the motion's skeleton is not human75.
    """
    if motion.skeleton != "human75":
        raise ValueError(f"retarget takes motions of human75, found {motion.skeleton}")
    if len(motion.time_ns) == 0:
        return Reject(reason=Reason.TOO_SHORT, detail="the motion has no frames")
    motion, found = faults.in_order(motion)
    found += faults.bad_numbers(motion)
    rows = (int(motion.time_ns[-1]) - int(motion.time_ns[0])) * 1e-9 * config.rate_hz * config.slow_down
    if rows > _MOST_ROWS_PER_FRAME * config.slow_down * len(motion.time_ns) + config.rate_hz:
        detail = f"{len(motion.time_ns)} frames spread over {rows / config.rate_hz:.0f} s: no such video"
        return Reject(reason=Reason.TOO_SHORT, detail=detail, faults=tuple(found))
    grid = resample(motion, config)
    if len(grid.time_ns) < config.min_frames:
        detail = f"{len(grid.time_ns)} frames at {config.rate_hz:g} Hz, at least {config.min_frames} are needed"
        return Reject(reason=Reason.TOO_SHORT, detail=detail, faults=tuple(found))
    grid, more, refused = faults.clean(grid, motion, config)
    found += more
    if refused:
        return Reject(reason=Reason.NO_USABLE_SEGMENT, detail=refused, faults=tuple(found))
    hands = {side: seen_hand(grid, side, config) for side in SIDES}
    hands = _without_rare(hands, config)
    found += _hand_faults(hands)
    if robot.is_hand:
        made = retarget_hand(motion, robot, grid, hands, config)
        if isinstance(made, Reject):
            return dataclasses.replace(made, faults=tuple(found))
        return dataclasses.replace(made, faults=tuple(found), figures=_with_faults(made.figures, found))
    size = measure(robot)
    kind = placement.choose(grid, hands, motion.view, config)
    refused = _nothing_to_follow(grid, hands, kind, found, config)
    if refused is None and kind == "torso":
        refused = _no_human_body(grid, config.arm_by_height * motion.height_m)
    if refused is not None:
        return dataclasses.replace(refused, faults=tuple(found))
    placed = placement.place(kind, grid, hands, robot, size, motion.height_m, config)
    states = {side: side_state(grid, side, hands[side], placed.arms[side], config) for side in SIDES}
    body, tree = None, robot.tree
    if whole.is_whole_body(grid, size, kind, config):
        corners = sole_corners(robot, size.leg_m)
        body, tree = whole.place_body(grid, size, motion.height_m, corners, config), with_corners(tree, corners)
    problem, names = build_problem(robot, size, placed, hands, states, body, config)
    assert problem.posture is not None
    base = None if body is None else body.T_world_pelvis
    others = other_postures(robot, problem)
    start = Start(joint_pos=problem.posture.q_ref, T_world_base=base, others=others)
    solved = solve(robot, tree, problem, names, start, config)
    refused = _poor(solved.free, errors_of(solved.free, names), config)
    if refused is not None:
        return dataclasses.replace(refused, faults=tuple(found))

    def pack(solved: Solved) -> RobotMotion:
        return _pack(motion, robot, grid, placed, hands, states, body, solved, names, config)

    made = chosen(robot, solved, pack, config)
    return dataclasses.replace(made, faults=tuple(found), figures=_with_faults(made.figures, found))


def _without_rare(hands: dict[str, SeenHand], config: RetargetConfig) -> dict[str, SeenHand]:
    """A hand seen in a few frames beside one seen in most is a false alarm, and would spoil the placement."""
    most = max(int(hand.valid.sum()) for hand in hands.values())
    return {
        side: hand if hand.valid.sum() >= config.min_side_share * most else hand.refused()
        for side, hand in hands.items()
    }


def _hand_faults(hands: dict[str, SeenHand]) -> list[InputFault]:
    """Mirrored and rare hands, refused as a whole where nothing of them is left."""
    out = []
    for side, hand in hands.items():
        counts: tuple[tuple[FaultName, int], ...] = (("mirrored", hand.mirrored_frames), ("rare", hand.rare_frames))
        for fault, frames in counts:
            if frames:
                done = "dropped" if hand.valid.any() else "refused"
                where = f"{side} hand"
                out.append(InputFault(fault=fault, where=where, frames=frames, of=len(hand.valid), done=done))
    return out


def _with_faults(figures: dict[str, float], found: list[InputFault]) -> dict[str, float]:
    """The figures with hands that were left out for their size or for jumping, as `_figures` counts the others."""
    out = dict(figures)
    for fault in found:
        side = fault.where.removesuffix(" hand")
        if side in SIDES and fault.fault in ("units", "size"):
            out[f"{side}_odd_size_frames"] = out.get(f"{side}_odd_size_frames", 0.0) + fault.frames
        if side in SIDES and fault.fault == "jump":
            out[f"{side}_far_frames"] = out.get(f"{side}_far_frames", 0.0) + fault.frames
    return out


def _nothing_to_follow(
    grid: GridMotion, hands: dict[str, SeenHand], kind: str, found: list[InputFault], config: RetargetConfig
) -> Reject | None:
    mirrored = sum(hand.mirrored_frames for hand in hands.values())
    odd = sum(fault.frames for fault in found if fault.fault in ("units", "size"))
    usable = np.stack([hand.valid for hand in hands.values()])
    if kind == "torso":
        arms = np.stack([grid.seen(f"{side}_shoulder", f"{side}_wrist") for side in SIDES])
        usable = (usable | arms) & grid.seen("left_shoulder", "right_shoulder")
    share = float(usable.any(axis=0).mean())
    if share >= config.min_valid_share and usable.any():
        return None
    detail = (
        f"an arm or hand to follow in {share:.0%} of {len(grid.time_ns)} frames (placement {kind}); "
        f"{mirrored} hands were mirrored and {odd} of no human size"
    )
    others = [str(fault) for fault in found if fault.fault not in ("missing", "rare", "mirrored")]
    return Reject(reason=Reason.NO_USABLE_SEGMENT, detail="; ".join([detail, *others]))


def _no_human_body(grid: GridMotion, assumed_arm_m: float) -> Reject | None:
    """A Reject where the trunk and arms are not in metres, or left and right are exchanged."""
    _, seen = human.torso(grid)
    if not seen.any():
        return Reject(reason=Reason.NO_USABLE_SEGMENT, detail="no frame has two shoulders of one width")
    arm_m = sum(placement.arm_lengths(grid, assumed_arm_m))
    if not 0.5 < arm_m / assumed_arm_m < 2.0:
        detail = f"an arm of {arm_m:.3g} m where about {assumed_arm_m:.2f} is expected: not in metres"
        return Reject(reason=Reason.NO_USABLE_SEGMENT, detail=detail)
    behind, ahead_m = face_is_behind(grid)
    if behind:
        detail = f"the face is {-100 * ahead_m:.0f} cm behind the ears: left and right are exchanged, or mirrored"
        return Reject(reason=Reason.NO_USABLE_SEGMENT, detail=detail)
    return None


def side_state(
    grid: GridMotion, side: str, hand: SeenHand, arm: placement.PlacedArm, config: RetargetConfig
) -> SideState:
    """What is known of a side: frames with an arm and a hand, imputed ones, and sigma."""
    has_arm = np.isfinite(arm.p_base_wrist).all(axis=1) & np.isfinite(arm.sigma_m)
    has_hand = hand.valid & has_arm
    names = [f"{side}_wrist", f"{side}_elbow", f"{side}_shoulder"]
    by_body = np.stack([grid.imputed[:, grid.index(name)] for name in names]).any(axis=0) & ~hand.valid
    return SideState(
        arm=has_arm,
        hand=has_hand,
        imputed=(hand.imputed | by_body) & has_arm,
        sigma_m=np.where(has_arm, arm.sigma_m, np.nan),
    )


def _poor(solution: Solution, errors: dict, config: RetargetConfig) -> Reject | None:
    """A Reject where the wrists are far off, or half that far and the solver had not settled either."""
    share = float(np.mean(solution.converged))
    left = np.concatenate([errors.get(f"{side}_wrist", np.zeros(0)) for side in SIDES])
    median = float(np.median(left[np.isfinite(left)])) if np.isfinite(left).any() else float("inf")
    figures = (
        f"wrists {100 * median:.1f} cm off in the median, {share:.0%} of {len(solution.converged)} frames converged"
    )
    finite = np.isfinite(solution.joint_pos).all() and np.isfinite(solution.T_world_base).all()
    if not finite or (share < config.min_converged_share and median > 0.5 * config.max_median_error_m):
        detail = f"{figures} in {solution.iterations} iterations; {config.min_converged_share:.0%} are asked for"
        return Reject(reason=Reason.NOT_CONVERGED, detail=detail)
    if median > config.max_median_error_m:
        detail = f"{figures}; at most {100 * config.max_median_error_m:.1f} cm are allowed"
        return Reject(reason=Reason.POOR_TRACKING, detail=detail)
    return None


def _pack(motion, robot: Robot, grid, placed, hands, states, body, solved: Solved, names, config) -> RobotMotion:
    figures = dict(placed.figures)
    if body is None:
        T_world_base = np.tile([1.0, 0, 0, 0, 0, 0, robot.base_height_m], (len(grid.time_ns), 1))
        T_base_camera = placed.T_base_camera
    else:
        T_world_base = np.asarray(solved.solution.T_world_base)
        T_base_camera = geometry.compose(geometry.inverse(T_world_base), body.T_world_camera)
        figures["leg_scale"] = body.scale
        for i, side in enumerate(SIDES):
            figures[f"{side}_standing_frames"] = float(body.stands[:, i].sum())
    return robot_motion(
        *(motion, robot, grid, solved, names, states, hands, config),
        T_world_base=T_world_base,
        T_base_camera=T_base_camera,
        placement=placed.kind,
        whole_body=body is not None,
        figures=figures,
    )
