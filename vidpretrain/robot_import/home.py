"""A standing posture with bent arms in front of the body, found by the solver; and what the arms reach from it."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot
from vidpretrain.solve import OrientationTerm, PointTerm, PostureTerm, Problem, Start, solve_clip

# Where the wrist goes, in arm lengths from the shoulder: forward, outward, up; then its x and z axes in the same frame.
POSES = {
    "home": ((0.45, 0.05, -0.55), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "forward": ((0.88, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "sideways": ((0.0, 0.9, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "up": ((0.25, 0.25, 0.8), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
    "together": ((0.55, -0.2, -0.25), (0.9, -0.4, 0.0), (0.4, 0.9, 0.0)),
}


def arm_pose(robot: Robot, name: str, start: np.ndarray | None = None) -> np.ndarray:
    """Joint positions (j) that bring both wrists where `POSES[name]` says; other joints stay at `start` (zero)."""
    tree = robot.tree
    lower, upper = tree.bounds()
    q = tree.with_mimic(np.clip(np.zeros(len(tree.joint_names)), lower, upper) if start is None else start)
    offset, x, z = (np.array(v) for v in POSES[name])
    terms = []
    for side in robot.sides:
        mirror = np.array([1.0, 1.0 if side == "left" else -1.0, 1.0])
        shoulder, elbow, wrist = (
            site_poses(tree, q[None], None, [f"{side}_{part}"])[0, 0, 4:] for part in ("shoulder", "elbow", "wrist")
        )
        length = np.linalg.norm(elbow - shoulder) + np.linalg.norm(wrist - elbow)
        ex, ez = geometry.normalize(x * mirror), geometry.normalize(z * mirror)
        R = np.stack([ex, np.cross(ez, ex), ez], axis=1)
        terms.append(
            PointTerm(
                site=f"{side}_wrist",
                p_world_target=(shoulder + length * offset * mirror)[None],
                weight=np.array([1 / 0.03**2]),
            )
        )
        terms.append(
            OrientationTerm(
                site=f"{side}_wrist", q_world_target=geometry.quat_from_matrix(R)[None], weight=np.array([1 / 0.5**2])
            )
        )
    active = np.zeros(len(tree.joint_names), dtype=bool)
    active[[j for side in robot.sides for j in robot.joints(f"{side}_arm")]] = True
    problem = Problem(
        rate_hz=30.0,
        frames=1,
        terms=tuple(terms),
        posture=PostureTerm(q_ref=q, weight=np.full(len(q), 0.2)),
        active_joints=active,
    )
    return solve_clip(tree, problem, Start(joint_pos=q)).joint_pos[0]


def home(robot: Robot) -> tuple[dict[str, float], float]:
    """(`home` of the robot file, height of the base over the soles): arms bent, everything else at zero."""
    q = arm_pose(robot, "home")
    lower, upper = robot.tree.bounds()
    values = {}
    for side in robot.sides:
        for j in robot.joints(f"{side}_arm"):
            values[robot.tree.joint_names[j]] = float(np.clip(round(float(q[j]), 2), lower[j], upper[j]))
    feet = [name for name in robot.tree.site_names if name.endswith("_foot")]
    height = -float(site_poses(robot.tree, q[None], None, feet)[0, :, 6].mean()) if feet else 0.0
    return values, round(height, 4)
