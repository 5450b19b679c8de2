"""RobotMotion to Trajectory and back, under an ActionSpec."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from vidpretrain import geometry, timebase
from vidpretrain.actions.spec import columns_of, robot_groups
from vidpretrain.errors import InputError
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Column, Robot
from vidpretrain.skeletons import SIDES
from vidpretrain.types import ActionSpec, Activity, RobotMotion, Trajectory


def trajectory(motion: RobotMotion, robot: Robot, spec: ActionSpec, activity: Activity | None = None) -> Trajectory:
    """State and action of a motion, absolute, float32: action[t] is the state of row t + 1, the last row holds.

    A column is valid in a row whose state and action both follow an observed person and are feasible on the robot;
    hand columns ask for a seen hand, arm and wrist columns for a seen arm. Imputed is either row's, confidence the
    smaller. Grasp bits are those of `activity` at each row's time; without it they are not valid.

    Raises:
        InputError: the motion belongs to another robot or rate.
    """
    if motion.robot_name != robot.name or motion.robot_digest != robot.digest:
        raise InputError(
            "the motion belongs to another robot",
            asked=f"{robot.name} {robot.digest}",
            found=f"{motion.robot_name} {motion.robot_digest}",
            next_command="vidpretrain retarget",
        )
    if abs(motion.rate_hz - spec.rate_hz) > 1e-6 * spec.rate_hz:
        raise InputError("the motion has another rate", asked=f"{spec.rate_hz} Hz", found=f"{motion.rate_hz} Hz")
    state = _vector(np.asarray(motion.joint_pos), robot, spec, np.asarray(motion.T_world_base)).astype(np.float32)
    ahead = np.minimum(np.arange(len(state)) + 1, len(state) - 1)
    arm, hand = np.asarray(motion.valid), np.asarray(motion.valid)
    if motion.hand_valid is not None:
        hand = np.asarray(motion.hand_valid)
    arm, hand = arm & motion.feasible[:, None], hand & motion.feasible[:, None]
    grasp, known = _grasp(activity, np.asarray(motion.time_ns))
    for group, columns in spec.slices().items():
        if group.endswith("_grasp"):
            state[:, columns] = grasp[:, [SIDES.index(group.removesuffix("_grasp"))]]
    valid = _columns(spec, arm, hand, hand & known)
    imputed = _columns(spec, np.asarray(motion.imputed))
    confidence = _columns(spec, np.asarray(motion.confidence)).astype(np.float32)
    return Trajectory(
        spec=spec,
        state=state,
        action=state[ahead],
        valid=valid & valid[ahead],
        confidence=np.minimum(confidence, confidence[ahead]),
        imputed=imputed | imputed[ahead],
    )


def joint_pos(
    vector: Float[np.ndarray, "*b d"], robot: Robot, spec: ActionSpec, *, clip: bool = False
) -> Float64[np.ndarray, "*b j"]:
    """Positions of all joints of the tree from absolute vectors; mimic joints follow, others stand at home.

    The wrist columns say nothing that the joints do not, and are not used. `clip` keeps the joints inside limits.
    """
    vector = np.asarray(vector, dtype=float)
    out = np.broadcast_to(robot.home, (*vector.shape[:-1], len(robot.home))).copy()
    slices = spec.slices()
    for group in robot_groups(spec):
        joints, scale, offset = _map(robot, columns_of(robot, group.name))
        out[..., joints] = (vector[..., slices[group.name]] - offset) / scale
    if clip:
        out = np.clip(out, *robot.tree.bounds())
    return robot.tree.with_mimic(out)


def with_wrists(vector: Float[np.ndarray, "*b n"], robot: Robot, spec: ActionSpec) -> Float32[np.ndarray, "*b d"]:
    """Vectors in the whole layout from those with the robot's own columns only (joints, then hands; n of them).

    The wrists' poses come from forward kinematics with every other joint at home.

    Raises:
        InputError: the vectors have another width than the robot's own columns.
    """
    vector = np.asarray(vector)
    own = robot_groups(spec)
    width = sum(group.width for group in own)
    if vector.shape[-1] != width:
        raise InputError(
            f"vectors of {vector.shape[-1]} columns for {robot.name}",
            asked=f"{width}: " + ", ".join(f"{group.name} {group.width}" for group in own),
            found=vector.shape[-1],
        )
    out = np.zeros((*vector.shape[:-1], spec.width))
    start, slices = 0, spec.slices()
    for group in own:
        out[..., slices[group.name]] = vector[..., start : start + group.width]
        start += group.width
    flat = joint_pos(out, robot, spec).reshape(-1, len(robot.home))
    for name, nine in _wrists(flat, robot, spec).items():
        out[..., slices[name]] = nine.reshape(*vector.shape[:-1], 9)
    return out.astype(np.float32)


def _vector(
    positions: Float64[np.ndarray, "t j"], robot: Robot, spec: ActionSpec, T_world_base: Float64[np.ndarray, "t 7"]
) -> Float64[np.ndarray, "t d"]:
    out, slices = np.zeros((len(positions), spec.width)), spec.slices()
    for group in robot_groups(spec):
        joints, scale, offset = _map(robot, columns_of(robot, group.name))
        out[:, slices[group.name]] = positions[:, joints] * scale + offset
    for name, nine in _wrists(positions, robot, spec).items():
        out[:, slices[name]] = nine
    for group in spec.groups:
        if group.quantity == "base":
            out[:, slices[group.name]] = geometry.pose9(T_world_base)
    return out


def _wrists(positions: Float64[np.ndarray, "t j"], robot: Robot, spec: ActionSpec) -> dict[str, np.ndarray]:
    """pose9 of the wrists in the base frame, by group name."""
    names = [group.name for group in spec.groups if group.quantity == "wrist_pose"]
    if not names:
        return {}
    poses = site_poses(robot.tree, positions, None, names)
    return {name: geometry.pose9(poses[:, i]) for i, name in enumerate(names)}


def _map(robot: Robot, columns: tuple[Column, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    joints = robot.tree.joints([column.joint for column in columns])
    return joints, np.array([column.scale for column in columns]), np.array([column.offset for column in columns])


def _grasp(activity: Activity | None, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(closed (t 2), known (t 2)) at these times, the nearest frame's."""
    if activity is None or len(activity.time_ns) == 0:
        return np.zeros((len(time_ns), 2), dtype=bool), np.zeros((len(time_ns), 2), dtype=bool)
    at = timebase.nearest_index(activity.time_ns, time_ns)
    return np.asarray(activity.grasp[at]), np.asarray(activity.known[at])


def _columns(
    spec: ActionSpec, arm: np.ndarray, hand: np.ndarray | None = None, grasp: np.ndarray | None = None
) -> Bool[np.ndarray, "t d"]:
    """Per-side flags (t 2) spread over the columns of each side's groups; the trunk's have the better side's."""
    parts = []
    for group in spec.groups:
        source = {"hand": hand, "grasp": grasp}.get(group.quantity)
        source = arm if source is None else source
        side = next((k for k, name in enumerate(SIDES) if group.name.startswith(name)), None)
        flags = source.max(axis=1) if side is None else source[:, side]
        parts.append(np.repeat(flags[:, None], group.width, axis=1))
    return np.concatenate(parts, axis=1)
