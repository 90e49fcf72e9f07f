"""What the views need in vector instructions: many sums of products at once, luma of interleaved pixels.

Theory of operation
-------------------
One sum of products is a chain in which each addition waits for the one before it, four cycles long; a processor could
begin eight others in that time. ``_vectors.weigh`` advances one chain of sixteen lanes. The functions here advance up
to sixteen such chains side by side, each in the same order and with the same roundings, so that the results are the
same bits. :func:`weigh_turned` also turns the sixteen by sixteen sums around while they are in registers: shuffles of
whole vectors instead of 256 single stores.

As in ``_vectors``, all are ordinary functions written down in LLVM's portable vector type; without a compiler
(``NUMBA_DISABLE_JIT``) they compute the same bits in NumPy.

What this module deliberately does not do: it checks no bounds, and no multiplication is fused with an addition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.uint16]

LANES: Final = 16
"""Items of a vector."""
CHAINS: Final = 4
"""Rows of weights that :func:`weigh_wide` takes at once, and vectors of each row that it makes."""
SHARES: Final = (0.299, 0.587, 0.114)
"""Of red, green and blue in luma."""

_I1, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (1, 16, 32, 64))
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_WORDS = ir.VectorType(_I32, LANES)
_SHORTS = ir.VectorType(_I16, len(SHARES) * LANES)
_ZEROS = ir.Constant(_VECTOR, [0.0] * LANES)
_FLOAT_BYTES, _SHORT_BYTES = 4, 2


def weigh_turned(weights: Floats, firsts: Longs, at: int, rows: Floats, column: int, out: Floats) -> None:
    """Set ``out[column + lane, k]`` to the sum of ``weights[n, k] * rows[firsts[k] + n, column + lane]``.

    Parameters
    ----------
    weights, firsts : float32, shape (n, m), C order; int64, shape (m,)
        Weights of n rows, and the first of these.
    at : int
        The first of sixteen k.
    rows : float32, shape (h, w), C order
        What is weighed.
    column : int
        The first of sixteen columns.
    out : float32, shape (w, m), C order, written
        Of which 16 x 16 are written.

    """
    for k in range(at, at + LANES):
        sums = np.zeros(LANES, np.float32)
        for n in range(weights.shape[0]):
            sums += weights[n, k] * rows[firsts[k] + n, column : column + LANES]
        out[column : column + LANES, k] = sums


def weigh_wide(weights: Floats, at: int, rows: Floats, out: Floats) -> None:
    """Set four rows of ``out``, from ``at`` on, 64 columns each, to ``weights @ rows``, added in index order.

    Parameters
    ----------
    weights : float32, shape (m, n), C order
        Four rows of it are used.
    at : int
        The first of them.
    rows : float32, shape (n, 64), C order
        What is weighed.
    out : float32, shape (m, 64), C order, written
        Of which four rows are written.

    """
    for k in range(at, at + CHAINS):
        sums = np.zeros(rows.shape[1], np.float32)
        for n in range(rows.shape[0]):
            sums += weights[k, n] * rows[n]
        out[k] = sums


def weigh_tall(weights: Floats, rows: Floats, out: Floats) -> None:
    """Set ``out`` to ``weights @ rows``, added in index order; float32, (16, n) @ (n, 16) in C order."""
    for k in range(LANES):
        sums = np.zeros(LANES, np.float32)
        for n in range(rows.shape[0]):
            sums += weights[k, n] * rows[n]
        out[k] = sums


def luma_lanes(sums: Shorts, at: int, line: Floats) -> None:
    """Set ``line[at : at + 16]`` to the luma of sixteen pixels; uint16, shape (3 * w,), and float32, shape (w,)."""
    red, green, blue = sums[3 * at : 3 * (at + LANES)].astype(np.float32).reshape(LANES, 3).T
    one, two, three = np.array(SHARES, np.float32)
    line[at : at + LANES] = one * red + two * green + three * blue


def fold_lanes(line: Floats, at: int, share: np.float32, means: Floats) -> None:
    """Set ``means[at : at + 16]`` to ``share * line[2 * at] + share * line[2 * at + 1]``, and so on."""
    pairs = line[2 * at : 2 * (at + LANES)].reshape(LANES, 2)
    means[at : at + LANES] = share * pairs[:, 0] + share * pairs[:, 1]


def _data(context: Any, builder: Any, signature: Any, args: Any, at: int) -> Any:
    """Address of the first item of the array that is argument ``at``, and its last dimension."""
    array = context.make_array(signature.args[at])(context, builder, args[at])
    shape = cgutils.unpack_tuple(builder, array.shape)  # type: ignore[no-untyped-call]
    return array.data, shape


def _vector_at(builder: Any, data: Any, index: Any, kind: Any = _VECTOR) -> Any:
    """Address of a vector that begins with an item."""
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _load(builder: Any, data: Any, index: Any, kind: Any = _VECTOR, align: int = _FLOAT_BYTES) -> Any:
    """Load a vector, aligned as one of its items is."""
    items = builder.load(_vector_at(builder, data, index, kind))
    items.align = align
    return items


def _store(builder: Any, vector: Any, data: Any, index: Any) -> None:
    """Store sixteen floats, aligned as one of them is."""
    builder.store(vector, _vector_at(builder, data, index)).align = _FLOAT_BYTES


def _shuffled(builder: Any, first: Any, second: Any, lanes: Sequence[int]) -> Any:
    """Vector of the given lanes of two others, those of the second counted on from those of the first."""
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes)))


def _spread(builder: Any, value: Any, zeros: Any = _ZEROS) -> Any:
    """Sixteen times the same value."""
    return _shuffled(builder, builder.insert_element(zeros, value, _I32(0)), zeros, [0] * LANES)


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """Columns of sixteen vectors: blocks of 1, 2, 4 and 8 lanes change places with those of their partner."""
    for size in (1, 2, 4, 8):
        stay = [lane if not lane & size else LANES + lane - size for lane in range(LANES)]
        move = [lane + size if not lane & size else LANES + lane for lane in range(LANES)]
        turned = list(rows)
        for k in (k for k in range(LANES) if not k & size):
            turned[k] = _shuffled(builder, rows[k], rows[k + size], stay)
            turned[k + size] = _shuffled(builder, rows[k], rows[k + size], move)
        rows = turned
    return rows


def _chains(builder: Any, count: int, length: Any, step: Callable[[Any], Sequence[tuple[Any, Any]]]) -> list[Any]:
    """Add up ``count`` chains of ``length`` products; ``step`` loads the two factors of each chain."""
    totals = [cgutils.alloca_once_value(builder, _ZEROS) for _ in range(count)]  # type: ignore[no-untyped-call]
    with cgutils.for_range(builder, length) as loop:
        for total, factors in zip(totals, step(loop.index), strict=True):
            builder.store(builder.fadd(builder.load(total), builder.fmul(*factors)), total)
    return [builder.load(total) for total in totals]


def _weigh_turned(_typing: Any, weights: Any, firsts: Any, at: Any, rows: Any, column: Any, out: Any) -> Any:
    """Build the instructions of :func:`weigh_turned`."""
    del at, column

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (factors, (taps, stride)), (begins, _), (values, (_, width)), (result, (_, across)) = (
            _data(context, builder, signature, args, n) for n in (0, 1, 3, 5)
        )
        begin, column = args[2], args[4]
        places = [builder.add(begin, _I64(k)) for k in range(LANES)]
        starts = [builder.add(builder.mul(builder.load(builder.gep(begins, [k])), width), column) for k in places]

        def step(tap: Any) -> list[tuple[Any, Any]]:
            below, line = builder.mul(tap, width), builder.mul(tap, stride)
            return [
                (
                    _spread(builder, builder.load(builder.gep(factors, [builder.add(line, place)]))),
                    _load(builder, values, builder.add(start, below)),
                )
                for place, start in zip(places, starts, strict=True)
            ]

        for lane, sums in enumerate(_turned(builder, _chains(builder, LANES, taps, step))):
            row = builder.mul(builder.add(column, _I64(lane)), across)
            _store(builder, sums, result, builder.add(row, begin))
        return context.get_dummy_value()

    return types.void(weights, firsts, types.int64, rows, types.int64, out), codegen


def _product(builder: Any, arrays: Sequence[Any], at: Any, height: int, vectors: int) -> None:
    """Multiply ``height`` rows of weights, from ``at`` on, with the first ``vectors`` vectors of rows."""
    (factors, (_, stride)), (values, (length, width)), (result, (_, across)) = arrays
    lines = [builder.add(at, _I64(k)) for k in range(height)]

    def step(n: Any) -> list[tuple[Any, Any]]:
        row = builder.mul(n, width)
        items = [_load(builder, values, builder.add(row, _I64(LANES * v))) for v in range(vectors)]
        ones = [builder.load(builder.gep(factors, [builder.add(builder.mul(k, stride), n)])) for k in lines]
        return [(spread, item) for spread in (_spread(builder, one) for one in ones) for item in items]

    sums = _chains(builder, height * vectors, length, step)
    for k, line in enumerate(lines):
        for v in range(vectors):
            place = builder.add(builder.mul(line, across), _I64(LANES * v))
            _store(builder, sums[k * vectors + v], result, place)


def _weigh_wide(_typing: Any, weights: Any, at: Any, rows: Any, out: Any) -> Any:
    """Build the instructions of :func:`weigh_wide`."""
    del at

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = [_data(context, builder, signature, args, n) for n in (0, 2, 3)]
        _product(builder, arrays, args[1], CHAINS, CHAINS)
        return context.get_dummy_value()

    return types.void(weights, types.int64, rows, out), codegen


def _weigh_tall(_typing: Any, weights: Any, rows: Any, out: Any) -> Any:
    """Build the instructions of :func:`weigh_tall`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = [_data(context, builder, signature, args, n) for n in range(3)]
        _product(builder, arrays, _I64(0), LANES, 1)
        return context.get_dummy_value()

    return types.void(weights, rows, out), codegen


