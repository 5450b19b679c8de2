"""Where the person's arms and hands belong in the robot's base frame: one offset, heading and scale per clip.

* torso: the body was seen. Shoulder, elbow and wrist are taken relative to the person's torso and scaled to the
  robot's upper arm and forearm.
* ego: the person's camera comes to the robot's head camera and looks the same way, but up stays up; the hands keep
  their place relative to it but for an offset that brings the used workspace within reach.
* hands: only hands, seen from outside. A heading and an offset put the median wrists near where the robot's wrists are
  at home; the heading is the one of 24 whose median hand orientation the robot reaches best.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.optimize import least_squares

from vidpretrain import geometry
from vidpretrain.retarget import human
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.hands import SeenHand, mean_rotation, wrist_rotation
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.robot import Robot
from vidpretrain.robot.sizes import RobotSize
from vidpretrain.skeletons import SIDES
from vidpretrain.types import Frozen


@dataclass(frozen=True, kw_only=True)
class PlacedArm(Frozen):
    """One arm's targets in the robot's base frame; NaN where there is none. Sigma is the wrist's, robot-sized."""

    p_base_elbow: Float64[np.ndarray, "t 3"]
    p_base_wrist: Float64[np.ndarray, "t 3"]
    q_base_wrist: Float64[np.ndarray, "t 4"]
    sigma_m: Float64[np.ndarray, " t"]


@dataclass(frozen=True, kw_only=True)
class Placed(Frozen):
    """Both arms, the camera in the base frame, and the figures of the placement."""

    kind: str
    arms: dict[str, PlacedArm]
    T_base_camera: Float64[np.ndarray, "t 7"]
    figures: dict[str, float] = field(default_factory=dict)


def choose(grid: GridMotion, hands: dict[str, SeenHand], view: str, config: RetargetConfig) -> str:
    """The placement of `config`, or the best that this motion allows."""
    if config.placement != "auto":
        return config.placement
    arms = np.stack([grid.seen(f"{side}_shoulder", f"{side}_wrist") for side in SIDES]).any(axis=0)
    torso = grid.seen("left_shoulder", "right_shoulder")
    wanted = arms | np.stack([hand.valid for hand in hands.values()]).any(axis=0)
    if wanted.any() and (torso & arms & wanted).sum() >= config.min_torso_share * wanted.sum():
        return "torso"
    if view == "ego" and np.isfinite(grid.T_world_camera).all():
        return "ego"
    return "hands"


def place(
    kind: str,
    grid: GridMotion,
    hands: dict[str, SeenHand],
    robot: Robot,
    size: RobotSize,
    height_m: float,
    config,
    held: dict[str, Any] | None = None,
) -> Placed:
    """The arms' targets under a placement: "torso", "ego" or "hands".

    `held` keeps the offset and heading that were found, and where it has them they are taken: for frames that come
    one after the other.
    """
    held = {} if held is None else held
    if kind == "torso":
        return _by_torso(grid, hands, size, config.arm_by_height * height_m)
    robot_arm = np.mean([arm.length_m for arm in size.arms.values()])
    scale = float(robot_arm / (config.arm_by_height * height_m))
    if kind == "ego":
        return _by_camera(grid, hands, robot, size, scale, config, held)
    return _by_hands(grid, hands, robot, size, scale, config, held)


def _by_torso(grid: GridMotion, hands: dict[str, SeenHand], size: RobotSize, assumed_arm_m: float) -> Placed:
    T_world_torso, seen = human.torso(grid)
    q_base_torso = size.T_base_torso[:4]
    q_base_world = geometry.quat_mul(q_base_torso, geometry.quat_inverse(T_world_torso[:, :4]))
    upper_h, fore_h = arm_lengths(grid, assumed_arm_m)
    scales, arms, figures = [], {}, {}
    for side in SIDES:
        arm, hand = size.arms[side], hands[side]
        shoulder, elbow = grid.point(f"{side}_shoulder"), grid.point(f"{side}_elbow")
        wrist = grid.point(f"{side}_wrist")
        wrist = np.where(np.isfinite(wrist), wrist, hand.p_world_point[:, 0])
        wrist = np.where(seen[:, None], wrist, np.nan)
        to_elbow = geometry.rotate(q_base_world, _bounded(elbow - shoulder, upper_h)) * (arm.upper_m / upper_h)
        to_wrist = geometry.rotate(q_base_world, _bounded(wrist - elbow, fore_h)) * (arm.fore_m / fore_h)
        scale = arm.length_m / (upper_h + fore_h)
        direct = geometry.rotate(q_base_world, _bounded(wrist - shoulder, upper_h + fore_h)) * scale
        p_elbow = arm.p_base_shoulder + to_elbow
        p_wrist = np.where(np.isfinite(to_elbow + to_wrist), p_elbow + to_wrist, arm.p_base_shoulder + direct)
        sigma = np.where(grid.seen(f"{side}_wrist"), grid.sigma(f"{side}_wrist"), grid.sigma(f"{side}_hand_wrist"))
        arms[side] = PlacedArm(
            p_base_elbow=p_elbow,
            p_base_wrist=p_wrist,
            q_base_wrist=geometry.quat_mul(q_base_world, wrist_rotation(hand)),
            sigma_m=scale * sigma,
        )
        scales.append(scale)
    scale = float(np.mean(scales))
    figures["scale"] = scale
    p_base_neck = np.mean([arm.p_base_shoulder for arm in size.arms.values()], axis=0)
    p_torso_camera = geometry.rotate(
        geometry.quat_inverse(T_world_torso[:, :4]), grid.T_world_camera[:, 4:] - T_world_torso[:, 4:]
    )
    T_base_camera = geometry.pose(
        geometry.quat_mul(q_base_world, grid.T_world_camera[:, :4]),
        p_base_neck + scale * geometry.rotate(q_base_torso, p_torso_camera),
    )
    return Placed(kind="torso", arms=arms, T_base_camera=_constant(T_base_camera), figures=figures)


