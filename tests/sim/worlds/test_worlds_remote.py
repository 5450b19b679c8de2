"""A policy in this process, worlds in another: workers that die, and worlds that cannot be set up."""

from __future__ import annotations

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
