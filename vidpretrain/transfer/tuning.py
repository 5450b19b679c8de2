"""Each arm's rate of learning, from one grid, on demonstrations and starts that no cell of the benchmark uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain.transfer.cells import Cell
from vidpretrain.transfer.config import TransferConfig
from vidpretrain.transfer.run import run_cells

TUNING = "tuning.jsonl"


def tuning(config: TransferConfig, lr: float) -> TransferConfig:
    """The benchmark at one size on episodes and starts kept apart, with all arms at the rate `lr`."""
    tune = config.tune
    return config.replace(
        demos=(tune.demos,),
        scratch_demos=(),
        sets=tune.sets,
        robot_episodes=tune.episodes,
        first_seed=tune.first_seed,
        arms=tuple(arm for arm in config.arms if arm != "zero"),  # which is not fine-tuned
        flip=(),
        flip_demos=(tune.demos,),
        recipes={},
        recipe_demos=(tune.demos,),
        rates={},
        finetune=config.finetune.replace(lr=lr, min_lr=min(config.finetune.min_lr, lr)),
        play=dataclasses.replace(config.play, first_seed=tune.first_start, outside=False),
    )


def run_tuning(
    config: TransferConfig,
    out: Path | str,
    *,
    chosen: Callable[[Cell], bool] = lambda cell: True,
    tell: Callable[[str], None] = lambda words: None,
) -> list[dict[str, Any]]:
    """The lines of the grid: every chosen arm and set with every rate; those found in `out` are not run again.

    Raises:
        What `run_cells` raises.
    """
    lines = []
    for lr in config.tune.lr:
        said = partial(_told, tell, lr)
        lines += run_cells(tuning(config, lr), out, chosen=chosen, tell=said, lines=TUNING)
    return lines


def _told(tell: Callable[[str], None], lr: float, text: str) -> None:
    tell(f"lr {lr:g}: {text}")


def grid(lines: Sequence[dict[str, Any]]) -> dict[str, dict[float, dict[str, float]]]:
    """For every arm and rate the mean success and progress, over the sets that the arm has with all its rates."""
    found: dict[str, dict[float, dict[int, tuple[float, float]]]] = {}
    for line in lines:
        played = [line["played"][task]["in"] for task in line["tasks"]]
        success = np.mean([[int(c) for c in one["success"]] for one in played])
        progress = np.mean([one["progress"] for one in played])
        found.setdefault(line["arm"], {}).setdefault(line["lr"], {})[line["number"]] = (float(success), float(progress))
    out: dict[str, dict[float, dict[str, float]]] = {}
    for arm, by_rate in found.items():
        both = set.intersection(*(set(sets) for sets in by_rate.values()))
        if both:
            means = {lr: np.mean([sets[n] for n in sorted(both)], axis=0) for lr, sets in sorted(by_rate.items())}
            out[arm] = {
                lr: {"success": float(m[0]), "progress": float(m[1]), "sets": len(both)} for lr, m in means.items()
            }
    return out


def best_rates(lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Each arm's rate with the most success on what was kept apart; of equals that with the most progress."""
    return {
        arm: max(rates, key=lambda lr: (round(rates[lr]["success"], 4), rates[lr]["progress"]))
        for arm, rates in grid(lines).items()
        if len(rates) > 1
    }
