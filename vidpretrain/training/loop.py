"""The training loop on accelerate: the same under `accelerate launch`, `torchrun`, plain python and the CLI.

Exact on resume: batches, augmentation, noise and dropout are functions of (seed, step); weights, optimizer and
average come from the checkpoint.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from vidpretrain.dataset.files import disk_guard, write_json
from vidpretrain.errors import CheckpointError, ConfigError, InputError
from vidpretrain.model import ModelConfig, VidPolicy
from vidpretrain.training import checkpoint, setup
from vidpretrain.training.collate import Draws, collate
from vidpretrain.training.config import TrainConfig
from vidpretrain.training.ema import Ema
from vidpretrain.training.metrics import Metrics
from vidpretrain.training.optimizer import learning_rate, make_optimizer
from vidpretrain.training.policy import Policy, quiet_transformers
from vidpretrain.training.sampler import Mixture
from vidpretrain.training.validate import validate


def pretrain(model: ModelConfig, config: TrainConfig, caches: Sequence[Path], out: Path) -> dict[str, Any]:
    """Summary of a run that trains a policy on caches (of one or several embodiments) and leaves it in `out`/model.

    Returns:
        checkpoint (path), steps, seconds, samples_per_s, loss, val_error, parameters, resumed_from, reused, ...
        The same run asked for again is not run again (`reused` is true).

    Raises:
        ConfigError: the folder holds another run, or settings contradict the data.
        InputError: the loss is no longer finite; the batch is saved beside the metrics.
    """
    return _run("pretrain", model, config, caches, Path(out))


def finetune(model: ModelConfig, config: TrainConfig, caches: Sequence[Path], out: Path) -> dict[str, Any]:
    """Like `pretrain`, starting from `config.init` (None: from scratch, the comparison); see `TrainConfig.adapters`.

    Sizes and horizon come from the checkpoint then, and `model` is not used. Embodiments that the checkpoint knows
    keep their adapters, others start fresh or from those of `config.init_adapter_from`.
    """
    return _run("finetune", model, config, caches, Path(out))


def _run(
    kind: str,
    model: ModelConfig,
    config: TrainConfig,
    caches: Sequence[Path],
    out: Path,
    stop_after: int | None = None,
) -> dict[str, Any]:
    """A whole run, or its steps up to `stop_after`, as if it had been interrupted there after saving."""
    precision = _precision(config.mixed_precision)
    accelerator = Accelerator(mixed_precision=precision, step_scheduler_with_optimizer=False)
    if config.batch_size % accelerator.num_processes:
        raise ConfigError(
            "batch_size is shared evenly by the processes",
            asked=config.batch_size,
            found=f"{accelerator.num_processes} processes",
        )
    identity = setup.identity(kind, model, config, caches)
    finished = None
    with accelerator.main_process_first():
        finished = checkpoint.begin(out, identity, config.resume or not accelerator.is_main_process)
    if finished is not None:
        return {**finished, "reused": True}
    return Trainer(kind, setup.prepare(model, config, caches), config, out, accelerator, identity["key"]).run(
        stop_after
    )


def _precision(asked: str) -> str:
    if asked != "auto":
        return asked
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"


class Trainer:
    """One run: model, optimizer and average around the loop over steps."""

    def __init__(
        self, kind: str, made: setup.Setup, config: TrainConfig, out: Path, accelerator: Accelerator, key: str
    ) -> None:
        self.kind, self.made, self.config, self.out, self.key = kind, made, config, out, key
        self.accelerator = accelerator
        self.layout = made.model.config.layout()
        self.sampler = Mixture([len(r) for r in made.rows], config.mixture, config.batch_size, config.seed)
        self.model, self.optimizer = accelerator.prepare(made.model, make_optimizer(made.model, config))
        self.ema = Ema(self.bare, config.ema)
        self.first = (
            {name: p.detach().clone() for name, p in self.bare.named_parameters()} if config.interpolate else {}
        )
        self.teacher = None if made.teacher is None else made.teacher.to(accelerator.device)
        accelerator.register_for_checkpointing(self.ema)
        self.start = self._resume()

    @property
    def bare(self) -> VidPolicy:
        """The model without wrappers."""
        return self.accelerator.unwrap_model(self.model)

    def _resume(self) -> int:
        found = checkpoint.latest(self.out)
        if found is None:
            return 0
        step, folder = found
        try:
            self.accelerator.load_state(str(folder))
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(
                f"the training state cannot be read: {error}", asked=folder, next_command=f"rm -r {folder}"
            ) from None
        self.accelerator.project_configuration.iteration = step
        return step

    def batch(self, step: int) -> dict[str, Tensor]:
        """This process's part of the batch of `step`, on its device."""
        horizon, slots = self.bare.config.horizon, self.layout.width
        draws = Draws.of(self.config, step, horizon, slots, len(self.made.rows[0].history))
        part = (self.accelerator.process_index, self.accelerator.num_processes)
        made = self.made
        turn, picked = self.config.shift_state == "turn", self.sampler.batch(step)
        tensors = collate(picked, made.rows, made.paired, made.ids, self.layout, draws, part, turn, made.texts)
        return {name: value.to(self.accelerator.device) for name, value in tensors.items()}

    def run(self, stop_after: int | None = None) -> dict[str, Any]:
        """Train to the end (or to `stop_after`), save, and return the summary."""
        config, main = self.config, self.accelerator.is_main_process
        end = config.steps if stop_after is None else min(stop_after, config.steps)
        self.metrics = Metrics(self.out, config.tensorboard, self.start) if main else None
        began, last = time.perf_counter(), {}
        with disk_guard(self.out):
            for record in self._steps(self.start, end):
                last = {**last, **record}
            if self.metrics is not None:
                self.metrics.close()
        if end < config.steps:
            return {"stopped_at": end}
        return self._finish(time.perf_counter() - began, last)

    def _steps(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        config = self.config
        self.model.train()
        window, since = Window(self.layout.width), time.perf_counter()
        for step in range(start, end):
            window.add(*self._step(step))
            done = step + 1
            record: dict[str, Any] = {}
            if done % config.log_every == 0 or done == end:
                seconds, since = time.perf_counter() - since, time.perf_counter()
                record = self._record(done, window, seconds)
                window = Window(self.layout.width)
            if config.val_every and (done % config.val_every == 0 or done == config.steps):
                record["val_error"] = self._validate()
                since = time.perf_counter()
            if record and self.metrics is not None:
                self.metrics.write({"step": done, **record})
                yield record
            if (
                config.save_every and done % config.save_every == 0 and done < config.steps
            ) or done == end < config.steps:
                self._save(done)

    def _step(self, step: int) -> tuple[float, float, Tensor, Tensor]:
        rate = learning_rate(self.config, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        torch.manual_seed((self.config.seed * 1_000_003 + step) % 2**63)  # dropout
        batch = self.batch(step)
        taught = {}
        if self.teacher is not None:
            taught = {"teacher": self.teacher.velocities(batch), "teacher_share": self.config.distil}
        out = self.model(**batch, **taught)
        loss = float(out.loss.detach())
        if not np.isfinite(loss):
            self._stop_at_nan(step, batch, loss)
        self.accelerator.backward(out.loss)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.ema.update(self.bare)
        return loss, float(norm if norm is not None else 0.0), out.slot_error, out.slot_weight

    def _stop_at_nan(self, step: int, batch: dict[str, Tensor], loss: float) -> None:
        path = self.out / f"bad_batch_rank{self.accelerator.process_index}.npz"
        np.savez(path, **{name: value.cpu().numpy() for name, value in batch.items()})  # type: ignore[arg-type]
        raise InputError(
            f"the loss is {loss} at step {step}: training stopped, the batch is saved",
            asked=path,
            valid="a smaller lr, a longer warmup, or data without outliers",
            next_command="train.lr=3e-4",
        )

    def _record(self, done: int, window: Window, seconds: float) -> dict[str, Any]:
        error = self.accelerator.reduce(window.error, reduction="sum").cpu().numpy()
        weight = self.accelerator.reduce(window.weight, reduction="sum").cpu().numpy()
        groups = {
            name: float(error[part].sum() / weight[part].sum())
            for name, part in self.layout.slices().items()
            if weight[part].sum() > 0
        }
        return {
            "loss": float(error.sum() / max(weight.sum(), 1e-9)),
            "group_loss": groups,
            "lr": learning_rate(self.config, done - 1),
            "grad_norm": window.norm / max(1, window.steps),
            "samples_per_s": window.steps * self.config.batch_size / max(seconds, 1e-9),
        }

    def _validate(self) -> float | None:
        if self.made.val is None:
            return None
        error = None
        if self.accelerator.is_main_process:
            with self.ema.applied(self.bare):
                error = validate(Policy(self.bare), self.made.val, self.made.std)
            self.model.train()
        self.accelerator.wait_for_everyone()
        return error

    def _save(self, done: int) -> None:
        self.accelerator.wait_for_everyone()
        with checkpoint.save_guard(self.out):
            self.accelerator.save_state(str(checkpoint.aside(self.out, done)))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            checkpoint.publish(self.out, done, self.config.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    def _finish(self, seconds: float, last: dict[str, Any]) -> dict[str, Any]:
        steps = self.config.steps - self.start
        summary = {
            "kind": self.kind,
            "key": self.key,
            "checkpoint": str(self.out / "model"),
            "steps": self.config.steps,
            "seconds": round(seconds, 2),
            "samples_per_s": round(steps * self.config.batch_size / max(seconds, 1e-9), 1),
            "loss": last.get("loss"),
            "val_error": last.get("val_error"),
            "parameters": sum(p.numel() for p in self.bare.parameters()),
            "rows": sum(len(one) for one in self.made.rows),
            "embodiments": list(self.bare.config.paired()),
            "adapters_from": self.made.lent,
            "resumed_from": self.start,
            "processes": self.accelerator.num_processes,
            "train": {f.name: str(getattr(self.config, f.name)) for f in dataclasses.fields(self.config)},
        }
        if self.accelerator.is_main_process:
            self.ema.towards(self.first, self.config.interpolate)
            with self.ema.applied(self.bare), checkpoint.save_guard(self.out), quiet_transformers():
                self.bare.save_pretrained(self.out / "model.tmp")
            checkpoint.replace_folder(self.out / "model.tmp", self.out / "model")
            write_json(self.out / "train.json", summary, allow_nan=True)
        self.accelerator.wait_for_everyone()
        return {**summary, "reused": False}


class Window:
    """Sums over the steps since the last log line."""

    def __init__(self, slots: int) -> None:
        self.steps, self.loss, self.norm = 0, 0.0, 0.0
        self.error, self.weight = torch.zeros(slots), torch.zeros(slots)

    def add(self, loss: float, norm: float, error: Tensor, weight: Tensor) -> None:
        """Count one step."""
        self.steps += 1
        self.loss += loss
        self.norm += norm
        self.error, self.weight = self.error.to(error.device) + error, self.weight.to(weight.device) + weight
