"""A run's folder: training states and the finished model, each written aside and renamed.

out/run.json                    what the run is made of (configurations, caches), written first
out/metrics.jsonl               one line per log interval
out/checkpoints/step_00000100/  accelerate's training state, for resuming
out/best/                       the same as model, of the best validation
out/bad_step/                   what `replay` needs of the step that stopped the run
out/model/                      config.json and model.safetensors: averaged weights, all that inference needs
out/train.json                  summary; there only when the run is finished
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidpretrain.dataset.files import disk_guard, write_json
from vidpretrain.errors import ConfigError, DiskFull

_STEP = re.compile(r"step_(\d{8})")


@contextmanager
def save_guard(path: Path) -> Iterator[None]:
    """Turn a full disk, as the system, torch's or safetensors' writers report it, into DiskFull."""
    try:
        with disk_guard(path):
            yield
    except Exception as error:  # torch raises RuntimeError, safetensors its own class: told apart by their words
        if any(words in str(error) for words in ("No space left", "PytorchStreamWriter failed", "os error 28")):
            raise DiskFull(
                "no space left on the device: the checkpoint was not written, the last whole one is kept",
                asked=path,
                next_command=f"df -h {path.parent}",
            ) from error
        raise


def begin(out: Path, identity: dict[str, Any], resume: bool) -> dict[str, Any] | None:
    """Claim a run's folder; returns the summary when this very run is finished, else None.

    Raises:
        ConfigError: the folder holds another run and is to be resumed.
    """
    record = out / "run.json"
    begun = (out / "checkpoints").is_dir() or (out / "model").is_dir()
    if record.is_file() and begun and resume:
        found = json.loads(record.read_text())
        if found["key"] != identity["key"]:
            raise ConfigError(
                "the folder holds another run",
                asked=f"{out}, run {identity['key']}",
                found=f"run {found['key']}",
                valid="another folder, or train.resume=false to start over",
                next_command=f"less {record}",
            )
        if (out / "train.json").is_file() and (out / "model" / "model.safetensors").is_file():
            return json.loads((out / "train.json").read_text())
    else:
        for name in ("checkpoints", "model", "best", "bad_step", "tensorboard"):
            shutil.rmtree(out / name, ignore_errors=True)
        for name in ("metrics.jsonl", "train.json"):
            (out / name).unlink(missing_ok=True)
        write_json(record, identity)
    return None


def latest(out: Path) -> tuple[int, Path] | None:
    """(step, folder) of the newest whole training state."""
    folder = out / "checkpoints"
    found = [(int(m[1]), p) for p in folder.glob("step_*") if (m := _STEP.fullmatch(p.name))] if folder.is_dir() else []
    return max(found) if found else None


def aside(out: Path, step: int) -> Path:
    """Where the training state of `step` is written before `publish`."""
    return out / "checkpoints" / f"step_{step:08d}.tmp"


def publish(out: Path, step: int, keep: int) -> Path:
    """Rename a whole training state into place and drop the oldest beyond `keep`."""
    final = out / "checkpoints" / f"step_{step:08d}"
    shutil.rmtree(final, ignore_errors=True)
    os.replace(aside(out, step), final)
    every = sorted(p for p in final.parent.glob("step_*") if _STEP.fullmatch(p.name))
    for old in every[:-keep]:
        shutil.rmtree(old)
    return final


def replace_folder(tmp: Path, final: Path) -> None:
    """Rename `tmp` to `final`, which may exist."""
    shutil.rmtree(final, ignore_errors=True)
    os.replace(tmp, final)


def trim_metrics(path: Path, before: int) -> None:
    """Drop the lines of steps after `before`: they will be written again."""
    if path.is_file():
        kept = []
        for line in path.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= before:
                    kept.append(line)
            except (json.JSONDecodeError, KeyError):  # the last line of a killed run may be torn
                continue
        path.write_text("".join(line + "\n" for line in kept))
