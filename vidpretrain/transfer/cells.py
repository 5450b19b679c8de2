"""The cells of the benchmark: what there is to run, what has been run, and how a finished one is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidpretrain.dataset.files import disk_guard
from vidpretrain.training.config import TrainConfig
from vidpretrain.transfer.config import Arm, Bridge, KeepConfig, TransferConfig

LINES = "transfer.jsonl"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One policy: an arm, demonstrations per task, their set's number, and what is different about it: a bridge that
    is the other way round, or a recipe of `TransferConfig.recipes`."""

    arm: Arm
    demos: int
    number: int
    flip: Bridge | None = None
    recipe: str | None = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{'/'.join(filter(None, (self.arm, self.flip, self.recipe)))} N={self.demos} set {self.number}"

    def training(self, config: TransferConfig) -> TrainConfig:
        """How it is fine-tuned: steps by its size, rate of learning by its arm."""
        lr = config.rates.get(self.arm, config.finetune.lr)
        steps = dict(config.steps_of).get(self.demos, config.finetune.steps)
        return config.finetune.replace(lr=lr, min_lr=min(config.finetune.min_lr, lr), steps=steps)

    def keeping(self, config: TransferConfig) -> KeepConfig:
        """How it keeps what pretraining gave."""
        return config.keep if self.recipe is None else config.recipes[self.recipe]


def cells(config: TransferConfig) -> Iterator[Cell]:
    """All cells, in an order in which every set is whole before the next begins.

    `zero` needs no demonstrations and is there once, as N = 0; bridges that act in pretraining are flipped in it too.
    """
    if "zero" in config.arms:
        yield Cell(arm="zero", demos=0, number=0)
        for bridge in config.flip:
            if bridge not in ("adapters", "midtrain", "scale"):
                yield Cell(arm="zero", demos=0, number=0, flip=bridge)
    for number in range(config.sets):
        for demos in config.demos:
            for arm in config.arms:
                if arm != "zero":
                    yield Cell(arm=arm, demos=demos, number=number)
        for demos in config.scratch_demos:
            if "scratch" in config.arms:
                yield Cell(arm="scratch", demos=demos, number=number)
        for demos in config.flip_demos:
            for bridge in config.flip:
                yield Cell(arm="pretrained", demos=demos, number=number, flip=bridge)
        for demos in config.recipe_demos:
            for recipe in config.recipes:
                yield Cell(arm="pretrained", demos=demos, number=number, recipe=recipe)


def read_lines(out: Path | str, name: str = LINES) -> list[dict[str, Any]]:
    """Finished cells; a line that was torn by a kill or a full disk is not one."""
    path = Path(out) / name
    lines = []
    for text in path.read_text().splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and "key" in line:
            lines.append(line)
    return lines


def append_line(out: Path | str, line: dict[str, Any], name: str = LINES) -> None:
    """Add a finished cell: one write, flushed to the disk; after a torn line on a line of its own.

    Raises:
        DiskFull: no space left; the cell will be run again, its training is kept.
    """
    path = Path(out) / name
    with disk_guard(path):
        torn = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
