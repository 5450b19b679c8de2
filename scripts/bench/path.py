"""The whole path on the real clips, without training: how many come through, how fast, and is every motion playable.

    python scripts/bench/path.py [--videos FOLDER] [--out runs/bench]

A fresh run folder each time; the second run in it must compute nothing. Limits, speeds and finiteness are counted from
the stored motions, with nothing of the solver's own checks.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]


def main(words: list[str] | None = None) -> int:
    """Measure, print the table and write it; 0 when everything was measured, met or not."""
    shared = Path(os.environ.get("VIDPRETRAIN_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--videos", type=Path, default=shared / "data" / "video")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    asked = parser.parse_args(words)
    if not asked.videos.is_dir():
        print(f"no such folder: {asked.videos} (--videos names one)", file=sys.stderr)
        return 1
    rows = bench(asked.videos, asked.out / "path")
    (asked.out / "path.json").write_text(json.dumps(rows, indent=2))
    for row in rows:
        met = {True: "yes", False: "NO", None: ""}[row["met"]]
        print(f"{row['name']:<52} {row['value']:>10.3f} {row['unit']:<12} {row['bar'] or '':<8} {met}")
    return 0


def bench(videos: Path, folder: Path) -> list[dict[str, Any]]:
    """The rows of the table, from one fresh and one repeated run."""
    from vidpretrain.config import load
    from vidpretrain.workflow import data
    from vidpretrain.workflow.config import RunConfig

    shutil.rmtree(folder, ignore_errors=True)
    config = load(RunConfig, ROOT / "configs" / "real.yaml", [f"out={folder}", f"video.paths=[{videos}]"])
    start = time.perf_counter()
    first = data.pack(config, ())
    seconds = time.perf_counter() - start
    second = data.pack(config, ())
    with_episode = sum(row["episodes"] > 0 for row in first["sources"])
    limit, speed, unfinite, frames = violations(config)
    return [
        _row("videos in", first["in"], "videos"),
        _row(
            "videos neither accepted nor rejected",
            first["in"] - first["accepted"] - first["rejected"],
            "videos",
            "== 0",
        ),
        _row("videos that give an episode", with_episode, "videos", ">= 10"),
        _row("episodes", first["episodes"], "episodes"),
        _row("end to end without training, source frames", first["frames"] / seconds, "frames/s", ">= 6"),
        _row(
            "results recomputed by a second run",
            second["recomputed"] + (not second["dataset_reused"]),
            "results",
            "== 0",
        ),
        _row("robot frames", frames, "frames"),
        _row("robot frames beyond a joint limit", limit, "frames", "== 0"),
        _row("robot frames beyond a speed limit", speed, "frames", "== 0"),
        _row("robot frames that are not finite", unfinite, "frames", "== 0"),
    ]


def violations(config: Any) -> tuple[int, int, int, int]:
    """(beyond a limit, beyond a speed, not finite, all) frames over the robot motions in a run's store."""
    from vidpretrain.pipeline import serialize
    from vidpretrain.robot import load_robot
    from vidpretrain.types import Reject

    robot = load_robot(config.robot)
    lower, upper = robot.tree.bounds()
    limit = speed = unfinite = frames = 0
    for path in sorted((config.store / "robot").glob("*.npz")):
        motion = serialize.load(path)
        if isinstance(motion, Reject):
            continue
        q = motion.joint_pos
        frames += len(q)
        unfinite += int((~np.isfinite(q)).any(axis=1).sum())
        limit += int(((q < lower - 1e-9) | (q > upper + 1e-9)).any(axis=1).sum())
        speed += int((np.abs(np.diff(q, axis=0)) * motion.rate_hz > robot.max_speed * (1 + 1e-9)).any(axis=1).sum())
    return limit, speed, unfinite, frames


def _row(name: str, value: float, unit: str, bar: str | None = None) -> dict[str, Any]:
    met = None
    if bar is not None:
        sign, limit = bar.split()
        met = bool({"==": value == float(limit), ">=": value >= float(limit)}[sign])
    return {"name": name, "value": float(value), "unit": unit, "bar": bar, "met": met}


if __name__ == "__main__":
    sys.exit(main())
