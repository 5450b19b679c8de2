"""Worlds that several tests use: compiled once."""

from __future__ import annotations

import pytest

from vidpretrain.errors import MissingAsset


@pytest.fixture(scope="session")
def world_of():
    """A function (task, robot, config, images) -> World, kept for the session; skips where the robot is missing."""
    from vidpretrain.sim.worlds import World

    made: dict = {}

    def make(task, robot="g1_inspire", config=None, images=False):
        key = (task, robot, config, images)
        if key not in made:
            try:
                made[key] = World(task, robot, config, images=images)
            except MissingAsset as missing:
                pytest.skip(str(missing))
        return made[key]

    yield make
    for world in made.values():
        world.close()
