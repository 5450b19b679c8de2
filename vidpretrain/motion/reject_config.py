"""When a motion is refused; the other half of the table is `pose.rejects`. Frozen, plain, without heavy imports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MotionRejectConfig:
    """The reason beside each threshold. Shares are of what can be compared, from 0 to 1.

    * `max_body_speed_m_s`: steps of the shoulders between neighbouring frames that are faster, or over which the torso
      grows or shrinks by more than `max_size_step` (a ratio), are no person's; more than `max_teleport_share` of them:
      TELEPORTING. (Hands have theirs in `pose.rejects`.)
    * `max_scale_sigma`: relative uncertainty of all distances, from an assumed height (`motion.size_uncertainty`) and
      an assumed lens (`motion.fov_uncertainty`); beyond it SCALE_UNKNOWN.
    * `max_wrist_apart`: a hand whose wrist is farther from the body's wrist of that side, in torso lengths of the
      picture, contradicts it; more than `max_contradicting_share` of at least `min_compared` hands: NETWORKS_DISAGREE.
    """

    max_body_speed_m_s: float = 12.0
    max_size_step: float = 1.6
    max_teleport_share: float = 0.3
    max_scale_sigma: float = 0.3
    max_wrist_apart: float = 0.6
    max_contradicting_share: float = 0.5
    min_compared: int = 10

    def __post_init__(self) -> None:
        for name in ("max_teleport_share", "max_contradicting_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies in [0, 1]; found {getattr(self, name)}")
        for name in ("max_body_speed_m_s", "max_scale_sigma", "max_wrist_apart", "min_compared"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is positive; found {getattr(self, name)}")
        if self.max_size_step <= 1:
            raise ValueError(f"max_size_step is a ratio above 1; found {self.max_size_step}")
