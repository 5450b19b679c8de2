from __future__ import annotations

import subprocess
import sys

import pytest
from toy_cache import MODEL, arm, hand, spec, toy_cache

from vidpretrain.errors import CheckpointError, DiskFull, InputError
from vidpretrain.training import Policy, TrainConfig, predict, pretrain
from vidpretrain.training.checkpoint import save_guard

HEAVY = ("torch", "transformers", "accelerate", "av", "mujoco")


def test_doors_open_without_torch():
    program = (
        "import sys\n"
        "from vidpretrain.model import ModelConfig\n"
        "from vidpretrain.training import PredictConfig, TrainConfig\n"
        "from vidpretrain.evaluate import EvaluateConfig\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
        InputError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_named(tmp_path, error):
    with pytest.raises(DiskFull, match="no space left"), save_guard(tmp_path):
        raise error
    with pytest.raises(RuntimeError, match="other"), save_guard(tmp_path):
        raise RuntimeError("other")


def test_data_with_other_columns_are_refused(tmp_path):
    cache = toy_cache(tmp_path / "cache", episodes=1, length=10)
    config = TrainConfig(steps=1, batch_size=4, draws=1, warmup=0, tensorboard=False)
    pretrain(MODEL, config, [cache.path], tmp_path / "run")
    other = toy_cache(tmp_path / "other", spec("toy", arm("right_arm"), hand()), episodes=1, length=10)
    with pytest.raises(CheckpointError, match="columns of toy") as caught:
        predict(tmp_path / "run", [other.path], tmp_path / "out")
    assert "right_arm_0" in str(caught.value)
    policy = Policy.load(tmp_path / "run")
    with pytest.raises(CheckpointError, match="chunk length"):
        policy.require("toy", cache.spec.names, 99)


def test_tensorboard_gets_the_figures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    cache = toy_cache(tmp_path / "cache", episodes=1, length=10)
    config = TrainConfig(steps=4, batch_size=4, draws=1, warmup=0, log_every=2)
    pretrain(MODEL, config, [cache.path], tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert {"loss", "lr", "group_loss/left_arm"} <= set(events.Tags()["scalars"])
    assert [e.step for e in events.Scalars("loss")] == [2, 4]
