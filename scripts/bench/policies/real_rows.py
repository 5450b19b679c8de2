"""Real data, offline: 24 episodes of a G1, five folds by episode, chunk error against what needs less and against ACT.

Every method answers the same rows. Errors are those of `vidpretrain.training.chunk_error`, divided by the spread of all
episodes' actions; intervals are over the 24 episodes. Ours and ACT see the same pictures of 96 px and train for the
same seconds on the same threads: ours by a number of steps that a short run beforehand says will take so long, ACT
until ours' seconds are over.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from policies.training_rows import act

FOLDS, EVERY, THREADS, NEIGHBOURS = 5, 4, 2, (1, 8)
Row = Callable[..., dict[str, Any]]
Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class RealConfig:
    """`seconds` of training for each fold and method; `act_lr` 0 is ACT's own rate, 1e-5, slow for minutes."""

    seconds: float = 60.0
    preset: Any = "micro"  # of `model.preset`
    act_lr: float = 1e-4


def real_rows(row: Row, cache: Any, work: Path, config: RealConfig) -> list[dict[str, Any]]:
    """Rows of the table, one per method and group."""
    from vidpretrain.evaluate.offline import _open, _places
    from vidpretrain.training import chunk_error

    read, episodes = _exported(cache, work), list(range(len(cache.episodes)))
    rows = _open(cache, episodes, cache.spec.horizon, (-1, -5))
    sums: dict[str, Any] = {}
    spent = {"policy": 0.0, "ACT": 0.0}
    for fold in range(FOLDS):
        held = [e for e in episodes if e % FOLDS == fold]
        which = np.flatnonzero(np.isin(np.asarray(cache.episode)[rows.index], held))[::EVERY]
        sample = rows.sample(which)
        said = _answers(cache, rows, which, sample, held, work / f"fold_{fold}", read, config, spent)
        for name, chunk in said.items():
            one = sums.setdefault(name, chunk_error.ErrorSum.zero(len(episodes), rows.spec.horizon, rows.spec.width))
            one.add(_places(rows, which, episodes), chunk, sample.action, sample.weight > 0)
    return _table(row, sums, rows, spent, config)


def _answers(
    cache: Any, rows: Any, which: Array, sample: Any, held: list[int], out: Path, read: Path, config: RealConfig,
    spent: dict[str, float],
) -> dict[str, Array]:  # fmt: skip
    """Chunks of every method for the held-out rows, each taught by the other episodes alone."""
    from vidpretrain.evaluate import baselines

    horizon = rows.spec.horizon
    train = [e for e in range(len(cache.episodes)) if e not in held]
    mine = np.flatnonzero(np.isin(np.asarray(cache.episode)[rows.index], train))
    previous = np.where(sample.history_known, sample.history, np.nan)[:, 0]
    action = np.asarray(cache.action)[rows.index[mine]]
    said = {
        "hold": baselines.hold_state(sample.state, horizon),
        "mean": baselines.mean_action(np.nanmean(action, axis=0), len(which), horizon),
        "last velocity": baselines.last_velocity(sample.state, previous, horizon),
    }
    for count, chunk in _neighbours(rows, mine, which).items():
        said[f"nearest neighbour ({count})"] = chunk
    said["policy"], seconds = _policy(cache, rows, which, sample, train, out, config)
    task = {"train": np.array(train), "rows": rows.index[which], "horizon": horizon, "threads": THREADS}
    np.savez(out / "task.npz", **task)
    words = ["train", str(read), str(out / "task.npz"), str(out / "act.npy"), str(seconds), str(config.act_lr)]
    told = act(words, THREADS)
    said["ACT"] = np.load(out / "act.npy")
    spent["policy"], spent["ACT"] = spent["policy"] + seconds, spent["ACT"] + told["seconds"]
    return said


def _policy(
    cache: Any, rows: Any, which: Array, sample: Any, train: list[int], out: Path, config: RealConfig
) -> tuple[Array, float]:
    """Our chunks, and the seconds that training took."""
    import torch

    from vidpretrain.model import ModelConfig
    from vidpretrain.training import Policy, TrainConfig, finetune
    from vidpretrain.training.validate import policy_chunks

    torch.set_num_threads(THREADS)
    shutil.rmtree(out, ignore_errors=True)
    model, settings = ModelConfig(preset=config.preset), TrainConfig(episodes=tuple(train), tensorboard=False)
    tried = finetune(model, settings.replace(steps=40), [cache.path], out / "tried")
    rate = tried["samples_per_s"] / settings.batch_size
    start = time.perf_counter()
    finetune(model, settings.replace(steps=max(60, int(config.seconds * rate))), [cache.path], out / "run")
    seconds = time.perf_counter() - start
    policy = Policy.load(out / "run")
    parts = []
    for first in range(0, len(which), 64):
        at = slice(first, first + 64)
        parts.append(policy_chunks(policy, rows, which[at], _part(sample, at), seed=0, steps=2, samples=16))
    torch.set_num_threads(1)
    return np.concatenate(parts), seconds


def _part(sample: Any, at: slice) -> Any:
    import dataclasses

    return dataclasses.replace(sample, **{f.name: getattr(sample, f.name)[at] for f in dataclasses.fields(sample)})


