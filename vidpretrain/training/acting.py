"""A policy's chunks as one trajectory of a robot: blended where they overlap, inside its limits and speeds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from vidpretrain.control import ChunkBuffer, ColumnLimits, ControlConfig, limits_of, planned, project
from vidpretrain.errors import InputError
from vidpretrain.robot import Robot
from vidpretrain.training.policy import Policy
from vidpretrain.types import ActionSpec, Trajectory

Array = np.ndarray


def followed(
    chunks: Float32[Array, "n h d"],
    rows: Int64[Array, " n"],
    state: Float32[Array, "t d"],
    spec: ActionSpec,
    limits: ColumnLimits | None = None,
    control: ControlConfig | None = None,
) -> Trajectory:
    """The trajectory of an episode whose row `rows[i]` was answered with `chunks[i]` (absolute, `rows` ascending).

    Action of row t: what the chunks made up to t say of it, blended as `control` says, then inside bounds and, from
    the target of the row before (at first: from the state), inside the speed limits. The state is the recorded one,
    NaN where unknown. A column is valid where action and state are known; rows that no chunk covers are not.

    Raises:
        InputError: chunks, rows and state do not fit each other.
    """
    control = control or ControlConfig()
    length = len(state)
    fits = chunks.ndim == 3 and chunks.shape[2] == state.shape[1] == spec.width and len(chunks) == len(rows)
    if not fits or (len(rows) and not (rows[0] >= 0 and rows[-1] < length and (np.diff(rows) > 0).all())):
        raise InputError(
            f"chunks do not fit the episode of {spec.embodiment}",
            found=f"chunks {chunks.shape} for rows {rows.shape}, state {state.shape}",
            valid=f"(n, h, {spec.width}), ascending rows below {length}",
        )
    buffer, asked = ChunkBuffer(spec, control), dict(zip(rows.tolist(), chunks, strict=True))
    action = np.full((length, spec.width), np.nan, np.float32)
    for row in range(length):
        if row in asked:
            buffer.add(row, asked[row], row)
        target = buffer.at(row)
        if target is not None:
            action[row] = target
    if limits is not None and control.limits and length:
        action = project(action, state[0], limits).astype(np.float32)
    valid = np.isfinite(action) & np.isfinite(state)
    return Trajectory(
        spec=spec,
        state=np.asarray(state, dtype=np.float32),
        action=action,
        valid=valid,
        confidence=valid.astype(np.float32),
        imputed=np.zeros(valid.shape, dtype=bool),
    )


class Actor:
    """One robot moved by a policy: a picture, a state and words in, the trajectory ahead out.

        actor = Actor(policy, "g1_inspire", load_robot("g1_inspire"))
        plan = actor.step(picture, state, "put the cup down")   # plan.action[0] is the target of this row

    Rows are counted by the calls since `reset`: earlier states are the policy's history, earlier chunks are blended
    with the newest as `control` says, and noise depends on (seed, row) alone, so that the same questions get the same
    answers. With a robot, actions keep its limits and, from the target before, its speeds.
    """

    def __init__(
        self,
        policy: Policy,
        embodiment: str,
        robot: Robot | None = None,
        control: ControlConfig | None = None,
        *,
        seed: int = 0,
        steps: int | None = None,
    ) -> None:
        self.policy, self.spec, self.control = policy, policy.spec(embodiment), control or ControlConfig()
        self.limits: ColumnLimits | None = None
        if robot is not None and self.control.limits:
            self.limits = limits_of(robot, self.spec, self.control.speed_share)
        self._embodiment, self._seed, self._steps = embodiment, seed, steps
        self.reset()

    def reset(self) -> None:
        """A new episode: row 0, nothing remembered."""
        self.row = 0
        self._states: list[Array] = []
        self._buffer = ChunkBuffer(self.spec, self.control)
        self._last: Array | None = None

    def step(
        self,
        image: UInt8[Array, "p q 3"],
        state: Float32[Array, " d"],
        instruction: str = "",
        fov_rad: float = float("nan"),
    ) -> Trajectory:
        """The plan from this row on, as long as chunks cover it without a hole; the next call is the next row.

        Args:
            image: upright, RGB, at any size. state: absolute, NaN where unknown. fov_rad: horizontal field of view.

        Raises:
            InputError: picture or state do not fit.
        """
        state = np.asarray(state, dtype=np.float32)
        if state.shape != (self.spec.width,):
            raise InputError(f"state does not fit {self.spec.embodiment}", found=state.shape, valid=(self.spec.width,))
        chunk = self.policy.predict(
            np.asarray(image)[None],
            state[None],
            self._embodiment,
            history=self._history()[None],
            fov=np.array([fov_rad], dtype=np.float32),
            seed=self._seed,
            steps=self._steps,
            keys=np.array([self.row]),
            instructions=[instruction],
        )[0]
        self._states.append(state)
        self._buffer.add(self.row, chunk, self.row)
        before = state if self._last is None else np.where(np.isnan(self._last), state, self._last)
        plan = planned(self._buffer.ahead(self.row), before, self.spec, self.limits)
        self._last, self.row = np.array(plan.action[0]), self.row + 1
        return plan

    def _history(self) -> Float32[Array, "t d"]:
        """States at the policy's offsets before this row; before the first row it is the first, as in training."""
        past = np.full((len(self.policy.history), self.spec.width), np.nan, np.float32)
        for i, offset in enumerate(self.policy.history):
            if self._states:
                past[i] = self._states[max(0, self.row + offset)]
        return past
