"""The verb that measures how far human data are from a robot's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vidpretrain.config import plain
from vidpretrain.dataset import open_dataset
from vidpretrain.errors import InputError
from vidpretrain.feasibility import Verdict
from vidpretrain.workflow import learn
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.files import write_text


def gap(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Measures of the gap between a human and a robot data set, before and after each bridge.

    Writes `gap.json`, `gap.md`, `gap.html` and `gap.png` (both sides, before and after) to the run's folder.

    Raises:
        InputError: not two data sets, or they share no group of columns.
    """
    from vidpretrain.gap.picture import before_after, write_picture
    from vidpretrain.gap.side import read_side, shared_groups
    from vidpretrain.gap.table import gap_table
    from vidpretrain.report.gap import gap_markdown, gap_page

    if len(inputs) != 2:
        raise InputError(
            "gap compares two data sets", asked=" ".join(inputs) or "nothing", valid="HUMAN ROBOT, two LeRobot folders",
            next_command="vidpretrain gap runs/real/dataset ROBOT_FOLDER out=runs/gap",
        )  # fmt: skip
    human_root, robot_root = map(Path, inputs)
    settings = config.gap
    human = read_side("human", learn.human_cache(config, human_root), settings.rows, settings.horizon, _bad(human_root))
    robot = read_side("robot", learn.robot_cache(config, robot_root), settings.rows, settings.horizon)
    shared = shared_groups(human, robot)
    if not shared:
        raise InputError(
            "the two data sets share no columns", asked=f"{human_root}: {', '.join(human.groups)}",
            found=f"{robot_root}: {', '.join(robot.groups)}", valid="groups of the same names and columns",
            next_command=f"vidpretrain retarget ... robot={config.robot}",
        )  # fmt: skip
    rows = gap_table(human, robot, settings)
    out = config.out
    write_text(out / "gap.json", json.dumps([_finite(plain(row)) for row in rows], indent=1, allow_nan=False))
    write_text(out / "gap.md", gap_markdown(rows))
    write_text(out / "gap.html", gap_page(rows, f"{human_root.name or human_root} against {robot_root.name}"))
    write_picture(out / "gap.png", before_after(human, robot, settings))
    shown = [
        {
            "measure": row.measure, "group": row.group, "value": round(row.value, 3), "low": round(row.low, 3),
            "high": round(row.high, 3), "robot against itself": round(row.floor, 3), "unit": row.unit,
        }
        for row in rows
        if row.bridge == "none"
    ]  # fmt: skip
    return {
        "ok": True,
        "gap": [_finite(row) for row in shown],
        "groups": list(shared),
        "rows": {"human": len(human), "robot": len(robot)},
        "files": [str(out / name) for name in ("gap.json", "gap.md", "gap.html", "gap.png")],
        "message": f"{len(rows)} figures, with every bridge, in {out / 'gap.html'}",
    }


def _bad(root: Path) -> frozenset[int] | None:
    """Episodes that the robot cannot follow, None where the data set does not say."""
    summaries = open_dataset(root).feasibility
    if not summaries:
        return None
    return frozenset(i for i, summary in enumerate(summaries) if summary["verdict"] == Verdict.INFEASIBLE)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and value != value else value for key, value in row.items()}
