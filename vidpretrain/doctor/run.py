"""The doctor's round."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from vidpretrain.doctor.assets import check_models, check_people, check_recordings, check_robots
from vidpretrain.doctor.graphics import check_graphics
from vidpretrain.doctor.machine import check_accelerator, check_disk, check_memory, check_versions
from vidpretrain.doctor.media import check_media
from vidpretrain.doctor.row import Row, guarded

CHECKS: dict[str, Callable[[], Iterable[Row]]] = {
    "versions": check_versions,
    "decoders": check_media,
    "rendering": check_graphics,
    "models": check_models,
    "people": check_people,
    "recordings": check_recordings,
    "robots": check_robots,
    "accelerator": check_accelerator,
    "memory": check_memory,
    "disk": check_disk,
}


def doctor(config: Any = None, inputs: tuple[str, ...] = ()) -> dict[str, Any]:
    """The rows of every check, `ok` when none failed, and a closing sentence with the next commands.

    Each row is {check, status, found, next}; status is ok, warn (works without it) or fail.
    """
    rows = [row for name, check in CHECKS.items() for row in guarded(name, check)]
    failed = [row for row in rows if row.status == "fail"]
    warned = sum(row.status == "warn" for row in rows)
    if failed:
        commands = list(dict.fromkeys(row.next for row in failed if row.next))
        message = f"{len(failed)} of {len(rows)} checks failed. Next: " + "; then ".join(commands)
    else:
        notes = f", {warned} with a remark" if warned else ""
        message = f"all {len(rows)} checks passed{notes}"
    return {"ok": not failed, "message": message, "checks": [asdict(row) for row in rows]}
