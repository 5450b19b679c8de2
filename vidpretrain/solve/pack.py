"""A tuple of arrays behind one address, for kernels that are called frame by frame (numba extension).

Compiled code takes a named tuple of arrays by value: seven words an array at every call, hundreds for a solve, which
for one frame of a hand costs more than the arithmetic. A `Pack` hands over the address of a table instead, in which an
array is its own address and its shape; attributes have the tuple's names, so the same source runs on either.

Kernels that live on packs count no references (`_nrt=False`): the arrays outlive every call. Such a kernel cannot
allocate, and a callee compiled first from one could not either, so what whole clips use too is compiled anew.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import typing
from numba.core.datamodel import models
from numba.core.dispatcher import Dispatcher
from numba.extending import NativeValue, infer_getattr, lower_getattr_generic, register_model, typeof_impl, unbox
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype

_WORD = ir.IntType(64)
_OF_SPACE = {
    "R_up": 2, "p_up": 1, "R_site": 2, "p_site": 1, "R": 2, "p": 1, "S": 2, "P": 1, "J": 1, "C": 1, "r": 1, "d": 1,
    "work": 2, "target": 1, "turn": 2, "vectors": 1, "Rb": 2, "pb": 1, "R1": 2, "p1": 1, "R0": 2, "p0": 1,
    "R_zero": 2, "p_zero": 1, "axis": 1, "turned": 1,
}  # fmt: skip
"""Fields whose last axes have length 3 whatever the problem: their strides are constants."""


def _sources() -> str:
    """A stamp of the files that are compiled into a step: the cache on disk watches the caller's own file alone."""
    here = Path(__file__).parent
    rooms = (here, here.parent / "kinematics", here.parent / "collision")
    files = [file for room in rooms for file in sorted(room.glob("*.py"))]
    return format(zlib.crc32(b"".join(file.read_bytes() for file in files)), "08x")


_STAMP = _sources()


class PackType(types.Type):
    """Numba's type of a pack: names and types of its fields."""

    def __init__(self, fields: tuple[tuple[str, types.Type], ...], of_space: dict[str, int]) -> None:
        self.fields, self.kinds, self.places, self.of_space = fields, dict(fields), {}, of_space
        at = 0
        for name, kind in fields:
            self.places[name] = at
            at += 1 if isinstance(kind, PackType) else 1 + kind.ndim
        words = (f"{name}: {kind} {of_space.get(name, 0)}" for name, kind in fields)
        super().__init__(name=f"Pack {_STAMP} ({', '.join(words)})")


class Pack:
    """A named tuple of C-contiguous arrays, and of such tuples, as a table of addresses; it keeps the arrays alive.

    Compiled code sees the arrays as they were when the pack was made: write into them, do not replace them.
    """

    def __init__(self, values: Any) -> None:
        self._kept: list[Any] = []
        fields, words, of_space = [], [], {}
        for name, value in zip(values._fields, values, strict=True):
            if isinstance(value, np.ndarray):
                if not (value.flags.c_contiguous and value.flags.writeable):
                    value = np.array(value, order="C")
                kind = types.Array(from_dtype(value.dtype), value.ndim, "C")
                words += [value.ctypes.data, *value.shape]
                last = _OF_SPACE.get(name, 0)
                if last and value.shape[-last:] == (3,) * last:
                    of_space[name] = last
            else:
                value = Pack(value)
                kind = value._numba_type_
                words.append(value.address)
            fields.append((name, kind))
            self._kept.append(value)
        self._table = np.array(words, dtype=np.int64)
        self.address = int(self._table.ctypes.data)
        self._numba_type_ = PackType(tuple(fields), of_space)


@typeof_impl.register(Pack)
def _typeof(value, _context):
    return value._numba_type_


@register_model(PackType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, _WORD)


@unbox(PackType)
def _unbox(_kind, obj, c):
    address = c.pyapi.object_getattr_string(obj, "address")
    value = c.pyapi.long_as_longlong(address)
    c.pyapi.decref(address)
    return NativeValue(value, is_error=c.pyapi.c_api_error())


@infer_getattr
class _Attribute(typing.templates.AttributeTemplate):
    key = PackType

    def generic_resolve(self, kind, name):
        return kind.kinds.get(name)


@lower_getattr_generic(PackType)
def _attribute(context, builder, kind, value, name):
    table = builder.inttoptr(value, _WORD.as_pointer())
    field, place = kind.kinds[name], kind.places[name]

    def word(k: int):
        return builder.load(builder.gep(table, [ir.Constant(_WORD, place + k)]))

    if isinstance(field, PackType):
        return word(0)
    array = make_array(field)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(field.dtype))
    free = field.ndim - kind.of_space.get(name, 0)
    shape = [word(1 + k) if k < free else ir.Constant(_WORD, 3) for k in range(field.ndim)]
    strides, step = [], ir.Constant(_WORD, size)
    for k in reversed(range(field.ndim)):
        strides.insert(0, step)
        step = ir.Constant(_WORD, step.constant * 3) if k >= free else builder.mul(step, shape[k])
    populate_array(
        array,
        data=builder.inttoptr(word(0), array.data.type),
        shape=shape,
        strides=strides,
        itemsize=ir.Constant(_WORD, size),
        meminfo=None,
    )
    return array._getvalue()


_ALLOCATES = {"empty", "zeros", "ones", "array", "copy", "arange"}
kernel: Any = njit(_nrt=False, error_model="numpy")  # type: ignore[call-overload]
entry: Any = njit(cache=True, _nrt=False, error_model="numpy")  # type: ignore[call-overload]
inline: Any = njit(forceinline=True, _nrt=False, error_model="numpy")  # type: ignore[call-overload]
allocating: Any = njit(_nrt=True, error_model="numpy")  # type: ignore[call-overload]


def inlined(dispatcher: Any) -> Any:
    """The same function compiled into its callers, with what it calls; one that allocates is called instead."""
    function = dispatcher.py_func
    if _ALLOCATES & set(function.__code__.co_names):
        return allocating(function)
    called = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    parts = {name: inlined(part) for name, part in called.items() if isinstance(part, Dispatcher)}
    return inline(FunctionType(function.__code__, function.__globals__ | parts, function.__name__))
