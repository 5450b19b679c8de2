"""The verb that publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
