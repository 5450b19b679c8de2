"""The files of a clip, and how to read them.

NAME.mp4; NAME.truth.npz, the truth of the first person as `sim.Truth`, which the benches and the report look for beside
a video; NAME.motion.npz, all people as `HumanMotion` with the camera of every frame; NAME.json, written last: licence,
intrinsics, and what the clip was made from.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain.errors import InputError
from vidpretrain.pipeline import serialize
from vidpretrain.types import Frozen, HumanMotion


@dataclass(frozen=True, kw_only=True)
class ClipTruth(Frozen):
    """Truth of a clip: one motion per person (none in an empty room), points of `human75` in the world.

    `visible` (n t 75): the point is in the picture and the pixel there shows that person, at that depth. `K` and
    `T_world_camera` of every frame. A point that the body does not define is not valid and NaN; `sigma_m` is 0.
    """

    people: tuple[HumanMotion, ...]
    visible: Bool[np.ndarray, "n t 75"]
    K: Float64[np.ndarray, "t 3 3"]
    T_world_camera: Float64[np.ndarray, "t 7"]


def paths(folder: Path, name: str) -> dict[str, Path]:
    """video, truth, motion and sidecar of a clip."""
    return {
        "video": folder / f"{name}.mp4",
        "truth": folder / f"{name}.truth.npz",
        "motion": folder / f"{name}.motion.npz",
        "sidecar": folder / f"{name}.json",
    }


def save_motion(path: Path, truth: ClipTruth) -> None:
    """Write the truth so that `load_motion` gives it back; the same truth makes the same bytes."""
    fields = ("people", "visible", "K", "T_world_camera")
    serialize.save(path, {name: getattr(truth, name) for name in fields})


def load_motion(path: Path | str) -> ClipTruth:
    """The truth in NAME.motion.npz.

    Raises:
        InputError: there is no such file, or it is damaged or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", asked=path)
    found = serialize.load(path)
    if not isinstance(found, dict) or set(found) != {"people", "visible", "K", "T_world_camera"}:
        raise InputError("not the truth of a rendered clip", asked=path, valid="NAME.motion.npz")
    return ClipTruth(**found)


def save_sidecar(path: Path, values: dict[str, Any]) -> None:
    """Write the sidecar aside and rename it: a clip that has one is whole."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    aside.write_text(json.dumps(values, indent=1))
    os.replace(aside, path)


def finished(folder: Path, name: str, digest: str) -> dict[str, Any] | None:
    """The sidecar of a clip whose files are all there and were made from `digest`; None otherwise."""
    where = paths(folder, name)
    if not all(path.is_file() for path in where.values()):
        return None
    try:
        values = json.loads(where["sidecar"].read_text())
    except ValueError:
        return None
    return values if isinstance(values, dict) and values.get("digest") == digest else None
