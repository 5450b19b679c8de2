"""The training loop on accelerate: the same under `accelerate launch`, `torchrun`, plain python and the CLI.

Exact on resume: batches, augmentation, noise and dropout are functions of (seed, step); weights, optimizer and
average come from the checkpoint.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from vidpretrain.dataset.files import disk_guard, write_json
from vidpretrain.errors import CheckpointError
from vidpretrain.model import ModelConfig, VidPolicy
from vidpretrain.model.processing import VidProcessor
from vidpretrain.training import checkpoint, setup
from vidpretrain.training.collate import Draws, collate
from vidpretrain.training.config import TrainConfig
from vidpretrain.training.ema import Ema
from vidpretrain.training.guard import Guard, seed_step
from vidpretrain.training.launch import make_accelerator, sharded
from vidpretrain.training.loader import Ahead
from vidpretrain.training.metrics import Metrics, require_trackers
from vidpretrain.training.optimizer import learning_rate, make_optimizer
from vidpretrain.training.policy import Policy, quiet_transformers
from vidpretrain.training.profiling import StopWatch, without_gradient
from vidpretrain.training.progress import Progress
from vidpretrain.training.sampler import Mixture
from vidpretrain.training.validate import validate
from vidpretrain.training.warmstart import part_of


def pretrain(model: ModelConfig, config: TrainConfig, caches: Sequence[Path], out: Path) -> dict[str, Any]:
    """Summary of a run that trains a policy on caches (of one or several embodiments) and leaves it in `out`/model.

    Returns:
        checkpoint (path), steps, seconds, samples_per_s, loss, val_error, parameters, resumed_from, reused, ...
        The same run asked for again is not run again (`reused` is true).

    Raises:
        ConfigError: the folder holds another run, or settings contradict the data.
        InputError: the loss is no number or jumped; batch and weights are saved for `replay`.
        MissingExtra: a tracker is not installed.
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
    require_trackers(config)
    accelerator = make_accelerator(config)
    identity = setup.identity(kind, model, config, caches)
    finished = None
    with accelerator.main_process_first():
        finished = checkpoint.begin(out, identity, config.resume or not accelerator.is_main_process)
    if finished is not None:
        return {**finished, "reused": True}
    return Trainer(kind, setup.prepare(model, config, caches), config, out, accelerator, identity["key"]).run(
        stop_after
    )


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
        self.ema, self.progress = Ema(self.bare, config.ema), Progress(self.sampler)
        self.first = (
            {name: p.detach().clone() for name, p in self.bare.named_parameters()} if config.interpolate else {}
        )
        self.teacher = None if made.teacher is None else made.teacher.to(accelerator.device)
        self.watch = StopWatch(config.profile)
        kept = None if sharded(accelerator) else self.bare
        self.guard = Guard(out, accelerator.process_index, config, kept)
        self.people = setup.people(made, config, accelerator.device)
        self.held = [p for name, p in self.bare.named_parameters() if part_of(name) in config.freeze_parts]
        accelerator.register_for_checkpointing(self.ema, self.progress)
        self.start = self._resume()

    @property
    def bare(self) -> VidPolicy:
        """The model without wrappers."""
        return self.accelerator.unwrap_model(self.model, keep_torch_compile=False)

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
        return self._put(self._make(self._pick(step)))

    def _pick(self, step: int) -> tuple[int, list[tuple[int, np.ndarray]]]:
        return step, self.sampler.batch(step)

    def _make(self, picked: tuple[int, list[tuple[int, np.ndarray]]]) -> dict[str, Tensor]:
        step, rows = picked
        made, part = self.made, (self.accelerator.process_index, self.accelerator.num_processes)
        horizon = made.model.config.horizon
        draws = Draws.of(self.config, step, horizon, self.layout.width, len(made.rows[0].history))
        turn = self.config.shift_state == "turn"
        return collate(rows, made.rows, made.paired, made.ids, self.layout, draws, part, turn, made.texts)

    def _put(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.to(self.accelerator.device, non_blocking=True) for name, value in tensors.items()}

    def run(self, stop_after: int | None = None) -> dict[str, Any]:
        """Train to the end (or to `stop_after`), save, and return the summary."""
        config, main = self.config, self.accelerator.is_main_process
        end = config.steps if stop_after is None else min(stop_after, config.steps)
        self.metrics = Metrics(self.out, config, self.key, self.start) if main else None
        self.ahead = Ahead(self._pick, self._make, end, config.workers)
        began, last = time.perf_counter(), {}
        try:
            with disk_guard(self.out):
                for record in self._steps(self.start, end):
                    last = {**last, **record}
        finally:
            self.ahead.close()
            if self.metrics is not None:
                self.metrics.close()
        if self.progress.step < config.steps and not self._enough():
            return {"stopped_at": end}
        return self._finish(time.perf_counter() - began, last)

    def _enough(self) -> bool:
        """Whether the error has not fallen for so long that the run ends early."""
        return 0 < self.config.patience <= self.progress.worse

    def _steps(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        config = self.config
        self.model.train()
        window, self.watch = Window(self.layout.width), StopWatch(config.profile)
        for step in range(start, end):
            if self._enough():
                return
            window.add(*self._step(step))
            done = self.progress.step = step + 1
            record: dict[str, Any] = {}
            if done % config.log_every == 0 or done == end:
                record = self._record(done, window)
                window = Window(self.layout.width)
            if config.val_every and (done % config.val_every == 0 or done == config.steps):
                record |= self._validate(done)
                self.watch.told()
            if record:
                if self.metrics is not None:
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
        seed_step(self.config.seed, step)
        with self.watch.phase("data"):
            batch = self._put(self.ahead.get(step))
        loss, error, weight = self._gradients(step, batch)
        with self.watch.phase("optimiser"):
            if step < self.config.freeze_steps:
                for parameter in self.held:
                    parameter.grad = None
            norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
            norm = 0.0 if norm is None else float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
            self.guard.gradient(step, norm, batch)
            if self.config.profile and step == self.start:
                self.idle = without_gradient(self.bare)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.ema.update(self.bare)
        self.watch.steps += 1
        return loss, norm, error, weight

    def _gradients(self, step: int, batch: dict[str, Tensor]) -> tuple[float, Tensor, Tensor]:
        """Loss, and error and weight per slot, of this process's part of the batch, after its backward pass."""
        parts, total, error, weight = split(batch, self.config.accumulate), 0.0, 0.0, 0.0
        for number, part in enumerate(parts, 1):
            if self.teacher is not None:
                part = {**part, "teacher": self.teacher.velocities(part), "teacher_share": self.config.distil}
            if self.people is not None:
                part = {**part, "people": self.people[part["embodiment"]], "align": self.config.align}
            wait = nullcontext() if number == len(parts) else self.accelerator.no_sync(self.model)
            with wait:
                with self.watch.phase("forward"):
                    out = self.model(**part)
                    loss = float(out.loss.detach())
                self.guard.loss(step, loss, part)
                with self.watch.phase("backward"):
                    self.accelerator.backward(out.loss / len(parts))
            total, error, weight = total + loss / len(parts), error + out.slot_error, weight + out.slot_weight
        return total, error, weight  # type: ignore[return-value]

    def _record(self, done: int, window: Window) -> dict[str, Any]:
        error = self.accelerator.reduce(window.error, reduction="sum").cpu().numpy()
        weight = self.accelerator.reduce(window.weight, reduction="sum").cpu().numpy()
        groups = {
            name: float(error[part].sum() / weight[part].sum())
            for name, part in self.layout.slices().items()
            if weight[part].sum() > 0
        }
        spent = self.watch.told()
        told: dict[str, Any] = {
            "loss": float(error.sum() / max(weight.sum(), 1e-9)),
            "group_loss": groups,
            "lr": learning_rate(self.config, done - 1),
            "grad_norm": window.norm / max(1, window.steps),
            "samples_per_s": 1e3 * self.config.batch_size / max(spent["step"], 1e-6),
            "data_wait": spent["data"] / max(spent["step"], 1e-6),
        }
        if self.config.profile:
            told["profile_ms"] = spent
        return told

    def _validate(self, done: int) -> dict[str, Any]:
        """The averaged weights' error on held-out rows, by group and horizon step; the best weights are kept."""
        if self.made.val is None:
            return {"val_error": None}
        found: list[Any] = [None]
        with self._averaged() as model:
            if model is not None:
                found = [validate(Policy(model), self.made.val, self.made.std)]
            broadcast_object_list(found)
            if self.progress.validated(done, found[0].error) and model is not None:
                self._write(model, self.out / "best")
        self.model.train()
        self.accelerator.wait_for_everyone()
        return found[0].record()

    @contextmanager
    def _averaged(self) -> Iterator[VidPolicy | None]:
        """The model with the averaged weights on the main process, None on the others."""
        main = self.accelerator.is_main_process
        if not sharded(self.accelerator):
            with self.ema.applied(self.bare):
                yield self.bare if main else None
            return
        state = {**self.accelerator.get_state_dict(self.model), **self.ema.whole()}
        model = VidPolicy(self.bare.config) if main else None  # type: ignore[arg-type]
        if model is not None:
            model.load_state_dict(state)
        yield model

    def _write(self, model: VidPolicy, final: Path) -> None:
        aside = final.with_name(f"{final.name}.tmp")
        with checkpoint.save_guard(self.out), quiet_transformers():
            model.save_pretrained(aside)
            VidProcessor(model.config).save_pretrained(aside)
        checkpoint.replace_folder(aside, final)

    def _save(self, done: int) -> None:
        self.accelerator.wait_for_everyone()
        with checkpoint.save_guard(self.out):
            self.accelerator.save_state(str(checkpoint.aside(self.out, done)))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            checkpoint.publish(self.out, done, self.config.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    def _finish(self, seconds: float, last: dict[str, Any]) -> dict[str, Any]:
        progress, done = self.progress, self.progress.step
        validated = progress.best_step > 0
        summary = {
            "kind": self.kind,
            "key": self.key,
            "checkpoint": str(self.out / "model"),
            "steps": done,
            "stopped_early": done < self.config.steps,
            "seconds": round(seconds, 2),
            "samples_per_s": round((done - self.start) * self.config.batch_size / max(seconds, 1e-9), 1),
            "loss": last.get("loss"),
            "val_error": last.get("val_error"),
            "best_val_error": progress.best if validated else None,
            "best_step": progress.best_step if validated else None,
            "parameters": sum(p.numel() for p in self.bare.parameters()),
            "rows": sum(len(one) for one in self.made.rows),
            "embodiments": list(self.bare.config.paired()),
            "adapters_from": self.made.lent,
            "resumed_from": self.start,
            "processes": self.accelerator.num_processes,
            "train": {f.name: str(getattr(self.config, f.name)) for f in dataclasses.fields(self.config)},
        }
        if self.config.profile:
            summary |= {"profile_ms": last.get("profile_ms"), "without_gradient": getattr(self, "idle", [])}
        self.ema.towards(self.first, self.config.interpolate)
        with self._averaged() as model:
            if model is not None:
                self._write(model, self.out / "model")
                write_json(self.out / "train.json", summary, allow_nan=True)
        self.accelerator.wait_for_everyone()
        return {**summary, "reused": False}


def split(batch: dict[str, Tensor], parts: int) -> list[dict[str, Tensor]]:
    """The batch in so many parts of the same number of rows."""
    if parts == 1:
        return [batch]
    chunks = {name: value.chunk(parts) for name, value in batch.items()}
    return [{name: chunks[name][k] for name in batch} for k in range(parts)]


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
