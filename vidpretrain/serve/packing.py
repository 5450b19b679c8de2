"""Messages: msgpack with NumPy arrays, as openpi's client packs them. Nothing in a message is ever executed.

An array is a map {b"__ndarray__": true, b"data": bytes, b"dtype": ".str", b"shape": [...]}, a NumPy scalar
{b"__npgeneric__": true, b"data": number, b"dtype": ".str"}. Types other than bool, integer, float and text are refused
on both ways.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vidpretrain.errors import InputError

_KINDS = "biufUS"


def pack(value: Any) -> bytes:
    """The message of a tree of dicts, lists, numbers, text and arrays.

    Raises:
        InputError: something in it that has no place in a message.
    """
    import msgpack

    try:
        message: Any = msgpack.packb(value, default=_wrapped)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"this cannot be sent: {error}") from None
    return message


def unpack(message: bytes) -> Any:
    """The tree in a message, its arrays read-only views of the message.

    Raises:
        InputError: no msgpack, or an array whose type, shape and bytes do not fit together.
    """
    import msgpack

    try:
        return msgpack.unpackb(message, object_hook=_unwrapped, strict_map_key=False)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, msgpack.exceptions.UnpackException, RecursionError) as error:
        what = f"{type(error).__name__}: {error}".strip(": ")
        raise InputError(f"the message is not msgpack ({what})", found=f"{len(message)} bytes") from None


def _wrapped(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in _KINDS:
            raise TypeError(f"arrays of {value.dtype}")
        if isinstance(value, np.ndarray):
            whole = np.ascontiguousarray(value)
            return {b"__ndarray__": True, b"data": whole.tobytes(), b"dtype": whole.dtype.str, b"shape": value.shape}
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    raise TypeError(f"a {type(value).__name__}")


def _unwrapped(value: dict) -> Any:
    if b"__ndarray__" in value:
        kind, shape, data = _dtype(value), value.get(b"shape"), value.get(b"data")
        whole = isinstance(shape, list | tuple) and all(isinstance(n, int) and n >= 0 for n in shape)
        if not whole or not isinstance(data, bytes) or len(data) != math.prod(shape) * kind.itemsize:  # type: ignore[arg-type]
            size = len(data) if isinstance(data, bytes) else "no"
            raise InputError(f"an array of {kind} {shape} in {size} bytes")
        return np.frombuffer(data, dtype=kind).reshape(shape) if data else np.empty(shape, kind)  # type: ignore[arg-type]
    if b"__npgeneric__" in value:
        return _dtype(value).type(value.get(b"data"))
    return value


def _dtype(value: dict) -> np.dtype:
    try:
        kind = np.dtype(value[b"dtype"])
    except (KeyError, TypeError, ValueError):
        raise InputError("an array without a known dtype", found=value.get(b"dtype")) from None
    if kind.kind not in _KINDS or kind.itemsize == 0:
        raise InputError("an array of a type that is not taken", found=kind, valid="bool, integers, floats, text")
    return kind
