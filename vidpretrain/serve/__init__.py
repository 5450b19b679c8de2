"""A policy behind a websocket: the protocol of openpi's client, several robots at a time, nothing that can hang it.

Door: `ServeConfig`, `PolicyServer`, `serve`. Layout of messages: docs/serving.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.serve.config import ServeConfig

if TYPE_CHECKING:
    from vidpretrain.serve.server import PolicyServer, serve

__all__ = ["ServeConfig", "PolicyServer", "serve"]


def __getattr__(name: str) -> Any:
    if name in ("PolicyServer", "serve"):
        from vidpretrain.serve import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
