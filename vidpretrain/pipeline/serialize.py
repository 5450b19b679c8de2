"""Data objects to and from one `.npz` file: arrays as they are, the rest as a JSON header. Nothing is pickled.

A file is written aside, flushed and renamed, so that a file under its final name is a whole one.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import types
from vidpretrain.errors import DiskFull, InputError

_HEADER = "header.json"
_ELSEWHERE = {
    "VideoInfo": "vidpretrain.video:VideoInfo",
    **{name: f"vidpretrain.camera:{name}" for name in ("Background", "CameraPath", "Trajectory")},
    **{name: f"vidpretrain.feasibility:{name}" for name in ("Feasibility", "Finding", "Flaw", "Verdict")},
}


def _class(name: str) -> type:
    if name in _ELSEWHERE:
        module, _, attribute = _ELSEWHERE[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    kind = getattr(types, name, None)
    if kind is None or not (dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum)):
        raise InputError("stored object of an unknown type", found=name)
    return kind  # type: ignore[return-value]


def _encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {"$array": key}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _encode(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
        return {"$type": type(value).__name__, "fields": fields}
    if isinstance(value, enum.Enum):
        return {"$enum": type(value).__name__, "value": value.value}
    if isinstance(value, tuple):
        return {"$tuple": [_encode(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_encode(item, arrays) for item in value]
    if isinstance(value, dict):
        return {"$dict": [[key, _encode(item, arrays)] for key, item in value.items()]}
    if isinstance(value, Path):
        return {"$path": str(value)}
    if isinstance(value, np.generic):
        return value.item()
    return value


def _decode(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return arrays[value["$array"]]
    if "$type" in value:
        return _class(value["$type"])(**{k: _decode(v, arrays) for k, v in value["fields"].items()})
    if "$enum" in value:
        return _class(value["$enum"])(value["value"])
    if "$tuple" in value:
        return tuple(_decode(item, arrays) for item in value["$tuple"])
    if "$path" in value:
        return Path(value["$path"])
    return {key: _decode(item, arrays) for key, item in value["$dict"]}


def save(path: Path, value: Any) -> None:
    """Write a data object (or a tuple, list or dict of them) so that `load` gives back an equal one.

    Raises:
        DiskFull: there is no space; nothing is left behind.
    """
    arrays: dict[str, np.ndarray] = {}
    header = json.dumps(_encode(value, arrays))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as file:
            np.savez(file, allow_pickle=False, **{_HEADER: np.frombuffer(header.encode(), dtype=np.uint8)}, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DiskFull.of(error, path) from error


def load(path: Path) -> Any:
    """The object that `save` wrote.

    Raises:
        InputError: the file is damaged or holds an unknown type.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _decode(json.loads(arrays[_HEADER].tobytes()), arrays)
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
        raise InputError(f"damaged file: {error}", asked=path, next_command=f"rm {path}  # it is made again") from None
