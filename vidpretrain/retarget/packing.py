"""A solved clip as a `RobotMotion`: what motions of whole robots and of lone hands have in common."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.feasible import feasible_frames
from vidpretrain.retarget.hands import SeenHand
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.retarget.solving import Solved, errors_of
from vidpretrain.retarget.targets import SideState
from vidpretrain.robot import Robot
from vidpretrain.skeletons import SIDES
from vidpretrain.types import HumanMotion, RobotMotion


def robot_motion(
    motion: HumanMotion,
    robot: Robot,
    grid: GridMotion,
    solved: Solved,
    names: tuple[str, ...],
    states: dict[str, SideState],
    hands: dict[str, SeenHand],
    config: RetargetConfig,
    *,
    T_world_base: Float64[np.ndarray, "t 7"],
    T_base_camera: Float64[np.ndarray, "t 7"],
    placement: str,
    whole_body: bool,
    figures: dict[str, float],
) -> RobotMotion:
    """The motion with its status and figures.

    Args:
        names: the error site of each of the problem's terms, "" for those that measure none.
        states, hands: by side; a side that is not there is not valid anywhere.
        figures: what the placement measured; iterations, collisions, hands and medians of the errors are added.
    """
    solution = solved.solution
    errors = errors_of(solution, names)
    joint_pos, nobody = np.asarray(solution.joint_pos), np.zeros(len(grid.time_ns), dtype=bool)
    out = dict(figures) | {"iterations": float(solution.iterations)} | solved.figures
    for side in states:
        out[f"{side}_mirrored_frames"] = float(hands[side].mirrored_frames)
        out[f"{side}_odd_size_frames"] = float(hands[side].odd_size_frames)
        out[f"{side}_rare_frames"] = float(hands[side].rare_frames)
    for name, left in errors.items():
        out[f"{name}_median_m"] = float(np.nanmedian(left)) if np.isfinite(left).any() else float("nan")

    def by_side(value) -> np.ndarray:
        return np.stack([value(side) if side in states else nobody for side in SIDES], axis=1)

    return RobotMotion(
        clip_id=motion.clip_id,
        robot_name=robot.name,
        robot_digest=robot.digest,
        joint_names=robot.tree.joint_names,
        error_names=tuple(errors),
        time_ns=grid.time_ns,
        rate_hz=config.rate_hz,
        T_world_base=T_world_base,
        joint_pos=joint_pos,
        error_m=np.stack(list(errors.values()), axis=1),
        converged=np.asarray(solution.converged),
        feasible=feasible_frames(robot, joint_pos, config.rate_hz),
        valid=by_side(lambda side: states[side].arm),
        imputed=by_side(lambda side: states[side].imputed),
        confidence=by_side(lambda side: confidence(states[side], errors.get(f"{side}_wrist"), config)).astype(float),
        whole_body=whole_body,
        T_base_camera=T_base_camera,
        hand_valid=by_side(lambda side: states[side].hand),
        placement=placement,
        figures=out,
    )


def confidence(
    state: SideState, error_m: Float64[np.ndarray, " t"] | None, config: RetargetConfig
) -> Float64[np.ndarray, " t"]:
    """1 where the label is exact, 1/2 where sigma and tracking error together reach `trust_m`, 0 without a person.

    An imputed frame's sigma has grown with the gap already; what else it loses is the data set's `imputed_weight`.
    """
    left = np.zeros(len(state.arm)) if error_m is None else np.nan_to_num(error_m)
    sigma = np.nan_to_num(state.sigma_m)
    return np.where(state.arm, 1.0 / (1.0 + (sigma**2 + left**2) / config.trust_m**2), 0.0)
