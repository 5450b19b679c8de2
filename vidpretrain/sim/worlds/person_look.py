"""Arms and hands of a person, drawn with capsules instead of a robot's: what a level-1 person looks like.

Shoulders are where the robot's are, moved by the person's build; the hand is where the robot's hand is, with the palm's
pose and the fingers' closures; the elbow hangs where two bones of the person's lengths allow (law of cosines).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vidpretrain import geometry

_SKINS = ((0.95, 0.78, 0.66), (0.87, 0.68, 0.53), (0.72, 0.52, 0.38), (0.50, 0.34, 0.24), (0.36, 0.24, 0.18))
_UPPER_M, _FORE_M, _WRIST_BACK_M = 0.29, 0.26, 0.075
_KNUCKLES = ((0.030, 0.042), (0.010, 0.046), (-0.010, 0.043), (-0.028, 0.036))  # across and along, index to little
_SEGMENTS_M = ((0.042, 0.036), (0.046, 0.040), (0.043, 0.037), (0.034, 0.028))
_CURL_RAD = (1.3, 1.5)  # of a finger's two visible joints when its closure is whole
_THUMB_M = (0.040, 0.034)

Capsule = tuple[np.ndarray, np.ndarray, float, tuple[float, float, float]]  # ends (3), radius m, colour


@dataclass(frozen=True, kw_only=True)
class PersonLook:
    """A person's build, colours and head camera, drawn from a seed.

    `T_camera_own` is the pose of the person's camera in the robot's, `fov_rad` its field of view.
    """

    size: float
    girth: float
    skin: tuple[float, float, float]
    sleeve: tuple[float, float, float]
    sleeve_share: float
    shoulder_m: np.ndarray
    T_camera_own: np.ndarray
    fov_rad: float
    speed: float

    @classmethod
    def draw(
        cls,
        seed: int,
        fov_rad: float,
        *,
        speed: tuple[float, float],
        camera_shift_m: float,
        camera_turn_rad: float,
        fov_share: float,
    ) -> PersonLook:
        """The person of a seed; see `transfer.PeopleConfig` for the ranges."""
        rng = np.random.default_rng([seed, 5])
        turn = geometry.quat_exp(camera_turn_rad * rng.normal(size=3))
        return cls(
            size=float(rng.uniform(0.88, 1.12)),
            girth=float(rng.uniform(0.8, 1.25)),
            skin=_SKINS[int(rng.integers(len(_SKINS)))],
            sleeve=tuple(rng.uniform(0.05, 0.95, 3).tolist()),  # type: ignore[arg-type]
            sleeve_share=float(rng.choice([0.0, rng.uniform(0.3, 1.0)])),
            shoulder_m=rng.normal(0, 0.03, 3),
            T_camera_own=geometry.pose(turn, camera_shift_m * rng.normal(size=3)),
            fov_rad=float(fov_rad * (1 + fov_share * rng.uniform(-1, 1))),
            speed=float(rng.uniform(*speed)),
        )


def arm_capsules(
    look: PersonLook,
    side: str,
    p_shoulder: Float[np.ndarray, " 3"],
    T_palm: Float[np.ndarray, " 7"],
    closed: Float[np.ndarray, " 5"],
    black: bool = False,
) -> Iterator[Capsule]:
    """An arm with its hand as capsules, in the frame of the arguments.

    Args:
        T_palm: the palm's pose, x along the fingers, z out of the back of the hand.
        closed: of index, middle, ring, little finger and thumb, 0 straight and 1 closed.
        black: without colours (`WorldConfig.masked_arms`).
    """
    sign = 1.0 if side == "right" else -1.0  # the thumb lies on this side of the palm's y
    skin = (0.0, 0.0, 0.0) if black else look.skin
    sleeve = skin if black else look.sleeve
    girth, size = look.girth, look.size

    def at(x: float, y: float, z: float = 0.0) -> np.ndarray:
        return geometry.transform(T_palm, size * np.array([x, sign * y, z]))

    wrist = at(-_WRIST_BACK_M / size, 0.0)
    shoulder = np.asarray(p_shoulder) + look.shoulder_m * np.array([1.0, sign, 1.0])
    elbow = _elbow(shoulder, wrist, _UPPER_M * size, _FORE_M * size, sign)
    cuff = elbow + look.sleeve_share * (wrist - elbow)
    yield shoulder, elbow, 0.048 * girth, sleeve
    yield elbow, cuff, 0.040 * girth, sleeve
    yield cuff, wrist, 0.031 * girth, skin
    for y in (0.024, 0.0, -0.024):
        yield at(-0.055, 0.7 * y), at(0.030, y), 0.0165 * girth, skin
    for k, (y, x) in enumerate(_KNUCKLES):
        yield from _finger(at, (x, y), _SEGMENTS_M[k], float(closed[k]), 0.0095 * girth, skin)
    yield from _thumb(at, float(closed[4]), 0.011 * girth, skin)


def _finger(at, knuckle: tuple[float, float], lengths, closed: float, radius: float, skin) -> Iterator[Capsule]:
    x, y = knuckle
    place, bend = np.array([x, y, 0.0]), 0.0
    for length, curl in zip(lengths, _CURL_RAD, strict=True):
        bend += curl * closed
        tip = place + length * np.array([np.cos(bend), 0.0, -np.sin(bend)])
        yield at(*place), at(*tip), radius, skin
        place = tip


def _thumb(at, closed: float, radius: float, skin) -> Iterator[Capsule]:
    place, bend = np.array([-0.030, 0.034, -0.008]), 0.5 + 0.5 * closed
    for length in _THUMB_M:
        out = np.array([np.cos(0.6), np.sin(0.6) * np.cos(bend), -np.sin(bend)])
        tip = place + length * out / np.linalg.norm(out)
        yield at(*place), at(*tip), radius, skin
        place, bend = tip, bend + 0.4 * closed


def _elbow(shoulder: np.ndarray, wrist: np.ndarray, upper_m: float, fore_m: float, sign: float) -> np.ndarray:
    """Where the elbow is: down and outwards of the line; an arm that is too short is stretched."""
    line = wrist - shoulder
    reach = float(np.linalg.norm(line))
    along = line / max(reach, 1e-9)
    reach = min(reach, 0.999 * (upper_m + fore_m))
    at = (reach**2 + upper_m**2 - fore_m**2) / (2 * max(reach, 1e-6))
    off = np.sqrt(max(upper_m**2 - at**2, 0.0))
    down = np.array([-0.2, -0.5 * sign, -1.0])  # outwards is -y for the right arm
    down = geometry.normalize(down - along * (down @ along))
    return shoulder + at * along + off * down
