"""Several processes, sharded weights, compiled networks: the same training, started as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_cache import MODEL, toy_cache

from vidpretrain.errors import ConfigError
from vidpretrain.training import Policy, TrainConfig, pretrain
from vidpretrain.training.launch import make_accelerator
from vidpretrain.training.policy import load_model

ROOT = Path(__file__).parents[2]
FAST = TrainConfig(steps=8, batch_size=8, draws=2, warmup=5, tensorboard=False, shift_px=1, log_every=2)


def launched(tmp_path: Path, cache: Path, out: Path, config: TrainConfig, launcher: str, last: int | None = None):
    """The run by `accelerate launch` with one of our files, on two CPU processes."""
    driver = tmp_path / "driver.py"
    driver.write_text(
        "from pathlib import Path\n"
        "from vidpretrain.model import ModelConfig\n"
        "from vidpretrain.training import TrainConfig\n"
        "from vidpretrain.training.loop import _run\n"
        f"model, train = ModelConfig(**{vars(MODEL)!r}), TrainConfig(**{vars(config)!r})\n"
        f"_run('pretrain', model, train, [Path({str(cache)!r})], Path({str(out)!r}), {last})\n"
        "import torch.distributed as dist\n"
        "dist.barrier()\n"
        "dist.destroy_process_group()\n"
        "import os\n"
        "os._exit(0)  # shared-out weights keep gloo's threads alive, which abort some exits after all work is done\n"
    )
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--main_process_port", "0"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    words = [*command, "--config_file", str(ROOT / "configs" / "accelerate" / launcher), str(driver)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_sharded_weights_train_as_whole_ones_and_go_on(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    config = FAST.replace(val_episodes=(3,), val_every=4)
    one = pretrain(MODEL, config, [cache.path], tmp_path / "one")
    launched(tmp_path, cache.path, tmp_path / "two", config, "fsdp2.yaml", 5)
    assert not (tmp_path / "two" / "model").exists()
    launched(tmp_path, cache.path, tmp_path / "two", config, "fsdp2.yaml")
    told = json.loads((tmp_path / "two" / "train.json").read_text())
    assert (told["processes"], told["resumed_from"], told["parameters"]) == (2, 5, one["parameters"])
    for a, b in zip(lines(tmp_path / "one")[-1:], lines(tmp_path / "two")[-1:], strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
        assert b["val_error"] == pytest.approx(a["val_error"], rel=1e-3)
    whole, shared = (load_model(tmp_path / name / "model").state_dict() for name in ("one", "two"))
    assert whole.keys() == shared.keys()
    for name, value in whole.items():
        torch.testing.assert_close(shared[name], value, atol=2e-4, rtol=1e-3)
    assert Policy.load(tmp_path / "two" / "best").embodiments == ["toy"]


def test_a_compiled_network_trains_as_it_does_without(tmp_path):
    cache = toy_cache(tmp_path / "cache", episodes=2, length=20)
    config = FAST.replace(steps=2, log_every=1)
    plain = pretrain(MODEL, config, [cache.path], tmp_path / "plain")
    compiled = pretrain(MODEL, config.replace(compile="aot_eager"), [cache.path], tmp_path / "compiled")
    torch._dynamo.reset()
    assert compiled["loss"] == pytest.approx(plain["loss"], rel=1e-4)
    names = load_model(tmp_path / "compiled" / "model").state_dict().keys()
    assert names == load_model(tmp_path / "plain" / "model").state_dict().keys()


def test_unknown_compiler_and_uneven_parts_are_refused():
    with pytest.raises(ConfigError, match="backend"):
        make_accelerator(TrainConfig(compile="inductr"))
    with pytest.raises(ValueError, match="accumulate"):
        TrainConfig(batch_size=8, accumulate=3)


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tmp_path):
    cache = toy_cache(tmp_path / "cache", episodes=2, length=20)
    whole = pretrain(MODEL, FAST.replace(steps=3, log_every=1), [cache.path], tmp_path / "whole")
    parts = pretrain(MODEL, FAST.replace(steps=3, log_every=1, accumulate=4), [cache.path], tmp_path / "parts")
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    norms = [[line["grad_norm"] for line in lines(tmp_path / name)] for name in ("whole", "parts")]
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-4)
