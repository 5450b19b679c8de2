"""Whether a task is fit to be a benchmark: its expert, its judges, its randomisation, its floor and its ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain.sim.worlds.catalog import load_task
from vidpretrain.sim.worlds.config import AXES, WorldConfig
from vidpretrain.sim.worlds.jobs import Died, Job, PolicyName, play_job, run_jobs, world_of
from vidpretrain.sim.worlds.rollout import ExpertPolicy, Outcome
from vidpretrain.sim.worlds.stage import Unstable

EXPERT_BAR, TRIVIAL_BAR = 0.98, 0.1
_MOVED_M = 0.005
_TRIED = 12  # episodes in which the judges and the places of things are looked at


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Successes of one policy; `unstable` episodes and dead workers count as failures."""

    policy: str
    episodes: int
    success: float
    steps: float
    unstable: int
    died: int


def check_task(
    task: str, robot: str = "", episodes: int = 50, workers: int = 2, seed: int = 0, world: WorldConfig | None = None
) -> dict[str, Any]:
    """What the check found, as plain data; `ok` is whether all of it is as it should be.

    The expert plays in and out of distribution, a policy that stays and one that moves at random in distribution. A
    benchmark is at its floor when even the expert fails (below .98), at its ceiling when doing nothing or anything
    succeeds (above .1).

    Raises:
        ConfigError, UnknownName: the task is not whole or not known.
        InputError: the task needs hands and the robot has none; its expert raises an error.
        MissingAsset: the robot's files are not on this machine.
    """
    found, settings = load_task(task)
    robot, world = robot or settings.robots[0], world or settings.world
    job = Job(task=str(task), robot=robot, world=world, seed=seed)
    notes = [*_judges(job), *_varied(job)]
    rates = [
        _rate("expert", job, world, "expert", episodes, workers),
        _rate("expert, shifted", job, world.out_of_distribution(), "expert", max(5, episodes // 2), workers),
        _rate("hold", job, world, "hold", max(5, episodes // 5), workers),
        _rate("random", job, world, "random", max(5, episodes // 2), workers),
    ]
    expert, _, *idle = rates
    floor, ceiling = expert.success < EXPERT_BAR, max(rate.success for rate in idle) > TRIVIAL_BAR
    if floor:
        notes.append(f"floor: the expert succeeds in {expert.success:.0%}, wanted {EXPERT_BAR:.0%}")
    if ceiling:
        notes.append(f"ceiling: doing nothing, or anything, succeeds in {max(r.success for r in idle):.0%}")
    return {
        "ok": not notes,
        "message": "; ".join(notes) or "neither floor nor ceiling: fit to be a benchmark",
        "task": found.name,
        "instruction": found.instruction,
        "robot": robot,
        "floor": floor,
        "ceiling": ceiling,
        "rates": [vars(rate) for rate in rates],
        "remarks": [{"remark": note} for note in notes],
    }


def _rate(name: str, job: Job, world: WorldConfig, policy: PolicyName, episodes: int, workers: int) -> Rate:
    jobs = [Job(task=job.task, robot=job.robot, world=world, seed=job.seed + k, policy=policy) for k in range(episodes)]
    outcomes: Sequence[Outcome | Died] = list(run_jobs(play_job, jobs, workers))
    played = [o for o in outcomes if isinstance(o, Outcome)]
    return Rate(
        policy=name,
        episodes=episodes,
        success=sum(o.success for o in played) / episodes,
        steps=float(np.mean([o.steps for o in played])) if played else 0.0,
        unstable=sum(bool(o.unstable) for o in played),
        died=len(outcomes) - len(played),
    )


def _judges(job: Job) -> list[str]:
    """What is wrong with success and progress: done at the start, outside 0 to 1, not growing with the expert."""
    world, notes, grew = world_of(job, images=False), set[str](), []
    for k in range(_TRIED):
        try:
            _, info = world.reset(options={"episode_seed": job.seed + k})
        except Unstable as error:
            notes.add(f"unstable start: {error.found}")
            continue
        first, values = info["progress"], [info["progress"]]
        if world.task.success(world.stage):
            notes.add("success at the start of an episode")
        policy, over = ExpertPolicy(), False
        policy.reset(world, job.seed + k)
        while not over:
            _, _, done, cut, info = world.step(policy.act({}))
            values.append(info["progress"])
            over = done or cut
        if not all(np.isfinite(values)) or min(values) < 0 or max(values) > 1:
            notes.add("progress leaves 0 to 1")
        grew.append(values[-1] > first)
    if grew and not np.mean(grew) > 0.5:
        notes.add("progress does not grow while the expert works")
    return sorted(notes)


def _varied(job: Job) -> list[str]:
    """What does not vary: the places of things with the seed, or the bytes of one seed when played again."""
    world, notes, places = world_of(job, images=False), [], []
    for k in range(_TRIED):
        states = []
        for _ in range(2):
            try:
                world.reset(options={"episode_seed": job.seed + k})
            except Unstable:
                break
            states.append(world.stage.data.qpos.tobytes())
        if len(states) == 2 and states[0] != states[1]:
            notes.append(f"seed {job.seed + k} does not give the same start twice: draw with stage.draw and stage.rng")
            break
        built = world.stage.built
        places.append([world.stage.at(name) for name in (*built.free, *built.mocap)])
    if places and places[0] and np.ptp(np.array(places), axis=0).max() < _MOVED_M:
        notes.append("nothing is placed differently from episode to episode: draw places with stage.draw")
    return notes


def tasks(
    config: Any = None,
    inputs: tuple[str, ...] = (),
    robot: str = "",
    episodes: int = 50,
    seed: int = 0,
    workers: int = 2,
    out: str = "",
) -> dict[str, Any]:
    """The verb: list the tasks; `check TASK`; `record TASK --out FOLDER`.

    Raises:
        UsageError: another word, or `record` without a folder.
    """
    from vidpretrain.errors import UsageError

    if not inputs:
        return _listed()
    if len(inputs) != 2 or inputs[0] not in ("check", "record") or (inputs[0] == "record") != bool(out):
        raise UsageError(
            "what to do with which task",
            asked=" ".join(inputs),
            valid="tasks; tasks check NAME|FILE.py; tasks record NAME|FILE.py --out FOLDER",
        )
    if inputs[0] == "check":
        return check_task(inputs[1], robot, episodes, workers, seed)
    from vidpretrain.sim.worlds.record import RecordConfig, record_episodes

    _, settings = load_task(inputs[1])
    wanted = RecordConfig(
        task=str(Path(inputs[1]).expanduser()) if inputs[1].endswith(".py") else inputs[1],
        robot=robot or settings.robots[0],
        episodes=episodes,
        seed=seed,
        workers=workers,
        world=settings.world,
    )
    made = record_episodes(wanted, out)
    return {"ok": True, "message": f"look at it: vidpretrain check {made['root']}", **made}


def _listed() -> dict[str, Any]:
    from vidpretrain.sim.worlds.catalog import TASKS, env_id

    rows = []
    for name in TASKS:
        task, settings = load_task(name)
        rows.append(
            {
                "task": name,
                "instruction": task.instruction,
                "seconds": task.duration_s,
                "robots": list(settings.robots),
                "id": env_id(name, settings.robots[0]),
            }
        )
    return {
        "ok": True,
        "message": "vidpretrain tasks check NAME|FILE.py judges one; tasks record NAME --out FOLDER records its expert",
        "tasks": rows,
        "axes": list(AXES),
    }
