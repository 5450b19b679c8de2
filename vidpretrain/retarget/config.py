"""How a person's motion becomes a robot's: every number that steers `retarget`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class RetargetConfig:
    """Settings of `retarget`; lengths in metres, angles in radians, times in seconds.

    `slow_down` plays a person s times slower on the robot: the rows are s times as dense in the video's time and
    `rate_hz` stays the robot's rate. `placement` "auto" takes "torso" where the body is seen, else "ego" in an
    egocentric view, else "hands". Sigmas are what the terms of the fit are divided by. `arm_by_height` is a person's
    shoulder-to-wrist length by height (Drillis and Contini 1966: .186 + .146), used where no arm was seen. A side's
    confidence is 1/2 where its sigma and tracking error together reach `trust_m`.

    What lies is dropped and counted (`RobotMotion.faults`): `on_mirrored` "swap" takes a hand or body whose left and
    right are exchanged for the other side instead, `on_upside_down` "right" turns the world over. A wrist or trunk that
    moves faster than `max_person_speed_m_s` and farther than `jump_m` at once has jumped.

    `plant_feet` holds a standing foot still: one stands while its heel or toe is lower than `stand_height_m` and slower
    than `stand_speed_m_s` (as large as the robot, once it is; up to twice that afterwards) for at least `stand_s`.
    The ground follows the person's lower foot by `max_floor_shift_m` at most; a foot that moves is lifted by
    `swing_clearance_m` at least. `stand_sigma_m` divides what a standing sole lacks, and what any is too low.

    `self_collision` true keeps the robot's links `collision_margin_m` apart (by their convex hulls), at the expense of
    its targets; a light touch may stay where only a far way out would end it. "auto" does so where a frame is deeper in
    itself than the feasibility report lets pass, and takes the result unless the motion without has the better verdict
    (`figures["kept_apart"]` says which it was); a live robot goes without. false never does.
    """

    rate_hz: float = 30.0
    slow_down: float = 1.0
    min_frames: int = 8
    min_valid_share: float = 0.1
    max_gap_s: float = 0.5
    max_sample_distance_s: float = 0.05
    placement: Literal["auto", "torso", "ego", "hands"] = "auto"
    whole_body: Literal["auto", "never"] = "auto"
    min_torso_share: float = 0.5
    min_leg_share: float = 0.7
    min_hand_span_m: float = 0.04
    max_hand_span_m: float = 0.16
    mirrored_share: float = 0.5
    min_side_share: float = 0.1
    imputed_sigma: float = 2.0
    min_sigma_m: float = 0.01
    max_sigma_m: float = 0.1
    orientation_sigma_rad: float = 0.15
    elbow_sigma: float = 2.0
    fingertip_sigma_m: float = 0.01
    pinch_distance_m: float = 0.03
    pinch_sigma_m: float = 0.005
    huber_m: float = 0.1
    posture_sigma_rad: float = 2.0
    velocity_sigma_rad_s: float = 15.0
    acceleration_sigma_rad_s2: float = 100.0
    speed_share: float = 0.99
    reach_share: float = 0.95
    arm_by_height: float = 0.332
    trust_m: float = 0.035
    on_mirrored: Literal["refuse", "swap"] = "refuse"
    on_upside_down: Literal["refuse", "right"] = "refuse"
    max_person_speed_m_s: float = 10.0
    jump_m: float = 0.15
    plant_feet: bool = True
    stand_speed_m_s: float = 0.2
    stand_height_m: float = 0.05
    stand_s: float = 0.1
    stand_sigma_m: float = 0.005
    swing_clearance_m: float = 0.03
    max_floor_shift_m: float = 0.15
    self_collision: bool | Literal["auto"] = "auto"
    collision_margin_m: float = 0.001
    max_iterations: int = 60
    tolerance: float = 1e-8
    max_median_error_m: float = 0.12
    min_converged_share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("rate_hz", "slow_down", "min_sigma_m", "fingertip_sigma_m", "posture_sigma_rad", "trust_m"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        if not 0 < self.speed_share <= 1:
            raise ValueError(f"speed_share must lie in (0, 1], found {self.speed_share}")
