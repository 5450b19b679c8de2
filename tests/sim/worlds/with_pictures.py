"""Tests that draw pictures, in a process of their own: `test_worlds_env.test_with_pictures` starts it.

Importing torch in a process that has drawn off-screen ends in a segmentation fault, and other tests import it.
"""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from vidpretrain.sim.worlds import AXES, TASKS, WorldConfig, env_id


@pytest.mark.filterwarnings("ignore:.*Box action spaces.*")
@pytest.mark.parametrize("task", TASKS)
def test_gymnasium_accepts_it(world_of, task):
    check_env(world_of(task, images=True), skip_render_check=True)


def test_made_by_its_name():
    env = gymnasium.make(env_id("reach_touch", "g1_inspire"), config=WorldConfig(image_px=64), render_mode="rgb_array")
    observation, info = env.reset(seed=0)
    assert observation["image"].shape == (64, 64, 3)
    assert observation["state"].shape == (26,)
    assert observation["instruction"] == "touch the ball"
    assert info["T_base_wrist"].shape == (2, 7)
    assert np.array_equal(env.render(), observation["image"])
    assert observation["image"].std() > 10  # a picture, not one colour
    env.close()


@pytest.mark.parametrize("task", ["pick_lift", "open_drawer"])
def test_same_seed_same_bytes(world_of, task):
    world = world_of(task, images=True)

    def play(seed):
        out = [world.reset(seed=seed)[0]]
        rng = np.random.default_rng(0)
        for _ in range(8):
            out.append(world.step(world.stage.command + rng.normal(0, 0.05, world.action_spec.width))[0])
        return b"".join(o[k].tobytes() for o in out for k in ("image", "state", "camera"))

    first = play(5)
    assert play(6) != first
    assert play(5) == first


@pytest.mark.parametrize("axis", AXES)
def test_every_axis_changes_something(world_of, axis):
    """Shifting one axis alone changes the picture or the physics of the same seed."""
    plain, shifted = WorldConfig(image_px=64), WorldConfig(image_px=64).out_of_distribution(axis)
    seen = []
    for config in (plain, shifted):
        world = world_of("pick_lift", config=config, images=True)
        observation, _ = world.reset(options={"episode_seed": 4})
        command = world.stage.command + 0.3 * np.eye(world.action_spec.width)[3]
        after = world.step(command)[0]
        model = world.stage.model
        seen.append(
            (
                observation["image"].tobytes(),
                after["state"].tobytes(),
                model.body_mass.tobytes(),
                model.geom_friction.tobytes(),
                world.stage.data.qpos.tobytes(),
            )
        )
        value = world.stage.variation[axis]
        inside, outside = getattr(config, axis).inside, getattr(config, axis).outside
        assert outside[0] <= value <= outside[1]
        assert (inside[0] <= value <= inside[1]) == (config is plain)
    assert seen[0] != seen[1]
