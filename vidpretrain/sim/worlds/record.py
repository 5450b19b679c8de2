"""Recording experts: episodes with pictures, clean labels under noisy execution, as a LeRobot v3 data set."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import config as configuration
from vidpretrain.errors import InputError
from vidpretrain.robot import load_robot
from vidpretrain.sim.rendered_episode import rendered_episode
from vidpretrain.sim.worlds.catalog import load_task
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.sim.worlds.jobs import Died, Job, run_jobs, world_of
from vidpretrain.types import ActionSpec, Episode, Reason, Reject

RECORD = "worlds.json"
_VERSION = 1  # of what is recorded; a new number records everything anew


@dataclass(frozen=True, kw_only=True)
class RecordConfig:
    """What to record: `episodes` successes of the task's expert, seeds counted up from `seed`.

    `noise_rad` and `noise_fraction` push the executed command off the label on arms and hands. `least_success` is the
    share of attempts that has to succeed; below it the expert, not the luck, is to blame.
    """

    task: str
    robot: str = "g1_inspire"
    episodes: int = 50
    seed: int = 0
    noise_rad: float = 0.01
    noise_fraction: float = 0.02
    least_success: float = 0.5
    workers: int = 2
    world: WorldConfig = field(default_factory=WorldConfig)

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.workers < 1 or self.seed < 0:
            raise ValueError("episodes and workers must be at least 1, seed at least 0")
        if min(self.noise_rad, self.noise_fraction) < 0 or not 0 < self.least_success <= 1:
            raise ValueError("noise must not be negative, least_success in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt: rows of state and label (t d), pictures (t h w 3), the camera's pose; or why it is dropped."""

    seed: int
    dropped: str
    detail: str = ""
    state: np.ndarray | None = None
    action: np.ndarray | None = None
    frames: np.ndarray | None = None
    T_base_camera: np.ndarray | None = None


def record_episodes(config: RecordConfig, out_root: Path | str) -> dict[str, Any]:
    """Record at `out_root`; what happened, as plain data. An attempt that fails is dropped and counted.

    Keys: task, robot, episodes, rows, attempts, dropped (count by reason), seeds, digest, root, made (false where the
    same recording was there already).

    Raises:
        InputError: too few attempts succeed, or the robot has no hands where the task needs them.
        ConfigError, UnknownName: the task is not whole or not known.
        DatasetError: `out_root` holds something that is not a recording of this function.
        MissingAsset: the robot's files or an off-screen OpenGL are missing.
    """
    from vidpretrain.dataset import DatasetWriter

    root, robot = Path(out_root), load_robot(config.robot)
    task, _ = load_task(config.task)
    source = Path(config.task).read_text() if config.task.endswith(".py") else ""
    digest = configuration.digest(_VERSION, _without_workers(config), robot.digest, source)
    earlier = _earlier(root)
    if earlier is not None and earlier.get("digest") == digest:
        return {**earlier, "root": str(root), "made": False}
    most = int(np.ceil(config.episodes / config.least_success))
    jobs = [
        Job(
            task=config.task,
            robot=config.robot,
            world=config.world,
            seed=config.seed + k,
            noise_rad=config.noise_rad,
            noise_fraction=config.noise_fraction,
        )
        for k in range(most)
    ]
    world_of(jobs[0], images=False)  # what is wrong with task or robot is said before anything is written
    spec = _spec(config)
    px = config.world.image_px
    writer = DatasetWriter(
        root,
        spec,
        rate_hz=config.world.rate_hz,
        image_size=(px, px),
        robot_type=robot.name,
        overwrite=earlier is not None,
    )
    seeds, rows, attempts, dropped = [], 0, 0, Counter[str]()
    with writer:
        for found in run_jobs(attempt, jobs, config.workers, own_process=True):
            attempts += 1
            if isinstance(found, Died):
                found = Attempt(seed=found.job.seed, dropped="worker died")
            if found.dropped:
                dropped[found.dropped] += 1
                detail = f"{found.dropped} {found.detail}".strip()
                writer.add_reject(f"{config.task}-{found.seed}", Reject(reason=Reason.FAILED, detail=detail))
                continue
            assert found.frames is not None
            writer.add_episode(_episode(found, config, spec, task.instruction, robot, digest), iter(found.frames))
            rows, seeds = rows + len(found.frames), [*seeds, found.seed]
            if len(seeds) == config.episodes:
                break
        if len(seeds) < config.episodes:
            raise InputError(
                f"the expert of {config.task} fails too often with {robot.name}",
                asked=f"{config.episodes} episodes",
                found=f"{len(seeds)} of {attempts} attempts; dropped: {dict(dropped)}",
                next_command=f"vidpretrain tasks check {config.task} --robot {config.robot}",
            )
    result = {
        "task": task.name,
        "instruction": task.instruction,
        "robot": robot.name,
        "episodes": len(seeds),
        "rows": rows,
        "attempts": attempts,
        "dropped": dict(dropped),
        "seeds": seeds,
        "shifted": list(config.world.shifted),
        "digest": digest,
    }
    beside = root / f"{RECORD}.tmp"
    beside.write_text(json.dumps(result, indent=1))
    os.replace(beside, root / RECORD)
    return {**result, "root": str(root), "made": True}


