"""The entropy-coded data of a baseline JPEG: tables of its Huffman codes, and its blocks one after the other.

Theory of operation
-------------------
* :func:`unstuff` copies the data without the zeros that follow a byte of 255, and notes where restart intervals end.
  So the bits can be loaded eight bytes at a time without looking at any of them.
* :func:`fill_table` makes a table of what the next ten bits mean: how many bits a code and its value take, how many
  coefficients they stand for, and the value itself wherever it fits. Longer codes are looked for by their length.
  :func:`fill_strides` makes a table of how far as many codes as possible go that begin in the next twelve bits.
* :func:`read_block` reads a block by the first table, :func:`skip_block` all of it but its mean by both.

*Objections*: a code that does not exist, a coefficient beyond the last, bits missing or left over, a marker that should
not be there, coefficients of a size that no picture has. libjpeg warns of most of them and mends them in ways of its
own; here they are only noticed.

Memory safety, for these are strangers' bytes and nothing here checks an index: a table is looked up by as many bits as
it has items; a coefficient's place is below 64 or the loop has ended; and a minimum coded unit takes at most
``PADDING`` bytes, of which so many follow the data, and callers check after each unit that the data has not ended.

What this module deliberately does not do: it parses no header, it allocates nothing, and it reads neither progressive
nor arithmetic codes.

Source: ITU-T T.81 Annex F; libjpeg 6b, ``jdhuff.c``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import boolean, group, int32, int64, kernel, readonly, uint8, uint16, uint64, void, writable
from hashmatch.kernels._jpeg_lanes import MARK, PIXELS, SIDE, big_word, copied

Pixels = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Strides = npt.NDArray[np.uint16]

BLOCK: Final = SIDE * SIDE
LOOK: Final = 10
"""Bits that a table is looked up by."""
STRIDE_LOOK: Final = 12
"""Bits that a table of strides is looked up by."""
LENGTHS: Final = 16
"""Bits of the longest code."""
LIMITS: Final = 1 << LOOK
OFFSETS: Final = LIMITS + LENGTHS + 1
SYMBOLS: Final = OFFSETS + LENGTHS + 1
TABLE: Final = SYMBOLS + 256
"""Items of a table: what ten bits mean; by length, the last code and where codes begin among the symbols; symbols."""
LARGEST_SUM: Final = 5_800
"""Of the magnitudes of a block's coefficients: then no sum in the transform exceeds 16 bits."""
LARGEST_MEAN: Final = 4_080
"""Of a block, eightfold: libjpeg folds what is above 511."""
PADDING: Final = 4_096
"""Bytes behind the data: ten blocks of 64 coefficients of 27 bits, and what is loaded beyond."""
_ZERO, _RESTART, _END = 0x00, 0xD0, 0xD9
_DC_BITS, _AC_BITS = 11, 10
"""Bits of the longest values that eight-bit pictures have."""
_END_OF_BLOCK = 96
"""How many coefficients the end of a block is worth: more than any run over the last one, which is 79 at most."""
_LONGEST_RUN = 15
"""Of zeros before a value; without one, sixteen zeros."""
_PARTIAL, _ENDS = 1 << 15, 1 << 12

# fmt: off
NATURAL: Final = np.array([
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
], np.int64)
# fmt: on
"""Place in a block, row by row, of each coefficient in the order of the data (T.81 figure A.6)."""


@kernel(int64, readonly(uint8), int64, writable(uint8), writable(int64), counted=False)
def unstuff(data: Pixels, begin: int, out: Pixels, ends: Longs) -> int:
    """Copy entropy-coded data without its stuffed zeros and restart markers.

    Parameters
    ----------
    data : uint8, shape (n,), read-only ok
        The file.
    begin : int
        Where the data begins.
    out : uint8, shape (at least n - begin + PADDING,), written
        The data, then zeros: ``PADDING`` of them.
    ends : int64, shape (intervals,), written
        Where in ``out`` each restart interval ends.

    Returns
    -------
    int
        How many bytes were copied; -1 unless there are so many intervals, in order, and then the end of the image.

    """
    at, to, interval = begin, 0, 0
    while at < data.shape[0]:
        if at + PIXELS <= data.shape[0]:
            count = copied(data, at, out, to)
            at, to = at + count, to + count
            if count == PIXELS:
                continue
        if data[at] != MARK:
            out[to] = data[at]
            at, to = at + 1, to + 1
            continue
        marker = data[at + 1] if at + 1 < data.shape[0] else MARK
        at += 2
        if marker == _ZERO:
            out[to] = MARK
            to += 1
            continue
        if interval == ends.shape[0]:
            return -1
        ends[interval] = to
        interval += 1
        if marker == _END and interval == ends.shape[0]:
            for k in range(PADDING):
                out[to + k] = np.uint8(0)
            return to
        if marker != _RESTART + (interval - 1) % 8:
            return -1
    return -1


@kernel(int64, int64, int64, counted=False, inlined=True)
def _signed(bits: int, size: int) -> int:
    """Value of ``size`` bits: those that begin with a zero are negative (T.81 table F.1)."""
    return bits if bits >> (size - 1) else bits - (1 << size) + 1


