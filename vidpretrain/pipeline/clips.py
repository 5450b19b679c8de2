"""From a source file to robot motions: probe and split, then pose, motion, retargeting and feasibility clip by clip.

Every stage looks into the store first. `probe_source` and `process_clip` run in worker processes; what they return is
small and names the stored results by path.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vidpretrain import camera, feasibility, motion, pose, retarget, segments, video
from vidpretrain.pipeline.config import DataConfig
from vidpretrain.pipeline.store import Store
from vidpretrain.robot import load_robot
from vidpretrain.types import Camera, Clip, PoseTrack, Reject, Source

Until = Literal["pose", "motion", "robot"]
_VIDEO_ROOMS = ("video",)
_POSE_ROOMS = ("video", "pose")
_CAMERA_ROOMS = ("camera",)
_MOTION_ROOMS = ("camera", "motion")
_SEGMENT_ROOMS = ("segments",)
_ROBOT_ROOMS = ("tree", "kinematics", "robot", "collision", "solve", "retarget")
_FEASIBILITY_ROOMS = ("feasibility",)  # the others are in the key of the robot's motion


@dataclass(frozen=True, kw_only=True)
class SourceTask:
    """One file for `probe_source`."""

    source: Source
    config: DataConfig
    store: Path


@dataclass(frozen=True, kw_only=True)
class SourceOutcome:
    """What a file holds: its facts and its clips, or why it cannot be used."""

    source: Source
    info: video.VideoInfo | None
    clips: tuple[Clip, ...]
    reject: Reject | None
    stages: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ClipTask:
    """One clip for `process_clip`."""

    source: Source
    info: video.VideoInfo
    clip: Clip
    config: DataConfig
    store: Path
    until: Until = "robot"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of a clip with usable motion, and the robot's motion and its feasibility, or why there is none.

    `faults` is what was wrong with the person's motion, in words.
    """

    segment_id: str
    index: int
    motion_path: Path
    robot_path: Path | None
    reject: Reject | None
    feasibility_path: Path | None = None
    verdict: feasibility.Verdict | None = None
    activity_path: Path | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClipOutcome:
    """Results of one clip, by path into the store; `found` are shares of frames, `seconds` what each stage took.

    `stages` counts (made, reused) results of each stage.
    """

    source_id: str
    clip: Clip
    frames: int
    tracks_path: Path | None
    segments: tuple[Segment, ...]
    reject: Reject | None
    found: dict[str, float]
    seconds: dict[str, float]
    stages: dict[str, tuple[int, int]]


def probe_source(task: SourceTask) -> SourceOutcome:
    """What a file holds, and its clips; reads the file once more only if that is not known yet."""
    source, store = task.source, Store(task.store)
    orientation = video.given_orientation(source.uri, task.config.video)
    known = (source.sha256, source.source_id, task.config.video_key(), orientation)
    key = store.key("probe", *known, rooms=_VIDEO_ROOMS)
    value = store.get("probe", key)
    if value is None:
        info = video.probe(source.uri, task.config.video)
        clips = info if isinstance(info, Reject) else video.split(info, task.config.video)
        value = {"info": info, "clips": clips}
        store.put("probe", key, value)
    stages = _counts(store)
    info, clips = value["info"], value["clips"]
    if isinstance(info, Reject):
        return SourceOutcome(source=source, info=None, clips=(), reject=info, stages=stages)
    info = dataclasses.replace(info, path=source.uri)  # the same file may have moved since
    if isinstance(clips, Reject):
        return SourceOutcome(source=source, info=info, clips=(), reject=clips, stages=stages)
    clips = tuple(dataclasses.replace(c, path=source.uri, source_id=source.source_id) for c in clips)
    return SourceOutcome(source=source, info=info, clips=clips, reject=None, stages=stages)


@dataclass
class _Work:
    """Stage results of one clip as they come, with what each took."""

    store: Store
    seconds: dict[str, float] = field(default_factory=dict)

    def stage(self, name: str, key: str, make: Callable[[], Any]) -> Any:
        value = self.store.get(name, key)
        if value is None:
            start = time.perf_counter()
            value = make()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            self.store.put(name, key, value)
        return value


