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
    EpisodeHands,
    episode_feasibility,
    episode_hands,
    is_at_least,
    too_bad,
)
from vidpretrain.dataset.files import write_json
from vidpretrain.pipeline import serialize
from vidpretrain.pipeline.clips import ClipOutcome, Segment, SourceOutcome
from vidpretrain.pipeline.provenance import code_version
from vidpretrain.pipeline.store import Store
from vidpretrain.pipeline.telling import Telling
from vidpretrain.robot import load_robot
from vidpretrain.segments import Part, SegmentConfig, parts
from vidpretrain.types import Episode, HumanMotion, Reason, Reject, RobotMotion, Source, Stretch, Trajectory

_READ_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What is in the data set: `episodes` maps segments to episode numbers (keys `segment/1`, ... where one became
    several), `rejects` says why others are not in it, `idle_rows` counts rows left out because nothing is done in them.
    """

    root: Path
    episodes: dict[str, int]
    rejects: dict[str, Reject]
    rows: int
    reused: bool
    idle_rows: int = 0


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
    dividing: SegmentConfig | None = None,
    store: Path | None = None,
) -> Packed:
    """Write every robot motion as an episode of the data set at `out`; nothing is written when it is there already.

    Motions whose verdict is worse than `config.min_verdict` are rejected (NOT_FEASIBLE). They are divided, and idle
    parts left out, as `dividing` says; what its captioner says is kept in `store`.

    Raises:
        DiskFull: no space left; no data set appears.
    """
    items, dividing = _items(sources, clips), dividing or SegmentConfig()
    key = digest(
        [
            (s.segment_id, *(p and p.name for p in (s.robot_path, s.feasibility_path, s.activity_path)))
            for s in (item.segment for item in items)
        ],
        [plain(item.source) for item in items],
        *(actions, config, dividing, code_version()),
    )
    note = out.with_name(f"{out.name}.json")
    if (packed := _known(note, key, out)) is not None:
        return packed
    robot = load_robot(robot_name)
    spec = spec_for(robot, actions, embodiment=f"human_{robot.name}")
    episodes: dict[str, int] = {}
    rejects: dict[str, Reject] = {}
    rows, idle_rows = 0, 0
    if any(item.segment.robot_path for item in items):
        told = Telling(dividing, None if store is None else Store(store))
        writer = DatasetWriter(
            *(out, spec, actions.rate_hz),
            robot_type=robot.name,
            config=config,
            overwrite=True,
            measures=_measures(items) if config.feasibility_columns else (),
            hands=True,
        )
        with writer:
            for done, item in enumerate(items):
                name = item.segment.segment_id
                refused = _refused(item, config)
                made = _divided(item, robot, spec, dividing, told) if refused is None else _Divided(refused)
                idle_rows += made.idle_rows
                if isinstance(made.episodes, Reject):
                    rejects[name] = made.episodes
                    writer.add_reject(name, made.episodes)
                else:
                    for number, one in enumerate(made.episodes):
                        record = writer.add_episode(
                            one.episode, _pictures(item.info, one.episode), feasibility=one.found, hands=one.hands
                        )
                        key_of = name if len(made.episodes) == 1 else f"{name}/{number}"
                        episodes[key_of] = record["episode_index"]
                        rows += record["length"]
                if progress:
                    progress(done + 1, len(items))
            if not episodes:
                writer.abort()
    packed = Packed(root=out, episodes=episodes, rejects=rejects, rows=rows, reused=False, idle_rows=idle_rows)
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


@dataclass(frozen=True)
class _Made:
    episode: Episode
    found: EpisodeFeasibility | None
    hands: EpisodeHands


@dataclass(frozen=True)
class _Divided:
    episodes: tuple[_Made, ...] | Reject
    idle_rows: int = 0


def _divided(item: _Item, robot: Any, spec: Any, dividing: SegmentConfig, told: Telling) -> _Divided:
    """The episodes of a motion, each between its first and last usable row and longer than a chunk."""
    assert item.segment.robot_path is not None
    moved: RobotMotion = serialize.load(item.segment.robot_path)
    human: HumanMotion = serialize.load(item.segment.motion_path)[item.segment.index]
    activity = told.activity(item.segment, human, item.info)
    rows = trajectory(moved, robot, spec, activity)
    usable = rows.valid.any(axis=1)
    made, longest = [], 0
    for part in parts(activity, dividing):
        inside = (moved.time_ns >= part.start_ns) & (moved.time_ns < part.exclusive_end_ns)
        index = np.flatnonzero(usable & inside)
        longest = max(longest, len(index))
        if len(index) and index[-1] + 1 - index[0] > spec.horizon:
            keep = slice(int(index[0]), int(index[-1]) + 1)
            made.append(_episode(item, human, moved, rows, activity, part, keep, dividing))
    idle = [s for s in activity.stretches if s.idle and dividing.drop_idle]
    dropped = sum(int((usable & _within(moved.time_ns, s)).sum()) for s in idle)
    if made:
        return _Divided(tuple(made), dropped)
    detail = f"{longest} rows with a usable column; an episode needs more than a chunk of {spec.horizon}"
    detail += f"; {dropped} idle rows left out" if dropped else ""
    return _Divided(Reject(reason=Reason.TOO_SHORT, detail=detail), dropped)


def _within(time_ns: np.ndarray, stretch: Stretch) -> np.ndarray:
    return (time_ns >= stretch.start_ns) & (time_ns < stretch.exclusive_end_ns)


def _episode(item: _Item, human, moved, rows, activity, part: Part, keep: slice, dividing: SegmentConfig) -> _Made:
    row_ns = moved.time_ns[keep]
    index = timebase.nearest_index(item.info.time_ns, row_ns)
    found = None
    if item.segment.feasibility_path is not None:
        found = episode_feasibility(serialize.load(item.segment.feasibility_path), keep)
    words = {s.instruction for s in part.stretches if s.instruction}
    whole = item.source.instruction
    alone = words.pop() if len(words) == 1 else ""
    episode = Episode(
        trajectory=_cut(rows, keep),
        clip=item.outcome.clip,
        source=item.source,
        camera=dataclasses.replace(human.camera, T_world_camera=None),
        instruction=(alone or whole) if dividing.split == "episodes" else (whole or alone),
        frame_time_ns=item.info.time_ns[index],
        source_frame=index,
        code_version=code_version(),
    )
    return _Made(episode, found, episode_hands(activity, part.stretches, np.asarray(row_ns)))


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
            idle_rows=data["idle_rows"],
        )
    except (json.JSONDecodeError, KeyError, TypeError):
        return None  # written by another version: pack again


def _remember(note: Path, key: str, packed: Packed) -> None:
    data = {
        "digest": key,
        "episodes": packed.episodes,
        "rejects": {k: [str(r.reason), r.detail] for k, r in packed.rejects.items()},
        "rows": packed.rows,
        "idle_rows": packed.idle_rows,
    }
    write_json(note, data)
