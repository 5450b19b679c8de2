"""The policy: LeRobot's observations in, the exported file's actions out, row by row."""

from __future__ import annotations

import shutil
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from torch import Tensor

from .configuration_vidpretrain import VidpretrainConfig
from .exported import Exported, fitted, folder_of, kept

_STATE, _TASK, _IMAGES = "observation.state", "task", "observation.image"


class VidpretrainPolicy(PreTrainedPolicy):
    """Rows are counted by calls of `select_action` since `reset`; each robot of a batch is one of its own.

    The robot in place i of a batch draws its noise with `seed` + i.
    """

    config_class = VidpretrainConfig
    name = "vidpretrain"

    def __init__(self, config: VidpretrainConfig, exported: Exported | None = None, **kwargs: Any) -> None:
        super().__init__(config)
        if exported is None:
            if config.pretrained_path is None:
                raise ValueError("an exported policy comes from a folder: --policy.path=FOLDER")
            exported = Exported(folder_of(config.pretrained_path))
        self.exported = exported
        self._limits = exported.limits() if config.limits else None
        self.reset()

    @classmethod
    def from_pretrained(cls, pretrained_name_or_path: str | Path, *, config=None, **kwargs: Any) -> VidpretrainPolicy:
        """The policy in a folder that `vidpretrain export` wrote, or in a repository of the Hub."""
        hub = {key: kwargs.get(key) for key in ("revision", "cache_dir", "token", "local_files_only")}
        folder = folder_of(pretrained_name_or_path, **hub)
        if config is None:
            config = VidpretrainConfig.from_pretrained(folder)
        return cls(config, Exported(folder)).eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        for path in self.exported.folder.iterdir():
            if path.is_file() and path.resolve().parent != Path(save_directory).resolve():
                shutil.copyfile(path, Path(save_directory) / path.name)
        self.config._save_pretrained(Path(save_directory))

    def get_optim_params(self) -> dict:
        """Nothing is trained."""
        return {}

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict | None]:
        """Training is vidpretrain's.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("an exported policy is not trained here: vidpretrain finetune")

    def reset(self) -> None:
        """A new episode."""
        self._row = 0
        self._states: list[np.ndarray] = []
        self._queue: deque[np.ndarray] = deque()
        self._last: np.ndarray | None = None

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Any], **kwargs: Any) -> Tensor:
        """Absolute actions (b h d) from this row on, without limits."""
        state, given = self._state(batch)
        return self._told(self._chunk(batch, state), given, batch)

    @torch.no_grad()
    def select_action(self, batch: dict[str, Any], **kwargs: Any) -> Tensor:
        """The action (b d) of this row; the next call is the next row."""
        state, given = self._state(batch)
        if not self._queue:
            chunk = self._chunk(batch, state)
            steps = min(self.config.n_action_steps, self.exported.horizon)
            self._queue.extend(chunk[:, k] for k in range(steps))
        self._states.append(state)
        self._row += 1
        action = self._queue.popleft()
        if self._limits is not None:
            before = state if self._last is None else np.where(np.isnan(self._last), state, self._last)
            action = kept(action, before, self._limits)
        self._last = action
        return self._told(action, given, batch)

    def _state(self, batch: dict[str, Any]) -> tuple[np.ndarray, int]:
        """(state (b d) in all columns, NaN where not given; the width that was given)."""
        if _STATE not in batch:
            raise KeyError(f"the observation has no {_STATE!r}: {', '.join(sorted(batch))}")
        state = batch[_STATE].float().cpu().numpy()
        width, motors = len(self.exported.columns), self.exported.motors
        if state.ndim != 2 or state.shape[1] not in (width, len(motors)):
            raise ValueError(
                f"{_STATE} is (batch, {width}) ({', '.join(self.exported.columns)}) or its motors' (batch, "
                f"{len(motors)}), not {state.shape}"
            )
        if state.shape[1] == width:
            return state, width
        full = np.full((len(state), width), np.nan, np.float32)
        full[:, motors] = state
        return full, len(motors)

    def _told(self, value: np.ndarray, given: int, batch: dict[str, Any]) -> Tensor:
        """The actions in the columns in which the state came, where the observation is."""
        if given != len(self.exported.columns):
            value = value[..., self.exported.motors]
        return torch.from_numpy(np.ascontiguousarray(value)).to(batch[_STATE].device)

    def _chunk(self, batch: dict[str, Any], state: np.ndarray) -> np.ndarray:
        count, exported = len(state), self.exported
        past = np.full((count, len(exported.history_rows), state.shape[1]), np.nan, np.float32)
        for i, offset in enumerate(exported.history_rows):
            if self._states:
                past[:, i] = self._states[max(0, self._row + offset)]
        angle = np.nan if self.config.fov_rad is None else self.config.fov_rad
        given = {
            "image": self._pictures(batch),
            "state": state,
            "history": past,
            "fov": np.full(count, angle, np.float32),
            "noise": np.stack([exported.noise(self.config.seed + i, self._row) for i in range(count)]),
        }
        if exported.text is not None:
            task = batch.get(_TASK) or ""
            given["text"] = exported.words([task] * count if isinstance(task, str) else list(task))
        return exported.answer(given)

    def _pictures(self, batch: dict[str, Any]) -> np.ndarray:
        """uint8 pictures (b s s 3), or (b v s s 3) of a policy with several views, in the order of its cameras."""
        names = [f"observation.images.{name}" for name in self.exported.about["cameras"]]
        found = [key for key in batch if key.startswith(_IMAGES)]
        if len(names) == 1 and len(found) == 1:
            names = found
        missing = [name for name in names if name not in batch]
        if missing:
            raise KeyError(f"no picture {', '.join(missing)} (--rename_map gives yours that name): {', '.join(found)}")
        side = self.exported.image_shape[-2]
        views = []
        for name in names:
            levels = (batch[name].float().cpu() * 255.0).round().clamp(0, 255).to(torch.uint8)
            pictures = levels.permute(0, 2, 3, 1).contiguous().numpy()
            views.append(np.stack([fitted(picture, side) for picture in pictures]))
        return views[0] if len(self.exported.image_shape) == 3 else np.stack(views, axis=1)
