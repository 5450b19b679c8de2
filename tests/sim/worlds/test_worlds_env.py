"""The environments: gymnasium's own check, same seed same bytes, what varies, and what is refused."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from vidpretrain.errors import ConfigError, InputError, UnknownName
from vidpretrain.sim.worlds import TASKS, Axis, World, WorldConfig, env_id, load_task

IDS = [(task, robot) for task in TASKS for robot in load_task(task)[1].robots]


def test_with_pictures():
    """gymnasium's own check, same seed same bytes, and what every axis changes: see with_pictures.py."""
    path = Path(__file__).with_name("with_pictures.py")
    done = subprocess.run([sys.executable, "-m", "pytest", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "passed" in done.stdout


def test_every_task_is_registered():
    assert len(TASKS) == 8
    for task, robot in IDS:
        assert env_id(task, robot) in gymnasium.registry
    assert {robot for _, robot in IDS} == {"g1_inspire", "gr1", "h1"}


def test_episode_is_played_again_by_its_own_seed(world_of):
    world = world_of("pick_lift")
    a, info = world.reset(seed=11)
    start = world.stage.data.qpos.copy()
    world.reset(seed=12)
    b, again = world.reset(options={"episode_seed": info["seed"]})
    assert again["seed"] == info["seed"]
    assert np.array_equal(world.stage.data.qpos, start)
    assert np.array_equal(a["state"], b["state"])


def test_axis_draws_where_it_says():
    axis = Axis(inside=(1.0, 2.0), outside=(0.0, 4.0))
    rng = np.random.default_rng(0)
    inside = np.array([axis.draw(rng) for _ in range(300)])
    beyond = np.array([axis.draw(rng, shifted=True) for _ in range(300)])
    assert inside.min() >= 1
    assert inside.max() <= 2
    assert ((beyond < 1) | (beyond > 2)).all()
    assert 0 <= beyond.min() < 1
    assert 2 < beyond.max() <= 4
    assert abs((beyond > 2).mean() - 2 / 3) < 0.1  # in proportion to the two parts
    with pytest.raises(ValueError, match="contain"):
        Axis(inside=(0.0, 3.0), outside=(1.0, 4.0))


def test_physics_follows_the_command(world_of):
    """Critically damped position control: a small step of one joint arrives, and others stay."""
    quiet = {"motor_noise_rad": Axis(inside=(0.0, 0.0), outside=(0.0, 0.0))}
    world = world_of("reach_touch", config=dataclasses.replace(WorldConfig(), **quiet))
    world.reset(seed=0)
    start = world.stage.state
    command = start.astype(float)
    command[3] += 0.2
    track = []
    for _ in range(10):
        observation, *_ = world.step(command)
        track.append(float(observation["state"][3] - start[3]))
    assert abs(track[-1] - 0.2) < 0.01
    assert max(track) < 0.21  # no overshoot
    moved = np.abs(observation["state"] - start)
    moved[3] = 0
    assert moved.max() < 0.02


def test_latency_is_how_late_the_motors_are(world_of):
    """With a later command the same joint is behind by about speed times latency."""
    late = Axis(inside=(0.1, 0.1), outside=(0.1, 0.1))
    none = Axis(inside=(0.0, 0.0), outside=(0.0, 0.0))
    behind = []
    for latency in (none, late):
        config = dataclasses.replace(WorldConfig(), latency_s=latency, motor_noise_rad=none)
        world = world_of("reach_touch", config=config)
        world.reset(options={"episode_seed": 1})
        command = world.stage.command.copy()
        for _ in range(6):
            command[3] -= 0.05  # 0.5 rad/s at 10 Hz, away from the limit
            observation, *_ = world.step(command)
        behind.append(float(observation["state"][3] - command[3]))
    assert abs((behind[1] - behind[0]) - 0.05) < 0.015


def test_bad_actions_are_refused(world_of):
    world = world_of("pick_lift")
    world.reset(seed=0)
    with pytest.raises(InputError, match="does not fit"):
        world.step(np.zeros(5))
    bad = world.stage.command.copy()
    bad[0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        world.step(bad)


def test_actions_beyond_limits_are_clipped(world_of):
    world = world_of("reach_touch")
    world.reset(seed=0)
    world.step(np.full(world.action_spec.width, 1e6))
    assert np.allclose(world.stage.command, world.stage.action_high)


def test_episode_is_cut_off_at_its_duration(world_of):
    world = world_of("reach_touch")
    world.reset(seed=0)
    for k in range(world.limit):
        _, _, done, cut, _ = world.step(world.stage.command)
        assert not done
        assert cut == (k == world.limit - 1)


def test_unknown_names():
    with pytest.raises(UnknownName, match="pick_lift"):
        World("pick_lif")
    with pytest.raises(UnknownName, match="did you mean 'friction'"):
        WorldConfig(shifted=("fricton",))
    with pytest.raises(InputError, match="needs hands"):
        World("pour", "h1")
    with pytest.raises(InputError, match="no humanoid with two arms"):
        World("reach_touch", "inspire_right")


@pytest.mark.parametrize(("key", "value"), [("image_px", 15), ("rate_hz", 0.0), ("rate_hz", 100.0)])
def test_bad_config(key, value):
    with pytest.raises(ValueError, match=key):
        WorldConfig(**{key: value})


def test_config_reads_from_yaml():
    from vidpretrain import config

    read = config.build(WorldConfig, {"shifted": ["light"], "mass": {"inside": [1, 1], "outside": [0.5, 2]}})
    assert read.mass == Axis(inside=(1.0, 1.0), outside=(0.5, 2.0))
    with pytest.raises(ConfigError, match="contain"):
        config.build(WorldConfig, {"mass": {"inside": [0, 1], "outside": [0.5, 2]}})
