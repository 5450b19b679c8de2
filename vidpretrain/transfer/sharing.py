"""Several processes on one benchmark's folder: each cell is run by one of them, what cells share is made once.

Locks are the system's own (flock): a process that is killed leaves none behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from vidpretrain.dataset.files import disk_guard


@contextmanager
def alone(out: Path, name: str) -> Iterator[None]:
    """Inside the block no other process is in a block of the same name; waits for one that is."""
    import fcntl

    with _opened(out, name) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def claimed(out: Path, name: str) -> Iterator[bool]:
    """Whether this process may do the work of that name; false where another one is at it."""
    import fcntl

    with _opened(out, name) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _opened(out: Path, name: str) -> IO[str]:
    path = out / "locks" / name
    with disk_guard(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")
