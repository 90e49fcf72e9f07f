"""Sums of products in vector instructions, added in a fixed order.

Theory of operation
-------------------
LLVM may not reorder additions of floats, so a sum of products written as a loop is one long chain of additions. Here
the order is written down, in LLVM's own portable vector type: sixteen sums advance together. LLVM lowers it to one
register of AVX-512, two of AVX2 or four of NEON, and the result is the same on all of them: no multiplication is fused
with an addition.

* :func:`dot` adds every sixteenth product, and at the end, four times, the upper half of the sums to the lower half;
  :func:`dots` does so for sixteen sums at a time, whose halves share their instructions.
* :func:`weigh` adds sixteen columns side by side, each from the first row to the last: the reference's order;
  :func:`weigh_wide` does so for 64 columns, so that the processor need not wait for the last addition.

All are ordinary functions. Kernels that call them get the instructions; without a compiler (``NUMBA_DISABLE_JIT``)
they compute the same bits in NumPy.

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

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

LANES: Final = 16
"""Sums that advance together."""
WIDE: Final = 64
"""Columns of :func:`weigh_wide`."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(ir.FloatType(), LANES)
_ZEROS = ir.Constant(VECTOR, [0.0] * LANES)


def dot(values: Floats, start: int, weights: Floats) -> np.float32:
    """Add ``values[start + k] * weights[k]`` over all weights.

    Parameters
    ----------
    values : float32, shape (at least start + n,), C order, read-only ok
        What is weighed.
    start : int
        Where to begin.
    weights : float32, shape (n,), C order, read-only ok
        As many as are added: a multiple of 16.

    """
    sums = np.zeros(LANES, np.float32)
    for k in range(0, len(weights), LANES):
        sums += values[start + k : start + k + LANES] * weights[k : k + LANES]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    total: np.float32 = sums[0]
    return total


def dots(values: Floats, starts: Longs, first: int, weights: Floats, out: Floats) -> None:
    """Write sixteen results of :func:`dot`, at the places ``starts[first : first + 16]``, to that part of ``out``.

    Parameters
    ----------
    values : float32, shape (at least every start + n,), C order, read-only ok
        What is weighed.
    starts : int64, shape (m,), C order, read-only ok
        Where to begin.
    first : int
        The first of sixteen starts.
    weights : float32, shape (n,), C order, read-only ok
        As many as are added: a multiple of 16.
    out : float32, shape (m,), C order, written
        Of which sixteen are written.

    """
    for at in range(first, first + LANES):
        out[at] = dot(values, int(starts[at]), weights)


def weigh(weights: Floats, rows: Floats, column: int, out: Floats) -> None:
    """Add ``weights[k] * rows[k, column + lane]`` over all rows, for sixteen lanes.

    Parameters
    ----------
    weights : float32, shape (n,), C order, read-only ok
        One for each row.
    rows : float32, shape (n, m), C order, read-only ok
        What is weighed.
    column : int
        The first of the sixteen columns.
    out : float32, shape (m,), C order, written
        Of which sixteen are written.

    """
    lanes = slice(column, column + LANES)
    sums = np.zeros(LANES, np.float32)
    for k in range(len(weights)):
        sums += weights[k] * rows[k, lanes]
    out[lanes] = sums


def weigh_wide(weights: Floats, rows: Floats, out: Floats) -> None:
    """Do what :func:`weigh` does, for rows of 64."""
    for column in range(0, WIDE, LANES):
        weigh(weights, rows, column, out)


def array_of(context: Any, builder: Any, signature: Any, args: Any, at: int) -> Any:
    """Structure of the array that is argument ``at``."""
    return context.make_array(signature.args[at])(context, builder, args[at])


def address_of(builder: Any, array: Any, index: Any) -> Any:
    """Address of sixteen items of an array seen as one-dimensional."""
    return builder.bitcast(builder.gep(array.data, [index]), VECTOR.as_pointer())


def load_lanes(builder: Any, array: Any, index: Any) -> Any:
    """Sixteen items, aligned as one of them is."""
    items = builder.load(address_of(builder, array, index))
    items.align = 4
    return items


def _sums(builder: Any) -> Any:
    """Sixteen sums, zero so far."""
    return cgutils.alloca_once_value(builder, _ZEROS)  # type: ignore[no-untyped-call]


def shuffled(builder: Any, vector: Any, lanes: list[int]) -> Any:
    """Vector of the given lanes of another."""
    nothing = ir.Constant(vector.type, ir.Undefined)
    return builder.shuffle_vector(vector, nothing, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))


