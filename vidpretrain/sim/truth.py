"""Exact truth of a rendered clip."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain.types import Frozen


@dataclass(frozen=True, kw_only=True)
class Truth(Frozen):
    """Truth of one clip, frame by frame: points of `human75` in the world (NaN where undefined), camera, object.

    `visible` is true where a point lies inside the picture and nothing stands in front of it.
    """

    time_ns: Int64[np.ndarray, " t"]
    p_world_keypoint: Float64[np.ndarray, "t 75 3"]
    visible: Bool[np.ndarray, "t 75"]
    K: Float64[np.ndarray, "3 3"]
    T_world_camera: Float64[np.ndarray, "t 7"]
    T_world_root: Float64[np.ndarray, "t 7"]
    T_world_object: Float64[np.ndarray, "t 7"]
    height_m: float
    width_px: int
    height_px: int
    view: str
    motion: str
    side: str
    object_name: str


def save_truth(path: Path | str, truth: Truth) -> None:
    """Write the truth as npz, aside and renamed."""
    path = Path(path)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp.npz")
    values: dict[str, Any] = {f.name: np.asarray(getattr(truth, f.name)) for f in dataclasses.fields(truth)}
    np.savez_compressed(beside, **values)
    beside.replace(path)


def load_truth(path: Path | str) -> Truth:
    """The truth in an npz written by `save_truth`."""
    with np.load(path) as data:
        values = {f.name: data[f.name] for f in dataclasses.fields(Truth)}
    return Truth(**{name: v.item() if v.ndim == 0 else v for name, v in values.items()})
