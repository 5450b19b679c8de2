"""Building a training cache: decode once, shrink, and keep everything as flat arrays."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidpretrain import config as configuration
from vidpretrain.dataset.cache import FORMAT, META, TrainingCache
from vidpretrain.dataset.config import DatasetConfig, FitMode
from vidpretrain.dataset.files import disk_guard, move_into_place, read_json, require_space, write_json
from vidpretrain.dataset.fit import fit_camera, fit_image
from vidpretrain.dataset.layout import ACTION, STATE
from vidpretrain.dataset.reader import Dataset
from vidpretrain.errors import DatasetError
from vidpretrain.types import ActionSpec, Camera

if TYPE_CHECKING:
    from vidpretrain.robot import Robot

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


def build_cache(
    dataset: Dataset,
    out: Path | str,
    image_size_px: int | None = None,
    episodes: Sequence[int] | None = None,
    spec: ActionSpec | None = None,
    robot: Robot | None = None,
    embodiment: str | None = None,
    fit: FitMode | None = None,
    config: DatasetConfig | None = None,
    progress: Progress | None = None,
) -> TrainingCache:
    """The cache of a data set's episodes, built at `out` or, when nothing it depends on changed, found there.

    A folder for other inputs at `out` is replaced once the new one is complete. An interrupted building goes on with
    the episode it was at.

    Args:
        image_size_px: side of the square pictures; `config.cache_image_size_px` when None.
        episodes: numbers of the episodes, in the order they are to have; all when None.
        spec: layout of the cache; the data set's when None. Its groups are found in the data set by name; wrist poses
            that the data set lacks are computed with `robot`, other groups it lacks are not valid anywhere.
        embodiment: name under which a policy knows these vectors; the spec's when None.
        progress: called with (episodes done, episodes in all).

    Raises:
        DatasetError: no such episode, another rate than the spec's, none of its groups, or broken data.
        DiskFull: no space left; what is complete stays aside for the next try.
    """
    config, out = config or DatasetConfig(), Path(out)
    size, fit = image_size_px or config.cache_image_size_px, fit or config.cache_fit
    spec = spec or dataset.spec
    numbers = list(range(len(dataset))) if episodes is None else [int(number) for number in episodes]
    if not numbers:
        raise DatasetError("a cache of no episodes", asked=dataset.root, valid=f"0 to {len(dataset) - 1}")
    _require_fitting(dataset, spec)
    embodiment = embodiment or spec.embodiment
    digest = configuration.digest(
        FORMAT, dataset.digest, size, fit, numbers, configuration.plain(spec), getattr(robot, "digest", None),
        embodiment, config.imputed_weight,
    )  # fmt: skip
    if (out / META).is_file() and read_json(out / META).get("digest") == digest:
        log.info("training cache %s is up to date: nothing to compute", out)
        return dataclasses.replace(TrainingCache.open(out), reused=True)

    aside = out.with_name(f".{out.name}.tmp")
    rows = sum(dataset.episodes[number].length if 0 <= number < len(dataset) else 0 for number in numbers)
    require_space(out, rows * (size * size * 3 + 13 * spec.width + 8) - _bytes_of(aside))
    with disk_guard(out):
        pictures = _Pictures(aside, digest, rows, size)
        parts, entries, start = [], [], 0
        for done, number in enumerate(numbers):
            part = _vectors(dataset, number, spec, robot, config)
            length = len(part["state"])
            pictures.add(done, lambda n=number: (fit_image(f, size, size, fit) for f in dataset.iter_frames(n)), length)
            fov, fov_from = _fov(dataset.camera(number), size, fit)
            part["episode"] = np.full(length, done, dtype=np.int32)
            part["fov"] = np.full(length, fov, dtype=np.float32)
            parts.append(part)
            entries.append(_entry(dataset, number, start, length) | {"fov_from": fov_from})
            start += length
            if progress:
                progress(done + 1, len(numbers))
        pictures.close()
        for name in parts[0]:
            np.save(aside / f"{name}.npy", np.concatenate([part[name] for part in parts]))
        (aside / _Pictures.PROGRESS).unlink()
        meta = {
            "format": FORMAT,
            "digest": digest,
            "rows": rows,
            "image_size_px": size,
            "fit": fit,
            "rate_hz": dataset.rate_hz,
            "embodiment": embodiment,
            "spec": configuration.plain(spec),
            "dataset": str(dataset.root),
            "episodes": entries,
        }
        write_json(aside / META, meta)
        move_into_place(aside, out, overwrite=True)
    log.info("training cache %s: %d rows of %d episodes at %d px", out, rows, len(numbers), size)
    return TrainingCache.open(out)


def _require_fitting(dataset: Dataset, spec: ActionSpec) -> None:
    if abs(spec.rate_hz - dataset.rate_hz) > 1e-6 * spec.rate_hz:
        raise DatasetError("a data set of another rate", asked=f"{spec.rate_hz:g} Hz", found=f"{dataset.rate_hz:g} Hz")
    names, have = [group.name for group in spec.groups], [group.name for group in dataset.spec.groups]
    if not set(names) & set(have):
        raise DatasetError(
            f"a data set for another robot than {spec.embodiment}",
            asked=f"groups {', '.join(names)}",
            found=f"groups {', '.join(have)} in {dataset.root}",
        )


class _Pictures:
    """images.npy, appended to episode by episode; knows after an interruption how far it came."""

    PROGRESS = "progress.json"

    def __init__(self, folder: Path, digest: str, rows: int, size: int) -> None:
        self._folder, self._digest, self._bytes_per_row = folder, digest, size * size * 3
        self._path = folder / "images.npy"
        known = read_json(folder / self.PROGRESS) if (folder / self.PROGRESS).is_file() else {}
        if known.get("digest") != digest:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            known = {"done": 0, "end": 0}
        self._done: int = known["done"]
        if self._done == 0:
            with open(self._path, "wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (rows, size, size, 3)}
                np.lib.format.write_array_header_1_0(file, header)
                known["end"] = file.tell()
        self._file = open(self._path, "r+b")  # noqa: SIM115
        self._file.truncate(known["end"])
        self._file.seek(known["end"])

    def add(self, number: int, frames: Callable[[], Any], length: int) -> None:
        """Append the number-th episode's pictures, unless an earlier run did."""
        if number < self._done:
            return
        count = 0
        for frame in frames():
            self._file.write(np.ascontiguousarray(frame).tobytes())
            count += 1
        if count != length:
            raise DatasetError("pictures and rows do not match", asked=f"{length} rows", found=f"{count} pictures")
        self._file.flush()
        os.fsync(self._file.fileno())
        progress = {"digest": self._digest, "done": number + 1, "end": self._file.tell()}
        write_json(self._folder / self.PROGRESS, progress)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0


