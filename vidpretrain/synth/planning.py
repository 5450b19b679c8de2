"""A configuration to its clips: who does what where, seen how; plain draws, nothing is rendered."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from vidpretrain import config as configuration
from vidpretrain.errors import InputError
from vidpretrain.motion_files import MOTION_SUFFIXES
from vidpretrain.synth import pools, rooms
from vidpretrain.synth.config import Split, SynthConfig
from vidpretrain.synth.dress import base_sleeves
from vidpretrain.synth.groups import GROUPS, Recipe
from vidpretrain.synth.specs import ClipSpec, MotionSpec, PersonSpec

_VERSION = 3  # of what is drawn; a new number renders everything anew
_SHARES: tuple[tuple[Split, int], ...] = (("train", 80), ("dev", 90), ("held", 100))  # of motion files, by their names


def plan(config: SynthConfig) -> tuple[ClipSpec, ...]:
    """The clips of a configuration, in order; clip i is of group i modulo the number of groups.

    Raises:
        InputError: motion files are asked for, and the folder has none for this split.
    """
    files = motion_files(config) if "third_files" in config.groups else ()
    return tuple(_clip(config, i, files) for i in range(config.clips))


def motion_files(config: SynthConfig) -> tuple[Path, ...]:
    """Files of the folder that belong to the configuration's split, by a number made from their names.

    Raises:
        InputError: there is no such folder, or no file of this split in it.
    """
    folder = config.motion_files
    if folder is None or not folder.is_dir():
        raise InputError("no such folder of motion files", asked=folder)
    every = sorted(p for p in folder.rglob("*") if p.suffix.lower() in MOTION_SUFFIXES and p.is_file())
    own = tuple(p for p in every if split_of(p.name) == config.split)
    if not own:
        raise InputError(
            f"no motion file of the folder belongs to the split {config.split}",
            asked=folder,
            found=f"{len(every)} files with {', '.join(MOTION_SUFFIXES)}",
            next_command="add files, or leave group third_files out",
        )
    return own


def split_of(name: str) -> Split:
    """The split that a motion file of this name belongs to: eight tenths train, one dev, one held."""
    number = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 100
    return next(split for split, end in _SHARES if number < end)


def _clip(config: SynthConfig, index: int, files: tuple[Path, ...]) -> ClipSpec:
    group = config.groups[index % len(config.groups)]
    turn = index // len(config.groups)
    recipe = GROUPS[group]
    drawn_as = recipe.alike or group
    key = (config.seed, zlib.crc32(drawn_as.encode()), turn)
    rng = np.random.default_rng(pools.numbers(config.split, "choice", *key))
    chosen = rng.choice(config.people, max(recipe.bodies, 1), replace=False)
    people = tuple(dressed(pools.person(config.split, config.seed, int(k)), recipe, rng) for k in chosen)
    room = rooms.room(config.split, config.seed, int(rng.integers(config.rooms)))
    camera = pools.camera(config.split, recipe, config, key, turn)
    motions = tuple(_motion(config, recipe, key, k, camera.kind, files, rng) for k in range(len(people)))
    spec = ClipSpec(
        name=f"{index:04d}_{group}" if camera.kind in group else f"{index:04d}_{group}_{camera.kind}",
        index=index,
        group=group,
        split=config.split,
        people=people[: recipe.bodies],
        motions=motions[: recipe.bodies],
        room=room,
        camera=camera,
        picture=pools.picture(config.split, recipe, config, key),
        seed=pools.numbers(config.split, "choice", *key),
        occluder=recipe.occluder,
        duration_s=config.duration_s,
        rate_hz=config.rate_hz,
        width_px=config.width_px,
        height_px=config.height_px,
        shadows=config.shadows,
    )
    motions = tuple(dataclasses.replace(motion, path="") for motion in spec.motions)  # a file's bytes count, not where
    drawn = dataclasses.replace(spec, index=0, name="", motions=motions)
    return dataclasses.replace(spec, digest=configuration.digest(_VERSION, drawn))


def dressed(person: PersonSpec, recipe: Recipe, rng: np.random.Generator) -> PersonSpec:
    """The person with sleeves and gloves as a recipe asks."""
    sleeves = str(rng.choice(list(recipe.sleeves)))
    glove = pools.glove(rng) if recipe.gloves else None
    shape = dataclasses.replace(person.shape, sleeves=base_sleeves(sleeves))
    colours = {**person.colours, "sleeve": person.colours["shirt"], "glove": glove or (0.1, 0.1, 0.1)}
    return dataclasses.replace(person, shape=shape, sleeves=sleeves, glove=glove, colours=colours)


def _motion(config, recipe: Recipe, key, k: int, kind: str, files, rng: np.random.Generator) -> MotionSpec:
    seed = pools.numbers(config.split, "motion", *key, k)
    name = f"{config.split}-motion-" + "-".join(map(str, (*key, k)))
    if recipe.motions == ("file",):
        path = files[int(rng.integers(len(files)))]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return MotionSpec(
            name=path.name,
            motion="file",
            seed=seed,
            path=str(path),
            path_digest=digest,
            rate_hz=config.file_rate_hz,
        )
    allowed = [m for m in recipe.motions if m in config.motions] or list(recipe.motions)
    motion = "gesture" if k else str(rng.choice(allowed))
    hide: Literal["", "behind", "hanging"] = ""
    if recipe.hide:
        hide = "hanging" if kind == "head" else "behind"
    return MotionSpec(name=name, motion=motion, seed=seed, gaze_deg=recipe.gaze_deg, hide=hide)
