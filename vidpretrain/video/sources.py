"""Which files are videos, and what is known about them: licence, attribution, camera.

A `manifest.tsv` beside a video has a header line and one row per file (column `name`); a `NAME.json` beside it wins
over the manifest. Both may hold license (or licence), attribution, consent, repo, commit, path and instruction (or
what: what happens in the video), mirrored (true for a mirror image) and turn_deg (the counter-clockwise turn that makes
the picture upright, where the container does not know it); the JSON file also intrinsics: `K` (3 by 3, pixels of the
upright, unmirrored picture) or fx, fy, cx, cy, and `distortion` (OpenCV order).
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from vidpretrain.errors import InputError
from vidpretrain.types import Frozen, Source

EXTENSIONS = frozenset(
    f".{name}"
    for name in ("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "wmv", "flv", "ts", "mts", "m2ts", "3gp")
)


@dataclass(frozen=True, kw_only=True)
class Intrinsics(Frozen):
    """A pinhole camera that a sidecar file tells of: K in pixels of the upright picture, OpenCV distortion."""

    K: Float64[np.ndarray, "3 3"]
    distortion: Float64[np.ndarray, " n"]


def find_sources(paths: Iterable[Path | str], license: str = "unknown") -> tuple[Source, ...]:
    """The videos among files and folders, sorted by path within a folder, each file once.

    A file that is named is taken whatever its extension; in folders (searched recursively, hidden files left out) the
    extension decides. `uri` is the local path. `sha256` is empty where a file cannot be read. Files of one name with
    equal bytes are one source.

    Raises:
        InputError: a path does not exist, or a folder holds no video.
    """
    found: dict[str, Source] = {}
    for path in map(Path, paths):
        for file in _files(path):
            source = _source(file, license)
            found.setdefault(source.source_id, source)
    return tuple(found.values())


def source_id(path: Path | str, sha256: str) -> str:
    """The name of a source: the file's stem and eight digits of its hash, so that moving a file does not rename it."""
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(path).stem)
    return f"{stem}_{sha256[:8] or 'unread'}"


def file_sha256(path: Path | str) -> str:
    """Hexadecimal SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_intrinsics(path: Path | str) -> Intrinsics | None:
    """The camera that the sidecar `NAME.json` of a video tells of, or None.

    Raises:
        InputError: the sidecar is there and wrong.
    """
    path = Path(path)
    facts = read_sidecar(path)
    try:
        if "K" in facts:
            K = np.array(facts["K"], dtype=float).reshape(3, 3)
        elif "fx" in facts:
            fx = float(facts["fx"])
            K = np.array([[fx, 0, float(facts["cx"])], [0, float(facts.get("fy", fx)), float(facts["cy"])], [0, 0, 1]])
        else:
            return None
        distortion = np.array(facts.get("distortion", []), dtype=float).reshape(-1)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"intrinsics do not fit: {error!r}",
            asked=path.with_suffix(".json"),
            valid="K (3 by 3) or fx, fy, cx, cy; distortion (a list)",
        ) from None
    if not (np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0):
        raise InputError("focal lengths are positive numbers", asked=path.with_suffix(".json"), found=K.tolist())
    return Intrinsics(K=K, distortion=distortion)


def read_sidecar(path: Path | str) -> dict[str, Any]:
    """What `NAME.json` beside a video says, by key; empty without one.

    Raises:
        InputError: it is no JSON object.
    """
    path = Path(path)
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file() or sidecar == path:
        return {}
    try:
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"not valid JSON: {error}", asked=sidecar) from None
    if not isinstance(facts, dict):
        raise InputError("a sidecar is an object of keys", asked=sidecar, found=type(facts).__name__)
    return facts


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        parent = path.parent
        near = sorted(p.name for p in parent.iterdir())[:10] if parent.is_dir() else f"(no folder {parent} either)"
        raise InputError("no such file or folder", asked=path, found=near, next_command=f"ls {parent}")
    files = sorted(
        p
        for p in path.rglob("*")
        if p.suffix.lower() in EXTENSIONS
        and p.is_file()
        and not any(part.startswith(".") for part in p.relative_to(path).parts)
    )
    if not files:
        raise InputError("no video in this folder", asked=path, valid=" ".join(sorted(EXTENSIONS)))
    return files


def _source(path: Path, license: str) -> Source:
    try:
        sha256 = file_sha256(path)
    except OSError:  # `probe` says why, as a Reject
        sha256 = ""
    facts = facts_of(path)
    origin = "/".join(str(facts[key]) for key in ("repo", "commit", "path") if facts.get(key))
    return Source(
        source_id=source_id(path, sha256),
        uri=str(path),
        sha256=sha256,
        license=str(facts.get("license") or facts.get("licence") or license),
        attribution=str(facts.get("attribution") or origin),
        consent=str(facts.get("consent") or "unknown"),
        instruction=str(facts.get("instruction") or facts.get("what") or ""),
    )


def facts_of(path: Path | str) -> dict[str, Any]:
    """What manifest and sidecar say of a file, the sidecar's word last.

    Raises:
        InputError: one of them is there and cannot be read.
    """
    path = Path(path)
    return {**_manifest_row(path), **read_sidecar(path)}


def _manifest_row(path: Path) -> dict[str, Any]:
    manifest = path.parent / "manifest.tsv"
    if not manifest.is_file():
        return {}
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if row.get("name") == path.name:
                    return {key: value for key, value in row.items() if key}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"not a table of tab-separated columns: {error}", asked=manifest) from None
    return {}
