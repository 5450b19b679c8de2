"""Batch inference into parquet: shards written aside and renamed, so that a stopped job goes on where it was."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from vidpretrain import config as configs
from vidpretrain.dataset import TrainingCache
from vidpretrain.dataset.files import disk_guard, write_json
from vidpretrain.errors import ConfigError, InputError
from vidpretrain.training.policy import Policy
from vidpretrain.training.rows import Rows, open_rows
from vidpretrain.transforms import spec_to_dict

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class PredictRow:
    """One question to the policy. `state` and `history` are absolute, NaN where unknown."""

    episode: int
    frame: int
    image: UInt8[Array, "p q 3"]
    state: Float32[Array, " d"]
    history: Float32[Array, "t d"]
    fov_rad: float = float("nan")
    instruction: str = ""


def predict(
    checkpoint: Policy | Path | str,
    caches: Sequence[Path | TrainingCache],
    out: Path | str,
    *,
    episodes: Sequence[int] | None = None,
    every: int = 1,
    batch_size: int = 64,
    shard_rows: int = 2048,
    seed: int = 0,
    steps: int | None = None,
    samples: int = 1,
) -> dict[str, Any]:
    """Summary of the absolute chunks predicted for every `every`-th row of caches, as parquet in `out`.

    Args:
        episodes: places of episodes in each cache (None: all).
        steps, samples: Euler steps and averaged draws, see `Policy.predict`.

    Raises:
        CheckpointError: the checkpoint was not trained for a cache's embodiment.
        ConfigError: caches of several embodiments in one call, or `out` holds another job.
    """
    policy = checkpoint if isinstance(checkpoint, Policy) else Policy.load(checkpoint)
    opened = [open_rows(cache, history=policy.history, episodes=episodes) for cache in caches]
    names = sorted({one.spec.embodiment for one in opened})
    if len(names) != 1:
        raise ConfigError("one embodiment per job", asked=", ".join(names) or "no caches", valid="one call for each")
    for one in opened:
        policy.require(one.spec.embodiment, one.spec.names)
    source = [str(one.cache.meta.get("digest", "")) for one in opened] + [str(episodes), str(every)]
    return predict_rows(
        policy,
        lambda start: _cache_rows(opened, every, start),
        out,
        embodiment=names[0],
        source=source,
        batch_size=batch_size,
        shard_rows=shard_rows,
        seed=seed,
        steps=steps,
        samples=samples,
    )


def _cache_rows(opened: list[Rows], every: int, start: int) -> Iterator[PredictRow]:
    base = 0
    for rows in opened:
        which = np.arange(0, len(rows), every)
        for part in which[max(0, start - base) :]:
            sample = rows.sample(np.array([part]))
            row = int(rows.index[part])
            entry = rows.cache.episodes[int(rows.cache.episode[row])]
            yield PredictRow(
                episode=int(entry["index"]),
                frame=row - int(entry["start"]),
                image=sample.images[0],
                state=np.where(sample.state_known, sample.state, np.nan)[0],
                history=np.where(sample.history_known, sample.history, np.nan)[0],
                fov_rad=float(sample.fov[0]),
                instruction=rows.instructions[int(sample.instruction[0])],
            )
        base += len(which)


def predict_rows(
    policy: Policy,
    rows: Callable[[int], Iterator[PredictRow]],
    out: Path | str,
    *,
    embodiment: str,
    source: Sequence[str] = (),
    batch_size: int = 64,
    shard_rows: int = 2048,
    seed: int = 0,
    steps: int | None = None,
    samples: int = 1,
) -> dict[str, Any]:
    """Summary of the chunks predicted for `rows(start)`, an iterator over questions from number `start` on.

    `out` gets `shard_00000.parquet`, ... (columns episode_index, frame_index, action: horizon x width values, row by
    row) and, last, `manifest.json` with the layout. Noise is keyed by a row's number: the same job gives the same
    files, whether it was stopped or not. Shards that are there are not computed again.

    Args:
        source: whatever identifies the rows; a job with other sources or settings does not mix with this one.
    """
    out = Path(out)
    spec = policy.spec(embodiment)
    settings = {
        "embodiment": embodiment,
        "spec": spec_to_dict(spec),
        "weights": _weights_digest(policy),
        "source": list(source),
        "batch_size": batch_size,
        "shard_rows": shard_rows,
        "seed": seed,
        "steps": steps or policy.flow_steps,
        "samples": samples,
    }
    _claim(out, settings)
    manifest = out / "manifest.json"
    if manifest.is_file():
        return {**json.loads(manifest.read_text()), "computed_shards": 0}
    done = 0
    while (out / f"shard_{done:05d}.parquet").is_file():
        done += 1
    first, count = done, done * shard_rows
    stream = rows(count)
    while block := list(itertools.islice(stream, shard_rows)):
        actions = [
            _predict_batch(policy, block[i : i + batch_size], embodiment, count + i, seed, steps, samples)
            for i in range(0, len(block), batch_size)
        ]
        _write_shard(out / f"shard_{done:05d}.parquet", block, np.concatenate(actions))
        done, count = done + 1, count + len(block)
    if first == done and first > 0:  # every shard was there, and only the manifest was missing
        count = _count_rows(out, done)
    if count == 0:
        raise InputError("nothing to predict: no rows came", asked=out)
    summary = {**settings, "rows": count, "shards": done}
    write_json(manifest, summary)
    return {**summary, "computed_shards": done - first}


def _claim(out: Path, settings: dict[str, Any]) -> None:
    key = configs.digest(settings)
    record = out / "job.json"
    if record.is_file():
        found = json.loads(record.read_text())["key"]
        if found != key:
            raise ConfigError(
                "the folder holds another prediction job",
                asked=f"{out}, job {key}",
                found=f"job {found}",
                valid="another folder",
                next_command=f"rm -r {out}",
            )
    write_json(record, {"key": key, "settings": settings})


def _predict_batch(
    policy: Policy, block: list[PredictRow], embodiment: str, first: int, seed: int, steps: int | None, samples: int
) -> Array:
    return policy.predict(
        np.stack([row.image for row in block]),
        np.stack([row.state for row in block]).astype(np.float32),
        embodiment,
        history=np.stack([row.history for row in block]).astype(np.float32),
        fov=np.array([row.fov_rad for row in block], dtype=np.float32),
        seed=seed,
        steps=steps,
        samples=samples,
        keys=np.arange(first, first + len(block)),
        instructions=[row.instruction for row in block],
    )


def _write_shard(path: Path, block: list[PredictRow], actions: Array) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = actions.reshape(len(actions), -1)
    table = pa.table(
        {
            "episode_index": pa.array([row.episode for row in block], pa.int64()),
            "frame_index": pa.array([row.frame for row in block], pa.int64()),
            "action": pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel(), pa.float32()), flat.shape[1]),
        }
    )
    aside = path.with_name(path.name + ".tmp")
    with disk_guard(path):
        pq.write_table(table, aside)
        os.replace(aside, path)


def _count_rows(out: Path, shards: int) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(out / f"shard_{i:05d}.parquet").num_rows for i in range(shards))


def _weights_digest(policy: Policy) -> str:
    import hashlib

    sha = hashlib.sha256()
    for name, value in sorted(policy.model.state_dict().items()):
        sha.update(name.encode())
        sha.update(value.detach().cpu().numpy().tobytes())
    return sha.hexdigest()[:16]
