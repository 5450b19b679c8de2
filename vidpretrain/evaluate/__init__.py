"""How good are the actions: chunk error of a policy on held-out episodes, beside baselines that know no picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.evaluate.config import EvaluateConfig

if TYPE_CHECKING:
    from vidpretrain.evaluate.offline import evaluate

__all__ = ["EvaluateConfig", "evaluate"]


def __getattr__(name: str) -> Any:
    if name == "evaluate":
        from vidpretrain.evaluate.offline import evaluate

        return evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
