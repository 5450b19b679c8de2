"""The verbs that turn videos into a data set: probe, extract, retarget, pack, check."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from vidpretrain import config as configuration
from vidpretrain.errors import InputError, UsageError
from vidpretrain.pipeline.ledger import Ledger
from vidpretrain.pipeline.pack import Packed
from vidpretrain.pipeline.pack import pack as pack_episodes
from vidpretrain.pipeline.stages import Extraction, extract_all, sources_of
from vidpretrain.workflow.config import RunConfig, with_videos
from vidpretrain.workflow.files import write_text
from vidpretrain.workflow.progress import Bars


def probe(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """What every video holds: codec, size, rate, rotation, length, clips; or why it cannot be used."""
    from vidpretrain.pipeline.clips import SourceOutcome, SourceTask, probe_source
    from vidpretrain.pipeline.workers import map_items
    from vidpretrain.types import Reject

    config = with_videos(config, inputs)
    data = config.data()
    sources = sources_of(data)
    tasks = [SourceTask(source=source, config=data, store=config.store) for source in sources]
    rows: dict[str, dict[str, Any]] = {}
    with Bars() as bars:
        for done, (task, outcome) in enumerate(map_items(probe_source, tasks, config.workers)):
            if isinstance(outcome, Reject):
                outcome = SourceOutcome(source=task.source, info=None, clips=(), reject=outcome)
            rows[task.source.source_id] = _facts(outcome)
            bars("probe", done + 1, len(tasks))
    videos = [rows[source.source_id] for source in sources]
    good = sum(row["reason"] is None for row in videos)
    return {
        "ok": good > 0,
        "videos": videos,
        "in": len(videos),
        "usable": good,
        "message": f"{good} of {len(videos)} files are usable videos",
    }


def _facts(outcome: Any) -> dict[str, Any]:
    info, reject = outcome.info, outcome.reject
    row: dict[str, Any] = {"file": outcome.source.uri, "license": outcome.source.license}
    if info is not None:
        row |= {
            "codec": info.codec,
            "size": f"{info.width_px}x{info.height_px}",
            "rate_hz": round(info.average_rate_hz, 2),
            "frames": info.frame_count,
            "seconds": round(info.duration_ns / 1e9, 2),
            "rotation_deg": info.rotation_deg,
            "mirrored": info.mirrored,
            "camera": info.metadata.get("facing", ""),
            "variable_rate": info.variable_rate,
            "truncated": info.truncated,
            "decoder": info.backend,
        }
    row["clips"] = len(outcome.clips)
    row["reason"] = None if reject is None else str(reject.reason)
    row["detail"] = None if reject is None else reject.detail
    return row


def extraction(config: RunConfig, until: str = "robot") -> Extraction:
    """All videos of the configuration through the stages, from the store where they are there."""
    data = config.data()
    config.out.mkdir(parents=True, exist_ok=True)
    write_text(config.out / "config.yaml", configuration.dump(config))
    with Bars() as bars:
        return extract_all(sources_of(data), data, config.store, until, bars)  # type: ignore[arg-type]


def _summary(config: RunConfig, done: Extraction, ledger: Ledger) -> dict[str, Any]:
    made = sum(new for new, _ in done.stages.values())
    reused = sum(old for _, old in done.stages.values())
    return {
        "run": str(config.out),
        "in": len(ledger.entries),
        "accepted": len(ledger.accepted),
        "rejected": len(ledger.rejected),
        "reasons": ledger.reasons(),
        "clips": len(done.clips),
        "frames": done.frames,
        "seconds": round(done.seconds, 2),
        "frames_per_s": round(done.frames / max(done.seconds, 1e-9), 2),
        "verdicts": done.verdicts,
        "stages": {name: {"made": new, "reused": old} for name, (new, old) in done.stages.items()},
        "recomputed": made,
        "reused": reused,
        "sources": [
            {
                "source": Path(e.uri).name,
                "episodes": len(e.episodes),
                "reason": None if e.reject is None else str(e.reject.reason),
                "detail": None if e.reject is None else e.reject.detail,
            }
            for e in ledger.entries
        ],
    }


def _said(summary: dict[str, Any], what: str) -> str:
    if summary["recomputed"] == 0:
        work = "nothing to compute: every result was there already"
    else:
        work = f"{summary['recomputed']} results made, {summary['reused']} found, {summary['frames_per_s']} frames/s"
    counts = f"in {summary['in']} = accepted {summary['accepted']} + rejected {summary['rejected']}"
    return f"{what}: {counts}; {work}"


def extract(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Hands and body of every video as metric human motion, kept in the run's store."""
    config = with_videos(config, inputs)
    done = extraction(config, "motion")
    ledger = done.ledger(episodes={s.segment_id: s.segment_id for c in done.clips for s in c.segments})
    summary = _summary(config, done, ledger)
    return {"ok": summary["accepted"] > 0, **summary, "message": _said(summary, "extract")}


