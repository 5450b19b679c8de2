"""What goes wrong in a benchmark of hours: full disks, kills, data of another spec. Cells here are made up, not run."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from vidpretrain.errors import CheckpointError, DiskFull, MissingAsset
from vidpretrain.transfer import TransferConfig, run_cells
from vidpretrain.transfer import cells as kept
from vidpretrain.transfer.cells import read_lines
from vidpretrain.transfer.run import Bench

CONFIG = TransferConfig(demos=(5,), sets=3, arms=("scratch",), robot_episodes=20, flip_demos=(5,))

SLOW = """
import sys, time
from pathlib import Path
from vidpretrain.transfer import TransferConfig, run_cells
from vidpretrain.transfer.run import Bench

def run(self, cell):
    (self.out / f"begun_{cell.number}").touch()
    if cell.number == 1:
        time.sleep(300)
    return made_up(self, cell)

def made_up(self, cell):
    played = {"pick_lift": {"in": {"success": "01"}}}
    return {"key": self.key(cell), "number": cell.number, "played": played, "seconds": 0.0}

Bench.run = run
run_cells(
    TransferConfig(demos=(5,), sets=3, arms=("scratch",), robot_episodes=20, flip_demos=(5,)), Path(sys.argv[1])
)
"""


def made_up(bench, cell):
    """The line of a cell that nobody ran."""
    played = {"pick_lift": {"in": {"success": "01"}}}
    return {"key": bench.key(cell), "number": cell.number, "played": played, "seconds": 0.0}


def test_a_disk_that_is_full_at_a_cells_end_costs_that_cell(tmp_path, monkeypatch):
    ran = []

    def run(bench, cell):
        ran.append(cell.number)
        return made_up(bench, cell)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Bench, "run", run)
    run_cells(CONFIG, tmp_path, limit=1)
    with monkeypatch.context() as patch:
        patch.setattr(kept.os, "fsync", full)
        with pytest.raises(DiskFull, match="no space left"):
            run_cells(CONFIG, tmp_path)
    with (tmp_path / kept.LINES).open("r+") as file:  # what the full disk has left of the second line
        text = file.read()
        file.truncate(len(text) - 9)
    lines = run_cells(CONFIG, tmp_path)
    assert ran == [0, 1, 1, 2]
    assert [line["number"] for line in lines] == [0, 1, 2]
    assert [line["number"] for line in read_lines(tmp_path)] == [0, 1, 2]


def test_a_disk_that_is_full_in_training_ends_the_run_and_keeps_what_is_finished(tmp_path, monkeypatch):
    def run(bench, cell):
        if cell.number == 1:
            raise DiskFull("no space left on the device", asked=bench.out)
        return made_up(bench, cell)

    monkeypatch.setattr(Bench, "run", run)
    with pytest.raises(DiskFull):
        run_cells(CONFIG, tmp_path)
    assert [line["number"] for line in read_lines(tmp_path)] == [0]


def test_a_killed_benchmark_goes_on_at_its_cell(tmp_path, monkeypatch):
    killed = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)])
    until = time.monotonic() + 240
    while not (tmp_path / "begun_1").exists() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert [line["number"] for line in read_lines(tmp_path)] == [0]
    ran = []

    def run(bench, cell):
        ran.append(cell.number)
        return made_up(bench, cell)

    monkeypatch.setattr(Bench, "run", run)
    assert [line["number"] for line in run_cells(CONFIG, tmp_path)] == [0, 1, 2]
    assert ran == [1, 2]
    assert len((tmp_path / kept.LINES).read_text().splitlines()) == 3


def test_a_policy_of_another_spec_does_not_play(monkeypatch):
    """The frame is another one: as many columns, with other names, which would play nonsense."""
    from vidpretrain.actions import ActionConfig, camera_spec
    from vidpretrain.robot import load_robot
    from vidpretrain.sim.worlds import WorldConfig
    from vidpretrain.sim.worlds.remote import RemoteConfig
    from vidpretrain.training import Policy
    from vidpretrain.transfer import rollout

    try:
        robot = load_robot("g1_inspire")
    except MissingAsset as missing:
        pytest.skip(str(missing))
    base = camera_spec(robot, ActionConfig(rate_hz=10.0, horizon=16), frame="base")
    policy = Policy.__new__(Policy)
    monkeypatch.setattr(policy, "spec", lambda _: base, raising=False)
    remote = RemoteConfig(task="pick_lift", robot="g1_inspire", world=WorldConfig(), seeds=(1,), frame="camera")
    with pytest.raises(CheckpointError, match="not the checkpoint's"):
        rollout(policy, base.embodiment, remote, players=None)  # type: ignore[arg-type]  # nobody gets to play


def test_demonstrations_of_another_spec_are_not_fine_tuned_on(tmp_path):
    """A pretrained policy that speaks of other columns than the demonstrations have."""
    import numpy as np

    from vidpretrain.dataset import CacheEpisode, write_cache
    from vidpretrain.errors import ConfigError
    from vidpretrain.model import ModelConfig
    from vidpretrain.training import TrainConfig, finetune, pretrain
    from vidpretrain.types import ActionSpec, Group

    def cache(embodiment, names):
        group = Group(name="arm", names=names, quantity="joint", representation="relative", unit="rad")
        spec = ActionSpec(embodiment=embodiment, groups=(group,), rate_hz=10.0, horizon=4)
        state = np.random.default_rng(0).normal(size=(20, len(names))).astype(np.float32)
        episode = CacheEpisode(
            images=np.zeros((20, 16, 16, 3), np.uint8),
            state=state,
            action=state,
            valid=np.ones(state.shape, bool),
            weight=np.ones(state.shape, np.float32),
            fov_rad=1.0,
            instruction="",
            source="made up",
        )
        return write_cache(tmp_path / embodiment, spec, [episode], embodiment).path

    model = ModelConfig(
        image_px=16, stem=((8, 4),), width=16, trunk_layers=1, decoder_layers=1, heads=2, dropout=0.0, flow_steps=1
    )
    train = TrainConfig(steps=1, batch_size=2, draws=1, representation={}, tensorboard=False, shift_px=0)
    people = pretrain(model, train, [cache("person", ("a", "b"))], tmp_path / "pretrained")
    tuned = train.replace(init=people["checkpoint"], init_adapter_from="person", init_normalizer="donor")
    with pytest.raises(ConfigError, match="same columns"):
        finetune(model, tuned, [cache("robot", ("a", "c"))], tmp_path / "tuned")


def test_two_processes_share_the_cells(tmp_path, monkeypatch):
    other = subprocess.Popen([sys.executable, "-c", SLOW.replace("sleep(300)", "sleep(8)"), str(tmp_path)])
    until = time.monotonic() + 240
    while not (tmp_path / "begun_1").exists() and time.monotonic() < until:
        time.sleep(0.05)
    ran = []

    def run(bench, cell):
        ran.append(cell.number)
        return made_up(bench, cell)

    monkeypatch.setattr(Bench, "run", run)
    assert [line["number"] for line in run_cells(CONFIG, tmp_path)] == [0, 2]  # the other one is at number 1
    assert ran == [2]
    assert other.wait() == 0
    assert [line["number"] for line in read_lines(tmp_path)] == [0, 2, 1]
    assert [line["number"] for line in run_cells(CONFIG, tmp_path)] == [0, 1, 2]
    assert ran == [2]
    assert not (tmp_path / "begun_2").exists()
