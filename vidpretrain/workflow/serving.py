"""The verb that puts a policy on a port."""

from __future__ import annotations

from typing import Any

from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.learn import checkpoint_of


def serve(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Serve the named checkpoint (or the run's) until it is interrupted; what was answered and refused."""
    from vidpretrain.serve import serve as listen

    metrics = listen(checkpoint_of(config, inputs), config.serve, config.control)
    found = metrics.summary()
    return {"ok": True, **found, "message": f"served: {found['answered']} answers, refused {found['refused'] or 0}"}
