"""What the scripts read from YAML: a run of training or of prediction, complete. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vidpretrain.model import ModelConfig
from vidpretrain.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """A training run: the caches it reads (folders that `build_cache` made) and the folder it fills."""

    caches: tuple[Path, ...]
    out: Path
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True, kw_only=True)
class PredictJob:
    """A prediction: the checkpoint that answers, the caches that ask, the folder that gets the parquet shards."""

    checkpoint: Path
    caches: tuple[Path, ...]
    out: Path
    episodes: tuple[int, ...] | None = None
    every: int = 1
    batch_size: int = 64
    shard_rows: int = 2048
    seed: int = 0
    steps: int | None = None
    samples: int = 1
