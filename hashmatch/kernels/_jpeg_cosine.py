"""The inverse cosine transform of a JPEG's blocks in vector instructions: coefficients in, pixels out.

Theory of operation
-------------------
As in ``_jpeg_lanes.py``: LLVM's own portable vector types, and a function that computes the same bits in NumPy where
there is no compiler. :func:`inverse_cosines` multiplies 64 coefficients by their quantisers and turns them into 8 x 8
pixels: libjpeg's accurate integer transform (``islow``), all columns side by side, then all rows. It does so for two
blocks side by side, which fill a vector of sixteen. Whoever writes coefficients one by one should not call it at once:
a wide load waits until all narrow stores to its place are done.

What this module deliberately does not do: it checks no bounds.

Source: ITU-T T.81; libjpeg 6b, ``jidctint.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from hashmatch.kernels._jpeg_lanes import all_of, clamped, fixed, mixed
from hashmatch.kernels._vectors import array_of

Pixels = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int32]

SIDE: Final = 8
"""Pixels along a block."""
PAIR: Final = 2 * SIDE * SIDE
"""Coefficients of two blocks."""
_I32, _I64 = (ir.IntType(bits) for bits in (32, 64))
_LINE = ir.VectorType(_I32, 2 * SIDE)
_CONST_BITS, _PASS_BITS = 13, 2
_IN_A_CORNER = 10
"""So many coefficients, the first in the order of the data, lie in the first four rows and columns."""


def inverse_cosines(
    coefficients: Whole, place: int, quantisers: Whole, kind: int, count: int, out: Pixels, to: tuple[int, int]
) -> int:
    """Write the pixels of two blocks, and zeros over their coefficients.

    Parameters
    ----------
    coefficients : int32, one dimension, C order, changed
        From ``place`` on 128: row by row eight of the one block and eight of the other; below 2 ** 13.
    place : int
        Where they begin.
    quantisers : int32, shape (n, 128), C order, read-only ok
        What to multiply them by, in the same order; below 2 ** 8.
    kind : int
        The row of the quantisers.
    count : int
        How many of the coefficients of each block, in the order of the data, may differ from zero.
    out : uint8, three dimensions, C order, written
        Of which 8 x 8 are written twice; the last dimension is a row.
    to : tuple of int
        Where the blocks begin in ``out``, seen as one-dimensional.

    Returns
    -------
    int
        The sum of the magnitudes of the products, of the block of which it is larger. Where it exceeds 5,800 the pixels
        need not be those of libjpeg.

    """
    del count
    some = coefficients[place : place + PAIR]
    products = some.astype(np.int64).reshape(SIDE, 2, SIDE) * quantisers[kind].reshape(SIDE, 2, SIDE)
    flat, pitch = out.reshape(-1), out.shape[2]
    for half, begin in enumerate(to):
        first = _steps(list(products[:, half]), _NUMBERS, _CONST_BITS - _PASS_BITS)
        second = _steps(list(np.array(first).T), _NUMBERS, _CONST_BITS + _PASS_BITS + 3)
        for line, row in enumerate(np.clip(np.array(second).T + 128, 0, 255)):
            flat[begin + line * pitch : begin + line * pitch + SIDE] = row
    some[:] = 0
    return int(np.abs(products).sum(axis=(0, 2)).max())


class _Numbers:
    """Arithmetic of :func:`_steps` on NumPy's arrays."""

    add = staticmethod(np.add)
    sub = staticmethod(np.subtract)

    @staticmethod
    def times(value: Any, factor: int) -> Any:
        return value * factor

    @staticmethod
    def rounded(value: Any, bits: int) -> Any:
        return (value + (1 << bits - 1)) >> bits


_NUMBERS = _Numbers()


