"""Many items through one function in worker processes; one bad item never stops the rest.

Workers are spawned, not forked: they start without torch, so that rendering and decoding libraries are safe in them.
An exception in an item is that item's `Reject(FAILED)`. A worker that dies (a decoder can crash the process) takes
its pool down: the unfinished items are then run again one by one, and the one that kills its worker twice is rejected.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from vidpretrain.errors import DiskFull
from vidpretrain.types import Reason, Reject

Item = TypeVar("Item")


def worker_count(configured: int = 0) -> int:
    """The configured number of processes, or one per available core when it is 0."""
    return configured if configured > 0 else max(1, len(os.sched_getaffinity(0)))


def _begin(parent: int) -> None:
    """Settings of a worker process; it ends when its parent does, even one that was killed."""
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # one thread a process: processes are the parallelism here
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _guard(function: Callable[[Any], Any], item: Any) -> Any:
    try:
        return function(item)
    except DiskFull:
        raise  # every further item would fail the same way
    except Exception as error:  # noqa: BLE001 - one bad item never stops a batch; the reason is kept
        where = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"
        return Reject(reason=Reason.FAILED, detail=detail)


def map_items(function: Callable[[Item], Any], items: Sequence[Item], workers: int = 0) -> Iterator[tuple[Item, Any]]:
    """(item, result) pairs as they finish. `function` and the items must be picklable.

    Raises:
        DiskFull: a worker found no space left; finished results are kept by whoever stored them.
    """
    count = min(worker_count(workers), max(1, len(items)))
    unfinished = list(enumerate(items))
    for index, result in _pool(function, unfinished, count):
        yield items[index], result
        unfinished = [pair for pair in unfinished if pair[0] != index]
    for index, item in unfinished:  # a worker died: one item at a time, in a pool of its own
        result = next((value for _, value in _pool(function, [(index, item)], 1)), None)
        died = Reject(reason=Reason.FAILED, detail="the worker process died twice on this item")
        yield item, died if result is None else result


def _pool(function: Callable, pairs: Iterable[tuple[int, Any]], count: int) -> Iterator[tuple[int, Any]]:
    pairs = list(pairs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        max_workers=count, mp_context=context, initializer=_begin, initargs=(os.getpid(),)
    ) as pool:
        waiting: dict[Future, int] = {pool.submit(_guard, function, item): index for index, item in pairs}
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                index = waiting.pop(future)
                try:
                    yield index, future.result()
                except BrokenProcessPool:
                    return
                except DiskFull:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
