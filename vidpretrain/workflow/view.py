"""A person and the robots that follow them, side by side: one film per clip, and one recording for rerun.

`make_view` runs in a worker process (OpenGL, no torch). All panels show the same time; a panel whose motion has a
hole there (a stretch that could not be used) stands still, paler.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from vidpretrain import timebase
from vidpretrain.feasibility import Feasibility, FeasibilityConfig, Finding, Verdict, assess
from vidpretrain.pipeline import serialize
from vidpretrain.report import Tone, arrange, caption, dimmed, draw_person, draw_tracks, jpeg, word_panel
from vidpretrain.robot import load_robot
from vidpretrain.types import HumanMotion, PoseTrack, RobotMotion
from vidpretrain.video import VideoInfo
from vidpretrain.workflow.media import rows_of, tracks_at
from vidpretrain.workflow.recording import Played, write_recording

Picture = UInt8[np.ndarray, "h w 3"]
_LINES = 3
_MOST_WIDTH_PX = 2400
_TONES: dict[Verdict, Tone] = {Verdict.FEASIBLE: "good", Verdict.DOUBTFUL: "doubtful", Verdict.INFEASIBLE: "bad"}
_PARTS = (("wrist", "_wrist"), ("fingertip", "_tip"), ("foot", "_foot"))


@dataclass(frozen=True, kw_only=True)
class Follower:
    """A robot by the name or file it was asked for, its motions of the clip, and why stretches have none."""

    robot: str
    motions: tuple[RobotMotion, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ViewTask:
    """One clip: the person's motions, the robots', and the video with its landmarks where there is one.

    The film is `out`/`name`.mp4 at about `rate_hz`, the recording `out`/`name`.rrd.
    """

    name: str
    out: Path
    people: tuple[HumanMotion, ...]
    robots: tuple[Follower, ...]
    info: VideoInfo | None = None
    window_ns: tuple[int, int] | None = None
    tracks_path: Path | None = None
    feasibility: FeasibilityConfig
    height_px: int = 360
    rate_hz: float = 30.0
    recording: bool = True


@dataclass(frozen=True, kw_only=True)
class Viewed:
    """What was made, and every robot's verdict over its stretches ("" where there was no motion)."""

    film: Path
    recording: Path | None
    verdicts: dict[str, str]


def make_view(task: ViewTask) -> Viewed:
    """The film and, where asked for, the recording of a clip; written aside and renamed.

    Raises:
        MissingExtra: a recording is asked for and rerun is not installed.
        MissingAsset: a robot's model files or an off-screen OpenGL are missing.
        DiskFull: no space left.
    """
    played = [_played(follower, task.feasibility) for follower in task.robots]
    time_ns = _grid(task)
    film = task.out / f"{task.name}.mp4"
    pictures = _write_film(task, film, played, time_ns)
    recording = None
    if task.recording:
        recording = write_recording(task.out / f"{task.name}.rrd", task.people, played, pictures)
    verdicts = {p.robot.name: " ".join(dict.fromkeys(str(f.verdict) for f in p.feasibility)) for p in played}
    return Viewed(film=film, recording=recording, verdicts=verdicts)


def _played(follower: Follower, config: FeasibilityConfig) -> Played:
    robot = load_robot(follower.robot)
    reports = tuple(assess(motion, robot, config) for motion in follower.motions)
    notes = [f"# {robot.name}"]
    for motion, report in zip(follower.motions, reports, strict=True):
        notes += [f"## {motion.clip_id}: {report.verdict}", *(f"* {finding}" for finding in report.findings)]
    notes += [f"* no motion: {text}" for text in follower.refused]
    return Played(robot=robot, motions=follower.motions, feasibility=reports, notes="\n\n".join(notes))


def _grid(task: ViewTask) -> Int64[np.ndarray, " t"]:
    """The times of the film's pictures: the whole clip, or from the first to the last row of any motion."""
    if task.window_ns is not None:
        start, end = task.window_ns
    else:
        half = round(0.5 * timebase.NS_PER_S / task.rate_hz)  # so that the last row is shown
        spans = [(int(m.time_ns[0]), int(m.time_ns[-1]) + half) for m in task.people]
        start, end = min(a for a, _ in spans), max(b for _, b in spans)
    count = max(1, int(np.ceil((end - start) * 1e-9 * task.rate_hz - 1e-6)))
    return start + np.round(np.arange(count) * (timebase.NS_PER_S / task.rate_hz)).astype(np.int64)


def _write_film(task: ViewTask, path: Path, played: Sequence[Played], time_ns: np.ndarray) -> list[tuple[int, bytes]]:
    """Write the film; (time_ns, JPEG) of the video's frames with landmarks, where there is a video."""
    from vidpretrain.video import H264Writer

    size = task.height_px - task.height_px % 2
    left = _person(task, time_ns, size)
    streams = [_robot(p, f, time_ns, (size, size)) for p, f in zip(played, task.robots, strict=True)]
    captions = [_robot_caption(p, f, size) for p, f in zip(played, task.robots, strict=True)]
    kept: list[tuple[int, bytes]] = []
    writer = None
    try:
        for t, person, *robots in zip(time_ns.tolist(), left, *streams, strict=True):
            if task.info is not None and task.recording:
                kept.append((t, jpeg(person, quality=75)))
            under = _person_caption(task, t - int(time_ns[0]), person.shape[1])
            panels = [np.concatenate(pair) for pair in zip((person, *robots), (under, *captions), strict=True)]
            picture = arrange(panels, _MOST_WIDTH_PX)
            if writer is None:
                height, width, every = *picture.shape[:2], max(1, round(task.rate_hz))
                writer = H264Writer(path, width, height, task.rate_hz, crf=20, keyframe_interval=every)
                writer.__enter__()
            writer.write(picture)
    except BaseException as error:
        if writer is not None:
            writer.__exit__(type(error), error, error.__traceback__)
        raise
    if writer is not None:
        writer.__exit__(None, None, None)
    return kept


