"""Strict reading: unknown keys, wrong values, overrides, kinds, round trip."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from vidpretrain import config
from vidpretrain.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Adam:
    kind: Literal["adam"] = "adam"
    rate: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class Sgd:
    kind: Literal["sgd"] = "sgd"
    momentum: float = 0.9


@dataclass(frozen=True, kw_only=True)
class Run:
    paths: tuple[Path, ...] = ()
    steps: int = 3
    name: str | None = None
    optimizer: Adam | Sgd = field(default_factory=Adam)
    size: tuple[int, int] = (4, 5)

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


def test_round_trip(tmp_path):
    run = config.load(Run, None, ["paths=[a,b]", "steps=7", "optimizer.kind=sgd", "optimizer.momentum=1"])
    assert run == Run(paths=(Path("a"), Path("b")), steps=7, optimizer=Sgd(momentum=1.0))
    (tmp_path / "run.yaml").write_text(config.dump(run))
    again = config.load(Run, tmp_path / "run.yaml")
    assert again == run
    assert config.digest(again) == config.digest(run)
    assert config.digest(again) != config.digest(Run())


def test_misspelt_key_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown key 'optimizer\.rat'.*did you mean 'rate'"):
        config.build(Run, {"optimizer": {"kind": "adam", "rat": 1}})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"steps": "many"}, "'steps' does not fit"),
        ({"steps": True}, "'steps' does not fit"),
        ({"steps": 0}, "at least 1"),
        ({"optimizer": {"kind": "lion"}}, "adam"),
        ({"size": [1]}, "2 items"),
    ],
)
def test_values_that_do_not_fit(data, message):
    with pytest.raises(ConfigError, match=message):
        config.build(Run, data)


def test_missing_file_and_broken_yaml(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration"):
        config.load(Run, tmp_path / "x.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.load(Run, tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        config.load(Run, None, ["steps"])


def test_one_path_where_several_may_stand_and_numbers_in_exponent_form():
    assert config.build(Run, {"paths": "videos"}).paths == (Path("videos"),)
    assert config.load(Run, None, ["optimizer.kind=adam", "optimizer.rate=1e-4"]).optimizer.rate == 1e-4