def retarget(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Joint motion of the robot for every human motion of a run, in its store; extracts what is not there yet."""
    config = of_run(config, inputs)
    done = extraction(config, "robot")
    summary = _summary(config, done, done.ledger())
    return {"ok": summary["accepted"] > 0, **summary, "message": _said(summary, f"retarget to {config.robot}")}


def packed(config: RunConfig, done: Extraction) -> tuple[Packed, Ledger]:
    """The data set of a run and its final account, which lies beside it as ledger.json."""
    with Bars() as bars:
        result = pack_episodes(
            done.sources,
            done.clips,
            config.robot,
            config.actions,
            config.dataset,
            config.out / "dataset",
            lambda n, total: bars("pack", n, total),
            config.segments,
            config.store,
        )
    ledger = done.ledger({s: str(number) for s, number in result.episodes.items()}, result.rejects)
    write_text(config.out / "ledger.json", json.dumps(ledger.plain(), indent=1))
    return result, ledger


def pack(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """The LeRobot data set of a run: one episode per robot motion."""
    config = of_run(config, inputs)
    done = extraction(config, "robot")
    result, ledger = packed(config, done)
    summary = _summary(config, done, ledger)
    state = "found unchanged" if result.reused else "written"
    idle = f" ({result.idle_rows} idle rows left out)" if result.idle_rows else ""
    count = f"{len(result.episodes)} episodes, {result.rows} rows{idle}"
    message = f"{_said(summary, 'pack')}\n{count}, {state}: {result.root}"
    return {
        "ok": bool(result.episodes),
        **summary,
        "dataset": str(result.root),
        "episodes": len(result.episodes),
        "rows": result.rows,
        "idle_rows": result.idle_rows,
        "dataset_reused": result.reused,
        "message": message,
    }


def check(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Whether a data set is whole and consistent: layout, counts, times, frames, values, provenance."""
    from vidpretrain.dataset import check_dataset

    roots = inputs or (str(config.out / "dataset"),)
    reports = {root: check_dataset(Path(root)) for root in roots}
    problems = [f"{root}: {problem}" for root, report in reports.items() for problem in report["problems"]]
    message = "\n".join(problems) if problems else f"no problem found in {', '.join(roots)}"
    return {"ok": not problems, "datasets": reports, "problems": problems, "message": message}


def of_run(config: RunConfig, inputs: tuple[str, ...]) -> RunConfig:
    """The configuration of a run: as given, or the one kept in the run folder that `inputs` names."""
    if not inputs:
        return config
    first, *more = inputs
    if more:
        raise UsageError("one run folder at a time", asked=" ".join(inputs))
    folder = Path(first)
    if not (folder / "config.yaml").is_file():
        raise InputError(
            "not a run folder",
            asked=folder,
            found="no config.yaml in it" if folder.is_dir() else "no such folder",
            next_command="vidpretrain run configs/real.yaml video.paths=FOLDER",
        )
    return dataclasses.replace(configuration.load(RunConfig, folder / "config.yaml"), out=folder)
