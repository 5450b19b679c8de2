"""Is a data set whole, finite and consistent? Every complaint is one sentence."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain.dataset import layout, stats
from vidpretrain.dataset.feasibility import MEASURES, problems_of_file, problems_of_rows, verdict_counts
from vidpretrain.dataset.files import read_json
from vidpretrain.dataset.frames import packet_places
from vidpretrain.dataset.reader import Dataset, EpisodeInfo, open_dataset
from vidpretrain.errors import DatasetError

TOLERANCE_S = 1e-4  # LeRobot's reader refuses frames further from their time than this


def check_dataset(root: Path | str, decode: bool = False) -> dict[str, Any]:
    """A report in plain JSON data; `problems` is empty and `ok` true when all is well.

    Checked: counts of info.json; row counts and running numbers of every episode; times k / rate; finite values; mask
    shapes; one video frame per row at its time and a key frame at each episode's start; statistics against the rows;
    the feasibility of every episode where it was assessed; provenance of every row (v3.0 written by this toolkit). With
    `decode` every picture is decoded as well.
    `notes` tell what is not wrong but good to know (statistics that only approximate, no provenance recorded).

    Raises:
        DatasetError: not a data set, or one of another version.
    """
    dataset = open_dataset(root)
    problems: list[str] = []
    notes: list[str] = []
    _check_counts(dataset, problems)
    lengths = [episode.length for episode in dataset.episodes]
    problems += problems_of_file(dataset.root, lengths, bool(dataset.own.get("assessed")))
    rows = _check_episodes(dataset, problems, notes)
    _check_videos(dataset, problems, notes, decode)
    _check_stats(dataset, rows, problems, notes)
    licenses: dict[str, int] = defaultdict(int)
    for episode in dataset.episodes:
        licenses[episode.license] += 1
    return {
        "root": str(dataset.root),
        "version": dataset.version,
        "embodiment": dataset.spec.embodiment,
        "rate_hz": dataset.rate_hz,
        "episodes": len(dataset),
        "frames": dataset.frame_count,
        "hours": dataset.frame_count / dataset.rate_hz / 3600,
        "cameras": list(dataset.camera_keys),
        "licenses": dict(licenses),
        "rejects": len(dataset.own.get("rejects", [])),
        "verdicts": _verdicts(dataset),
        "decoded": decode,
        "problems": problems,
        "notes": notes,
        "ok": not problems,
    }


def _verdicts(dataset: Dataset) -> dict[str, int]:
    """Episodes by feasibility verdict; empty where the file is missing or broken, which is a problem of its own."""
    try:
        return verdict_counts(dataset.root)
    except DatasetError:
        return {}


def _check_counts(dataset: Dataset, problems: list[str]) -> None:
    for key, found in (("total_episodes", len(dataset)), ("total_frames", dataset.frame_count)):
        if dataset.info.get(key) != found:
            problems.append(f"info.json says {key} = {dataset.info.get(key)}, the list of episodes has {found}")
    if [episode.index for episode in dataset.episodes] != list(range(len(dataset))):
        problems.append("episodes are not numbered 0, 1, 2, ...")
    for key in (layout.STATE, layout.ACTION):
        if key not in dataset.features:
            problems.append(f"there is no column {key}")
    if dataset.version == "v3.0" and not (dataset.root / layout.TASKS).is_file():
        problems.append(f"{layout.TASKS} is missing")


def _check_episodes(dataset: Dataset, problems: list[str], notes: list[str]) -> dict[str, list[np.ndarray]]:
    """Check every row; return the numeric columns for the statistics."""
    gathered: dict[str, list[np.ndarray]] = defaultdict(list)
    first = 0
    for episode in dataset.episodes:
        try:
            columns = dataset.columns(episode.index)
        except DatasetError as error:
            problems.append(f"episode {episode.index}: {error.message} ({error.asked})")
            first += episode.length
            continue
        problems += [f"episode {episode.index}: {text}" for text in _row_problems(dataset, episode, columns, first)]
        for key, feature in dataset.features.items():
            if key in columns and feature["dtype"] not in ("video", "image", "string"):
                gathered[key].append(columns[key])
        first += episode.length
    if "source.sha256" not in dataset.features:
        notes.append("rows do not tell their source (not written by this toolkit)")
    return gathered


def _row_problems(dataset: Dataset, episode: EpisodeInfo, columns: dict[str, np.ndarray], first: int) -> list[str]:
    out, count = [], episode.length
    for key, feature in dataset.features.items():
        if feature["dtype"] not in ("video", "image") and key not in columns:
            out.append(f"column {key} is missing")
    running = {"frame_index": 0, "index": first}
    for key, start in running.items():
        if key in columns and not np.array_equal(columns[key], np.arange(start, start + count)):
            out.append(f"{key} does not run from {start} in steps of 1")
    if "episode_index" in columns and (columns["episode_index"] != episode.index).any():
        out.append("rows belong to another episode")
    if "timestamp" in columns:
        off = np.abs(columns["timestamp"].astype(float) - np.arange(count) / dataset.rate_hz).max()
        if off > TOLERANCE_S:
            out.append(f"times are up to {off:.4f} s away from k / {dataset.rate_hz:g}")
    for key, value in columns.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            out.append(f"{key} has {np.count_nonzero(~np.isfinite(value))} values that are not finite")
    for key in (layout.STATE, layout.ACTION, *layout.MASKS):
        if key in columns and columns[key].shape != (count, dataset.spec.width):
            out.append(f"{key} has shape {columns[key].shape}, expected ({count}, {dataset.spec.width})")
    out += problems_of_rows(dataset.features.get(MEASURES, {}).get("names") or (), columns)
    out += _provenance_problems(dataset, episode, columns)
    return out


def _provenance_problems(dataset: Dataset, episode: EpisodeInfo, columns: dict[str, np.ndarray]) -> list[str]:
    out = []
    for key in layout.PROVENANCE:
        if key in columns and columns[key].dtype == object and not all(columns[key]):
            out.append(f"{key} is empty in {sum(not x for x in columns[key])} rows")
    if "source.frame" in columns and (columns["source.frame"] < 0).any():
        out.append("source.frame is negative")
    if dataset.own:
        if not episode.own:
            out.append(f"{layout.OWN_META} has no record of it")
        elif "source.sha256" in columns and set(columns["source.sha256"]) != {episode.source.get("sha256")}:
            out.append("its rows and its record name different source files")
    return out


def _check_videos(dataset: Dataset, problems: list[str], notes: list[str], decode: bool) -> None:
    for key in dataset.camera_keys:
        by_file: dict[Path, list[EpisodeInfo]] = defaultdict(list)
        for episode in dataset.episodes:
            by_file[episode.video_path[key]].append(episode)
        for path, episodes in by_file.items():
            try:
                places, keys, off_s = packet_places(path, dataset.rate_hz)
            except DatasetError as error:
                problems.append(f"{path.relative_to(dataset.root)}: {error.message}")
                continue
            name = path.relative_to(dataset.root)
            if off_s > TOLERANCE_S:
                problems.append(f"{name}: frames are up to {off_s:.5f} s away from k / {dataset.rate_hz:g}")
            used = 0
            for episode in episodes:
                start = episode.first_frame[key]
                wanted = np.arange(start, start + episode.length)
                missing = np.count_nonzero(~np.isin(wanted, places))
                used += episode.length
                if missing:
                    problems.append(f"episode {episode.index}: {missing} of {episode.length} frames not in {name}")
                elif start not in keys:
                    problems.append(f"episode {episode.index}: does not start with a key frame in {name}")
                elif decode:
                    _check_pictures(dataset, episode, key, problems)
            if len(places) > used:
                notes.append(f"{name}: {len(places) - used} frames belong to no episode")


def _check_pictures(dataset: Dataset, episode: EpisodeInfo, key: str, problems: list[str]) -> None:
    shape, count = tuple(dataset.features[key]["shape"]), 0
    try:
        for frame in dataset.iter_frames(episode.index, None, key):
            count += frame.shape == shape
    except DatasetError as error:
        problems.append(f"episode {episode.index}: {error.message} ({error.found or error.asked})")
        return
    if count != episode.length:
        problems.append(f"episode {episode.index}: {episode.length - count} pictures of {key} are not {shape}")


def _check_stats(dataset: Dataset, rows: dict[str, list[np.ndarray]], problems: list[str], notes: list[str]) -> None:
    if dataset.version != "v3.0":
        return
    if not (dataset.root / layout.STATS).is_file():
        problems.append(f"{layout.STATS} is missing")
        return
    stored = read_json(dataset.root / layout.STATS)
    for key in (*rows, *dataset.camera_keys):
        if key not in stored:
            problems.append(f"{layout.STATS} has nothing about {key}")
    approximate = []
    for key in rows.keys() & stored.keys():
        want = stats.column_stats(np.concatenate(rows[key]))
        wrong = [name for name in stats.STAT_KEYS if name in stored[key] and not _close(stored[key][name], want[name])]
        if not dataset.own and any(name in stats.QUANTILE_KEYS for name in wrong):
            approximate.append(key)
            wrong = [name for name in wrong if name not in stats.QUANTILE_KEYS]
        problems += [f"{layout.STATS}: {name} of {key} is not that of the rows" for name in wrong]
    if approximate:
        names = ", ".join(sorted(approximate))
        notes.append(f"{layout.STATS}: quantiles are not those of the rows (means over episodes?): {names}")


def _close(found: Any, want: np.ndarray) -> bool:
    found = np.asarray(found, dtype=float).reshape(-1)
    return found.shape == want.shape and bool(np.allclose(found, want, rtol=1e-4, atol=1e-5))
