"""The verbs of the command line: `function(config: RunConfig, inputs) -> dict`, each resolved when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    **dict.fromkeys(("probe", "extract", "pack", "check"), "data"),
    "retarget": "retargeting",
    **dict.fromkeys(("pretrain", "finetune", "evaluate"), "learn"),
    **dict.fromkeys(("run", "demo", "report"), "whole"),
    "synth": "synthesis",
    "gap": "comparing",
    "predict": "predicting",
    "serve": "serving",
    **dict.fromkeys(("publish", "export"), "publishing"),
    "RunConfig": "config",
}

__all__ = [*_WHERE]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"vidpretrain.workflow.{_WHERE[name]}"), name)
