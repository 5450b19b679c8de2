"""From the camera to the world: up, floor, heading, the pelvis and the feet.

World: z up, metres. A seen body: the origin is on the floor below the person's median pelvis, x its median heading.
Hands alone: the origin is on the floor below the camera; x is the camera's forward for ego, its backward for third
(the person faces the camera).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.motion.body import HIPS, SHOULDERS, Body
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.hands import Hand

_AT = skeletons.skeleton("body33").index
_EARS = [_AT("left_ear"), _AT("right_ear")]
_ANKLES = [_AT("left_ankle"), _AT("right_ankle")]
_FEET = {side: [_AT(f"{side}_{part}") for part in ("ankle", "heel", "foot_index")] for side in skeletons.SIDES}
_ANKLE_OF_HEIGHT, _SHOULDER_OF_HEIGHT, _EYES_OF_HEIGHT = 0.039, 0.818, 0.936  # Winter, figure 4.1
_CAMERA_UP = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class World:
    """T_world_camera (7) of the first frame's camera, and where up comes from."""

    T_world_camera: np.ndarray
    gravity_from: Literal["metadata", "body", "assumed"]


def world_for(
    body: Body | None,
    view: str,
    hands: dict[str, Hand],
    config: MotionConfig,
    up_first: Float64[np.ndarray, " 3"] | None = None,
    T_first_mean: Float64[np.ndarray, " 7"] = geometry.IDENTITY_POSE,
) -> World:
    """The world of a clip: from the body where it is seen, else from the assumed camera of the view.

    The body's points are in the first frame's camera, in which `up_first` points up if that is known; `T_first_mean`
    is the middle of a camera that moves, which is what is assumed to be level, or pitched.
    """
    if body is None:
        assumed = geometry.compose(_assumed_camera(view, hands, config), geometry.inverse(T_first_mean))
        return World(assumed, "assumed") if up_first is None else World(_righted(assumed, up_first), "metadata")
    if up_first is not None:
        up, source = geometry.normalize(up_first), "metadata"
    else:
        up, source = _up(body, geometry.rotate(T_first_mean[:4], _CAMERA_UP))
    heading = _heading(body.p_camera[body.found], up)
    R = _axes(up, heading)  # rows: world axes in the camera
    q = geometry.quat_from_matrix(R)
    p_world = geometry.rotate(q, body.p_camera)
    pelvis = _pelvis(p_world, body)[body.found]
    floor = _floor(p_world, body, config)
    middle = np.median(pelvis, axis=0)
    return World(geometry.pose(q, np.array([-middle[0], -middle[1], -floor])), source)


