"""Rendered clips of a split and what the landmark networks said of them, both kept beside each other and made once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain.pose import PoseConfig, extract
from vidpretrain.pose.precomputed import write_precomputed
from vidpretrain.sim import SimConfig, load_truth, render_people
from vidpretrain.synth import SynthConfig, synthesize
from vidpretrain.types import Clip, PoseTrack, Reject
from vidpretrain.video import probe

SEEDS = {"dev": 4100, "held": 7300}  # people, looks, cameras and motions all follow from the seed
_ROUND = 8  # clips of one seed; the next eight have other people
HARD_THIRD = ("held", "blur", "noise", "sleeves", "gloves", "side", "back", "small")
HARD_HEAD = ("held", "blur", "noise", "sleeves", "gloves")
HARD = (
    *(f"third_{name}" for name in HARD_THIRD),
    *(f"head_{name}" for name in HARD_HEAD),
    *("head_moving", "head_still", "chest", "third_occluded", "two_people", "empty", "no_hands"),
)  # one clip each, of people, rooms, cameras and motions that are in no other split
_HARD_S = 2.5
_PAIRS, _PAIRS_SEED = 4, 500  # more pairs of a moving and a still head camera; a seed that much on


@dataclass(frozen=True)
class Sample:
    """A clip of the benchmark: its truth, what is known of its camera, and the tracks of the networks.

    `group` is "clean", or that of a hard clip.
    """

    name: str
    clip: Clip
    metadata: dict[str, Any]
    truth: Any
    tracks: tuple[PoseTrack, ...]
    group: str = "clean"


def samples(split: str, count: int, out: Path, *, workers: int, duration_s: float) -> list[Sample]:
    """The first `count` clips of a split, rendered and looked at where that was not done before."""
    rows = clean_clips(split, count, out, workers=workers, duration_s=duration_s)
    return [sample for index, row in rows if (sample := _sample(index, row)) is not None]


def clean_clips(
    split: str, count: int, out: Path, *, workers: int, duration_s: float
) -> list[tuple[int, dict[str, Any]]]:
    """Numbers and rows (`video`, `truth`, ...) of the first `count` clips, rendered where that was not done before."""
    rows = []
    for start in range(0, count, _ROUND):
        config = SimConfig(
            seed=SEEDS[split] + start // _ROUND,
            clips=min(_ROUND, count - start),
            bodies=_ROUND,
            views=("front", "head"),
            duration_s=duration_s,
            workers=workers,
        )
        rows += [(start + row["index"], row) for row in render_people(config, out / split / f"round_{start:03d}")]
    return rows


def hard_clips(split: str, out: Path, *, workers: int) -> list[dict[str, Any]]:
    """Rows of the hard clips of a split (`group`, `video`, `truth`, `name`, ...), rendered where that was not done."""
    config = SynthConfig(
        seed=SEEDS[split],
        split=split,  # type: ignore[arg-type]
        groups=HARD,  # type: ignore[arg-type]
        clips=len(HARD),
        duration_s=_HARD_S,
        workers=workers,
    )
    found = synthesize(config, out / split / "hard")
    if found.failed:
        raise RuntimeError(f"hard clips that were not rendered: {found.failed}")
    return list(found.rows)


def pair_samples(split: str, out: Path, *, workers: int) -> list[Sample]:
    """More pairs of a moving and a still head camera on one person, of other people than the hard clips'."""
    config = SynthConfig(
        seed=SEEDS[split] + _PAIRS_SEED,
        split=split,  # type: ignore[arg-type]
        groups=("head_moving", "head_still"),
        clips=2 * _PAIRS,
        duration_s=_HARD_S,
        workers=workers,
    )
    found = synthesize(config, out / split / "pairs")
    if found.failed:
        raise RuntimeError(f"clips that were not rendered: {found.failed}")
    return [s for row in found.rows if (s := _sample(row["index"], row, row["group"])) is not None]


def hard_samples(split: str, out: Path, *, workers: int) -> list[Sample]:
    """The hard clips in which the networks found somebody."""
    rows = hard_clips(split, out, workers=workers)
    return [s for row in rows if (s := _sample(row["index"], row, row["group"])) is not None]


def _sample(index: int, row: dict[str, Any], group: str = "clean") -> Sample | None:
    video = Path(row["video"])
    info = probe(video)
    if isinstance(info, Reject):
        raise RuntimeError(f"{video}: {info.detail}")
    truth = load_truth(row["truth"])
    clip = Clip(
        clip_id=video.stem if group != "clean" else f"{index:03d}_{row['motion']}_{row['view']}",
        source_id=video.stem,
        path=str(video),
        start_ns=0,
        exclusive_end_ns=int(info.time_ns[-1] + info.frame_ns),
        width_px=truth.width_px,
        height_px=truth.height_px,
    )
    tracks = kept_tracks(
        video.with_suffix(".tracks.npz"), clip.clip_id, row["digest"], lambda: extract(clip, info, PoseConfig())
    )
    metadata = json.loads(video.with_suffix(".json").read_text())
    return None if tracks is None else Sample(clip.clip_id, clip, metadata, truth, tracks, group)


def kept_tracks(path: Path, clip_id: str, digest: str, look: Callable[[], Any]) -> tuple[PoseTrack, ...] | None:
    """The tracks in a file whose note says `digest`, else those that `look` finds; None without a person."""
    note = path.with_suffix(".json")
    said = json.loads(note.read_text()) if note.is_file() else None
    if said == f"{digest} nobody":
        return None
    if said != digest or not path.is_file():
        tracks = look()
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(tracks, Reject):
            note.write_text(json.dumps(f"{digest} nobody"))
            return None
        beside = path.with_name(f"{path.stem}.{os.getpid()}.tmp.npz")
        write_precomputed(beside, tracks)
        beside.replace(path)
        note.write_text(json.dumps(digest))
    with np.load(path) as data:
        arrays = dict(data)
    return tuple(
        PoseTrack(
            clip_id=clip_id,
            person_id="p0",
            skeleton=name,
            time_ns=arrays["time_ns"],
            p_image_keypoint=arrays[f"{name}_image"],
            p_relative_keypoint=arrays[f"{name}_relative"],
            confidence=arrays[f"{name}_confidence"],
        )
        for name in ("hand21_left", "hand21_right", "body33")
    )
