"""Experts, judges and recordings."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.errors import DatasetError, InputError, MissingAsset
from vidpretrain.robot import load_robot
from vidpretrain.sim.worlds import (
    TASKS,
    ExpertPolicy,
    HoldPolicy,
    RandomPolicy,
    RecordConfig,
    ReplayPolicy,
    WorldConfig,
    play,
    record_episodes,
    require_spec,
)
from vidpretrain.sim.worlds.rollout import success_rate

SMALL = WorldConfig(image_px=32)


@pytest.mark.parametrize("robot", ["g1_inspire", "gr1"])
@pytest.mark.parametrize("task", TASKS)
def test_expert_succeeds_and_idleness_does_not(world_of, task, robot):
    """The full count (50 seeds, both robots) is `make bench-sim`; here five."""
    world = world_of(task, robot)
    expert = [play(world, ExpertPolicy(noise_rad=0.01, noise_fraction=0.02), seed) for seed in range(100, 105)]
    assert success_rate(expert) >= 0.8
    assert success_rate(play(world, HoldPolicy(), seed) for seed in range(2)) == 0.0
    assert all(0 <= o.progress <= 1 for o in expert)


def test_a_robot_without_fingers_reaches(world_of):
    world = world_of("reach_touch", "h1")
    assert success_rate(play(world, ExpertPolicy(), seed) for seed in range(5)) >= 0.8


def test_random_moves_do_not_lift(world_of):
    assert success_rate(play(world_of("pick_lift"), RandomPolicy(), seed) for seed in range(5)) == 0.0


def test_grasp_is_by_contact(world_of):
    """The can is held by touching parts alone: nothing welds it, and it falls when the hand opens."""
    world = world_of("pick_lift")
    policy = ExpertPolicy()
    world.reset(options={"episode_seed": 0})
    policy.reset(world, 0)
    over = False
    while not over:
        *_, over, _, info = world.step(policy.act({}))
    assert info["success"]
    assert world.stage.model.neq == 0
    high = world.stage.at("can")[2]
    action = policy.label.copy()
    action[world.action_spec.slices()["right_hand"]] = 1.0
    for _ in range(10):
        world.step(action)
    assert world.stage.at("can")[2] < high - 0.08


def test_labels_are_clean_and_execution_is_not(world_of):
    world = world_of("reach_touch")
    noisy, clean = ExpertPolicy(noise_rad=0.02), ExpertPolicy()
    world.reset(options={"episode_seed": 3})
    noisy.reset(world, 3)
    executed, labels = [], []
    for _ in range(10):
        executed.append(noisy.act({}))
        labels.append(noisy.label)
        world.step(executed[-1])
    world.reset(options={"episode_seed": 3})
    clean.reset(world, 3)
    wanted = []
    for _ in range(10):
        wanted.append(clean.act({}))
        world.step(wanted[-1])
    off = np.array(executed) - np.array(labels)
    arms = slice(0, 14)
    assert 0.01 < off[:, arms].std() < 0.03
    np.testing.assert_allclose(labels, wanted, atol=1e-9)  # this script does not look back at the robot


def test_script_reaches_where_it_is_told(world_of):
    """The solver's joints put the palms on their targets: forward kinematics of the physics agrees."""
    from vidpretrain import geometry
    from vidpretrain.sim.worlds.script import Script

    world = world_of("reach_touch")
    world.reset(seed=1)
    stage, do = world.stage, Script(world.stage)
    goal = geometry.pose(do.palm["right"][:4], do.palm["right"][4:] + np.array([0.10, 0.05, 0.05]))
    for _ in do.move(1.5, {"right": goal}):
        stage.advance(do.action)
    for _ in do.wait(0.5):
        stage.advance(do.action)
    assert np.linalg.norm(stage.palm("right")[4:] - goal[4:]) < 0.01
    assert geometry.angle_between(stage.palm("right")[:4], goal[:4]) < 0.1


def test_recording_is_a_data_set_that_replays(world_of, tmp_path):
    from vidpretrain.dataset import check_dataset, open_dataset

    config = RecordConfig(task="reach_touch", episodes=3, workers=1, world=SMALL, noise_rad=0.0, noise_fraction=0.0)
    made = record_episodes(config, tmp_path / "set")
    assert made["made"]
    assert made["episodes"] == 3
    assert made["attempts"] == 3 + sum(made["dropped"].values())
    report = check_dataset(tmp_path / "set")
    assert report["ok"]
    assert report["frames"] == made["rows"]
    assert not record_episodes(config, tmp_path / "set")["made"]
    found = open_dataset(tmp_path / "set")
    world = world_of("reach_touch", config=SMALL)
    require_spec(found.spec, world)
    assert play(world, ReplayPolicy(found.columns(0)["action"]), made["seeds"][0]).success


def test_failures_are_dropped_and_counted(tmp_path):
    """With a badly shaken hand some attempts fail: what is in the set are successes, what is not is counted."""
    from vidpretrain.dataset import open_dataset

    config = RecordConfig(task="push_goal", episodes=3, workers=1, world=SMALL, noise_rad=0.12, least_success=0.1)
    made = record_episodes(config, tmp_path / "shaken")
    assert made["dropped"] == {"not done": made["attempts"] - 3}
    assert made["attempts"] > 3
    assert made["seeds"][-1] == made["attempts"] - 1
    assert len(open_dataset(tmp_path / "shaken")) == 3


def test_recording_needs_an_expert_that_succeeds(tmp_path):
    from vidpretrain.sim.worlds import Axis

    far = WorldConfig(image_px=32, placement=Axis(inside=(8.0, 8.0), outside=(8.0, 8.0)))
    with pytest.raises(InputError, match="fails too often"):
        record_episodes(RecordConfig(task="pick_lift", episodes=1, workers=1, world=far), tmp_path / "far")
    assert not (tmp_path / "far").exists()


def test_vectors_of_another_robot_are_refused(world_of):
    from vidpretrain.actions import ActionConfig, spec_for

    world = world_of("reach_touch")
    try:
        other = spec_for(load_robot("g1_dex3"), ActionConfig(rate_hz=10.0, wrist_poses=False))
    except MissingAsset as missing:
        pytest.skip(str(missing))
    with pytest.raises(DatasetError, match="left_hand"):
        require_spec(other, world)
    fast = spec_for(load_robot("g1_inspire"), ActionConfig(rate_hz=30.0, wrist_poses=False))
    with pytest.raises(DatasetError, match="30 Hz"):
        require_spec(fast, world)
    world.reset(seed=0)
    with pytest.raises(InputError, match="another robot"):
        ReplayPolicy(np.zeros((4, 7))).reset(world, 0)
