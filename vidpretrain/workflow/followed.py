"""People's motions from files or videos, and the motions of the robots that follow them, gathered clip by clip."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpretrain.errors import ConfigError, InputError
from vidpretrain.motion_files import MOTION_SUFFIXES, read_motion
from vidpretrain.pipeline import serialize
from vidpretrain.pipeline.stages import Extraction, extract_all, sources_of
from vidpretrain.robot import Robot
from vidpretrain.types import HumanMotion, Reason, Reject, RobotMotion, Source
from vidpretrain.video import VideoInfo, find_sources
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.progress import Bars


@dataclass(frozen=True, kw_only=True)
class Follows:
    """One robot on one clip: its motions by name (a clip has one per usable stretch), and what was refused and why."""

    robot: str
    motions: dict[str, RobotMotion]
    refused: dict[str, Reject]


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A clip or motion file under a `name` that no other has: the person, and every robot in the order asked for."""

    name: str
    source: Source
    people: dict[str, HumanMotion]
    robots: tuple[Follows, ...]
    info: VideoInfo | None = None
    window_ns: tuple[int, int] | None = None
    tracks_path: Path | None = None


def are_motion_files(inputs: tuple[str, ...]) -> bool:
    """Whether all inputs are files of motion, by their names."""
    return bool(inputs) and all(Path(word).suffix.lower() in MOTION_SUFFIXES for word in inputs)


def follow_files(config: RunConfig, inputs: Sequence[str], robots: Sequence[str]) -> list[Followed]:
    """Every file, read and retargeted to every robot; a file that cannot be read is refused for each of them."""
    from vidpretrain.robot import load_robot

    loaded = [(name, load_robot(name)) for name in robots]
    out = []
    with Bars() as bars:
        for done, (word, name) in enumerate(zip(inputs, _names(inputs), strict=True)):
            source = _source(Path(word), name)
            try:
                person = read_motion(word, config.motion_files)
            except InputError as error:
                refused = {name: Reject(reason=Reason.UNREADABLE, detail=str(error))}
                follows = tuple(Follows(robot=robot, motions={}, refused=refused) for robot in robots)
                out.append(Followed(name=name, source=source, people={}, robots=follows))
                continue
            made = [(asked, _one(person, robot, config, alone=len(loaded) == 1)) for asked, robot in loaded]
            follows = tuple(
                Follows(
                    robot=asked,
                    motions={} if isinstance(moved, Reject) else {name: moved},
                    refused={name: moved} if isinstance(moved, Reject) else {},
                )
                for asked, moved in made
            )
            out.append(Followed(name=name, source=source, people={name: person}, robots=follows))
            bars("retarget", done + 1, len(inputs))
    return out


def _one(person: HumanMotion, robot: Robot, config: RunConfig, alone: bool) -> RobotMotion | Reject:
    """The robot's motion; a robot that cannot be retargeted to at all must not keep others from moving."""
    from vidpretrain.retarget import retarget

    try:
        return retarget(person, robot, config.retarget)
    except ConfigError as error:
        if alone:
            raise
        return Reject(reason=Reason.FAILED, detail=str(error))


def follow_videos(config: RunConfig, robots: Sequence[str]) -> tuple[list[Followed], Extraction]:
    """Every clip of the configuration's videos through the stages, which take from the store what is there already.

    The extraction is the last robot's; files without a clip, and clips without a usable motion, are refused.
    """
    runs = []
    for robot in robots:
        data = dataclasses.replace(config.data(), robot=robot)
        with Bars() as bars:
            runs.append(extract_all(sources_of(data), data, config.store, "robot", bars))
    first = runs[0]
    sources = {outcome.source.source_id: outcome for outcome in first.sources}
    out = []
    for outcome in first.sources:
        reject = outcome.reject or first.lost.get(outcome.source.source_id)
        if reject is not None:
            name = outcome.source.source_id
            follows = tuple(Follows(robot=robot, motions={}, refused={name: reject}) for robot in robots)
            out.append(Followed(name=name, source=outcome.source, people={}, robots=follows))
    for outcome in first.clips:
        owner, clip = sources[outcome.source_id], outcome.clip
        people = {s.segment_id: serialize.load(s.motion_path)[s.index] for s in outcome.segments}
        out.append(
            Followed(
                name=clip.clip_id,
                source=owner.source,
                people=people,
                robots=tuple(_of_clip(run, clip.clip_id, robot) for run, robot in zip(runs, robots, strict=True)),
                info=owner.info,
                window_ns=(clip.start_ns, clip.exclusive_end_ns),
                tracks_path=outcome.tracks_path,
            )
        )
    return sorted(out, key=lambda followed: followed.name), runs[-1]


def _of_clip(run: Extraction, clip_id: str, robot: str) -> Follows:
    lost = run.lost.get(clip_id)
    mine = [outcome for outcome in run.clips if outcome.clip.clip_id == clip_id]
    if not mine:
        reject = lost or Reject(reason=Reason.FAILED, detail="the worker process died on this clip")
        return Follows(robot=robot, motions={}, refused={clip_id: reject})
    outcome = mine[0]
    refused = {} if outcome.reject is None else {clip_id: outcome.reject}
    refused |= {s.segment_id: s.reject for s in outcome.segments if s.reject is not None}
    motions = {s.segment_id: serialize.load(s.robot_path) for s in outcome.segments if s.robot_path is not None}
    return Follows(robot=robot, motions=motions, refused=refused)


def source_times(followed: Followed, name: str) -> np.ndarray:
    """(t) int64 ns: the times of the frames that motion `name` was taken from."""
    if followed.info is not None:
        return np.asarray(followed.info.time_ns)
    return np.asarray(followed.people[name].time_ns)


def _names(inputs: Sequence[str]) -> list[str]:
    """The stems, with the folder's name before those that are there more than once, and a number as a last resort."""
    stems = Counter(Path(word).stem for word in inputs)
    out: list[str] = []
    for word in inputs:
        path = Path(word)
        name = path.stem if stems[path.stem] == 1 else f"{path.resolve().parent.name}_{path.stem}"
        number = 2
        while name in out:
            name, number = f"{name.removesuffix(f'_{number - 1}')}_{number}", number + 1
        out.append(name)
    return out


def _source(path: Path, name: str) -> Source:
    """The file with what a manifest or sidecar beside it tells; one that is not there has no hash."""
    if path.is_file():
        return find_sources([path])[0]
    return Source(source_id=name, uri=str(path), sha256=hashlib.sha256(b"").hexdigest())
