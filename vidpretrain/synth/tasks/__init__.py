"""Rendered people doing the tasks of `sim.worlds`: level 2 of the few-demo benchmark.

Door: `TaskFilmConfig`, `plan_task`, `film_task` -> `Synthesized`, `load_held` -> `Held`. A clip's files are those of
`synth.files`, and NAME.held.npz beside them. The way from the expert's episode to the film:

    trace   the expert does the task in the physics: palms, fingers and things, row by row, as plain arrays
    hands   a robot's palm to a person's wrist and back, fingers that stop at what they hold
    act     a person of any size behind the table, faster, hands where the expert's were
    stage   room, table, things and person as one scene; filmed, with the truth
    film    many clips in worker processes, resumed
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vidpretrain.synth.tasks.config import TaskFilmConfig

if TYPE_CHECKING:
    from vidpretrain.synth.tasks.film import film_task
    from vidpretrain.synth.tasks.held import Held, load_held
    from vidpretrain.synth.tasks.plan import plan_task

_DOOR = {"film_task": "film", "Held": "held", "load_held": "held", "plan_task": "plan"}

__all__ = ["Held", "TaskFilmConfig", "film_task", "load_held", "plan_task"]


def __getattr__(name: str) -> Any:
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"vidpretrain.synth.tasks.{_DOOR[name]}"), name)
