"""The verb synth: rendered people with exact truth, in a folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from vidpretrain.errors import UsageError
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.progress import Bars


def synth(config: RunConfig, inputs: tuple[str, ...], *, out: str | None = None) -> dict[str, Any]:
    """Render the clips of `config.synth` into a folder; what is there is kept. A row per group, failures by name.

    Raises:
        UsageError: paths were given.
        MissingAsset: no off-screen OpenGL works here.
        InputError: motion files are asked for and there are none.
    """
    if inputs:
        raise UsageError("synth takes no inputs", asked=" ".join(inputs), valid="--out FOLDER synth.KEY=VALUE")
    from vidpretrain.synth import synthesize

    folder = Path(out) if out is not None else config.out / "synth"
    with Bars() as bars:
        found = synthesize(config.synth, folder, lambda done, total: bars("synth", done, total))
    count = Counter(row["group"] for row in found.rows)
    groups = [
        {
            "group": group,
            "clips": number,
            "frames": sum(row["frames"] for row in found.rows if row["group"] == group),
            "hand_points_seen": round(_mean(row["hands_seen"] for row in found.rows if row["group"] == group), 3),
        }
        for group, number in count.items()
    ]
    result: dict[str, Any] = {
        "ok": not found.failed,
        "folder": str(folder),
        "split": config.synth.split,
        "groups": groups,
        "clips": len(found.rows),
        "made": found.made,
        "failed": [{"clip": name, "why": why} for name, why in found.failed.items()],
        "seconds": round(found.seconds, 1),
        "workers": found.workers,
        "clips_per_min": round(found.clips_per_min, 1) if found.made else None,
    }
    speed = f" {result['clips_per_min']} clips per minute on {found.workers} workers." if found.made else ""
    kept = len(found.rows) - found.made
    result["message"] = (
        f"{found.made} clips made, {kept} were there, {len(found.failed)} failed.{speed} Truth is beside each video."
    )
    return result


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)
