#!/usr/bin/env python3
"""Worlds: experts' success on every task and robot, idle policies, and environment steps a second: 'make bench-sim'.

    python scripts/bench/sim.py [--episodes 50] [--tasks a,b] [--robots a,b] [--workers 2] [--only expert,speed]
                                [--out runs/bench]

Experts play with noise on execution (.01 rad on arms, .02 of a hand's stroke), seeds counted from 20,000, which no task
was made with. Speed is steps with a 96 px picture in one process, per second of CPU time of all its threads, so that
other programs on the machine do not count; wall time stands beside it. Every cell is kept in sim_cells.jsonl and not
played again while the sources of the worlds are the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
FIRST_SEED, NOISE_RAD, NOISE_FRACTION = 20_000, 0.01, 0.02
REPEATS, MOST_STEPS = 3, 60


def main(words: list[str] | None = None) -> int:
    """Measure, print the table and write it; 0 when everything was measured, met or not."""
    from vidpretrain.sim.worlds import TASKS, load_task

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--robots", default="g1_inspire,gr1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="expert,shifted,idle,speed", help="parts to measure")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    asked = parser.parse_args(words)
    asked.out.mkdir(parents=True, exist_ok=True)
    cells = Cells(asked.out / "sim_cells.jsonl")
    rows: list[dict[str, Any]] = []
    for robot in asked.robots.split(","):
        if (problem := missing(robot)) is not None:
            rows.append(row(f"{robot}: not here", float("nan"), problem))
            continue
        for task in asked.tasks.split(","):
            if robot in load_task(task)[1].robots:
                rows += of_task(cells, task, robot, asked.episodes, asked.workers, asked.only.split(","))
    (asked.out / "sim.json").write_text(json.dumps(rows, indent=2))
    for r in rows:
        met = {True: "yes", False: "NO", None: ""}[r["met"]]
        print(f"{r['name']:<52} {r['value']:>10.3f} {r['unit']:<24} {r['bar'] or '':<8} {met}")
    return 0


def missing(robot: str) -> str | None:
    """What to type where a robot's files are not here."""
    from vidpretrain.errors import MissingAsset
    from vidpretrain.robot import load_robot

    try:
        load_robot(robot)
    except MissingAsset as error:
        return error.next_command or error.message
    return None


def of_task(cells: Cells, task: str, robot: str, episodes: int, workers: int, only: list[str]) -> list[dict[str, Any]]:
    """The rows of one task with one robot."""
    name, out = f"{robot}, {task}", []
    few = max(5, episodes // 5)
    for part, what, policy, shifted, count, bar in (
        ("expert", "expert", "expert", False, episodes, ">= .98"),
        ("shifted", "expert, all axes shifted", "expert", True, episodes, None),
        ("idle", "hold", "hold", False, few, "<= .05"),
        ("idle", "random", "random", False, few, "<= .05"),
    ):
        if part not in only:
            continue
        found = cells.get(
            {"task": task, "robot": robot, "policy": policy, "shifted": shifted, "episodes": count},
            lambda p=policy, s=shifted, n=count: played(task, robot, p, s, n, workers),
        )
        out.append(row(f"{name}: {what}", found["success"], f"of {count}", bar))
        if found["unstable"]:
            out.append(row(f"{name}: {what}, unstable", found["unstable"], "episodes", "== 0"))
    if "speed" not in only:
        return out
    speed = cells.get({"task": task, "robot": robot, "speed": 96}, lambda: timed(task, robot))
    out.append(row(f"{name}: steps, one core", speed["per_cpu_s"], "steps/s of CPU", ">= 300"))
    out.append(row(f"{name}: steps, wall time", speed["per_wall_s"], "steps/s"))
    return out


def played(task: str, robot: str, policy, shifted: bool, episodes: int, workers: int) -> dict[str, Any]:
    """Success and unstable episodes of one policy."""
    from vidpretrain.sim.worlds import Job, Outcome, WorldConfig, play_job, run_jobs

    world = WorldConfig().out_of_distribution() if shifted else WorldConfig()
    jobs = [
        Job(
            task=task,
            robot=robot,
            world=world,
            seed=FIRST_SEED + k,
            policy=policy,
            noise_rad=NOISE_RAD,
            noise_fraction=NOISE_FRACTION,
        )
        for k in range(episodes)
    ]
    outcomes = list(run_jobs(play_job, jobs, workers))
    good = [o for o in outcomes if isinstance(o, Outcome)]
    return {
        "success": sum(o.success for o in good) / episodes,
        "unstable": sum(bool(o.unstable) for o in good) + len(outcomes) - len(good),
        "failed_seeds": [o.seed for o in good if not o.success][:20],
        "steps": float(np.mean([o.steps for o in good])) if good else 0.0,
    }


def timed(task: str, robot: str) -> dict[str, Any]:
    """Steps with a picture, of the expert's own actions: the best of three rounds."""
    from vidpretrain.sim.worlds import ExpertPolicy, World, WorldConfig

    world, policy, actions, over = World(task, robot, WorldConfig(image_px=96)), ExpertPolicy(), [], False
    world.reset(options={"episode_seed": FIRST_SEED})
    policy.reset(world, FIRST_SEED)
    while not over and len(actions) < MOST_STEPS:
        actions.append(policy.act({}))
        *_, done, cut, _ = world.step(actions[-1])
        over = done or cut
    rates = []
    for _ in range(REPEATS):
        world.reset(options={"episode_seed": FIRST_SEED})
        cpu, wall = time.process_time(), time.perf_counter()
        for action in actions:
            world.step(action)
        rates.append((len(actions) / (time.process_time() - cpu), len(actions) / (time.perf_counter() - wall)))
    world.close()
    return {"per_cpu_s": max(r[0] for r in rates), "per_wall_s": max(r[1] for r in rates)}


def row(name: str, value: float, unit: str, bar: str | None = None) -> dict[str, Any]:
    """One row of the table."""
    met = None
    if bar is not None:
        sign, _, limit = bar.partition(" ")
        met = {">=": value >= float(limit), "<=": value <= float(limit), "==": value == float(limit)}[sign]
    return {"name": name, "value": float(value), "unit": unit, "bar": bar, "met": met}


def code_of(task: str) -> str:
    """Sixteen hex digits that change with the sources of the worlds or of this task."""
    folder, state = ROOT / "vidpretrain" / "sim" / "worlds", hashlib.sha256()
    for source in [*sorted(folder.glob("*.py")), folder / "tasks" / f"{task}.py"]:
        state.update(source.read_bytes())
    return state.hexdigest()[:16]


class Cells:
    """Results kept line by line, by what was asked and the sources of the worlds."""

    def __init__(self, path: Path) -> None:
        self.path, self.found = path, {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            record = json.loads(line)
            self.found[record["key"]] = record["value"]

    def get(self, asked: dict[str, Any], make) -> dict[str, Any]:
        """The kept result, or a new one, which is kept."""
        key = json.dumps({**asked, "first": FIRST_SEED, "code": code_of(asked["task"])}, sort_keys=True)
        if key not in self.found:
            self.found[key] = make()
            with self.path.open("a") as file:
                file.write(json.dumps({"key": key, "value": self.found[key]}) + "\n")
        return self.found[key]


if __name__ == "__main__":
    sys.exit(main())
