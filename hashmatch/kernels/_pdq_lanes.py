"""The steps of PDQ that a loop over numbers would do one at a time, in vector instructions.

Theory of operation
-------------------
As in ``_vectors.py``: LLVM's own portable vector types, the order of every addition written down, and ordinary
functions that compute the same bits in NumPy where there is no compiler.

* :func:`weigh_bytes` weighs and adds 64 columns of bytes, in 16-bit integers while they fit. It asks for the bytes as
  many rows below, which the next call with the same columns will want: so many short streams are more than the
  processor foresees, and on pictures not in its caches this halves the time.
* :func:`transpose` and :func:`advance` are running sums along sixteen rows: turned, so that one addition serves all.
* :func:`at_most`, :func:`largest` and :func:`above` compare without a branch.
* :func:`quotient` is a division, rounded as a division is, in three instructions that need no divider. The
  multiply-adds in it are part of the proof that it is; nothing else here is fused.

What this module deliberately does not do: it checks no bounds. Callers pad.
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

from hashmatch.kernels._vectors import LANES, VECTOR, address_of, array_of, load_lanes, shuffled, spread_to

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Weights = npt.NDArray[np.uint16]

BYTE_LANES: Final = 64
"""Bytes that are weighed together: a cache line."""

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES, _SHORTS = ir.VectorType(_I8, BYTE_LANES), ir.VectorType(_I16, BYTE_LANES)
_READ, _KEEP_CLOSE, _DATA_CACHE = (ir.Constant(_I32, value) for value in (0, 3, 1))
_BYTE_SUMS = ir.VectorType(ir.FloatType(), BYTE_LANES)


def weigh_bytes(weights: Weights, step: int, rows: Pixels, top: int, column: int, out: Floats) -> None:
    """Add ``weights[k] * rows[top + k, column + lane]`` over all weights, for 64 lanes, without rounding.

    Parameters
    ----------
    weights : uint16, shape (n,), C order, read-only ok
        One for each row; their sum times 255 is below 2 ** 24.
    step : int
        How many products in a row add up to less than 2 ** 16.
    rows : uint8, shape (at least top + n, m), C order, read-only ok
        What is weighed.
    top, column : int
        The first row, and the first of the 64 columns.
    out : float32, shape (at least m,), C order, written
        Of which 64 are written.

    """
    del step
    lanes = slice(column, column + BYTE_LANES)
    out[lanes] = weights.astype(np.float32) @ rows[top : top + len(weights), lanes].astype(np.float32)


def transpose(values: Floats, column: int, out: Floats, row: int, to: int) -> None:
    """Write ``values[:16, column : column + 16]``, transposed, to ``out[row : row + 16, to : to + 16]``.

    Parameters
    ----------
    values, out : float32, two dimensions, C order, the first read-only ok
        From and to where; not the same memory.
    column, row, to : int
        Where the blocks begin.

    """
    out[row : row + LANES, to : to + LANES] = values[:LANES, column : column + LANES].T


def advance(strip: Floats, begin: int, steps: int, window: int, sums: Floats, out: Floats) -> None:
    """Move sixteen running sums: add ``strip[x + window]``, then subtract ``strip[x]``.

    Parameters
    ----------
    strip : float32, shape (n, 16), C order, read-only ok
        Sixteen rows side by side.
    begin, steps : int
        The first x, and how many.
    window : int
        Rows from what is subtracted to what is added.
    sums : float32, shape (16,), added to
        The running sums.
    out : float32, shape (at least steps, 16), C order, written
        The running sums after each step.

    """
    for k in range(steps):
        sums += strip[begin + window + k]
        sums -= strip[begin + k]
        out[k] = sums


def at_most(values: Floats, limit: np.float32) -> int:
    """Count the values that are at most ``limit``; float32, shape (a multiple of 16,), C order, read-only ok."""
    return int((values <= limit).sum())


def largest(values: Floats, limit: np.float32) -> np.float32:
    """Return the largest value that is at most ``limit``, minus infinity if there is none; types as above, no NaN."""
    return np.float32(values[values <= limit].max(initial=-np.inf))


def above(values: Floats, start: int, limit: np.float32) -> int:
    """Bit k says whether ``values[start + k]`` is above ``limit``, for sixteen values; types as for :func:`at_most`."""
    return sum(1 << k for k in range(LANES) if values[start + k] > limit)


def quotient(dividend: np.float32, divisor: np.float32, reciprocal: np.float32) -> np.float32:
    """Divide by a whole number from 1 to 2 ** 20, rounded as the division is.

    An estimate ``q``, off by two units in its last place at most; what is left, ``dividend - q * divisor``, which a
    fused multiply-add finds exactly, because it is a whole number of those units and has few bits; and its share added
    to ``q`` in another one. Before its only rounding that last sum is off by 2 ** -22 of a unit. A quotient by such a
    divisor is never halfway between two floats (they would need a dividend of 25 bits), and lies at least 2 ** -21 of
    a unit off. So both round to the same float. The dividend and the quotient must be zero or far from underflow.

    Parameters
    ----------
    dividend, divisor : float32
        As in a division.
    reciprocal : float32
        One divided by the divisor, rounded.

    Source: Peter Markstein, *Computation of elementary functions on the IBM RISC System/6000 processor*, 1990.

    """
    del reciprocal
    result: np.float32 = dividend / divisor
    return result


def _prefetch(builder: Any, address: Any) -> Any:
    """Ask for the cache line of an address; never faults, wherever it is."""
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, _I32, _I32, _I32])
    function = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
    builder.call(function, [address, _READ, _KEEP_CLOSE, _DATA_CACHE])


def _weigh_bytes(_typing: Any, weights: Any, step: Any, rows: Any, top: Any, column: Any, out: Any) -> Any:
    """Build the instructions of :func:`weigh_bytes`."""
    del step, top, column

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factors, values, result = (array_of(context, builder, signature, args, at) for at in (0, 2, 5))
        count, length = builder.extract_value(factors.shape, 0), builder.extract_value(values.shape, 1)
        nothing = ir.Constant(_BYTE_SUMS, [0.0] * BYTE_LANES)
        total = cgutils.alloca_once_value(builder, nothing)  # type: ignore[no-untyped-call]
        shorts = cgutils.alloca_once(builder, _SHORTS)  # type: ignore[no-untyped-call]
        with cgutils.for_range_slice(builder, _I64(0), count, args[1], inc=True) as (begin, _):
            end = builder.add(begin, args[1])
            end = builder.select(builder.icmp_signed("<", end, count), end, count)
            builder.store(ir.Constant(_SHORTS, [0] * BYTE_LANES), shorts)
            with cgutils.for_range(builder, end, start=begin) as loop:
                row = builder.mul(builder.add(args[3], loop.index), length)
                address = builder.gep(values.data, [builder.add(row, args[4])])
                items = builder.load(builder.bitcast(address, _BYTES.as_pointer()))
                items.align = 1
                _prefetch(builder, builder.gep(address, [builder.mul(count, length)]))
                spread = spread_to(builder, builder.load(builder.gep(factors.data, [loop.index])), _SHORTS)
                product = builder.mul(spread, builder.zext(items, _SHORTS))
                builder.store(builder.add(builder.load(shorts), product), shorts)
            exact = builder.uitofp(builder.load(shorts), _BYTE_SUMS)
            builder.store(builder.fadd(builder.load(total), exact), total)
        target = builder.bitcast(builder.gep(result.data, [args[4]]), _BYTE_SUMS.as_pointer())
        builder.store(builder.load(total), target).align = 4
        return context.get_dummy_value()

    return types.void(weights, types.int64, rows, types.int64, types.int64, out), codegen


def _transpose(_typing: Any, values: Any, column: Any, out: Any, row: Any, to: Any) -> Any:
    """Build the instructions of :func:`transpose`: four times, exchange blocks of 1, 2, 4 and 8."""
    del column, row, to

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, target = (array_of(context, builder, signature, args, at) for at in (0, 2))
        pitches = [builder.extract_value(array.shape, 1) for array in (source, target)]
        lines = [
            load_lanes(builder, source, builder.add(builder.mul(_I64(line), pitches[0]), args[1]))
            for line in range(LANES)
        ]
        for side in (1, 2, 4, 8):
            upper = [lane if not lane & side else LANES + lane - side for lane in range(LANES)]
            lower = [lane + side if not lane & side else LANES + lane for lane in range(LANES)]
            for line in (line for line in range(LANES) if not line & side):
                pair = lines[line], lines[line + side]
                lines[line], lines[line + side] = (
                    builder.shuffle_vector(*pair, ir.Constant(ir.VectorType(_I32, LANES), some))
                    for some in (upper, lower)
                )
        for line, items in enumerate(lines):
            place = builder.add(builder.mul(builder.add(args[3], _I64(line)), pitches[1]), args[4])
            builder.store(items, address_of(builder, target, place)).align = 4
        return context.get_dummy_value()

    return types.void(values, types.int64, out, types.int64, types.int64), codegen


def _advance(_typing: Any, strip: Any, begin: Any, steps: Any, window: Any, sums: Any, out: Any) -> Any:
    """Build the instructions of :func:`advance`."""
    del begin, steps, window

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, kept, result = (array_of(context, builder, signature, args, at) for at in (0, 4, 5))
        total = cgutils.alloca_once_value(builder, load_lanes(builder, kept, _I64(0)))  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, args[2]) as loop:
            behind = builder.add(args[1], loop.index)
            new, old = (
                load_lanes(builder, source, builder.mul(at, _I64(LANES)))
                for at in (builder.add(behind, args[3]), behind)
            )
            moved = builder.fsub(builder.fadd(builder.load(total), new), old)
            builder.store(moved, total)
            builder.store(moved, address_of(builder, result, builder.mul(loop.index, _I64(LANES)))).align = 4
        builder.store(builder.load(total), address_of(builder, kept, _I64(0))).align = 4
        return context.get_dummy_value()

    return types.void(strip, types.int64, types.int64, types.int64, sums, out), codegen


def _at_most(_typing: Any, values: Any, limit: Any) -> Any:
    """Build the instructions of :func:`at_most`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        items = array_of(context, builder, signature, args, 0)
        spread = spread_to(builder, args[1], VECTOR)
        counts = ir.VectorType(_I32, LANES)
        total = cgutils.alloca_once_value(builder, ir.Constant(counts, [0] * LANES))  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, builder.udiv(builder.extract_value(items.shape, 0), _I64(LANES))) as loop:
            some = load_lanes(builder, items, builder.mul(loop.index, _I64(LANES)))
            found = builder.zext(builder.fcmp_ordered("<=", some, spread), counts)
            builder.store(builder.add(builder.load(total), found), total)
        sums, half = builder.load(total), LANES // 2
        while half:
            sums = builder.add(*(shuffled(builder, sums, list(range(at, at + half))) for at in (0, half)))
            half //= 2
        return builder.zext(builder.extract_element(sums, _I32(0)), _I64)

    return types.int64(values, limit), codegen


