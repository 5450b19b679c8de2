"""The caches of the benchmark: the robot's episodes and the people's, one each per task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vidpretrain import config as configs
from vidpretrain.actions import ActionConfig, camera_spec, camera_vectors
from vidpretrain.actions.camera import Frame
from vidpretrain.dataset import CacheEpisode, TrainingCache, find_cache, write_cache
from vidpretrain.errors import InputError
from vidpretrain.robot import Robot, load_robot
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.sim.worlds.jobs import Died, Job, run_jobs
from vidpretrain.transfer.config import TransferConfig

_VERSION = 1  # of what is recorded; a new number records everything anew
_NOISE_RAD, _NOISE_FRACTION, _LEAST = 0.01, 0.02, 0.5
PERSON = "person"


def robot_cache(config: TransferConfig, task: str, out: Path, frame: Frame = "camera", masked: bool = False):
    """The robot's demonstrations of a task as vectors of `camera_spec`, recorded now or found.

    Raises:
        InputError: the expert fails too often.
    """
    import dataclasses

    world = dataclasses.replace(config.world, masked_arms=masked)
    robot = load_robot(config.robot)
    spec = camera_spec(robot, ActionConfig(rate_hz=world.rate_hz, horizon=config.horizon), frame=frame)
    digest = configs.digest(
        "robot", _VERSION, task, robot.digest, configs.plain(world), config.robot_episodes, config.first_seed, frame,
        config.horizon,
    )  # fmt: skip
    found = find_cache(out, digest)
    if found is not None:
        return found
    episodes = _robot_episodes(config, task, robot, spec, world)
    return write_cache(out, spec, episodes, digest)


def _robot_episodes(
    config: TransferConfig, task: str, robot: Robot, spec, world: WorldConfig
) -> Iterator[CacheEpisode]:
    from vidpretrain.sim.worlds.catalog import load_task
    from vidpretrain.sim.worlds.record import attempt

    instruction, fov = load_task(task)[0].instruction, float(robot.expected_fov_x_rad)
    for found in attempts(attempt, config, task, world, config.robot_episodes, config.first_seed):
        state, action = (camera_vectors(v, robot, spec, found.T_base_camera) for v in (found.state, found.action))
        every = np.ones(state.shape, dtype=bool)
        yield CacheEpisode(
            images=found.frames,
            state=state,
            action=action,
            valid=every,
            weight=every.astype(np.float32),
            fov_rad=fov,
            instruction=instruction,
            source=f"{task}-{found.seed}",
        )


def attempts(work, config: TransferConfig, task: str, world: WorldConfig, wanted: int, first_seed: int, **more):
    """`wanted` successful attempts of the expert, in the order of their seeds; failed ones are left out.

    Raises:
        InputError: fewer than half of the attempts succeed.
    """
    most = int(np.ceil(wanted / _LEAST))
    jobs = [
        Job(
            task=task,
            robot=config.robot,
            world=world,
            seed=first_seed + k,
            noise_rad=_NOISE_RAD,
            noise_fraction=_NOISE_FRACTION,
        )
        for k in range(most)
    ]
    jobs = [more["into"](job) for job in jobs] if "into" in more else jobs
    count = 0
    for found in run_jobs(work, jobs, config.play.workers, own_process=True):
        if isinstance(found, Died) or found.dropped:
            continue
        yield found
        count += 1
        if count == wanted:
            return
    raise InputError(
        f"the expert of {task} fails too often",
        asked=f"{wanted} episodes",
        found=f"{count} of {most} attempts",
        next_command=f"vidpretrain tasks check {task} --robot {config.robot}",
    )


def demonstration_set(config: TransferConfig, number: int, demos: int) -> tuple[int, ...]:
    """Places of the episodes of a demonstration set: the first of a permutation that belongs to the set's number."""
    order = np.random.default_rng((config.first_seed, 17, number)).permutation(config.robot_episodes)
    return tuple(sorted(order[:demos].tolist()))


def describe(cache: TrainingCache) -> str:
    """A cache's own digest, for the keys of what is trained on it."""
    return str(cache.meta["digest"])
