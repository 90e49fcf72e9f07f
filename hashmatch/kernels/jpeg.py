"""A baseline JPEG to RGB pixels, equal to those of libjpeg-turbo, or to one grey pixel for each block.

Theory of operation
-------------------
Blocks are read one after the other (``_jpeg_codes``). :func:`decode` turns each into pixels as soon as it is read, and
rows into RGB as soon as their colours are there (``_jpeg_lanes``): where colours are halved down the columns, two rows
later, because a row lies between two of theirs. What is not yet output are some rows, and stays in the caches.
:func:`decode_means` keeps nothing but the mean of each block of luma: the picture at an eighth of its sides.

Everything is whole numbers, so there is one right answer. libjpeg-turbo's own vector code differs from its plain code
where sums exceed 16 bits, which no encoder of pictures makes them do; a block that could is an objection here. After an
objection nothing counts, and libjpeg decides.

Blocks, rows and intervals are counted from the size of the picture, from which callers make the buffers.

What this module deliberately does not do: it parses no header (``hashing/baseline.py``), it allocates nothing, and it
decodes neither progressive nor arithmetic codes.

Source: ITU-T T.81 Annex A; libjpeg 6b, ``jdmainct.c``, ``jddctmgr.c``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import boolean, group, int32, int64, kernel, readonly, uint8, uint16, uint64, void, writable
from hashmatch.kernels._jpeg_codes import (
    LARGEST_MEAN,
    LARGEST_SUM,
    NATURAL,
    PADDING,
    at_end,
    next_marker,
    read_block,
    skip_block,
    unstuff,
)
from hashmatch.kernels._jpeg_cosine import PAIR, SIDE, inverse_cosines
from hashmatch.kernels._jpeg_lanes import NOT_HALVED, PIXELS, colours
from hashmatch.kernels._jpeg_tables import (
    BLOCK,
    LENGTHS,
    PAIR_LOOK,
    STRIDE_LOOK,
    TABLE,
    fill_pairs,
    fill_strides,
    fill_table,
)

__all__ = [
    "BLOCK", "COMPONENTS", "LENGTHS", "MARGIN", "NATURAL", "PADDING", "PAIR", "PAIRS", "PAIR_LOOK", "PIXELS", "ROWS",
    "STRIDE_LOOK", "TABLE", "decode", "decode_means", "fill_pairs", "fill_strides", "fill_table", "next_marker",
    "unstuff",
]  # fmt: skip

Pixels = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Strides = npt.NDArray[np.uint16]

COMPONENTS: Final = 3
PAIRS: Final = 3
"""Of blocks in a unit: two or one of luma, in which one block may be nothing, and that of the colours."""
MARGIN: Final = 32
"""Bytes before each row of a channel; as many and the width of a call of ``colours`` behind it."""
LAG: Final = 2
"""Rows of colours, and of luma, that are kept from one row of units to the next."""
ROWS: Final = 2 * SIDE + LAG + 1


@kernel(void, writable(uint8, 3), int64, int64, counted=False)
def _frame(planes: Pixels, top: int, width: int) -> None:
    """Repeat the first and the last column of both colours, on eight rows."""
    for colour in range(1, COMPONENTS):
        for row in range(top, top + SIDE):
            planes[colour, row, MARGIN - 1] = planes[colour, row, MARGIN]
            planes[colour, row, MARGIN + width] = planes[colour, row, MARGIN + width - 1]


@kernel(void, writable(uint8, 2), int64, int64, counted=False)
def _copy_row(rows: Pixels, row: int, to: int) -> None:
    """Write one row over another."""
    source, target = rows[row], rows[to]
    for x in range(source.shape[0]):
        target[x] = source[x]


@kernel(
    void,
    readonly(uint8, 3),
    group(int64, int64, int64),
    int64,
    int64,
    writable(uint8),
    writable(uint8, 3),
    counted=False,
)
def _colour_row(planes: Pixels, rows: tuple[int, int, int], fine: int, y: int, tail: Pixels, out: Pixels) -> None:
    """Write row ``y`` of the picture; ``rows`` and ``fine`` as for ``_jpeg_lanes.colours``.

    What is written beyond its end is the beginning of the next row, which comes next. The last row has none.
    """
    height, width = out.shape[0], out.shape[1]
    luma, blue, red = planes[0], planes[1], planes[2]
    narrow = 0 if fine == NOT_HALVED else 1
    begin = 3 * width * y
    whole = width if y < height - 1 else width - PIXELS + 1
    x = 0
    while x < whole:
        colours(luma, blue, red, rows, (MARGIN + x, MARGIN + (x >> narrow)), fine, out, begin + 3 * x)
        x += PIXELS
    if x < width:
        colours(luma, blue, red, rows, (MARGIN + x, MARGIN + (x >> narrow)), fine, tail, 0)
        for k in range(3 * (width - x)):
            out[y, x + k // 3, k % 3] = tail[k]


@kernel(void, int64, int64, writable(uint8, 3), writable(uint8), writable(uint8, 3), counted=False)
def _output_smooth(unit: int, units: int, planes: Pixels, tail: Pixels, out: Pixels) -> None:
    """Do what :func:`_output` does where colours are halved along both sides."""
    height, begin, end = out.shape[0], LAG - 1, LAG + SIDE - 1
    if unit == 0:
        begin = LAG
        for colour in range(1, COMPONENTS):
            _copy_row(planes[colour], LAG, LAG - 1)
    if unit == units - 1:
        end = LAG + (height + 1) // 2 - SIDE * unit
        for colour in range(1, COMPONENTS):
            _copy_row(planes[colour], end - 1, end)
    for row in range(begin, end):
        y = 2 * (SIDE * unit + row - LAG)
        place = LAG + 2 * (row - LAG)
        _colour_row(planes, (place, row, row - 1), 0, y, tail, out)
        if y + 1 < height:
            _colour_row(planes, (place + 1, row, row + 1), 0, y + 1, tail, out)
    for k in range(LAG):
        _copy_row(planes[0], 2 * SIDE + k, k)
        for colour in range(1, COMPONENTS):
            _copy_row(planes[colour], SIDE + k, k)


@kernel(void, int64, int64, int64, writable(uint8, 3), writable(uint8), writable(uint8, 3), counted=False)
def _output(unit: int, units: int, fine: int, planes: Pixels, tail: Pixels, out: Pixels) -> None:
    """Write the rows of the picture that row ``unit`` of ``units`` makes complete.

    Row ``LAG`` of the planes is the first of this row of units; those above are what was left of the one before.
    """
    height, width = out.shape[0], out.shape[1]
    if fine < NOT_HALVED:
        _frame(planes, LAG, (width + 1) // 2)
    if fine == 0:
        _output_smooth(unit, units, planes, tail, out)
    else:
        for row in range(min(SIDE, height - SIDE * unit)):
            _colour_row(planes, (LAG + row, LAG + row, LAG + row), fine, SIDE * unit + row, tail, out)


@kernel(
    group(int64, uint64, int64, boolean),
    *(readonly(uint8), int64, uint64, int64, readonly(int64, 2), readonly(int32, 2), readonly(int64, 2)),
    *(writable(int64), writable(int32), writable(int64)),
    counted=False,
    inlined=True,
)
def _read_unit(
    bits: Pixels, at: int, window: np.uint64, held: int, plan: Longs, tables: Whole, pairs: Longs,
    befores: Longs, coefficients: Whole, counts: Longs,
) -> tuple[int, np.uint64, int, bool]:  # fmt: skip
    """Read the blocks of one minimum coded unit, and of each pair of blocks the larger number of coefficients."""
    fine = True
    counts[:] = 0
    for component in range(COMPONENTS):
        first, other = int(plan[component, 2]), int(plan[component, 3])
        before = int(befores[component])
        pair, half = (0, 0) if component == 0 else (int(plan[0, 1]), component - 1)
        for _ in range(plan[component, 0] * plan[component, 1]):
            at, window, held, before, count = read_block(
                bits, at, window, held, tables, pairs, first, other, before, coefficients, PAIR * pair + SIDE * half
            )
            fine = fine and count > 0
            counts[pair] = max(int(counts[pair]), count)
            pair, half = pair + half, 1 - half
        befores[component] = before
    return at, window, held, fine


@kernel(
    *(boolean, readonly(int64, 2), readonly(int32, 2), writable(int32), readonly(int64), int64, writable(uint8, 3)),
    counted=False,
    inlined=True,
)
def _draw_unit(plan: Longs, quantisers: Whole, coefficients: Whole, counts: Longs, place: int, planes: Pixels) -> bool:
    """Write the pixels of the ``place``-th unit of its row; say whether they are sure to be those of libjpeg."""
    across, down = int(plan[0, 0]), int(plan[0, 1])
    pitch = planes.shape[2]
    plane = planes.shape[1] * pitch
    largest = 0
    left = LAG * pitch + MARGIN + SIDE * place * across
    for pair in range(down):
        right = left + SIDE if across > 1 else COMPONENTS * plane  # where nobody looks
        total = inverse_cosines(coefficients, PAIR * pair, quantisers, 0, counts[pair], planes, (left, right))
        largest = max(largest, total)
        left += SIDE * pitch
    left = plane + LAG * pitch + MARGIN + SIDE * place
    total = inverse_cosines(coefficients, PAIR * down, quantisers, 1, counts[down], planes, (left, left + plane))
    return max(largest, total) <= LARGEST_SUM


@kernel(
    *(boolean, readonly(uint8), readonly(int64), int64, readonly(int64, 2), readonly(int32, 2), readonly(int64, 2)),
    *(readonly(int32, 2), writable(int64), writable(int32), writable(int64)),
    *(writable(uint8, 3), writable(uint8), writable(uint8, 3)),
    counted=False,
)
def decode(
    bits: Pixels, ends: Longs, interval: int, plan: Longs, tables: Whole, pairs: Longs, quantisers: Whole,
    befores: Longs, coefficients: Whole, counts: Longs, planes: Pixels, tail: Pixels, out: Pixels,
) -> bool:  # fmt: skip
    """Decode a picture; say whether there was no objection.

    Parameters
    ----------
    bits, ends : uint8, shape (n + PADDING,), and int64, shape (intervals,), read-only ok
        Results of :func:`unstuff`.
    interval : int
        Units in an interval; at least all of them where there is only one.
    plan : int64, shape (3, 4), read-only ok
        Of each component: blocks of a unit along the rows and down the columns, rows of the tables of the first
        coefficient and of the others. The colours have one block each.
    tables, pairs : int32, shape (n, TABLE), and int64, shape (n, 2 ** PAIR_LOOK), read-only ok
        Results of :func:`fill_table` and of :func:`fill_pairs`.
    quantisers : int32, shape (2, 128), read-only ok
        Factors of a pair of blocks of luma, and of both colours: row by row eight of the one, eight of the other.
    befores : int64, shape (3,), written
        The first coefficients of the blocks before.
    coefficients, counts : int32, shape (PAIRS * 128,), all zero, and int64, shape (PAIRS,)
        The blocks of a unit, two and two, and how many coefficients they have.
    planes : uint8, shape (4, ROWS, MARGIN + width, rounded up to whole units, + MARGIN + PIXELS), written
        Some rows of each channel, and room for blocks that do not count.
    tail : uint8, shape (3 * PIXELS,), written
        The end of the last row.
    out : uint8, shape (h, w, 3), written
        The picture, at least 32 pixels wide.

    """
    across, down = int(plan[0, 0]), int(plan[0, 1])
    fine = NOT_HALVED - (across - 1) - (down - 1)
    units_x = -(-out.shape[1] // (SIDE * across))
    units_y = -(-out.shape[0] // (SIDE * down))
    at, window, held, left, part = 0, np.uint64(0), 0, interval, 0
    befores[:] = 0
    for unit in range(units_y):
        for place in range(units_x):
            if left == 0:
                if not at_end(at, held, int(ends[part])):
                    return False
                at, window, held, left = int(ends[part]), np.uint64(0), 0, interval
                part += 1
                befores[:] = 0
            left -= 1
            at, window, held, good = _read_unit(
                bits, at, window, held, plan, tables, pairs, befores, coefficients, counts
            )
            good = _draw_unit(plan, quantisers, coefficients, counts, place, planes) and good
            if not good or 8 * at - held > 8 * ends[part]:
                return False
        _output(unit, units_y, fine, planes, tail, out)
    return at_end(at, held, int(ends[part]))


@kernel(boolean, int64, int64, int64, writable(uint8, 2), counted=False, inlined=True)
def _set_mean(eightfold: int, row: int, column: int, out: Pixels) -> bool:
    """Set a pixel from the mean of its block, less 128, unless that lies outside; say whether there can be such."""
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = min(max(((eightfold + 4) >> 3) + 128, 0), 255)
    return bool(abs(eightfold) <= LARGEST_MEAN)


@kernel(
    *(boolean, readonly(uint8), readonly(int64), int64, readonly(int64, 2), readonly(int32, 2), readonly(uint16, 2)),
    *(readonly(int32, 2), int64, writable(uint8, 2)),
    counted=False,
)
def decode_means(
    bits: Pixels, ends: Longs, interval: int, plan: Longs, tables: Whole, strides: Strides, quantisers: Whole,
    units_x: int, out: Pixels,
) -> bool:  # fmt: skip
    """Decode a grey picture at an eighth of its sides; say whether there was no objection.

    Parameters
    ----------
    bits, ends, interval, plan, tables, quantisers
        As for :func:`decode`.
    strides : uint16, shape (n, 2 ** STRIDE_LOOK), read-only ok
        Results of :func:`fill_strides`; rows as of ``tables``.
    units_x : int
        Units side by side.
    out : uint8, shape (ceil(h / 8), ceil(w / 8)), written
        The means.

    """
    across, down = int(plan[0, 0]), int(plan[0, 1])
    at, window, held, left, part = 0, np.uint64(0), 0, interval, 0
    mean = 0
    for unit in range(-(-out.shape[0] // down)):
        for place in range(units_x):
            if left == 0:
                if not at_end(at, held, int(ends[part])):
                    return False
                at, window, held, left = int(ends[part]), np.uint64(0), 0, interval
                part += 1
                mean = 0
            left -= 1
            fine = True
            for row in range(down * unit, down * unit + down):
                for column in range(across * place, across * place + across):
                    at, window, held, mean, objection = skip_block(
                        bits, at, window, held, tables, strides, plan[0, 2], plan[0, 3], mean
                    )
                    fine = _set_mean(mean * quantisers[0, 0], row, column, out) and fine and not objection
            for component in range(1, COMPONENTS):
                at, window, held, _, objection = skip_block(
                    bits, at, window, held, tables, strides, plan[component, 2], plan[component, 3], 0
                )
                fine = fine and not objection
            if not fine or 8 * at - held > 8 * ends[part]:
                return False
    return at_end(at, held, int(ends[part]))
