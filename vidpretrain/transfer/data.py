"""The caches of the benchmark: the robot's episodes and the people's, one each per task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vidpretrain import config as configs
from vidpretrain import geometry
from vidpretrain.actions import ActionConfig, camera_spec, camera_vectors
from vidpretrain.actions.camera import wrist_columns
from vidpretrain.dataset import CacheEpisode, TrainingCache, find_cache, write_cache
from vidpretrain.errors import InputError
from vidpretrain.robot import Robot, load_robot
from vidpretrain.sim.worlds.catalog import load_task
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.sim.worlds.jobs import Died, Job, run_jobs
from vidpretrain.sim.worlds.person import FILM_HZ, Filmed, film
from vidpretrain.sim.worlds.record import attempt
from vidpretrain.transfer.config import BridgeConfig, PeopleConfig, TransferConfig
from vidpretrain.transfer.tracker import track
from vidpretrain.types import ActionSpec

_VERSION = 1  # of what is recorded; a new number records everything anew
_NOISE_RAD, _NOISE_FRACTION, _LEAST = 0.01, 0.02, 0.5
PERSON = "person"


def robot_cache(config: TransferConfig, bridges: BridgeConfig, task: str, out: Path) -> TrainingCache:
    """The robot's demonstrations of a task as vectors of `camera_spec`, recorded now or found.

    Raises:
        InputError: the expert fails too often.
    """
    robot, world = load_robot(config.robot), _world(config, bridges)
    spec = _spec(config, bridges, robot, world.rate_hz)
    made_of = ("robot", _VERSION, task, robot.digest, configs.plain(world), config.robot_episodes, config.first_seed)
    digest = configs.digest(*made_of, configs.plain(spec))
    return find_cache(out, digest) or write_cache(out, spec, _robot_episodes(config, task, robot, spec, world), digest)


def people_cache(config: TransferConfig, bridges: BridgeConfig, task: str, out: Path) -> TrainingCache:
    """People doing the task, as vectors of `camera_spec` under the embodiment `person`, at the film's rate.

    Level 1 has labels from a model of a tracker, level 2 those of the real extraction of rendered films, which lie in
    the folder `films` beside that of the caches.

    Raises:
        InputError: the expert fails too often.
    """
    robot = load_robot(config.robot)
    world = dataclasses.replace(_world(config, bridges), rate_hz=FILM_HZ)
    spec = dataclasses.replace(_spec(config, bridges, robot, FILM_HZ), embodiment=PERSON)
    if config.level == 2:
        return _filmed_cache(config, bridges, task, spec, out)
    made_of = ("people", _VERSION, task, robot.digest, configs.plain(world), configs.plain(config.people))
    digest = configs.digest(*made_of, configs.plain(spec), bridges.trust, bridges.grip)
    return find_cache(out, digest) or write_cache(
        out, spec, _people_episodes(config, bridges, task, spec, world), digest
    )


def _filmed_cache(
    config: TransferConfig, bridges: BridgeConfig, task: str, spec: ActionSpec, out: Path
) -> TrainingCache:
    from vidpretrain.transfer.extracted import data_config, film_config, filmed_episodes

    film, data = configs.plain(film_config(config, task)), configs.plain(data_config(config))
    for plain in (film, data):
        plain.pop("workers")
    made_of = ("filmed", _VERSION, load_robot(config.robot).digest, film, data, config.world.image_px)
    digest = configs.digest(*made_of, configs.plain(spec), bridges.trust, bridges.grip, bridges.masking)
    found = find_cache(out, digest)
    if found is not None:
        return found
    instruction = load_task(task)[0].instruction
    episodes = filmed_episodes(config, bridges, task, spec, out.parents[1], instruction)
    return write_cache(out, spec, episodes, digest)


def _world(config: TransferConfig, bridges: BridgeConfig) -> WorldConfig:
    return dataclasses.replace(config.world, masked_arms=bridges.masking)


def _spec(config: TransferConfig, bridges: BridgeConfig, robot: Robot, rate_hz: float) -> ActionSpec:
    frame = "camera" if bridges.frame else "base"
    return camera_spec(robot, ActionConfig(rate_hz=rate_hz, horizon=config.horizon), frame=frame)


def _robot_episodes(
    config: TransferConfig, task: str, robot: Robot, spec: ActionSpec, world: WorldConfig
) -> Iterator[CacheEpisode]:
    instruction, fov_rad = load_task(task)[0].instruction, float(robot.expected_fov_x_rad)
    for found in _attempts(attempt, config, task, world, config.robot_episodes, config.first_seed):
        state, action = (camera_vectors(v, robot, spec, found.T_base_camera) for v in (found.state, found.action))
        every = np.ones(state.shape, dtype=bool)
        yield CacheEpisode(
            images=found.frames,
            state=state,
            action=action,
            valid=every,
            weight=every.astype(np.float32),
            fov_rad=fov_rad,
            instruction=instruction,
            source=f"{task}-{found.seed}",
        )


def _people_episodes(
    config: TransferConfig, bridges: BridgeConfig, task: str, spec: ActionSpec, world: WorldConfig
) -> Iterator[CacheEpisode]:
    people, instruction = config.people, load_task(task)[0].instruction
    ranges = {name: getattr(people, name) for name in ("speed", "camera_shift_m", "camera_turn_rad", "fov_share")}
    work = partial(film, ranges=ranges)
    for found in _attempts(work, config, task, world, people.episodes, people.first_seed):
        yield _person_episode(found, people, bridges, spec, instruction, task)


def _person_episode(
    found: Filmed,
    people: PeopleConfig,
    bridges: BridgeConfig,
    spec: ActionSpec,
    instruction: str,
    task: str,
) -> CacheEpisode:
    """What a tracker would have read from the film: the next row's pose is the action, as with real extraction."""
    assert found.T_base_wrist is not None
    assert found.hands is not None
    assert found.T_base_head is not None
    assert found.T_base_camera is not None
    assert found.frames is not None
    T_camera_base = geometry.inverse(found.T_base_camera)
    T_true = geometry.compose(np.broadcast_to(T_camera_base, found.T_base_wrist.shape), found.T_base_wrist)
    tracked = track(T_true, found.hands, people, np.random.default_rng([found.seed, 6]))
    head = found.T_base_head  # where a person's camera is taken to be when it matters
    T_base_wrist = geometry.compose(np.broadcast_to(head, tracked.T_camera_wrist.shape), tracked.T_camera_wrist)
    state = np.concatenate([wrist_columns(T_base_wrist, spec, head), tracked.hands], axis=-1)
    ahead = np.minimum(np.arange(len(state)) + 1, len(state) - 1)
    action = squeezed(state[ahead], spec) if bridges.grip else state[ahead]
    valid, weight = tracked.columns(spec)
    return CacheEpisode(
        images=found.frames,
        state=state.astype(np.float32),
        action=action.astype(np.float32),
        valid=valid & valid[ahead],
        weight=weight if bridges.trust else np.ones_like(weight),
        fov_rad=found.fov_rad,
        instruction=instruction,
        source=f"{task}-person-{found.seed}",
    )


