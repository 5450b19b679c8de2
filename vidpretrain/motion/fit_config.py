"""What the whole-clip fit believes of its inputs: standard deviations. Frozen and plain."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Sigmas of the fit of one articulated human; angles in degrees, the rest as named.

    Points of one network err together, in a frame and from frame to frame: `hand_share` and `body_share` are the part
    of its points that counts. Residuals beyond `robust` sigmas count less and less (Cauchy).
    """

    hand_px: float = 0.03  # of hand image points, in lengths of the hand
    body_px: float = 0.05  # of body image points, in lengths of the torso
    least_px: float = 1.0
    hand_share: float = 0.2
    run_on_weight: float = 1.0  # of points run on through a gap
    arm_share: float = 0.1  # of a hand's points where they place an arm
    sure_confidence: float = 0.85  # from which a hand on a body that is seen is believed
    unsure_confidence: float = 0.6  # up to which its sigmas are wider by `unsure_factor`
    unsure_factor: float = 9.0
    unsure_far: float = 0.12  # relative, of the distance at which such a hand is by its size
    unsure_turn_share: float = 0.06  # of the directions of an arm on which no sure hand hangs
    led_share: float = 0.1  # of the body's wrist where such a hand is sure
    body_share: float = 0.3
    robust: float = 3.0
    wrist_factor: float = 4.0  # how much less the hand network's wrist tells than its fingers
    body_wrist_factor: float = 1.3  # the same of a hand on a body that is seen, from farther away
    thumb_base_factor: float = 2.0
    hand_turn_deg: float = 80.0  # of directions between the hand network's relative points
    body_palm_turn_deg: float = 25.0  # of those on the palm of a hand on a body that is seen
    body_turn_deg: float = 20.0  # of directions between the body network's relative points
    finger_rest_deg: float = 40.0  # of bends around a relaxed hand
    posture: float = 1.0  # factor of the body's rest posture's sigmas
    posture_unseen: float = 2.0  # and of an arm that is not seen
    body_wrist_posture: float = 2.0  # factor of the wrist's own, on a body that is seen
    hand_acceleration_m_s2: float = 4.0
    hand_acceleration_rad_s2: float = 40.0
    finger_acceleration_rad_s2: float = 40.0
    body_acceleration_m_s2: float = 1.5
    body_acceleration_rad_s2: float = 8.0
    arm_acceleration_rad_s2: float = 25.0
    seen_acceleration_m_s2: float = 0.5  # of the pelvis of a body that is seen; the three above are the wearer's
    seen_acceleration_rad_s2: float = 3.0
    seen_arm_acceleration_rad_s2: float = 10.0
    standing_m_s: float = 0.15  # across the view, below which a low foot stands
    standing_m: float = 0.1  # above the lowest foot of the clip, below which a foot is low
    stance_m: float = 0.02  # of a standing foot around its place
    stance_floor_m: float = 0.03  # of that place above or below the floor
    stance_depth: float = 0.03  # relative, of how its depth differs from that of other stances
    shape_sigma: float = 0.05  # relative, of each bone length for the height
    hand_size_sigma: float = 0.05
    proportions_sigma: float = 0.08  # relative, of a hand's bones for its size, as a network marks them
    proportions_rate_hz: float = 3.75  # frames a second from which they are found
    clip_share: float = 0.4  # narrows what is one for the clip, as frames err together
    bones_rate_hz: float = 7.5  # frames a second from which bone lengths are found
    least_focal_sigma: float = 0.095  # relative, of a focal length found from the wearer's arms
    mount_m: float = 0.07  # of the head camera, around the eyes
    upright_deg: float = 15.0  # of the wearer's trunk, and of the camera's pitch
    iterations: int = 10
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"fit.{name} is positive; found {value}")
        if not self.unsure_confidence < self.sure_confidence:
            raise ValueError(
                f"fit.unsure_confidence is below fit.sure_confidence ({self.sure_confidence}); "
                f"found {self.unsure_confidence}"
            )
