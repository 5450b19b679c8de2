"""Predictions as a LeRobot data set: the episodes of another one, with a policy's actions for the recorded ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import config as configs
from vidpretrain.control import ControlConfig, limits_of
from vidpretrain.dataset import Dataset, DatasetConfig, DatasetWriter, TrainingCache
from vidpretrain.dataset.files import write_json
from vidpretrain.errors import DatasetError
from vidpretrain.pipeline.provenance import code_version
from vidpretrain.robot import Robot
from vidpretrain.training.acting import followed
from vidpretrain.transforms import spec_from_dict
from vidpretrain.types import Camera, Clip, Episode, Reason, Reject, Source, Trajectory

Array = np.ndarray


def write_predicted(
    dataset: Dataset,
    caches: Sequence[TrainingCache],
    predictions: Path,
    out: Path,
    robot: Robot | None = None,
    control: ControlConfig | None = None,
    config: DatasetConfig | None = None,
    rejects: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What was written: root, episodes, rows, reused. Pictures and states are the data set's, actions the policy's
    (see `followed`); the column code_version names the policy's weights.

    Args:
        caches: those that the predictions in the folder `predictions` were made of, of episodes of `dataset`.
        robot: whose limits actions keep; None: no limits.
        rejects: episodes that were left out, and why; they go into the data set's own record.

    Raises:
        DatasetError: the data set's pictures cannot be read any more. DiskFull: no space; nothing appears at `out`.
    """
    control, config = control or ControlConfig(), config or DatasetConfig()
    manifest = json.loads((predictions / "manifest.json").read_text())
    spec = spec_from_dict(manifest["spec"])
    key = configs.digest(manifest, control, config, getattr(robot, "digest", None), dataset.digest, rejects or {})
    note = out.with_name(f"{out.name}.json")
    if note.is_file() and (out / "meta" / "info.json").is_file():
        found = json.loads(note.read_text())
        if found["key"] == key:
            return {**found, "root": str(out), "reused": True}
    limits = limits_of(robot, spec, control.speed_share) if robot is not None and control.limits else None
    rows = 0
    where = {int(e["index"]): (c.path, e["start"], e["exclusive_end"]) for c in caches for e in c.episodes}
    writer = DatasetWriter(
        *(out, spec, dataset.rate_hz, _picture_size(dataset)),
        robot_type=dataset.robot_type,
        camera_keys=dataset.camera_keys,
        config=config,
        overwrite=True,
    )
    with writer:
        for number, asked, chunks in _answers(predictions, manifest):
            path, first, end = where[number]
            state = np.asarray(TrainingCache.open(path).state[first:end])
            made = followed(chunks, asked, state, spec, limits, control)
            rows += _add(writer, dataset, number, made, manifest["weights"])
        for name, why in (rejects or {}).items():
            writer.add_reject(name, Reject(reason=Reason.UNREADABLE, detail=why))
    told = {"key": key, "episodes": writer.episode_count, "rows": rows, "embodiment": spec.embodiment}
    write_json(note, told)
    return {**told, "root": str(out), "reused": False}


def _answers(predictions: Path, manifest: dict[str, Any]) -> Iterator[tuple[int, Array, Array]]:
    """(episode, rows asked (n), chunks (n h d)) of one episode after the other; an episode's rows follow each other."""
    import pyarrow.parquet as pq

    spec = spec_from_dict(manifest["spec"])
    kept: tuple[int, list[Array], list[Array]] | None = None
    for i in range(manifest["shards"]):
        table = pq.read_table(predictions / f"shard_{i:05d}.parquet").combine_chunks()
        episode, row = table["episode_index"].to_numpy(), table["frame_index"].to_numpy()
        flat = table["action"].chunk(0).values.to_numpy(zero_copy_only=False)
        chunks = flat.reshape(len(row), spec.horizon, spec.width).astype(np.float32)
        starts = np.flatnonzero(np.diff(episode, prepend=-1))
        for first, end in zip(starts, [*starts[1:], len(row)], strict=True):
            number = int(episode[first])
            if kept is not None and kept[0] != number:
                yield kept[0], np.concatenate(kept[1]), np.concatenate(kept[2])
                kept = None
            kept = kept or (number, [], [])
            kept[1].append(row[first:end])
            kept[2].append(chunks[first:end])
    if kept is not None:
        yield kept[0], np.concatenate(kept[1]), np.concatenate(kept[2])


def _picture_size(dataset: Dataset) -> tuple[int, int] | None:
    """(height, width) of the pictures, made even; of the first camera, to whose size others are fitted."""
    if not dataset.camera_keys:
        return None
    height, width, _ = dataset.features[dataset.camera_keys[0]]["shape"]
    return height + height % 2, width + width % 2


def _add(writer: DatasetWriter, dataset: Dataset, number: int, made: Trajectory, weights: str) -> int:
    """Rows of the episode that was written."""
    info, columns = dataset.episodes[number], dataset.columns(number)
    known = {k: v for k, v in info.source.items() if k in Source.__dataclass_fields__}
    name = f"{dataset.root.name}/{number}"
    source = Source(**{"source_id": name, "uri": name, "sha256": "", **known, "license": info.license})
    time_ns = np.rint(np.arange(info.length) * 1e9 / dataset.rate_hz).astype(np.int64)
    seen = {key: dataset.camera(number, key) for key in dataset.camera_keys}
    clip = info.own.get("clip") or _clip(source.source_id, name, int(time_ns[-1]) + 1, writer)
    episode = Episode(
        trajectory=made,
        clip=Clip(**clip),
        source=source,
        camera=next((c for c in seen.values() if c is not None), _unknown_camera(writer)),
        instruction=info.instruction,
        frame_time_ns=columns.get("source.time_ns", time_ns),
        source_frame=columns.get("source.frame", np.arange(info.length)),
        code_version=f"{code_version()}, policy {weights}",
    )
    frames = {key: dataset.iter_frames(number, None, key) for key in dataset.camera_keys}
    cameras = {key: camera for key, camera in seen.items() if camera is not None}
    record = writer.add_episode(episode, frames, cameras or None)
    if record["length"] != info.length:
        raise DatasetError("an episode's rows changed while it was written", asked=info.length, found=record["length"])
    return info.length


def _clip(source_id: str, name: str, end_ns: int, writer: DatasetWriter) -> dict[str, Any]:
    return {
        "clip_id": name,
        "source_id": source_id,
        "path": "",
        "start_ns": 0,
        "exclusive_end_ns": end_ns,
        "width_px": writer.width_px,
        "height_px": writer.height_px,
    }


def _unknown_camera(writer: DatasetWriter) -> Camera:
    """A camera of which nothing is known but the size: a focal length of one picture width, marked as assumed."""
    K = np.array(
        [[writer.width_px, 0.0, writer.width_px / 2], [0.0, writer.width_px, writer.height_px / 2], [0.0, 0.0, 1.0]]
    )
    return Camera(K=K, distortion=np.zeros(0), width_px=writer.width_px, height_px=writer.height_px)
