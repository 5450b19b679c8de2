"""What a policy has to beat: three predictions of absolute action chunks that look at no picture. NumPy only."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Array = np.ndarray

BASELINES = ("hold_state", "mean_action", "last_velocity")


def hold_state(state: Float[Array, "b d"], horizon: int) -> Float[Array, "b h d"]:
    """The robot stays where it is."""
    return np.repeat(np.asarray(state)[:, None], horizon, axis=1)


def mean_action(mean: Float[Array, " d"], count: int, horizon: int) -> Float[Array, "b h d"]:
    """The training episodes' mean action, always."""
    return np.broadcast_to(np.asarray(mean), (count, horizon, len(mean))).copy()


def last_velocity(state: Float[Array, "b d"], previous: Float[Array, "b d"], horizon: int) -> Float[Array, "b h d"]:
    """The last step between states goes on: action k of the chunk is state + (k + 1) (state - previous).

    `previous` is the state one row earlier; an episode's first row, or an unknown one, has no velocity.
    """
    step = np.nan_to_num(np.asarray(state) - np.asarray(previous))
    return np.asarray(state)[:, None] + step[:, None] * np.arange(1, horizon + 1)[None, :, None]
