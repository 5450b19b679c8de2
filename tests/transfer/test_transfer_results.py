"""What lines are turned into: rates from the grid, figures with their bars, the page; and what cells are made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vidpretrain import config as configs
from vidpretrain.errors import UnknownName
from vidpretrain.transfer import TransferConfig, bars, best_rates, page
from vidpretrain.transfer.cells import Cell, cells
from vidpretrain.transfer.data import demonstration_set
from vidpretrain.transfer.figures import ratio, table
from vidpretrain.transfer.run import Bench
from vidpretrain.transfer.tuning import grid, tuning

ROOT = Path(__file__).parents[2]
YAML = ROOT / "configs" / "bench" / "transfer.yaml"


def line(arm, demos, number, inside, outside="", level=1, **more):
    """A line with success inside and outside as strings of 0 and 1."""
    played = {"in": {"success": inside, "progress": 0.5}}
    played |= {"out": {"success": outside, "progress": 0.5}} if outside else {}
    own = {"arm": arm, "demos": demos, "number": number, "flip": None, "recipe": None, "level": level} | more
    own |= {"tasks": ["t"], "starts": len(inside), "played": {"t": played}, "lr": more.get("lr", 1e-3)}
    return {"key": json.dumps(own), "config": "c", "code": "d", **own}


def row(rows, name):
    (one,) = [r for r in rows if r["name"] == name]
    return one


def test_tuning_uses_nothing_that_a_cell_uses():
    config = configs.load(TransferConfig, YAML)
    apart = tuning(config, 3e-4)
    recorded = set(range(apart.first_seed, apart.first_seed + 2 * apart.robot_episodes))
    used = set(range(config.first_seed, config.first_seed + 2 * config.robot_episodes))
    used |= set(range(config.people.first_seed, config.people.first_seed + 2 * config.people.episodes))
    assert not recorded & used
    starts = set(range(apart.play.first_seed, apart.play.first_seed + apart.play.starts))
    assert not starts & set(range(config.play.first_seed, config.play.first_seed + config.play.starts))
    assert not starts & (recorded | used)
    one, arms = Cell(arm="pretrained", demos=config.tune.demos, number=0), {c.arm for c in cells(apart)}
    assert one.training(apart).lr == 3e-4
    assert arms == set(config.arms) - {"zero"}
    assert demonstration_set(apart, 0, 5) != demonstration_set(apart, 1, 5)


def test_rates_and_steps_are_in_the_key_of_the_cells_they_change(tmp_path):
    plain = TransferConfig(robot_episodes=200)
    other = plain.replace(rates={"pretrained": 1e-4}, steps_of=((5, 77),))
    cell = {(arm, n): Cell(arm=arm, demos=n, number=0) for arm in ("scratch", "pretrained") for n in (5, 10)}
    before, after = ({k: Bench(c, tmp_path).key(v) for k, v in cell.items()} for c in (plain, other))
    changed = {k for k in cell if before[k] != after[k]}
    assert changed == {("scratch", 5), ("pretrained", 5), ("pretrained", 10)}
    assert cell["pretrained", 5].training(other).steps == 77
    assert cell["pretrained", 10].training(other).lr == 1e-4
    assert cell["scratch", 10].training(other) == plain.finetune
    same = plain.replace(rates={"pretrained": plain.finetune.lr})
    assert Bench(same, tmp_path).key(cell["pretrained", 5]) == before["pretrained", 5]


def test_committed_lines_are_cells_of_the_yaml_or_say_what_they_are(tmp_path):
    """A new key of a configuration must not turn every finished cell into one that is run again."""
    bench = Bench(configs.load(TransferConfig, YAML), tmp_path)
    keys = {bench.key(cell) for cell in cells(bench.config)}
    lines = [json.loads(text) for text in (ROOT / "docs" / "results" / "transfer.jsonl").read_text().splitlines()]
    assert lines
    assert all(found["key"] in keys or found.get("note") for found in lines)


def test_a_recipe_is_a_cell_of_its_own(tmp_path):
    config = configs.load(TransferConfig, YAML)
    found = [c for c in cells(config) if c.recipe]
    assert {c.recipe for c in found} == set(config.recipes)
    assert {c.demos for c in found} == set(config.recipe_demos)
    bench = Bench(config, tmp_path)
    keys = {bench.key(c) for c in found if c.number == 0}
    plain = Cell(arm="pretrained", demos=5, number=0)
    assert len(keys | {bench.key(plain)}) == len(config.recipes) + 1
    assert found[0].keeping(config) == config.recipes[found[0].recipe]
    assert plain.keeping(config) == config.keep
    with pytest.raises(UnknownName, match="rates"):
        configs.build(TransferConfig, {"rates": {"scrach": 1e-3}})


def test_the_rate_with_most_success_over_common_sets_is_taken():
    lines = [
        line("scratch", 5, 0, "1100", lr=1e-3),
        line("scratch", 5, 1, "1111", lr=1e-3),  # the other rate has not run this set: it decides nothing
        line("scratch", 5, 0, "1110", lr=3e-4),
        line("pretrained", 5, 0, "1100", lr=1e-3),
    ]
    assert grid(lines)["scratch"][1e-3] == {"success": 0.5, "progress": 0.5, "sets": 1}
    assert best_rates(lines) == {"scratch": 3e-4}  # one rate alone is no choice


def test_rates_of_the_yaml_are_those_of_the_committed_grid():
    config = configs.load(TransferConfig, YAML)
    path = ROOT / "docs" / "results" / "transfer_tuning.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()] if path.is_file() else []
    whole = {arm: rates for arm, rates in grid(lines).items() if set(rates) == set(config.tune.lr)}
    best = {arm: lr for arm, lr in best_rates(lines).items() if arm in whole}
    assert config.rates == best


def test_a_ratio_is_drawn_over_the_same_starts():
    own, other = np.ones((3, 1, 50)), np.zeros((3, 1, 50))
    other[:, :, ::2] = 1.0
    value, low, high = ratio(own, other)
    assert value == pytest.approx(2.0)
    assert 1.5 < low < 2.0 < high < 3.0  # .5 over 50 starts that sets share: .36 to .64
    assert ratio(other, other) == (1.0, 1.0, 1.0)
    assert ratio(own, np.zeros_like(own)) == (np.inf, np.inf, np.inf)


def test_every_figure_has_a_row_and_unmeasured_ones_are_not_met():
    rows = bars([])
    json.dumps(rows, allow_nan=False)
    asked = [r for r in rows if r["bar"]]
    assert len(asked) > 15
    assert all(r["value"] is None or r["name"].startswith("bridges") for r in asked)
    assert not any(r["met"] for r in rows)
    assert all(r["note"] for r in rows)
    names = " ".join(r["name"] for r in rows)
    kinds = ("gate", "lift with 5", "lift with 10", "shuffled", "same phase", "nothing lost", "less scratch with 25")
    for words in (*kinds, "less scratch with 50", "bridges", "whole benchmark", "predictor", "scaling"):
        assert words in names


def test_bars_are_for_level_2_and_hold_what_they_say():
    lines = [line("scratch", 5, n, "1000" * 25, "0" * 100) for n in range(5)]
    lines += [line("pretrained", 5, n, "1111" * 25, "1" * 100, level=2) for n in range(5)]
    lines += [line("shuffled", 5, n, "1000" * 25, "0" * 100, level=2) for n in range(5)]
    lines += [line("pretrained", 5, 0, "1100" * 25, "1" * 100, level=1), line("zero", 0, 0, "0111" * 25, level=1)]
    lines += [line("scratch", 100, 0, "1" * 100)]
    rows = bars(lines, hours=7.0)
    lift = "lift with 5, in distribution: pretrained over scratch, level "
    assert row(rows, lift + "2")["value"] == pytest.approx(4.0)
    assert row(rows, lift + "2")["met"]
    assert row(rows, lift + "1")["value"] == pytest.approx(2.0)
    assert row(rows, lift + "1")["met"] is None
    assert "1 set" in row(rows, lift + "1")["note"]
    never = row(rows, "lift with 5, out of distribution: pretrained over scratch, level 2")
    assert (never["value"], never["met"]) == (None, False)
    assert "never succeeds" in never["note"]
    shuffled = "control with 5, in distribution: shuffled labels less scratch, either way, level 2"
    assert row(rows, shuffled)["met"]
    lost = row(rows, "nothing lost: fine-tuned less zero-shot, the worst case, level 1")
    assert lost["value"] == pytest.approx(-0.25)
    lines += [line("pretrained", 5, 0, "0000" * 25, flip="grip"), line("zero", 0, 0, "1110" * 25, flip="grip")]
    (lost,) = [r for r in bars(lines) if r["name"] == lost["name"]]
    assert lost["value"] == pytest.approx(-0.75)
    assert "grip" in lost["note"]
    assert row(rows, "gate: tasks that pass")["value"] == 1
    assert not row(rows, "gate: tasks that pass")["met"]
    whole = row(rows, "the whole benchmark on two cores, foretold from its cells")
    assert (whole["value"], whole["met"]) == (7.0, False)  # of one task
    assert "1 of 8 tasks" in whole["note"]
    actions = "of the actions with 5, in distribution: pretrained less shuffled labels, level 2"
    assert row(rows, actions)["value"] == pytest.approx(0.75)
    json.dumps(rows, allow_nan=False)


def test_recipes_are_compared_with_the_arm_as_it_is():
    lines = [line("pretrained", 5, 0, "1000"), line("pretrained", 5, 0, "1110", recipe="distil")]
    found = {(r["arm"], r["recipe"]): r for r in table(lines)}
    assert found["pretrained", "distil"]["gain"] == pytest.approx(0.5)
    assert found["pretrained", None]["success"] == pytest.approx(0.25)
    assert found["pretrained", None]["gain"] is None


def test_the_page_has_every_line():
    lines = [line("scratch", 5, 0, "1000", "0000"), line("pretrained", 5, 0, "1110", "1000", flip="time")]
    text = page(
        lines, [line("scratch", 5, 0, "1100", lr=3e-4)], [line("scratch", 25, 0, "1111", note="far apart")], bars(lines)
    )
    assert "| scratch | 5 | 1 | .25 [.00, .75] |  | .00 [.00, .00] |  |" in text
    assert "time the other way round" in text
    assert "0.500 (1)" in text
    assert "Of another configuration (c)\n\nCode d. Far apart. Tasks: t" in text
    assert "| scratch | 25 | 1 | 1 [1, 1] |" in text
    assert "gate: tasks that pass" in text
