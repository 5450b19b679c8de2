"""The report of a run: what its files say, put into `ReportData`, and its pictures made in worker processes."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import config as configuration
from vidpretrain.feasibility import Feasibility
from vidpretrain.pipeline import serialize
from vidpretrain.pipeline.clips import ClipOutcome, Segment, SourceOutcome
from vidpretrain.pipeline.ledger import Ledger
from vidpretrain.pipeline.pack import Packed
from vidpretrain.pipeline.stages import Extraction
from vidpretrain.pipeline.workers import map_items
from vidpretrain.report import (
    Chart,
    ClipRow,
    Figure,
    LabelError,
    Licence,
    Picture,
    ReportData,
    comparison_from_evaluation,
    curves_from_metrics,
    horizon_chart,
    write_report,
)
from vidpretrain.types import HumanMotion, Reject, RobotMotion
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.inventory import tool_licences, versions
from vidpretrain.workflow.media import Media, MediaTask, make_media
from vidpretrain.workflow.progress import Bars


def report_of(
    config: RunConfig,
    done: Extraction,
    packed: Packed,
    ledger: Ledger,
    *,
    command: str,
    learned: dict[str, Any] | None = None,
    label_errors: Iterable[LabelError] = (),
    notes: tuple[str, ...] = (),
) -> Path:
    """Path of the run's report.html, made from the outcomes of its steps.

    `learned` holds the summaries of the training steps by name (pretrain, finetune, scratch), the evaluation under
    evaluation, as far as the run went.
    """
    learned = learned or {}
    data = ReportData(
        title=config.report.title or f"vidpretrain: {config.out.name}",
        created=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        lede=_lede(config, packed, ledger),
        summary=_figures(config, done, packed, ledger, learned),
        clips=_clip_rows(config, done, packed, ledger),
        label_errors=tuple(label_errors),
        label_note="Against the exact truth of the rendered people." if label_errors else "",
        charts=_charts(learned),
        comparisons=_comparisons(learned),
        versions=versions(),
        licences=(*_source_licences(ledger), *tool_licences()),
        config_yaml=configuration.dump(config),
        reproduce=(command,),
        notes=notes,
    )
    path = config.out / "report.html"
    write_report(data, path)
    return path


def _lede(config: RunConfig, packed: Packed, ledger: Ledger) -> str:
    seconds, rate = packed.rows / config.actions.rate_hz, f"{config.actions.rate_hz:g} Hz"
    return (
        f"{len(ledger.entries)} videos in, {len(ledger.accepted)} accepted, {len(ledger.rejected)} rejected: "
        f"{len(packed.episodes)} episodes, {seconds:.0f} s of motion of {config.robot} at {rate}."
    )


def _figures(config: RunConfig, done: Extraction, packed: Packed, ledger: Ledger, learned: dict[str, Any]):
    reasons = ", ".join(f"{name} {count}" for name, count in ledger.reasons().items())
    figures = [
        Figure(label="videos accepted", value=f"{len(ledger.accepted)} of {len(ledger.entries)}", note=reasons),
        Figure(label="episodes", value=str(len(packed.episodes)), note=f"{packed.rows} rows"),
    ]
    if sum(made for made, _ in done.stages.values()):
        rate = done.frames / max(done.seconds, 1e-9)
        figures.append(
            Figure(
                label="extraction", value=f"{rate:.1f} frames/s", note=f"{done.frames} frames in {done.seconds:.0f} s"
            )
        )
    limits = _limit_violations(done)
    figures.append(
        Figure(
            label="limit and speed violations", value=f"{limits[0]} + {limits[1]}", note=f"of {limits[2]} robot frames"
        )
    )
    if done.verdicts:
        total = sum(done.verdicts.values())
        worse = ", ".join(f"{count} {name}" for name, count in done.verdicts.items() if name != "feasible")
        feasible = f"{done.verdicts.get('feasible', 0)} of {total}"
        figures.append(Figure(label="feasible robot motions", value=feasible, note=worse))
    if evaluation := learned.get("evaluation"):
        methods = evaluation["methods"]
        best = min(methods[name]["error"] for name in evaluation["baselines"])
        value = f"{methods['policy']['error']:.3f}"
        figures.append(Figure(label="chunk error, normalised", value=value, note=f"best baseline {best:.3f}"))
    return tuple(figures)


def _limit_violations(done: Extraction) -> tuple[int, int, int]:
    """(frames beyond a joint limit, frames beyond a speed limit, frames), counted afresh from the stored motions."""
    from vidpretrain.robot import load_robot

    beyond = fast = frames = 0
    for segment in (s for c in done.clips for s in c.segments if s.robot_path is not None):
        assert segment.robot_path is not None
        motion: RobotMotion = serialize.load(segment.robot_path)
        robot = load_robot(motion.robot_name)
        lower, upper = robot.tree.bounds()
        q = motion.joint_pos
        beyond += int(((q < lower - 1e-9) | (q > upper + 1e-9) | ~np.isfinite(q)).any(axis=1).sum())
        speed = np.abs(np.diff(q, axis=0)) * motion.rate_hz
        fast += int((speed > robot.max_speed + 1e-6).any(axis=1).sum())
        frames += len(q)
    return beyond, fast, frames


def _clip_rows(config: RunConfig, done: Extraction, packed: Packed, ledger: Ledger) -> tuple[ClipRow, ...]:
    by_source = {outcome.source.source_id: outcome for outcome in done.sources}
    kept = {name.partition("/")[0] for name in packed.episodes}
    shown = [(clip, segment) for clip in done.clips for segment in clip.segments if segment.segment_id in kept]
    film = {segment.segment_id for _, segment in _spread(shown, config.report.clips)}
    tasks = [_media_task(config, by_source[c.source_id], c, s, s.segment_id in film) for c, s in shown]
    refused = [entry for entry in ledger.rejected if by_source[entry.source_id].info is not None]
    tasks += [_media_task(config, by_source[e.source_id], _clip_of(done, e.source_id), None, False) for e in refused]
    media = _make_all(config, tasks)
    rows = [_accepted(by_source[c.source_id], c, s, media.get(s.segment_id)) for c, s in shown]
    for entry in ledger.rejected:
        rows.append(_rejected(entry, by_source[entry.source_id], media.get(entry.source_id)))
    return tuple(rows)


def _spread(items: list, count: int) -> list:
    """At most `count` items, first those of different sources, evenly over the list."""
    if len(items) <= count:
        return items
    seen: set[str] = set()
    first = [item for item in items if not (item[0].source_id in seen or seen.add(item[0].source_id))]
    pool = first if len(first) >= count else first + [item for item in items if item not in first]
    return [pool[i] for i in np.linspace(0, len(pool) - 1, count).round().astype(int)] if count else []


def _clip_of(done: Extraction, source_id: str) -> ClipOutcome | None:
    return next((clip for clip in done.clips if clip.source_id == source_id), None)


def _media_task(
    config: RunConfig, source: SourceOutcome, clip: ClipOutcome | None, segment: Segment | None, film: bool
) -> MediaTask:
    assert source.info is not None
    start, end = 0, source.info.duration_ns
    if clip is not None:
        start, end = clip.clip.start_ns, clip.clip.exclusive_end_ns
    if segment is not None:
        human: HumanMotion = serialize.load(segment.motion_path)[segment.index]
        start, end = int(human.time_ns[0]), int(human.time_ns[-1]) + 1
    return MediaTask(
        name=source.source.source_id if segment is None else segment.segment_id,
        info=source.info,
        start_ns=start,
        exclusive_end_ns=end,
        tracks_path=None if clip is None else clip.tracks_path,
        robot=config.robot,
        robot_path=segment.robot_path if segment is not None and film else None,
        out=config.out / "media",
        config=config.report,
    )


def _make_all(config: RunConfig, tasks: list[MediaTask]) -> dict[str, Media]:
    out: dict[str, Media] = {}
    with Bars() as bars:
        for done, (task, result) in enumerate(map_items(make_media, tasks, config.workers)):
            if isinstance(result, Reject):  # a page without one of its pictures is still a page; it says so
                result = Media(stills=(), movie=None)
            out[task.name] = result
            bars("report", done + 1, len(tasks))
    return out


def _accepted(source: SourceOutcome, clip: ClipOutcome, segment: Segment, media: Media | None) -> ClipRow:
    human: HumanMotion = serialize.load(segment.motion_path)[segment.index]
    moved: RobotMotion = serialize.load(segment.robot_path)  # type: ignore[arg-type]
    error = moved.error_m[np.isfinite(moved.error_m)]
    return ClipRow(
        clip_id=segment.segment_id,
        source=Path(source.source.uri).name,
        accepted=True,
        frames=len(human.time_ns),
        seconds=float(human.time_ns[-1] - human.time_ns[0]) / 1e9,
        view=f"{human.view}, placed by {moved.placement}" if moved.placement else human.view,
        license=source.source.license,
        quality={
            "hand seen, share": clip.found.get("any_hand", 0.0),
            "both hands, share": clip.found.get("both_hands", 0.0),
            "body seen, share": clip.found.get("body", 0.0),
            "usable rows, share": float(moved.valid.any(axis=1).mean()),
            "imputed rows, share": float(moved.imputed.any(axis=1).mean()),
            "sigma, cm": float(np.nanmedian(np.where(human.valid, human.sigma_m, np.nan)) * 100),
            "robot error, cm": float(np.median(error) * 100) if len(error) else float("nan"),
        },
        stills=_pictures(media, Path(source.source.uri).name),
        movie=None if media is None else media.movie,
        movie_caption="the person with landmarks, the robot playing the same motion" if media and media.movie else "",
        verdict=str(segment.verdict or ""),
        flaws=_flaws(segment),
        faults=segment.faults,
    )


def _rejected(entry: Any, source: SourceOutcome, media: Media | None) -> ClipRow:
    info = source.info
    return ClipRow(
        clip_id=entry.source_id,
        source=Path(entry.uri).name,
        accepted=False,
        reason=str(entry.reject.reason),
        detail=entry.reject.detail,
        frames=0 if info is None else info.frame_count,
        seconds=0.0 if info is None else info.duration_ns / 1e9,
        license=entry.license,
        stills=_pictures(media, Path(entry.uri).name),
        faults=tuple(str(fault) for fault in entry.reject.faults),
    )


def _flaws(segment: Segment) -> tuple[str, ...]:
    """The findings that bear on the verdict, in words."""
    if segment.feasibility_path is None:
        return ()
    found: Feasibility = serialize.load(segment.feasibility_path)
    return tuple(str(finding) for finding in found.findings if finding.counts)


def _pictures(media: Media | None, name: str) -> tuple[Picture, ...]:
    if media is None:
        return ()
    return tuple(
        Picture(data=data, alt=f"{name} at {seconds:.1f} s with the landmarks found", caption=f"{seconds:.1f} s")
        for seconds, data in media.stills
    )


def _charts(learned: dict[str, Any]) -> tuple[Chart, ...]:
    charts = []
    titles = {"pretrain": "Pretraining on people", "finetune": "Fine-tuning on the robot", "scratch": "From scratch"}
    for name, title in titles.items():
        if name in learned:
            metrics = Path(learned[name]["checkpoint"]).parent / "metrics.jsonl"
            curves = curves_from_metrics(metrics, ("loss", "val_error"))
            if curves:
                charts.append(Chart(title=title, curves=curves, log_y=True))
    if evaluation := learned.get("evaluation"):
        charts.append(horizon_chart(evaluation))
    return tuple(charts)


def _comparisons(learned: dict[str, Any]):
    evaluation = learned.get("evaluation")
    return (comparison_from_evaluation(evaluation),) if evaluation else ()


def _source_licences(ledger: Ledger) -> tuple[Licence, ...]:
    by_license: dict[str, list[str]] = {}
    for entry in ledger.entries:
        by_license.setdefault(entry.license, []).append(Path(entry.uri).name)
    return tuple(
        Licence(
            what=f"{len(names)} source video{'s' * (len(names) > 1)}",
            license=name,
            origin=", ".join(names[:6]) + (" ..." if names[6:] else ""),
        )
        for name, names in sorted(by_license.items())
    )


def write_learned(config: RunConfig, learned: dict[str, Any]) -> None:
    """Keep the summaries of the training steps, for a report that is made later."""
    from vidpretrain.workflow.files import write_text

    write_text(config.out / "learned.json", json.dumps(learned, indent=1))


def read_learned(config: RunConfig) -> dict[str, Any]:
    """What `write_learned` kept; empty before."""
    path = config.out / "learned.json"
    return json.loads(path.read_text()) if path.is_file() else {}
