"""An environment for lerobot-eval that plays recorded observations and succeeds where it is sent the recorded actions.

`VIDPRETRAIN_EXPECTED` names the file of scripts/lerobot_policy.py: pictures, states and actions of an episode.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig

_WIDTH, _HEIGHT_PX, _WIDTH_PX, _ROWS = 44, 60, 80, 12
_TOLERANCE = 1e-4


@EnvConfig.register_subclass("vidpretrain_check")
@dataclass
class CheckEnv(EnvConfig):
    """What LeRobot has to know of the environment."""

    task: str = "Replay-v0"
    fps: int = 30
    features: dict[str, PolicyFeature] = field(
        default_factory=lambda: {
            "action": PolicyFeature(type=FeatureType.ACTION, shape=(_WIDTH,)),
            "agent_pos": PolicyFeature(type=FeatureType.STATE, shape=(_WIDTH,)),
            "pixels": PolicyFeature(type=FeatureType.VISUAL, shape=(_HEIGHT_PX, _WIDTH_PX, 3)),
        }
    )
    features_map: dict[str, str] = field(
        default_factory=lambda: {
            "action": "action",
            "agent_pos": "observation.state",
            "pixels": "observation.image",
        }
    )

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Nothing: the episode ends by itself."""
        return {}


class Replay(gym.Env):
    """The recorded episode; `is_success` at its end if no action was further than 1e-4 from the recorded one."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 - gymnasium's way
    task = "pick up the red cup"
    task_description = task

    def __init__(self, render_mode: str = "rgb_array", **_: Any) -> None:
        self.render_mode = render_mode
        found = np.load(os.environ["VIDPRETRAIN_EXPECTED"])
        self._state, self._pictures, self._right = found["state"], found["pictures"], found["some"]
        self._row, self._apart = 0, 0.0
        self._max_episode_steps = _ROWS
        self.action_space = gym.spaces.Box(-np.inf, np.inf, (_WIDTH,), np.float32)
        self.observation_space = gym.spaces.Dict(
            {
                "agent_pos": gym.spaces.Box(-np.inf, np.inf, (_WIDTH,), np.float32),
                "pixels": gym.spaces.Box(0, 255, (_HEIGHT_PX, _WIDTH_PX, 3), np.uint8),
            }
        )

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """The first row."""
        super().reset(seed=seed)
        self._row, self._apart = 0, 0.0
        return self._seen(), {"is_success": False}

    def step(self, action):
        """The next row; the reward is minus how far the action is from the recorded one."""
        apart = float(np.abs(np.asarray(action) - self._right[self._row]).max())
        self._apart = max(self._apart, apart)
        self._row += 1
        done = self._row == _ROWS
        return self._seen(), -apart, done, False, {"is_success": done and self._apart <= _TOLERANCE}

    def render(self):
        """The picture that is shown."""
        return self._seen()["pixels"]

    def _seen(self):
        row = min(self._row, _ROWS - 1)
        return {"agent_pos": self._state[row], "pixels": self._pictures[row]}


# Without wrappers: lerobot 0.4.4 looks for `task` on the outermost environment, and gymnasium's wrappers hide it.
gym.register("gym_vidpretrain_check/Replay-v0", Replay, order_enforce=False)
