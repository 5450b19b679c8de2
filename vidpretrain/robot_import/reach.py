"""How a robot's limbs compare with a person's, and what its arms reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot

# Shares of body height: Drillis and Contini 1966, as in Winter, Biomechanics and Motor Control, figure 4.1.
PERSON_M = 1.70
_UPPER, _FORE, _HAND, _SHOULDERS = 0.186, 0.146, 0.108, 0.259
SHORT = 0.6  # arms below this share of a person's are remarked on
_SAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Length:
    """One length (m) of the robot and of a person of 1.70 m."""

    what: str
    robot_m: float
    person_m: float

    @property
    def share(self) -> float:
        """The robot's length as a share of the person's."""
        return self.robot_m / self.person_m


def lengths(robot: Robot) -> tuple[Length, ...]:
    """Lengths at home: upper arm, forearm, arm, wrist to middle fingertip, and shoulder width, as far as they exist."""
    at = dict(zip(robot.tree.site_names, site_poses(robot.tree, robot.home[None])[0, :, 4:], strict=True))
    rows = []

    def add(what: str, a: str, b: str, share: float) -> None:
        if a in at and b in at:
            rows.append(Length(what=what, robot_m=float(np.linalg.norm(at[a] - at[b])), person_m=share * PERSON_M))

    for side in robot.sides:
        add(f"{side} upper arm", f"{side}_shoulder", f"{side}_elbow", _UPPER)
        add(f"{side} forearm", f"{side}_elbow", f"{side}_wrist", _FORE)
        add(f"{side} hand, wrist to middle fingertip", f"{side}_wrist", f"{side}_middle_tip", _HAND)
    add("between the shoulders", "left_shoulder", "right_shoulder", _SHOULDERS)
    return tuple(rows)


def arm_share(rows: tuple[Length, ...], side: str) -> float | None:
    """Shoulder to wrist as a share of a person's; None without an arm."""
    arm = [row for row in rows if row.what in (f"{side} upper arm", f"{side} forearm")]
    return sum(r.robot_m for r in arm) / sum(r.person_m for r in arm) if len(arm) == 2 else None


def reach(robot: Robot, seed: int = 0) -> dict[str, tuple[float, ...]]:
    """Per side the farthest the wrist comes from its shoulder: forward, up, outward and across the body (m).

    Over postures drawn evenly inside the limits of the arm's joints, the trunk at home.
    """
    random = np.random.default_rng(seed)
    lower, upper = robot.tree.bounds()
    out = {}
    for side in robot.sides:
        if f"{side}_shoulder" not in robot.tree.site_names:
            continue
        joints = list(robot.joints(f"{side}_arm"))
        q = np.tile(robot.home, (_SAMPLES, 1))
        low, high = np.maximum(lower[joints], -np.pi), np.minimum(upper[joints], np.pi)
        q[:, joints] = random.uniform(low, high, size=(_SAMPLES, len(joints)))
        q = robot.tree.with_mimic(q)
        p = site_poses(robot.tree, q, None, [f"{side}_wrist", f"{side}_shoulder"])[..., 4:]
        d = p[:, 0] - p[:, 1]
        outward = d[:, 1] * (1 if side == "left" else -1)
        out[side] = tuple(float(v) for v in (d[:, 0].max(), d[:, 2].max(), outward.max(), -outward.min()))
    return out
