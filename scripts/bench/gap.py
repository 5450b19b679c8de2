#!/usr/bin/env python3
"""Do gaps foretell transfer? Measures of people's sets against the robot's, beside the closed loop; 'make bench-gap'.

    python scripts/bench/gap.py [--config configs/bench/transfer.yaml] [--runs runs/bench/transfer] [--rows 600]
                                [--lines docs/results/transfer.jsonl] [--out runs/bench/gap] [--only in,out]

A cell of the few-demo benchmark that has seen people is told by the set it has seen (level, bridges, whose labels,
speed) and by where it plays (the robot's world, or that with all axes shifted). The measures of `vidpretrain gap`
between that set and the robot's episodes there are ranked against the cell's success, among cells with as many
demonstrations at the same place. Sets are made where they are not there yet; figures are kept in OUT/sets and are not
measured again. Cells of another configuration do not count. Writes OUT/gap_transfer.json and OUT/before_after.png;
exit 0 whatever comes out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BAR_CELLS = 30
_LABELS = {"shuffled": "shuffled", "phase": "phase"}
_OUT_EPISODES, _OUT_SEED = 40, 70_000


def main(words: list[str] | None = None) -> int:
    """Measure what is missing, correlate, print and write."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")
    asked = arguments(words)
    from vidpretrain import config as configs
    from vidpretrain.errors import VidpretrainError
    from vidpretrain.gap.correlation import correlate
    from vidpretrain.transfer import TransferConfig
    from vidpretrain.workflow.files import write_text

    try:
        config = configs.load(TransferConfig, asked.config, asked.changes)
        gaps, success, strata = points(config, asked)
    except VidpretrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    found = [dataclasses.asdict(one) for one in correlate(gaps, success, strata)]
    result = {"cells": len(success), "bar_cells": BAR_CELLS, "enough": len(success) >= BAR_CELLS, "correlations": found}
    write_text(asked.out / "gap_transfer.json", json.dumps(result, indent=1))
    print(f"{len(success)} cells{'' if result['enough'] else f': fewer than the {BAR_CELLS} of the bar'}")
    for one in found:
        print(f"{one['measure']:<70} {one['value']:+.2f} [{one['low']:+.2f}, {one['high']:+.2f}] over {one['cells']}")
    return 0


def points(config: Any, asked: argparse.Namespace) -> tuple[list[dict[str, float]], list[float], list[tuple]]:
    """(gap's distances, success, (demonstrations, where)) of every finished cell that has seen people."""
    import numpy as np

    lines = [json.loads(text) for text in asked.lines.read_text().splitlines() if text.strip()]
    gaps, success, strata = [], [], []
    for line in lines:
        if line["arm"] in ("scratch", "images") or not is_of(config, line):
            continue
        for where in asked.only.split(","):
            played = [line["played"][task].get(where) for task in line["tasks"]]
            if not all(played):
                continue
            gaps.append(distances_of(config, asked, line, where))
            success.append(float(np.mean([np.mean([int(c) for c in one["success"]]) for one in played])))
            strata.append((line["demos"], where))
    return gaps, success, strata


def is_of(config: Any, line: dict[str, Any]) -> bool:
    """Whether a line was run with this configuration (at the line's own level)."""
    from vidpretrain.transfer.cells import Cell
    from vidpretrain.transfer.keys import cell_key

    told: dict[str, Any] = {name: line.get(name) for name in ("arm", "demos", "number", "flip", "recipe")}
    cell = Cell(**told)
    return cell_key(config.replace(level=line.get("level", 1)), cell) == line["key"]


def distances_of(config: Any, asked: argparse.Namespace, line: dict[str, Any], where: str) -> dict[str, float]:
    """How far the set that a cell has seen is from the robot's where it plays; measured once per kind of set."""
    from vidpretrain import config as configs
    from vidpretrain.gap import GapConfig
    from vidpretrain.gap.correlation import distances
    from vidpretrain.gap.picture import before_after, write_picture
    from vidpretrain.gap.table import gap_table
    from vidpretrain.workflow.files import write_text

    config = config.replace(level=line.get("level", 1))
    bridges = config.bridges.flipped(line["flip"])
    labels = _LABELS.get(line["arm"], "own")
    settings = GapConfig(rows=asked.rows, bootstrap=20, transport_bootstrap=2, bridges=(), pixels=64)
    kind = (config.level, configs.plain(bridges), labels, where, configs.plain(settings))
    made_of = (configs.plain(config.people), configs.plain(config.film), configs.plain(config.world), config.tasks)
    path = asked.out / "sets" / f"{configs.digest(*kind, *made_of)}.json"
    if path.is_file():
        return json.loads(path.read_text())
    human, robot = sides(config, asked, bridges, labels, where)
    out = distances(gap_table(human, robot, settings))
    write_text(path, json.dumps(out, indent=1))
    if labels == "own" and line["flip"] is None and where == "in":
        write_picture(asked.out / "before_after.png", before_after(human, robot, GapConfig()))
    return out


def sides(config: Any, asked: argparse.Namespace, bridges: Any, labels: Any, where: str) -> tuple[Any, Any]:
    """The people's rows as the cell's pretraining read them, and the robot's where it plays; of the first task."""
    from vidpretrain.gap.side import read_side
    from vidpretrain.transfer.data import robot_cache
    from vidpretrain.transfer.run import Bench

    with Bench(config, asked.runs) as bench:
        people, robot, speed = bench.people(bridges)[0], bench.robot(bridges)[0], bench.speeds(bridges)[0]
    if where == "out":
        shifted = config.replace(
            world=config.world.out_of_distribution(),
            robot_episodes=_OUT_EPISODES,
            first_seed=_OUT_SEED,
            demos=(1,),
            flip_demos=(1,),
        )
        task = config.tasks[0]
        folder = asked.runs / f"robot_out_{int(bridges.frame)}_{int(bridges.masking)}" / Path(task).stem
        robot = robot_cache(shifted, bridges, task, folder)
    return (
        read_side("people", people, asked.rows, config.horizon, labels=labels, speed=speed),
        read_side("robot", robot, asked.rows, config.horizon),
    )


def arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = parser_of_cells((__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="in,out", help="where cells play")
    return parser.parse_args(words)


def parser_of_cells(description: str) -> argparse.ArgumentParser:
    """A parser of what every script over finished cells is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "bench" / "transfer.yaml")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "bench" / "transfer")
    parser.add_argument("--lines", type=Path, default=ROOT / "docs" / "results" / "transfer.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench" / "gap")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