def arm_lengths(grid: GridMotion, assumed_arm_m: float) -> tuple[float, float]:
    """(upper arm, forearm) of the person, who has two equal arms; by height where no elbow was ever seen."""
    parts = (("shoulder", "elbow", 0.56), ("elbow", "wrist", 0.44))
    out = []
    for first, last, share in parts:
        both = np.array([human.limb_length(grid, f"{side}_{first}", f"{side}_{last}") for side in SIDES])
        known = both[np.isfinite(both)]
        out.append(float(known.mean()) if len(known) else share * assumed_arm_m)
    return out[0], out[1]


def _bounded(vector: Float64[np.ndarray, "t 3"], length_m: float) -> Float64[np.ndarray, "t 3"]:
    """Vectors no longer than `length_m`: depth noise may stretch a limb, a robot's does not."""
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return vector * np.where(norm > length_m, length_m / np.maximum(norm, 1e-9), 1.0)


def _constant(T: Float64[np.ndarray, "t 7"]) -> Float64[np.ndarray, "t 7"]:
    """The clip's middle pose for all frames, NaN where there is none."""
    finite = T[np.isfinite(T).all(axis=1)]
    if not len(finite):
        return np.full_like(T, np.nan)
    middle = geometry.pose(mean_rotation(finite[:, :4]), np.median(finite[:, 4:], axis=0))
    return np.repeat(middle[None], len(T), axis=0)


def _no_elbow(frames: int) -> Float64[np.ndarray, "t 3"]:
    return np.full((frames, 3), np.nan)


def _by_camera(grid, hands, robot: Robot, size: RobotSize, scale: float, config: RetargetConfig, held) -> Placed:
    """Hands by the person's camera at the place of the robot's, looking the same way, with the world's up kept.

    People pitch their cameras as they like and robots theirs: were the pictures laid onto each other, a hand that
    holds a cup upright would tilt it by the difference.
    """
    q_base_world = level(grid.T_world_camera[:, :4], robot.T_base_camera[:4])
    p_base_camera = robot.T_base_camera[4:]
    wrists = {
        side: p_base_camera
        + scale * geometry.rotate(q_base_world, hands[side].p_world_point[:, 0] - grid.T_world_camera[:, 4:])
        for side in SIDES
    }
    wrists, far = _without_jumps(wrists, size)
    if "offset" not in held:
        held["offset"] = reach_offset(wrists, size, config)
    offset = held["offset"]
    T_base_camera = geometry.pose(geometry.quat_mul(q_base_world, grid.T_world_camera[:, :4]), p_base_camera + offset)
    pitch = [float(np.arcsin(-_ahead(q)[2])) for q in (robot.T_base_camera[:4], mean_rotation(T_base_camera[:, :4]))]
    return Placed(
        kind="ego",
        arms=_hand_arms(grid, hands, wrists, offset, dict.fromkeys(SIDES, q_base_world), scale),
        T_base_camera=T_base_camera,
        figures={
            "scale": scale,
            "offset_m": float(np.linalg.norm(offset)),
            "camera_pitch_rad": pitch[1],
            "robot_camera_pitch_rad": pitch[0],
            **far,
        },
    )


def level(q_world_camera: Float64[np.ndarray, "t 4"], q_base_camera: Float64[np.ndarray, " 4"]):
    """q_base_world (t 4), turns about the vertical that make both cameras look the same way."""
    way = [np.arctan2(forward[..., 1], forward[..., 0]) for forward in map(heading_of, (q_base_camera, q_world_camera))]
    return geometry.quat_exp((way[0] - way[1])[..., None] * np.array([0.0, 0.0, 1.0]))


def _ahead(q: Float64[np.ndarray, "*t 4"]) -> Float64[np.ndarray, "*t 3"]:
    return geometry.rotate(q, np.array([0.0, 0.0, 1.0]))


def heading_of(q_world_camera: Float64[np.ndarray, "*t 4"]) -> Float64[np.ndarray, "*t 3"]:
    """Where a camera looks, seen from above: its axis, and the lower it looks the more its picture's upper edge."""
    ahead = _ahead(q_world_camera)
    up = geometry.rotate(q_world_camera, np.array([0.0, -1.0, 0.0]))
    forward = ahead + np.maximum(0.0, -ahead[..., 2:]) * up
    return forward * np.array([1.0, 1.0, 0.0])