@kernel(int64, int64, int64, boolean, int64)
def _meaning(symbol: int, length: int, coefficients: bool, rest: int) -> int:  # noqa: FBT001  (kernels take positions)
    """Item of a table for a code of ``length`` bits that is followed by the bits ``rest``, ``LOOK - length`` of them.

    Bits 0 to 7: how many bits are used up; 8 to 14: by how many coefficients to advance; 15: whether the value is still
    to be read, with its size in the upper half; otherwise the value in the upper half. -1 if there is no such symbol.
    """
    size, run = (symbol & 15, symbol >> 4) if coefficients else (symbol, 0)
    if size > (_AC_BITS if coefficients else _DC_BITS) or (size == 0 and 0 < run < _LONGEST_RUN):
        return -1
    advance = _END_OF_BLOCK if coefficients and symbol == 0 else run + 1
    if size == 0:
        return advance << 8 | length
    left = LOOK - length - size
    if left < 0:
        return size << 16 | _PARTIAL | advance << 8 | length
    return _signed(rest >> left, size) << 16 | advance << 8 | length + size


@kernel(boolean, readonly(uint8), readonly(uint8), boolean, writable(int32))
def fill_table(lengths: Pixels, symbols: Pixels, coefficients: bool, table: Whole) -> bool:  # noqa: FBT001  (same)
    """Make the table of a Huffman code.

    Parameters
    ----------
    lengths : uint8, shape (16,), read-only ok
        How many codes of each length there are.
    symbols : uint8, shape (256,), read-only ok
        What they stand for; the first ``lengths.sum()``.
    coefficients : bool
        Whether they stand for runs and sizes of coefficients, not for sizes of differences.
    table : int32, shape (TABLE,), all zero
        The result.

    Returns
    -------
    bool
        Whether there is such a code, and each of its symbols exists.

    """
    code = at = 0
    for length in range(1, LENGTHS + 1):
        count = int(lengths[length - 1])
        if code + count > 1 << length or at + count > symbols.shape[0]:
            return False
        table[OFFSETS + length] = at - code
        for _ in range(count):
            table[SYMBOLS + at] = symbols[at]
            if _meaning(int(symbols[at]), LENGTHS, coefficients, 0) < 0:
                return False
            if length <= LOOK:
                rests = 1 << LOOK - length
                for rest in range(rests):
                    table[code * rests + rest] = _meaning(int(symbols[at]), length, coefficients, rest)
            code, at = code + 1, at + 1
        table[LIMITS + length] = code
        code <<= 1
    return True


@kernel(int64, readonly(int32), int64, counted=False)
def _stride(table: Whole, bits: int) -> int:
    """Item of a table of strides, for the next ``STRIDE_LOOK`` bits and a result of :func:`fill_table`.

    Bits 0 to 5: how many bits are used up; 6 to 11: by how many coefficients to advance; 12: whether the end of the
    block follows, which is then included. 0 if the first code is a long one.
    """
    used = advance = 0
    while used < STRIDE_LOOK:
        item = int(table[((bits << used) & ((1 << STRIDE_LOOK) - 1)) >> (STRIDE_LOOK - LOOK)])
        size, step = item & 255, item >> 8 & 127
        if item & _PARTIAL:
            size += item >> 16
        if item == 0 or (used and used + size > STRIDE_LOOK) or (step != _END_OF_BLOCK and advance + step >= BLOCK):
            break
        used += size
        if step == _END_OF_BLOCK:
            return _ENDS | advance << 6 | used
        advance += step
    return advance << 6 | used


@kernel(void, readonly(int32), writable(uint16))
def fill_strides(table: Whole, strides: Strides) -> None:
    """Make the table of strides, uint16, shape (2 ** STRIDE_LOOK,), of a result of :func:`fill_table`."""
    for bits in range(strides.shape[0]):
        strides[bits] = _stride(table, bits)


@kernel(int64, readonly(int32, 2), int64, uint64, boolean, counted=False)
def _long_code(tables: Whole, row: int, window: np.uint64, coefficients: bool) -> int:  # noqa: FBT001  (same)
    """Item of a table, without its value, for a code that is longer than ``LOOK`` bits; 0 if there is none.

    Codes of one length are consecutive, and begin at twice the end of those that are a bit shorter.
    """
    for length in range(LOOK + 1, LENGTHS + 1):
        code = int(np.int64(window >> np.uint64(64 - length)))
        if code < tables[row, LIMITS + length]:
            return _meaning(int(tables[row, SYMBOLS + code + tables[row, OFFSETS + length]]), length, coefficients, 0)
    return 0


