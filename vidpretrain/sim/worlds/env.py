"""The gymnasium environment: pictures, state and instruction in, the ActionSpec's joint targets out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from vidpretrain.errors import InputError
from vidpretrain.robot import Robot, load_robot
from vidpretrain.sim.worlds.catalog import load_task
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.sim.worlds.stage import Stage
from vidpretrain.sim.worlds.task import Task
from vidpretrain.types import ActionSpec

HOLD_S = 0.3  # success has to last this long
_INSTRUCTION_CHARACTERS = 256


class World(gymnasium.Env):
    """One task with one robot.

    Observation: `image` (h w 3) uint8 from the head camera, `state` (d) float32 in the ActionSpec's columns (arms in
    rad, hands as fractions), `camera` (7) float32 T_base_camera, `instruction`. Action: (d) float32, the joint targets
    of the same columns, for the step that follows. The reward is the change of progress, and 1 when the task is done;
    an episode ends when the task has been done for 0.3 s, and is cut off after the task's duration, or when the
    physics becomes unstable (`info["unstable"]` says how). Same seed, same bytes.

    `seed` of `reset` starts the stream from which each episode's own seed is drawn; `info["seed"]` is that one, and
    `reset(options={"episode_seed": n})` plays one again.

    Raises:
        UnknownName: there is no such task or robot.
        MissingAsset: the robot's files, or an off-screen OpenGL, are missing.
        InputError: the task needs hands and the robot has none.
        ConfigError: the task is not whole, or its scene does not compile.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        task: Task | str | Path,
        robot: Robot | str = "g1_inspire",
        config: WorldConfig | None = None,
        render_mode: str | None = None,
        images: bool = True,
    ) -> None:
        """`images=False` leaves the pictures black: physics alone, for judging experts and scenes."""
        if isinstance(task, Task):
            settings = None
        else:
            task, settings = load_task(task)
        config = config or (settings.world if settings else WorldConfig())
        self.stage = Stage(task, load_robot(robot) if isinstance(robot, str) else robot, config)
        self.task, self.config = task, config
        self.action_spec: ActionSpec = self.stage.spec  # `spec` is gymnasium's own
        self.images = images
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InputError("unknown render_mode", asked=render_mode, valid="rgb_array")
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(config.rate_hz)}
        self.limit = max(1, round(task.duration_s * config.rate_hz))
        px, d = config.image_px, self.action_spec.width
        self.observation_space = spaces.Dict(
            {
                "image": spaces.Box(0, 255, (px, px, 3), np.uint8),
                "state": spaces.Box(-100, 100, (d,), np.float32),
                "camera": spaces.Box(-100, 100, (7,), np.float32),
                "instruction": spaces.Text(_INSTRUCTION_CHARACTERS, charset=frozenset(map(chr, range(32, 127)))),
            }
        )
        low, high = self.stage.action_low.astype(np.float32), self.stage.action_high.astype(np.float32)
        self.action_space = spaces.Box(low, high, dtype=np.float32)
        built = self.stage.built
        self._p_base_table = built.T_world_table[4:] - built.T_world_base[4:]
        self._renderer: Any = None
        self._last = np.zeros((px, px, 3), dtype=np.uint8)
        self._steps, self._done_for, self._progress = 0, 0, 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode.

        Raises:
            Unstable: the scene does not come to rest.
        """
        super().reset(seed=seed)
        own = int(self.np_random.integers(2**31))
        own = int((options or {}).get("episode_seed", own))
        self.stage.reset(own)
        self._steps, self._done_for = 0, 0
        self._progress = float(self.task.progress(self.stage))
        return self._observe(), {**self._info(), "seed": own}

    def step(self, action: np.ndarray):
        """One step of `config.rate_hz`.

        Raises:
            InputError: the action has another width, or is not finite.
        """
        action = np.asarray(action, dtype=float)
        if action.shape != (self.action_spec.width,) or not np.isfinite(action).all():
            groups = ", ".join(f"{g.name} {g.width}" for g in self.action_spec.groups)
            raise InputError(
                "an action does not fit",
                asked=f"{action.shape}{'' if np.isfinite(action).all() else ', not finite'}",
                valid=f"{self.action_spec.width} finite numbers: {groups}",
            )
        self.stage.advance(action)
        self._steps += 1
        unstable = bool(self.stage.unstable)
        now = not unstable and bool(self.task.success(self.stage))
        self._done_for = self._done_for + 1 if now else 0
        done = self._done_for >= max(1, round(HOLD_S * self.config.rate_hz))
        progress = self._progress if unstable else float(self.task.progress(self.stage))
        reward = progress - self._progress + float(done)
        self._progress = progress
        truncated = not done and (self._steps >= self.limit or unstable)
        return self._observe(), reward, done, truncated, self._info(done)

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """The last picture of the head camera."""
        return self._last.copy() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    @property
    def T_base_camera(self) -> np.ndarray:
        """The head camera's pose (7) in this episode."""
        assert self.stage.variation is not None
        return self.stage.variation.T_base_camera

    def _observe(self) -> dict[str, Any]:
        if self.images and not self.stage.unstable:
            self._last = self._picture()
        return {
            "image": self._last,
            "state": self.stage.state,
            "camera": self.T_base_camera.astype(np.float32),
            "instruction": self.task.instruction,
        }

    def _picture(self) -> np.ndarray:
        if self._renderer is None:
            from vidpretrain.sim.gl import Renderer

            self._renderer = Renderer(self.stage.model, self.config.image_px, self.config.image_px)
        return self._renderer.render(self.stage.data, "head")[0]

    def _info(self, done: bool = False) -> dict[str, Any]:
        wrists = np.stack([self.stage.site(f"{side}_wrist") for side in ("left", "right")])
        wrists[:, 4:] += self._p_base_table
        return {
            "success": done,
            "progress": self._progress,
            "unstable": self.stage.unstable,
            "T_base_wrist": wrists,
        }
