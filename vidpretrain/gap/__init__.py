"""The gap between human and robot data as numbers, before and after each bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.gap.config import GapConfig

if TYPE_CHECKING:
    from vidpretrain.gap.table import GapRow, gap_table

__all__ = ["GapConfig", "GapRow", "gap_table"]


def __getattr__(name: str) -> Any:
    if name in ("GapRow", "gap_table"):
        from vidpretrain.gap import table

        return getattr(table, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
