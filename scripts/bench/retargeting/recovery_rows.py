"""A robot's own motion as targets: the keypoints must come back, fingers included."""

from __future__ import annotations

from typing import Any

import numpy as np
from retargeting.measures import row
from retargeting.setting import Setting

from vidpretrain.errors import VidpretrainError
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import load_robot, robot_names
from vidpretrain.solve import PointTerm, PostureTerm, Problem, Start, solve_clip

Row = dict[str, Any]
_FRAMES, _RATE_HZ, _SHARE = 60, 30.0, 0.35


def recovery(setting: Setting) -> list[Row]:
    """Greatest distance of any keypoint from where it came from, in the mean over the frames, per robot."""
    rows = []
    for name in robot_names():
        try:
            robot = load_robot(name)
        except VidpretrainError as error:
            setting.skipped.append(f"{name}: {error.message}")
            continue
        tree = robot.tree
        q = _wave(robot)
        sites = [site for site in tree.site_names if site != "head_camera"]
        places = site_poses(tree, q, None, sites)[..., 4:]
        joints, ones = len(tree.joint_names), np.ones(_FRAMES)
        terms = tuple(
            PointTerm(site=site, p_world_target=np.ascontiguousarray(places[:, i]), weight=1e6 * ones)
            for i, site in enumerate(sites)
        )
        problem = Problem(
            rate_hz=_RATE_HZ,
            frames=_FRAMES,
            terms=terms,
            posture=PostureTerm(q_ref=np.array(robot.home), weight=np.full(joints, 1e-4)),
            tolerance=1e-9,
        )
        found = np.asarray(solve_clip(tree, problem, Start(joint_pos=robot.home)).joint_pos)
        left = np.linalg.norm(site_poses(tree, found, None, sites)[..., 4:] - places, axis=-1)
        rows.append(row(f"recovery, {name}: keypoint error, worst site", 1e3 * left.mean(axis=0).max(), "mm", "<= 1"))
    return rows


def _wave(robot: Any) -> np.ndarray:
    """A smooth motion (t j) around home, inside the limits, every joint in its own time."""
    lower, upper = robot.tree.bounds()
    room = _SHARE * np.minimum(upper - lower, 2.0)
    time = np.arange(_FRAMES)[:, None] / _RATE_HZ
    phase = 0.9 * np.arange(len(lower))
    wave = robot.home + room * (np.sin(1.5 * time + phase) - np.sin(phase))
    return robot.tree.with_mimic(np.clip(wave, lower, upper))