def spread_to(builder: Any, value: Any, vector: Any) -> Any:
    """Vector of one value in every lane."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _I32(0))
    return shuffled(builder, first, [0] * vector.count)


def _dot(_typing: Any, values: Any, start: Any, weights: Any) -> Any:
    """Build the instructions of :func:`dot`."""
    del start

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left, right = (array_of(context, builder, signature, args, at) for at in (0, 2))
        length = builder.extract_value(right.shape, 0)
        total = _sums(builder)
        with cgutils.for_range(builder, builder.udiv(length, _I64(LANES))) as loop:
            k = builder.mul(loop.index, _I64(LANES))
            product = builder.fmul(load_lanes(builder, left, builder.add(args[1], k)), load_lanes(builder, right, k))
            builder.store(builder.fadd(builder.load(total), product), total)
        sums, half = builder.load(total), LANES // 2
        while half:
            sums = builder.fadd(*(shuffled(builder, sums, list(range(at, at + half))) for at in (0, half)))
            half //= 2
        return builder.extract_element(sums, _I32(0))

    return types.float32(values, types.int64, weights), codegen


def _weigh(_typing: Any, weights: Any, rows: Any, column: Any, out: Any) -> Any:
    """Build the instructions of :func:`weigh`."""
    del column

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factors, values, result = (array_of(context, builder, signature, args, at) for at in (0, 1, 3))
        width = builder.extract_value(values.shape, 1)
        total = _sums(builder)
        with cgutils.for_range(builder, builder.extract_value(factors.shape, 0)) as loop:
            one = builder.load(builder.gep(factors.data, [loop.index]))
            spread = spread_to(builder, one, VECTOR)
            items = load_lanes(builder, values, builder.add(builder.mul(loop.index, width), args[2]))
            builder.store(builder.fadd(builder.load(total), builder.fmul(spread, items)), total)
        store = builder.store(builder.load(total), address_of(builder, result, args[2]))
        store.align = 4
        return context.get_dummy_value()

    return types.void(weights, rows, types.int64, out), codegen


def _dots(_typing: Any, values: Any, starts: Any, first: Any, weights: Any, out: Any) -> Any:
    """Build the instructions of :func:`dots`."""
    del first

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left, places, right, result = (array_of(context, builder, signature, args, at) for at in (0, 1, 3, 4))
        begins = [builder.load(builder.gep(places.data, [builder.add(args[2], _I64(lane))])) for lane in range(LANES)]
        totals = [_sums(builder) for _ in begins]
        with cgutils.for_range(builder, builder.udiv(builder.extract_value(right.shape, 0), _I64(LANES))) as loop:
            k = builder.mul(loop.index, _I64(LANES))
            shared = load_lanes(builder, right, k)
            for begin, total in zip(begins, totals, strict=True):
                product = builder.fmul(load_lanes(builder, left, builder.add(begin, k)), shared)
                builder.store(builder.fadd(builder.load(total), product), total)
        sums, width = [builder.load(total) for total in totals], LANES
        while width > 1:
            sums = [_halved(builder, *pair, width) for pair in zip(sums[::2], sums[1::2], strict=True)]
            width //= 2
        builder.store(sums[0], address_of(builder, result, args[2])).align = 4
        return context.get_dummy_value()

    return types.void(values, starts, types.int64, weights, out), codegen


def _halved(builder: Any, left: Any, right: Any, width: int) -> Any:
    """Add the upper to the lower half of every ``width`` lanes of two vectors: results of the left, then the right."""
    lower = [lane for lane in range(2 * LANES) if lane % width < width // 2]
    halves = [
        builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(_I32, LANES), [lane + shift for lane in lower]))
        for shift in (0, width // 2)
    ]
    return builder.fadd(*halves)


def _weigh_wide(_typing: Any, weights: Any, rows: Any, out: Any) -> Any:
    """Build the instructions of :func:`weigh_wide`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factors, values, result = (array_of(context, builder, signature, args, at) for at in (0, 1, 2))
        columns = [_I64(column) for column in range(0, WIDE, LANES)]
        totals = [_sums(builder) for _ in columns]
        with cgutils.for_range(builder, builder.extract_value(factors.shape, 0)) as loop:
            spread = spread_to(builder, builder.load(builder.gep(factors.data, [loop.index])), VECTOR)
            row = builder.mul(loop.index, _I64(WIDE))
            for column, total in zip(columns, totals, strict=True):
                product = builder.fmul(spread, load_lanes(builder, values, builder.add(row, column)))
                builder.store(builder.fadd(builder.load(total), product), total)
        for column, total in zip(columns, totals, strict=True):
            builder.store(builder.load(total), address_of(builder, result, column)).align = 4
        return context.get_dummy_value()

    return types.void(weights, rows, out), codegen


_dot_lanes: Callable[..., np.float32] = intrinsic(_dot)
_dots_lanes: Callable[..., None] = intrinsic(_dots)
_weigh_lanes: Callable[..., None] = intrinsic(_weigh)
_weigh_wide_lanes: Callable[..., None] = intrinsic(_weigh_wide)


@overload(dot, strict=False)
def _compiled_dot(values: Any, start: Any, weights: Any) -> Callable[..., np.float32]:
    """Give kernels :func:`dot`."""
    del values, start, weights
    return lambda values, start, weights: _dot_lanes(values, start, weights)  # noqa: PLW0108  (Numba wants a function)


@overload(weigh, strict=False)
def _compiled_weigh(weights: Any, rows: Any, column: Any, out: Any) -> Callable[..., None]:
    """Give kernels :func:`weigh`."""
    del weights, rows, column, out
    return lambda weights, rows, column, out: _weigh_lanes(weights, rows, column, out)  # noqa: PLW0108  (same)


@overload(dots, strict=False)
def _compiled_dots(values: Any, starts: Any, first: Any, weights: Any, out: Any) -> Callable[..., Any]:
    """Give kernels :func:`dots`."""
    del values, starts, first, weights, out
    return lambda values, starts, first, weights, out: _dots_lanes(values, starts, first, weights, out)  # noqa: PLW0108  (same)


@overload(weigh_wide, strict=False)
def _compiled_weigh_wide(weights: Any, rows: Any, out: Any) -> Callable[..., Any]:
    """Give kernels :func:`weigh_wide`."""
    del weights, rows, out
    return lambda weights, rows, out: _weigh_wide_lanes(weights, rows, out)  # noqa: PLW0108  (same)
