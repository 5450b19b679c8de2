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


def steady(question):
    """A policy that stays: the state, sixteen times."""
    return np.repeat(question.state[:, None], 16, axis=1)


def remote(**changes):
    from vidpretrain.sim.worlds.remote import RemoteConfig

    given = {"task": "reach_touch", "robot": "g1_inspire", "world": WorldConfig(image_px=64), "seeds": (5, 6, 7)}
    return RemoteConfig(**{**given, "slots": 2, "history": (-1, -2), **changes})


def test_questions_are_the_same_for_the_same_seeds():
    from vidpretrain.sim.worlds.remote import played

    asked, kept = [[], []], {}  # the second time in the same worlds
    for seen in asked:
        outcomes = list(played(remote(), (5, 6, 7), lambda q, seen=seen: (seen.append(q), steady(q))[1], kept))
        assert sorted(o.seed for o in outcomes) == [5, 6, 7]
        assert not any(o.success for o in outcomes)
    for one, other in zip(*asked, strict=True):
        assert one.images.tobytes() == other.images.tobytes()
        assert one.state.tobytes() == other.state.tobytes()
        assert one.key.tolist() == other.key.tolist()
    first = asked[0][0]
    assert first.images.shape == (2, 64, 64, 3)
    assert first.history.shape == (2, 2, first.state.shape[1])
    assert np.array_equal(first.history[:, 0], first.state)  # before the start the first state
    assert max(len(q.key) for q in asked[0]) == 2
    assert first.key.tolist() == [50_000, 60_000]


def test_a_person_does_the_task_faster_in_other_arms():
    from vidpretrain.sim.worlds.jobs import Job
    from vidpretrain.sim.worlds.person import FILM_HZ, film

    ranges = {"speed": (3.0, 4.0), "camera_shift_m": 0.03, "camera_turn_rad": 0.05, "fov_share": 0.15}
    job = Job(task="pick_lift", robot="g1_inspire", world=WorldConfig(image_px=64, rate_hz=FILM_HZ), seed=100_000)
    one, again = film(job, ranges), film(job, ranges)
    assert one.dropped == ""
    assert one.frames.tobytes() == again.frames.tobytes()
    assert 20 < len(one.frames) < 80  # seven seconds of the robot at most, at 30 Hz, three to four times as fast
    assert np.abs(np.diff(one.T_base_wrist[:, 1, 4:], axis=0)).max() < 0.08
    assert one.hands[:, 6:].min() < 0.6 < one.hands[:, 6:].max()  # the hand closes
    masked = Job(
        task="pick_lift",
        robot="g1_inspire",
        world=WorldConfig(image_px=64, rate_hz=FILM_HZ, masked_arms=True),
        seed=100_000,
    )
    black = film(masked, ranges).frames
    assert (black == 0).all(axis=-1).mean() > (one.frames == 0).all(axis=-1).mean() + 0.01
