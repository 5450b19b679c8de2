"""A step that stopped a run, once more: which rows, which layer, which weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidpretrain.errors import InputError
from vidpretrain.training.collate import to_torch
from vidpretrain.training.guard import seed_step
from vidpretrain.training.policy import load_model


def replay(folder: Path, model: Path | None = None, rank: int = 0) -> dict[str, Any]:
    """What happens in a saved step (`out`/bad_step of a run, or the run's folder).

    Args:
        model: weights to use instead of the saved ones (a run of sharded weights saves none).
        rank: the process whose batch is taken.

    Returns:
        step, why, saved_loss, loss; rows (places in the batch with their own loss, the largest first, numbers that are
        none before all); first_bad_layer (the first module whose output holds a number that is none, or None);
        bad_gradients (weights); largest (greatest size of every input).

    Raises:
        InputError: no step is saved there. CheckpointError: no usable weights.
    """
    folder = Path(folder)
    folder = folder if (folder / "step.json").is_file() else folder / "bad_step"
    path = folder / f"batch_rank{rank}.npz"
    if not (folder / "step.json").is_file() or not path.is_file():
        raise InputError(
            "no step is saved there",
            asked=path,
            valid="the folder of a run that was stopped",
            next_command=f"ls {folder}",
        )
    told = json.loads((folder / "step.json").read_text())
    with np.load(path, allow_pickle=False) as saved:
        batch = to_torch({name: saved[name] for name in saved.files})
    policy = load_model(model or folder / "model").train()
    seed_step(told["seed"], told["step"])
    bad_layer, out = _first_bad(policy, batch)
    if torch.isfinite(out):
        policy.zero_grad()
        out.backward()
    bad = [n for n, p in policy.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
    return {
        "step": told["step"],
        "why": told["why"],
        "saved_loss": told["loss"],
        "loss": float(out.detach()),
        "rows": _by_row(policy, batch),
        "first_bad_layer": bad_layer,
        "bad_gradients": bad,
        "largest": {name: _largest(value) for name, value in batch.items()},
    }


def _first_bad(policy: nn.Module, batch: dict[str, Tensor]) -> tuple[str | None, Tensor]:
    found: list[str] = []

    def watch(name: str):
        def hook(module: nn.Module, args: object, output: object) -> None:
            if isinstance(output, Tensor) and not torch.isfinite(output).all():
                found.append(name)

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in policy.named_modules() if name]
    loss = policy(**batch).loss
    for handle in handles:
        handle.remove()
    return (found[0] if found else None), loss


@torch.no_grad()
def _by_row(policy: nn.Module, batch: dict[str, Tensor], most: int = 8) -> list[dict[str, float]]:
    count = len(batch["embodiment"])
    policy.eval()
    losses = [float(policy(**{name: value[i : i + 1] for name, value in batch.items()}).loss) for i in range(count)]
    order = sorted(range(count), key=lambda i: losses[i] if np.isfinite(losses[i]) else np.inf, reverse=True)
    return [{"row": i, "loss": losses[i]} for i in order[:most]]


def _largest(value: Tensor) -> float:
    finite = value.double()[torch.isfinite(value.double())]
    return float(finite.abs().max()) if len(finite) else float("nan")