def _hand_arms(grid, hands, wrists, offset, q_base_world, scale: float) -> dict[str, PlacedArm]:
    return {
        side: PlacedArm(
            p_base_elbow=_no_elbow(len(grid.time_ns)),
            p_base_wrist=wrists[side] + offset,
            q_base_wrist=geometry.quat_mul(q_base_world[side], wrist_rotation(hands[side])),
            sigma_m=scale * grid.sigma(f"{side}_hand_wrist"),
        )
        for side in SIDES
    }


def _without_jumps(
    wrists: dict[str, Float64[np.ndarray, "t 3"]], size: RobotSize
) -> tuple[dict[str, Float64[np.ndarray, "t 3"]], dict[str, float]]:
    """Wrist tracks without frames two arm's lengths from their middle, where no arm can follow, and their counts."""
    out, figures = {}, {}
    for side, track in wrists.items():
        known = np.isfinite(track).all(axis=1)
        far = np.zeros(len(track), dtype=bool)
        if known.any():
            middle = np.median(track[known], axis=0)
            far[known] = np.linalg.norm(track[known] - middle, axis=1) > 2 * size.arms[side].length_m
        out[side] = np.where(far[:, None], np.nan, track)
        figures[f"{side}_far_frames"] = float(far.sum())
    return out, figures


def reach_offset(
    p_base_wrist: dict[str, Float64[np.ndarray, "t 3"]], size: RobotSize, config: RetargetConfig
) -> Float64[np.ndarray, " 3"]:
    """The shortest translation (3,) in metres that brings the wrists, nearly all of them, into the arms' reach.

    Reach: between .35 and `reach_share` of the arm's length from the shoulder, and in front of it.
    """
    tracks = []
    for side, track in p_base_wrist.items():
        track = track[np.isfinite(track).all(axis=1)]
        if len(track):
            tracks.append((track[:: max(1, len(track) // 100)], size.arms[side]))
    if not tracks:
        return np.zeros(3)
    count = sum(len(track) for track, _ in tracks)

    def residual(offset: np.ndarray) -> np.ndarray:
        parts = [0.05 * np.sqrt(count) * offset]
        for track, arm in tracks:
            from_shoulder = track + offset - arm.p_base_shoulder
            distance = np.linalg.norm(from_shoulder, axis=1)
            parts.append(np.maximum(distance - config.reach_share * arm.length_m, 0))
            parts.append(np.maximum(0.35 * arm.length_m - distance, 0))
            parts.append(np.maximum(0.05 - from_shoulder[:, 0], 0))
        return np.concatenate(parts)

    return least_squares(residual, np.zeros(3), loss="soft_l1", f_scale=0.05).x


def _by_hands(grid, hands, robot: Robot, size: RobotSize, scale: float, config: RetargetConfig, held) -> Placed:
    from vidpretrain.retarget.heading import best_heading

    middles = {}
    for side in SIDES:
        if hands[side].valid.any():
            q = wrist_rotation(hands[side])[hands[side].valid]
            p = np.median(hands[side].p_world_point[hands[side].valid, 0], axis=0)
            middles[side] = geometry.pose(mean_rotation(q), p)
    if "heading" not in held:
        held["heading"] = best_heading(middles, _facing(grid, middles), robot, size, scale, config)
    heading = held["heading"]

    def to_base(p_world: np.ndarray) -> np.ndarray:
        turned = geometry.rotate(heading.q_base_world, p_world - heading.p_world_middle)
        return heading.p_base_middle + scale * turned

    wrists = {side: to_base(hands[side].p_world_point[:, 0]) for side in SIDES}
    wrists, far = _without_jumps(wrists, size)
    if "offset" not in held:
        held["offset"] = reach_offset(wrists, size, config)
    offset = held["offset"]
    rotations = {
        side: np.tile(geometry.quat_mul(heading.q_extra[side], heading.q_base_world), (len(grid.time_ns), 1))
        for side in SIDES
    }
    camera = geometry.pose(
        geometry.quat_mul(heading.q_base_world, grid.T_world_camera[:, :4]),
        to_base(grid.T_world_camera[:, 4:]) + offset,
    )
    return Placed(
        kind="hands",
        arms=_hand_arms(grid, hands, wrists, offset, rotations, scale),
        T_base_camera=_constant(camera),
        figures={"scale": scale, "offset_m": float(np.linalg.norm(offset)), **heading.figures, **far},
    )


def _facing(grid: GridMotion, middles: dict[str, np.ndarray]) -> float:
    """Heading in the world of a person who looks at the camera, 0 where the camera's place is unknown or above."""
    p_world_camera = np.median(grid.T_world_camera[:, 4:], axis=0)
    ahead = p_world_camera - np.mean([T[4:] for T in middles.values()], axis=0)
    if not np.isfinite(ahead).all() or np.linalg.norm(ahead[:2]) < 0.1:
        return 0.0
    return float(np.arctan2(ahead[1], ahead[0]))
