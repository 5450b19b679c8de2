"""Charts and comparisons from the files that training and evaluation leave in a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidpretrain.report.data import Comparison, Curve, Estimate


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
    """The table of an evaluation.json: {"groups": {GROUP: {POLICY: {"mean": x, "low": x, "high": x}}}, "units": {...},
    "policy": NAME}; absent parts are left out."""
    groups = evaluation.get("groups", {})
    policies = list(dict.fromkeys(name for row in groups.values() for name in row))
    ours = str(evaluation.get("policy", ""))
    if ours in policies:
        policies.insert(0, policies.pop(policies.index(ours)))
    return Comparison(
        title=title,
        policies=tuple(policies),
        groups=tuple(groups),
        units=dict(evaluation.get("units", {})),
        cells={group: {name: _estimate(cell) for name, cell in row.items()} for group, row in groups.items()},
        ours=ours,
        note=note,
    )


def _estimate(cell: Any) -> Estimate:
    if isinstance(cell, Mapping):
        nan = float("nan")
        return Estimate(value=float(cell["mean"]), low=float(cell.get("low", nan)), high=float(cell.get("high", nan)))
    return Estimate(value=float(cell))
