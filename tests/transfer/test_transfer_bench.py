"""The script from end to end with everything small: cells run, are found again, and go on after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from vidpretrain import config as configs
from vidpretrain.errors import MissingAsset
from vidpretrain.transfer import TransferConfig

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench():
    import transfer

    return transfer


def keys(tree):
    return (
        {name: keys(value) for name, value in tree.items() if name != "representation"} if isinstance(tree, dict) else 0
    )


def test_the_yaml_names_every_key():
    path = ROOT / "configs" / "bench" / "transfer.yaml"
    assert keys(yaml.safe_load(path.read_text())) == keys(configs.plain(configs.load(TransferConfig, path)))


def test_no_arm_has_other_training_than_another():
    config = configs.load(TransferConfig, ROOT / "configs" / "bench" / "transfer.yaml")
    for name in ("batch_size", "draws", "shift_px", "shift_state", "colour_jitter", "ema", "state_mask", "fov_mask"):
        assert getattr(config.pretrain, name) == getattr(config.finetune, name)
    assert config.keep.lr_scale == 1.0
    assert max(config.demos) * 2 <= config.robot_episodes


def test_a_key_holds_what_its_arm_uses(tmp_path):
    import dataclasses

    from vidpretrain.transfer.cells import Cell
    from vidpretrain.transfer.run import Bench

    plain = TransferConfig(robot_episodes=200)
    longer = plain.replace(pretrain=plain.pretrain.replace(steps=7))
    other = plain.replace(finetune=plain.finetune.replace(lr=1e-4))
    fewer = plain.replace(demos=(5,), sets=1, play=dataclasses.replace(plain.play, workers=1))
    cell = {arm: Cell(arm=arm, demos=5, number=0) for arm in ("scratch", "zero", "pretrained")}

    def keys_of(config):
        return {arm: Bench(config, tmp_path).key(one) for arm, one in cell.items()}

    assert len(set(keys_of(plain).values())) == 3
    assert keys_of(fewer) == keys_of(plain)
    assert {arm for arm in cell if keys_of(longer)[arm] != keys_of(plain)[arm]} == {"zero", "pretrained"}
    assert {arm for arm in cell if keys_of(other)[arm] != keys_of(plain)[arm]} == {"scratch", "pretrained"}


def test_lines_of_other_cells_stay(bench, tmp_path):
    path = tmp_path / "lines.jsonl"
    bench.copy([{"key": "a", "v": 1}, {"key": "b", "v": 1}], path)
    bench.copy([{"key": "b", "v": 2}, {"key": "c", "v": 2}], path)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert [(line["key"], line["v"]) for line in lines] == [("a", 1), ("b", 2), ("c", 2)]


def test_a_wrong_key_is_an_error_before_anything_runs(bench, tmp_path, capsys):
    assert bench.main(["--out", str(tmp_path), "peopel.episodes=3"]) != 0
    assert "people" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_small_from_end_to_end(bench, tmp_path, capsys):
    from vidpretrain.robot import load_robot

    try:
        load_robot("g1_inspire")
    except MissingAsset as missing:
        pytest.skip(str(missing))
    small = ["people.episodes=3", "robot_episodes=5", "pretrain.steps=3", "finetune.steps=3", "play.starts=2"]
    words = ["--smoke", "--out", str(tmp_path), *small, "play.workers=1"]
    assert bench.main([*words, "--limit", "2"]) == 0
    first = (tmp_path / "transfer.jsonl").read_text()
    assert len(first.splitlines()) == 2
    assert bench.main(words) == 0
    lines = [json.loads(text) for text in (tmp_path / "transfer.jsonl").read_text().splitlines()]
    assert (tmp_path / "transfer.jsonl").read_text().startswith(first)
    found = [(line["arm"], line["flip"]) for line in lines]
    assert found == [
        ("zero", None),
        ("zero", "time"),
        ("scratch", None),
        ("pretrained", None),
        ("shuffled", None),
        ("pretrained", "time"),
    ]
    assert all(len(line["played"]["pick_lift"]["in"]["success"]) == 2 for line in lines)
    assert len({line["key"] for line in lines}) == 6
    capsys.readouterr()
    assert bench.main([*words, "--table"]) == 0
    assert "pretrained, time flipped" in capsys.readouterr().out