class _Lanes:
    """The same on vectors of whole numbers of 32 bits."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.add, self.sub = builder.add, builder.sub

    def times(self, value: Any, factor: int) -> Any:
        return self.builder.mul(value, all_of(value.type, factor))

    def rounded(self, value: Any, bits: int) -> Any:
        return self.builder.ashr(self.add(value, all_of(value.type, 1 << bits - 1)), all_of(value.type, bits))


def _steps(line: list[Any], on: Any, bits: int) -> list[Any]:
    """Transform eight values, or eight vectors of them, and divide by ``2 ** bits``.

    Source: Loeffler, Ligtenberg, Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989,
    as ``jidctint.c`` has it.

    """
    add, sub, times = on.add, on.sub, on.times
    z1 = times(add(line[2], line[6]), fixed(0.541196100, _CONST_BITS))
    low = sub(z1, times(line[6], fixed(1.847759065, _CONST_BITS)))
    high = add(z1, times(line[2], fixed(0.765366865, _CONST_BITS)))
    plus, minus = (times(both, 1 << _CONST_BITS) for both in (add(line[0], line[4]), sub(line[0], line[4])))
    even = [add(plus, high), add(minus, low), sub(minus, low), sub(plus, high)]
    z3, z4 = add(line[7], line[3]), add(line[5], line[1])
    z5 = times(add(z3, z4), fixed(1.175875602, _CONST_BITS))
    z1, z2 = (
        times(add(line[7], line[1]), -fixed(0.899976223, _CONST_BITS)),
        times(add(line[5], line[3]), -fixed(2.562915447, _CONST_BITS)),
    )
    z3, z4 = add(times(z3, -fixed(1.961570560, _CONST_BITS)), z5), add(times(z4, -fixed(0.390180644, _CONST_BITS)), z5)
    odd = [
        add(times(line[1], fixed(1.501321110, _CONST_BITS)), add(z1, z4)),
        add(times(line[3], fixed(3.072711026, _CONST_BITS)), add(z2, z3)),
        add(times(line[5], fixed(2.053119869, _CONST_BITS)), add(z2, z4)),
        add(times(line[7], fixed(0.298631336, _CONST_BITS)), add(z1, z3)),
    ]
    sums = [on.rounded(add(some, other), bits) for some, other in zip(even, odd, strict=True)]
    differences = [on.rounded(sub(some, other), bits) for some, other in zip(even, odd, strict=True)]
    return sums + differences[::-1]


def _turned(builder: Any, lines: list[Any]) -> list[Any]:
    """Transpose twice eight vectors of eight, side by side: three times, exchange blocks of 1, 2 and 4."""
    both = 2 * SIDE
    for side in (1, 2, 4):
        upper = [lane if not lane & side else both + lane - side for lane in range(both)]
        lower = [lane + side if not lane & side else both + lane for lane in range(both)]
        for line in (line for line in range(SIDE) if not line & side):
            pair = lines[line], lines[line + side]
            lines[line], lines[line + side] = (mixed(builder, *pair, lanes) for lanes in (upper, lower))
    return lines


def _inverse_cosines(
    _typing: Any, coefficients: Any, place: Any, quantisers: Any, kind: Any, count: Any, out: Any, to: Any
) -> Any:
    """Build the instructions of :func:`inverse_cosines`: twice, as half of the work is with zeros in most blocks."""
    del place, kind, count

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, factors, target = (array_of(context, builder, signature, args, at) for at in (0, 2, 5))
        source = builder.gep(source.data, [args[1]])
        factor = builder.gep(factors.data, [builder.mul(args[3], _I64(PAIR))])
        pitch = builder.extract_value(target.shape, 2)
        places = [builder.gep(target.data, [builder.extract_value(args[6], half)]) for half in range(2)]
        total = cgutils.alloca_once(builder, _I64)  # type: ignore[no-untyped-call]
        few = builder.icmp_signed("<=", args[4], _I64(_IN_A_CORNER))
        with builder.if_else(few) as (then, otherwise):
            with then:
                builder.store(_transform(builder, (source, factor), places, pitch, SIDE // 2), total)
            with otherwise:
                builder.store(_transform(builder, (source, factor), places, pitch, SIDE), total)
        return builder.load(total)

    whole = types.int64
    return whole(coefficients, whole, quantisers, whole, whole, out, to), codegen


def _transform(builder: Any, products: tuple[Any, Any], to: list[Any], pitch: Any, count: int) -> Any:
    """Transform two blocks whose rows and columns are zero from number ``count`` on; return the larger sum.

    ``products`` are where coefficients and quantisers begin, ``to`` where the pixels of each block do.
    """
    nothing, on = all_of(_LINE, 0), _Lanes(builder)
    lines, total = [], nothing
    for line in range(count):
        place, by = (
            builder.bitcast(builder.gep(some, [_I64(2 * SIDE * line)]), _LINE.as_pointer()) for some in products
        )
        pair = builder.load(place), builder.load(by)
        pair[0].align = pair[1].align = builder.store(nothing, place).align = 4
        lines.append(builder.mul(*pair))
        negative = builder.sub(nothing, lines[-1])
        positive = builder.icmp_signed(">", lines[-1], negative)
        total = builder.add(total, builder.select(positive, lines[-1], negative))
    lines = _turned(builder, _steps(lines + [nothing] * (SIDE - count), on, _CONST_BITS - _PASS_BITS))
    lines = _steps(lines[:count] + [nothing] * (SIDE - count), on, _CONST_BITS + _PASS_BITS + 3)
    for line, values in enumerate(_turned(builder, lines)):
        items = clamped(builder, builder.add(values, all_of(_LINE, 128)))
        for half, begin in enumerate(to):
            some = mixed(builder, items, items, list(range(SIDE * half, SIDE * half + SIDE)))
            place = builder.gep(begin, [builder.mul(pitch, _I64(line))])
            builder.store(some, builder.bitcast(place, some.type.as_pointer())).align = 1
    for side in (4, 2, 1):
        total = builder.add(total, mixed(builder, total, total, [lane ^ side for lane in range(2 * SIDE)]))
    sums = [builder.extract_element(total, _I32(SIDE * half)) for half in range(2)]
    return builder.zext(builder.select(builder.icmp_unsigned(">", *sums), *sums), _I64)


_inverse_cosine_lanes: Callable[..., int] = intrinsic(_inverse_cosines)


@overload(inverse_cosines, strict=False, inline="always")
def _compiled_inverse_cosines(
    coefficients: Any, place: Any, quantisers: Any, kind: Any, count: Any, out: Any, to: Any
) -> Callable[..., Any]:
    """Give kernels :func:`inverse_cosines`."""
    del coefficients, place, quantisers, kind, count, out, to

    def call(coefficients: Any, place: Any, quantisers: Any, kind: Any, count: Any, out: Any, to: Any) -> Any:  # same
        return _inverse_cosine_lanes(coefficients, place, quantisers, kind, count, out, to)

    return call
