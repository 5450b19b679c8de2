#!/usr/bin/env python3
"""Validation error against minutes of human video, the largest point foretold before it is run; 'make bench-scaling'.

    python scripts/bench/scaling.py [--config configs/bench/transfer.yaml] [--runs runs/bench/transfer]
                                    [--out runs/bench/scaling] [--counts 4,8,16,32,64,128] [--held 22] [--steps 400]
                                    [--zero] [--point COUNT] [KEY=VALUE ...]

Policies are pretrained on the first so many episodes of the people's set, with the same number of steps, and judged on
the last `held` episodes (chunk error; scale of the errors the same for all). After all but the largest are there, the
line through them foretells the largest, OUT/foretold.json is written with its time, and only then is the largest run.
`--zero` also plays them (zero-shot success). Finished points are kept (`--point` runs one, so that several processes
can share the smaller ones); OUT/scaling.json has all. Exit 0 whatever comes out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BAR_R2, BAR_DECADES, BAR_OFF = 0.95, 1.5, 0.10


def main(words: list[str] | None = None) -> int:
    """Run what is missing, foretell, run the largest, print and write."""
    asked = arguments(words)
    from vidpretrain import config as configs
    from vidpretrain.errors import VidpretrainError
    from vidpretrain.transfer import TransferConfig

    counts = sorted({int(v) for v in asked.counts.split(",")})
    try:
        config = configs.load(TransferConfig, asked.config, asked.changes)
        if asked.point is not None and asked.point not in counts[:-1]:
            raise SystemExit(f"--point is one of the smaller counts, {counts[:-1]}: the largest is foretold first")
        result = alone(config, asked) if asked.point is not None else measured(config, counts, asked)
    except VidpretrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(result, indent=1))
    return 0


def alone(config: Any, asked: argparse.Namespace) -> dict[str, Any]:
    """One of the smaller points."""
    from vidpretrain.transfer.run import Bench

    with Bench(config, asked.runs) as bench:
        return point(bench, asked.point, asked)


def measured(config: Any, counts: list[int], asked: argparse.Namespace) -> dict[str, Any]:
    """Points, the line through all, and the largest against what was foretold."""
    from vidpretrain import config as configs
    from vidpretrain.evaluate.scaling import fit_line, foretold
    from vidpretrain.transfer.run import Bench
    from vidpretrain.workflow.files import write_text

    with Bench(config, asked.runs) as bench:
        smaller = [point(bench, n, asked) for n in counts[:-1]]
        line = fit_line([p["minutes"] for p in smaller], [p["error"] for p in smaller])
        path = asked.out / f"foretold_{configs.digest(smaller, counts[-1])}.json"
        if not path.is_file():
            minutes = video_minutes(bench, counts[-1])
            value, low, high = foretold(line, minutes)
            said = {"written_at": now(), "minutes": minutes, "error": value, "low": low, "high": high}
            write_text(path, json.dumps({**said, "from": smaller, "line": dataclasses.asdict(line)}, indent=1))
        said = json.loads(path.read_text())
        last = point(bench, counts[-1], asked)
    every = [*smaller, last]
    whole = fit_line([p["minutes"] for p in every], [p["error"] for p in every])
    off = abs(last["error"] - said["error"]) / last["error"]
    result = {
        "task": list(config.tasks),
        "level": config.level,
        "steps": asked.steps,
        "held": asked.held,
        "points": every,
        "line": dataclasses.asdict(whole),
        "foretold": {name: said[name] for name in ("written_at", "error", "low", "high")},
        "largest_run_at": last["run_at"],
        "off_by": off,
        "met": {
            "r2": whole.r2 >= BAR_R2,
            "decades": whole.decades >= BAR_DECADES - 0.005,
            "foretold": off <= BAR_OFF and said["written_at"] <= last["run_at"],
        },
    }
    write_text(asked.out / "scaling.json", json.dumps(result, indent=1))
    return result


def point(bench: Any, count: int, asked: argparse.Namespace) -> dict[str, Any]:
    """A policy pretrained on the first `count` episodes, and its error on the last ones; found where it was run."""
    from vidpretrain import config as configs
    from vidpretrain.evaluate import EvaluateConfig, evaluate
    from vidpretrain.training import pretrain
    from vidpretrain.workflow.files import write_text

    config, bridges = bench.config, bench.config.bridges
    people = bench.people(bridges)[0]
    total = len(people.episodes)
    held = tuple(range(total - asked.held, total))
    if count > held[0]:
        raise SystemExit(f"{count} episodes and {asked.held} held out of {total}")
    train = config.pretrain.replace(
        steps=asked.steps, episodes=tuple(range(count)), speeds=bench.speeds(bridges)[:1], resume=True
    )
    key = configs.digest(people.meta["digest"], configs.plain(config.model), configs.plain(train), held, asked.zero)
    path = asked.out / "points" / f"{key}.json"
    if path.is_file():
        return json.loads(path.read_text())
    began = now()
    summary = pretrain(config.model, train, [people.path], asked.out / "runs" / key)
    settings = EvaluateConfig(samples=8, every=2, bootstrap=500, train_episodes=tuple(range(held[0])))
    judged = evaluate(summary["checkpoint"], people, held, None, settings)
    made = {
        "episodes": count,
        "minutes": video_minutes(bench, count),
        "error": judged["methods"]["policy"]["error"],
        "interval": judged["methods"]["policy"]["interval"],
        "hold": judged["methods"]["hold_state"]["error"],
        "run_at": began,
    }
    if asked.zero:
        made["success"] = played(bench, summary["checkpoint"])
    write_text(path, json.dumps(made, indent=1))
    print(f"{count} episodes, {made['minutes']:.2f} minutes: {made['error']:.4f}", file=sys.stderr, flush=True)
    return made


def played(bench: Any, checkpoint: Path) -> float:
    """Zero-shot success of the first task in distribution."""
    import numpy as np

    from vidpretrain.training import Policy
    from vidpretrain.transfer.data import PERSON

    found = bench.played(Policy.load(checkpoint), PERSON, bench.config.tasks[0], bench.config.bridges)
    return float(np.mean([int(c) for c in found["in"]["success"]]))


def video_minutes(bench: Any, count: int) -> float:
    """Minutes of video in the first `count` episodes."""
    people = bench.people(bench.config.bridges)[0]
    rows = sum(entry["exclusive_end"] - entry["start"] for entry in people.episodes[:count])
    return rows / people.spec.rate_hz / 60.0


def now() -> str:
    """The time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "bench" / "transfer.yaml")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "bench" / "transfer")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench" / "scaling")
    parser.add_argument("--counts", default="4,8,16,32,64,128", help="numbers of episodes; the largest is foretold")
    parser.add_argument("--held", type=int, default=22)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--point", type=int, help="run this point only")
    parser.add_argument("--zero", action="store_true", help="play them, too")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    return parser.parse_args(words)


if __name__ == "__main__":
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")
    sys.exit(main())
