"""Training: exact after a kill, the same on several processes, and as fast as the machine multiplies matrices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[3]
DRIVER, ACT = (Path(__file__).with_name(name) for name in ("driver.py", "act.py"))
PEER = ROOT / ".venv-interop" / "bin" / "python"
Row = Callable[..., dict[str, Any]]
STEPS = 24


def resume_rows(row: Row, cache: Path, work: Path) -> list[dict[str, Any]]:
    """Kill a run at a random step, go on, and compare with the run that nobody disturbed, bit by bit."""
    train = {"steps": STEPS, "batch_size": 8, "draws": 2, "warmup": 4, "log_every": 1, "save_every": 5}
    whole = _task(work, cache, "undisturbed", {**train, "workers": 0})
    _wait(_started(whole), "train")
    rows = []
    for workers in (0, 2):
        at = int(np.random.default_rng().integers(6, STEPS - 2))
        task = _task(work, cache, f"killed_{workers}", {**train, "workers": workers})
        _kill_at(_started(task), task["out"], at)
        resumed = _wait(_started(task), "train")["resumed_from"]
        what = f"resume: SIGKILL after step {at}, on from {resumed}, {workers} workers"
        here, there = _losses(whole["out"]), _losses(task["out"])
        different = sum(here.get(k) != there.get(k) for k in here.keys() | there.keys())
        rows.append(row(f"{what}: losses of {STEPS} that differ", different, "losses", 0))
        rows.append(row(f"{what}: weights that differ", _different(whole["out"], task["out"]), "weights", 0))
    return rows


def scale_rows(row: Row, cache: Path, work: Path) -> list[dict[str, Any]]:
    """Two processes against one with the batches of both; then weights shared out between two."""
    train = {"steps": 12, "batch_size": 16, "draws": 2, "warmup": 4, "log_every": 1}
    one = _task(work, cache, "one", train)
    _wait(_started(one), "train")
    two, shared = _task(work, cache, "two", train), _task(work, cache, "fsdp2", train)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    _wait(_started(two, torchrun), "torchrun")
    launcher = ["--config_file", str(ROOT / "configs" / "accelerate" / "fsdp2.yaml"), "--main_process_port", "0"]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", *launcher]
    _wait(_started(shared, command), "fsdp2.yaml")
    alone, both, sharded = (_losses(task["out"]) for task in (one, two, shared))
    apart = max(abs(alone[k] - both[k]) for k in alone)
    told = json.loads((shared["out"] / "train.json").read_text())
    return [
        row("scale-out: 2 processes (torchrun, gloo) against 1, largest difference of 12 losses", apart, "", 1e-5),
        row(f"scale-out: fsdp2.yaml on {told['processes']} CPU processes, steps done", len(sharded), "steps", 12, True),
        row("scale-out: fsdp2.yaml against 1 process", max(abs(alone[k] - sharded[k]) for k in alone), ""),
    ]


def speed_rows(row: Row, cache: Path, rounds: int = 6) -> list[dict[str, Any]]:
    """Nano's steps against matrix products in the same process, and against ACT's default before and after."""
    ours, theirs = [], []
    for _ in range(2):
        ours.append(_json([sys.executable, str(DRIVER), "speed", str(cache), str(rounds)], threads=2))
        theirs.append(act(["speed", "2", "480", "640", "2"], threads=2))
    same = act(["speed", "2", "96", "96", "4"], threads=2)
    share = [one["gflop"] / one["step_s"] / one["matmul_gflops"] for one in ours]
    rate = 32 / float(np.median([one["step_s"] for one in ours]))
    acts = 8 / float(np.median([s for one in theirs for s in one["steps"]]))
    small = 8 / float(np.median(same["steps"]))
    product = float(np.median([one["matmul_gflops"] for one in ours]))
    return [
        row("speed: matrix products (2048 cubed, 2 threads)", product, "GFLOP/s"),
        row("speed: nano, 96 px, batch 32, share of that rate", float(np.median(share)), "", 0.4, True),
        row("speed: wait for data, share of a step", float(np.median([one["wait"] for one in ours])), "", 0.05),
        row("speed: nano, 96 px, batch 32", rate, "samples/s"),
        row("speed: ACT's default (lerobot 0.4.4, one camera of 480x640, batch 8)", acts, "samples/s"),
        row("speed: nano over ACT's default", rate / acts, "times", 30, True),
        row("speed: nano over ACT on pictures of 96 px", rate / small, "times"),
    ]


def chunk_rows(row: Row, nano_s: Callable[[], float]) -> list[dict[str, Any]]:
    """Nano's chunk (10 flow steps) against that of ACT's default, one thread each, in turns."""
    nano, theirs = [], []
    for _ in range(2):
        nano.append(nano_s())
        theirs += act(["speed", "1", "480", "640", "2"], threads=1)["chunks"]
    same = float(np.median(act(["speed", "1", "96", "96", "4"], threads=1)["chunks"]))
    ours, acts = float(np.median(nano)), float(np.median(theirs))
    return [
        row("inference: a chunk of ACT's default (one camera of 480x640), one thread", 1e3 * acts, "ms"),
        row("inference: ACT's chunk over nano's (10 flow steps)", acts / ours, "times", 8, True),
        row("inference: ACT's chunk on pictures of 96 px over nano's", same / ours, "times"),
    ]


def act(words: list[str], threads: int) -> dict[str, Any]:
    """What act.py says, in lerobot's environment."""
    if not PEER.is_file():
        raise RuntimeError(f"no {PEER}: make interop installs lerobot into an environment of its own")
    return _json([str(PEER), str(ACT), *words], threads)


