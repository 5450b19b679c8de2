"""When a clip or a person is refused: every reason that hangs on a threshold, in one table of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class RejectConfig:
    """The reason beside each threshold. Shares are of the clip's frames, from 0 to 1, where nothing else is said.

    What is seen:

    * `min_frames`: fewer are TOO_SHORT.
    * `min_hand_share`, `min_body_share`: where hands and a body are both rarer, NO_PERSON or HANDS_TOO_RARE.
    * `min_hand_length`, `min_torso_length`: medians over the picture's long side; where both are less, TOO_SMALL.
    * `min_inside_share`: of the frames with somebody, those with a wrist inside the picture; fewer are OUT_OF_FRAME.
    * `dark_luma`: frames of which 95 % of the pixels are darker (green, of 255); `max_dark_share` of them: TOO_DARK.
    * `min_sharpness`: see `pictures.sharpness`; more than `max_blurred_share` below it: BLURRED.
    * `max_people`: more are a crowd; more than `max_crowd_share` of crowds: SEVERAL_PEOPLE.
    * `max_hand_speed`: hand lengths per second; more than `max_hand_jumps` of the steps faster: TELEPORTING.
    * `max_upside_down_share`: of the frames with somebody standing on their head: UPSIDE_DOWN.
    * `max_sideways_share`: of the frames with somebody lying on their side as in a turned picture: SIDEWAYS.
    * `min_motion`: of any limb or hand in the picture, in torso or hand lengths; less in a clip of at least `still_s`
      is MOTIONLESS: a mannequin, a painting, a still picture, or somebody who does nothing.

    What is measured:

    * `max_body_speed_m_s`: steps of the shoulders between neighbouring frames that are faster, or over which the torso
      grows or shrinks by more than `max_size_step` (a ratio), are no person's; more than `max_body_jumps` of the steps:
      TELEPORTING.
    * `max_scale_sigma`: relative uncertainty of all distances, from an assumed height (`motion.size_uncertainty`) and
      an assumed lens (`motion.fov_uncertainty`); beyond it SCALE_UNKNOWN.
    * `max_wrist_apart`: a hand whose wrist is farther from the body's wrist of that side, in torso lengths of the
      picture, contradicts it; more than `max_contradicting_share` of at least `min_compared` hands: NETWORKS_DISAGREE.

    Whether a clip whose camera cannot be solved is refused (CAMERA_NOT_SOLVED) is `motion.camera.not_solved`.
    """

    MOVED: ClassVar[dict[str, str]] = {"max_teleport_share": "rejects.max_hand_jumps and rejects.max_body_jumps"}

    min_frames: int = 2
    min_hand_share: float = 0.1
    min_body_share: float = 0.2
    min_hand_length: float = 0.006
    min_torso_length: float = 0.03
    min_inside_share: float = 0.1
    dark_luma: float = 24.0
    max_dark_share: float = 0.7
    min_sharpness: float = 0.0005
    max_blurred_share: float = 0.7
    max_people: int = 3
    max_crowd_share: float = 0.5
    max_hand_speed: float = 80.0
    max_hand_jumps: float = 0.1
    max_upside_down_share: float = 0.5
    max_sideways_share: float = 0.5
    min_motion: float = 0.08
    still_s: float = 1.0
    max_body_speed_m_s: float = 12.0
    max_size_step: float = 1.6
    max_body_jumps: float = 0.3
    max_scale_sigma: float = 0.3
    max_wrist_apart: float = 0.6
    max_contradicting_share: float = 0.5
    min_compared: int = 10

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name.endswith(("share", "jumps")) and not 0 <= value <= 1:
                raise ValueError(f"{name} lies in [0, 1], not {value}")
            if value < 0:
                raise ValueError(f"{name} is not negative, found {value}")
        for name in ("max_body_speed_m_s", "max_scale_sigma", "max_wrist_apart", "min_compared"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is positive; found {getattr(self, name)}")
        if self.max_size_step <= 1:
            raise ValueError(f"max_size_step is a ratio above 1; found {self.max_size_step}")


USUAL = RejectConfig()