@kernel(
    group(int64, uint64, int64, int64, int64),
    readonly(uint8),
    int64,
    uint64,
    int64,
    readonly(int32, 2),
    int64,
    boolean,
    counted=False,
    inlined=True,
)
def _next(
    bits: Pixels,
    at: int,
    window: np.uint64,
    held: int,
    tables: Whole,
    row: int,
    coefficients: bool,  # noqa: FBT001  (same)
) -> tuple[int, np.uint64, int, int, int]:
    """Read a code and its value.

    Parameters
    ----------
    bits : uint8, shape (n,), read-only ok
        Result of :func:`unstuff`.
    at, window, held : int
        The byte that is loaded next, 64 bits of which the upper ones are next, and how many of them count.
    tables, row
        The table is that row.
    coefficients : bool
        As for :func:`fill_table`.

    Returns
    -------
    tuple of int
        ``at``, ``window``, ``held``; by how many coefficients to advance, 0 if there is no such code; the value.

    """
    window |= big_word(bits, at) >> np.uint64(held)
    at += (63 - held) >> 3
    held |= 56
    item = int(tables[row, np.int64(window >> np.uint64(64 - LOOK))])
    if item == 0:
        item = _long_code(tables, row, window, coefficients)
    used, value = item & 255, item >> 16
    window <<= np.uint64(used)
    held -= used
    if item & _PARTIAL:
        size = value
        value = _signed(int(np.int64(window >> np.uint64(64 - size))), size)
        window <<= np.uint64(size)
        held -= size
    return at, window, held, item >> 8 & 127, value


@kernel(
    group(int64, uint64, int64, int64, int64),
    *(readonly(uint8), int64, uint64, int64, readonly(int32, 2), int64, int64, readonly(int32, 2), int64),
    *(int64, writable(int32)),
    counted=False,
    inlined=True,
)
def read_block(
    bits: Pixels, at: int, window: np.uint64, held: int, tables: Whole, first: int, other: int,
    quantisers: Whole, kind: int, before: int, coefficients: Whole,
) -> tuple[int, np.uint64, int, int, int]:  # fmt: skip
    """Read one block.

    Parameters
    ----------
    bits, at, window, held, tables
        As for :func:`_next`.
    first, other : int
        Rows of the table of the first coefficient and of that of the others.
    quantisers : int32, shape (n, 64), read-only ok
        In the order of the data.
    kind : int
        Row of the quantisers.
    before : int
        The first coefficient of the block before.
    coefficients : int32, shape (64,), all zero
        The result, row by row.

    Returns
    -------
    tuple of int
        ``at``, ``window``, ``held``; the first coefficient; how many there are up to the last that the data has;
        0 if there is an objection.

    """
    at, window, held, advance, value = _next(bits, at, window, held, tables, first, False)  # noqa: FBT003  (same)
    objection = advance == 0
    before += value
    value = before * int(quantisers[kind, 0])
    coefficients[0] = value
    total, k, count = abs(value), 0, 1
    while k < BLOCK - 1 and not objection:
        at, window, held, advance, value = _next(bits, at, window, held, tables, other, True)  # noqa: FBT003  (same)
        k += advance
        if k < BLOCK:
            value *= int(quantisers[kind, k])
            coefficients[NATURAL[k]] = value
            total += abs(value)
            count = k + 1
        objection = advance == 0
    if BLOCK <= k < _END_OF_BLOCK:
        objection = True
    return at, window, held, before, 0 if objection or total > LARGEST_SUM else count


@kernel(
    group(int64, uint64, int64, int64, boolean),
    *(readonly(uint8), int64, uint64, int64, readonly(int32, 2), readonly(uint16, 2), int64, int64, int64),
    counted=False,
    inlined=True,
)
def skip_block(
    bits: Pixels,
    at: int,
    window: np.uint64,
    held: int,
    tables: Whole,
    strides: Strides,
    first: int,
    other: int,
    before: int,
) -> tuple[int, np.uint64, int, int, bool]:
    """Read the first coefficient of a block and go to the end of it.

    Parameters
    ----------
    bits, at, window, held, tables, first, other, before
        As for :func:`read_block`.
    strides : uint16, shape (n, 2 ** STRIDE_LOOK), read-only ok
        Results of :func:`fill_strides`; rows as of ``tables``.

    Returns
    -------
    tuple
        ``at``, ``window``, ``held``; the first coefficient; whether there is an objection.

    """
    at, window, held, advance, value = _next(bits, at, window, held, tables, first, False)  # noqa: FBT003  (same)
    objection = advance == 0
    before += value
    k = 0
    while k < BLOCK - 1 and not objection:
        window |= big_word(bits, at) >> np.uint64(held)
        at += (63 - held) >> 3
        held |= 56
        item = int(strides[other, np.int64(window >> np.uint64(64 - STRIDE_LOOK))])
        step = item >> 6 & 63
        if item == 0 or k + step >= BLOCK - 1:  # what follows the last coefficient is another block
            at, window, held, advance, value = _next(bits, at, window, held, tables, other, True)  # noqa: FBT003  (same)
            objection = advance == 0
            k += advance
        else:
            window <<= np.uint64(item & 63)
            held -= item & 63
            k = _END_OF_BLOCK if item & _ENDS else k + step
    return at, window, held, before, objection or BLOCK <= k < _END_OF_BLOCK


@kernel(boolean, int64, int64, int64, counted=False)
def at_end(at: int, held: int, end: int) -> bool:
    """Say whether less than a byte is left of an interval that ends at byte ``end``, and nothing is missing."""
    left = 8 * end - (8 * at - held)
    return bool(left >> 3 == 0)
