"""Playing episodes: policies that need no learning, and what came of an episode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from vidpretrain.errors import InputError
from vidpretrain.sim.worlds.env import World
from vidpretrain.sim.worlds.script import Script
from vidpretrain.sim.worlds.stage import Unstable

_CORRELATION = 0.7  # of one step's execution noise with the next


class Policy(Protocol):
    """What acts in a world: told when an episode begins, then asked for every action."""

    def reset(self, world: World, seed: int) -> None: ...

    def act(self, observation: dict[str, Any]) -> np.ndarray: ...


class HoldPolicy:
    """Stays where the episode begins: a benchmark in which this succeeds measures nothing."""

    def reset(self, world: World, seed: int) -> None:
        self._action = world.stage.command.copy()

    def act(self, observation: dict[str, Any]) -> np.ndarray:
        return self._action


class RandomPolicy:
    """Moves to uniformly drawn joint targets, a new one every second, in straight lines."""

    def reset(self, world: World, seed: int) -> None:
        self._space, self._rng = (world.stage.action_low, world.stage.action_high), np.random.default_rng([seed, 1])
        self._every, self._at = max(1, round(world.config.rate_hz)), 0
        self._from = self._to = world.stage.command.copy()

    def act(self, observation: dict[str, Any]) -> np.ndarray:
        if self._at % self._every == 0:
            self._from, self._to = self._to, self._rng.uniform(*self._space)
        self._at += 1
        return self._from + ((self._at - 1) % self._every + 1) / self._every * (self._to - self._from)


class ExpertPolicy:
    """The task's own expert. `label` is its clean command, what `act` returns has noise on it.

    The noise is correlated from step to step, with standard deviation `noise_rad` on arms and `noise_fraction` on
    hands: the robot is pushed off the path and the label says how to come back.

    Raises:
        InputError: the task's script raises an error.
    """

    def __init__(self, noise_rad: float = 0.0, noise_fraction: float = 0.0) -> None:
        self._noise = (noise_rad, noise_fraction)

    def reset(self, world: World, seed: int) -> None:
        self._script = Script(world.stage)
        self._moves: Iterator[None] = iter(world.task.expert(world.stage, self._script))
        self._task, self._seed, self._step = world.task.name, seed, 0
        self._rng = np.random.default_rng([seed, 2])
        in_hand = np.concatenate([np.full(g.width, g.quantity == "hand") for g in world.action_spec.groups])
        self._sigma = np.where(in_hand, self._noise[1], self._noise[0])
        self._off = np.zeros(world.action_spec.width)
        self._limits = world.stage.action_low, world.stage.action_high
        self.label = world.stage.command.copy()

    def act(self, observation: dict[str, Any]) -> np.ndarray:
        self._step += 1
        try:
            next(self._moves, None)  # a script that has ended holds its last command
        except Exception as error:  # whatever a user's script may raise
            raise InputError(
                f"the expert of {self._task} fails: {type(error).__name__}: {error}",
                asked=f"seed {self._seed}, step {self._step}",
                next_command="look at the task's expert",
            ) from error
        self.label = self._script.action.copy()
        fresh = self._rng.normal(size=len(self._off)) * self._sigma
        self._off = _CORRELATION * self._off + np.sqrt(1 - _CORRELATION**2) * fresh
        return np.clip(self.label + self._off, *self._limits)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one episode; `unstable` is why the physics gave up, "" where it did not."""

    seed: int
    success: bool
    progress: float
    steps: int
    unstable: str = ""


def play(world: World, policy: Policy, seed: int) -> Outcome:
    """One episode from its own seed to its end; a scene that is not stable is an outcome, not an exception."""
    try:
        observation, info = world.reset(options={"episode_seed": seed})
    except Unstable as error:
        return Outcome(seed=seed, success=False, progress=0.0, steps=0, unstable=str(error.found))
    policy.reset(world, seed)
    steps, over = 0, False
    while not over:
        observation, _, done, cut, info = world.step(policy.act(observation))
        steps, over = steps + 1, done or cut
    return Outcome(
        seed=seed, success=info["success"], progress=info["progress"], steps=steps, unstable=info["unstable"]
    )


def success_rate(outcomes: Iterable[Outcome]) -> float:
    """Share of the episodes that succeeded; unstable ones count as failures."""
    outcomes = list(outcomes)
    return sum(o.success for o in outcomes) / max(1, len(outcomes))