def _luma_lanes(_typing: Any, sums: Any, at: Any, line: Any) -> Any:
    """Build the instructions of :func:`luma_lanes`."""
    del at

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (pixels, _), (result, _) = (_data(context, builder, signature, args, n) for n in (0, 2))
        colours = len(SHARES)
        items = _load(builder, pixels, builder.mul(args[1], _I64(colours)), _SHORTS, _SHORT_BYTES)
        parts = []
        for colour, share in enumerate(SHARES):
            lanes = _shuffled(builder, items, items, range(colour, colours * LANES, colours))
            constant = ir.Constant(_VECTOR, [float(np.float32(share))] * LANES)
            parts.append(builder.fmul(constant, builder.uitofp(builder.zext(lanes, _WORDS), _VECTOR)))
        _store(builder, builder.fadd(builder.fadd(parts[0], parts[1]), parts[2]), result, args[1])
        return context.get_dummy_value()

    return types.void(sums, types.int64, line), codegen


def _fold_lanes(_typing: Any, line: Any, at: Any, share: Any, means: Any) -> Any:
    """Build the instructions of :func:`fold_lanes`."""
    del at, share

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (values, _), (result, _) = (_data(context, builder, signature, args, n) for n in (0, 3))
        begin, spread = builder.mul(args[1], _I64(2)), _spread(builder, args[2])
        low, high = _load(builder, values, begin), _load(builder, values, builder.add(begin, _I64(LANES)))
        even, odd = (_shuffled(builder, low, high, range(first, 2 * LANES, 2)) for first in range(2))
        _store(builder, builder.fadd(builder.fmul(spread, even), builder.fmul(spread, odd)), result, args[1])
        return context.get_dummy_value()

    return types.void(line, types.int64, types.float32, means), codegen


