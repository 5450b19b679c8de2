"""The two inner steps of `lane_band` written out for a known number of unknowns.

Loops of five turns spend more time on themselves than on their work, so up to `UNROLLED` unknowns the instructions
are emitted one after the other, with the frame's own numbers in registers. The arithmetic is that of
`lane_band.couple`, `own` and `back`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from vidpretrain.solve.lanes import FUSED, LANES, VECTOR, intrinsic, lanes

UNROLLED = 5


class _Place:
    """An array of lanes seen from one of its rows: loads and stores at constant distances."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any, start: Any) -> None:
        self.builder, self.word = builder, start.type
        data = context.make_array(kind)(context, builder, value).data
        scaled = builder.mul(start, ir.Constant(self.word, LANES))
        self.base = builder.gep(data, [scaled])

    def at(self, place: int) -> Any:
        pointer = self.builder.gep(self.base, [ir.Constant(self.word, place * LANES)])
        return self.builder.bitcast(pointer, VECTOR.as_pointer())

    def load(self, place: int) -> Any:
        got = self.builder.load(self.at(place))
        got.align = 8
        return got

    def store(self, place: int, value: Any) -> None:
        self.builder.store(value, self.at(place)).align = 8


def _less(builder: Any, x: Any, a: Any, b: Any) -> Any:
    """x - a b."""
    return builder.fsub(x, builder.fmul(a, b, flags=FUSED), flags=FUSED)


def _places(context: Any, builder: Any, sig: Any, args: Any, n: int, widths: tuple[int, ...]) -> list[_Place]:
    """Arrays of `widths` lanes a frame, each seen from frame k."""
    k = args[-2]
    return [
        _Place(context, builder, kind, value, builder.mul(k, ir.Constant(k.type, width)))
        for kind, value, width in zip(sig.args, args, widths, strict=False)
    ]


@intrinsic(prefer_literal=True)
def eliminate_frame(typingctx: Any, F: Any, H: Any, near: Any, far: Any, b: Any, inverse: Any, z: Any, k: Any, n: Any):
    """Factor frame k, 2 or later, of n (a literal) unknowns, and its right side; the smallest pivot."""
    if not isinstance(n, types.IntegerLiteral):
        return None
    count = n.literal_value

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        w = 2 * count
        widths = (3 * count * count, count * (count + 1) // 2, count, count, count, count, count)
        pF, pH, pnear, pfar, pb, pinv, pz = _places(context, builder, sig, args, count, widths)
        zero, one = ir.Constant(VECTOR, [0.0] * LANES), ir.Constant(VECTOR, [1.0] * LANES)
        U: dict[tuple[int, int], Any] = {}
        Fs: dict[tuple[int, int], Any] = {}
        for j in range(w):
            row, shift = j - w, (count if j >= count else w)  # the row of column j, counted from frame k's first
            inv = pinv.load(row)
            for v in range(min(count, j + 1)):
                x = pfar.load(v) if j == v else pnear.load(v) if j == count + v else zero
                for p in range(v, j):
                    x = _less(builder, x, U[v, p], pF.load(row * 3 * count + p + shift))
                U[v, j], Fs[v, j] = x, builder.fmul(x, inv, flags=FUSED)
                pF.store(v * 3 * count + j, Fs[v, j])
        lowest, inverses = None, {}
        for c in range(count):
            for r in range(c, count):
                x = pH.load(r * (r + 1) // 2 + c)
                for p in [*range(r, w), *range(w, w + c)]:
                    x = _less(builder, x, U[r, p], Fs[c, p])
                if r == c:
                    inverses[c] = builder.fdiv(one, x)
                    pinv.store(c, inverses[c])
                    if lowest is None:
                        lowest = x
                    else:
                        lowest = builder.select(builder.fcmp_ordered("<", lowest, x), lowest, x)
                else:
                    U[r, w + c], Fs[r, w + c] = x, builder.fmul(x, inverses[c], flags=FUSED)
                    pF.store(r * 3 * count + w + c, Fs[r, w + c])
        found: dict[int, Any] = {}
        for v in range(count):
            x = pb.load(v)
            for j in range(v, w + v):
                x = _less(builder, x, Fs[v, j], pz.load(j - w) if j < w else found[j - w])
            found[v] = x
            pz.store(v, x)
        return lowest

    return lanes(F, H, near, far, b, inverse, z, types.intp, n), lower


@intrinsic(prefer_literal=True)
def back_frame(typingctx: Any, F: Any, b: Any, k: Any, n: Any):
    """Take the solution of frame k, 2 or later and no separator, out of the two frames before."""
    if not isinstance(n, types.IntegerLiteral):
        return None
    count = n.literal_value

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        w = 2 * count
        pF, pb = _places(context, builder, sig, args, count, (3 * count * count, count))
        x = {v: pb.load(v) for v in range(-w, count)}
        for v in range(count - 1, -1, -1):
            for j in range(v, w + v):
                x[j - w] = _less(builder, x[j - w], pF.load(v * 3 * count + j), x[v])
        for v in range(-w, count):
            pb.store(v, x[v])
        return context.get_dummy_value()

    return types.void(F, b, types.intp, n), lower
