"""A training run, or the timing of one, in a process of its own (which may be killed, or be one of several).

python driver.py train TASK.json       {"model": ..., "train": ..., "cache": FOLDER, "out": FOLDER}
python driver.py speed CACHE ROUNDS    one line of JSON: seconds of steps, of matrix products, waiting, operations
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 2048  # of the matrices whose product sets the rate


def train(task: dict[str, Any]) -> dict[str, Any]:
    """The summary of a pretraining run."""
    import torch.distributed as dist

    from vidpretrain.model import ModelConfig
    from vidpretrain.training import TrainConfig, pretrain

    told = pretrain(
        ModelConfig(**task["model"]), TrainConfig(**task["train"]), [Path(task["cache"])], Path(task["out"])
    )
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
    return told


def speed(cache: Path, rounds: int, steps: int = 6) -> dict[str, Any]:
    """Nano at 96 px, batch 32, the loop's own steps (batches, EMA and all) and matrix products in turns."""
    import torch
    from accelerate import Accelerator
    from torch.utils.flop_counter import FlopCounterMode

    from vidpretrain.model import ModelConfig
    from vidpretrain.training import TrainConfig, loop, setup
    from vidpretrain.training.loader import Ahead
    from vidpretrain.training.profiling import StopWatch

    config = TrainConfig(steps=rounds * steps + steps, batch_size=32, tensorboard=False)
    made = setup.prepare(ModelConfig(preset="nano", image_px=96), config, [cache])
    folder = Path(tempfile.mkdtemp())
    trainer = loop.Trainer("pretrain", made, config, folder, Accelerator(cpu=True), "speed")
    trainer.model.train()
    with FlopCounterMode(display=False) as counter:
        trainer.model(**trainer.batch(0)).loss.backward()
    trainer.optimizer.zero_grad()
    trainer.ahead = Ahead(trainer._pick, trainer._make, config.steps, config.workers)
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    rates, seconds, waits = [], [], []
    for turn in range(rounds + 1):
        rates.append(_rate(a, b))
        trainer.watch, start = StopWatch(False), time.perf_counter()
        for k in range(steps):
            trainer._step(turn * steps + k)
        spent = time.perf_counter() - start
        if turn:
            seconds.append(spent / steps)
            waits.append(trainer.watch.seconds["data"] / spent)
        rates.append(_rate(a, b))
    trainer.ahead.close()
    return {
        "gflop": counter.get_total_flops() / 1e9,
        "matmul_gflops": float(np.median(rates[2:])),
        "step_s": float(np.median(seconds)),
        "wait": float(np.median(waits)),
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in trainer.bare.parameters()),
    }


def _rate(a: Any, b: Any, times: int = 5) -> float:
    """GFLOP/s of the median of some products."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        _ = a @ b
        spent.append(time.perf_counter() - start)
    return 2 * SIDE**3 / float(np.median(spent)) / 1e9


if __name__ == "__main__":
    if sys.argv[1] == "train":
        print(json.dumps(train(json.loads(Path(sys.argv[2]).read_text()))), flush=True)
        os._exit(0)  # shared-out weights keep gloo's threads alive, and those abort some exits after all work is done
    else:
        print(json.dumps(speed(Path(sys.argv[2]), int(sys.argv[3]))))
