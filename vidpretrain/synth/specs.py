"""One clip as plain data: who, where, seen how, doing what. Everything that a worker needs, and what a digest is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vidpretrain.sim.body import BodyShape
from vidpretrain.synth.config import GroupName, Split
from vidpretrain.synth.groups import Kind

Colour = tuple[float, float, float]
Sleeves = Literal["short", "rolled", "long", "over_hand"]


@dataclass(frozen=True, kw_only=True)
class PersonSpec:
    """A person: name in the split's pool, body, colours of the parts, sleeves, and gloves (None: bare hands)."""

    name: str
    shape: BodyShape
    colours: dict[str, Colour]
    sleeves: Sleeves
    glove: Colour | None = None


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A box or cylinder of a room: centre (3) m, half sizes (3) m (cylinder: radius, radius, half height)."""

    shape: Literal["box", "cylinder"]
    centre_m: tuple[float, float, float]
    half_m: tuple[float, float, float]
    yaw_rad: float
    colour: Colour
    surface: str = ""


@dataclass(frozen=True, kw_only=True)
class RoomSpec:
    """A room around a person at its origin who looks along x: half sizes, colours, surfaces, light, what stands in it.

    `surfaces` says how floor, wall and table are patterned; `light` is (ambient, main, second), `sun` the main light's
    direction and `warmth` its colour.
    """

    name: str
    half_m: tuple[float, float, float]
    colours: dict[str, Colour]
    surfaces: dict[str, str]
    light: tuple[float, float, float]
    sun: tuple[float, float, float]
    warmth: Colour
    table_half_m: tuple[float, float]
    things: tuple[Thing, ...]
    clutter: tuple[Thing, ...]


@dataclass(frozen=True, kw_only=True)
class CameraSpec:
    """A camera: where it sits, what it spans, how it moves.

    Third person: at `azimuth_rad` from the person's front, `elevation_rad` up, far enough to span `width_m`. Worn:
    `tilt_rad` down and `offset_m` beside where it is worn by default. `shake` scales a hand-held camera's motion.
    """

    name: str
    kind: Kind
    fov_x_deg: float
    azimuth_rad: float
    elevation_rad: float
    width_m: float
    tilt_rad: float
    offset_m: tuple[float, float, float]
    shake: float
    frozen: bool


@dataclass(frozen=True, kw_only=True)
class PictureSpec:
    """What the sensor and the codec do: exposure time, noise (grey levels), gain, colour cast, gamma, H.264 quality."""

    shutter: float
    noise: float
    gain: float
    cast: Colour
    gamma: float
    crf: int


@dataclass(frozen=True, kw_only=True)
class MotionSpec:
    """What one person does: a name of the table or "file", the number that its draws follow from, the file if any."""

    name: str
    motion: str
    seed: tuple[int, ...]
    gaze_deg: float = 4.0
    hide: Literal["", "behind", "hanging"] = ""
    path: str = ""
    path_digest: str = ""
    rate_hz: float = 30.0


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """One clip. `people` and `motions` go together, the first is the one whose hands matter."""

    name: str
    index: int
    group: GroupName
    split: Split
    people: tuple[PersonSpec, ...]
    motions: tuple[MotionSpec, ...]
    room: RoomSpec
    camera: CameraSpec
    picture: PictureSpec
    seed: tuple[int, ...]
    occluder: bool
    duration_s: float
    rate_hz: float
    width_px: int
    height_px: int
    shadows: bool
    digest: str = ""
