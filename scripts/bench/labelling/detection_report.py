"""The figures of detection that have a bar, the networks' rate on one worker and on two, and the page with both."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
WITHOUT = ("empty", "no_hands")  # groups in which every hand is a false alarm
_CLEAN = {"third person": ("third", "front"), "egocentric": ("head",)}
_RATED, _RUNS, _TIMEOUT_S = 4, 3, 600.0
_FOUND = {"third person": 0.97, "egocentric": 0.99}


def sidecar(path: Path) -> Row:
    """Group and view of a rendered clip: of the sidecar, or of the name where that says none."""
    file = path.with_suffix(".json")
    facts = json.loads(file.read_text()) if file.is_file() else {}
    camera = facts.get("camera") or next((v for v in ("front", "head", "chest") if v in path.stem), "front")
    return {"group": facts.get("group") or camera, "view": "third" if camera == "front" else "ego"}


def bar_rows(rows: list[Row]) -> list[Row]:
    """Figures of rendered clips, pooled, with their bars."""
    true, out = [row for row in rows if "wanted" in row], []
    for word, groups in _CLEAN.items():
        out += _found(f"{word}, clean: hands found", [r for r in true if r["group"] in groups], _FOUND[word])
    out += _found("small people: hands found", [r for r in true if r["group"] == "third_small"], 0.7)
    for view in ("third", "ego"):
        hard = [r for r in true if r["view"] == view and r["group"] not in (*_CLEAN["third person"], "head")]
        out += _found(f"{view}, hard groups: hands found", hard, None)
    emitted = sum(r["emitted"] for r in true)
    if emitted:
        wrong, crossed = (sum(r[name] for r in true) for name in ("wrong", "exchanged_true"))
        backwards, hit = (sum(r[name] for r in true) for name in ("backwards", "hit"))
        out.append(_row("hands that are none, of those emitted", wrong / emitted, 0.003, emitted))
        out.append(_row("left and right as they are, of those emitted", 1 - crossed / emitted, 0.995, emitted, True))
        out.append(_row("palms that face backwards, of those found", backwards / max(hit, 1), None, hit))
    empty = [r for r in rows if r["kind"] == "empty" or r.get("group") == "empty"]
    out += _share("rooms with nobody: frames with a hand or a body", empty, ("hand", "body"))
    out += _share(
        "bodies without visible hands: frames with a hand", [r for r in rows if r.get("group") == "no_hands"], ("hand",)
    )
    ego = [r for r in rows if r["kind"] == "rendered" and r["view"] == "ego"]
    out += _share("egocentric: frames with a body", ego, ("body",))
    for kind in ("real", "rendered"):
        speeds = [r["frames_per_cpu_s"] for r in rows if r["kind"] == kind]
        if speeds:
            name = f"networks on {kind} clips: frames per second of processor, median clip"
            out.append(_row(name, float(np.median(speeds)), None, len(speeds)))
    return out


def _found(name: str, rows: list[Row], bar: float | None) -> list[Row]:
    wanted = sum(row["wanted"] for row in rows)
    return [_row(name, sum(row["hit"] for row in rows) / wanted, bar, wanted, True)] if wanted else []


def _share(name: str, rows: list[Row], of: tuple[str, ...]) -> list[Row]:
    if not rows:
        return []
    frames = sum(row["frames"] for row in rows)
    return [_row(name, sum(row["frames"] * max(row[key] for key in of) for row in rows) / frames, 0.002, frames)]


def _row(name: str, value: float, bar: float | None, count: float, at_least: bool = False) -> Row:
    met = None if bar is None else bool(value >= bar if at_least else value <= bar)
    return {"name": name, "value": value, "bar": bar, "at_least": at_least, "met": met, "of": int(count)}


def rates(paths: list[Path], frames: int) -> list[Row]:
    """Frames per second of the landmark networks and the assignment by one worker and by two, each on its own core.

    Every worker looks at the same clips, so that two have twice the work and neither waits for the other's harder ones;
    nobody starts before all have their networks ready. Rates are medians of three runs, one and two in turn.
    """
    paths = sorted(paths)[:_RATED]
    if not paths:
        return []
    runs = [(_rate(paths, frames, 1), _rate(paths, frames, 2)) for _ in range(_RUNS)]
    one, two = (float(np.median([run[k] for run in runs])) for k in (0, 1))
    return [
        _row("networks, frames per second, one worker", one, None, len(paths)),
        _row("networks, frames per second, two workers", two, None, len(paths)),
        _row("two workers against one", float(np.median([b / a for a, b in runs])), 1.8, len(paths), True),
    ]


def _rate(paths: list[Path], frames: int, workers: int) -> float:
    """Frames per second of wall time, from the moment that all workers are ready until the last one is done."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    ready, told = context.Barrier(workers + 1), context.Queue()
    started = [context.Process(target=_work, args=(paths, frames, k, ready, told)) for k in range(workers)]
    for process in started:
        process.start()
    try:
        ready.wait(_TIMEOUT_S)
        start = time.perf_counter()
        done = [told.get(timeout=_TIMEOUT_S) for _ in started]
        seconds = time.perf_counter() - start
    finally:
        for process in started:
            process.join(5.0)
            if process.is_alive():
                process.terminate()
    if any(isinstance(count, str) for count in done):
        raise RuntimeError(f"a worker failed: {[count for count in done if isinstance(count, str)]}")
    return sum(done) / seconds


