"""Questions of all connections answered in one thread, together where they wait together; late ones dropped."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32

from vidpretrain.dataset.fit import fit_image
from vidpretrain.errors import InputError
from vidpretrain.serve.config import ServeConfig
from vidpretrain.serve.metrics import Metrics
from vidpretrain.serve.question import Question

Array = np.ndarray


class Predicts(Protocol):
    """What the server asks of a policy: `training.Policy.predict`."""

    def predict(self, images: Array, state: Array, embodiment: str, **options: Any) -> Array:
        """Absolute chunks (b h d)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A chunk and how long its question waited and took."""

    chunk: Float32[Array, "h d"]
    waited_s: float
    took_s: float


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    question: Question
    future: asyncio.Future[Answer]
    since_s: float


class Answerer:
    """A bounded queue before a policy. `start` and `stop` belong to the loop in which questions are asked."""

    def __init__(self, policy: Predicts, image_px: int, config: ServeConfig, metrics: Metrics) -> None:
        self._policy, self._image_px, self._config, self._metrics = policy, image_px, config, metrics
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(config.queue)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="policy")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin answering."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    @property
    def alive(self) -> bool:
        """Whether questions are answered: started, and neither stopped nor broken."""
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Stop answering; who still waits is told."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while not self._queue.empty():
            _fail(self._queue.get_nowait(), InputError("the server stops"))
        self._thread.shutdown(wait=False)

    async def ask(self, question: Question) -> Answer:
        """The answer to a question.

        Raises:
            InputError: too many wait, this one waited too long, or it does not fit the policy.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(question=question, future=loop.create_future(), since_s=time.perf_counter())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            self._metrics.refused("busy")
            raise InputError("the server is busy", found=f"{self._queue.qsize()} questions wait") from None
        return await waiting.future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._config.batch and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            now = time.perf_counter()
            timely = [one for one in batch if not self._late(one, now)]
            for group in _alike(timely):
                await self._answer(loop, group)

    async def _answer(self, loop: asyncio.AbstractEventLoop, group: list[_Waiting]) -> None:
        start = time.perf_counter()
        try:
            chunks = await loop.run_in_executor(self._thread, self._predict, [one.question for one in group])
        except asyncio.CancelledError:
            for one in group:
                _fail(one, InputError("the server stops"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever a policy raises belongs to these questions, not to the server
            self._metrics.refused("failed")
            for one in group:
                _fail(one, error if isinstance(error, InputError) else InputError(f"the policy failed: {error!r}"))
            return
        took_s = time.perf_counter() - start
        for one, chunk in zip(group, chunks, strict=True):
            self._metrics.answered(start - one.since_s, took_s)
            if not one.future.done():
                one.future.set_result(Answer(chunk=chunk, waited_s=start - one.since_s, took_s=took_s))

    def _predict(self, questions: list[Question]) -> Array:
        size = self._image_px
        return self._policy.predict(
            np.stack([fit_image(one.image, size, size) for one in questions]),
            np.stack([one.state for one in questions]),
            questions[0].embodiment,
            history=np.stack([one.history for one in questions]),  # type: ignore[arg-type]
            fov=np.array([one.fov_rad for one in questions], dtype=np.float32),
            seed=questions[0].seed,
            keys=np.array([one.step or 0 for one in questions]),
            instructions=[one.prompt for one in questions],
        )

    def _late(self, one: _Waiting, now: float) -> bool:
        waited_s = now - one.since_s
        if waited_s <= self._config.deadline_s or one.future.done():
            return one.future.done()
        self._metrics.refused("late")
        limit = f"{self._config.deadline_s} s"
        _fail(one, InputError("the question waited too long", found=f"{waited_s:.2f} s", valid=f"at most {limit}"))
        return True


def _alike(batch: list[_Waiting]) -> list[list[_Waiting]]:
    """Those that can be asked in one call: of one embodiment and seed."""
    groups: dict[tuple[str, int], list[_Waiting]] = {}
    for one in batch:
        groups.setdefault((one.question.embodiment, one.question.seed), []).append(one)
    return list(groups.values())


def _fail(one: _Waiting, error: Exception) -> None:
    if not one.future.done():
        one.future.set_exception(error)
