"""The entropy-coded data of a baseline JPEG: its blocks one after the other.

Theory of operation
-------------------
* :func:`next_marker` finds where entropy-coded data ends. :func:`unstuff` copies it without the zeros that follow a
  byte of 255, and notes where restart intervals end. So the bits can be loaded eight bytes at a time without looking at
  any of them.
* :func:`read_block` reads a block by the tables of ``_jpeg_tables``: two codes with their values at a time where they
  fit, else one. :func:`skip_block` reads all of it but its mean by longer strides.
* A block is read as it is coded. ``_jpeg_cosine`` multiplies by the quantisers, and says how large the
  results are.

*Objections*: a code that does not exist, a coefficient beyond the last, bits missing or left over, a marker that should
not be there, coefficients of a size that no picture has. libjpeg warns of most of them and mends them in ways of its
own; here they are only noticed.

Memory safety, for these are strangers' bytes and nothing here checks an index: a table is looked up by as many bits as
it has items; a coefficient's place is below 64 or it is not written; and a minimum coded unit takes at most
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
from hashmatch.kernels._jpeg_cosine import SIDE
from hashmatch.kernels._jpeg_lanes import MARK, PIXELS, big_word, copied, unmarked
from hashmatch.kernels._jpeg_tables import (
    AC_BITS,
    BLOCK,
    END_OF_BLOCK,
    LENGTHS,
    LIMITS,
    LOOK,
    OFFSETS,
    PAIR_ENDS,
    PAIR_LOOK,
    PARTIAL,
    STRIDE_ENDS,
    STRIDE_LOOK,
    SYMBOLS,
    meaning,
    signed,
)

Pixels = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Strides = npt.NDArray[np.uint16]

LARGEST_SUM: Final = 5_800
"""Of the magnitudes of a block's coefficients, multiplied: then no sum in the transform exceeds 16 bits."""
LARGEST_MEAN: Final = 4_080
"""Of a block, eightfold: libjpeg folds what is above 511."""
PADDING: Final = 4_096
"""Bytes behind the data: ten blocks of 64 coefficients of 27 bits, and what is loaded beyond."""
_ZERO, _RESTART, _END = 0x00, 0xD0, 0xD9
_RESTARTS = 8
_PAIRS_LOADED, _STRIDES_LOADED = 56 // PAIR_LOOK, 56 // (LOOK + AC_BITS)
"""So many look-ups are within the bits that are loaded at once; a stride may be one code with a long value."""

