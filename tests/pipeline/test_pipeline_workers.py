"""Worker processes: every item gets a result, whatever a worker does."""

import os

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
