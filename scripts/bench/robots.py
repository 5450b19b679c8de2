#!/usr/bin/env python3
"""All shipped robots on all motions: errors, feasibility, collisions and speed, as docs/robots.md: 'make robots-table'.

    python scripts/bench/robots.py [--data FOLDER] [--videos FOLDER] [--out runs/robots] [--docs docs/robots.md]
                                   [--robot NAME ...] [--set KEY=VALUE ...] [--seconds 600]

A row is one motion on one robot. Rows are kept in OUT/store under a key of the robot, the motion, the settings and the
code, so that a run that was stopped, or whose time was up (--seconds), goes on where it ended, and a change of the
solver makes every row again. A robot that cannot be loaded or a motion that fails is a row with its reason.
OUT/robots.csv and OUT/robots.json have every row; the document has per robot the medians and the worst.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))
_CLIPS = ("tfjs_pose_squats.mp4", "intel_asl_thanks.mkv", "intel_asl_milk.mkv", "mp_gesture_test.mp4")
_ROOMS = ("tree", "kinematics", "robot", "collision", "solve", "retarget", "feasibility", "motion_files")
_WARM = 12


def main(words: list[str] | None = None) -> int:
    """Make the missing rows and write the tables; 0 when every row is there, 1 when the time was up first."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy
    asked = _arguments(words)
    from vidpretrain.config import load
    from vidpretrain.workflow.config import RunConfig

    end = time.monotonic() + asked.seconds
    people, left_out = motions(asked)
    robots, missing = robots_of(asked.robot)
    settings = load(RunConfig, None, asked.set)
    rows, undone = [], 0
    for robot in robots:
        warm = False
        fitting = [person for person in people if not (robot.is_hand and person["kind"] == "body")]
        for person in fitting:
            row, warm = _row(asked, settings, robot, person, warm, allowed=time.monotonic() < end)
            undone += row is None
            rows += [row] if row else []
        done = sum(row["robot"] == robot.name for row in rows)
        print(f"{robot.name:<14} {done}/{len(fitting)} rows, {max(0.0, end - time.monotonic()):.0f} s left", flush=True)
    _write(asked, rows, missing, left_out, undone)
    for text in (*missing, *left_out):
        print(f"left out: {text}", file=sys.stderr)
    print(f"{len(rows)} rows: {asked.out / 'robots.csv'}, {asked.docs}; {undone} rows not made yet")
    return 1 if undone else 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("VIDPRETRAIN_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=shared / "data" / "motion", help="folder of motion files")
    parser.add_argument("--videos", type=Path, default=shared / "data" / "video", help="folder of clips")
    parser.add_argument("--clips", nargs="*", default=list(_CLIPS), help="clips of that folder")
    parser.add_argument(
        "--rate-hz", type=float, default=30.0, help="frames a second of the files (all shared ones: 30)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "robots")
    parser.add_argument("--docs", type=Path, default=None, help="where the page goes (default: OUT/robots.md)")
    parser.add_argument("--robot", nargs="*", default=[], help="these robots only (default: all that are shipped)")
    parser.add_argument("--set", nargs="*", default=[], help="of a run's configuration: retarget.self_collision=true")
    parser.add_argument("--seconds", type=float, default=600.0, help="stop making rows after so long")
    asked = parser.parse_args(words)
    asked.docs = asked.docs or asked.out / "robots.md"
    return asked


# ---- what is retargeted, and onto what ----
def motions(asked: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """({name, kind, digest, human} of every motion, what could not be read and why)."""
    from vidpretrain.config import digest
    from vidpretrain.errors import InputError
    from vidpretrain.motion_files import MOTION_SUFFIXES, MotionFileConfig, read_motion

    found, left_out = [], []
    for path in sorted(p for p in asked.data.rglob("*") if p.suffix in MOTION_SUFFIXES):
        try:
            human = read_motion(path, MotionFileConfig(rate_hz=asked.rate_hz))
        except InputError as error:
            left_out.append(f"{path.name}: {error.message}")
            continue
        kind = "body" if human.body_seen else "hand"
        found.append({"name": _short(path.stem), "kind": kind, "digest": _sha(path), "human": human})
    for name, human in _clips(asked, left_out):
        found.append({"name": name, "kind": "clip", "digest": digest(human.p_world_keypoint.tolist()), "human": human})
    return found, left_out


def _clips(asked: argparse.Namespace, left_out: list[str]) -> Iterator[tuple[str, Any]]:
    """(name, human motion) of the clips, through the pipeline, whose store keeps them."""
    from vidpretrain.config import load
    from vidpretrain.pipeline import serialize
    from vidpretrain.workflow.config import RunConfig
    from vidpretrain.workflow.data import extraction

    paths = [asked.videos / name for name in asked.clips if (asked.videos / name).is_file()]
    left_out += [f"{name}: not in {asked.videos.name}/" for name in asked.clips if not (asked.videos / name).is_file()]
    if not paths:
        return
    words = [f"out={asked.out}", f"video.paths=[{','.join(map(str, paths))}]"]
    done = extraction(load(RunConfig, ROOT / "configs" / "real.yaml", words), "motion")
    for clip in done.clips:
        if clip.reject is not None:
            left_out.append(f"{clip.clip.clip_id}: {clip.reject.reason}")
        for segment in clip.segments:
            yield segment.segment_id, serialize.load(segment.motion_path)[segment.index]


def robots_of(names: list[str]) -> tuple[list[Any], list[str]]:
    """(the robots that are here, why others are not)."""
    from vidpretrain.errors import VidpretrainError
    from vidpretrain.robot import load_robot, robot_names

    found, missing = [], []
    for name in names or robot_names():
        try:
            found.append(load_robot(name))
        except VidpretrainError as error:
            missing.append(f"{name}: {error.message} (next: {error.next_command or 'make robots'})")
    return sorted(found, key=lambda robot: (robot.is_hand, robot.name)), missing


def _short(stem: str) -> str:
    for part in ("0-", "motions_raw_", "TairanTestbed_", "tairantestbed_", "smpl_", "video_", "_filter", "_amass"):
        stem = stem.replace(part, "")
    return stem


def _sha(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- a row ----
def _row(asked, settings, robot, person, warm: bool, allowed: bool) -> tuple[dict[str, Any] | None, bool]:
    """(the row, kept or made; None where the time is up, whether this robot's code is compiled and warm)."""
    from vidpretrain.pipeline.store import Store

    store = Store(asked.out / "store")
    key = store.key("table", robot.digest, person["digest"], settings.retarget, settings.feasibility, rooms=_ROOMS)
    row = store.get("table", key)
    if row is None and allowed:
        if not warm:
            _warm_up(robot, person["human"], settings)
        row, warm = measure(robot, person, settings), True
        store.put("table", key, row)
    return row, warm


def _warm_up(robot, human, settings) -> None:
    import dataclasses

    import numpy as np

    from vidpretrain.retarget import retarget

    start = max(0, len(human.time_ns) // 2 - _WARM)
    fields = {f.name: getattr(human, f.name) for f in dataclasses.fields(human)}
    short = {n: v[start : start + 2 * _WARM] for n, v in fields.items() if isinstance(v, np.ndarray)}
    retarget(dataclasses.replace(human, **short), robot, settings.retarget)


def measure(robot, person: dict[str, Any], settings) -> dict[str, Any]:
    """One motion on one robot, measured; never an exception of the data's making."""
    import numpy as np

    from vidpretrain.feasibility import assess
    from vidpretrain.retarget import retarget
    from vidpretrain.types import Reject

    row = {"robot": robot.name, "motion": person["name"], "kind": person["kind"], "reason": ""}
    start = time.perf_counter()
    try:
        moved = retarget(person["human"], robot, settings.retarget)
    except Exception as error:  # noqa: BLE001 - one bad pair must not stop the table; the reason is in its row
        return row | {"reason": f"{type(error).__name__}: {error}"}
    seconds = time.perf_counter() - start
    if isinstance(moved, Reject):
        return row | {"reason": f"{moved.reason}: {moved.detail}"}
    try:
        report = assess(moved, robot, settings.feasibility)
    except Exception as error:  # noqa: BLE001 - as above
        return row | {"reason": f"{type(error).__name__}: {error}"}
    limit = settings.feasibility.max_collision_m
    worst = report.findings and max(report.findings, key=lambda f: (f.flaw in report.reasons[:1], f.counts, f.share))
    return row | {
        "frames": len(moved.time_ns),
        "frames_per_s": len(moved.time_ns) / seconds,
        "whole_body": bool(moved.whole_body),
        **_errors(moved),
        "verdict": str(report.verdict),
        "flaws": " ".join(map(str, report.reasons)),
        "worst_flaw": str(worst) if worst else "",
        "playable": float(np.mean(report.playable)),
        "colliding": float(np.mean(report.collision_m > limit)),
        "fingers_colliding": float(np.mean(report.finger_collision_m > limit)),
    }


def _errors(moved) -> dict[str, float | None]:
    """Median and 95th percentile over frames and sides of wrists, fingertips and feet, in millimetres."""
    import numpy as np

    out: dict[str, float | None] = {}
    for part, ending in (("wrist", "_wrist"), ("tip", "_tip"), ("foot", "_foot")):
        columns = [i for i, name in enumerate(moved.error_names) if name.endswith(ending)]
        error = np.asarray(moved.error_m)[:, columns]
        error = 1000 * error[np.isfinite(error)]
        out[f"{part}_mm"] = float(np.median(error)) if len(error) else None
        out[f"{part}_p95_mm"] = float(np.quantile(error, 0.95)) if len(error) else None
    return out


# ---- the tables ----
def _write(asked, rows, missing, left_out, undone: int) -> None:
    from robots_page import document

    asked.out.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(key for row in rows for key in row))
    with open(asked.out / "robots.csv.tmp", "w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(asked.out / "robots.csv.tmp", asked.out / "robots.csv")
    whole = {"rows": rows, "missing": missing, "left_out": left_out, "undone": undone, "commit": commit()}
    _aside(asked.out / "robots.json", json.dumps(whole, indent=1))
    _aside(asked.docs, document(rows, missing, left_out, undone, commit(), asked.set))


def _aside(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(text)
    os.replace(aside, path)


def commit() -> str:
    """Short hash and date of the checkout, "unknown" where there is none."""
    done = subprocess.run(
        ["git", "log", "-1", "--format=%h %cs"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
