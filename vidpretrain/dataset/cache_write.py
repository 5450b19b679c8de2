"""A training cache straight from arrays, for rows that were made at training size and never were a video."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from vidpretrain import config as configuration
from vidpretrain.dataset.cache import FORMAT, META, TrainingCache
from vidpretrain.dataset.files import disk_guard, move_into_place, read_json, write_json
from vidpretrain.errors import DatasetError
from vidpretrain.types import ActionSpec

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class CacheEpisode:
    """One episode: absolute state and action in the cache's columns, weights in [0, 1], and where it comes from.

    `fov_rad` is the horizontal field of view of its pictures.
    """

    images: UInt8[Array, "t s s 3"]
    state: Float32[Array, "t d"]
    action: Float32[Array, "t d"]
    valid: Bool[Array, "t d"]
    weight: Float32[Array, "t d"]
    fov_rad: float
    instruction: str
    source: str = ""
    license: str = "generated"


def find_cache(out: Path | str, digest: str) -> TrainingCache | None:
    """The whole cache in a folder if it was made of what `digest` says."""
    folder = Path(out)
    if not (folder / META).is_file() or read_json(folder / META).get("digest") != digest:
        return None
    return TrainingCache.open(folder)


def write_cache(out: Path | str, spec: ActionSpec, episodes: Iterable[CacheEpisode], digest: str) -> TrainingCache:
    """The cache of `episodes` at `out`, written aside and renamed, the manifest last.

    Args:
        digest: what the episodes are made of; `find_cache` tells by it whether they are there.

    Raises:
        DatasetError: no episodes, or arrays that do not fit each other or the spec.
        DiskFull: no space left.
    """
    out = Path(out)
    aside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    rows: dict[str, list[Array]] = {n: [] for n in ("images", "state", "action", "valid", "weight", "episode", "fov")}
    entries, start = [], 0
    with disk_guard(out):
        aside.mkdir(parents=True)
        for number, one in enumerate(episodes):
            _require_fitting(one, spec, number)
            length, hole = len(one.state), np.float32(np.nan)
            rows["images"].append(one.images)
            rows["state"].append(np.where(one.valid, one.state, hole))
            rows["action"].append(np.where(one.valid, one.action, hole))
            rows["valid"].append(one.valid)
            rows["weight"].append(np.where(one.valid, one.weight, np.float32(0)))
            rows["episode"].append(np.full(length, number, dtype=np.int32))
            rows["fov"].append(np.full(length, one.fov_rad, dtype=np.float32))
            entries.append(_entry(one, number, start, spec))
            start += length
        if not entries:
            raise DatasetError("a cache of no episodes", asked=out, valid="at least one")
        for name, parts in rows.items():
            np.save(aside / f"{name}.npy", np.concatenate(parts))
        meta = {
            "format": FORMAT,
            "digest": digest,
            "rows": start,
            "image_size_px": int(rows["images"][0].shape[1]),
            "fit": "pad",
            "rate_hz": spec.rate_hz,
            "embodiment": spec.embodiment,
            "spec": configuration.plain(spec),
            "dataset": out.name,
            "episodes": entries,
        }
        write_json(aside / META, meta)
        move_into_place(aside, out, overwrite=True)
    return TrainingCache.open(out)


def _require_fitting(one: CacheEpisode, spec: ActionSpec, number: int) -> None:
    shape = (len(one.state), spec.width)
    found = {name: getattr(one, name).shape for name in ("state", "action", "valid", "weight")}
    if any(value != shape for value in found.values()) or one.images.shape[0] != shape[0] or not shape[0]:
        raise DatasetError(
            f"episode {number} does not fit", found={**found, "images": one.images.shape}, valid=f"{shape} each"
        )


def _entry(one: CacheEpisode, number: int, start: int, spec: ActionSpec) -> dict[str, Any]:
    return {
        "index": number,
        "start": start,
        "exclusive_end": start + len(one.state),
        "instruction": one.instruction,
        "source": one.source,
        "license": one.license,
        "hours": len(one.state) / spec.rate_hz / 3600,
        "fov_from": "given",
    }
