"""What of a world changes from episode to episode: named axes, each with a range inside the distribution and beyond.

Plain data, importable without MuJoCo and gymnasium.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidpretrain.errors import unknown_name

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that varies: uniform in `inside`; where it is shifted, in `outside` without `inside`."""

    inside: tuple[float, float]
    outside: tuple[float, float]

    def __post_init__(self) -> None:
        (low, high), (out_low, out_high) = self.inside, self.outside
        if not out_low <= low <= high <= out_high:
            raise ValueError(f"outside {self.outside} has to contain inside {self.inside}")

    def draw(self, rng: np.random.Generator, shifted: bool = False) -> float:
        """A value; an axis whose two ranges are the same cannot be shifted, and is drawn inside."""
        low, high = self.inside
        below, above = low - self.outside[0], self.outside[1] - high
        if not shifted or below + above <= 0:
            return float(rng.uniform(low, high))
        step = rng.uniform(0, below + above)
        return float(self.outside[0] + step if step < below else high + (step - below))


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """Pictures, rate, and the axes; `shifted` names the axes that are drawn out of distribution.

    masked_arms: arms and hands are drawn black.
    placement: how far from the middle of its range a thing is put (1: the whole range; 1.3: a third beyond it).
    distractors: number of things that do not matter. texture: which of eight looks table and wall have.
    colour: how far a thing's colour is from its own (of 1). light: brightness; light_turn_rad: where it comes from.
    camera_shift_m, camera_turn_rad: distance and angle of the head camera from its place. friction, mass: factors.
    latency_s: age of the command that the motors follow. motor_noise_rad: standard deviation of what they follow.
    """

    image_px: int = 96
    rate_hz: float = 10.0
    masked_arms: bool = False
    shifted: tuple[str, ...] = ()
    placement: Axis = Axis(inside=(0.0, 1.0), outside=(0.0, 1.3))
    distractors: Axis = Axis(inside=(0.0, 1.0), outside=(0.0, 4.0))
    texture: Axis = Axis(inside=(0.0, 3.0), outside=(0.0, 7.0))
    colour: Axis = Axis(inside=(0.0, 0.06), outside=(0.0, 0.3))
    light: Axis = Axis(inside=(0.85, 1.15), outside=(0.45, 1.5))
    light_turn_rad: Axis = Axis(inside=(-0.3, 0.3), outside=(-1.2, 1.2))
    camera_shift_m: Axis = Axis(inside=(0.0, 0.005), outside=(0.0, 0.03))
    camera_turn_rad: Axis = Axis(inside=(0.0, 0.01), outside=(0.0, 0.08))
    friction: Axis = Axis(inside=(0.9, 1.1), outside=(0.7, 1.4))
    mass: Axis = Axis(inside=(0.8, 1.2), outside=(0.5, 1.8))
    latency_s: Axis = Axis(inside=(0.0, 0.02), outside=(0.0, 0.1))
    motor_noise_rad: Axis = Axis(inside=(0.0, 0.002), outside=(0.0, 0.01))

    def __post_init__(self) -> None:
        if not 16 <= self.image_px <= 1024 or self.image_px % 2:
            raise ValueError(f"image_px is even and from 16 to 1024, found {self.image_px}")
        if not 1 <= self.rate_hz <= 60:
            raise ValueError(f"rate_hz is from 1 to 60, found {self.rate_hz}")
        for name in self.shifted:
            if name not in AXES:
                raise unknown_name("axis", name, AXES)
        if self.latency_s.outside[0] < 0 or self.latency_s.outside[1] > 0.5:
            raise ValueError(f"latency_s is from 0 to 0.5, found {self.latency_s.outside}")

    def out_of_distribution(self, *axes: str) -> WorldConfig:
        """The same world with these axes shifted; all of them when none is named.

        Raises:
            UnknownName: there is no axis of that name.
        """
        return dataclasses.replace(self, shifted=axes or AXES)


AXES: tuple[str, ...] = tuple(f.name for f in dataclasses.fields(WorldConfig) if f.type == "Axis")