def _json(words: list[str], threads: int) -> dict[str, Any]:
    done = subprocess.run(words, capture_output=True, text=True, env=_environment(threads), check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[1:3])} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _environment(threads: int = 1) -> dict[str, str]:
    number = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    quiet = {
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "ACCELERATE_USE_CPU": "true",
        "PYTHONWARNINGS": "ignore",
    }
    return {**os.environ, **number, **quiet, "PYTHONPATH": path}


def _task(work: Path, cache: Path, name: str, train: dict[str, Any]) -> dict[str, Any]:
    """A run of nano in a fresh folder."""
    import shutil

    out = work / name
    shutil.rmtree(out, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    train = {**train, "tensorboard": False}
    task = {"model": {"preset": "nano"}, "train": train, "cache": str(cache), "out": str(out)}
    (work / f"{name}.json").write_text(json.dumps(task))
    return {"out": out, "file": work / f"{name}.json"}


def _started(task: dict[str, Any], launcher: list[str] | None = None) -> subprocess.Popen[str]:
    words = [*(launcher or [sys.executable]), str(DRIVER), "train", str(task["file"])]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment())


def _wait(process: subprocess.Popen[str], what: str) -> dict[str, Any]:
    out, err = process.communicate(timeout=900)
    if process.returncode:
        raise RuntimeError(f"{what} failed:\n{err[-3000:]}")
    return json.loads(next(line for line in out.splitlines() if line.startswith("{")))


def _kill_at(process: subprocess.Popen[str], out: Path, step: int) -> None:
    lines = out / "metrics.jsonl"
    while process.poll() is None:
        if lines.is_file() and lines.read_bytes().count(b"\n") >= step:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.005)
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(f"the run ended by itself before step {step}:\n{process.communicate()[1][-2000:]}")
    process.communicate()


def _losses(out: Path) -> dict[int, float]:
    lines = (json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines}


def _different(a: Path, b: Path) -> int:
    """Numbers of the final weights that are not the same."""
    from safetensors.numpy import load_file

    here, there = (load_file(out / "model" / "model.safetensors") for out in (a, b))
    if here.keys() != there.keys():
        raise RuntimeError("two runs of one configuration have other weights")
    return int(sum((here[name].view(np.uint32) != there[name].view(np.uint32)).sum() for name in here))