def _largest(_typing: Any, values: Any, limit: Any) -> Any:
    """Build the instructions of :func:`largest`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        items = array_of(context, builder, signature, args, 0)
        spread, least = spread_to(builder, args[1], VECTOR), ir.Constant(VECTOR, [float("-inf")] * LANES)

        def larger(one: Any, other: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", one, other), one, other)

        best = cgutils.alloca_once_value(builder, least)  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, builder.udiv(builder.extract_value(items.shape, 0), _I64(LANES))) as loop:
            some = load_lanes(builder, items, builder.mul(loop.index, _I64(LANES)))
            builder.store(
                larger(builder.select(builder.fcmp_ordered("<=", some, spread), some, least), builder.load(best)), best
            )
        found, half = builder.load(best), LANES // 2
        while half:
            found = larger(*(shuffled(builder, found, list(range(at, at + half))) for at in (0, half)))
            half //= 2
        return builder.extract_element(found, _I32(0))

    return types.float32(values, limit), codegen


def _above(_typing: Any, values: Any, start: Any, limit: Any) -> Any:
    """Build the instructions of :func:`above`."""
    del start

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        some = load_lanes(builder, array_of(context, builder, signature, args, 0), args[1])
        larger = builder.fcmp_ordered(">", some, spread_to(builder, args[2], VECTOR))
        return builder.zext(builder.bitcast(larger, _I16), _I64)

    return types.int64(values, types.int64, limit), codegen


def _quotient(_typing: Any, dividend: Any, divisor: Any, reciprocal: Any) -> Any:
    """Build the instructions of :func:`quotient`."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        estimate = builder.fmul(args[0], args[2])
        left = builder.fma(builder.fneg(estimate), args[1], args[0])
        return builder.fma(left, args[2], estimate)

    return types.float32(dividend, divisor, reciprocal), codegen


