"""The doctor's rows: what works is ok, what is missing fails with a command, and nothing raises."""

from __future__ import annotations

import importlib.util

import pytest

from vidpretrain.doctor import doctor, graphics, machine, media, robots, run
from vidpretrain.doctor.row import Row, guarded
from vidpretrain.errors import MissingAsset, UsageError


def test_media_rows_are_ok_here():
    rows = {row.check: row for row in media.check_media()}
    assert rows["H.264 encoder"].status == "ok"
    assert rows["PyAV"].status == "ok"
    assert "8 of 8" in rows["PyAV"].found


@pytest.fixture
def without(monkeypatch):
    find = importlib.util.find_spec

    def hide(*names):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in names else find(name, *a))

    return hide


def test_missing_packages_are_rows_with_a_command(without):
    without("av", "mujoco", "torch")
    for check in (media.check_media, graphics.check_graphics, machine.check_accelerator):
        (row,) = check()
        assert row.status == "fail"
        assert "not installed" in row.found
        assert row.next


def test_decord_is_not_required(without):
    without("decord")
    rows = {row.check: row for row in media.check_media()}
    assert rows["decord"].status == "warn"


def test_a_broken_back_end_is_reported_not_raised(monkeypatch):
    monkeypatch.setattr(graphics, "_BACKENDS", ("nonsense",))
    (row,) = graphics.check_graphics()
    assert row.status == "fail"
    assert row.next == graphics.APT
    assert "Error" in row.found


def test_one_working_back_end_is_enough(monkeypatch):
    monkeypatch.setattr(graphics, "_render", lambda backend: (backend == "egl", "x"))
    assert [row.status for row in graphics.check_graphics()] == ["ok", "warn"]


def test_a_raising_check_becomes_a_row_with_its_next_command():
    def check():
        yield Row(check="a", status="ok", found="")
        raise MissingAsset("no model", next_command="make setup")

    (row,) = guarded("models", check)
    assert (row.status, row.next) == ("fail", "make setup")
    assert "no model" in row.found


@pytest.mark.parametrize(("gigabytes", "status"), [(0.5, "fail"), (3.0, "warn"), (50.0, "ok")])
def test_disk_thresholds(gigabytes, status, monkeypatch):
    usage = type("Usage", (), {"free": int(gigabytes * 1e9)})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage)
    for row in machine.check_disk():
        assert row.status == status
        assert bool(row.next) == (status != "ok")


def test_free_memory_is_plausible():
    free = machine.free_memory_bytes()
    assert free is None or 1e6 < free < 1e14


def test_verdict_follows_the_rows(monkeypatch):
    good = Row(check="a", status="ok", found="")
    bad = Row(check="b", status="fail", found="", next="type this")
    monkeypatch.setattr(run, "CHECKS", {"a": lambda: [good], "b": lambda: [bad]})
    result = doctor()
    assert not result["ok"]
    assert "type this" in result["message"]
    monkeypatch.setattr(run, "CHECKS", {"a": lambda: [good]})
    assert doctor()["ok"]


def test_robots_lists_and_shows():
    listed = robots()["robots"]
    name = "g1_dex3"  # comes with the setup; others may need `make robots`
    assert name in [row["name"] for row in listed]
    shown = robots(inputs=(name,))
    assert shown["name"] == name
    assert len(shown["joints"]) == sum(shown["groups"].values())


def test_two_robots_at_a_time_are_a_usage_error():
    with pytest.raises(UsageError):
        robots(inputs=("a", "b"))
