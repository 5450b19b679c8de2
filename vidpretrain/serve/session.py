"""What the server remembers of one robot: its earlier states and the chunks that it was given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32

from vidpretrain.actions import robot_groups, with_wrists
from vidpretrain.control import ChunkBuffer, ColumnLimits, ControlConfig, limits_of, project
from vidpretrain.errors import InputError, MissingAsset, UnknownName
from vidpretrain.robot import Robot, load_robot
from vidpretrain.serve.question import Question
from vidpretrain.types import ActionSpec

Array = np.ndarray


class Body:
    """The robot behind an embodiment: full states from its motors' values, and limits. One for all sessions.

    A checkpoint may move something that is not among the robots here; it is then served without limits, and states
    must come with all columns.
    """

    def __init__(self, spec: ActionSpec, config: ControlConfig, load: Callable[[str], Robot] = load_robot) -> None:
        self.spec = spec
        self.robot: Robot | None = None
        self.limits: ColumnLimits | None = None
        try:
            self.robot = load(spec.embodiment)
            self.limits = limits_of(self.robot, spec, config.speed_share) if config.limits else None
        except (UnknownName, MissingAsset):
            self.robot = None
        self._own = sum(group.width for group in robot_groups(spec))

    def state(self, given: Float32[Array, " n"]) -> Float32[Array, " d"]:
        """The state in all columns: as it is, or from the motors' values with the wrists by forward kinematics.

        Grasp bits are unknown then.

        Raises:
            InputError: another width.
        """
        if len(given) == self.spec.width:
            return given
        if len(given) == self._own and self.robot is not None:
            full = with_wrists(given, self.robot, self.spec)
            for group, columns in zip(self.spec.groups, self.spec.slices().values(), strict=True):
                if group.quantity not in ("joint", "hand", "wrist_pose"):
                    full[columns] = np.nan
            return full
        valid = f"{self.spec.width} columns" + (f", or its motors' {self._own}" if self.robot is not None else "")
        raise InputError(f"'state' does not fit {self.spec.embodiment}", found=f"{len(given)} values", valid=valid)


class Session:
    """One connection. Rows are counted by the messages' `step`; without it every question stands alone."""

    def __init__(self, body: Body, offsets: tuple[int, ...], control: ControlConfig) -> None:
        self.body, self.offsets, self.control = body, tuple(abs(offset) for offset in offsets), control
        self._states: dict[int, Array] = {}
        self._chunks = ChunkBuffer(body.spec, control)

    def complete(self, question: Question) -> Question:
        """The question with its state in all columns and with the history that earlier questions left.

        Raises:
            InputError: state or history of another width, or a `step` before the last one without `reset`.
        """
        if question.reset:
            self._states, self._chunks = {}, ChunkBuffer(self.body.spec, self.control)
        state, shape = self.body.state(question.state), (len(self.offsets), self.body.spec.width)
        history = question.history
        if history is not None and history.shape != shape:
            raise InputError("'history' does not fit", found=history.shape, valid=f"{shape}: rows {self.offsets} ago")
        if question.step is not None:
            last = max(self._states, default=question.step)
            if question.step < last:
                raise InputError("'step' goes back", found=f"{question.step} after {last}", valid="reset: true")
            reach = max(self.offsets, default=0)
            self._states = {row: kept for row, kept in self._states.items() if row >= question.step - reach}
            self._states[question.step] = state
        if history is None:
            history = np.full(shape, np.nan, np.float32)
            if question.step is not None:
                for i, offset in enumerate(self.offsets):
                    history[i] = self._states.get(question.step - offset, history[i])
        return dataclasses.replace(question, state=state, history=history)

    def finish(self, question: Question, chunk: Float32[Array, "h d"]) -> dict[str, Any]:
        """The answer: actions blended with earlier chunks where that is asked for, inside the robot's limits."""
        if question.step is not None and self.control.blend == "ensemble":
            self._chunks.add(question.step, chunk, question.step)
            chunk = self._chunks.ahead(question.step)
        if self.body.limits is not None:
            chunk = project(chunk, question.state, self.body.limits).astype(np.float32)
        answer: dict[str, Any] = {"actions": chunk}
        if question.step is not None:
            answer["step"] = question.step
        return answer
