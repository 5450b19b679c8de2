"""Pickles of numbers, read without running anything that is written in them.

A pickle is a program: the stock reader calls whatever it names. This one knows dicts, lists, tuples, numbers, strings
and NumPy arrays, in plain pickles and in joblib's (arrays beside the program, compressed or not). Arrays are rebuilt
here from their bytes; no class or function of the file's choosing is ever looked up, so nothing of NumPy or joblib is
called either. Everything else is refused by name before it could act.
"""

from __future__ import annotations

import gzip
import io
import math
import pickle
import re
import struct
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vidpretrain.errors import InputError

MAX_BYTES = 2_000_000_000
_KINDS = re.compile(r"[<>|=]?[?biufcSU]\d*\Z")
_ZLIB, _GZIP = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), b"\x1f\x8b"


class _Refused(pickle.UnpicklingError):
    """The pickle asks for something that is not an array."""


class _Dtype:
    """Stand-in for numpy.dtype: plain numbers and strings."""

    def __init__(self, code: str = "", *_: object) -> None:
        if code in ("O", "O8", "|O"):
            self.value = np.dtype(object)
        elif isinstance(code, str) and _KINDS.match(code):
            self.value = np.dtype(code)
        else:
            raise _Refused(f"an array of {code!r}")

    def build(self, state: Any) -> _Dtype:
        order = state[1]
        if order in ("<", ">") and self.value.kind not in "OSb":
            self.value = self.value.newbyteorder(order)
        return self


class _Array:
    """Stand-in for an array that numpy would rebuild: its state has shape, dtype, order and bytes."""

    def build(self, state: Any) -> np.ndarray:
        _, shape, dtype, fortran, raw = state
        return _from_bytes(raw, dtype, shape, "F" if fortran else "C")


class _Wrapper:
    """Stand-in for joblib's array: its state has shape, dtype and order, its bytes follow the instruction."""

    def read(self, state: Any, read: Any) -> np.ndarray:
        dtype, shape = state["dtype"], state["shape"]
        if not isinstance(dtype, _Dtype) or dtype.value.hasobject:
            raise _Refused("an array of objects")
        if state.get("numpy_array_alignment_bytes") is not None:
            read(read(1)[0])
        return _from_bytes(read(_count(shape) * dtype.value.itemsize), dtype, shape, state["order"])


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    return _from_bytes(raw, dtype, shape, order)


def _scalar(dtype: Any, raw: Any) -> Any:
    return _from_bytes(raw, dtype, (), "C")[()]


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"text in {encoding}")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""


class _NdArray:
    """What stands for the class numpy.ndarray where a pickle passes it as an argument."""


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NdArray,
    ("numpy", "dtype"): _Dtype,
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Wrapper,
    ("_codecs", "encode"): _encode,
    **{(module, "bytes"): _no_bytes for module in ("builtins", "__builtin__")},  # how old protocols write b""
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


def _count(shape: Any) -> int:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and 0 <= n <= MAX_BYTES for n in shape):
        raise _Refused(f"an array of shape {shape!r}")
    count = math.prod(shape)
    if count > MAX_BYTES:
        raise _Refused(f"an array of {count} entries")
    return count


def _from_bytes(raw: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if not isinstance(dtype, _Dtype) or order not in ("C", "F"):
        raise _Refused("an array without a dtype")
    count = _count(shape)
    if dtype.value.hasobject:
        if not isinstance(raw, list) or len(raw) != count:
            raise _Refused("an array of objects")
        flat = np.empty(count, dtype=object)
        for i, item in enumerate(raw):
            flat[i] = item
        return flat.reshape(shape, order=order)
    if isinstance(raw, str):
        raw = raw.encode("latin-1")
    if not isinstance(raw, bytes | bytearray) or len(raw) != count * dtype.value.itemsize:
        raise _Refused("an array whose bytes are cut short")
    return np.frombuffer(bytes(raw), dtype=dtype.value).reshape(shape, order=order).copy()


class _Reader(pickle._Unpickler):
    """The unpickler in Python: joblib's arrays lie between its instructions, so it must not read ahead."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="latin1")
        self._left = file

    def find_class(self, module: str, name: str) -> Any:
        found = _KNOWN.get((module, name))
        if found is None:
            raise _Refused(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("an object outside the file")

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Wrapper):
            self.stack[-1] = target.read(state, self._left.read)
        elif isinstance(target, _Array | _Dtype):
            self.stack[-1] = target.build(state)
        else:
            raise _Refused(f"an object with a state ({type(target).__name__})")
        self._remember(target, self.stack[-1])

    def _remember(self, old: object, new: object) -> None:
        """Later references by number must find the array, not its stand-in."""
        if old is not new:
            for key, value in self.memo.items():
                if value is old:
                    self.memo[key] = new
                    return

    def load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        raw = self.read(size) if size <= MAX_BYTES else b""
        if len(raw) != size:
            raise _Refused("more bytes than the file has")
        self.append(raw)

    def load_refused(self) -> None:
        raise _Refused("an instruction that data of numbers does not need")

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8  # pyright: ignore[reportArgumentType]
    dispatch[pickle.BUILD[0]] = load_build  # pyright: ignore[reportArgumentType]
    for _code in (pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.EXT1, pickle.EXT2, pickle.EXT4):
        dispatch[_code[0]] = load_refused  # pyright: ignore[reportArgumentType]
    del _code


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", asked=path) from None
    if size > MAX_BYTES:
        raise InputError("the file is too large for a motion", asked=path, found=f"{size} bytes", valid=MAX_BYTES)
    if raw[:2] in _ZLIB:
        out = zlib.decompressobj().decompress(raw, MAX_BYTES)
    elif raw[:2] == _GZIP:
        with gzip.open(io.BytesIO(raw)) as file:
            out = file.read(MAX_BYTES)
    else:
        return raw
    return out


def load_pickle(path: Path | str) -> Any:
    """What the pickle holds: dicts, lists, tuples, numbers, strings and arrays; no code of the file is run.

    Raises:
        InputError: the file cannot be read, is broken or cut short, or asks for any class or function that is not an
            array's (the error names it).
    """
    path = Path(path)
    raw = None
    try:
        raw = _bytes(path)
        return _Reader(io.BytesIO(raw)).load()
    except _Refused as error:
        raise InputError(
            f"the pickle holds more than numbers and was not opened: it asks for {error}",
            asked=path,
            valid="dicts, lists, numbers, strings and NumPy arrays",
            next_command="save the arrays with numpy.savez and give the .npz",
        ) from None
    # a broken program may fail in any of its instructions
    except (pickle.UnpicklingError, EOFError, zlib.error, gzip.BadGzipFile, MemoryError, *_BROKEN) as error:
        detail = str(error) or type(error).__name__
        raise InputError(f"the pickle is broken or cut short: {detail}", asked=path) from None


_BROKEN = (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError, UnicodeError,
           struct.error)  # fmt: skip
