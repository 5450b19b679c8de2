"""A robot moved by its wrists: the expert's own wrists do the task, and a policy in another process is asked."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.actions import ActionConfig, base_wrists, camera_spec, camera_vectors
from vidpretrain.actions.camera import hand_columns
from vidpretrain.sim.worlds import ExpertPolicy, WorldConfig
from vidpretrain.sim.worlds.drive import WristDriver


def expert_by_wrists(world, seed):
    """The expert's commands told as wrists in the camera's frame, and turned back into joints."""
    observation, info = world.reset(options={"episode_seed": seed})
    robot = world.stage.robot
    spec = camera_spec(robot, ActionConfig(rate_hz=world.config.rate_hz))
    driver, expert = WristDriver(world.stage), ExpertPolicy()
    driver.reset()
    expert.reset(world, seed)
    over, apart = False, []
    while not over:
        label = expert.act(observation)
        vector = camera_vectors(label, robot, spec, world.T_base_camera)
        action = driver.action(base_wrists(vector, spec, world.T_base_camera)[:], hand_columns(vector))
        back = camera_vectors(action, robot, spec, world.T_base_camera)
        apart.append(np.abs(back - vector)[[0, 1, 2, 9, 10, 11]].max())
        observation, _, done, cut, info = world.step(action)
        over = done or cut
    return info["success"], max(apart)


@pytest.mark.parametrize("task", ["pick_lift", "reach_touch"])
def test_wrists_are_enough_to_do_the_task(world_of, task):
    world = world_of(task, config=WorldConfig(image_px=64))
    found = [expert_by_wrists(world, seed) for seed in (70_000, 70_001, 70_002)]
    assert sum(success for success, _ in found) >= 2
    assert max(apart for _, apart in found) < 0.02  # m between where the wrists were told and where they are sent
