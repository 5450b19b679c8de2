"""From where on something is a flaw, and how much of it a clip may have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FeasibilityConfig:
    """Limits of `assess`; metres, radians, seconds.

    A frame beyond a limit is counted; a flaw bears on the verdict when its share of the measured frames is above
    `allowed_share` (0 for what is promised: finite, limits, speeds). Soles lower than `contact_height_m` stand on the
    ground, whose friction is `friction`. The robot's makers state no limit of acceleration: torque is the one that
    counts, and `max_acceleration_rad_s2` is for a controller that has one. A joint's acceleration and jerk are of
    the motion on its own grid, by differences. Contacts shallower than `max_collision_m` are within the error of
    collision shapes (convex hulls of the links' meshes).
    """

    limit_slack_rad: float = 1e-6
    speed_slack: float = 1e-6
    max_torque_share: float = 1.0
    max_acceleration_rad_s2: float = float("inf")
    max_jerk_rad_s3: float = 20_000.0
    max_collision_m: float = 0.005
    home_touch_m: float = 0.002
    min_balance_m: float = 0.0
    max_unsupported_share: float = 0.2
    contact_height_m: float = 0.02
    friction: float = 0.8
    max_slide_m_s: float = 0.2
    max_penetration_m: float = 0.02
    max_reach_share: float = 0.999
    max_wrist_error_m: float = 0.05
    max_tip_error_m: float = 0.03
    allowed_share: float = 0.05

    def __post_init__(self) -> None:
        for name in ("max_torque_share", "contact_height_m", "friction", "max_collision_m", "max_jerk_rad_s3"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        if not 0 <= self.allowed_share <= 1:
            raise ValueError(f"allowed_share must lie in [0, 1], found {self.allowed_share}")
