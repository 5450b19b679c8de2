"""Results of stages on disk, keyed by what they were made from. Work done is never redone, and nothing is lost.

A result's key is a digest of the stage, its input, its configuration and the source code of the rooms that made it.
`Reject`s are results too: a rejected item is remembered with its reason and not tried again until something changes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import vidpretrain
from vidpretrain.config import digest
from vidpretrain.errors import InputError
from vidpretrain.pipeline import serialize

_PACKAGE = Path(vidpretrain.__file__).parent
_VOCABULARY = ("types", "geometry.py", "timebase.py", "skeletons.py")


@cache
def room_digest(*rooms: str) -> str:
    """Sixteen hex digits of the source code of these rooms (and of the vocabulary below them)."""
    sha = hashlib.sha256()
    for room in (*_VOCABULARY, *rooms):
        path = _PACKAGE / room
        files = sorted(path.rglob("*")) if path.is_dir() else [path if path.suffix else path.with_suffix(".py")]
        for file in files:
            if file.suffix in (".py", ".yaml"):
                sha.update(file.relative_to(_PACKAGE).as_posix().encode())
                sha.update(file.read_bytes())
    return sha.hexdigest()[:16]


@dataclass(frozen=True)
class Store:
    """A folder of results. `recomputed` and `reused` count what this object did."""

    root: Path
    recomputed: Counter[str] = field(default_factory=Counter)
    reused: Counter[str] = field(default_factory=Counter)

    def key(self, stage: str, *parts: Any, rooms: tuple[str, ...]) -> str:
        """Digest of everything that the result of `stage` depends on."""
        return digest(stage, list(parts), room_digest(*rooms))

    def path(self, stage: str, key: str) -> Path:
        """Where a result lies."""
        return self.root / stage / f"{key}.npz"

    def get(self, stage: str, key: str) -> Any | None:
        """A finished result, or None. A damaged file is removed and counts as not there."""
        path = self.path(stage, key)
        if not path.is_file():
            return None
        try:
            value = serialize.load(path)
        except InputError:
            path.unlink(missing_ok=True)
            return None
        self.reused[stage] += 1
        return value

    def put(self, stage: str, key: str, value: Any) -> None:
        """Keep a result."""
        serialize.save(self.path(stage, key), value)
        self.recomputed[stage] += 1
