"""A hand of its own: its fingers by the person's, its mount where the person's hand is."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry, timebase
from vidpretrain.kinematics import site_poses
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.hands import SeenHand, wrist_rotation
from vidpretrain.retarget.packing import robot_motion
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.retarget.solving import Solved, solve
from vidpretrain.retarget.targets import SideState, hand_problem
from vidpretrain.retarget.verdicts import chosen
from vidpretrain.robot import Robot
from vidpretrain.robot.sizes import fingers_of
from vidpretrain.solve import Start
from vidpretrain.types import HumanMotion, Reason, Reject, RobotMotion


def retarget_hand(
    motion: HumanMotion, robot: Robot, grid: GridMotion, hands: dict[str, SeenHand], config: RetargetConfig
) -> RobotMotion | Reject:
    """The hand's motion, or why there is none. `T_world_base` carries the person's wrist, unscaled, as its own.

    The other side's columns of `valid` and `confidence` are empty. Joints of the wrist, if it has any, stay at home.

    Raises:
        ConfigError: the hand has no fingers.
    """
    side = robot.sides[0]
    hand = hands[side]
    share = float(hand.valid.mean())
    if share < config.min_valid_share or not hand.valid.any():
        detail = (
            f"{robot.name} is a {side} hand, and the person's {side} hand is there to follow in {share:.0%} of "
            f"{len(hand.valid)} frames ({hand.mirrored_frames} were mirrored)"
        )
        return Reject(reason=Reason.NO_USABLE_SEGMENT, detail=detail)
    state = SideState(arm=hand.valid, hand=hand.valid, imputed=hand.imputed, sigma_m=grid.sigma(f"{side}_hand_wrist"))
    problem, names = hand_problem(robot, side, fingers_of(robot, side), hand, state, config)
    solved = solve(robot, robot.tree, problem, names, Start(joint_pos=robot.home), config)
    if not np.isfinite(solved.solution.joint_pos).all():
        return Reject(reason=Reason.NOT_CONVERGED, detail=f"no finite motion of {robot.name}")
    T_world_base = _mount(robot, grid, hand)

    def pack(solved: Solved) -> RobotMotion:
        return robot_motion(
            *(motion, robot, grid, solved, names, {side: state}, {side: hand}, config),
            T_world_base=T_world_base,
            T_base_camera=geometry.compose(geometry.inverse(T_world_base), grid.T_world_camera),
            placement="hand",
            whole_body=False,
            figures={},
        )

    return chosen(robot, solved, pack, config)


def _mount(robot: Robot, grid: GridMotion, hand: SeenHand) -> np.ndarray:
    """T_world_base (t 7) with the robot's wrist at the person's; interpolated, and held at the ends, where unseen."""
    T_base_wrist = site_poses(robot.tree, np.array(robot.home)[None], None, [f"{hand.side}_wrist"])[0, 0]
    seen = hand.valid
    wrist = geometry.pose(wrist_rotation(hand)[seen], hand.p_world_point[seen, 0])
    base = geometry.compose(wrist, geometry.inverse(T_base_wrist))
    index = np.arange(len(seen), dtype=np.int64)
    return timebase.interpolate_pose(index[seen], base, index)
