"""The few-demo benchmark: pretrain on people, fine-tune on few robot episodes, play; cell by cell, resumable.

Door: `TransferConfig`; `run_cells(config, out)`; `run_tuning(config, out)`, `best_rates(lines)`; `table(lines)`,
`bars(lines)`, `page(lines)`; `rollout(policy, ...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.transfer.config import ARMS, BRIDGES, PeopleConfig, TransferConfig

if TYPE_CHECKING:
    from vidpretrain.transfer.closed_loop import rollout
    from vidpretrain.transfer.document import page
    from vidpretrain.transfer.figures import table
    from vidpretrain.transfer.required import bars
    from vidpretrain.transfer.run import run_cells
    from vidpretrain.transfer.tuning import best_rates, run_tuning

__all__ = [
    "ARMS",
    "BRIDGES",
    "PeopleConfig",
    "TransferConfig",
    "bars",
    "best_rates",
    "page",
    "rollout",
    "run_cells",
    "run_tuning",
    "table",
]

_WHERE = {
    "bars": "required",
    "best_rates": "tuning",
    "page": "document",
    "rollout": "closed_loop",
    "run_cells": "run",
    "run_tuning": "tuning",
    "table": "figures",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(f"vidpretrain.transfer.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
