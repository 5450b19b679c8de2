"""Worlds: humanoids at a table with tasks, as gymnasium environments (MuJoCo; no torch). Worker processes only.

Door: `gymnasium.make("vidpretrain/pick_lift-g1_inspire-v1")` once this room is imported; `World`, `WorldConfig`,
`Axis`, `Task`, `turn`, `load_task`, `env_id`, `TASKS`; `play` with `ExpertPolicy`, `HoldPolicy`, `RandomPolicy`;
`Job`, `play_job` and `run_jobs` for many episodes in worker processes; `record_episodes`, `RecordConfig`;
`ReplayPolicy`, `require_spec` for data sets; `check_task`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vidpretrain.sim.worlds.catalog import TASKS, env_id, load_task, register_all
from vidpretrain.sim.worlds.config import AXES, Axis, WorldConfig
from vidpretrain.sim.worlds.task import Task, turn

if TYPE_CHECKING:
    from vidpretrain.sim.worlds.check import check_task
    from vidpretrain.sim.worlds.env import World
    from vidpretrain.sim.worlds.jobs import Job, play_job, run_jobs
    from vidpretrain.sim.worlds.record import RecordConfig, record_episodes
    from vidpretrain.sim.worlds.replay import ReplayPolicy, require_spec
    from vidpretrain.sim.worlds.rollout import ExpertPolicy, HoldPolicy, Outcome, Policy, RandomPolicy, play
    from vidpretrain.sim.worlds.stage import Unstable

_DOOR = {
    "World": "env",
    "ExpertPolicy": "rollout",
    "HoldPolicy": "rollout",
    "Outcome": "rollout",
    "Policy": "rollout",
    "RandomPolicy": "rollout",
    "play": "rollout",
    "ReplayPolicy": "replay",
    "require_spec": "replay",
    "RecordConfig": "record",
    "record_episodes": "record",
    "check_task": "check",
    "Unstable": "stage",
    "Job": "jobs",
    "play_job": "jobs",
    "run_jobs": "jobs",
}

__all__ = [
    "AXES",
    "TASKS",
    "Axis",
    "WorldConfig",
    "Task",
    "turn",
    "load_task",
    "env_id",
    "World",
    "ExpertPolicy",
    "HoldPolicy",
    "Outcome",
    "Policy",
    "RandomPolicy",
    "play",
    "ReplayPolicy",
    "require_spec",
    "RecordConfig",
    "record_episodes",
    "check_task",
    "Unstable",
    "Job",
    "play_job",
    "run_jobs",
]


def __getattr__(name: str) -> Any:
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"vidpretrain.sim.worlds.{_DOOR[name]}"), name)


register_all()