_weigh_turned_lanes: Callable[..., None] = intrinsic(_weigh_turned)
_weigh_wide_lanes: Callable[..., None] = intrinsic(_weigh_wide)
_weigh_tall_lanes: Callable[..., None] = intrinsic(_weigh_tall)
_luma_of_lanes: Callable[..., None] = intrinsic(_luma_lanes)
_folded_lanes: Callable[..., None] = intrinsic(_fold_lanes)


@overload(weigh_turned, strict=False)
def _compiled_weigh_turned(weights: Any, firsts: Any, at: Any, rows: Any, column: Any, out: Any) -> Any:
    """Give kernels :func:`weigh_turned`."""
    del weights, firsts, at, rows, column, out
    return lambda weights, firsts, at, rows, column, out: _weigh_turned_lanes(weights, firsts, at, rows, column, out)  # noqa: PLW0108  (Numba wants a function)


@overload(weigh_wide, strict=False)
def _compiled_weigh_wide(weights: Any, at: Any, rows: Any, out: Any) -> Any:
    """Give kernels :func:`weigh_wide`."""
    del weights, at, rows, out
    return lambda weights, at, rows, out: _weigh_wide_lanes(weights, at, rows, out)  # noqa: PLW0108  (same)


@overload(weigh_tall, strict=False)
def _compiled_weigh_tall(weights: Any, rows: Any, out: Any) -> Any:
    """Give kernels :func:`weigh_tall`."""
    del weights, rows, out
    return lambda weights, rows, out: _weigh_tall_lanes(weights, rows, out)  # noqa: PLW0108  (same)


@overload(luma_lanes, strict=False)
def _compiled_luma(sums: Any, at: Any, line: Any) -> Any:
    """Give kernels :func:`luma_lanes`."""
    del sums, at, line
    return lambda sums, at, line: _luma_of_lanes(sums, at, line)  # noqa: PLW0108  (same)


@overload(fold_lanes, strict=False)
def _compiled_fold(line: Any, at: Any, share: Any, means: Any) -> Any:
    """Give kernels :func:`fold_lanes`."""
    del line, at, share, means
    return lambda line, at, share, means: _folded_lanes(line, at, share, means)  # noqa: PLW0108  (same)
