"""The whole path: run (on the user's videos), demo (on rendered people) and report (of either, again)."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from vidpretrain.errors import InputError
from vidpretrain.workflow import learn
from vidpretrain.workflow.config import RunConfig, with_videos
from vidpretrain.workflow.data import extraction, of_run, packed
from vidpretrain.workflow.files import write_text
from vidpretrain.workflow.people import label_errors_of, make_people, make_robot_episodes
from vidpretrain.workflow.reporting import read_learned, report_of, write_learned


def run(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Video to data set, policy and report. Without robot data it ends after pretraining and says so."""
    config = with_videos(config, inputs)
    command = f"vidpretrain run {config.out / 'config.yaml'}"
    return whole(config, command)


def whole(config: RunConfig, command: str, notes: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every step on the configuration's videos; labels are measured where a video has its truth beside it."""
    seconds: dict[str, float] = {}
    clock = _Clock(seconds)
    done = extraction(config)
    clock("extract")
    result, ledger = packed(config, done)
    clock("pack")
    learned = _learn(config, bool(result.episodes), clock)
    write_learned(config, learned)
    if config.robot_data.root is None:
        notes = (*notes, "No robot episodes were given (robot_data.root): the run ends after pretraining.")
    page = report_of(
        config, done, result, ledger, command=command, learned=learned, label_errors=label_errors_of(done), notes=notes
    )
    clock("report")
    summary = _summary(config, done, result, ledger, learned, seconds, page)
    write_text(config.out / "summary.json", json.dumps(summary, indent=1))
    return summary


class _Clock:
    """Seconds since the last call, under the name of the step that ended."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds, self._last = seconds, time.perf_counter()

    def __call__(self, step: str) -> None:
        now = time.perf_counter()
        self._seconds[step] = round(now - self._last, 2)
        self._last = now


def _learn(config: RunConfig, have_people: bool, clock: _Clock) -> dict[str, Any]:
    learned: dict[str, Any] = {}
    if have_people:
        learned["pretrain"] = learn.pretrained(config, learn.human_cache(config))
        clock("pretrain")
    if config.robot_data.root is None:
        return learned
    cache = learn.robot_cache(config)
    init = Path(learned["pretrain"]["checkpoint"]) if have_people else None
    policies = {}
    if init is not None:
        learned["finetune"] = learn.finetuned(config, cache, init, "finetune")
        policies["policy"] = Path(learned["finetune"]["checkpoint"])
        clock("finetune")
    learned["scratch"] = learn.finetuned(config, cache, None, "scratch")
    policies["scratch"] = Path(learned["scratch"]["checkpoint"])
    clock("scratch")
    learned["evaluation"] = learn.evaluated(config, cache, policies)
    clock("evaluate")
    return learned


def _summary(config: RunConfig, done: Any, result: Any, ledger: Any, learned: dict, seconds: dict, page: Path):
    recomputed = sum(made for made, _ in done.stages.values()) + (not result.reused)
    trained = [name for name in ("pretrain", "finetune", "scratch") if name in learned]
    recomputed += sum(not learned[name].get("reused") for name in trained)
    data_s = seconds["extract"] + seconds["pack"]
    lines = [
        f"in {len(ledger.entries)} = accepted {len(ledger.accepted)} + rejected {len(ledger.rejected)}",
        f"{len(result.episodes)} episodes, {result.rows} rows: {result.root}",
        *(f"{name}: {learned[name]['checkpoint']}" for name in trained),
        f"report: {page}",
    ]
    if recomputed == 0:
        lines.insert(0, "nothing was recomputed: every result was there already")
    return {
        "ok": bool(result.episodes),
        "run": str(config.out),
        "in": len(ledger.entries),
        "accepted": len(ledger.accepted),
        "rejected": len(ledger.rejected),
        "reasons": ledger.reasons(),
        "episodes": len(result.episodes),
        "rows": result.rows,
        "frames": done.frames,
        "frames_per_s": round(done.frames / max(data_s, 1e-9), 2),
        "recomputed": recomputed,
        "seconds": seconds,
        "dataset": str(result.root),
        "checkpoints": {name: learned[name]["checkpoint"] for name in trained},
        "report": str(page),
        "message": "\n".join(lines),
    }


def report(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """The report of a run, written again from what the run left."""
    config = of_run(config, inputs)
    if not (config.out / "dataset.json").is_file():
        raise InputError(
            "nothing to report: the run packed no data set yet",
            asked=config.out,
            next_command=f"vidpretrain run {config.out / 'config.yaml'}",
        )
    done = extraction(config)
    result, ledger = packed(config, done)
    page = report_of(
        config,
        done,
        result,
        ledger,
        command=f"vidpretrain report {config.out}",
        learned=read_learned(config),
        label_errors=label_errors_of(done),
    )
    return {"ok": True, "report": str(page), "message": f"report: {page}"}


def demo(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Rendered people as video, a scripted robot's episodes, then the same path as `run`; labels against the truth."""
    start = time.perf_counter()
    videos = make_people(config)
    robot_root = make_robot_episodes(config)
    made_s = round(time.perf_counter() - start, 2)
    config = dataclasses.replace(
        config,
        video=dataclasses.replace(config.video, paths=videos),
        robot_data=dataclasses.replace(config.robot_data, root=robot_root),
    )
    notes = ("The people are rendered (Anny) and the robot's episodes scripted: this page shows that the path works.",)
    result = whole(config, "make demo", notes)
    result["seconds"] = {"render": made_s, **result["seconds"]}
    return result
