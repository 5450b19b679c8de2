"""A policy as a file that needs none of this package: torch.export or ONNX, with normaliser and flow sampler inside.

Door: `ExportConfig`, `export`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.export.config import ExportConfig

if TYPE_CHECKING:
    from vidpretrain.export.write import export

__all__ = ["ExportConfig", "export"]


def __getattr__(name: str) -> Any:
    if name == "export":
        from vidpretrain.export.write import export

        return export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
