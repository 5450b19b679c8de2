"""Numba's cache on disk, kept in step with the sources.

Numba looks at the file of a compiled function alone: where a function that it calls, from another module, has changed,
the old machine code goes on running. So the caches are dropped whenever any compiled source of the package changes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_STAMP = "compiled.sources"


def drop_stale_caches(root: Path | None = None) -> bool:
    """Remove the cached machine code under `root` (the package) if a source with compiled functions has changed.

    A folder that cannot be written has no cache in it (Numba then keeps one per user, by path): nothing is done there.

    Returns:
        Whether the caches were dropped.
    """
    root = Path(__file__).parent if root is None else root
    state = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        text = path.read_bytes()
        if b"njit" in text:
            state.update(str(path.relative_to(root)).encode() + b"\0" + text + b"\0")
    digest, stamp = state.hexdigest(), root / "__pycache__" / _STAMP
    try:
        if stamp.is_file() and stamp.read_text() == digest:
            return False
        for old in root.rglob("__pycache__/*.nb[ic]"):
            old.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        aside = stamp.with_name(f"{_STAMP}.{os.getpid()}.tmp")
        aside.write_text(digest)
        os.replace(aside, stamp)
    except OSError:
        return False
    return True
