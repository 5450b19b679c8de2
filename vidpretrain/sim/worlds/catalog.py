"""The tasks by name: the shipped ones, and a user's own files."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass, field
from pathlib import Path

from vidpretrain.errors import ConfigError, unknown_name
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.sim.worlds.task import Task

TASKS: dict[str, str] = {
    "reach_touch": "ReachTouch",
    "push_goal": "PushGoal",
    "pick_lift": "PickLift",
    "pick_place": "PickPlace",
    "lift_tray": "LiftTray",
    "hand_over": "HandOver",
    "open_drawer": "OpenDrawer",
    "pour": "Pour",
}
WITHOUT_HANDS = ("reach_touch",)
ROBOTS = ("g1_inspire", "gr1", "h1")
_NAMESPACE, _VERSION = "vidpretrain", 1


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """What may stand in the YAML beside a user's task: its world, and the robots that it is for."""

    world: WorldConfig = field(default_factory=WorldConfig)
    robots: tuple[str, ...] = ("g1_inspire",)
    instruction: str = ""
    duration_s: float = 0.0


def load_task(name_or_path: str | Path) -> tuple[Task, TaskFile]:
    """The shipped task of a name, or the one `Task` class of a Python file, with the YAML beside it.

    Instruction and duration in the YAML take the place of the class's own.

    Raises:
        UnknownName: neither a shipped name nor a file.
        ConfigError: the file does not run, or has no `Task` class or several; the YAML does not fit.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix != ".py":
        if str(name_or_path) not in TASKS:
            raise unknown_name("task", str(name_or_path), TASKS)
        module = importlib.import_module(f"vidpretrain.sim.worlds.tasks.{name_or_path}")
        return getattr(module, TASKS[str(name_or_path)])(), TaskFile(robots=robots_of(str(name_or_path)))
    if not path.is_file():
        raise ConfigError("no such task file", asked=path, valid="a Python file, or one of " + ", ".join(TASKS))
    found = _classes(path)
    if len(found) != 1:
        raise ConfigError(
            "a task file has one class made from vidpretrain.sim.worlds.Task",
            asked=path,
            found=", ".join(c.__name__ for c in found) or "none",
        )
    beside = path.with_suffix(".yaml")
    settings = _settings(beside) if beside.is_file() else TaskFile()
    own = {"instruction": settings.instruction, "duration_s": settings.duration_s}
    kind = type(found[0].__name__, (found[0],), {key: value for key, value in own.items() if value})
    return kind(), settings


def robots_of(task: str) -> tuple[str, ...]:
    """The robots for which a shipped task is registered."""
    return ROBOTS if task in WITHOUT_HANDS else ROBOTS[:2]


def env_id(task: str, robot: str) -> str:
    """The registered name of a task with a robot."""
    return f"{_NAMESPACE}/{task}-{robot}-v{_VERSION}"


def register_all() -> None:
    """Register every task with every robot that can do it with gymnasium; again is nothing."""
    import gymnasium

    for task in TASKS:
        for robot in robots_of(task):
            if env_id(task, robot) not in gymnasium.registry:
                gymnasium.register(
                    id=env_id(task, robot),
                    entry_point="vidpretrain.sim.worlds.env:World",
                    kwargs={"task": task, "robot": robot},
                )


def _settings(path: Path) -> TaskFile:
    from vidpretrain import config

    return config.load(TaskFile, path)


def _classes(path: Path) -> list[type[Task]]:
    name = f"vidpretrain_user_task_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file may raise
        raise ConfigError(f"the task file does not run: {type(error).__name__}: {error}", asked=path) from error
    return [c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, Task) and c.__module__ == name]
