"""The verb `retarget`: human motion, of videos or files, onto one robot or several; as motions, films, data sets."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from vidpretrain import config as configuration
from vidpretrain.errors import InputError, UsageError, unknown_name
from vidpretrain.motion_files import OutFormat, write_motion
from vidpretrain.types import Reject
from vidpretrain.video.sources import EXTENSIONS
from vidpretrain.workflow import data
from vidpretrain.workflow.config import RunConfig, with_videos
from vidpretrain.workflow.files import write_text
from vidpretrain.workflow.followed import Followed, are_motion_files, follow_files, follow_videos, source_times
from vidpretrain.workflow.progress import Bars

_NAMED = 3  # motions of one reason that a line of text names
_SUFFIXES: dict[str, str] = {"npz": ".npz", "gmr": ".pkl", "csv": ".csv"}


def retarget(
    config: RunConfig,
    inputs: tuple[str, ...],
    *,
    robot: str | None = None,
    out: str | None = None,
    view: bool = False,
    format: str | None = None,
) -> dict[str, Any]:
    """Joint motion for every human motion of a run, of videos, or of motion files.

    `robot` names one or several (a,b,c), `out` the folder for results (the run's without), `format` npz, gmr, csv or
    lerobot (npz, gmr and csv without). `view` adds a film and a recording per clip, or pictures to a data set. A run
    folder alone is retargeted into its own store, as the first step of `pack`.

    Raises:
        UnknownName: no such robot or format.
        UsageError: motion files and videos together.
        InputError: an input is missing, or a folder is neither a run nor one of videos.
    """
    if format is not None and format not in get_args(OutFormat):
        raise unknown_name("format", format, get_args(OutFormat))
    robots = _robots(config, robot)
    asked = robot is not None or out is not None or view or format is not None
    if are_motion_files(inputs):
        followed = follow_files(config, inputs, robots)
        note = None
    elif asked or _are_videos(inputs):
        config = _with_inputs(config, inputs, robots[0])
        followed, extraction = follow_videos(config, robots)
        made = sum(new for new, _ in extraction.stages.values())
        note = "nothing to compute for the last robot: every result was there already" if made == 0 else None
    else:
        return data.retarget(dataclasses.replace(config, robot=robots[0]), inputs)
    return _written(config, followed, robots, None if out is None else Path(out), view, format, note)


def _robots(config: RunConfig, asked: str | None) -> tuple[str, ...]:
    """The robots asked for, each loaded once, so that a wrong name ends the command before any work."""
    from vidpretrain.robot import load_robot

    names = (config.robot,) if asked is None else tuple(word.strip() for word in asked.split(",") if word.strip())
    if not names:
        raise UsageError("no robot is named", asked=f"--robot {asked}", next_command="vidpretrain robots")
    names = tuple(dict.fromkeys(names))
    called = Counter(load_robot(name).name for name in names)
    twice = [name for name, count in called.items() if count > 1]
    if twice:
        raise UsageError("two robots of one name: their results would lie in one place", asked=", ".join(twice))
    return names


def _are_videos(inputs: tuple[str, ...]) -> bool:
    """Whether the inputs are videos or folders of videos, rather than a run's folder."""
    if not inputs or (Path(inputs[0]) / "config.yaml").is_file():
        return False
    motions = [word for word in inputs if are_motion_files((word,))]
    if motions:
        raise UsageError(
            "motion files and others together", asked=" ".join(inputs), found=", ".join(motions),
            valid="motion files alone, or videos alone, or one run folder",
        )  # fmt: skip
    return all(_is_video(Path(word)) for word in inputs)


def _is_video(path: Path) -> bool:
    if path.is_dir():
        return any(p.suffix.lower() in EXTENSIONS for p in path.rglob("*"))
    return path.is_file() or path.suffix.lower() in EXTENSIONS


def _with_inputs(config: RunConfig, inputs: tuple[str, ...], robot: str) -> RunConfig:
    """The configuration of a run folder, or the given one with these videos, kept in its own folder."""
    if not _are_videos(inputs):
        return data.of_run(config, inputs)
    config = with_videos(config, inputs)
    config.out.mkdir(parents=True, exist_ok=True)
    write_text(config.out / "config.yaml", configuration.dump(dataclasses.replace(config, robot=robot)))
    return config


def _written(
    config: RunConfig,
    followed: Sequence[Followed],
    robots: tuple[str, ...],
    out: Path | None,
    view: bool,
    format: str | None,
    note: str | None,
) -> dict[str, Any]:
    """Write what was asked for; the account of it."""
    rows = [row for clip in followed for row in _rows(clip)]
    good = sum(row["reason"] is None for row in rows)
    lines = [f"retarget to {', '.join(robots)}: in {len(rows)} = accepted {good} + rejected {len(rows) - good}"]
    lines += _refusals(rows)
    result: dict[str, Any] = {"motions": rows, "in": len(rows), "accepted": good, "rejected": len(rows) - good}
    if format == "lerobot":
        result["datasets"] = _datasets(config, followed, robots, out, view)
        lines += [f"{row['episodes']} episodes, {row['rows']} rows: {row['dataset']}" for row in result["datasets"]]
    elif good:
        folder = out or config.out / "motions"
        _motions(followed, folder, tuple(_SUFFIXES) if format is None else (format,))
        lines.append(f"motions: {folder}")
    if view and format != "lerobot":
        views, said = _views(config, followed, out or config.out / "view")
        result["views"], lines = views, lines + said
    lines += [] if note is None else [note]
    reasons = dict(Counter(row["reason"] for row in rows if row["reason"]))
    return {"ok": good > 0, **result, "reasons": reasons, "message": "\n".join(lines)}


def _rows(clip: Followed) -> list[dict[str, Any]]:
    from vidpretrain.workflow.view import errors_text

    out = []
    for follows in clip.robots:
        start = {"file": Path(clip.source.uri).name, "robot": _called(follows.robot)}
        for name, motion in follows.motions.items():
            row = {"motion": name, "frames": len(motion.time_ns), "feasible": round(float(motion.feasible.mean()), 4)}
            out.append({**start, **row, "errors": errors_text([motion]), "reason": None, "detail": None})
        for name, reject in follows.refused.items():
            row = {"motion": name, "frames": 0, "feasible": None, "errors": None}
            out.append({**start, **row, "reason": str(reject.reason), "detail": reject.detail})
    return out


def _refusals(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line per reason and detail, with the motions that it is about, the first `_NAMED` by name."""
    about: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["reason"] is not None:
            about.setdefault((row["reason"], row["detail"] or ""), []).append(f"{row['motion']} ({row['robot']})")
    lines = []
    for (reason, detail), names in about.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        indented = detail.replace("\n", "\n    ")
        lines.append(f"rejected {', '.join(names[:_NAMED])}{more}: {reason}: {indented}")
    return lines


def _called(robot: str) -> str:
    from vidpretrain.robot import load_robot

    return load_robot(robot).name


def _motions(followed: Sequence[Followed], folder: Path, formats: Sequence[str]) -> None:
    """FOLDER/ROBOT/NAME.npz, .pkl (GMR's) and .csv."""
    from vidpretrain.robot import load_robot

    for clip in followed:
        for follows in clip.robots:
            robot = load_robot(follows.robot)
            for name, motion in follows.motions.items():
                for kind in formats:
                    path = folder / robot.name / f"{name}{_SUFFIXES[kind]}"
                    write_motion(path, motion, robot, kind)  # type: ignore[arg-type]


def _datasets(config: RunConfig, followed: Sequence[Followed], robots, out: Path | None, view: bool) -> list[dict]:
    """One LeRobot data set per robot: OUT itself for one robot, OUT/ROBOT for several."""
    from vidpretrain.pipeline.workers import map_items
    from vidpretrain.workflow.motion_set import MotionSetTask, Recorded, make_motion_set

    root = out or config.out / "lerobot"
    tasks = []
    for k, asked in enumerate(robots):
        items = tuple(
            Recorded(name=name, motion=motion, source=clip.source, source_time_ns=source_times(clip, name))
            for clip in followed
            for name, motion in clip.robots[k].motions.items()
        )
        where = root if len(robots) == 1 and out is not None else root / _called(asked)
        if items:
            tasks.append(
                MotionSetTask(
                    out=where,
                    robot=asked,
                    items=items,
                    actions=config.actions,
                    dataset=config.dataset,
                    feasibility=config.feasibility,
                    pictures=view,
                )
            )
    rows = []
    for task, made in map_items(make_motion_set, tasks, config.workers):
        if isinstance(made, Reject):
            raise InputError(f"no data set of {_called(task.robot)}: {made.detail}", asked=task.out)
        rows.append(
            {
                "robot": _called(task.robot),
                "dataset": str(made.root),
                "episodes": len(made.episodes),
                "rows": made.rows,
                "left_out": {name: reject.detail for name, reject in made.rejects.items()},
            }
        )
    return sorted(rows, key=lambda row: row["robot"])


def _views(config: RunConfig, followed: Sequence[Followed], folder: Path) -> tuple[list[dict], list[str]]:
    """(a row per clip with its film and recording, lines that say where they are or why there is none)."""
    from vidpretrain.pipeline.workers import map_items
    from vidpretrain.workflow.recording import RERUN_COMMAND, have_rerun
    from vidpretrain.workflow.view import Follower, ViewTask, make_view

    recording = have_rerun()
    tasks = [
        ViewTask(
            name=clip.name,
            out=folder,
            people=tuple(clip.people.values()),
            robots=tuple(
                Follower(
                    robot=follows.robot,
                    motions=tuple(follows.motions.values()),
                    refused=tuple(f"{reject.reason}: {reject.detail}" for reject in follows.refused.values()),
                )
                for follows in clip.robots
            ),
            info=clip.info,
            window_ns=clip.window_ns,
            tracks_path=clip.tracks_path,
            feasibility=config.feasibility,
            recording=recording,
        )
        for clip in followed
        if clip.people
    ]
    rows, lines = [], []
    with Bars() as bars:
        for done, (task, made) in enumerate(map_items(make_view, tasks, config.workers)):
            bars("view", done + 1, len(tasks))
            if isinstance(made, Reject):
                rows.append({"clip": task.name, "film": None, "recording": None, "reason": made.detail})
                lines.append(f"no film of {task.name}: {made.detail}")
                continue
            rows.append(
                {
                    "clip": task.name,
                    "film": str(made.film),
                    "recording": None if made.recording is None else str(made.recording),
                    "verdicts": made.verdicts,
                    "reason": None,
                }
            )
    rows.sort(key=lambda row: row["clip"])
    films = sum(row["film"] is not None for row in rows)
    lines.insert(0, f"views: {films} of {len(rows)} in {folder}")
    if not recording:
        lines.append(f"no recordings for rerun: the package rerun-sdk is not installed (next: {RERUN_COMMAND})")
    elif films:
        lines.append(f"look at one: rerun {next(row['recording'] for row in rows if row['recording'])}")
    return rows, lines
