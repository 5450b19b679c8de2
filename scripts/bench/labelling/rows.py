"""The benchmark's rows: every method on the same clips, one row per quantity and view, with the bar if there is one."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from labelling.baselines import hand_pnp, wrist_and_depth
from labelling.clips import Sample
from labelling.errors import NAMES, Errors, Labels, compare, of_motions
from labelling.fitted import build
from labelling.interval_rows import interval_rows

Clip = dict[str, Errors]
VIEWS = {"front": "third person", "head": "egocentric"}
WORDS = {
    "wrist": ("wrist, absolute", "cm"),
    "displacement": ("wrist, displacement over .5 s", "cm"),
    "orientation": ("wrist orientation", "deg"),
    "hand": ("21 hand points after Procrustes", "mm"),
    "acceleration": ("wrist acceleration", "m/s2"),
}
BARS = {
    ("front", "wrist"): 6.0,
    ("head", "wrist"): 2.0,
    ("front", "displacement"): 3.0,
    ("head", "displacement"): 2.0,
    ("front", "orientation"): 6.5,
    ("head", "orientation"): 9.0,
    ("front", "hand"): 9.0,
    ("head", "hand"): 9.0,
    ("front", "acceleration"): 0.6,
    ("head", "acceleration"): 0.6,
}
UNKNOWN = ("fit, height and lens assumed",)
UNKNOWN_BARS = {("front", "wrist"): 14.0, ("head", "wrist"): 4.0}


def row(name: str, value: float, unit: str, bar: float | None = None, at_least: bool = False) -> dict[str, Any]:
    """A row; `bar` is the most that may be (with `at_least` the least)."""
    met = None if bar is None else bool(value >= bar if at_least else value <= bar)
    sign = ">=" if at_least else "<="
    return {"name": name, "value": value, "unit": unit, "bar": None if bar is None else f"{sign} {bar:g}", "met": met}


def bench(samples: list[Sample]) -> list[dict[str, Any]]:
    """All rows; a first pass over two clips compiles what is compiled, and is not timed."""
    for sample in samples[:2]:
        ours(sample, "fit")
    rows: list[dict[str, Any]] = []
    methods: dict[str, Callable[[Sample], Labels]] = {
        "fit": lambda s: ours(s, "fit"),
        "parts": lambda s: ours(s, "parts"),
        "hand PnP": hand_pnp,
        "wrist pixel, pose's depth": wrist_and_depth,
        "fit, height and lens assumed": lambda s: ours(s, "fit", known=False),
    }
    for view, word in VIEWS.items():
        chosen = [s for s in samples if s.truth.view == view]
        if not chosen:
            continue
        for method, run in methods.items():
            rows += _method_rows(chosen, view, word, method, run)
        rows += _assumption_rows(rows, word)
    return rows


def ours(sample: Sample, method: str, known: bool = True) -> Labels:
    """Labels of the motion room; with `known` it is told the height and finds the lens beside the video."""
    return of_motions(build(sample, method, known), np.asarray(sample.tracks[0].time_ns))


def _method_rows(samples, view: str, word: str, method: str, run) -> list[dict[str, Any]]:
    rows, results, every, seconds, frames = [], [], [], 0.0, 0
    for sample in samples:
        time_ns = np.asarray(sample.tracks[0].time_ns)
        start = time.process_time()
        labels = run(sample)
        seconds += time.process_time() - start
        frames += len(time_ns)
        every.append(labels)
        results.append(compare(labels, sample.truth, time_ns))
    bars = {"fit": BARS, "fit, height and lens assumed": UNKNOWN_BARS}.get(method, {})
    for name in NAMES:
        values = pooled(results, name)
        if len(values):
            what, unit = WORDS[name]
            rows.append(row(f"{word}: {what}, {method}", float(np.median(values)), unit, bars.get((view, name))))
            rows.append(row(f"{word}: {what}, {method}, 90th percentile", float(np.percentile(values, 90)), unit))
    found, wanted = (sum(getattr(e, n) for c in results for e in c.values()) for n in ("found", "wanted"))
    rows.append(row(f"{word}: hands found, {method}", found / max(wanted, 1), "share"))
    if method in ("fit", "parts"):
        rows += _interval_rows(results, word, method)
        rate = frames / 30.0 / max(seconds, 1e-9)
        rows.append(row(f"{word}: speed after the networks, {method}", rate, "x real time", 10.0, at_least=True))
    if method == "fit":
        rows += interval_rows(list(zip(samples, every, strict=True)), word, row)
    elif method in UNKNOWN:
        rows += _interval_rows(results, word, method)
    return rows


def _assumption_rows(rows: list[dict[str, Any]], word: str) -> list[dict[str, Any]]:
    """How much farther off displacements are where height and lens are assumed."""
    value = {r["name"]: r["value"] for r in rows}
    names = [f"{word}: {WORDS['displacement'][0]}, {method}" for method in ("fit", *UNKNOWN)]
    if any(name not in value for name in names):
        return []
    ratio = value[names[1]] / max(value[names[0]], 1e-9)
    return [row(f"{word}: displacement, height and lens assumed over known", ratio, "", 1.1)]


def pooled(results: list[Clip], name: str) -> np.ndarray:
    """All samples of a quantity."""
    parts = [errors.samples[name] for clip in results for errors in clip.values() if name in errors.samples]
    return np.concatenate(parts) if parts else np.zeros(0)


def _interval_rows(results: list[Clip], word: str, method: str) -> list[dict[str, Any]]:
    """Coverage of the wrist's 90 % ball (2.5 sigma of one axis, three axes alike) and the rank of sigma and error."""
    inside, ranks, worst = [], [], 1.0
    for clip in results:
        pairs = [(e.samples["wrist"], e.sigma_cm) for e in clip.values() if e.sigma_cm is not None and len(e.sigma_cm)]
        if not pairs:
            continue
        error, sigma = (np.concatenate(x) for x in zip(*pairs, strict=True))
        own = error <= 2.5 * sigma
        inside.append(own)
        worst = min(worst, float(own.mean()))
        ranks.append((error, sigma))
    if not inside:
        return []
    error, sigma = (np.concatenate(x) for x in zip(*ranks, strict=True))
    bars = [(0.87, True), (0.75, True), (0.4, True)] if method == "fit" else [(None, True)] * 3
    values = (float(np.concatenate(inside).mean()), worst, _rank_correlation(error, sigma))
    words = ("within its 90 % interval", "within its 90 % interval, worst clip", "rank correlation of sigma and error")
    rows = [
        row(f"{word}: wrist {what}, {method}", value, "share" if "rank" not in what else "", bar, at_least)
        for what, value, (bar, at_least) in zip(words, values, bars, strict=True)
    ]
    if rows[0]["bar"] is not None:
        rows[0]["bar"], rows[0]["met"] = ".87 to .93", bool(0.87 <= values[0] <= 0.93)
    return rows


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, ties by their order."""
    ranks = [np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(float) for x in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = []
    for r in rows:
        met = {True: "yes", False: "NO", None: ""}[r["met"]]
        lines.append(f"{r['name']:<84} {r['value']:>9.3g} {r['unit']:<12} {r['bar'] or '':<12} {met}")
    return "\n".join(lines)


def document(rows: list[dict[str, Any]], samples: list[Sample], split: str) -> str:
    """The table as Markdown, with how it was made."""
    root = Path(__file__).parents[3]
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h %cs"], cwd=root, capture_output=True, text=True, check=False
    )
    frames = sum(len(s.tracks[0].time_ns) for s in samples)
    met = [r["met"] for r in rows if r["met"] is not None]
    lines = [
        "# Labels against truth",
        "",
        "`make bench-labels` makes this table again (`python scripts/bench/labels.py --docs docs/results/labels.md`).",
        "",
        f"Commit {commit.stdout.strip()}; Python {platform.python_version()}, one thread. {len(samples)} rendered "
        f"clips of the {split} split, {frames} frames; medians over frames and both hands. Height and intrinsics known "
        "unless a row says otherwise, no offsets learned on rendered people. "
        f"{sum(met)} of {len(met)} bars met. What detection found, missed and took for a hand: "
        "[detection](detection.md), made by `scripts/bench/detection.py`.",
        "",
        "| what | value | unit | bar | met |",
        "|---|---|---|---|---|",
    ]
    for r in rows:
        word = {True: "yes", False: "no", None: ""}[r["met"]]
        lines.append(f"| {r['name']} | {r['value']:.3g} | {r['unit']} | {r['bar'] or ''} | {word} |")
    return "\n".join(lines) + "\n"
