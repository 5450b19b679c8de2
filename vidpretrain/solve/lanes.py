"""Eight float64 numbers as one value of compiled code: frames side by side in a vector register.

Loops over frames that the compiler cannot prove independent stay scalar. A type of its own, with the arithmetic that
the kernels need, is a vector by construction; arrays of lanes are float64 arrays whose last axis is `LANES` long.
Multiplications and additions may be fused (contract); nothing else about them is relaxed.
"""

from __future__ import annotations

import operator
from typing import Any, cast

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic as _intrinsic
from numba.extending import lower_builtin, models, register_model

LANES = 8
intrinsic: Any = _intrinsic
kernel: Any = cast(Any, njit)(cache=True, error_model="numpy", _nrt=False)  # for functions that make no arrays
_DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(_DOUBLE, LANES)
FUSED = ("contract",)


class LanesType(types.Type):
    """Eight float64 numbers."""

    def __init__(self) -> None:
        super().__init__(name="lanes8")


lanes = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, VECTOR)


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), places)


def _as_lanes(builder: Any, kind: Any, value: Any) -> Any:
    return value if isinstance(kind, LanesType) else _splat(builder, value)


def _binary(op: Any, method: str) -> None:
    @cast(Any, infer_global)(op)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and any(isinstance(a, LanesType) for a in args):
                return signature(lanes, *(lanes if isinstance(a, LanesType) else types.float64 for a in args))
            return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, b = (_as_lanes(builder, kind, value) for kind, value in zip(sig.args, args, strict=True))
        return getattr(builder, method)(a, b, flags=FUSED)

    for kinds in ((LanesType, LanesType), (LanesType, types.Float), (types.Float, LanesType)):
        lower_builtin(op, *kinds)(lower)


for _op, _method in (
    (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"),
    (operator.iadd, "fadd"), (operator.isub, "fsub"), (operator.imul, "fmul"),
):  # fmt: skip
    _binary(_op, _method)


def _pointer(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Pointer to the lanes at a tuple of indices of an array whose last axis is the lanes."""
    array_type, index_type = sig.args[0], sig.args[1]
    array = context.make_array(array_type)(context, builder, args[0])
    places = cgutils.unpack_tuple(builder, args[1], len(index_type))
    zero = ir.Constant(places[0].type, 0)
    at = cgutils.get_item_pointer(context, builder, array_type, array, [*places, zero], wraparound=False)
    return builder.bitcast(at, VECTOR.as_pointer())


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Lanes of an array (..., 8) at a tuple of indices."""
    if array.ndim != len(index) + 1:
        return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        got = builder.load(_pointer(context, builder, sig, args))
        got.align = 8
        return got

    return lanes(array, types.UniTuple(types.intp, len(index))), lower


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write lanes (or one number to all) to an array (..., 8) at a tuple of indices."""
    if array.ndim != len(index) + 1:
        return None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        put = builder.store(_as_lanes(builder, sig.args[2], args[2]), _pointer(context, builder, sig, args))
        put.align = 8
        return context.get_dummy_value()

    kind = lanes if isinstance(value, LanesType) else types.float64
    return types.void(array, types.UniTuple(types.intp, len(index)), kind), lower


@intrinsic
def splat(typingctx: Any, value: Any) -> Any:
    """One number in all lanes."""
    return lanes(types.float64), lambda context, builder, sig, args: _splat(builder, args[0])


def _call(name: str, count: int) -> Any:
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR] * count)
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f64")
        return builder.call(function, [_as_lanes(builder, k, a) for k, a in zip(sig.args, args, strict=True)])

    return lower


def _kinds(*values: Any) -> list[Any]:
    return [lanes if isinstance(v, LanesType) else types.float64 for v in values]


@intrinsic
def nearest(typingctx: Any, x: Any) -> Any:
    """The nearest whole numbers."""
    return lanes(*_kinds(x)), _call("rint", 1)


@intrinsic
def below(typingctx: Any, x: Any) -> Any:
    """The largest whole numbers that are not greater."""
    return lanes(*_kinds(x)), _call("floor", 1)


@intrinsic
def size(typingctx: Any, x: Any) -> Any:
    """Absolute values."""
    return lanes(*_kinds(x)), _call("fabs", 1)


@intrinsic
def root(typingctx: Any, x: Any) -> Any:
    """Square roots."""
    return lanes(*_kinds(x)), _call("sqrt", 1)


@intrinsic
def least(typingctx: Any, a: Any, b: Any) -> Any:
    """The smaller of two, lane by lane; the other one where one is not a number."""
    return lanes(*_kinds(a, b)), _call("minnum", 2)


@intrinsic
def most(typingctx: Any, a: Any, b: Any) -> Any:
    """The greater of two, lane by lane; the other one where one is not a number."""
    return lanes(*_kinds(a, b)), _call("maxnum", 2)


@intrinsic
def where_less(typingctx: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """x where a < b, else y (also where a or b is not a number)."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, b, x, y = (_as_lanes(builder, k, v) for k, v in zip(sig.args, args, strict=True))
        return builder.select(builder.fcmp_ordered("<", a, b), x, y)

    return lanes(*_kinds(a, b, x, y)), lower


@intrinsic
def total(typingctx: Any, x: Any) -> Any:
    """The sum of the lanes."""

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        out = builder.extract_element(args[0], ir.Constant(ir.IntType(32), 0))
        for i in range(1, LANES):
            out = builder.fadd(out, builder.extract_element(args[0], ir.Constant(ir.IntType(32), i)))
        return out

    return types.float64(lanes), lower


@njit(cache=True, error_model="numpy")
def sine_cosine(x):
    """(sine, cosine) of lanes: Cody and Waite's reduction to [-pi / 4, pi / 4], then fdlibm's polynomials."""
    k = nearest(x * 0.63661977236758134308)
    r = x - k * 1.57079632673412561417
    r = r - k * 6.07710050630396597660e-11
    r = r - k * 2.02226624879595063154e-21
    z = r * r
    s = z * 1.58969099521155010221e-10 - 2.50507602534068634195e-8
    s = s * z + 2.75573137070700676789e-6
    s = s * z - 1.98412698298579493134e-4
    s = s * z + 8.33333333332248946124e-3
    s = s * z - 1.66666666666666324348e-1
    s = s * z * r + r
    c = 2.08757232129817482790e-9 - z * 1.13596475577881948265e-11
    c = c * z - 2.75573143513906633035e-7
    c = c * z + 2.48015872894767294178e-5
    c = c * z - 1.38888888888741095749e-3
    c = c * z + 4.16666666666666019037e-2
    c = c * z * z - z * 0.5 + 1.0
    q = k - below(k * 0.25) * 4.0  # 0 to 3
    odd = q - below(q * 0.5) * 2.0
    sine, cosine = where_less(0.5, odd, c, s), where_less(0.5, odd, s, c)
    over = size(q - 1.5)  # .5 in the second and third quadrant
    return where_less(1.5, q, sine * -1.0, sine), where_less(over, 1.0, cosine * -1.0, cosine)