def _neighbours(rows: Any, mine: Array, which: Array) -> dict[int, Array]:
    """Chunks of the nearest training rows, as motion from one's own state; the mean of several.

    Features, each of unit spread over the training rows: the state, its motion over one and five rows, and 32 principal
    components of the picture at 24 px; the three parts count the same.
    """
    from scipy.spatial import cKDTree

    parts = [_features(rows, which_rows) for which_rows in (mine, which)]
    train, asked = [], []
    for a, b in zip(*parts, strict=True):
        mean = a.mean(0)
        if a.shape[1] > 200:
            basis = np.linalg.svd((a - mean)[:: max(1, len(a) // 2000)], full_matrices=False)[2][:32].T
            a, b, mean = (a - mean) @ basis, (b - mean) @ basis, 0.0
            size = np.sqrt(a.var(0).sum())
        else:
            size = np.maximum(a.std(0), 1e-3) * np.sqrt(a.shape[1])
        train.append((a - mean) / size)
        asked.append((b - mean) / size)
    tree = cKDTree(np.concatenate(train, axis=1))
    found = tree.query(np.concatenate(asked, axis=1), k=max(NEIGHBOURS))[1]
    state, out = rows.state(which)[0], {}
    for count in NEIGHBOURS:
        moved = [rows.chunk(mine[found[:, k]])[0] - rows.state(mine[found[:, k]])[0][:, None] for k in range(count)]
        out[count] = state[:, None] + np.mean(moved, axis=0)
    return out


def _features(rows: Any, which: Array) -> list[Array]:
    state, past = rows.state(which)[0], rows.past(which)[0]
    images = np.asarray(rows.cache.images[rows.index[which]])
    side = images.shape[1] // 24
    small = images.reshape(len(images), 24, side, 24, side, 3).mean((2, 4), dtype=np.float32)
    return [state, (state[:, None] - past).reshape(len(state), -1), small.reshape(len(small), -1)]


def _exported(cache: Any, work: Path) -> Path:
    """The cache's rows as a LeRobot data set written by us and read by lerobot; found again where it is."""
    from vidpretrain.dataset import DatasetConfig, DatasetWriter

    root = work / f"lerobot_{cache.meta['digest'][:12]}"
    read = root.with_suffix(".npz")
    if read.is_file():
        return read
    shutil.rmtree(root, ignore_errors=True)
    side = cache.meta["image_size_px"]
    with DatasetWriter(root, cache.spec, cache.meta["rate_hz"], (side, side), config=DatasetConfig()) as writer:
        for number in range(len(cache.episodes)):
            writer.add_episode(*_episode(cache, number))
    told = act(["read", str(root), str(read)], 1)
    if told["rows"] != len(cache):
        raise RuntimeError(f"lerobot read {told['rows']} rows of {len(cache)}")
    return read


def _episode(cache: Any, number: int) -> tuple[Any, Any]:
    from vidpretrain.types import Camera, Clip, Episode, Source, Trajectory

    entry = cache.episodes[number]
    at, side = slice(entry["start"], entry["exclusive_end"]), cache.meta["image_size_px"]
    length = at.stop - at.start
    time_ns = (np.arange(length) * 1_000_000_000 / cache.meta["rate_hz"]).astype(np.int64)
    valid = np.asarray(cache.valid[at])
    trajectory = Trajectory(
        spec=cache.spec, state=np.array(cache.state[at]), action=np.array(cache.action[at]), valid=valid,
        confidence=np.where(valid, 1.0, 0.0).astype(np.float32), imputed=np.zeros_like(valid),
    )  # fmt: skip
    camera = Camera(
        K=np.array([[side, 0, side / 2], [0, side, side / 2], [0, 0, 1.0]]), distortion=np.zeros(5), width_px=side,
        height_px=side,
    )  # fmt: skip
    name = f"episode{number}"
    clip = Clip(
        clip_id=name, source_id=name, path="", start_ns=0, exclusive_end_ns=int(time_ns[-1]) + 1, width_px=side,
        height_px=side,
    )  # fmt: skip
    source = Source(source_id=name, uri="a real episode", sha256="0" * 64, license=str(entry["license"]))
    episode = Episode(
        trajectory=trajectory, clip=clip, source=source, camera=camera, instruction=str(entry.get("instruction", "")),
        frame_time_ns=time_ns, source_frame=np.arange(length), code_version="bench",
    )  # fmt: skip
    return episode, list(np.asarray(cache.images[at]))


def _table(
    row: Row, sums: dict[str, Any], rows: Any, spent: dict[str, float], config: RealConfig
) -> list[dict[str, Any]]:
    from vidpretrain.training import chunk_error

    scale, rng = chunk_error.scale(rows.action_stats()[1]), np.random.default_rng(0)
    episodes = len(sums["policy"].total)
    picks = rng.integers(0, episodes, (2000, episodes))

    def error(name: str, part: slice | None, pick: Array | None = None) -> float:
        return float(chunk_error.mean(sums[name].columns(pick) / scale, part))

    told = [
        row(f"real data: seconds of training, five folds of {config.preset} together", spent["policy"], "s"),
        row("real data: seconds of training, five folds of ACT together", spent["ACT"], "s"),
    ]
    for group, part in {"all": None, **rows.spec.slices()}.items():
        ours = error("policy", part)
        told.append(row(f"real data: {group}, policy", ours, "of motion"))
        for name in sums:
            draws = np.array(
                [error("policy", part, p) - (0 if name == "policy" else error(name, part, p)) for p in picks]
            )
            low, high = np.quantile(draws, [0.025, 0.975])
            if name == "policy":
                told[-1]["name"] += f" (95 % {low:.3f} to {high:.3f})"
                continue
            words = f"real data: {group}, policy below {name}"
            if group == "all":
                told.append(row(f"{words} ({error(name, part):.3f}): difference's upper end", high, "of motion", 0.0))
                told[-1]["met"] = bool(ours < error(name, part))
                told[-1]["bar"] = "policy lower"
            told.append(
                row(f"{words}: difference (95 % {low:.3f} to {high:.3f})", ours - error(name, part), "of motion")
            )
    return told


def saved(work: Path, rows: list[dict[str, Any]]) -> None:
    """Keep the rows beside the runs."""
    (work / "real.json").write_text(json.dumps(rows, indent=2))
