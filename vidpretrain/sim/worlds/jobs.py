"""Episodes in worker processes: worlds are compiled once per worker, and a worker that dies costs only its job."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vidpretrain.sim.worlds.config import WorldConfig

if TYPE_CHECKING:
    from vidpretrain.sim.worlds.env import World
    from vidpretrain.sim.worlds.rollout import Outcome

PolicyName = Literal["expert", "hold", "random"]
_TRIES = 2
_WORLDS: dict[tuple[str, int, str, WorldConfig, bool], World] = {}  # one table per worker process


@dataclass(frozen=True, kw_only=True)
class Job:
    """One episode: `task` is a shipped name or a path, `robot` a name or a YAML file."""

    task: str
    robot: str
    world: WorldConfig
    seed: int
    policy: PolicyName = "expert"
    noise_rad: float = 0.0
    noise_fraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Died:
    """What comes back for a job whose worker process ended, every time it was tried."""

    job: Job


def world_of(job: Job, images: bool) -> World:
    """The job's world, compiled at its first use in this process."""
    from vidpretrain.sim.worlds.env import World

    changed_ns = Path(job.task).stat().st_mtime_ns if job.task.endswith(".py") else 0
    key = (job.task, changed_ns, job.robot, job.world, images)
    if key not in _WORLDS:
        _WORLDS[key] = World(job.task, job.robot, job.world, images=images)
    return _WORLDS[key]


def play_job(job: Job) -> Outcome:
    """One episode without pictures."""
    from vidpretrain.sim.worlds import rollout

    policy = {
        "expert": lambda: rollout.ExpertPolicy(job.noise_rad, job.noise_fraction),
        "hold": rollout.HoldPolicy,
        "random": rollout.RandomPolicy,
    }[job.policy]()
    return rollout.play(world_of(job, images=False), policy, job.seed)


def run_jobs(work: Callable[[Job], Any], jobs: Sequence[Job], workers: int, own_process: bool = False) -> Iterator[Any]:
    """What `work` (a module's function) gives for every job, in order, or `Died`; a few jobs ahead of the reader.

    An error that `work` raises is raised here. One worker is this process, unless `own_process`: what draws must not
    run where torch may be imported.
    """
    if workers <= 1 and not own_process:
        yield from map(work, jobs)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=spawn)
    waiting: deque[tuple[Job, Future]] = deque()
    rest = deque(jobs)
    try:
        while rest or waiting:
            try:
                while rest and len(waiting) < workers + 2:
                    waiting.append((rest[0], pool.submit(work, rest[0])))
                    rest.popleft()
                result = waiting[0][1].result()
            except BrokenProcessPool:  # one of those that wait has ended its worker: nobody knows which
                pool.shutdown(wait=True, cancel_futures=True)
                for job, future in waiting:
                    whole = future.done() and not future.cancelled() and future.exception() is None
                    yield future.result() if whole else _alone(work, job)
                waiting.clear()
                pool = ProcessPoolExecutor(max_workers=workers, mp_context=spawn)
            else:
                waiting.popleft()
                yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(work: Callable[[Job], Any], job: Job) -> Any:
    """The job again in a process of its own, so that only the job that ends its worker is lost."""
    spawn = multiprocessing.get_context("spawn")
    for _ in range(_TRIES - 1):
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
            try:
                return pool.submit(work, job).result()
            except BrokenProcessPool:
                continue
    return Died(job=job)
