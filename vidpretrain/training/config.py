"""How to train. No torch here: the command line reads this."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Quantity = Literal["joint", "hand", "wrist_pose", "camera_wrist", "fingertips", "base"]

Part = Literal["stem", "trunk", "decoder", "adapters"]
PARTS: tuple[Part, ...] = get_args(Part)

Tracker = Literal["wandb", "trackio"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run. Rates are per optimizer step, probabilities per row of a batch, pixels of the cached picture.

    `batch_size` is the whole batch over all processes: 2 processes with 32 see the same batches as 1 with 32.
    `mixture` are the caches' shares of a batch (None: by their number of rows). `representation` says per quantity
    whether the policy sees actions relative to the state at the chunk's start or absolute; what is not named stays
    as the data set has it. Hands are relative: on real episodes whose idle hand rests in a posture that training
    hardly holds, absolute hands miss by ten deviations, relative ones by a tenth of one. `episodes` restricts training
    to these episodes of every cache (None: all but `val_episodes`), `episodes_of` cache by cache; val_error is measured
    on `val_episodes` of the first cache every `val_every` steps. `speeds` says per cache how fast its chunks run
    through it (None: as recorded): people move three to five times as fast as robots, and .25 slows them to a quarter;
    `vidpretrain gap` measures the ratio. `labels` other than "own" are controls, never a way to train: the motion of
    another row ("shuffled"), or of another episode at the same share of its length ("phase"), with the same pictures
    and steps. `init` is the checkpoint that `finetune` starts from, and `adapters` and `init_adapter_from` say what
    becomes of its per-robot layers.

    `shift_state`: what a picture that is moved by up to `shift_px` does to state and actions in the camera's frame:
    nothing ("keep"), or the camera is turned and all of it is told in the turned camera's frame ("turn"); where the
    field of view is not known, nothing is moved then.

    So that fine-tuning does not lose what `init` knew: `init_parts` are those of its parts that are taken (the others
    begin anew), `frozen` those that stay as they are; `init_normalizer` donor keeps the normaliser of the embodiment
    that lends its adapters, so that the first step is the pretrained policy itself; `distil` is the share of the loss
    that is the distance to the pretrained policy's own flow, and `interpolate` how far the final weights lie from
    the trained ones (0) towards the first (1).

    `align` is the weight of the distance (Sinkhorn divergence, `model.alignment`) between what the trunk makes of the
    rows of people, embodiments whose name begins with `align_people`, and of the other rows of a process's part of the
    batch; 0 computes nothing.

    `accumulate` parts of a batch go through the network one after the other before each update. `layer_decay` to the
    power of a layer's depth below the action decoder scales its rate; `freeze_parts` get no gradient in the first
    `freeze_steps` steps. `patience` validations without a better error end the run (0: never); the best weights are
    kept beside the last ones. A loss that is no number, or more than `max_spike` times the median of the last ones (0:
    any), stops the run with batch and weights saved for `replay`. `workers` threads make the batches ahead (0: none);
    the batches are the same. `compile` names a backend of torch.compile (inductor); None leaves it to accelerate.
    `profile` measures where a step's time goes and which weights got no gradient.
    """

    steps: int = 1000
    batch_size: int = 32
    draws: int = 4
    lr: float = 1e-3
    min_lr: float = 1e-5
    trunk_lr_scale: float = 1.0
    warmup: int = 50
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    accumulate: int = 1
    layer_decay: float = 1.0
    freeze_steps: int = 0
    freeze_parts: tuple[Part, ...] = ("stem",)
    clip_norm: float = 1.0
    ema: float = 0.999
    seed: int = 0

    shift_px: int = 4
    shift_state: Literal["keep", "turn"] = "keep"
    colour_jitter: float = 0.1
    state_mask: float = 0.1
    history_mask: float = 0.1
    history_noise: float = 0.0
    fov_mask: float = 0.1

    horizon: int | None = None
    representation: dict[str, Literal["relative", "offset", "absolute"]] = field(
        default_factory=lambda: {"hand": "relative"}
    )
    clip: float | None = 3.0
    max_weight: float = 4.0
    mixture: tuple[float, ...] | None = None
    speeds: tuple[float, ...] | None = None
    labels: Literal["own", "shuffled", "phase"] = "own"
    episodes: tuple[int, ...] | None = None
    episodes_of: tuple[tuple[int, ...] | None, ...] | None = None
    val_episodes: tuple[int, ...] = ()
    val_every: int = 0
    patience: int = 0
    max_spike: float = 100.0

    init: Path | None = None
    adapters: Literal["keep", "fresh"] = "keep"
    init_adapter_from: str | None = None
    init_parts: tuple[Part, ...] = PARTS
    init_normalizer: Literal["own", "donor"] = "own"
    frozen: tuple[Part, ...] = ()
    distil: float = 0.0
    interpolate: float = 0.0
    align: float = 0.0
    align_people: str = "human"

    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    log_every: int = 10
    save_every: int = 0
    keep_checkpoints: int = 2
    resume: bool = True
    workers: int = 1
    compile: str | None = None
    profile: bool = False
    tensorboard: bool = True
    trackers: tuple[Tracker, ...] = ()

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "draws", "log_every", "keep_checkpoints", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is not negative, but {getattr(self, name)}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay lies above 0 and up to 1, not {self.layer_decay}")
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate: {self.accumulate} equal parts of a batch of {self.batch_size}")
        if self.patience and not self.val_every:
            raise ValueError("patience counts validations: set val_every, too")
        for name in ("ema", "state_mask", "history_mask", "fov_mask"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} lies in [0, 1), not {getattr(self, name)}")
        for name in ("distil", "interpolate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} lies in [0, 1], not {getattr(self, name)}")
        if set(self.frozen) == set(PARTS):
            raise ValueError("frozen: nothing is left to train")
        if not self.lr > 0 or not 0 <= self.min_lr <= self.lr:
            raise ValueError(f"0 <= min_lr <= lr and 0 < lr, not {self.min_lr} and {self.lr}")
        unknown = set(self.representation) - set(get_args(Quantity))
        if unknown:
            raise ValueError(f"representation: no such quantity {sorted(unknown)}")
        if self.mixture is not None and (min(self.mixture) < 0 or sum(self.mixture) <= 0):
            raise ValueError(f"mixture: weights are not negative and not all zero: {self.mixture}")
        if self.speeds is not None and not all(0 < speed <= 4 for speed in self.speeds):
            raise ValueError(f"speeds lie above 0 and up to 4, not {self.speeds}")
        if self.episodes is not None and set(self.episodes) & set(self.val_episodes):
            raise ValueError(
                f"episodes both trained and held out: {sorted(set(self.episodes) & set(self.val_episodes))}"
            )

    def replace(self, **changes: Any) -> TrainConfig:
        """The same configuration with some fields changed."""
        return dataclasses.replace(self, **changes)


_NOT_NEGATIVE = (
    *("warmup", "save_every", "val_every", "shift_px", "weight_decay", "colour_jitter", "history_noise"),
    *("freeze_steps", "align", "patience", "max_spike", "workers"),
)


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """How to predict: every `every`-th row, `samples` averaged draws of `steps` Euler steps (None: the checkpoint's).

    `shard_rows` rows go into a parquet file; a stopped job goes on after the last whole one. `format` lerobot writes
    beside the chunks a LeRobot data set whose actions are the policy's: blended and kept inside the robot's limits and
    speeds as `control` says.
    """

    format: Literal["parquet", "lerobot"] = "parquet"
    every: int = 1
    batch_size: int = 64
    shard_rows: int = 2048
    seed: int = 0
    steps: int | None = None
    samples: int = 1

    def __post_init__(self) -> None:
        for name in ("every", "batch_size", "shard_rows", "samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