_weigh_byte_lanes: Callable[..., None] = intrinsic(_weigh_bytes)
_transpose_lanes: Callable[..., None] = intrinsic(_transpose)
_advance_lanes: Callable[..., None] = intrinsic(_advance)
_at_most_lanes: Callable[..., int] = intrinsic(_at_most)
_largest_lanes: Callable[..., np.float32] = intrinsic(_largest)
_above_lanes: Callable[..., int] = intrinsic(_above)
_fused_quotient: Callable[..., np.float32] = intrinsic(_quotient)


@overload(weigh_bytes, strict=False)
def _compiled_weigh_bytes(weights: Any, step: Any, rows: Any, top: Any, column: Any, out: Any) -> Callable[..., Any]:
    """Give kernels :func:`weigh_bytes`."""
    del weights, step, rows, top, column, out
    return lambda weights, step, rows, top, column, out: _weigh_byte_lanes(weights, step, rows, top, column, out)  # noqa: PLW0108  (same)


@overload(at_most, strict=False)
def _compiled_at_most(values: Any, limit: Any) -> Callable[..., Any]:
    """Give kernels :func:`at_most`."""
    del values, limit
    return lambda values, limit: _at_most_lanes(values, limit)  # noqa: PLW0108  (same)


@overload(largest, strict=False)
def _compiled_largest(values: Any, limit: Any) -> Callable[..., Any]:
    """Give kernels :func:`largest`."""
    del values, limit
    return lambda values, limit: _largest_lanes(values, limit)  # noqa: PLW0108  (same)


