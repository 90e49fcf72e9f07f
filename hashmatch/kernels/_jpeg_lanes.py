"""The steps of decoding a JPEG that a loop over numbers would do one at a time, in vector instructions.

Theory of operation
-------------------
As in ``_vectors.py``: LLVM's own portable vector types, and ordinary functions that compute the same bits in NumPy
where there is no compiler. Everything is whole numbers, so there is one right answer: that of libjpeg.

* :func:`big_word` loads eight bytes, the first one highest, as a stream of bits is read.
* :func:`unmarked` looks for markers among bytes, and :func:`copied` copies them.
* :func:`colours` enlarges the two colour channels as libjpeg does ("fancy upsampling": three quarters of the nearer
  sample and one quarter of the farther one along each side that was halved) and turns 32 pixels into RGB.

What this module deliberately does not do: it checks no bounds. Callers pad.

Source: ITU-T T.81; ITU-T T.871 section 7; libjpeg 6b, ``jdsample.c``, ``jdcolor.c``.
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

from hashmatch.kernels._vectors import array_of, spread_to

Pixels = npt.NDArray[np.uint8]

PIXELS: Final = 32
"""Pixels of one call of :func:`colours`, and bytes of one of :func:`copied`."""
NOT_HALVED: Final = 2
"""What :func:`colours` is told where colours are as fine as luma."""
MARK: Final = 0xFF
"""The byte with which every marker begins."""

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES, _HALVES = ir.VectorType(_I8, PIXELS), ir.VectorType(_I8, PIXELS // 2)


def fixed(value: float, bits: int) -> int:
    """Return a constant as libjpeg has it: a whole number of ``2 ** -bits``, rounded."""
    return int(value * (1 << bits) + 0.5)


def big_word(data: Pixels, at: int) -> np.uint64:
    """Load eight bytes from ``at`` on, the first one highest; uint8, C order, read-only ok; all eight must exist."""
    return np.uint64(int.from_bytes(data[at : at + 8].tobytes(), "big"))


def unmarked(data: Pixels, at: int) -> int:
    """Return how many of the 32 bytes from ``at`` on, which must exist, come before the first that is 255."""
    found = np.flatnonzero(data[at : at + PIXELS] == MARK)
    return int(found[0]) if found.size else PIXELS


def copied(data: Pixels, at: int, out: Pixels, to: int) -> int:
    """Copy 32 bytes; return how many of them come before the first that is 255.

    Parameters
    ----------
    data, out : uint8, C order, the first read-only ok
        From and to where.
    at, to : int
        Where the 32 bytes begin; all must exist.

    """
    some = data[at : at + PIXELS]
    out[to : to + PIXELS] = some
    found = np.flatnonzero(some == MARK)
    return int(found[0]) if found.size else PIXELS


def colours(
    luma: Pixels, blue: Pixels, red: Pixels, rows: tuple[int, int, int], places: tuple[int, int],
    fine: int, out: Pixels, to: int,
) -> None:  # fmt: skip
    """Write 32 RGB pixels.

    Parameters
    ----------
    luma, blue, red : uint8, two dimensions, C order, read-only ok
        The three channels: Y, Cb, Cr.
    rows : tuple of int
        Row of the luma, and of the nearer and the farther row of the other two: the same where they are not halved
        down the columns.
    places : tuple of int
        Where the 32 values of luma begin, and the 16 or 32 of the others.
    fine : int
        0 where the colours are halved along both sides, 1 where only along the rows, 2 where they are not halved. In
        the first two cases one value beside the 16, on both sides, must exist.
    out : uint8, C order, written
        Of which 96 in a row are written, seen as one-dimensional.
    to : int
        Where they begin.

    """
    y = luma[rows[0], places[0] : places[0] + PIXELS].astype(np.int64)
    cb, cr = (_enlarged(channel, rows[1:], places[1], fine) - 128 for channel in (blue, red))
    half = 1 << 15
    rgb = np.stack(
        [
            y + ((fixed(1.402, 16) * cr + half) >> 16),
            y + ((-fixed(0.34414, 16) * cb - fixed(0.71414, 16) * cr + half) >> 16),
            y + ((fixed(1.772, 16) * cb + half) >> 16),
        ],
        axis=1,
    )
    out.reshape(-1)[to : to + 3 * PIXELS] = np.clip(rgb, 0, 255).ravel()


def _enlarged(channel: Pixels, rows: tuple[int, ...], place: int, fine: int) -> npt.NDArray[np.int64]:
    """Return 32 values of a colour channel."""
    near, far = (channel[row].astype(np.int64) for row in rows)
    if fine == NOT_HALVED:
        whole: npt.NDArray[np.int64] = near[place : place + PIXELS]
        return whole
    sums = 3 * near + far
    middle, before, after = (sums[place + shift : place + shift + PIXELS // 2] for shift in (0, -1, 1))
    bias = _BIASES[fine]
    pair = np.stack([(3 * middle + before + bias[0]) >> 4, (3 * middle + after + bias[1]) >> 4], axis=1)
    values: npt.NDArray[np.int64] = pair.ravel()
    return values


_BIASES: Final = ((8, 7), (4, 8))
"""What is added before a sixteenth is taken, at even and odd pixels; where one side is halved, 1 and 2 quarters."""


def all_of(vector: Any, value: int) -> Any:
    """Vector of one constant."""
    return ir.Constant(vector, [value] * vector.count)


def mixed(builder: Any, left: Any, right: Any, lanes: list[int]) -> Any:
    """Vector of the given lanes of two others."""
    return builder.shuffle_vector(left, right, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))


def clamped(builder: Any, value: Any) -> Any:
    """Vector of bytes: what is below 0 is 0, what is above 255 is 255."""
    kind = value.type
    nothing, white = all_of(kind, 0), all_of(kind, 255)
    positive = builder.select(builder.icmp_signed(">", value, nothing), value, nothing)
    return builder.trunc(
        builder.select(builder.icmp_signed("<", positive, white), positive, white), ir.VectorType(_I8, kind.count)
    )


def _load(builder: Any, array: Any, at: Any, kind: Any) -> Any:
    """Vector of consecutive items of an array seen as one-dimensional, aligned to nothing."""
    items = builder.load(builder.bitcast(builder.gep(array.data, [at]), kind.as_pointer()))
    items.align = 1
    return items


def _big_word(_typing: Any, data: Any, at: Any) -> Any:
    """Build the instructions of :func:`big_word`."""
    del at

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        items = array_of(context, builder, signature, args, 0)
        word = _load(builder, items, args[1], _I64)
        return builder.bswap(word)

    return types.uint64(data, types.int64), codegen


def _before_mark(builder: Any, items: Any) -> Any:
    """Count 32 bytes up to the first that is 255."""
    marks = builder.zext(builder.bitcast(builder.icmp_unsigned("==", items, all_of(_BYTES, MARK)), _I32), _I64)
    return builder.cttz(builder.or_(marks, _I64(1 << PIXELS)), ir.Constant(ir.IntType(1), 1))


def _unmarked(_typing: Any, data: Any, at: Any) -> Any:
    """Build the instructions of :func:`unmarked`."""
    del at

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _before_mark(builder, _load(builder, array_of(context, builder, signature, args, 0), args[1], _BYTES))

    return types.int64(data, types.int64), codegen


def _copied(_typing: Any, data: Any, at: Any, out: Any, to: Any) -> Any:
    """Build the instructions of :func:`copied`."""
    del at, to

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, target = (array_of(context, builder, signature, args, at) for at in (0, 2))
        items = _load(builder, source, args[1], _BYTES)
        place = builder.bitcast(builder.gep(target.data, [args[3]]), _BYTES.as_pointer())
        builder.store(items, place).align = 1
        return _before_mark(builder, items)

    return types.int64(data, types.int64, out, types.int64), codegen


def _wide(builder: Any, value: Any, bits: Any = _I16) -> Any:
    """Vector of the same bytes in more bits."""
    return builder.zext(value, ir.VectorType(bits, value.type.count))


def _enlarge(builder: Any, channel: Any, places: tuple[Any, Any], biases: tuple[Any, Any]) -> Any:
    """Vector of 32 values (16 bits) of a colour channel that is halved along the rows."""
    sums = []
    for shift in (0, -1, 1):
        closer, other = (
            _wide(builder, _load(builder, channel, builder.add(at, _I64(shift)), _HALVES)) for at in places
        )
        sums.append(builder.add(builder.mul(closer, all_of(closer.type, 3)), other))
    middle = builder.mul(sums[0], all_of(sums[0].type, 3))
    pair = [
        builder.lshr(builder.add(builder.add(middle, beside), bias), all_of(middle.type, 4))
        for beside, bias in zip(sums[1:], biases, strict=True)
    ]
    lanes = [lane // 2 + PIXELS // 2 * (lane % 2) for lane in range(PIXELS)]
    return mixed(builder, pair[0], pair[1], lanes)


def _scaled(builder: Any, value: Any, factor: int) -> Any:
    """``(value * factor + 2 ** 15) >> 16`` in 16 bits, for factors below ``2 ** 15``: doubled, multiplied, halved."""
    long = ir.VectorType(_I32, value.type.count)
    doubled = builder.sext(builder.add(value, value), long)
    upper = builder.trunc(builder.ashr(builder.mul(doubled, all_of(long, factor)), all_of(long, 16)), value.type)
    return builder.ashr(builder.add(upper, all_of(value.type, 1)), all_of(value.type, 1))


def _rgb(builder: Any, luma: Any, blue: Any, red: Any) -> list[Any]:
    """Vectors of bytes: red, green and blue of 32 values (16 bits) of luma and of both colours less 128."""
    long = ir.VectorType(_I32, PIXELS)
    # 1.402 = 1 + 0.402; 1.772 = 2 - 0.228; 0.71414 = 1 - 0.28586: what is left fits 16 bits
    to_red = builder.add(red, _scaled(builder, red, fixed(1.402, 16) - (1 << 16)))
    to_blue = builder.add(builder.add(blue, blue), _scaled(builder, blue, fixed(1.772, 16) - (1 << 17)))
    products = [
        builder.mul(builder.sext(value, long), all_of(long, factor))
        for value, factor in ((blue, -fixed(0.34414, 16)), (red, (1 << 16) - fixed(0.71414, 16)))
    ]
    mixed = builder.add(builder.add(*products), all_of(long, 1 << 15))
    to_green = builder.sub(builder.trunc(builder.ashr(mixed, all_of(long, 16)), red.type), red)
    return [clamped(builder, builder.add(luma, some)) for some in (to_red, to_green, to_blue)]


def _colours(_typing: Any, luma: Any, blue: Any, red: Any, rows: Any, places: Any, fine: Any, out: Any, to: Any) -> Any:
    """Build the instructions of :func:`colours`."""
    del fine, to

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        channels = [array_of(context, builder, signature, args, at) for at in range(3)]
        target = array_of(context, builder, signature, args, 6)
        row = [builder.extract_value(args[3], at) for at in range(3)]
        place = [builder.extract_value(args[4], at) for at in range(2)]
        pitches = [builder.extract_value(channel.shape, 1) for channel in channels]
        y = _wide(builder, _load(builder, channels[0], builder.add(builder.mul(row[0], pitches[0]), place[0]), _BYTES))
        kept = [cgutils.alloca_once(builder, y.type) for _ in range(2)]  # type: ignore[no-untyped-call]
        offsets = [[builder.add(builder.mul(at, pitch), place[1]) for at in row[1:]] for pitch in pitches[1:]]
        halved = builder.icmp_signed("<", args[5], _I64(NOT_HALVED))
        with builder.if_else(halved) as (then, otherwise):
            with then:
                both = builder.icmp_signed("==", args[5], _I64(0))
                some = ir.VectorType(_I16, PIXELS // 2)
                chosen = [
                    builder.select(both, _I16(first), _I16(second)) for first, second in zip(*_BIASES, strict=True)
                ]
                even, odd = (spread_to(builder, bias, some) for bias in chosen)
                for channel, offset, keep in zip(channels[1:], offsets, kept, strict=True):
                    builder.store(_enlarge(builder, channel, (offset[0], offset[1]), (even, odd)), keep)
            with otherwise:
                for channel, offset, keep in zip(channels[1:], offsets, kept, strict=True):
                    builder.store(_wide(builder, _load(builder, channel, offset[0], _BYTES)), keep)
        cb, cr = (builder.sub(builder.load(keep), all_of(y.type, 128)) for keep in kept)
        r, g, b = _rgb(builder, y, cb, cr)
        first = mixed(builder, r, g, list(range(2 * PIXELS)))
        second = mixed(builder, b, b, list(range(2 * PIXELS)))
        lanes = [PIXELS * (lane % 3) + lane // 3 for lane in range(3 * PIXELS)]
        items = mixed(builder, first, second, lanes)
        builder.store(items, builder.bitcast(builder.gep(target.data, [args[7]]), items.type.as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(luma, blue, red, rows, places, types.int64, out, types.int64), codegen


_big_word_lanes: Callable[..., np.uint64] = intrinsic(_big_word)
_unmarked_lanes: Callable[..., int] = intrinsic(_unmarked)
_copied_lanes: Callable[..., int] = intrinsic(_copied)
_colour_lanes: Callable[..., None] = intrinsic(_colours)


@overload(big_word, strict=False, inline="always")
def _compiled_big_word(data: Any, at: Any) -> Callable[..., Any]:
    """Give kernels :func:`big_word`."""
    del data, at
    return lambda data, at: _big_word_lanes(data, at)  # noqa: PLW0108  (Numba wants a function)


@overload(unmarked, strict=False, inline="always")
def _compiled_unmarked(data: Any, at: Any) -> Callable[..., Any]:
    """Give kernels :func:`unmarked`."""
    del data, at
    return lambda data, at: _unmarked_lanes(data, at)  # noqa: PLW0108  (same)


@overload(copied, strict=False, inline="always")
def _compiled_copied(data: Any, at: Any, out: Any, to: Any) -> Callable[..., Any]:
    """Give kernels :func:`copied`."""
    del data, at, out, to
    return lambda data, at, out, to: _copied_lanes(data, at, out, to)  # noqa: PLW0108  (same)


@overload(colours, strict=False, inline="always")
def _compiled_colours(
    luma: Any, blue: Any, red: Any, rows: Any, places: Any, fine: Any, out: Any, to: Any
) -> Callable[..., Any]:
    """Give kernels :func:`colours`."""
    del luma, blue, red, rows, places, fine, out, to

    def call(luma: Any, blue: Any, red: Any, rows: Any, places: Any, fine: Any, out: Any, to: Any) -> Any:  # the same
        return _colour_lanes(luma, blue, red, rows, places, fine, out, to)

    return call
