"""Small files of a run, written aside and renamed."""

from __future__ import annotations

import os
from pathlib import Path

from vidpretrain.errors import DiskFull


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all.

    Raises:
        DiskFull: there is no space.
    """
    aside = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DiskFull.of(error, path) from error
