"""The table of verbs: what each does and where its function lives.

A verb's function is `function(config: RunConfig, inputs: tuple[str, ...]) -> dict`. What it returns can be written as
JSON; `ok` (bool) decides the exit code, `message` (str) ends the text for people, every other key is shown as a table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

CONFIG_CLASS = "vidpretrain.workflow.config:RunConfig"


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One command: `function` is "module:name", `inputs` says what its paths are.

    A verb that does not need a configuration gets None when the user gives none, so that it works on a machine where
    other rooms do not. `options` names the options of its own (see `cli.app`); its function gets those that were given
    as keywords.
    """

    function: str
    help: str
    inputs: str
    yaml_is_input: bool = False
    needs_config: bool = True
    options: Literal["", "robots", "retarget", "tasks", "out", "export"] = ""


VERBS: dict[str, Verb] = {
    "doctor": Verb(
        function="vidpretrain.doctor:doctor",
        help="Check what this machine has, and say what to type.",
        inputs="nothing",
        needs_config=False,
    ),
    "probe": Verb(
        function="vidpretrain.workflow:probe",
        help="Show size, rate, codec, rotation and shots of videos.",
        inputs="videos or folders of videos",
    ),
    "extract": Verb(
        function="vidpretrain.workflow:extract",
        help="Find hands and body in videos: metric human motion.",
        inputs="videos or folders of videos",
    ),
    "retarget": Verb(
        function="vidpretrain.workflow:retarget",
        help="Turn human motion into joint motion of one robot or several; --view shows them side by side.",
        inputs="a run folder, videos, or .bvh, .npz and .pkl files of motion",
        options="retarget",
    ),
    "pack": Verb(
        function="vidpretrain.workflow:pack",
        help="Write robot motions as a LeRobot data set.",
        inputs="a run folder",
    ),
    "check": Verb(
        function="vidpretrain.workflow:check",
        help="Check a data set: layout, values, frames, limits.",
        inputs="a data set",
    ),
    "pretrain": Verb(
        function="vidpretrain.workflow:pretrain",
        help="Train a policy on actions that came from human video.",
        inputs="a data set",
    ),
    "finetune": Verb(
        function="vidpretrain.workflow:finetune",
        help="Adapt a policy to robot episodes.",
        inputs="a data set of the robot",
    ),
    "predict": Verb(
        function="vidpretrain.workflow:predict",
        help="Write a policy's actions for every frame to parquet.",
        inputs="a data set or a folder of videos",
    ),
    "serve": Verb(
        function="vidpretrain.workflow:serve",
        help="Answer robots over a websocket (openpi's protocol) until interrupted.",
        inputs="a checkpoint",
    ),
    "export": Verb(
        function="vidpretrain.workflow:export",
        help="Write a policy as one file (--format torch_export, onnx or both), checked against torch.",
        inputs="a checkpoint",
        options="export",
    ),
    "publish": Verb(
        function="vidpretrain.workflow:publish",
        help="Put a checkpoint or data set on the Hub or into a folder, with its card; without a target, show what.",
        inputs="a checkpoint or a data set",
    ),
    "evaluate": Verb(
        function="vidpretrain.workflow:evaluate",
        help="Compare a policy with baselines on held-out episodes.",
        inputs="a checkpoint",
    ),
    "gap": Verb(
        function="vidpretrain.workflow:gap",
        help="Measure how far human data are from a robot's, before and after each bridge.",
        inputs="two data sets: HUMAN ROBOT",
    ),
    "report": Verb(
        function="vidpretrain.workflow:report",
        help="Write the HTML report of a run.",
        inputs="a run folder",
    ),
    "run": Verb(
        function="vidpretrain.workflow:run",
        help="The whole path from video to report; resumes.",
        inputs="videos or folders of videos",
    ),
    "demo": Verb(
        function="vidpretrain.workflow:demo",
        help="The whole path on video rendered on the spot.",
        inputs="nothing",
    ),
    "synth": Verb(
        function="vidpretrain.workflow:synth",
        help="Render people at work, easy and hard to see, with exact truth: --out FOLDER synth.clips=N.",
        inputs="nothing",
        options="out",
    ),
    "model": Verb(
        function="vidpretrain.model.count:show",
        help="List the policy's sizes with counted parameters and operations, or show one: model base.",
        inputs="a preset's name",
        needs_config=False,
    ),
    "robots": Verb(
        function="vidpretrain.doctor:robots",
        help="List the robots, show one, or add your own: robots add MODEL.xml --out MY_ROBOT.yaml.",
        inputs="a robot's name or YAML file, or add and a model file (MJCF or URDF)",
        yaml_is_input=True,
        needs_config=False,
        options="robots",
    ),
    "tasks": Verb(
        function="vidpretrain.sim.worlds.check:tasks",
        help="List the simulated tasks, check one (tasks check NAME), or record its expert (tasks record NAME).",
        inputs="check or record, and a task's name or Python file",
        needs_config=False,
        options="tasks",
    ),
}


def resolve(reference: str) -> Any:
    """The object that "module:name" names, imported now."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def function_of(verb: str) -> Callable[[Any, tuple[str, ...]], dict[str, Any]]:
    """The function behind a verb of the table, imported now."""
    return resolve(VERBS[verb].function)
