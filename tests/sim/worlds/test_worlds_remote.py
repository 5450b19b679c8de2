"""A policy in this process, worlds in another: workers that die, and worlds that cannot be set up."""

from __future__ import annotations

import multiprocessing
import os
import signal

import numpy as np
import pytest

from vidpretrain.errors import InputError
from vidpretrain.sim.worlds import WorldConfig
from vidpretrain.sim.worlds.remote import RemoteConfig, _Worker, play_remotely

CONFIG = RemoteConfig(
    task="reach_touch", robot="g1_inspire", world=WorldConfig(image_px=32), seeds=(5, 6), slots=1, execute=16
)


def steady(question):
    return np.repeat(question.state[:, None], 16, axis=1)


def test_a_worker_that_dies_is_started_again_with_the_rest(world_of, monkeypatch):
    world_of("reach_touch")  # skips where the robot is missing
    workers = []
    start = _Worker._start
    monkeypatch.setattr(_Worker, "_start", lambda self: (start(self), workers.append(self.process))[0])
    asked = []

    def answer(question):
        asked.append(int(question.key[0]))
        if len(asked) == 2:
            os.kill(workers[-1].pid, signal.SIGKILL)
        return steady(question)

    found = play_remotely(CONFIG, answer)
    assert [o.seed for o in found] == [5, 6]
    assert all(o.steps > 0 and not o.unstable for o in found)
    assert len(workers) == 2


def test_what_is_wrong_in_the_worker_is_said_here():
    with pytest.raises(InputError, match="a world cannot be played"):
        play_remotely(RemoteConfig(**{**vars(CONFIG), "task": "no_such_task"}), steady)


def test_a_worker_that_dies_every_time_costs_its_episodes(monkeypatch):
    starts = []

    def start(self):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=int)
        self.process.start()
        theirs.close()  # as it is when a process has died
        starts.append(self.process)

    monkeypatch.setattr(_Worker, "_start", start)
    found = play_remotely(CONFIG, steady)
    assert [(o.seed, o.success, o.unstable) for o in found] == [(5, False, "worker died"), (6, False, "worker died")]
    assert len(starts) == 4  # at first, twice more, and one for the next order


def test_what_the_policy_sees_does_not_depend_on_what_is_drawn(world_of):
    """Only the picture that is asked about is drawn: it is the one that a world draws which draws them all."""
    world_of("reach_touch")
    seen = {}
    for execute in (1, 4):
        begin, pictures = {}, {}

        def answer(question, begin=begin, pictures=pictures):
            for key, state, image in zip(question.key, question.state, question.images, strict=True):
                begin.setdefault(key // 10_000, state)
                pictures[int(key)] = image
            rows = [begin[key // 10_000] for key in question.key]  # the same way, however it is cut
            lift = np.zeros((16, len(rows[0])), np.float32)
            lift[:, 2] = -0.1
            return np.stack([row + lift for row in rows])

        play_remotely(RemoteConfig(**{**vars(CONFIG), "execute": execute, "slots": 2}), answer)
        seen[execute] = pictures
    both = sorted(set(seen[1]) & set(seen[4]))
    assert len(both) > 10
    assert len({seen[4][key].tobytes() for key in both}) > 10  # something moves
    for key in both:
        np.testing.assert_array_equal(seen[1][key], seen[4][key])
