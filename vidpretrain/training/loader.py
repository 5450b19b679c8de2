"""Batches made ahead of the step that needs them, by threads: gathering from memory maps leaves Python's lock.

A batch is a function of its step alone, so the batches are the same with any number of threads, and stopping and
going on at any step needs nothing but the step.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """`make(prepare(step))` for steps up to `end`, `workers` of them in the making (0: made when asked for)."""

    def __init__(self, prepare: Callable[[int], object], make: Callable[..., T], end: int, workers: int) -> None:
        self.prepare, self.make, self.end, self.workers = prepare, make, end, workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batch") if workers else None
        self._waiting: dict[int, Future[T]] = {}

    def get(self, step: int) -> T:
        """The batch of `step`; the next ones are asked for.

        Raises: whatever `make` raised for this step.
        """
        if self._pool is None:
            return self.make(self.prepare(step))
        for ahead in range(step, min(step + self.workers + 1, self.end)):
            if ahead not in self._waiting:
                self._waiting[ahead] = self._pool.submit(self.make, self.prepare(ahead))
        return self._waiting.pop(step).result()

    def close(self) -> None:
        """Drop what was not asked for."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()
