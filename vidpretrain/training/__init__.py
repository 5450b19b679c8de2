"""Training and inference: caches in, checkpoints out; pictures and state in, absolute actions out.

`TrainConfig` is plain and light; everything that needs torch is resolved when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.training.config import PredictConfig, TrainConfig

if TYPE_CHECKING:
    from vidpretrain.training.acting import Actor, followed
    from vidpretrain.training.loop import finetune, pretrain
    from vidpretrain.training.policy import Policy
    from vidpretrain.training.predicted_set import write_predicted
    from vidpretrain.training.prediction import PredictRow, Share, predict, predict_rows, wait_for
    from vidpretrain.training.replaying import replay

__all__ = [
    "TrainConfig",
    "PredictConfig",
    "pretrain",
    "finetune",
    "replay",
    "Policy",
    "Actor",
    "followed",
    "predict",
    "predict_rows",
    "PredictRow",
    "Share",
    "wait_for",
    "write_predicted",
]

_WHERE = {
    "pretrain": "loop",
    "finetune": "loop",
    "replay": "replaying",
    "Policy": "policy",
    "predict": "prediction",
    "predict_rows": "prediction",
    "PredictRow": "prediction",
    "Share": "prediction",
    "wait_for": "prediction",
    "Actor": "acting",
    "followed": "acting",
    "write_predicted": "predicted_set",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(f"vidpretrain.training.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
