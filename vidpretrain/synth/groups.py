"""The groups of clips: what makes each of them easy or hard, as one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vidpretrain.synth.config import GroupName

Kind = Literal["third", "head", "chest"]
MANY = ("reach", "grasp", "lift", "handover", "carry", "pour", "two_hands", "show", "gesture")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a group asks for; ranges are (least, most) to draw from.

    `azimuth_deg` is where a third-person camera stands, 0 in front, `width_m` how much of the world its picture spans
    at the person. `shutter` is the exposure as a share of the frame's interval, `noise` the sensor's sigma in grey
    levels, `light` the exposure. `gaze_deg` is how far the head turns (about a head camera: how far it moves).
    `bodies` counts the people; `hide` says that their hands are out of sight; `alike` names the group whose person,
    room, camera and motion are drawn again, and `frozen` keeps the head camera where it starts.
    """

    cameras: tuple[Kind, ...]
    motions: tuple[str, ...] = MANY
    azimuth_deg: tuple[float, float] = (-35.0, 35.0)
    width_m: tuple[float, float] = (1.5, 2.1)
    fov_deg: tuple[float, float] = (50.0, 90.0)
    shutter: float = 0.0
    noise: tuple[float, float] = (0.0, 2.0)
    light: tuple[float, float] = (0.85, 1.15)
    crf_top: bool = False
    sleeves: tuple[str, ...] = ("short", "rolled", "long")
    gloves: bool = False
    gaze_deg: float = 4.0
    shake: tuple[float, float] = (0.0, 0.0)
    bodies: int = 1
    hide: bool = False
    occluder: bool = False
    alike: GroupName | None = None
    frozen: bool = False


_FREE = ("gesture", "show", "carry")
_HELD = ("show", "carry", "pour", "two_hands", "lift")
_EGO = (70.0, 110.0)

GROUPS: dict[GroupName, Recipe] = {
    "third": Recipe(cameras=("third",)),
    "third_held": Recipe(cameras=("third",), motions=_HELD),
    "third_blur": Recipe(cameras=("third",), motions=_FREE, shutter=0.9),
    "third_noise": Recipe(cameras=("third",), noise=(9.0, 14.0), light=(0.5, 0.7), crf_top=True),
    "third_sleeves": Recipe(cameras=("third",), sleeves=("over_hand",)),
    "third_gloves": Recipe(cameras=("third",), gloves=True),
    "third_side": Recipe(cameras=("third",), azimuth_deg=(60.0, 100.0)),
    "third_back": Recipe(cameras=("third",), azimuth_deg=(120.0, 165.0)),
    "third_small": Recipe(cameras=("third",), width_m=(4.2, 5.2), fov_deg=(55.0, 75.0)),
    "third_occluded": Recipe(cameras=("third",), occluder=True),
    "third_moving": Recipe(cameras=("third",), shake=(1.0, 1.5)),
    "third_files": Recipe(cameras=("third",), motions=("file",), azimuth_deg=(-75.0, 75.0), width_m=(2.6, 3.4)),
    "head": Recipe(cameras=("head",), fov_deg=_EGO),
    "head_held": Recipe(cameras=("head",), fov_deg=_EGO, motions=_HELD),
    "head_blur": Recipe(cameras=("head",), fov_deg=_EGO, motions=_FREE, shutter=0.9, gaze_deg=10.0),
    "head_noise": Recipe(cameras=("head",), fov_deg=_EGO, noise=(9.0, 14.0), light=(0.5, 0.7), crf_top=True),
    "head_sleeves": Recipe(cameras=("head",), fov_deg=_EGO, sleeves=("over_hand",)),
    "head_gloves": Recipe(cameras=("head",), fov_deg=_EGO, gloves=True),
    "head_moving": Recipe(cameras=("head",), fov_deg=(80.0, 110.0), gaze_deg=17.0),
    "head_still": Recipe(cameras=("head",), fov_deg=(80.0, 110.0), gaze_deg=17.0, alike="head_moving", frozen=True),
    "chest": Recipe(cameras=("chest",), fov_deg=(80.0, 110.0)),
    "two_people": Recipe(cameras=("third",), bodies=2, width_m=(2.3, 2.8)),
    "empty": Recipe(cameras=("third", "head"), bodies=0, shake=(0.3, 1.0)),
    "no_hands": Recipe(cameras=("third", "head"), hide=True, width_m=(1.3, 2.0), azimuth_deg=(-15.0, 15.0)),
}
