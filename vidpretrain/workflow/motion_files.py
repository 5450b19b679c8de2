"""`retarget` on files of motion instead of a run: BVH, SMPL joints and hand tracks onto a robot, as files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from vidpretrain.errors import InputError
from vidpretrain.motion_files import MOTION_SUFFIXES, read_motion, write_motion
from vidpretrain.types import Reject
from vidpretrain.workflow.config import RunConfig

_OUT = {"npz": ".npz", "gmr": ".pkl", "csv": ".csv"}


def are_motion_files(inputs: tuple[str, ...]) -> bool:
    """Whether all inputs are files of motion, by their names."""
    return bool(inputs) and all(Path(word).suffix.lower() in MOTION_SUFFIXES for word in inputs)


def retarget_files(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """The robot's motion of every file as OUT/motions/ROBOT/NAME.npz, .pkl (GMR's) and .csv; bad ones are counted."""
    from vidpretrain.retarget import retarget
    from vidpretrain.robot import load_robot

    robot = load_robot(config.robot)
    folder = config.out / "motions" / robot.name
    rows = []
    names = Counter(Path(word).stem for word in inputs)
    for word in inputs:
        row: dict[str, Any] = {"file": word, "frames": 0, "feasible": None, "reason": None, "detail": None}
        rows.append(row)
        try:
            motion = read_motion(word, config.motion_files)
        except InputError as error:
            row |= {"reason": "unreadable", "detail": str(error)}
            continue
        result = retarget(motion, robot, config.retarget)
        if isinstance(result, Reject):
            row |= {"reason": str(result.reason), "detail": result.detail}
            continue
        row |= {"frames": len(result.time_ns), "feasible": round(float(result.feasible.mean()), 4)}
        path = Path(word)
        name = path.stem if names[path.stem] == 1 else f"{path.resolve().parent.name}_{path.stem}"
        for kind, suffix in _OUT.items():
            write_motion(folder / f"{name}{suffix}", result, robot, kind)  # type: ignore[arg-type]
    good = sum(row["reason"] is None for row in rows)
    message = f"retarget to {robot.name}: in {len(rows)} = accepted {good} + rejected {len(rows) - good}; {folder}"
    reasons = dict(Counter(row["reason"] for row in rows if row["reason"]))
    return {
        "ok": good > 0, "motions": rows, "in": len(rows), "accepted": good, "rejected": len(rows) - good,
        "reasons": reasons, "message": message,
    }  # fmt: skip
