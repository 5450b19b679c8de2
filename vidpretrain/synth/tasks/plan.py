"""A configuration to its clips: who does the task where, seen how; plain draws, nothing is acted or rendered."""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpretrain import config as configuration
from vidpretrain.robot import load_robot
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.synth import pools, rooms
from vidpretrain.synth.config import SynthConfig
from vidpretrain.synth.groups import GROUPS
from vidpretrain.synth.planning import dressed
from vidpretrain.synth.specs import ClipSpec, MotionSpec
from vidpretrain.synth.tasks.config import TaskFilmConfig

_VERSION = 6  # of what is acted and filmed; a new number films everything anew


@dataclass(frozen=True, kw_only=True)
class TaskClip:
    """One film: the clip (room, person, camera, picture), and whose episode is followed how.

    `shift_m` (3) and `turn_rad` (3) are how the head camera stands off its place, in its own axes.
    """

    clip: ClipSpec
    task: str
    robot: str
    world: WorldConfig
    expert_seed: int
    speed: float
    lead_s: float
    tail_s: float
    shift_m: tuple[float, float, float]
    turn_rad: tuple[float, float, float]


def plan_task(config: TaskFilmConfig) -> tuple[TaskClip, ...]:
    """The films of a configuration, in order; film k follows the expert's episode of seed `first_seed` + k.

    Raises:
        UnknownName, MissingAsset: there is no such robot, or its files are missing.
    """
    robot = load_robot(config.robot)
    source = Path(config.task).read_text() if config.task.endswith(".py") else ""
    same = (_VERSION, robot.digest, source)
    return tuple(_clip(config, k, same) for k in range(config.clips))


def _clip(config: TaskFilmConfig, k: int, same: tuple) -> TaskClip:
    task, view = Path(config.task).stem, config.views[k % len(config.views)]
    key = (config.pool_seed, zlib.crc32(task.encode()), config.first_seed + k)
    rng = np.random.default_rng(pools.numbers(config.split, "choice", *key))
    recipe = GROUPS[view]
    person = pools.person(config.split, config.pool_seed, int(rng.integers(config.people)))
    room = rooms.room(config.split, config.pool_seed, int(rng.integers(config.rooms)))
    looks = SynthConfig(fov_deg=config.third_fov_deg, crf=config.crf)
    camera = pools.camera(config.split, recipe, looks, key, 0)
    if view == "head":
        camera = dataclasses.replace(camera, fov_x_deg=float(rng.uniform(*config.head_fov_deg)))
    clip = ClipSpec(
        name=f"{k:04d}_{task}_{view}",
        index=k,
        group=view,
        split=config.split,
        people=(dressed(person, recipe, rng),),
        motions=(
            MotionSpec(
                name=f"{task}-{config.robot}-{config.first_seed + k}",
                motion=task,
                seed=pools.numbers(config.split, "motion", *key),
                gaze_deg=config.gaze_deg,
            ),
        ),
        room=room,
        camera=camera,
        picture=pools.picture(config.split, recipe, looks, key),
        seed=pools.numbers(config.split, "choice", *key),
        occluder=False,
        duration_s=0.0,  # as long as the expert's episode makes it
        rate_hz=config.rate_hz,
        width_px=config.width_px,
        height_px=config.height_px,
        shadows=config.shadows,
    )
    shift, turn = config.camera_shift_m * rng.normal(size=3), config.camera_turn_rad * rng.normal(size=3)
    made = TaskClip(
        clip=clip,
        task=config.task,
        robot=config.robot,
        world=dataclasses.replace(config.world, image_px=64, masked_arms=False),
        expert_seed=config.first_seed + k,
        speed=float(rng.uniform(*config.speed)),
        lead_s=config.lead_s,
        tail_s=config.tail_s,
        shift_m=(float(shift[0]), float(shift[1]), float(shift[2])),
        turn_rad=(float(turn[0]), float(turn[1]), float(turn[2])),
    )
    digest = configuration.digest(*same, configuration.plain(made))
    return dataclasses.replace(made, clip=dataclasses.replace(clip, digest=digest))
