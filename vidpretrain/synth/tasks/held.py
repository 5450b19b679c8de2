"""NAME.held.npz: when a person's hands hold something, and the robot's hands that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain.errors import InputError
from vidpretrain.pipeline import serialize
from vidpretrain.types import Frozen

_FIELDS = ("time_ns", "holding", "hands", "grip", "T_palm_wrist", "T_base_camera", "fov_rad", "knuckle_m")


@dataclass(frozen=True, kw_only=True)
class Held(Frozen):
    """Truth about the hands, t frames; `hands` the robot's columns at those moments, sides left, right.

    What a person's hand stands for on the robot needs some of the robot's own sizes: `grip`, `T_palm_wrist`,
    `T_base_camera` and `fov_rad`, see `Trace`. `knuckle_m` is the person's, from the wrist to the middle knuckle.
    """

    time_ns: Int64[np.ndarray, " t"]
    holding: Bool[np.ndarray, "t 2"]
    hands: Float64[np.ndarray, "t h"]
    grip: Float64[np.ndarray, "2 2"]
    T_palm_wrist: Float64[np.ndarray, "2 7"]
    T_base_camera: Float64[np.ndarray, " 7"]
    fov_rad: float
    knuckle_m: Float64[np.ndarray, " 2"]


def held_path(video: Path | str) -> Path:
    """Where it lies beside a video."""
    return Path(video).with_suffix(".held.npz")


def save_held(path: Path, held: Held) -> None:
    """Write it aside and rename it."""
    serialize.save(path, {name: getattr(held, name) for name in _FIELDS})


def load_held(path: Path | str) -> Held:
    """What `save_held` wrote.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", asked=path)
    found = serialize.load(path)
    if not isinstance(found, dict) or set(found) != set(_FIELDS):
        raise InputError("not the hands of a filmed task", asked=path, valid="NAME.held.npz")
    return Held(**found)
