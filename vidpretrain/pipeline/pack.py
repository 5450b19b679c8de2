"""Robot motions of a run to one LeRobot data set of pseudo-actions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import timebase, video
from vidpretrain.actions import ActionConfig, spec_for, trajectory
from vidpretrain.config import digest, plain
from vidpretrain.dataset import (
    DatasetConfig,
    DatasetWriter,
    EpisodeFeasibility,
    episode_feasibility,
    is_at_least,
    too_bad,
)
from vidpretrain.dataset.files import write_json
from vidpretrain.pipeline import serialize
from vidpretrain.pipeline.clips import ClipOutcome, Segment, SourceOutcome
from vidpretrain.pipeline.provenance import code_version
from vidpretrain.robot import load_robot
from vidpretrain.types import Episode, HumanMotion, Reason, Reject, RobotMotion, Source, Trajectory

_READ_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What is in the data set: `episodes` maps segments to episode numbers, `rejects` says why others are not in it."""

    root: Path
    episodes: dict[str, int]
    rejects: dict[str, Reject]
    rows: int
    reused: bool


@dataclass(frozen=True, kw_only=True)
class _Item:
    segment: Segment
    outcome: ClipOutcome
    source: Source
    info: video.VideoInfo


def pack(
    sources: Sequence[SourceOutcome],
    clips: Sequence[ClipOutcome],
    robot_name: str,
    actions: ActionConfig,
    config: DatasetConfig,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Packed:
    """Write every robot motion as an episode of the data set at `out`; nothing is written when it is there already.

    Motions whose verdict is worse than `config.min_verdict` are rejected (NOT_FEASIBLE).

    Raises:
        DiskFull: no space left; no data set appears.
    """
    items = _items(sources, clips)
    key = digest(
        [
            (s.segment_id, s.robot_path and s.robot_path.name, s.feasibility_path and s.feasibility_path.name)
            for s in (item.segment for item in items)
        ],
        [plain(item.source) for item in items],
        *(actions, config, code_version()),
    )
    note = out.with_name(f"{out.name}.json")
    if (packed := _known(note, key, out)) is not None:
        return packed
    robot = load_robot(robot_name)
    spec = spec_for(robot, actions, embodiment=f"human_{robot.name}")
    episodes: dict[str, int] = {}
    rejects: dict[str, Reject] = {}
    rows = 0
    if any(item.segment.robot_path for item in items):
        writer = DatasetWriter(
            *(out, spec, actions.rate_hz),
            robot_type=robot.name,
            config=config,
            overwrite=True,
            measures=_measures(items) if config.feasibility_columns else (),
        )
        with writer:
            for done, item in enumerate(items):
                made = _refused(item, config) or _episode(item, robot, spec)
                if isinstance(made, Reject):
                    rejects[item.segment.segment_id] = made
                    writer.add_reject(item.segment.segment_id, made)
                else:
                    episode, found = made
                    record = writer.add_episode(episode, _pictures(item.info, episode), feasibility=found)
                    episodes[item.segment.segment_id] = record["episode_index"]
                    rows += record["length"]
                if progress:
                    progress(done + 1, len(items))
            if not episodes:
                writer.abort()
    packed = Packed(root=out, episodes=episodes, rejects=rejects, rows=rows, reused=False)
    _remember(note, key, packed)
    return packed


def _items(sources: Sequence[SourceOutcome], clips: Sequence[ClipOutcome]) -> list[_Item]:
    known = {outcome.source.source_id: outcome for outcome in sources}
    items = []
    for outcome in sorted(clips, key=lambda c: c.clip.clip_id):
        owner = known[outcome.source_id]
        assert owner.info is not None
        items += [
            _Item(segment=segment, outcome=outcome, source=owner.source, info=owner.info)
            for segment in outcome.segments
            if segment.robot_path is not None
        ]
    return items


def _measures(items: list[_Item]) -> tuple[str, ...]:
    """The names of all measures: the same for every motion."""
    first = next(item.segment.feasibility_path for item in items if item.segment.feasibility_path is not None)
    return tuple(serialize.load(first).frame_columns())


def _refused(item: _Item, config: DatasetConfig) -> Reject | None:
    if item.segment.feasibility_path is None or item.segment.verdict is None:
        return None
    if is_at_least(item.segment.verdict, config.min_verdict):
        return None
    return too_bad(serialize.load(item.segment.feasibility_path), config)


def _episode(item: _Item, robot: Any, spec: Any) -> tuple[Episode, EpisodeFeasibility | None] | Reject:
    assert item.segment.robot_path is not None
    moved: RobotMotion = serialize.load(item.segment.robot_path)
    human: HumanMotion = serialize.load(item.segment.motion_path)[item.segment.index]
    rows = trajectory(moved, robot, spec)
    usable = np.flatnonzero(rows.valid.any(axis=1))
    if len(usable) == 0 or usable[-1] + 1 - usable[0] <= spec.horizon:
        detail = f"{len(usable)} rows with a usable column; an episode needs more than a chunk of {spec.horizon}"
        return Reject(reason=Reason.TOO_SHORT, detail=detail)
    keep = slice(int(usable[0]), int(usable[-1]) + 1)
    index = timebase.nearest_index(item.info.time_ns, moved.time_ns[keep])
    found = None
    if item.segment.feasibility_path is not None:
        found = episode_feasibility(serialize.load(item.segment.feasibility_path), keep)
    episode = Episode(
        trajectory=_cut(rows, keep),
        clip=item.outcome.clip,
        source=item.source,
        camera=dataclasses.replace(human.camera, T_world_camera=None),
        instruction=item.source.instruction,
        frame_time_ns=item.info.time_ns[index],
        source_frame=index,
        code_version=code_version(),
    )
    return episode, found


def _cut(rows: Trajectory, keep: slice) -> Trajectory:
    names = ("state", "action", "valid", "confidence", "imputed")
    return dataclasses.replace(rows, **{name: getattr(rows, name)[keep] for name in names})


def _pictures(info: video.VideoInfo, episode: Episode) -> Iterator[np.ndarray]:
    index = np.asarray(episode.source_frame)
    with video.open_video(info) as reader:
        for start in range(0, len(index), _READ_AT_ONCE):
            yield from reader.read(index[start : start + _READ_AT_ONCE])


def _known(note: Path, key: str, out: Path) -> Packed | None:
    if not note.is_file():
        return None
    try:
        data = json.loads(note.read_text())
        if data["digest"] != key or (data["episodes"] and not (out / "meta" / "info.json").is_file()):
            return None
        return Packed(
            root=out,
            episodes=data["episodes"],
            rejects={k: Reject(reason=Reason(r), detail=d) for k, (r, d) in data["rejects"].items()},
            rows=data["rows"],
            reused=True,
        )
    except (json.JSONDecodeError, KeyError, TypeError):
        return None  # written by another version: pack again


def _remember(note: Path, key: str, packed: Packed) -> None:
    data = {
        "digest": key,
        "episodes": packed.episodes,
        "rejects": {k: [str(r.reason), r.detail] for k, r in packed.rejects.items()},
        "rows": packed.rows,
    }
    write_json(note, data)
