"""The accelerator of a run: what the launcher asked for (accelerate, torchrun, plain python) and the machine has."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin, TorchDynamoPlugin

from vidpretrain.errors import ConfigError
from vidpretrain.training.config import TrainConfig


def make_accelerator(config: TrainConfig) -> Accelerator:
    """One process's accelerator; DDP, FSDP2 and torch.compile as the launcher's configuration says.

    Raises:
        ConfigError: the batch cannot be shared by the processes, or torch.compile has no such backend.
    """
    compiled = None
    if config.compile is not None:
        if config.compile.lower() not in (known := torch.compiler.list_backends(exclude_tags=None)):
            raise ConfigError("torch.compile has no such backend", asked=config.compile, valid=", ".join(known))
        compiled = TorchDynamoPlugin(backend=config.compile.upper())  # type: ignore[arg-type]
    accelerator = Accelerator(
        mixed_precision=precision(config.mixed_precision), step_scheduler_with_optimizer=False, dynamo_plugin=compiled
    )
    _keep_sharding(accelerator)
    if config.batch_size % (accelerator.num_processes * config.accumulate):
        raise ConfigError(
            "batch_size is shared evenly by the processes, and by the parts of accumulate",
            asked=config.batch_size,
            found=f"{accelerator.num_processes} processes, accumulate={config.accumulate}",
        )
    return accelerator


def precision(asked: str) -> str:
    """bf16 where the machine computes in it, else none; bf16 on a CPU without it is a hundred times slower."""
    if asked != "auto":
        return asked
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"


def sharded(accelerator: Accelerator) -> bool:
    """Whether no process has all of the weights."""
    return accelerator.distributed_type == DistributedType.FSDP


def _keep_sharding(accelerator: Accelerator) -> None:
    """Let CPU processes shard, too, and let every state say so.

    accelerate 1.15 reads FSDP's settings for accelerators alone and would run DDP on CPUs; and its `AcceleratorState()`
    takes the kind of distribution from `PartialState` each time it is asked for (the optimizer's wrapper does), which
    does not know of sharding.
    """
    asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if not asked or accelerator.num_processes == 1:
        return
    state = AcceleratorState()
    if getattr(state, "fsdp_plugin", None) is None:
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
    state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
