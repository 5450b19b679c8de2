"""People made from robots: keypoints of a robot's own motion, so that the answer of retargeting is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import geometry, timebase
from vidpretrain.kinematics import joint_poses, site_poses
from vidpretrain.robot import load_robot
from vidpretrain.robot.sizes import ancestors, measure
from vidpretrain.skeletons import HAND_SLICES, SIDES, skeleton
from vidpretrain.types import Camera, HumanMotion

FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@pytest.fixture(scope="session", params=["g1_inspire", "g1_dex3"])
def robot(request):
    """Each of the two robots."""
    return load_robot(request.param)


@pytest.fixture(scope="session")
def inspire():
    """The robot of the real episodes."""
    return load_robot("g1_inspire")


def camera(frames: int, T=(0.5, -0.5, -0.5, 0.5, 3.0, 0.0, 1.2)) -> Camera:
    """A camera in front of the person, looking back at them."""
    return Camera(
        K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]),
        distortion=np.zeros(0),
        width_px=640,
        height_px=480,
        T_world_camera=np.tile(geometry.pose(geometry.normalize(np.array(T[:4])), np.array(T[4:])), (frames, 1)),
        intrinsics_from="given",
        gravity_from="given",
    )


def wave(robot, frames: int = 90, rate_hz: float = 30.0, groups=("left_arm", "right_arm"), hands: bool = True):
    """A slow smooth motion (t j) around home, inside limits."""
    lower, upper = robot.tree.bounds()
    time = np.arange(frames) / rate_hz
    out = np.tile(robot.home, (frames, 1))
    for k, j in enumerate(j for group in groups for j in robot.joints(group)):
        out[:, j] = robot.home[j] + 0.25 * (np.sin(1.5 * time + 0.7 * k) - np.sin(0.7 * k))
    if hands:
        for k, j in enumerate(j for side in SIDES for j in robot.joints(f"{side}_hand")):
            middle = 0.5 * (lower[j] + upper[j])
            out[:, j] = middle + 0.35 * (upper[j] - lower[j]) * np.sin(1.2 * time + 0.5 * k)
    return robot.tree.with_mimic(np.clip(out, lower, upper))


def person(robot, joint_pos, *, body: bool = True, sides=SIDES, rate_hz: float = 30.0, view="third") -> HumanMotion:
    """The human75 keypoints of a robot that moves like this, its base at (0, 0, base height)."""
    sk, frames = skeleton("human75"), len(joint_pos)
    base = np.array([1.0, 0, 0, 0, 0, 0, robot.base_height_m])
    points = np.full((frames, 75, 3), np.nan)
    names = list(robot.tree.site_names)
    sites = site_poses(robot.tree, joint_pos, base)
    at = {name: sites[:, i] for i, name in enumerate(names)}
    if body:
        for side in SIDES:
            points[:, sk.index(f"{side}_shoulder")] = measure(robot).arms[side].p_base_shoulder + base[4:]
            for part in ("elbow", "wrist"):
                points[:, sk.index(f"{side}_{part}")] = at[f"{side}_{part}"][:, 4:]
        middle = 0.5 * (points[:, sk.index("left_shoulder")] + points[:, sk.index("right_shoulder")])
        for side, y in (("left", 0.08), ("right", -0.08)):
            points[:, sk.index(f"{side}_hip")] = middle + np.array([0, y, -0.4])
    for side in sides:
        points[:, HAND_SLICES[side]] = geometry.transform(
            at[f"{side}_wrist"][:, None], hand_points(robot, joint_pos, side, at)
        )
    return HumanMotion(
        clip_id="made",
        skeleton="human75",
        time_ns=timebase.uniform_grid(0, timebase.ns(frames / rate_hz), rate_hz)[:frames],
        T_world_root=np.full((frames, 7), np.nan),
        p_world_keypoint=points,
        sigma_m=np.where(np.isfinite(points[..., 0]), 0.01, np.nan),
        valid=np.isfinite(points).all(-1),
        imputed=np.zeros((frames, 75), dtype=bool),
        contact=np.full((frames, 2), np.nan),
        height_m=1.75,
        height_from="given",
        view=view,
        body_seen=body,
        camera=camera(frames),
    )


def hand_points(robot, joint_pos, side, at):
    """p_wrist_keypoint (t 21 3): knuckles of a flat palm, and on them the fingers that the robot has."""
    tree, arm = robot.tree, measure(robot).arms[side]
    toward_thumb = 1.0 if side == "right" else -1.0
    out = np.zeros((len(joint_pos), 21, 3))
    joints = joint_poses(tree, joint_pos, np.array([1.0, 0, 0, 0, 0, 0, robot.base_height_m]))[..., 4:]
    stop = int(tree.site_joint[tree.site(f"{side}_wrist")])
    by_name = {finger.site.split("_")[1]: finger for finger in arm.fingers}
    for i, name in enumerate(FINGERS):
        source = by_name.get(name) or by_name["middle"]
        path = ancestors(tree, int(tree.site_joint[tree.site(source.site)]), stop)
        track = np.concatenate([joints[:, path], at[source.site][:, None, 4:]], axis=1)
        local = geometry.transform(geometry.inverse(at[f"{side}_wrist"])[:, None], track)
        while local.shape[1] < 4:  # a bone more: halve the last
            local = np.concatenate([local[:, :-1], local[:, -2:].mean(axis=1, keepdims=True), local[:, -1:]], axis=1)
        local = np.concatenate([local[:, :3], local[:, -1:]], axis=1)
        start = np.array([0.02, 0.03 * toward_thumb, -0.005])
        if name != "thumb":
            start = np.array([0.09, (2 - i) * 0.02 * toward_thumb, 0.0])
        out[:, 1 + 4 * i : 5 + 4 * i] = start + local - local[:, :1]
    return out


def squat(robot, frames: int = 60):
    """(joint_pos (t j), T_world_base (t 7)) of a squat with flat soles on the ground at z = 0."""
    out = np.tile(robot.home, (frames, 1))
    bend = 0.2 + 0.5 * (1 - np.cos(np.linspace(0, 2 * np.pi, frames))) * 0.7
    for side in SIDES:
        for part, share in (("hip_pitch", -1.0), ("knee", 2.0), ("ankle_pitch", -1.0)):
            out[:, robot.tree.joint(f"{side}_{part}_joint")] = share * bend
    sole = site_poses(robot.tree, out, None, ["left_foot"])[:, 0, 4:]
    base = np.zeros((frames, 7))
    base[:, 0] = 1.0
    base[:, [4, 6]] = -sole[:, [0, 2]]
    return out, base


def walker(robot, joint_pos, base, height_m: float = 1.75) -> HumanMotion:
    """A whole person who moves like this robot: `person` and its legs, turned by a heading of 0.7 rad."""
    sk, made = skeleton("human75"), person(robot, joint_pos)
    still = np.array([1.0, 0, 0, 0, 0, 0, robot.base_height_m])
    points = geometry.transform(
        base[:, None], geometry.transform(geometry.inverse(still), np.asarray(made.p_world_keypoint))
    )
    joints = joint_poses(robot.tree, joint_pos, base)[..., 4:]
    ankle_m, hips = 0.039 * height_m, []
    for side in SIDES:
        sole = site_poses(robot.tree, joint_pos, base, [f"{side}_foot"])[:, 0]
        hips.append(joints[:, robot.joints(f"{side}_leg")[0]])
        points[:, sk.index(f"{side}_hip")] = hips[-1]
        points[:, sk.index(f"{side}_knee")] = joints[:, robot.tree.joint(f"{side}_knee_joint")]
        for part, offset in (("ankle", (0, 0, ankle_m)), ("heel", (-0.08, 0, 0)), ("foot_index", (0.1, 0, 0))):
            points[:, sk.index(f"{side}_{part}")] = geometry.transform(sole, np.array(offset, dtype=float))
    root = geometry.pose(base[:, :4], np.mean(hips, axis=0))
    turn = geometry.pose(geometry.quat_exp(np.array([0.0, 0.0, 0.7])), np.array([2.0, 1.0, 0.5]))
    points, root = geometry.transform(turn, points), geometry.compose(turn, root)
    seen = np.isfinite(points).all(-1)
    return dataclasses.replace(
        made,
        p_world_keypoint=points,
        T_world_root=root,
        valid=seen,
        sigma_m=np.where(seen, 0.01, np.nan),
        contact=np.ones((len(joint_pos), 2)),
    )


@pytest.fixture(scope="session")
def make():
    """The makers of this file, for tests that name them."""
    return {"wave": wave, "person": person, "squat": squat, "walker": walker}
