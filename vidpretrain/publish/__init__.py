"""Checkpoints and data sets made ready for the Hub: card, licences, files; to the Hub or to a folder laid out the same.

Door: `PublishConfig`, `plan`, `publish`, `Publication`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.publish.config import PublishConfig

if TYPE_CHECKING:
    from vidpretrain.publish.publication import Publication, plan
    from vidpretrain.publish.upload import publish

__all__ = ["PublishConfig", "Publication", "plan", "publish"]


def __getattr__(name: str) -> Any:
    if name in ("Publication", "plan"):
        from vidpretrain.publish import publication

        return getattr(publication, name)
    if name == "publish":
        from vidpretrain.publish.upload import publish

        return publish
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
