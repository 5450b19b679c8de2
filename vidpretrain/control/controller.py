"""A control loop's side of a policy: a target at every row, the next chunk asked for in the background."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Float

from vidpretrain.control.chunks import ChunkBuffer
from vidpretrain.control.config import ControlConfig
from vidpretrain.control.limits import ColumnLimits, project
from vidpretrain.errors import InputError
from vidpretrain.types import ActionSpec

Array = np.ndarray
Ask = Callable[[dict[str, Any]], Float[Array, "h d"]]


class Controller:
    """Calls `ask(observation)` for chunks of absolute actions and gives one target per row of the control loop.

    `ask` is a `training.Policy` behind a lambda, or a client of a policy server; it runs in one background thread, so
    that a row never waits for it (but for the very first, which has nothing to hold). Rows of an answer that came too
    late are dropped. While no chunk covers a row the last target is held, and `held` counts it.

        controller = Controller(lambda o: client.infer(o)["actions"], spec, limits_of(robot, spec))
        while running:
            robot.command(controller.step({"image": camera(), "state": robot.state()}, robot.state()))
    """

    def __init__(
        self, ask: Ask, spec: ActionSpec, limits: ColumnLimits | None = None, config: ControlConfig | None = None
    ) -> None:
        self.spec, self.limits, self.config = spec, limits, config or ControlConfig()
        self._ask, self._buffer = ask, ChunkBuffer(spec, self.config)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="policy")
        self._waiting: tuple[int, Future] | None = None
        self._last: Array | None = None
        self.row, self.held, self.dropped = 0, 0, 0

    def __enter__(self) -> Controller:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop asking; a question on its way is left alone."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def reset(self) -> None:
        """A new episode: chunks and answers on their way belong to the old one and are dropped."""
        self._buffer.clear()
        self._waiting, self._last = None, None
        self.row, self.held, self.dropped = 0, 0, 0

    def step(self, observation: dict[str, Any], state: Float[Array, " d"]) -> Float[Array, " d"]:
        """The target of this row, inside limits and speeds from the last target (at first: from `state`).

        Raises:
            InputError: `state` does not fit, or the policy's answer does not.
            Exception: what `ask` raised, at the first row after it.
        """
        state = np.asarray(state, dtype=np.float32)
        if state.shape != (self.spec.width,):
            raise InputError(f"state does not fit {self.spec.embodiment}", found=state.shape, valid=(self.spec.width,))
        self._collect(wait=False)
        if self._waiting is None and self._buffer.end - self.row <= self.config.ask_ahead:
            self._waiting = (self.row, self._pool.submit(self._ask, observation))
            self._collect(wait=self._last is None)
        target = self._buffer.at(self.row)
        before = state if self._last is None else self._last
        if target is None:
            self.held += 1
            target = before
        if self.limits is not None and self.config.limits:
            target = project(target[None], before, self.limits)[0]
        self.row, self._last = self.row + 1, target
        return target.copy()

    def _collect(self, *, wait: bool) -> None:
        if self._waiting is None or not (wait or self._waiting[1].done()):
            return
        start, answer = self._waiting
        self._waiting = None
        chunk = np.asarray(answer.result())
        if chunk.ndim != 2 or chunk.shape[1] != self.spec.width:
            raise InputError("the policy's answer does not fit", found=chunk.shape, valid=f"(h, {self.spec.width})")
        self.dropped += self._buffer.add(start, chunk, self.row)
