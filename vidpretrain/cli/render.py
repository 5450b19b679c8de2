"""A verb's result as text for people, or as one JSON object for programs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidpretrain.errors import VidpretrainError

_WIDEST = 100


def to_json(result: Mapping[str, Any]) -> str:
    """One JSON object on one line. NaN and infinities become null: JSON has no word for them."""
    return json.dumps(_plain(result), ensure_ascii=False, allow_nan=False)


def error_json(error: BaseException, exit_code: int) -> str:
    """An error as a JSON object with the single key `error`."""
    body: dict[str, Any] = {"kind": type(error).__name__, "message": str(error), "exit_code": exit_code}
    if isinstance(error, VidpretrainError):
        body["message"] = error.message
        for key in ("asked", "found", "valid", "next_command"):
            value = getattr(error, key)
            body[key] = None if value is None else str(value)
    return to_json({"error": body})


def to_text(result: Mapping[str, Any]) -> str:
    """Tables for lists of records, aligned pairs for the other values, then the message."""
    pairs, tables = [], []
    for key, value in result.items():
        if key in ("ok", "message"):
            continue
        value = _plain(value)
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            tables.append(_table(key, value))
        elif isinstance(value, dict):
            pairs.extend((f"{key}.{inner}", _cell(entry)) for inner, entry in value.items())
        else:
            pairs.append((key, _cell(value)))
    width = max((len(key) for key, _ in pairs), default=0)
    blocks = [*tables]
    if pairs:
        blocks.append("\n".join(f"{key:<{width}}  {value}".rstrip() for key, value in pairs))
    if result.get("message"):
        blocks.append(str(result["message"]))
    return "\n\n".join(blocks)


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    keep = [i for i in range(len(columns)) if any(line[i] for line in cells)]
    widths = [max(len(columns[i]), *(len(line[i]) for line in cells)) for i in keep]
    lines = [title]
    for line in [columns, *cells]:
        lines.append("  " + "  ".join(f"{line[i]:<{w}}" for i, w in zip(keep, widths, strict=True)).rstrip())
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        text = ", ".join(_cell(item) for item in value)
    elif isinstance(value, dict):
        text = ", ".join(f"{key}={_cell(item)}" for key, item in value.items())
    else:
        text = str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return _plain(value.tolist())
    return str(value)
