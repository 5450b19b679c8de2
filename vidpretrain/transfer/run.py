"""Running cells: record what is missing, pretrain what is missing, fine-tune, play, write one line."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import vidpretrain
from vidpretrain import config as configs
from vidpretrain.dataset import TrainingCache
from vidpretrain.sim.worlds.remote import Players, RemoteConfig
from vidpretrain.training import Policy, TrainConfig, finetune, pretrain
from vidpretrain.transfer.cells import LINES, Cell, append_line, cells, read_lines
from vidpretrain.transfer.closed_loop import rollout
from vidpretrain.transfer.config import BridgeConfig, KeepConfig, TransferConfig
from vidpretrain.transfer.data import PERSON, demonstration_set, people_cache, robot_cache, wrist_speed
from vidpretrain.transfer.keys import cell_key
from vidpretrain.transfer.sharing import alone, claimed

_CODE = ("sim/worlds", "model", "training", "transforms", "actions", "transfer", "solve")
_LABELS = {"shuffled": "shuffled", "phase": "phase"}


def run_cells(
    config: TransferConfig,
    out: Path | str,
    *,
    limit: int | None = None,
    chosen: Callable[[Cell], bool] = lambda cell: True,
    tell: Callable[[str], None] = lambda words: None,
    lines: str = LINES,
) -> list[dict[str, Any]]:
    """The lines of all chosen cells, those run now and those found in `out`; see docs/development.md for the files.

    Several processes may run the same: a cell that another one is at is left to it.

    Args:
        limit: run at most so many cells now.
        lines: the file in `out` that has them.
        tell: called with what happens, a line at a time.

    Raises:
        ConfigError, InputError, MissingAsset, DiskFull: see the message; finished cells are kept.
    """
    with Bench(config, Path(out)) as bench:
        return _run_cells(bench, limit, chosen, tell, lines)


def _run_cells(
    bench: Bench, limit: int | None, chosen: Callable[[Cell], bool], tell: Callable[[str], None], name: str
) -> list[dict[str, Any]]:
    config, out = bench.config, bench.out
    known = {line["key"]: line for line in read_lines(out, name)}
    lines, ran = [], 0
    for cell in cells(config):
        if not chosen(cell):
            continue
        key = bench.key(cell)
        if key not in known and (limit is None or ran < limit):
            with claimed(out, key) as mine:
                if not mine:  # another process runs it now
                    continue
                known |= {line["key"]: line for line in read_lines(out, name)}  # or has meanwhile
                if key not in known:
                    line = bench.run(cell)
                    append_line(out, line, name)
                    known[key], ran = line, ran + 1
                    tell(f"{cell.name}: {_said(line)} ({line['seconds']:.0f} s)")
        if key in known:
            lines.append(known[key])
    return lines


def _said(line: dict[str, Any]) -> str:
    parts = []
    for task, played in line["played"].items():
        rates = ", ".join(f"{where} {np.mean([int(c) for c in one['success']]):.2f}" for where, one in played.items())
        parts.append(f"{task} {rates}")
    return "; ".join(parts)


class Bench:
    """The benchmark's folder: caches, training runs and finished cells."""

    def __init__(self, config: TransferConfig, out: Path) -> None:
        self.config, self.out = config, out
        out.mkdir(parents=True, exist_ok=True)
        self._caches: dict[Any, list[TrainingCache]] = {}
        self._players: Players | None = None

    @property
    def players(self) -> Players:
        """The worker processes, started when first needed."""
        if self._players is None:
            self._players = Players(self.config.play.workers)
        return self._players

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        if self._players is not None:
            self._players.close()

    def key(self, cell: Cell) -> str:
        """What tells a cell from all others."""
        return cell_key(self.config, cell)

    def run(self, cell: Cell) -> dict[str, Any]:
        """The line of a cell."""
        began = time.perf_counter()
        bridges = self.config.bridges.flipped(cell.flip)
        trained = self.trained(cell, bridges)
        policy = Policy.load(trained["checkpoint"])
        embodiment = PERSON if cell.arm == "zero" else self.robot(bridges)[0].embodiment
        return {
            "key": self.key(cell),
            **configs.plain(cell),
            "tasks": list(self.config.tasks),
            "robot": self.config.robot,
            "level": self.config.level,
            "first_start": self.config.play.first_seed,
            "starts": self.config.play.starts,
            "played": {task: self.played(policy, embodiment, task, bridges) for task in self.config.tasks},
            "run": Path(trained["checkpoint"]).parent.name,
            "loss": trained["loss"],
            "steps": trained["steps"],
            "lr": self.config.pretrain.lr if cell.arm == "zero" else cell.training(self.config).lr,
            "parameters": trained["parameters"],
            "seconds": round(time.perf_counter() - began, 1),
            "version": vidpretrain.__version__,
            "code": code_digest(),
            "config": configs.digest(self.config),
        }

    def played(self, policy: Policy, embodiment: str, task: str, bridges: BridgeConfig) -> dict[str, Any]:
        """Success by start as a string of 0 and 1, and mean progress, inside and outside the distribution."""
        play, world, out = self.config.play, self.config.world, {}
        world = dataclasses.replace(world, masked_arms=bridges.masking)
        worlds = {"in": world} | ({"out": world.out_of_distribution()} if play.outside else {})
        for where, one in worlds.items():
            remote = RemoteConfig(
                task=task,
                robot=self.config.robot,
                world=one,
                seeds=tuple(range(play.first_seed, play.first_seed + play.starts)),
                slots=play.slots,
                execute=play.execute,
                frame="camera" if bridges.frame else "base",
                history=policy.history,
            )
            found = rollout(policy, embodiment, remote, players=self.players, temperature=play.temperature)
            out[where] = {
                "success": "".join(str(int(o.success)) for o in found),
                "progress": round(float(np.mean([o.progress for o in found])), 4),
                "unstable": sum(bool(o.unstable) for o in found),
            }
        return out

    # ---- what is trained ----

    def trained(self, cell: Cell, bridges: BridgeConfig) -> dict[str, Any]:
        """The summary of a cell's policy, trained now or found."""
        config = self.config
        if cell.arm == "zero":
            return self.pretrained("own", bridges)
        robot, which = self.robot(bridges), demonstration_set(config, cell.number, cell.demos)
        caches, chosen = [c.path for c in robot], (which,) * len(robot)
        train = cell.training(config).replace(episodes_of=chosen, seed=config.finetune.seed + cell.number)
        if cell.arm == "scratch":
            return self._train("finetune", train, caches)
        labels = _LABELS.get(cell.arm, "own")
        train = self._keeping(train, cell.keeping(config), bridges, self.pretrained(labels, bridges)["checkpoint"])
        if cell.arm == "images":
            train = train.replace(init_parts=("stem",), adapters="fresh", init_normalizer="own")
            return self._train("finetune", train, caches)
        if cell.arm == "cotrain" or bridges.midtrain:
            together, with_people = self._with_people(train, caches, chosen, bridges)
            if cell.arm == "cotrain":
                return self._train("finetune", together, with_people)
            half = max(1, train.steps // 2)
            middle = self._train("finetune", together.replace(steps=half), with_people)
            train = train.replace(steps=train.steps - half, init=Path(middle["checkpoint"]), init_adapter_from=None)
        return self._train("finetune", train, caches)

    def pretrained(self, labels: str, bridges: BridgeConfig) -> dict[str, Any]:
        """The summary of the policy that has seen people only."""
        people = self.people(bridges)
        config: Any = dataclasses.replace(
            self.config.pretrain, labels=labels, speeds=self.speeds(bridges), **_shift(bridges, self.config.pretrain)
        )
        return self._train("pretrain", config, [c.path for c in people])

    def _keeping(self, train: TrainConfig, keep: KeepConfig, bridges: BridgeConfig, init: str) -> TrainConfig:
        return train.replace(
            init=Path(init),
            lr=train.lr * keep.lr_scale,
            min_lr=min(train.min_lr, train.lr * keep.lr_scale),
            trunk_lr_scale=keep.trunk_lr_scale,
            adapters="keep" if bridges.adapters else "fresh",
            init_adapter_from=PERSON if bridges.adapters else None,
            init_normalizer="own" if bridges.scale or not bridges.adapters else "donor",
            frozen=keep.frozen,
            distil=keep.distil,
            interpolate=keep.interpolate,
            **_shift(bridges, train),
        )

    def _with_people(
        self, train: TrainConfig, caches: list[Path], chosen: tuple, bridges: BridgeConfig
    ) -> tuple[TrainConfig, list[Path]]:
        """The training on people and demonstrations together; people's adapters stay, robot's are those of people."""
        people, share, tasks = [c.path for c in self.people(bridges)], self.config.people_share, len(caches)
        return train.replace(
            episodes_of=(*(None,) * tasks, *chosen),
            mixture=(*(share / tasks,) * tasks, *((1 - share) / tasks,) * tasks),
            speeds=(*self.speeds(bridges), *(1.0,) * tasks),
        ), [*people, *caches]

    def _train(self, kind: str, config: TrainConfig, caches: list[Path]) -> dict[str, Any]:
        """Run a training, or find it; one that was interrupted goes on from its last checkpoint."""
        digests = [TrainingCache.open(path).meta["digest"] for path in caches]
        key = configs.digest(kind, configs.plain(self.config.model), configs.plain(config), digests)
        run = {"pretrain": pretrain, "finetune": finetune}[kind]
        with alone(self.out, key):
            return run(self.config.model, config.replace(resume=True), caches, self.out / "runs" / key)

    # ---- what is trained on ----

    def robot(self, bridges: BridgeConfig) -> list[TrainingCache]:
        """The robot's demonstrations, a cache per task."""
        return self._opened("robot", robot_cache, bridges, (bridges.frame, bridges.masking))

    def people(self, bridges: BridgeConfig) -> list[TrainingCache]:
        """The people, a cache per task."""
        kind = "people" if self.config.level == 1 else "filmed"
        return self._opened(kind, people_cache, bridges, (bridges.frame, bridges.masking, bridges.trust, bridges.grip))

    def speeds(self, bridges: BridgeConfig) -> tuple[float, ...]:
        """Rows of the film per step of the robot: by the clock, and with `time` by the wrists' median speeds too."""
        out = []
        for people, robot in zip(self.people(bridges), self.robot(bridges), strict=True):
            by_clock = people.spec.rate_hz / robot.spec.rate_hz
            ratio = wrist_speed(robot) / wrist_speed(people) if bridges.time else 1.0
            out.append(round(float(np.clip(by_clock * ratio, 0.05, 4.0)), 3))
        return tuple(out)

    def _opened(self, kind: str, make: Any, bridges: BridgeConfig, variant: tuple) -> list[TrainingCache]:
        if (kind, variant) not in self._caches:
            config = self.config
            seeds = {"robot": config.first_seed, "people": config.people.first_seed, "filmed": config.film.first_seed}
            name = "_".join([kind, *(str(int(v)) for v in variant), str(seeds[kind])])
            with alone(self.out, kind):  # films are shared by all variants
                caches = [make(self.config, bridges, t, self.out / name / Path(t).stem) for t in self.config.tasks]
            self._caches[kind, variant] = caches
        return self._caches[kind, variant]


def _shift(bridges: BridgeConfig, train: TrainConfig) -> dict[str, Any]:
    """A turned picture turns wrists in the camera's frame; in the base frame there is nothing to turn."""
    return {} if bridges.frame else {"shift_state": "keep"}


@cache
def code_digest() -> str:
    """Sixteen hex digits that change with the sources of what a cell runs."""
    root, state = Path(vidpretrain.__file__).parent, hashlib.sha256()
    for folder in _CODE:
        for source in sorted((root / folder).rglob("*.py")):
            state.update(source.read_bytes())
    return state.hexdigest()[:16]
