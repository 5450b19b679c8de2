"""The verbs that train a policy and measure it: pretrain, finetune, evaluate."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidpretrain.config import digest
from vidpretrain.dataset import TrainingCache, build_cache, open_dataset
from vidpretrain.errors import ConfigError, InputError
from vidpretrain.robot import load_robot
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.progress import Bars


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Of several processes (one `accelerate launch`, or two commands) one builds and the others find what it built."""
    import fcntl

    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f".{folder.name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def human_cache(config: RunConfig, root: Path | None = None) -> TrainingCache:
    """The run's pseudo-actions at training size (the data set at `root` when it is given)."""
    dataset, folder = open_dataset(root or config.out / "dataset"), config.out / "cache" / "human"
    with one_at_a_time(folder), Bars() as bars:
        cache = build_cache(
            dataset,
            folder,
            image_size_px=config.model.image_px,
            config=config.dataset,
            progress=lambda done, total: bars("human cache", done, total),
        )
        return _with_features(cache, config)


def _with_features(cache: TrainingCache, config: RunConfig) -> TrainingCache:
    """The cache, and beside it what a frozen image model makes of its pictures where the policy sees that."""
    if config.model.vision == "features":
        from vidpretrain.training.views import build_features

        build_features(cache, config.model)
    return cache


def robot_cache(config: RunConfig, root: Path | None = None) -> TrainingCache:
    """The robot episodes at training size, with the wrists' poses by the robot's kinematics.

    Raises:
        ConfigError: no robot data set is named.
    """
    from vidpretrain.actions import spec_for

    root = root or config.robot_data.root
    if root is None:
        raise ConfigError(
            "no robot data set is named",
            asked="robot_data.root",
            valid="a LeRobot v3.0 or v2.1 folder",
            next_command="add robot_data.root=FOLDER to the command",
        )
    robot, folder = load_robot(config.robot), config.out / "cache" / "robot"
    with one_at_a_time(folder), Bars() as bars:
        cache = build_cache(
            open_dataset(root),
            folder,
            image_size_px=config.model.image_px,
            spec=spec_for(robot, config.actions),
            robot=robot,
            config=config.dataset,
            progress=lambda done, total: bars("robot cache", done, total),
        )
        return _with_features(cache, config)


def split(config: RunConfig, cache: TrainingCache) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(train, held-out) episodes of the robot data.

    Raises:
        InputError: too few episodes.
    """
    try:
        return config.robot_data.split(len(cache.episodes))
    except ValueError as error:
        raise InputError(str(error), asked=config.robot_data.root, valid="robot_data.held_out smaller") from None


def pretrained(config: RunConfig, cache: TrainingCache) -> dict[str, Any]:
    """Train on pseudo-actions; the summary names the checkpoint. Found again when nothing changed."""
    from vidpretrain.training import pretrain as train

    folder = config.out / f"pretrain-{digest(cache.meta['digest'], config.model, config.pretrain)[:8]}"
    return train(config.model, config.pretrain, [cache.path], folder)


def finetuned(config: RunConfig, cache: TrainingCache, init: Path | None, name: str) -> dict[str, Any]:
    """Adapt a checkpoint (None: from scratch) to the robot's training episodes."""
    from vidpretrain.training import finetune as train

    episodes, held_out = split(config, cache)
    source = f"human_{config.robot}" if init is not None and config.finetune.init_adapter_from is None else None
    settings = config.finetune.replace(
        init=init,
        episodes=episodes,
        val_episodes=held_out if config.finetune.val_every else (),
        init_adapter_from=config.finetune.init_adapter_from or _known_adapter(init, source),
    )
    folder = config.out / f"{name}-{digest(cache.meta['digest'], config.model, settings)[:8]}"
    return train(config.model, settings, [cache.path], folder)


def _known_adapter(init: Path | None, embodiment: str | None) -> str | None:
    """`embodiment` if the checkpoint knows it: adapters then start from the people's instead of fresh."""
    if init is None or embodiment is None:
        return None
    from vidpretrain.training import Policy

    return embodiment if embodiment in Policy.load(init).embodiments else None


def evaluated(config: RunConfig, cache: TrainingCache, policies: dict[str, Path]) -> dict[str, Any]:
    """Chunk errors on the held-out episodes, kept as evaluation.json: the policies next to the three baselines.

    The first policy is the one that the others are compared with; errors are scaled by the spread of the training
    episodes' actions.
    """
    from vidpretrain.evaluate import evaluate as measure

    train, held_out = split(config, cache)
    settings = dataclasses.replace(config.evaluate, train_episodes=train)
    (_, first), *others = policies.items()
    return measure(first, cache, held_out, config.out, settings, dict(others))


def pretrain(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Train a policy on a data set of pseudo-actions (the run's own, or the folder that is named)."""
    cache = human_cache(config, Path(inputs[0]) if inputs else None)
    return _told(pretrained(config, cache), "pretrain")


def finetune(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Adapt `checkpoint` (or the run's own pretrained policy, else nothing) to robot episodes."""
    cache = robot_cache(config, Path(inputs[0]) if inputs else None)
    init = config.checkpoint or last_checkpoint(config, "pretrain")
    return _told(finetuned(config, cache, init, "finetune"), "finetune")


_TOLD = (
    *("checkpoint", "steps", "seconds", "samples_per_s", "loss", "val_error", "parameters", "rows", "embodiments"),
    *("adapters_from", "resumed_from", "processes", "reused"),
)


def _told(result: dict[str, Any], what: str) -> dict[str, Any]:
    state = "found unchanged" if result.get("reused") else f"{result['steps']} steps in {result['seconds']:.0f} s"
    shown = {name: result[name] for name in _TOLD if name in result}
    return {"ok": True, **shown, "message": f"{what}: {state}, checkpoint {result['checkpoint']}"}


def last_checkpoint(config: RunConfig, name: str) -> Path | None:
    """The newest finished checkpoint of a training step of this run, or None."""
    found = sorted(config.out.glob(f"{name}-*/model/config.json"), key=lambda path: path.stat().st_mtime)
    return found[-1].parent if found else None


def checkpoint_of(config: RunConfig, inputs: tuple[str, ...]) -> Path:
    """The checkpoint that is asked for: an input, `checkpoint`, or the run's fine-tuned one.

    Raises:
        InputError: there is none.
    """
    candidates = (Path(inputs[0]) if inputs else None, config.checkpoint, last_checkpoint(config, "finetune"))
    for path in candidates:
        if path is not None:
            return path / "model" if (path / "model" / "config.json").is_file() else path
    raise InputError(
        "no checkpoint to use",
        asked=config.out,
        valid="checkpoint=FOLDER, or a run that was fine-tuned",
        next_command="vidpretrain finetune configs/real.yaml robot_data.root=FOLDER",
    )


def evaluate(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Chunk errors of a checkpoint on the held-out robot episodes, next to the baselines and the scratch policy."""
    policies = {"policy": checkpoint_of(config, inputs)}
    scratch = last_checkpoint(config, "scratch")
    if scratch is not None:
        policies["scratch"] = scratch
    cache = robot_cache(config)
    result = evaluated(config, cache, policies)
    return {"ok": True, **result, "message": f"evaluation: {config.out / 'evaluation.json'}"}
