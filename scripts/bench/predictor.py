#!/usr/bin/env python3
"""Closed-loop success from offline numbers, over all finished cells of the few-demo benchmark; 'make bench-predictor'.

    python scripts/bench/predictor.py [--config configs/bench/transfer.yaml] [--runs runs/bench/transfer]
                                      [--lines docs/results/transfer.jsonl] [--out runs/bench/gap] [--held 20]

For every cell whose checkpoint is under RUNS: chunk error on robot episodes that the cell has not seen, demonstrations,
minutes of people, and the gap of the people's set (`scripts/bench/gap.py`). `evaluate.predictor` is fitted on them,
each task left out in turn (a single cell, where there is one task), and kept as OUT/predictor.json; `vidpretrain
evaluate` ranks policies by it with `evaluate.predictor=FILE`. Exit 0 whatever comes out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
ROOT = Path(__file__).parents[2]
BAR_SPEARMAN, _LEAST_MINUTES = 0.8, 0.01
_GAPS = ("unexplained by the other's labels: all", "domain probe: pictures", "Sinkhorn divergence: right_wrist_camera")


def main(words: list[str] | None = None) -> int:
    """Gather, fit, print and write."""
    asked = arguments(words)
    from vidpretrain import config as configs
    from vidpretrain.errors import VidpretrainError
    from vidpretrain.evaluate.predictor import fit_predictor
    from vidpretrain.transfer import TransferConfig

    try:
        config = configs.load(TransferConfig, asked.config, asked.changes)
        points, left = gathered(config, asked)
        print(f"{len(points)} cells, {left} without a checkpoint or of another configuration")
        found = fit_predictor(points)
    except VidpretrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    asked.out.mkdir(parents=True, exist_ok=True)
    found.save(asked.out / "predictor.json")
    for name, weight in zip(found.names, found.weights, strict=True):
        print(f"{name:<50} {weight:+.2f} per standard deviation, log odds")
    print(f"Spearman {found.spearman:.2f} (bar {BAR_SPEARMAN}), each {found.left_out} left out in turn")
    print(f"mean error {found.error:.2f}")
    return 0


def gathered(config: Any, asked: argparse.Namespace) -> tuple[list[Any], int]:
    """(a point per task and cell whose checkpoint is there, how many cells are left out)."""
    import gap as gaps

    from vidpretrain.evaluate.predictor import Point
    from vidpretrain.transfer.cells import Cell
    from vidpretrain.transfer.run import Bench

    points, left = [], 0
    runs = finished(asked.runs)
    with Bench(config, asked.runs) as bench:
        for text in asked.lines.read_text().splitlines():
            line = json.loads(text)
            cell = Cell(**{name: line.get(name) for name in ("arm", "demos", "number", "flip", "recipe")})
            checkpoint = runs.get(line.get("run")) or runs.get((line["loss"], line["steps"]))
            if checkpoint is None or not gaps.is_of(config, line):
                left += 1
                continue
            known = {}
            if cell.arm not in ("scratch", "images"):
                told = gaps.distances_of(config, asked, line, "in")
                known = {name: told[name] for name in _GAPS if name in told}
            for place, task in enumerate(config.tasks):
                success = line["played"][task]["in"]["success"]
                features = {**known, **amounts(bench, cell), **errors(bench, cell, place, checkpoint, asked.held)}
                share = sum(map(int, success)) / len(success)
                points.append(Point(features=features, success=share, rollouts=len(success), group=task))
    return points, left


def finished(runs: Path) -> dict[Any, Path]:
    """Checkpoints of all finished trainings, by the name of their folder and, for lines from before it was in them, by
    (loss, steps), as it stands in both to the last digit."""
    out: dict[Any, Path] = {}
    for path in sorted((runs / "runs").glob("*/train.json")):
        summary = json.loads(path.read_text())
        checkpoint = path.parent / "model"
        if checkpoint.is_dir():
            out[path.parent.name] = out[summary["loss"], summary["steps"]] = checkpoint
    return out


def amounts(bench: Any, cell: Any) -> dict[str, float]:
    """Logarithms of demonstrations and of minutes of people."""
    minutes = 0.0
    if cell.arm not in ("scratch", "images"):
        people = bench.people(bench.config.bridges.flipped(cell.flip))
        minutes = sum(entry["hours"] * 60 for cache in people for entry in cache.episodes)
    return {"log demos": math.log10(cell.demos + 1), "log minutes": math.log10(max(minutes, _LEAST_MINUTES))}


def errors(bench: Any, cell: Any, place: int, checkpoint: Path, held: int) -> dict[str, float]:
    """What `evaluate` says on the last episodes that are in none of the cell's demonstration sets; nothing of a policy
    that knows no robot."""
    if cell.arm == "zero":
        return {}
    from vidpretrain.evaluate import EvaluateConfig, evaluate
    from vidpretrain.evaluate.predictor import offline_features
    from vidpretrain.transfer.data import demonstration_set

    cache = bench.robot(bench.config.bridges.flipped(cell.flip))[place]
    own = set(demonstration_set(bench.config, cell.number, cell.demos))
    rest = [i for i in range(len(cache.episodes)) if i not in own][-held:]
    settings = EvaluateConfig(samples=4, every=4, bootstrap=10)
    judged = evaluate(checkpoint, cache, rest, None, settings)
    return offline_features(judged["methods"], "policy")


def arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line."""
    from gap import parser_of_cells

    parser = parser_of_cells((__doc__ or "").splitlines()[0])
    parser.add_argument("--held", type=int, default=20)
    return parser.parse_args(words)


if __name__ == "__main__":
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")
    sys.exit(main())
