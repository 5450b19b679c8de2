"""A trained policy in a world: the worker processes play, this one answers."""

from __future__ import annotations

import numpy as np

from vidpretrain.actions import ActionConfig, camera_spec
from vidpretrain.robot import load_robot
from vidpretrain.sim.worlds.remote import Players, Question, RemoteConfig
from vidpretrain.sim.worlds.rollout import Outcome
from vidpretrain.training import Policy


def rollout(
    policy: Policy,
    embodiment: str,
    config: RemoteConfig,
    *,
    players: Players,
    temperature: float = 1.0,
    steps: int | None = None,
) -> list[Outcome]:
    """Outcomes of `config.seeds` in their order; noise depends on the episode's seed and step alone.

    Args:
        embodiment: whose adapters and normaliser of the policy are used; its columns have to be those of
            `actions.camera_spec` for `config.robot`.
        players: the worker processes.
        steps: Euler steps of the flow (None: the checkpoint's).

    Raises:
        CheckpointError: the policy does not know the embodiment, or has other columns. InputError: the world cannot be
            set up.
    """
    action = ActionConfig(rate_hz=config.world.rate_hz, horizon=policy.spec(embodiment).horizon)
    policy.require(embodiment, camera_spec(load_robot(config.robot), action, frame=config.frame).names)

    def answer(question: Question) -> np.ndarray:
        return policy.predict(
            question.images,
            question.state,
            embodiment,
            history=question.history,
            fov=question.fov_rad,
            keys=question.key,
            temperature=temperature,
            steps=steps,
            instructions=[question.instruction] * len(question.key),
        )

    return players.play(config, answer)
