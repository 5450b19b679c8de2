"""Positional words, tables and JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vidpretrain.cli.arguments import split
from vidpretrain.cli.render import error_json, to_json, to_text
from vidpretrain.errors import DatasetError, UsageError


def test_words_are_told_apart():
    found = split(["a.mp4", "conf.YAML", "video.paths=x/y=z", "dir/k=v.mp4", "robot=g1", "-"])
    assert found.config == "conf.YAML"
    assert found.overrides == ("video.paths=x/y=z", "robot=g1")
    assert found.inputs == ("a.mp4", "dir/k=v.mp4", "-")


def test_yaml_can_be_an_input():
    assert split(["my_robot.yaml"], yaml_is_input=True).inputs == ("my_robot.yaml",)


def test_two_configurations_are_a_usage_error():
    with pytest.raises(UsageError, match="more than one"):
        split(["a.yaml", "b.yml"])


def test_numpy_values_become_plain_json():
    value = json.loads(to_json({"a": np.float32(0.5), "b": np.arange(3), "c": np.bool_(True), "d": np.nan}))
    assert value == {"a": 0.5, "b": [0, 1, 2], "c": True, "d": None}


def test_table_columns_line_up_and_empty_ones_are_left_out():
    text = to_text({"clips": [{"id": "a", "frames": 3, "note": ""}, {"id": "longer", "frames": 12, "note": None}]})
    title, head, first, second = text.splitlines()
    assert title == "clips"
    assert "note" not in head
    assert head.index("frames") == first.index("3") == second.index("12")


def test_pairs_and_message():
    text = to_text({"ok": True, "message": "done", "rate": 12.3456789, "sub": {"x": None, "y": [1, 2]}})
    assert text.splitlines() == ["rate   12.35", "sub.x", "sub.y  1, 2", "", "done"]


def test_error_json_keeps_what_was_asked_and_found():
    body = json.loads(error_json(DatasetError("old", asked="v1", found=3, valid="v3.0", next_command="x"), 1))["error"]
    assert body == {
        "kind": "DatasetError",
        "message": "old",
        "exit_code": 1,
        "asked": "v1",
        "found": "3",
        "valid": "v3.0",
        "next_command": "x",
    }