def process_clip(task: ClipTask) -> ClipOutcome:
    """Pose tracks, human motions and robot motions of a clip, each from the store where it is there already."""
    work = _Work(Store(task.store))
    clip, config = task.clip, task.config
    shown = (task.info.rotation_deg, task.info.mirrored)
    window = (task.info.sha256, clip.start_ns, clip.exclusive_end_ns, clip.clip_id, shown)
    first, last = video.frame_range(task.info, clip)
    pose_key = work.store.key("pose", window, config.video_key(), config.pose, config.rejects, rooms=_POSE_ROOMS)
    tracks = work.stage("pose", pose_key, lambda: pose.extract(clip, task.info, config.pose, config.rejects))
    result = {"source_id": task.source.source_id, "clip": clip, "frames": last - first}
    if isinstance(tracks, Reject):
        return _outcome(work, result, reject=tracks)
    result |= {"tracks_path": work.store.path("pose", pose_key), "found": _found(tracks)}
    if task.until == "pose":
        return _outcome(work, result)
    metadata = camera.camera_facts(task.source.uri, task.info, config.motion.camera)
    seen = None
    if config.motion.camera.method != "static":
        lens = _first_lens(clip, config, metadata)
        camera_key = work.store.key("camera", pose_key, config.motion.camera, lens, rooms=_CAMERA_ROOMS)
        how = config.motion.camera
        seen = work.stage("camera", camera_key, lambda: camera.observe(clip, task.info, tracks, how, lens))
    motion_key = work.store.key("motion", pose_key, config.motion, config.rejects, metadata, rooms=_MOTION_ROOMS)
    motions = work.stage(
        "motion",
        motion_key,
        lambda: motion.build_motion(tracks, clip, config.motion, metadata, seen, config.rejects),
    )
    if isinstance(motions, Reject):
        return _outcome(work, result, reject=motions)
    said = segments.narration_of(task.source.uri, config.segments.narration)
    pieces = tuple(_segment(work, task, motion_key, i, m, said) for i, m in enumerate(motions))
    return _outcome(work, result, segments=pieces)


def _first_lens(clip: Clip, config: DataConfig, metadata: dict[str, Any]) -> Camera | None:
    """What structure from motion starts from; nothing else that is seen of the background depends on the lens."""
    if config.motion.camera.method != "sfm":
        return None
    return motion.camera_for(clip, config.motion, metadata, "ego" if config.motion.view == "ego" else "third")


def _segment(
    work: _Work, task: ClipTask, motion_key: str, index: int, human: Any, said: tuple[segments.Said, ...]
) -> Segment:
    path = work.store.path("motion", motion_key)
    own_key = work.store.key("segments", motion_key, index, task.config.segments, said, rooms=_SEGMENT_ROOMS)
    work.stage("segments", own_key, lambda: segments.segment(human, task.config.segments, said))
    same: dict[str, Any] = {"segment_id": human.clip_id, "index": index, "motion_path": path}
    same["activity_path"] = work.store.path("segments", own_key)
    if task.until == "motion":
        return Segment(**same, robot_path=None, reject=None)
    robot = load_robot(task.config.robot)
    key = work.store.key("robot", motion_key, index, robot.digest, task.config.retarget, rooms=_ROBOT_ROOMS)
    moved = work.stage("robot", key, lambda: retarget.retarget(human, robot, task.config.retarget))
    same["faults"] = tuple(str(fault) for fault in moved.faults)
    if isinstance(moved, Reject):
        return Segment(**same, robot_path=None, reject=moved)
    judged_key = work.store.key("feasibility", key, task.config.feasibility, rooms=_FEASIBILITY_ROOMS)
    judged = work.stage("feasibility", judged_key, lambda: feasibility.assess(moved, robot, task.config.feasibility))
    return Segment(
        **same,
        robot_path=work.store.path("robot", key),
        reject=None,
        feasibility_path=work.store.path("feasibility", judged_key),
        verdict=judged.verdict,
    )


def _outcome(work: _Work, result: dict[str, Any], segments: tuple[Segment, ...] = (), reject: Reject | None = None):
    return ClipOutcome(
        **{"tracks_path": None, "found": {}} | result,
        segments=segments,
        reject=reject,
        seconds=work.seconds,
        stages=_counts(work.store),
    )


def _counts(store: Store) -> dict[str, tuple[int, int]]:
    names = {*store.recomputed, *store.reused}
    return {name: (store.recomputed[name], store.reused[name]) for name in sorted(names)}


def _found(tracks: tuple[PoseTrack, ...]) -> dict[str, float]:
    found = {track.skeleton: np.asarray(track.found) for track in tracks}
    left, right, body = found["hand21_left"], found["hand21_right"], found["body33"]
    shares = {"left": left, "right": right, "any_hand": left | right, "both_hands": left & right, "body": body}
    return {name: float(mask.mean()) for name, mask in shares.items()}
