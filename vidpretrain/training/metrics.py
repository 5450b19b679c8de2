"""What a run writes down while it trains: a line of JSON and tensorboard scalars per log interval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidpretrain.training.checkpoint import trim_metrics


class Metrics:
    """Appends to `metrics.jsonl` and, when asked, to tensorboard; both continue where a resumed run stopped."""

    def __init__(self, out: Path, tensorboard: bool, step: int) -> None:
        self.path = out / "metrics.jsonl"
        trim_metrics(self.path, step)
        self._writer = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1 if step else None)

    def write(self, record: dict[str, Any]) -> None:
        """Write one record; nested figures become tensorboard tags name/key."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._writer is not None:
            for name, value in record.items():
                if isinstance(value, dict):
                    for key, part in value.items():
                        self._writer.add_scalar(f"{name}/{key}", part, record["step"])
                elif name != "step":
                    self._writer.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Flush tensorboard."""
        if self._writer is not None:
            self._writer.close()