# fmt: off
NATURAL: Final = np.array([
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
], np.uint8)
# fmt: on
"""Place in a block, row by row, of each coefficient in the order of the data (T.81 figure A.6)."""
_PLACES: Final = (NATURAL // SIDE * (2 * SIDE) + NATURAL % SIDE).astype(np.uint64)
"""The same where two blocks lie side by side."""


@kernel(int64, readonly(uint8), int64, counted=False)
def next_marker(data: Pixels, at: int) -> int:
    """Find the next marker from ``at`` on: stuffed zeros, restart markers and fill bytes are skipped.

    Parameters
    ----------
    data : uint8, shape (n,), read-only ok
        The file.
    at : int
        Where to begin, at most n.

    Returns
    -------
    int
        Where it ends, behind its two bytes; -1 if there is none.

    Source: ITU-T T.81 B.1.1.

    """
    last = data.shape[0] - 1
    while at < last:
        if at + PIXELS <= last:
            count = unmarked(data, at)
            at += count
            if count == PIXELS:
                continue
        after = int(data[at + 1])
        if data[at] == MARK and after not in (_ZERO, MARK) and not _RESTART <= after < _RESTART + _RESTARTS:
            return at + 2
        at += 1
    return -1


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
        if marker != _RESTART + (interval - 1) % _RESTARTS:
            return -1
    return -1


@kernel(group(int64, uint64, int64), readonly(uint8), int64, uint64, int64, counted=False, inlined=True)
def _loaded(bits: Pixels, at: int, window: np.uint64, held: int) -> tuple[int, np.uint64, int]:
    """Load as many bytes as there is room for: then at least 56 bits count."""
    return at + ((63 - held) >> 3), window | big_word(bits, at) >> np.uint64(held), held | 56


@kernel(void, int64, int64, writable(int32), uint64, counted=False, inlined=True)
def _set_pair(item: int, k: int, coefficients: Whole, begin: np.uint64) -> None:
    """Write the values of an item of a table of pairs, behind coefficient ``k``."""
    coefficients[begin + _PLACES[k + (item >> 8) & 63]] = (item >> 32 & 0xFFFF ^ 0x8000) - 0x8000
    coefficients[begin + _PLACES[k + (item >> 14) & 63]] = item >> 48


@kernel(int64, readonly(int32, 2), int64, uint64, boolean, counted=False)
def _long_code(tables: Whole, row: int, window: np.uint64, coefficients: bool) -> int:  # noqa: FBT001  (same)
    """Item of a table, without its value, for a code that is longer than ``LOOK`` bits; 0 if there is none.

    Codes of one length are consecutive, and begin at twice the end of those that are a bit shorter.
    """
    for length in range(LOOK + 1, LENGTHS + 1):
        code = int(np.int64(window >> np.uint64(64 - length)))
        if code < tables[row, LIMITS + length]:
            return meaning(int(tables[row, SYMBOLS + code + tables[row, OFFSETS + length]]), length, coefficients, 0)
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
    at, window, held = _loaded(bits, at, window, held)
    item = int(tables[row, np.int64(window >> np.uint64(64 - LOOK))])
    if item == 0:
        item = _long_code(tables, row, window, coefficients)
    used, value = item & 255, item >> 16
    window <<= np.uint64(used)
    held -= used
    if item & PARTIAL:
        size = value
        value = signed(int(np.int64(window >> np.uint64(1) >> np.uint64(63 - size))), size)
        window <<= np.uint64(size)
        held -= size
    return at, window, held, item >> 8 & 127, value


@kernel(
    group(int64, uint64, int64, int64, int64),
    *(readonly(uint8), int64, uint64, int64, readonly(int32, 2), readonly(int64, 2), int64, int64, int64),
    *(writable(int32), int64),
    counted=False,
    inlined=True,
)
def read_block(
    bits: Pixels, at: int, window: np.uint64, held: int, tables: Whole, pairs: Longs, first: int, other: int,
    before: int, coefficients: Whole, place: int,
) -> tuple[int, np.uint64, int, int, int]:  # fmt: skip
    """Read one block.

    Parameters
    ----------
    bits, at, window, held, tables
        As for :func:`_next`.
    pairs : int64, shape (n, 2 ** PAIR_LOOK), read-only ok
        Results of ``fill_pairs``; rows as of ``tables``.
    first, other : int
        Rows of the table of the first coefficient and of that of the others.
    before : int
        The first coefficient of the block before.
    coefficients, place : int32, shape (at least place + 120,), and int
        The result, not multiplied, over zeros from there on: row by row eight, and eight of another block.

    Returns
    -------
    tuple of int
        ``at``, ``window``, ``held``; the first coefficient; how many there are up to the last that the data has;
        0 if there is an objection.

    """
    at, window, held, advance, value = _next(bits, at, window, held, tables, first, False)  # noqa: FBT003  (same)
    objection = advance == 0
    before += value
    begin, k, count = np.uint64(place), 0, 1
    coefficients[begin] = before
    while k < BLOCK - 1 and not objection:
        at, window, held = _loaded(bits, at, window, held)
        for _ in range(_PAIRS_LOADED):
            item = int(pairs[other, np.int64(window >> np.uint64(64 - PAIR_LOOK))])
            last = k + (item >> 20 & 63)
            if last >= BLOCK - 1:  # a long code, or the last coefficient, behind which there is another block
                at, window, held, advance, value = _next(bits, at, window, held, tables, other, True)  # noqa: FBT003  (same)
                k += advance
                if k < BLOCK:
                    coefficients[begin + _PLACES[k & 63]] = value
                    count = k + 1
                objection = advance == 0
                break
            window <<= np.uint64(item & 63)
            held -= item & 63
            _set_pair(item, k, coefficients, begin)
            k, count = last, last + 1
            if item & PAIR_ENDS:
                k = END_OF_BLOCK
                break
    objection = objection or BLOCK <= k < END_OF_BLOCK or abs(before) > LARGEST_SUM
    return at, window, held, before, 0 if objection else count


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
        at, window, held = _loaded(bits, at, window, held)
        for _ in range(_STRIDES_LOADED):
            item = int(strides[other, np.int64(window >> np.uint64(64 - STRIDE_LOOK))])
            step = item >> 6 & 63
            if item == 0 or k + step >= BLOCK - 1:  # what follows the last coefficient is another block
                at, window, held, advance, value = _next(bits, at, window, held, tables, other, True)  # noqa: FBT003  (same)
                objection = advance == 0
                k += advance
                break
            window <<= np.uint64(item & 63)
            held -= item & 63
            k += step
            if item & STRIDE_ENDS:
                k = END_OF_BLOCK
                break
    return at, window, held, before, objection or BLOCK <= k < END_OF_BLOCK


@kernel(boolean, int64, int64, int64, counted=False)
def at_end(at: int, held: int, end: int) -> bool:
    """Say whether less than a byte is left of an interval that ends at byte ``end``, and nothing is missing."""
    left = 8 * end - (8 * at - held)
    return bool(left >> 3 == 0)
