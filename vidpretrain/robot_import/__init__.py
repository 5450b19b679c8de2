"""A robot that nobody has described: its model file becomes a robot file and a page that shows what was understood.

Door: `add_robot(model, out) -> Added`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidpretrain.robot_import.add import Added

__all__ = ["add_robot"]


def add_robot(model: str | Path, out: str | Path | None = None, *, draw: bool = True) -> Added:
    """What `vidpretrain robots add` makes of a model file; see `robot_import.add.add_robot`."""
    from vidpretrain.robot_import.add import add_robot as add

    return add(model, out, draw=draw)