def _vectors(
    dataset: Dataset, number: int, spec: ActionSpec, robot: Robot | None, config: DatasetConfig
) -> dict[str, np.ndarray]:
    columns = dataset.columns(number)
    weight = columns["confidence"] * np.where(columns["imputed"], np.float32(config.imputed_weight), np.float32(1))
    given = {
        "state": columns[STATE],
        "action": columns[ACTION],
        "valid": columns["valid"],
        "weight": weight.astype(np.float32),
    }
    out = given if spec.names == dataset.spec.names else _relayout(given, dataset.spec, spec, robot)
    valid = out["valid"] & np.isfinite(out["state"]) & np.isfinite(out["action"])
    hole = np.float32(np.nan)
    return {
        "state": np.where(valid, out["state"], hole).astype(np.float32),
        "action": np.where(valid, out["action"], hole).astype(np.float32),
        "valid": valid,
        "weight": np.where(valid, out["weight"], np.float32(0)).astype(np.float32),
    }


def _relayout(
    given: dict[str, np.ndarray], have: ActionSpec, want: ActionSpec, robot: Robot | None
) -> dict[str, np.ndarray]:
    """Columns of `want` from those of `have`: groups by name, wrist poses by the robot's kinematics."""
    rows, source, target = len(given["state"]), have.slices(), want.slices()
    fills = {"state": np.nan, "action": np.nan, "valid": False, "weight": 0.0}
    out = {key: np.full((rows, want.width), fills[key], dtype=array.dtype) for key, array in given.items()}
    for group in want.groups:
        columns = source.get(group.name)
        if columns is None:
            continue
        if columns.stop - columns.start != group.width:
            raise DatasetError(
                f"group {group.name} has another width", asked=group.width, found=columns.stop - columns.start
            )
        for key in given:
            out[key][:, target[group.name]] = given[key][:, columns]
    missing = [group for group in want.groups if group.quantity == "wrist_pose" and group.name not in source]
    if robot is not None and missing:
        from vidpretrain.actions import robot_groups, with_wrists

        own = np.concatenate([np.arange(want.width)[target[group.name]] for group in robot_groups(want)])
        for key in ("state", "action"):
            whole = with_wrists(np.nan_to_num(out[key][:, own]), robot, want)
            for group in missing:
                out[key][:, target[group.name]] = whole[:, target[group.name]]
        for group in missing:
            arm = target.get(group.name.replace("_wrist", "_arm"))
            if arm is not None:
                out["valid"][:, target[group.name]] = out["valid"][:, arm].all(axis=1, keepdims=True)
                out["weight"][:, target[group.name]] = out["weight"][:, arm].min(axis=1, keepdims=True)
    return out


def _fov(camera: Camera | None, size: int, fit: FitMode) -> tuple[float, str]:
    """(horizontal field of view in rad of the square picture, how it is known)."""
    if camera is None:
        return float("nan"), "unknown"
    return fit_camera(camera, size, size, fit).fov_x_rad, camera.intrinsics_from


def _entry(dataset: Dataset, number: int, start: int, length: int) -> dict[str, Any]:
    episode = dataset.episodes[number]
    return {
        "index": number,
        "start": start,
        "exclusive_end": start + length,
        "instruction": episode.instruction,
        "source": episode.source.get("sha256", ""),
        "license": episode.license,
        "hours": length / dataset.rate_hz / 3600,
    }
