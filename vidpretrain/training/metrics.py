"""What a run writes down while it trains: a line of JSON and the trackers' scalars per log interval."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from vidpretrain.errors import MissingExtra
from vidpretrain.training.checkpoint import trim_metrics
from vidpretrain.training.config import TrainConfig

PROJECT = "vidpretrain"


class Metrics:
    """Appends to `metrics.jsonl` and, where asked, to accelerate's trackers; all go on where a resumed run stopped."""

    def __init__(self, out: Path, config: TrainConfig, key: str, step: int) -> None:
        self.path = out / "metrics.jsonl"
        trim_metrics(self.path, step)
        self._trackers = _started(out, config, key, step)

    def write(self, record: dict[str, Any]) -> None:
        """Write one record; nested figures become tags name/key."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._trackers:
            flat = {name: value for name, value in _flat(record).items() if name != "step"}
            for tracker in self._trackers:
                tracker.log(flat, step=record["step"])

    def close(self) -> None:
        """Finish the trackers' runs."""
        for tracker in self._trackers:
            tracker.finish()


def require_trackers(config: TrainConfig) -> None:
    """Pass when every tracker that is asked for is installed.

    Raises:
        MissingExtra: one is not; the message says how to install it.
    """
    for name in ("tensorboard",) * config.tensorboard + config.trackers:
        if importlib.util.find_spec(name) is None:
            setting = "tensorboard=true" if name == "tensorboard" else f"trackers=[{name}]"
            raise MissingExtra(
                f"the tracker {name} is not installed",
                asked=setting,
                valid="metrics.jsonl is written in any case: leave the tracker out, or install it",
                next_command=f"pip install {name}",
            )


def _started(out: Path, config: TrainConfig, key: str, step: int) -> list[Any]:
    from accelerate.tracking import TensorBoardTracker, TrackioTracker, WandBTracker

    trackers: list[Any] = []
    if config.tensorboard:
        trackers.append(TensorBoardTracker("tensorboard", logging_dir=out, purge_step=step + 1 if step else None))
    if "wandb" in config.trackers:
        trackers.append(WandBTracker(PROJECT, name=out.name, id=key, resume="allow", dir=str(out)))
    if "trackio" in config.trackers:
        trackers.append(TrackioTracker(PROJECT, name=f"{out.name}-{key[:8]}", resume="allow"))
    for tracker in trackers:
        tracker.start()
    return trackers


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            out |= {f"{name}/{key}": part for key, part in value.items()}
        elif isinstance(value, int | float):
            out[name] = value
    return out
