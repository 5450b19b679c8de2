"""What is measured of a motion, the same for every solver, from joint positions alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidpretrain.kinematics import site_poses
from vidpretrain.tree import Tree

SLACK_RAD = 1e-9


def smoothness(joint_pos: np.ndarray, rate_hz: float) -> dict[str, float]:
    """jerk_p99 (rad/s^3) and max_speed (rad/s) over all joints and frames."""
    jerk = np.abs(np.diff(joint_pos, 3, axis=0)) * rate_hz**3
    return {
        "jerk_p99": float(np.percentile(jerk, 99)),
        "max_speed": float(np.abs(np.diff(joint_pos, axis=0)).max() * rate_hz),
    }


def violations(tree: Tree, joint_pos: np.ndarray, slack: float = SLACK_RAD) -> int:
    """Frames with a joint beyond its limits by more than `slack`."""
    lower, upper = tree.bounds()
    return int(((joint_pos < lower - slack) | (joint_pos > upper + slack)).any(axis=1).sum())


def vector_errors(tree: Tree, joint_pos: np.ndarray, case: dict[str, Any], target: np.ndarray) -> np.ndarray:
    """(t n) distances in metres between the vectors from the palm to the links and their targets (t n 3)."""
    at = site_poses(tree, joint_pos, None, [case["origin"], *case["links"]])[..., 4:]
    return np.linalg.norm(at[:, 1:] - at[:, :1] - target, axis=-1)


def row(name: str, value: float, unit: str, bar: str | None = None) -> dict[str, Any]:
    """A row of the table; `bar` is a comparison such as ">= 200", None where there is none."""
    met = None
    if bar is not None:
        sign, limit = bar.split()
        met = {">=": value >= float(limit), "<=": value <= float(limit), "==": value == float(limit)}[sign]
    return {"name": name, "value": float(value), "unit": unit, "bar": bar, "met": None if met is None else bool(met)}
