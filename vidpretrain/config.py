"""Strict YAML -> frozen dataclasses: unknown keys are errors with the nearest known key, values keep their types.

A configuration sits beside its owner as a frozen dataclass; this module only reads, overrides, dumps and digests.
Supported field types: bool, int, float, str, Path, Literal, Optional, tuple[X, ...], fixed tuples, dict[str, X],
dataclasses, and unions of dataclasses told apart by a `kind` field.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from vidpretrain.errors import ConfigError, nearest

C = TypeVar("C")


def load(kind: type[C], path: Path | str | None, overrides: Sequence[str] = ()) -> C:
    """Read a YAML file (or nothing) into `kind`, then apply dotted overrides such as `video.rate_hz=30`.

    Raises:
        ConfigError: the file is missing or no mapping, a key is unknown, or a value does not fit its type.
    """
    import yaml

    data: Any = {}
    if path is not None:
        path = Path(path)
        if not path.is_file():
            near = sorted(str(p) for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
            raise ConfigError("no such configuration file", asked=path, valid=", ".join(near) or None)
        try:
            data = yaml.safe_load(path.read_text()) or {}
        except yaml.YAMLError as error:
            raise ConfigError(f"not valid YAML: {error}", asked=path) from None
        if not isinstance(data, dict):
            raise ConfigError("a configuration is a mapping of keys", asked=path, found=type(data).__name__)
    for override in overrides:
        _apply(data, override)
    return build(kind, data)


def _apply(data: dict, override: str) -> None:
    import yaml

    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError("an override is KEY=VALUE", asked=override, valid="for example video.rate_hz=30")
    *parents, last = key.split(".")
    node = data
    for parent in parents:
        if not isinstance(node.get(parent), dict):
            node[parent] = {}
        node = node[parent]
    try:
        node[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"value is not valid YAML: {error}", asked=override) from None


def build(kind: type[C], data: dict[str, Any], where: str = "") -> C:
    """Make `kind` from plain data; see `load`."""
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    for key in data:
        if moved := getattr(kind, "MOVED", {}).get(key):
            raise ConfigError(f"'{where}{key}' has moved", asked=f"{where}{key}", valid=moved)
        if key not in known:
            raise ConfigError(
                f"unknown key '{where}{key}'{nearest(str(key), known)}", asked=f"{where}{key}", valid=", ".join(known)
            )
    values = {key: _value(hints[key], value, f"{where}{key}") for key, value in data.items()}
    missing = [
        f"{where}{name}"
        for name, field in known.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError("a required key is missing", asked=", ".join(missing), found=", ".join(data) or "nothing")
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(str(error), asked=where.rstrip(".") or kind.__name__) from None


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _union(args, value, where)
    if origin is Literal:
        if value not in args:
            raise _misfit(where, value, " | ".join(map(repr, args)), nearest(str(value), map(str, args)))
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise _misfit(where, value, "a mapping")
        return build(hint, value, f"{where}.")  # type: ignore[arg-type]
    if origin is tuple:
        return _tuple(args, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _misfit(where, value, "a mapping")
        return {str(k): _value(args[1], v, f"{where}.{k}") for k, v in value.items()}
    return _scalar(hint, value, where)


def _union(args: tuple, value: Any, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    options = [arg for arg in args if arg is not type(None)]
    classes = [arg for arg in options if dataclasses.is_dataclass(arg)]
    if isinstance(value, dict) and len(classes) > 1:
        kinds = {typing.get_type_hints(arg)["kind"].__args__[0]: arg for arg in classes}
        if value.get("kind") not in kinds:
            raise _misfit(f"{where}.kind", value.get("kind"), " | ".join(map(repr, kinds)))
        return build(kinds[value["kind"]], value, f"{where}.")  # type: ignore[arg-type]
    errors = []
    for option in options:
        try:
            return _value(option, value, where)
        except ConfigError as error:
            errors.append(error)
    raise errors[0]


def _tuple(args: tuple, value: Any, where: str) -> tuple:
    if isinstance(value, str) and args and args[0] in (str, Path):
        value = [value]  # one path where several may stand
    if not isinstance(value, list | tuple):
        raise _misfit(where, value, "a list")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_value(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(args):
        raise _misfit(where, value, f"{len(args)} items")
    return tuple(_value(arg, item, f"{where}[{i}]") for i, (arg, item) in enumerate(zip(args, value, strict=True)))


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as a string
        try:
            return float(value)
        except ValueError:
            raise _misfit(where, value, "a number") from None
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    raise _misfit(where, value, getattr(hint, "__name__", str(hint)))


def _misfit(where: str, value: Any, valid: str, hint: str = "") -> ConfigError:
    return ConfigError(f"'{where}' does not fit{hint}", found=repr(value), valid=valid)


def plain(value: Any) -> Any:
    """Dataclasses, tuples and paths as plain YAML and JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def dump(value: Any) -> str:
    """The configuration as YAML, complete: what `load` gives back unchanged."""
    import yaml

    return yaml.safe_dump(plain(value), sort_keys=False)


def digest(*values: Any) -> str:
    """Sixteen hex digits that change when any value does."""
    text = json.dumps([plain(value) for value in values], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
