"""Cells, their lines, demonstration sets, the tracker's noise, and the table's arithmetic."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vidpretrain import config as configs
from vidpretrain import geometry
from vidpretrain.errors import ConfigError
from vidpretrain.transfer import ARMS, BRIDGES, PeopleConfig, TransferConfig
from vidpretrain.transfer.cells import Cell, append_line, cells, read_lines
from vidpretrain.transfer.config import BridgeConfig
from vidpretrain.transfer.data import demonstration_set
from vidpretrain.transfer.figures import interval, table
from vidpretrain.transfer.tracker import track

SMALL = TransferConfig(demos=(5, 10), sets=2, robot_episodes=40, flip=("time", "adapters"), flip_demos=(5,))


def test_every_cell_once_and_sets_one_after_the_other():
    every = list(cells(SMALL))
    assert len(every) == len(set(every))
    assert [c for c in every if c.arm == "zero"] == [
        Cell(arm="zero", demos=0, number=0),
        Cell(arm="zero", demos=0, number=0, flip="time"),
    ]
    assert len([c for c in every if c.arm != "zero"]) == 2 * (2 * (len(ARMS) - 1) + 2)
    numbers = [c.number for c in every]
    assert numbers == sorted(numbers)


def test_sets_are_nested_and_differ():
    five, ten = demonstration_set(SMALL, 1, 5), demonstration_set(SMALL, 1, 10)
    assert set(five) < set(ten)
    assert demonstration_set(SMALL, 0, 10) != ten
    assert len(demonstration_set(SMALL, 0, 40)) == 40


def test_a_bridge_is_flipped_one_at_a_time():
    plain = BridgeConfig()
    for bridge in BRIDGES:
        apart = [name for name in BRIDGES if getattr(plain.flipped(bridge), name) != getattr(plain, name)]
        assert apart == [bridge]
    assert plain.flipped(None) == plain


def test_lines_survive_a_torn_end(tmp_path):
    append_line(tmp_path, {"key": "a", "value": 1})
    with (tmp_path / "transfer.jsonl").open("a") as file:
        file.write('{"key": "b", "val')  # killed here
    append_line(tmp_path, {"key": "c", "value": 3})
    assert [line["key"] for line in read_lines(tmp_path)] == ["a", "c"]
    assert read_lines(tmp_path / "nothing") == []


def test_bad_configurations_are_refused():
    for change, words in (
        ({"demos": [50], "robot_episodes": 40}, "50 demonstrations"),
        ({"tasks": ["pick_lift", "reach_touch"]}, "model.text"),
        ({"people_share": 1.0}, "people_share"),
        ({"people": {"speed": [4.0, 3.0]}}, "speed"),
    ):
        with pytest.raises(ConfigError, match=words):
            configs.build(TransferConfig, change)


def line(arm, demos, number, success, flip=None, out=None):
    played = {"in": {"success": success}} | ({"out": {"success": out}} if out else {})
    return {"key": f"{arm}{demos}{number}{flip}", "arm": arm, "demos": demos, "number": number, "flip": flip,
            "tasks": ["t"], "played": {"t": played}}  # fmt: skip


def test_gains_are_paired_over_sets_and_starts():
    lines = []
    for number, (scratch, own) in enumerate((("0000100000", "1111100000"), ("0000000000", "1111000000"))):
        lines += [line("scratch", 5, number, scratch), line("pretrained", 5, number, own)]
    lines.append(line("pretrained", 5, 0, "0000000000", flip="time"))
    lines.append(line("zero", 0, 0, "1000000000", out="1100000000"))
    rows = {(r["where"], r["arm"], r["flip"]): r for r in table(lines)}
    assert rows["in", "scratch", None]["success"] == pytest.approx(0.05)
    assert rows["in", "pretrained", None]["gain"] == pytest.approx(0.4)
    assert rows["in", "pretrained", "time"]["gain"] == pytest.approx(-0.5)  # to pretrained, over the set that both have
    assert rows["in", "zero", None]["gain"] is None
    assert rows["out", "zero", None]["success"] == pytest.approx(0.2)
    assert rows["in", "scratch", None]["gain"] is None
    assert rows["in", "pretrained", None]["gain_low"] > 0
    json.dumps(table(lines))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng, inside = np.random.default_rng(0), 0
    for trial in range(60):
        rates = np.clip(0.4 + 0.1 * rng.normal(size=(8, 1, 1)), 0, 1)
        values = (rng.random((8, 1, 40)) < rates).astype(float)
        low, high = interval(values, seed=trial)
        inside += low <= 0.4 <= high
    assert 50 <= inside <= 60


def test_hands_seen_closed_are_told_to_close():
    from vidpretrain.transfer.data import squeezed
    from vidpretrain.types import ActionSpec, Group

    names = ("right_hand_index", "right_hand_thumb_bend", "right_hand_thumb_rotation")
    hand = Group(name="right_hand", names=names, quantity="hand", representation="absolute", unit="fraction")
    arm = Group(name="right_arm", names=("a",), quantity="joint", representation="relative", unit="rad")
    spec = ActionSpec(embodiment="e", groups=(arm, hand), rate_hz=10.0, horizon=4)
    seen = np.array([[0.3, 1.0, 0.9, 0.2], [0.3, 0.7, 0.7, 0.2], [0.3, 0.5, 0.5, 0.2]])
    before = seen.copy()
    told = squeezed(seen, spec)
    np.testing.assert_array_equal(seen, before)
    np.testing.assert_allclose(told, [[0.3, 1.0, 0.9, 0.2], [0.3, 0.35, 0.35, 0.2], [0.3, 0.0, 0.0, 0.2]], atol=1e-9)


def test_a_tracker_is_worst_in_depth_and_says_how_bad_it_is():
    people, count = PeopleConfig(wrist_m=0.0), 40
    T = np.tile(geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0.1, 0.05, 0.5])), (count, 2, 1))
    hands = np.full((count, 12), 0.5)
    depth, across, factors, lost = [], [], [], []
    for seed in range(150):
        one = track(T, hands, people, np.random.default_rng(seed))
        off = one.T_camera_wrist[..., 4:] - T[..., 4:]
        view = geometry.normalize(T[0, 0, 4:])
        depth.append(np.abs((off @ view).mean(axis=0)).mean() / one.factor)
        side = off - (off @ view)[..., None] * view
        across.append(np.abs(side.mean(axis=0)).mean() / one.factor)
        factors.append(one.factor)
        lost.append(1 - one.found.mean())
        assert ((one.hands >= 0) & (one.hands <= 1)).all()
    assert np.mean(depth) == pytest.approx(people.depth_m * np.sqrt(2 / np.pi), rel=0.3)
    assert np.mean(depth) > 2 * np.mean(across)
    assert 0.5 <= min(factors) < 0.7 < 1.4 < max(factors) <= 2.0
    assert np.mean(lost) == pytest.approx(people.lost, abs=0.02)
