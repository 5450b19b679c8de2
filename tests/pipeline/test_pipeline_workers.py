"""Worker processes: every item gets a result, whatever a worker does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vidpretrain.errors import DiskFull
from vidpretrain.pipeline.workers import map_items
from vidpretrain.types import Reason, Reject


def work(item):
    if item == "raise":
        raise ValueError("bad item")
    if item == "die":
        os._exit(11)
    if item == "full":
        raise DiskFull("no space left")
    return item * 2


def test_exceptions_and_dead_workers_become_rejects_and_the_rest_is_done():
    items = [1, "raise", 2, "die", 3, 4]
    got = dict(map_items(work, items, workers=2))
    assert {k: v for k, v in got.items() if isinstance(k, int)} == {1: 2, 2: 4, 3: 6, 4: 8}
    assert isinstance(got["raise"], Reject)
    assert got["raise"].reason == Reason.FAILED
    assert "bad item" in got["raise"].detail
    assert "died" in got["die"].detail


def test_a_full_disk_stops_the_batch():
    with pytest.raises(DiskFull):
        dict(map_items(work, [1, "full"], workers=1))


def sleep_long(folder):
    with open(os.path.join(folder, str(os.getpid())), "w"):
        time.sleep(120)


def alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_workers_end_with_a_killed_parent(tmp_path):
    here = os.path.dirname(__file__)
    program = (
        f"import sys; sys.path.insert(0, {here!r})\n"
        "from test_pipeline_workers import sleep_long\n"
        "from vidpretrain.pipeline.workers import map_items\n"
        f"if __name__ == '__main__': list(map_items(sleep_long, [{str(tmp_path)!r}], 1))\n"
    )
    (tmp_path / "program.py").write_text(program)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "program.py")])
    deadline = time.monotonic() + 60
    while not (workers := [int(p.name) for p in tmp_path.iterdir() if p.name.isdigit()]):
        assert time.monotonic() < deadline, "no worker began"
        time.sleep(0.1)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while alive(workers[0]):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.1)
