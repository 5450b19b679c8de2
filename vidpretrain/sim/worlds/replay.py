"""Recorded actions as a policy: a data set played back in the world that it was recorded in, or another."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from vidpretrain.errors import DatasetError, InputError
from vidpretrain.sim.worlds.env import World
from vidpretrain.types import ActionSpec


class ReplayPolicy:
    """Plays actions (t d), then holds the last."""

    def __init__(self, action: Float[np.ndarray, "t d"]) -> None:
        self._action = np.asarray(action, dtype=float)
        if self._action.ndim != 2 or not len(self._action):
            raise InputError(
                "no actions to play", found=f"an array of {self._action.shape}", valid="(t d), t at least 1"
            )

    def reset(self, world: World, seed: int) -> None:
        if self._action.shape[1] != world.action_spec.width:
            raise InputError(
                "these actions belong to another robot",
                asked=f"{self._action.shape[1]} columns",
                valid=f"{world.action_spec.width} columns of {world.action_spec.embodiment}",
            )
        self._at = 0

    def act(self, observation: dict[str, Any]) -> np.ndarray:
        self._at += 1
        return self._action[min(self._at - 1, len(self._action) - 1)]


def require_spec(found: ActionSpec, world: World, where: str = "") -> None:
    """Check that vectors of a data set or policy mean the same as a world's.

    Raises:
        DatasetError: other columns, units or rate; the error names the first that differs.
    """
    wanted = world.action_spec
    for mine, theirs in zip(found.groups, wanted.groups, strict=False):
        if (mine.name, mine.names, mine.unit) != (theirs.name, theirs.names, theirs.unit):
            raise _other(found, wanted, where, f"group {mine.name} ({mine.width} {mine.unit})")
    if len(found.groups) != len(wanted.groups):
        raise _other(found, wanted, where, f"{len(found.groups)} groups")
    if abs(found.rate_hz - wanted.rate_hz) > 1e-6 * wanted.rate_hz:
        raise _other(found, wanted, where, f"{found.rate_hz:g} Hz, the world has {wanted.rate_hz:g}")


def _other(found: ActionSpec, wanted: ActionSpec, where: str, what: str) -> DatasetError:
    groups = ", ".join(f"{g.name} {g.width} {g.unit}" for g in wanted.groups)
    return DatasetError(
        f"vectors of another action spec: {what}",
        asked=f"{found.embodiment} {where}".strip(),
        valid=f"{wanted.embodiment} at {wanted.rate_hz:g} Hz: {groups}",
        next_command="vidpretrain tasks record records the world's own",
    )
