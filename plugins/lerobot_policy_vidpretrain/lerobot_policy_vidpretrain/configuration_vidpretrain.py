"""Settings of an exported policy: how its chunks are executed. What it is lies in export.json beside it."""

from __future__ import annotations

from dataclasses import dataclass

from lerobot.configs.policies import PreTrainedConfig


@PreTrainedConfig.register_subclass("vidpretrain")
@dataclass
class VidpretrainConfig(PreTrainedConfig):
    """`n_action_steps` actions of every chunk are executed before the next is asked for. Noise depends on `seed` and
    the row alone. `limits` keeps actions inside the limits and speeds of export.json. `fov_rad` is the camera's
    horizontal field of view, after the picture was fitted into a square; None: unknown.
    """

    n_action_steps: int = 16
    seed: int = 0
    limits: bool = True
    fov_rad: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_action_steps < 1:
            raise ValueError(f"n_action_steps is at least 1, not {self.n_action_steps}")

    @property
    def observation_delta_indices(self) -> None:
        """The policy remembers earlier states itself."""
        return

    @property
    def action_delta_indices(self) -> list[int]:
        """Rows of a chunk that are executed."""
        return list(range(self.n_action_steps))

    @property
    def reward_delta_indices(self) -> None:
        """No rewards."""
        return

    def get_optimizer_preset(self):
        """There is nothing to optimise."""
        raise NotImplementedError("an exported policy is not trained here: vidpretrain finetune")

    def get_scheduler_preset(self) -> None:
        """There is nothing to schedule."""
        return

    def validate_features(self) -> None:
        """Shapes are checked against export.json when the first observation comes."""
