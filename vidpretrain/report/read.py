"""Charts and comparisons from the files that training and evaluation leave in a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidpretrain.errors import InputError
from vidpretrain.report.data import Chart, Comparison, Curve, Estimate

ALL_GROUPS = "all groups"


def curves_from_metrics(path: Path | str, keys: Sequence[str] = ("loss",), prefix: str = "") -> tuple[Curve, ...]:
    """A curve for each key that occurs in a metrics.jsonl (rows {"step": int, KEY: number, ...}); none for no file.

    A last line that was cut off by a crash is left out. `prefix` goes before the names.
    """
    path = Path(path)
    if not path.is_file():
        return ()
    found: dict[str, tuple[list[float], list[float]]] = {key: ([], []) for key in keys}
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        for key, (steps, values) in found.items():
            if isinstance(row, dict) and isinstance(row.get(key), int | float) and "step" in row:
                steps.append(float(row["step"]))
                values.append(float(row[key]))
    return tuple(
        Curve(name=f"{prefix}{key}", steps=tuple(steps), values=tuple(values))
        for key, (steps, values) in found.items()
        if steps
    )


def comparison_from_evaluation(
    evaluation: Mapping[str, Any], *, title: str = "Action-chunk error on held-out episodes", note: str = ""
) -> Comparison:
    """The table of an evaluation.json (`vidpretrain.evaluate.evaluate`, schema 1): the overall error with its interval
    over episodes, then the error of every group in its own unit. Without a note, how it was measured is said.

    Raises:
        InputError: another schema.
    """
    methods = _methods(evaluation)
    units = {ALL_GROUPS: "share of spread", **{name: group["unit"] for name, group in evaluation["groups"].items()}}
    cells: dict[str, dict[str, Estimate]] = {group: {} for group in units}
    for name, method in methods.items():
        low, high = method["interval"]
        cells[ALL_GROUPS][_shown(name)] = Estimate(value=method["error"], low=low, high=high)
        for group, value in method["native"].items():
            cells[group][_shown(name)] = Estimate(value=value)
    return Comparison(
        title=title,
        policies=tuple(_shown(name) for name in methods),
        groups=tuple(units),
        units=units,
        cells=cells,
        ours=_shown("policy"),
        note=note or _how(evaluation),
    )


def horizon_chart(evaluation: Mapping[str, Any], *, title: str = "Error over the steps of a chunk") -> Chart:
    """The overall error of every method against the time into the chunk, from the same file.

    Raises:
        InputError: another schema.
    """
    rate_hz = float(evaluation["rate_hz"])
    curves = [
        Curve(
            name=_shown(name),
            steps=tuple((k + 1) / rate_hz for k in range(len(method["steps"]))),
            values=tuple(map(float, method["steps"])),
        )
        for name, method in _methods(evaluation).items()
    ]
    return Chart(title=title, curves=tuple(curves), y_label="share of spread", x_label="seconds into the chunk")


def _methods(evaluation: Mapping[str, Any]) -> Mapping[str, Any]:
    if evaluation.get("schema") != 1 or "methods" not in evaluation:
        raise InputError(
            "an evaluation of another version",
            asked="evaluation.json",
            found=f"schema {evaluation.get('schema')}",
            valid="schema 1",
            next_command="vidpretrain evaluate",
        )
    return evaluation["methods"]


def _how(evaluation: Mapping[str, Any]) -> str:
    seconds = evaluation["horizon"] / evaluation["rate_hz"]
    return (
        f"{len(evaluation['episodes'])} episodes of {evaluation['embodiment']} that were not trained on; chunks of "
        f"{evaluation['horizon']} steps ({seconds:.2g} s). Mean absolute error; the first row is in units of the "
        "spread of the training episodes' actions, with an interval over episodes."
    )


def _shown(name: str) -> str:
    return name.replace("_", " ")