def attempt(job: Job) -> Attempt:
    """One attempt of the expert with pictures; dropped unless it succeeds."""
    from vidpretrain.sim.worlds.rollout import ExpertPolicy
    from vidpretrain.sim.worlds.stage import Unstable

    world = world_of(job, images=True)
    policy = ExpertPolicy(job.noise_rad, job.noise_fraction)
    try:
        observation, info = world.reset(options={"episode_seed": job.seed})
    except Unstable as error:
        return Attempt(seed=job.seed, dropped="unstable", detail=str(error.found))
    policy.reset(world, job.seed)
    states, labels, frames, over = [], [], [], False
    while not over:
        states.append(observation["state"])
        frames.append(observation["image"])
        executed = policy.act(observation)
        labels.append(policy.label.astype(np.float32))
        observation, _, done, cut, info = world.step(executed)
        over = done or cut
    if info["unstable"]:
        return Attempt(seed=job.seed, dropped="unstable", detail=info["unstable"])
    if not info["success"]:
        return Attempt(seed=job.seed, dropped="not done", detail=f"progress {info['progress']:.2f}")
    return Attempt(
        seed=job.seed,
        dropped="",
        state=np.stack(states),
        action=np.stack(labels),
        frames=np.stack(frames),
        T_base_camera=world.T_base_camera,
    )


def _without_workers(config: RecordConfig) -> dict[str, Any]:
    return {key: value for key, value in configuration.plain(config).items() if key != "workers"}


def _spec(config: RecordConfig) -> ActionSpec:
    from vidpretrain.actions import ActionConfig, spec_for

    return spec_for(load_robot(config.robot), ActionConfig(rate_hz=config.world.rate_hz, wrist_poses=False))


def _earlier(root: Path) -> dict[str, Any] | None:
    try:
        return json.loads((root / RECORD).read_text())
    except (OSError, ValueError):
        return None


def _episode(found: Attempt, config: RecordConfig, spec: ActionSpec, instruction: str, robot, digest: str) -> Episode:
    assert found.state is not None
    assert found.action is not None
    assert found.T_base_camera is not None
    task, px = Path(config.task).stem, config.world.image_px
    return rendered_episode(
        robot=robot,
        spec=spec,
        state=found.state,
        action=found.action,
        T_base_camera=found.T_base_camera,
        width_px=px,
        height_px=px,
        rate_hz=config.world.rate_hz,
        name=f"world_{task}_{robot.name}_{found.seed:06d}",
        uri=f"generated:vidpretrain.sim.worlds/{task}/{robot.name}/{found.seed}",
        sha256=configuration.digest(digest, found.seed),
        instruction=instruction,
    )