def _righted(T_world_camera: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The pose turned by the least that makes `up`, a direction in the camera, point up; it stays where it is."""
    now = geometry.rotate(T_world_camera[:4], geometry.normalize(up))
    axis = np.cross(now, [0.0, 0.0, 1.0])
    angle = np.arctan2(np.linalg.norm(axis), now[2])
    axis = geometry.normalize(axis) if np.linalg.norm(axis) > 1e-9 else np.array([1.0, 0.0, 0.0])
    q = geometry.quat_mul(geometry.quat_exp(angle * axis), T_world_camera[:4])
    return geometry.pose(q, T_world_camera[4:])


def _assumed_camera(view: str, hands: dict[str, Hand], config: MotionConfig) -> np.ndarray:
    if view == "ego":
        height, pitch, sign = config.ego_camera_height_m, config.ego_pitch_deg, 1.0
        height = _EYES_OF_HEIGHT * config.person_height_m if height is None else height
    else:
        height, pitch, sign = config.third_camera_height_m, config.third_pitch_deg, -1.0
        pitch = (60.0 if _from_above(hands) else 0.0) if pitch is None else pitch
    down = np.radians(pitch)
    forward = np.array([sign * np.cos(down), 0.0, -np.sin(down)])
    right = np.array([0.0, -sign, 0.0])
    R = np.stack([right, np.cross(forward, right), forward], axis=-1)
    return geometry.pose(geometry.quat_from_matrix(R), np.array([0.0, 0.0, height]))


def _from_above(hands: dict[str, Hand]) -> bool:
    """True where most hands show their back: at work on a table, seen from above; a palm is shown to the camera."""
    seen_back = [back_towards_camera(hands[side].p_camera[hands[side].seen], side) for side in skeletons.SIDES]
    every = np.concatenate(seen_back)
    return bool(len(every)) and float(every.mean()) > 0.9


def back_towards_camera(p_camera: Float64[np.ndarray, "t 21 3"], side: str) -> Bool[np.ndarray, " t"]:
    """Frames in which the back of the hand faces the camera."""
    index, pinky = p_camera[:, 5] - p_camera[:, 0], p_camera[:, 17] - p_camera[:, 0]
    back = np.cross(pinky, index) if side == "right" else np.cross(index, pinky)
    return np.asarray((back * p_camera[:, 0]).sum(axis=-1) < 0)


def _up(body: Body, camera_up: np.ndarray) -> tuple[np.ndarray, Literal["body", "assumed"]]:
    """Mean of the body's own uprights and a level camera, by their sigmas; a camera that contradicts is left out."""
    p, seen = body.p_camera, body.seen
    shoulders, hips = p[:, SHOULDERS].mean(axis=1), p[:, HIPS].mean(axis=1)
    trunk = 0.5 * (shoulders + hips)
    shoulders_ok = seen[:, SHOULDERS].all(axis=1)
    torso_ok = shoulders_ok & seen[:, HIPS].all(axis=1)
    feet_ok = torso_ok & seen[:, _ANKLES].all(axis=1)
    head_ok = shoulders_ok & seen[:, _EARS].all(axis=1)
    # the trunk is above the feet of whoever does not fall; a torso leans; a head nods
    cues = (
        (trunk - p[:, _ANKLES].mean(axis=1), feet_ok, 8.0),
        (shoulders - hips, torso_ok, 14.0),
        (p[:, _EARS].mean(axis=1) - shoulders, head_ok, 25.0),
    )
    total, total_weight, strong = np.zeros(3), 0.0, False
    for direction, ok, sigma_deg in cues:
        if ok.mean() < 0.1:
            continue
        weight = np.sqrt(ok.mean()) / sigma_deg**2
        total += weight * geometry.normalize(np.median(geometry.normalize(direction[ok]), axis=0))
        total_weight += weight
        strong |= sigma_deg < 20
    if total_weight == 0.0:
        return camera_up, "assumed"
    own = geometry.normalize(total)
    if own @ camera_up < np.cos(np.radians(50.0)):
        return own, "body"
    up = geometry.normalize(own * total_weight + camera_up / 15.0**2)
    return up, "body" if strong else "assumed"


def _heading(p: np.ndarray, up: np.ndarray) -> np.ndarray:
    left = p[:, SHOULDERS[0]] - p[:, SHOULDERS[1]] + p[:, HIPS[0]] - p[:, HIPS[1]]
    forward = np.cross(geometry.normalize(left), up)
    return np.median(geometry.normalize(forward), axis=0)


def _axes(up: np.ndarray, heading: np.ndarray) -> np.ndarray:
    forward = heading - (heading @ up) * up
    if np.linalg.norm(forward) < 1e-3:  # turns all around: face the camera
        forward = np.array([0.0, 0.0, -1.0]) + up[2] * up
    forward = geometry.normalize(forward)
    return np.stack([forward, np.cross(up, forward), up])


def _pelvis(p_world: np.ndarray, body: Body) -> np.ndarray:
    """Middle of the hips, or a torso's length below the shoulders where the hips are not seen."""
    hips_ok = body.seen[:, HIPS].all(axis=1, keepdims=True)
    below = p_world[:, SHOULDERS].mean(axis=1) - np.array([0.0, 0.0, body.torso_m])
    return np.where(hips_ok, p_world[:, HIPS].mean(axis=1), below)


def feet_above_floor(
    p_world: Float64[np.ndarray, "t 33 3"], body: Body, config: MotionConfig
) -> tuple[Float64[np.ndarray, " t"], Bool[np.ndarray, " t"]]:
    """(height of the lower foot's sole, NaN where unknown; frames in which it is seen), metres."""
    feet = [k for side in skeletons.SIDES for k in _FEET[side]]
    above = np.array([_ANKLE_OF_HEIGHT * config.person_height_m, 0.01, 0.01] * 2)
    ok = body.seen[:, feet]
    lowest = np.where(ok, p_world[:, feet, 2] - above, np.inf).min(axis=1)
    return np.where(ok.any(axis=1), lowest, np.nan), np.asarray(ok.any(axis=1))


def _floor(p_world: np.ndarray, body: Body, config: MotionConfig) -> float:
    """Height of the floor: under the feet where they are seen often and fit the person, else as for one who stands."""
    shoulders = float(np.median(p_world[body.found][:, SHOULDERS, 2]))
    height_m = config.person_height_m
    lowest, known = feet_above_floor(p_world, body, config)
    if known.sum() >= 0.2 * body.found.sum():
        floor = float(np.percentile(lowest[known], 25))
        if 0.3 * height_m < shoulders - floor < 1.05 * height_m:
            return floor
    return shoulders - _SHOULDER_OF_HEIGHT * height_m


def root_pose(p_world: Float64[np.ndarray, "t 33 3"], body: Body) -> Float64[np.ndarray, "t 7"]:
    """T_world_root of the pelvis (x forward, y left, z along the spine); NaN where no body was found."""
    out = np.full((len(p_world), 7), np.nan)
    ok = body.found
    if not ok.any():
        return out
    pelvis = _pelvis(p_world, body)
    hips_ok = body.seen[:, HIPS].all(axis=1, keepdims=True)
    spine = np.where(hips_ok, p_world[:, SHOULDERS].mean(axis=1) - pelvis, np.array([0.0, 0.0, 1.0]))
    across = np.where(
        hips_ok, p_world[:, HIPS[0]] - p_world[:, HIPS[1]], p_world[:, SHOULDERS[0]] - p_world[:, SHOULDERS[1]]
    )
    spine = geometry.normalize(spine)
    left = geometry.normalize(across - (across * spine).sum(-1, keepdims=True) * spine)
    R = np.stack([np.cross(left, spine), left, spine], axis=-1)
    out[ok] = geometry.pose(geometry.quat_from_matrix(R[ok]), pelvis[ok])
    return out


def foot_contact(
    p_world: Float64[np.ndarray, "t 33 3"], body: Body, time_ns: Int64[np.ndarray, " t"]
) -> Float64[np.ndarray, "t 2"]:
    """How sure each foot (left, right) stands, 0 to 1, from its height and speed; 0 where it is not seen."""
    out = np.zeros((len(p_world), 2))
    if len(p_world) < 2:
        return out
    time_s = timebase.seconds(time_ns)
    for column, side in enumerate(skeletons.SIDES):
        ankle, _, toe = _FEET[side]
        ok = body.seen[:, ankle] & body.seen[:, toe]
        if ok.sum() < 2:
            continue
        p = p_world[:, [ankle, toe]]
        speed = np.linalg.norm(np.gradient(p, time_s, axis=0), axis=-1).min(axis=1)
        height = p[..., 2].min(axis=1)
        sure = _below(height, 0.10, 0.03) * _below(speed, 0.5, 0.15)
        out[ok, column] = np.nan_to_num(sure[ok])
    return out


def _below(value: np.ndarray, limit: float, width: float) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(np.clip((value - limit) / width, -50, 50)))