def _work(paths: list[Path], frames: int, number: int, ready: Any, told: Any) -> None:
    """One worker, of one core where the system lets it choose: the networks' own threads share it."""
    import os

    from detection import look

    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    try:
        look(paths[0], 8)  # imports, models
        ready.wait(_TIMEOUT_S)
        told.put(sum(len(look(path, frames)[0][0].time_ns) for path in paths))
    except Exception as error:  # noqa: BLE001 - the other process has to hear of it, whatever it is
        ready.abort()
        told.put(f"{type(error).__name__}: {error}")


def bar_table(bars: list[Row]) -> str:
    """The figures as text."""
    return "\n".join(" ".join(_cells(row)) for row in bars)


def _cells(row: Row) -> list[str]:
    bar = "" if row["bar"] is None else f"{'>=' if row['at_least'] else '<='} {row['bar']:g}"
    met = {True: "yes", False: "no", None: ""}[row["met"]]
    return [row["name"], f"{row['value']:.4g}", str(row["of"]), bar, met]


def document(rows: list[Row], bars: list[Row], split: str | None, frames: int) -> str:
    """The page: figures with bars, rendered groups, real clips; of a `split`, or of folders."""
    real = [row for row in rows if row["kind"] == "real"]
    names = ("hand", "both", "body", "body_wrist", "own_wrist", "chirality", "jumps", "exchanged")
    made = f"--split {split} --docs PAGE" if split else f"--real VIDEOS --rendered CLIPS --frames {frames} --docs PAGE"
    lines = [
        "# Detection",
        "",
        f"Made by `scripts/bench/detection.py {made}`, Python {platform.python_version()}.",
        "",
        "| what | value | of | bar | met |",
        "|---|---|---|---|---|",
        *("| " + " | ".join(_cells(row)) + " |" for row in bars),
        "",
        "By group: hands in sight that were found; of those emitted the ones that are none, that lie on the other",
        "side's hand; of those found the ones whose palm faces backwards.",
        "",
        "| group | hands | found | none | exchanged | backwards |",
        "|---|---|---|---|---|---|",
        *_groups([row for row in rows if "wanted" in row]),
        "",
        "Real clips, without truth: shares of frames with a hand, both hands, a body; the hand's distance from the",
        "body's wrist in torso lengths; of the hands those nearer to their own side's wrist, those whose points are of",
        "their side, those that moved more than their length in a frame, those that stand where the other one was.",
        "",
        "| clip | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        *(f"| {row['clip']} | " + " | ".join(_number(row[name]) for name in names) + " |" for row in real),
    ]
    return "\n".join(lines) + "\n"


def _groups(rows: list[Row]) -> list[str]:
    out = []
    for group in dict.fromkeys(row["group"] for row in rows):
        total = {n: sum(r[n] for r in rows if r["group"] == group) for n in ("wanted", "hit", "emitted", "wrong")}
        crossed, back = (sum(r[n] for r in rows if r["group"] == group) for n in ("exchanged_true", "backwards"))
        emitted, hit = max(total["emitted"], 1), max(total["hit"], 1)
        found = total["hit"] / max(total["wanted"], 1)
        cells = (f"{found:.3f}", f"{total['wrong'] / emitted:.4f}", f"{crossed / emitted:.4f}", f"{back / hit:.4f}")
        out.append(f"| {group} | {int(total['wanted'])} | " + " | ".join(cells) + " |")
    return out


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""