# ---- panels ----
def _person(task: ViewTask, time_ns: np.ndarray, size: int) -> Iterator[Picture]:
    """The video's frames with landmarks, or a drawn skeleton."""
    if task.info is None:
        yield from _skeletons(task.people, time_ns, (size, size))
        return
    from vidpretrain.video import open_video

    tracks: tuple[PoseTrack, ...] = () if task.tracks_path is None else serialize.load(task.tracks_path)
    width = round(task.info.width_px * size / task.info.height_px / 2) * 2
    with open_video(task.info) as reader:
        for index in timebase.nearest_index(task.info.time_ns, time_ns).tolist():
            at = tracks_at(tracks, int(task.info.time_ns[index]))
            picture = draw_tracks(reader.read([index])[0], at, 0, width_px=width)
            yield (
                picture[:size] if len(picture) >= size else np.pad(picture, ((0, size - len(picture)), (0, 0), (0, 0)))
            )


def _skeletons(people: Sequence[HumanMotion], time_ns: np.ndarray, size: tuple[int, int]) -> Iterator[Picture]:
    rows = [timebase.nearest_index(motion.time_ns, time_ns) for motion in people]
    mine = _owner([np.asarray(motion.time_ns) for motion in people], time_ns)
    streams = [draw_person(motion, r[mine == k], size) for k, (motion, r) in enumerate(zip(people, rows, strict=True))]
    yield from _one_after_another(streams, mine, word_panel(size, "nothing to follow"))


def _robot(played: Played, follower: Follower, time_ns: np.ndarray, size: tuple[int, int]) -> Iterator[Picture]:
    """The robot's pictures at these times."""
    from vidpretrain.sim import render_motion

    if not played.motions:
        text = follower.refused[0] if follower.refused else "no motion"
        yield from (word_panel(size, f"No motion: {text}") for _ in time_ns)
        return
    mine = _owner([np.asarray(motion.time_ns) for motion in played.motions], time_ns)
    streams = []
    for k, motion in enumerate(played.motions):
        rows = timebase.nearest_index(motion.time_ns, time_ns[mine == k])
        streams.append(render_motion(played.robot, rows_of(motion, rows, motion.rate_hz), size, "front"))
    yield from _one_after_another(streams, mine, word_panel(size, "nothing to follow yet"))


def _owner(times: Sequence[np.ndarray], time_ns: np.ndarray) -> Int64[np.ndarray, " t"]:
    """Which of several stretches each time is in (half a step beyond its ends, too), -1 for none."""
    out = np.full(len(time_ns), -1, dtype=np.int64)
    for k, own in enumerate(times):
        half = (int(own[-1]) - int(own[0])) // max(1, 2 * (len(own) - 1))
        out[(time_ns >= int(own[0]) - half) & (time_ns <= int(own[-1]) + half) & (out < 0)] = k
    return out


def _one_after_another(streams: Sequence[Iterator[Picture]], mine: np.ndarray, nothing: Picture) -> Iterator[Picture]:
    """The next picture of the stream whose turn it is; between streams the last one, paler."""
    last, pale = nothing, nothing
    for k in mine.tolist():
        if k < 0:
            yield pale
            continue
        last = next(streams[k])
        pale = dimmed(last)
        yield last


# ---- words ----
def _person_caption(task: ViewTask, since_ns: int, width: int) -> Picture:
    shown = "landmarks" if task.info is not None else "the motion"
    return caption(width, task.name, [f"{shown}, {since_ns / timebase.NS_PER_S:.1f} s"], _LINES)


def _robot_caption(played: Played, follower: Follower, width: int) -> Picture:
    """Name; verdict; median errors; the flaw that weighs most."""
    if not played.motions:
        return caption(width, played.robot.name, ["no motion", *follower.refused], _LINES, "bad")
    worst = max(played.feasibility, key=lambda report: list(Verdict).index(report.verdict))
    lines = [str(worst.verdict) + _because(worst), errors_text(played.motions)]
    counting = [finding for finding in worst.findings if finding.flaw in worst.reasons[:1]]
    lines += [_finding_text(finding) for finding in counting]
    return caption(width, played.robot.name, lines, _LINES, _TONES[worst.verdict])


def _finding_text(finding: Finding) -> str:
    worst = f"{1000 * finding.worst:.0f} mm" if finding.unit == "m" else f"{finding.worst:.3g} {finding.unit}"
    return f"{finding.flaw} in {finding.share:.0%} of frames, at worst {worst}".replace("_", " ")


def _because(report: Feasibility) -> str:
    return f": {', '.join(map(str, report.reasons))}".replace("_", " ") if report.reasons else ""


def errors_text(motions: Sequence[RobotMotion]) -> str:
    """Median distances to the targets in words, such as "median wrist 12.0 mm, fingertip 9.1 mm"."""
    said = []
    for name, ending in _PARTS:
        parts = []
        for motion in motions:
            columns = [i for i, site in enumerate(motion.error_names) if site.endswith(ending)]
            parts.append(np.asarray(motion.error_m)[:, columns].reshape(-1))
        error = np.concatenate(parts)
        error = error[np.isfinite(error)]
        if len(error):
            said.append(f"{name} {1000 * float(np.median(error)):.1f} mm")
    return "median " + ", ".join(said) if said else "no targets"
