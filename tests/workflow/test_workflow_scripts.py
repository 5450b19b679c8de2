"""The scripts of `accelerate launch`: one run configuration, alone or as several processes; errors as everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from workflow_toys import RATE_HZ, arm, episode

from vidpretrain.dataset import DatasetWriter

ROOT = Path(__file__).parents[2]
ROWS = 40
SMALL = ("model.preset=micro", "pretrain.steps=3", "pretrain.warmup=1", "pretrain.batch_size=8", "actions.horizon=4")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    spec = arm("human_toy")
    root = tmp_path_factory.mktemp("data") / "set"
    rng = np.random.default_rng(0)
    with DatasetWriter(root, spec, RATE_HZ, (48, 64)) as writer:
        for seed in range(2):
            writer.add_episode(episode(spec, seed, ROWS), rng.integers(0, 255, (ROWS, 48, 64, 3), dtype=np.uint8))
    return root


def call(*words, processes: int = 0):
    launcher = [sys.executable]
    if processes:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([*launcher, *map(str, words)], env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_two_processes_and_one_train_the_same_policy(dataset, tmp_path):
    script = ROOT / "scripts" / "pretrain.py"
    told = {}
    for name, processes in (("one", 0), ("two", 2)):
        done = call(script, "--json", f"out={tmp_path / name}", *SMALL, dataset, processes=processes)
        assert done.returncode == 0, done.stderr[-3000:]
        told[name] = json.loads(done.stdout)
    assert (told["one"]["processes"], told["two"]["processes"]) == (1, 2)
    assert told["two"]["loss"] == pytest.approx(told["one"]["loss"], rel=1e-5)


@pytest.mark.slow
def test_mistakes_have_the_exit_codes_of_the_command_line(dataset, tmp_path):
    script = ROOT / "scripts" / "pretrain.py"
    wrong = call(script, f"out={tmp_path}", "pretrain.stpes=3", dataset)
    assert wrong.returncode == 2
    assert "did you mean 'steps'" in wrong.stderr
    nowhere = call(script, f"out={tmp_path}", *SMALL, tmp_path / "nowhere")
    assert nowhere.returncode == 1
    assert "no such data set folder" in nowhere.stderr
