"""Files that are whole or absent, and a full disk as one clear error."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidpretrain.errors import DatasetError, DiskFull


@contextmanager
def disk_guard(path: Path) -> Iterator[None]:
    """Turn "no space left" from the system, pyarrow or FFmpeg into a DiskFull that names `path`."""
    try:
        yield
    except (OSError, DiskFull) as error:
        numbers = (errno.ENOSPC, errno.EDQUOT)
        if isinstance(error, DiskFull) or error.errno in numbers or "No space left" in str(error):
            raise DiskFull(
                "no space left on the device; nothing half-written is taken for whole",
                asked=path,
                found=f"{_free_bytes(path) / 1e6:.0f} MB free",
                next_command=f"df -h {_existing(path)}",
            ) from error
        raise


def require_space(path: Path, needed_bytes: int) -> None:
    """Raise DiskFull before anything is written when `needed_bytes` do not fit."""
    free = _free_bytes(path)
    if free < needed_bytes:
        raise DiskFull(
            "not enough space left on the device; nothing was written",
            asked=f"{path}, {needed_bytes / 1e6:.0f} MB",
            found=f"{free / 1e6:.0f} MB free",
            next_command=f"df -h {_existing(path)}",
        )


def _existing(path: Path) -> Path:
    path = Path(path).absolute()
    while not path.exists():
        path = path.parent
    return path


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(_existing(path)).free


def write_json(path: Path, data: Any, *, allow_nan: bool = False) -> None:
    """Write JSON aside, flush and rename.

    Raises:
        DiskFull: no space left; what was there before stays.
        ValueError: a number is not finite, which JSON cannot say; `allow_nan` writes NaN for Python to read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    with disk_guard(path), open(aside, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2, ensure_ascii=False, allow_nan=allow_nan)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def read_json(path: Path) -> Any:
    """The file's data.

    Raises:
        DatasetError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError("a file of the data set is missing", asked=path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"not valid JSON: {error}", asked=path) from None


def move_into_place(aside: Path, target: Path, overwrite: bool) -> None:
    """Rename a finished folder onto `target`; an older one there goes only after the new one is in its place."""
    old = target.with_name(f".{target.name}.old")
    if target.exists() and overwrite:
        shutil.rmtree(old, ignore_errors=True)
        os.replace(target, old)
    os.replace(aside, target)
    shutil.rmtree(old, ignore_errors=True)


def folder_digest(root: Path, contents: tuple[str, ...]) -> str:
    """Sixteen hex digits over every file's relative path and size, and the text of the small files `contents`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
    for name in contents:
        if (root / name).is_file():
            digest.update((root / name).read_bytes())
    return digest.hexdigest()[:16]