@overload(above, strict=False)
def _compiled_above(values: Any, start: Any, limit: Any) -> Callable[..., Any]:
    """Give kernels :func:`above`."""
    del values, start, limit
    return lambda values, start, limit: _above_lanes(values, start, limit)  # noqa: PLW0108  (same)


@overload(quotient, strict=False)
def _compiled_quotient(dividend: Any, divisor: Any, reciprocal: Any) -> Callable[..., Any]:
    """Give kernels :func:`quotient`."""
    del dividend, divisor, reciprocal
    return lambda dividend, divisor, reciprocal: _fused_quotient(dividend, divisor, reciprocal)  # noqa: PLW0108  (same)


@overload(transpose, strict=False)
def _compiled_transpose(values: Any, column: Any, out: Any, row: Any, to: Any) -> Callable[..., Any]:
    """Give kernels :func:`transpose`."""
    del values, column, out, row, to
    return lambda values, column, out, row, to: _transpose_lanes(values, column, out, row, to)  # noqa: PLW0108  (same)


@overload(advance, strict=False)
def _compiled_advance(strip: Any, begin: Any, steps: Any, window: Any, sums: Any, out: Any) -> Callable[..., Any]:
    """Give kernels :func:`advance`."""
    del strip, begin, steps, window, sums, out
    return lambda strip, begin, steps, window, sums, out: _advance_lanes(strip, begin, steps, window, sums, out)  # noqa: PLW0108  (same)
