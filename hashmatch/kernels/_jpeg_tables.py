"""Tables of the Huffman codes of a baseline JPEG: what the next few bits mean.

Theory of operation
-------------------
* :func:`fill_table` makes a table of what the next ten bits mean: how many bits a code and its value take, how many
  coefficients they stand for, and the value itself wherever it fits. Longer codes are looked for by their length.
* :func:`fill_pairs` makes one of the next eleven bits, for two codes with their values, and the end of the block if it
  follows. Half as many look-ups wait for the one before, and half as many branches are guessed wrongly.
* :func:`fill_strides` makes one of how far as many codes as possible go that begin in the next twelve bits.

What this module deliberately does not do: it reads no picture (``_jpeg_codes``), and allocates nothing.

Source: ITU-T T.81 Annex C and F; libjpeg 6b, ``jdhuff.c``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import boolean, int32, int64, kernel, readonly, uint8, uint16, void, writable
from hashmatch.kernels._jpeg_cosine import SIDE

Pixels = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Strides = npt.NDArray[np.uint16]

BLOCK: Final = SIDE * SIDE
LOOK: Final = 10
"""Bits that a table is looked up by."""
PAIR_LOOK: Final = 11
"""Bits that a table of pairs is looked up by: 16 KiB."""
STRIDE_LOOK: Final = 12
"""Bits that a table of strides is looked up by."""
LENGTHS: Final = 16
"""Bits of the longest code."""
LIMITS: Final = 1 << LOOK
OFFSETS: Final = LIMITS + LENGTHS + 1
SYMBOLS: Final = OFFSETS + LENGTHS + 1
TABLE: Final = SYMBOLS + 256
"""Items of a table: what ten bits mean; by length, the last code and where codes begin among the symbols; symbols."""
_DC_BITS: Final = 11
AC_BITS: Final = 10
"""Bits of the longest values that eight-bit pictures have."""
END_OF_BLOCK: Final = 96
"""How many coefficients the end of a block is worth: more than any run over the last one, which is 79 at most."""
_LONGEST_RUN = 15
"""Of zeros before a value; without one, sixteen zeros."""
PARTIAL: Final = 1 << 15
"""Set in an item of a table: the value is still to be read."""
STRIDE_ENDS: Final = 1 << 12
"""Set in an item of a table of strides: the end of the block is included."""
PAIR_ENDS: Final = 1 << 26
"""Set in an item of a table of pairs, likewise."""
NO_PAIR: Final = (BLOCK - 1) << 20
"""Item of a table of pairs where the first code or its value is not within the bits: further than any block goes."""


@kernel(int64, int64, int64, counted=False, inlined=True)
def signed(bits: int, size: int) -> int:
    """Value of ``size`` bits: those that begin with a zero are negative (T.81 table F.1); of none, zero."""
    return bits if bits >= (1 << size) >> 1 else bits - (1 << size) + 1


@kernel(int64, int64, int64, boolean, int64)
def meaning(symbol: int, length: int, coefficients: bool, rest: int) -> int:  # noqa: FBT001  (kernels take positions)
    """Item of a table for a code of ``length`` bits that is followed by the bits ``rest``, ``LOOK - length`` of them.

    Bits 0 to 7: how many bits are used up; 8 to 14: by how many coefficients to advance; 15: whether the value is still
    to be read, with its size in the upper half; otherwise the value in the upper half. -1 if there is no such symbol.
    A first coefficient is always still to be read: there is one in each block, and nobody could guess which kind it is.
    """
    size, run = (symbol & 15, symbol >> 4) if coefficients else (symbol, 0)
    if size > (AC_BITS if coefficients else _DC_BITS) or (size == 0 and 0 < run < _LONGEST_RUN):
        return -1
    if not coefficients:
        return size << 16 | PARTIAL | 1 << 8 | length
    advance = END_OF_BLOCK if symbol == 0 else run + 1
    if size == 0:
        return advance << 8 | length
    left = LOOK - length - size
    if left < 0:
        return size << 16 | PARTIAL | advance << 8 | length
    return signed(rest >> left, size) << 16 | advance << 8 | length + size


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
            if meaning(int(symbols[at]), LENGTHS, coefficients, 0) < 0:
                return False
            if length <= LOOK:
                rests = 1 << LOOK - length
                for rest in range(rests):
                    table[code * rests + rest] = meaning(int(symbols[at]), length, coefficients, rest)
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
        if item & PARTIAL:
            size += item >> 16
        if item == 0 or (used and used + size > STRIDE_LOOK) or (step != END_OF_BLOCK and advance + step >= BLOCK):
            break
        used += size
        if step == END_OF_BLOCK:
            return STRIDE_ENDS | advance << 6 | used
        advance += step
    return advance << 6 | used


@kernel(void, readonly(int32), writable(uint16))
def fill_strides(table: Whole, strides: Strides) -> None:
    """Make the table of strides, uint16, shape (2 ** STRIDE_LOOK,), of a result of :func:`fill_table`."""
    for bits in range(strides.shape[0]):
        strides[bits] = _stride(table, bits)


@kernel(int64, readonly(int32), int64, counted=False)
def _pair(table: Whole, bits: int) -> int:
    """Item of a table of pairs, for the next ``PAIR_LOOK`` bits and a result of :func:`fill_table`.

    Bits 0 to 7: how many bits are used up. 8 to 13, 14 to 19: by how many coefficients to advance to the first value,
    to the second; where there is but one, they are the same; where there is none, both are a zero that is there anyway.
    20 to 25: how far the last value is; 26: whether the end of the block follows. 32 to 47, 48 to 63: the values.
    """
    used = places = values = last = found = 0
    ends = False
    while found < 3 and not ends and used < PAIR_LOOK:  # noqa: PLR2004  (two values, and the end)
        item = int(table[((bits << used) & ((1 << PAIR_LOOK) - 1)) >> (PAIR_LOOK - LOOK)])
        size, step = item & 255, item >> 8 & 127
        ends = step == END_OF_BLOCK
        if item == 0 or item & PARTIAL or used + size > PAIR_LOOK or (found == 2 and not ends):  # noqa: PLR2004
            ends = False
            break
        used += size
        if not ends:
            last += step
            both = found == 0
            places = last << 14 | (last << 8 if both else places & 63 << 8)
            value = item >> 16
            values = value << 48 | ((value & 0xFFFF) << 32 if both else values & 0xFFFF << 32)
            found += 1
    if used == 0:
        return NO_PAIR
    if found == 0:
        places = 1 << 14 | 1 << 8
    return values | (PAIR_ENDS if ends else 0) | last << 20 | places | used


@kernel(void, readonly(int32), writable(int64))
def fill_pairs(table: Whole, pairs: Longs) -> None:
    """Make the table of pairs, int64, shape (2 ** PAIR_LOOK,), of a result of :func:`fill_table`."""
    for bits in range(pairs.shape[0]):
        pairs[bits] = _pair(table, bits)
