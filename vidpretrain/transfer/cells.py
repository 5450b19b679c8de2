"""The cells of the benchmark: what there is to run, what has been run, and how a finished one is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidpretrain.dataset.files import disk_guard
from vidpretrain.transfer.config import Arm, Bridge, TransferConfig

LINES = "transfer.jsonl"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One policy: an arm, a bridge that is the other way round, demonstrations per task, and their set's number."""

    arm: Arm
    demos: int
    number: int
    flip: Bridge | None = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.arm}{'' if self.flip is None else '/' + self.flip} N={self.demos} set {self.number}"


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
        for demos in config.flip_demos:
            for bridge in config.flip:
                yield Cell(arm="pretrained", demos=demos, number=number, flip=bridge)


def read_lines(out: Path | str) -> list[dict[str, Any]]:
    """Finished cells; a line that was torn by a kill or a full disk is not one."""
    path = Path(out) / LINES
    lines = []
    for text in path.read_text().splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and "key" in line:
            lines.append(line)
    return lines


def append_line(out: Path | str, line: dict[str, Any]) -> None:
    """Add a finished cell: one write, flushed to the disk; after a torn line on a line of its own.

    Raises:
        DiskFull: no space left; the cell will be run again, its training is kept.
    """
    path = Path(out) / LINES
    with disk_guard(path):
        torn = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
