"""Pictures and clips of the report, made in worker processes: landmarks on the video, the robot beside the person."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import timebase
from vidpretrain.pipeline import serialize
from vidpretrain.types import PoseTrack, RobotMotion
from vidpretrain.video import VideoInfo
from vidpretrain.workflow.config import ReportConfig

MOVIE_RATE_HZ = 15.0


@dataclass(frozen=True, kw_only=True)
class MediaTask:
    """One clip to show: its video, tracks and, if there is one, the robot's motion."""

    name: str
    info: VideoInfo
    start_ns: int
    exclusive_end_ns: int
    tracks_path: Path | None
    robot: str
    robot_path: Path | None
    out: Path
    config: ReportConfig


@dataclass(frozen=True, kw_only=True)
class Media:
    """What was made: JPEG bytes of stills with their times in seconds, and the path of the paired clip."""

    stills: tuple[tuple[float, bytes], ...]
    movie: Path | None


def make_media(task: MediaTask) -> Media:
    """Stills with landmarks and, where the robot moves, both side by side as H.264."""
    from vidpretrain.report import draw_tracks, jpeg
    from vidpretrain.video import open_video

    tracks = () if task.tracks_path is None else serialize.load(task.tracks_path)
    inside = np.flatnonzero((task.info.time_ns >= task.start_ns) & (task.info.time_ns < task.exclusive_end_ns))
    if len(inside) == 0:
        inside = np.arange(task.info.frame_count)
    wanted = inside[np.linspace(0, len(inside) - 1, task.config.stills + 2).astype(int)[1:-1]]
    stills = []
    with open_video(task.info) as reader:
        for index in wanted.tolist():
            time_ns = int(task.info.time_ns[index])
            drawn = draw_tracks(reader.read([index])[0], tracks_at(tracks, time_ns), 0, width_px=480)
            stills.append((time_ns / timebase.NS_PER_S, jpeg(drawn, width_px=480)))
    return Media(stills=tuple(stills), movie=None if task.robot_path is None else _movie(task, tracks))


def _movie(task: MediaTask, tracks: tuple[PoseTrack, ...]) -> Path:
    from vidpretrain.report import draw_tracks, pair_videos
    from vidpretrain.sim import render_motion
    from vidpretrain.video import open_video

    assert task.robot_path is not None
    motion: RobotMotion = serialize.load(task.robot_path)
    step = max(1, round(motion.rate_hz / MOVIE_RATE_HZ))
    rows = np.arange(0, len(motion.time_ns), step)[: round(task.config.clip_s * motion.rate_hz / step)]
    shown = rows_of(motion, rows, motion.rate_hz / step)
    frames = timebase.nearest_index(task.info.time_ns, shown.time_ns)
    height = task.config.height_px
    width = round(task.info.width_px * height / task.info.height_px)

    def person() -> Any:
        with open_video(task.info) as reader:
            for index in frames.tolist():
                time_ns = int(task.info.time_ns[index])
                yield draw_tracks(reader.read([index])[0], tracks_at(tracks, time_ns), 0, width_px=width)

    robot = render_motion(task.robot, shown, (height, height), "front")
    path = task.out / f"{task.name}.mp4"
    return pair_videos(person(), robot, path, rate_hz=shown.rate_hz, height_px=height, max_seconds=task.config.clip_s)


def rows_of(motion: RobotMotion, rows: np.ndarray, rate_hz: float) -> RobotMotion:
    """These rows of a motion as one of its own, at another rate."""
    arrays = {
        field.name: getattr(motion, field.name)[rows]
        for field in dataclasses.fields(motion)
        if isinstance(getattr(motion, field.name), np.ndarray)
    }
    return dataclasses.replace(motion, rate_hz=rate_hz, **arrays)


def tracks_at(tracks: tuple[PoseTrack, ...], time_ns: int) -> list[PoseTrack]:
    """The tracks' rows at a time, one row each; nothing where the nearest row is another frame's by 50 ms or more."""
    out = []
    for track in tracks:
        row = int(timebase.nearest_index(track.time_ns, np.array([time_ns]))[0])
        if abs(int(track.time_ns[row]) - time_ns) < 50_000_000:
            relative = track.p_relative_keypoint
            out.append(
                dataclasses.replace(
                    track,
                    time_ns=track.time_ns[row : row + 1],
                    p_image_keypoint=track.p_image_keypoint[row : row + 1],
                    p_relative_keypoint=None if relative is None else relative[row : row + 1],
                    confidence=track.confidence[row : row + 1],
                )
            )
    return out
