"""The table of all robots on all motions: made once, gone on with, and not stopped by what is bad."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from vidpretrain.workflow.config import RunConfig

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "motion_files"))
import motion_file_makers as makers  # noqa: E402


@pytest.fixture(scope="module")
def script():
    import robots

    return robots


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "out" / "robots.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_rows_are_made_once_and_bad_ones_say_why(script, tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    np.savez(data / "wave.npz", smpl_joints=makers.person(24), fps=30)
    np.savez(data / "hand.npz", right_hand=makers.hand(frames=24), fps=30)
    (data / "broken.bvh").write_text("HIERARCHY")
    words = ["--data", str(data), "--videos", str(tmp_path), "--clips", "--out", str(tmp_path / "out")]
    words += ["--docs", str(tmp_path / "robots.md"), "--robot", "t1", "inspire_right", "nobody"]
    words += ["--set", "retarget.self_collision=false"]  # how near the free motion comes
    assert script.main([*words, "--seconds", "0"]) == 1  # the time is up before the first row
    assert "not made yet" in (tmp_path / "robots.md").read_text()
    assert script.main(words) == 0
    rows = table(tmp_path)
    assert {(row["robot"], row["motion"]) for row in rows} == {
        ("t1", "wave"), ("t1", "hand"), ("inspire_right", "hand"),
    }  # fmt: skip
    good = next(row for row in rows if row["robot"] == "t1" and row["motion"] == "wave")
    assert float(good["wrist_mm"]) < 30
    assert good["verdict"] in ("feasible", "doubtful", "infeasible")
    whole = json.loads((tmp_path / "out" / "robots.json").read_text())
    assert "nobody" in whole["missing"][0]
    assert "broken.bvh" in whole["left_out"][0]
    page = (tmp_path / "robots.md").read_text()
    for words_of_it in ("| t1 |", "| inspire_right |", "nobody", "broken.bvh"):
        assert words_of_it in page

    monkeypatch.setattr(script, "measure", lambda *a: pytest.fail("a row was made twice"))
    assert script.main(words) == 0
    assert table(tmp_path) == rows


def test_an_exception_in_one_pair_is_its_row(script, monkeypatch):
    import vidpretrain.retarget

    def fails(*_):
        raise ZeroDivisionError("in the solver")

    monkeypatch.setattr(vidpretrain.retarget, "retarget", fails)
    robot = type("R", (), {"name": "r"})()
    row = script.measure(robot, {"name": "m", "kind": "body", "human": None}, RunConfig())
    assert "ZeroDivisionError" in row["reason"]


def test_the_page_counts_what_did_not_come_out(script):
    from robots_page import document

    blank = {"robot": "a", "kind": "body", "reason": ""}
    good = {
        **blank, "motion": "walk", "frames": 100, "frames_per_s": 1000.0, "whole_body": True, "verdict": "doubtful",
        "wrist_mm": 2.0, "wrist_p95_mm": 5.0, "tip_mm": None, "tip_p95_mm": None, "foot_mm": 1.0, "foot_p95_mm": 3.0,
        "flaws": "balance", "worst_flaw": "balance: 50 %", "playable": 1.0, "colliding": 0.1, "fingers_colliding": 0.0,
    }  # fmt: skip
    bad = {**blank, "motion": "jump", "reason": "not_converged: far off"}
    none = {**blank, "robot": "b", "motion": "walk", "reason": "no_usable_segment: nothing"}
    page = document([good, bad, none], [], [], 0, "abc 2026-01-01", [])
    line = next(line for line in page.splitlines() if line.startswith("| a |"))
    assert "1/2" in line
    assert "2.0 (5.0)" in line
    assert "0 / 1 / 0" in line
    assert "10.00 %" in line
    assert "jump: not_converged" in line
    assert "none came out: no_usable_segment" in page
    columns = {line.count("|") for line in page.splitlines() if line.startswith(("| a ", "| b ", "| robot "))}
    assert len(columns) == 1
