"""Batch inference into parquet: shards written aside and renamed, so that a stopped job goes on where it was.

Several processes of one launch (RANK and WORLD_SIZE, as accelerate and torchrun set them) share the shards out among
them and meet in the files: no connection, so none that times out while another still decodes.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Share:
    """Which process of how many this is; each takes every `count`-th piece of work."""

    rank: int = 0
    count: int = 1

    @classmethod
    def of_launch(cls) -> Share:
        """This process's share, by what its launcher set; the whole of it without a launcher."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


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
    share: Share | None = None,
) -> dict[str, Any]:
    """Summary of the absolute chunks predicted for every `every`-th row of caches, as parquet in `out`.

    Args:
        episodes: places of episodes in each cache (None: all).
        steps, samples: Euler steps and averaged draws, see `Policy.predict`.
        share: this process's part of the shards (None: as it was launched).

    Raises:
        CheckpointError: the checkpoint was not trained for a cache's embodiment.
        ConfigError: caches of several embodiments in one call, or `out` holds another job.
    """
    policy = checkpoint if isinstance(checkpoint, Policy) else Policy.load(checkpoint)
    opened = [open_rows(cache, history=policy.history, episodes=episodes, sizes=policy.sizes) for cache in caches]
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
        share=share,
    )


def _cache_rows(opened: list[Rows], every: int, start: int) -> Iterator[PredictRow]:
    base = 0
    for rows in opened:
        which = np.arange(0, len(rows), every)
        rows = replace(rows, cache=replace(rows.cache))  # its memory map is closed again: there may be thousands
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
    share: Share | None = None,
) -> dict[str, Any]:
    """Summary of the chunks predicted for `rows(start)`, an iterator over questions from number `start` on.

    `out` gets `shard_00000.parquet`, ... (columns episode_index, frame_index, action: horizon x width values, row by
    row) and, last, `manifest.json` with the layout. Noise is keyed by a row's number: the same job gives the same
    files, whether it was stopped or not, and by however many processes. Shards that are there are not computed again.

    Args:
        source: whatever identifies the rows; a job with other sources or settings does not mix with this one.

    Raises:
        ConfigError: `out` holds another job, or somebody is at work on this one.
    """
    out, share = Path(out), share or Share.of_launch()
    settings = {
        "embodiment": embodiment,
        "spec": spec_to_dict(policy.spec(embodiment)),
        "weights": _weights_digest(policy),
        "source": list(source),
        "batch_size": batch_size,
        "shard_rows": shard_rows,
        "seed": seed,
        "steps": steps or policy.flow_steps,
        "samples": samples,
    }
    with _at_work(out, share):
        _claim(out, settings, share)
        if (out / "manifest.json").is_file():
            return {**json.loads((out / "manifest.json").read_text()), "computed_shards": 0}
        here = sum(1 for _ in out.glob("shard_*.parquet"))
        stream, at = iter(()), -1
        for number in itertools.count(share.rank, share.count):
            if _shard(out, number).is_file():
                continue
            if at != number * shard_rows:
                stream, at = rows(number * shard_rows), number * shard_rows
            block = list(itertools.islice(stream, shard_rows))
            if not block:
                break
            starts = range(0, len(block), batch_size)
            parts = [(i, block[i : i + batch_size]) for i in starts]
            actions = [_predict_batch(policy, part, embodiment, at + i, seed, steps, samples) for i, part in parts]
            _write_shard(_shard(out, number), block, np.concatenate(actions))
            at += len(block)
        if share.rank != 0:
            wait_for((out / "manifest.json").is_file)
            return {**json.loads((out / "manifest.json").read_text()), "computed_shards": 0}
        shards = next(i for i in itertools.count() if next(iter(rows(i * shard_rows)), None) is None)
        if shards == 0:
            raise InputError("nothing to predict: no rows came", asked=out)
        for i in range(shards):
            wait_for(_shard(out, i).is_file)
        summary = {**settings, "rows": _count_rows(out, shards), "shards": shards}
        write_json(out / "manifest.json", summary)
        return {**summary, "computed_shards": shards - here}


def wait_for(there: Callable[[], bool], every_s: float = 0.2) -> None:
    """Return when it is true: another process of the launch makes it so, and if that one ends, so do we."""
    while not there():
        time.sleep(every_s)


def _shard(out: Path, number: int) -> Path:
    return out / f"shard_{number:05d}.parquet"


@contextmanager
def _at_work(out: Path, share: Share) -> Iterator[None]:
    """The first process of a launch holds the folder's lock: two commands do not do the same work twice."""
    import fcntl

    if share.rank != 0:
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    with open(out / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError("another command is at work in the folder", asked=out, valid="another folder") from None
        yield


def _claim(out: Path, settings: dict[str, Any], share: Share) -> None:
    key = configs.digest(settings)
    record = out / "job.json"
    if share.rank != 0:
        wait_for(record.is_file)
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
        return
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

    return sum(pq.read_metadata(_shard(out, i)).num_rows for i in range(shards))


def _weights_digest(policy: Policy) -> str:
    import hashlib

    sha = hashlib.sha256()
    for name, value in sorted(policy.model.state_dict().items()):
        sha.update(name.encode())
        sha.update(value.detach().cpu().numpy().tobytes())
    return sha.hexdigest()[:16]
