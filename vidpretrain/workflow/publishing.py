"""The verbs that give a policy away: export, publish."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from vidpretrain.config import build
from vidpretrain.export.config import ExportConfig
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.learn import checkpoint_of


def publish(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Publish the named checkpoint or data set (or the run's policy); without a target: what would be published."""
    from vidpretrain.publish import publish as write

    root = Path(inputs[0]) if inputs else checkpoint_of(config, ())
    result = write(root, config.publish)
    size = f"{len(result['files'])} files, {result['bytes'] / 1e6:.1f} MB"
    if result["written"]:
        words = f"published: {size}: {result['url']}"
    else:
        words = f"would publish {size}" + (
            f", but {len(result['refused'])} sources forbid it" * bool(result["refused"])
        )
    files = [{"file": name} for name in result["files"]]
    return {"ok": not result["refused"], **result, "files": files, "message": words}


def export(
    config: RunConfig, inputs: tuple[str, ...], format: str | None = None, out: str | None = None
) -> dict[str, Any]:
    """A checkpoint as files that need none of this package, each asked the same questions as torch before it is kept.

    Args:
        format: torch_export, onnx, or both with a comma between. out: the folder.
    """
    from vidpretrain.export import export as write

    settings = config.export
    if format is not None:
        told = {**dataclasses.asdict(settings), "formats": [name.strip() for name in format.split(",") if name.strip()]}
        settings = build(ExportConfig, told, "export.")
    folder = Path(out) if out is not None else settings.folder or config.out / "export"
    result = write(checkpoint_of(config, inputs), folder, settings)
    files = [
        {
            "format": name,
            "file": str(folder / told["file"]),
            "megabytes": round(told["bytes"] / 1e6, 2),
            "samples": told["check"]["samples"],
            "max_abs_difference": told["check"]["max_abs_difference"],
        }
        for name, told in result["files"].items()
    ]
    worst = max(one["max_abs_difference"] for one in files)
    return {
        "ok": True,
        "folder": str(folder),
        "embodiment": result["embodiment"],
        "steps": result["steps"],
        "files": files,
        "message": f"export: {folder}, at most {worst:.2g} from torch over {settings.samples} questions",
    }