def squeezed(vector: Float[np.ndarray, "t d"], spec: ActionSpec) -> Float[np.ndarray, "t d"]:
    """The vectors with hands that are seen half closed told to close, since a thing in the hand keeps fingers apart.

    Below a mean closure of .2 of the stroke nothing changes, above .4 fingers are told to close wholly, in between the
    share grows evenly; how a thumb is turned stays.
    """
    out = np.array(vector)
    for group, part in zip(spec.groups, spec.slices().values(), strict=True):
        if group.quantity != "hand":
            continue
        bends = np.arange(part.start, part.stop)[["rotation" not in name for name in group.names]]
        share = np.clip((1.0 - out[:, bends].mean(axis=1, keepdims=True) - 0.2) / 0.2, 0.0, 1.0)
        out[:, bends] *= 1.0 - share
    return out


def _attempts(
    work: Callable[[Job], Any], config: TransferConfig, task: str, world: WorldConfig, wanted: int, first_seed: int
) -> Iterator[Any]:
    """`wanted` successful attempts of the expert, in the order of their seeds; failed ones are left out.

    Raises:
        InputError: fewer than half of the attempts succeed.
    """
    most = int(np.ceil(wanted / _LEAST))
    first = Job(
        task=task,
        robot=config.robot,
        world=world,
        seed=first_seed,
        noise_rad=_NOISE_RAD,
        noise_fraction=_NOISE_FRACTION,
    )
    jobs = [dataclasses.replace(first, seed=first_seed + k) for k in range(most)]
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


def wrist_speed(cache: TrainingCache) -> float:
    """Median speed (m/s) of the wrists over rows in which they move, of a cache of `camera_spec` vectors.

    A wrist moves where it is faster than a fifth of its set's 95th percentile: how fast one moves, not how often.
    """
    found = []
    for entry in cache.episodes:
        state = np.asarray(cache.state[entry["start"] : entry["exclusive_end"]], dtype=float)
        step = max(1, round(cache.spec.rate_hz / 10))  # over a tenth of a second, or noise counts as speed
        for start in (0, 9):
            place = state[:, start : start + 3]
            if len(place) > step:
                found.append(np.linalg.norm(place[step:] - place[:-step], axis=-1) * cache.spec.rate_hz / step)
    speed = np.concatenate(found)
    speed = speed[np.isfinite(speed)]
    return float(np.median(speed[speed > 0.2 * np.quantile(speed, 0.95)]))
