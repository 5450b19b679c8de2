"""Retargeting against its peers: the same targets and frames, interleaved in one run, one thread each.

    python scripts/bench/retarget.py [--quick] [--out runs/bench] [--docs docs/results/retarget.md]

Peers (dex-retargeting, dexi-rs, mink) live in .venv-bench (`make bench-env-retarget`) and run in a process of their own
that waits while ours solves, and the other way round. Times are medians over the rounds, a ratio is that of two medians
of one run. Rows go to OUT/retarget.json; exit 0 whether the bars are met or not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))
_SKIPPED: list[str] = []


def main(words: list[str] | None = None) -> int:
    """Measure, print the table and write it; 0 when everything could be measured, met or not."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy
    asked = _arguments(words)
    if not (asked.data / "dexretarget_hand_joints.pkl").is_file():
        print(f"no motions in {asked.data} (--data names the folder)", file=sys.stderr)
        return 1
    python = asked.env / "bin" / "python"
    if not python.is_file():
        print("the peers are not installed; next: make bench-env-retarget", file=sys.stderr)
        return 1
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as work:
        rows = bench(asked, python, Path(work))
    asked.out.mkdir(parents=True, exist_ok=True)
    from vidpretrain.workflow.files import write_text

    write_text(asked.out / "retarget.json", json.dumps(rows, indent=2))
    text = table(rows)
    print(text)
    print(f"\n{time.perf_counter() - start:.0f} s; not measured: {'; '.join(_SKIPPED) or 'nothing'}")
    if asked.docs is not None:
        asked.docs.parent.mkdir(parents=True, exist_ok=True)
        write_text(asked.docs, document(rows, asked, python))
    return 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("VIDPRETRAIN_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=shared / "data" / "motion")
    parser.add_argument("--env", type=Path, default=ROOT / ".venv-bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer frames, motions and rounds: does it run?")
    parser.add_argument("--only", nargs="*", default=[], help="parts: " + ", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    parser.add_argument("--docs", type=Path, help="also write the table there as Markdown")
    asked = parser.parse_args(words)
    if unknown := set(asked.only) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return asked


def bench(asked: argparse.Namespace, python: Path, work: Path) -> list[dict[str, Any]]:
    """Rows of all parts, in order."""
    from retargeting.peer import Peers
    from retargeting.setting import Setting

    peers = Peers(python, work)
    rows: list[dict[str, Any]] = []
    try:
        setting = Setting.of(asked, peers, work, _SKIPPED)
        for name, part in PARTS.items():
            if not asked.only or name in asked.only:
                begun = time.perf_counter()
                rows += part(setting)
                print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    finally:
        peers.close()
    return rows


def _part(module: str, name: str) -> Callable[[Any], list[dict[str, Any]]]:
    def run(setting: Any) -> list[dict[str, Any]]:
        import importlib

        return getattr(importlib.import_module(f"retargeting.{module}"), name)(setting)

    return run


PARTS = {
    "shadow": _part("hand_rows", "shadow"),
    "apart": _part("hand_rows", "shadow_apart"),
    "hands": _part("hand_rows", "other_hands"),
    "body": _part("body_rows", "body"),
    "whole": _part("body_rows", "body_and_hands"),
    "streaming": _part("stream_rows", "streaming"),
    "starts": _part("start_rows", "starts"),
    "recovery": _part("recovery_rows", "recovery"),
}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    lines = []
    for row in rows:
        met = {True: "yes", False: "NO", None: ""}[row["met"]]
        lines.append(f"{row['name']:<66} {_figure(row['value']):>10} {row['unit']:<12} {row['bar'] or '':<12} {met}")
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def document(rows: list[dict[str, Any]], asked: argparse.Namespace, python: Path) -> str:
    """The table as Markdown, with how it was made."""
    words = (
        "import importlib.metadata as m, platform; print(platform.python_version(), *(n + ' ' + m.version(n) for n in"
    )
    packages = "('dex-retargeting', 'dexi-rs', 'mink', 'daqp', 'mujoco', 'numpy')), sep=', ')"
    versions = subprocess.run([str(python), "-c", f"{words} {packages}"], capture_output=True, text=True, check=False)
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h %cs"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    model = [line.partition(":")[2].strip() for line in _cpu().splitlines() if line.startswith("model name")]
    met = [row["met"] for row in rows if row["met"] is not None]
    lines = [
        "# Retargeting against its peers",
        "",
        "`make bench-env-retarget && make bench-retarget` makes this table again "
        "(`python scripts/bench/retarget.py --docs docs/results/retarget.md` writes it here).",
        "",
        f"Commit {commit.stdout.strip()}; {model[0] if model else 'unknown processor'}, one thread each, "
        f"{asked.rounds} interleaved rounds, medians. Peers: Python {versions.stdout.strip()}. "
        f"{sum(met)} of {len(met)} bars met.",
        "",
        "Jerk is the 99th percentile over all joints and frames in rad/s^3, at 30 frames/s. A tip's error is the "
        "distance between the vector from palm to tip and the person's, scaled. mink gets 3 steps a frame on hands "
        "and 20 on bodies, with the damping that suits it best.",
        "",
        "| what | value | unit | bar | met |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        met_word = {True: "yes", False: "no", None: ""}[row["met"]]
        lines.append(f"| {row['name']} | {_figure(row['value'])} | {row['unit']} | {row['bar'] or ''} | {met_word} |")
    if _SKIPPED:
        lines += ["", "Not measured: " + "; ".join(_SKIPPED) + "."]
    return "\n".join(lines) + "\n"


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
