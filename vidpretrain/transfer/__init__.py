"""The few-demo benchmark: pretrain on people, fine-tune on few robot episodes, play; cell by cell, resumable.

Door: `TransferConfig`; `run_cells(config, out)`; `table(lines)`; `rollout(policy, ...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.transfer.config import ARMS, BRIDGES, PeopleConfig, TransferConfig

if TYPE_CHECKING:
    from vidpretrain.transfer.closed_loop import rollout
    from vidpretrain.transfer.figures import table
    from vidpretrain.transfer.run import run_cells

__all__ = ["ARMS", "BRIDGES", "PeopleConfig", "TransferConfig", "rollout", "run_cells", "table"]

_WHERE = {"rollout": "closed_loop", "run_cells": "run", "table": "figures"}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(f"vidpretrain.transfer.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
