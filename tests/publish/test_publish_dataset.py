"""A LeRobot data set of ours, published: its card, its licences, and that it is still one afterwards."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import yaml

from vidpretrain.dataset import DatasetConfig, DatasetWriter, open_dataset
from vidpretrain.publish import PublishConfig, plan, publish


@pytest.fixture(scope="module")
def toys():
    """The small episodes of the data set's own tests."""
    path = Path(__file__).parents[1] / "dataset" / "conftest.py"
    spec = importlib.util.spec_from_file_location("dataset_toys", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(toys, tmp_path):
    with DatasetWriter(tmp_path / "set", toys.SPEC, 30.0, (48, 64), "toy", config=DatasetConfig()) as writer:
        for seed, length in enumerate((12, 7)):
            writer.add_episode(*toys.make_episode(length, seed, "reach" if seed else "grasp"))
    return tmp_path / "set"


def test_a_data_sets_card_counts_what_is_in_it(root):
    card = plan(root, PublishConfig(repo="me/kitchen")).made["README.md"]
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["tags"][0] == "LeRobot"
    assert head["configs"][0]["data_files"] == "data/*/*.parquet"
    for words in (
        "2 episodes, 19 rows",
        "| CC-BY-4.0 | 2 |",
        "- reach (1)",
        'LeRobotDataset("me/kitchen")',
        "| left_arm | 2 |",
    ):
        assert words in card
    assert "{{" not in card


def test_the_published_folder_is_the_same_data_set(root, tmp_path):
    result = publish(root, PublishConfig(folder=tmp_path / "out"))
    assert result["kind"] == "dataset"
    back = open_dataset(tmp_path / "out")
    assert (len(back), back.frame_count) == (2, 19)
    for name in result["files"][1:]:
        assert (tmp_path / "out" / name).read_bytes() == (root / name).read_bytes()


def test_episodes_without_licence_or_consent_are_named(root):
    path = root / "meta" / "vidpretrain.json"
    record = json.loads(path.read_text())
    record["episodes"][0]["source"]["license"] = "unknown"
    record["episodes"][1]["source"]["consent"] = "withdrawn"
    path.write_text(json.dumps(record))
    refused = plan(root, PublishConfig()).refused
    assert [(one.source, one.why) for one in refused] == [
        ("episode 0", "nobody wrote down its licence"),
        ("episode 1", "consent: withdrawn"),
    ]
