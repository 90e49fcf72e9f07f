"""PDQ's front end: from pixels to 64 x 64 samples of a box-filtered luma.

Theory of operation
-------------------
A box filter is a running sum, and the reference rounds it to float32 after each addition and each subtraction. So the
order of operations *is* the hash: no kernel here adds anything in another order. Speed comes from everything else.

* Along the rows, sixteen rows advance together. Their columns are turned into rows of sixteen, so that one addition
  serves all. Each row stands between zeros, as many as the window is wide. Adding or subtracting zero changes no float,
  so the reference's four phases (fill, grow, slide, shrink) become one loop without a branch.
* Along the columns, a whole row of sums advances, in vector instructions and through memory in order.
* Divisions by a whole number are three multiplications that round to the same float (``_pdq_lanes.quotient``).
* Rows are filtered as they are read and kept in a ring a little longer than the window, so the working set is tens of
  kilobytes whatever the height of the picture. The last passes compute only the 64 columns and rows that are sampled.

Pictures come as two-dimensional arrays of bytes, ``(h, w)`` for grey and ``(h, 3 * w)`` for RGB: with the factor three
in sight of the compiler, luma takes 0.4 times as long.

What this module deliberately does not do: it checks and allocates nothing; callers bring every buffer.

Source: facebook/ThreatExchange, ``pdq/cpp/downscaling/downscaling.cpp``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import boolean, float32, int64, kernel, readonly, uint8, void, writable
from hashmatch.kernels._pdq_lanes import advance, quotient, transpose
from hashmatch.kernels._vectors import LANES

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

GRID: Final = 64
"""Samples along a side."""
NEAREST_PX: Final = 512
"""Longest side that the C++ command line hashes as it is."""
WINDOWS_PER_SIDE: Final = 128
"""Box filters that fit side by side: two per sample, for two passes of the filter make a tent of twice the width."""


@kernel(int64, int64)
def window_of(side_px: int) -> int:
    """Width of the box filter along a side."""
    return (side_px + WINDOWS_PER_SIDE - 1) // WINDOWS_PER_SIDE


@kernel(int64, int64)
def lead_of(side_px: int) -> int:
    """How far the box filter looks ahead of the pixel it writes: half, so that an even one looks further ahead."""
    return window_of(side_px) // 2


@kernel(float32, int64, int64)
def _count(position: int, side_px: int) -> np.float32:
    """How many pixels lie under the box filter at a position: fewer than the window at both ends."""
    end = position + lead_of(side_px) + 1
    return np.float32(min(end, side_px) - max(end - window_of(side_px), 0))


@kernel(int64, int64, int64)
def _sample(i: int, side_px: int) -> int:
    """Position of sample ``i`` of 64: the pixel that holds the middle of its cell, ``int((i + 0.5) * side / 64)``."""
    return (2 * i + 1) * side_px // (2 * GRID)


@kernel(void, readonly(uint8, 3), writable(uint8, 3))
def nearest512(image: Pixels, small: Pixels) -> None:
    """Resize to 512 x 512 by nearest neighbour: source index ``floor(position * side / 512)``.

    Parameters
    ----------
    image : uint8, shape (h, w, channels), read-only ok
        The picture.
    small : uint8, shape (512, 512, channels), written
        The result, stretched if the picture is not square.

    """
    height, width, channels = image.shape
    for y in range(NEAREST_PX):
        row, out = image[y * height // NEAREST_PX], small[y]
        if channels == 1:
            for x in range(NEAREST_PX):
                out[x, 0] = row[x * width // NEAREST_PX, 0]
        else:  # three channels by name: a loop over them takes three times as long
            for x in range(NEAREST_PX):
                source = x * width // NEAREST_PX
                out[x, 0], out[x, 1], out[x, 2] = row[source, 0], row[source, 1], row[source, 2]


@kernel(void, readonly(uint8), boolean, writable(float32), counted=False)
def luma(row: Pixels, double_luma: bool, out: Floats) -> None:  # noqa: FBT001  (kernels take positions)
    """Weigh the channels of one row of ``w`` or ``3 * w`` bytes; grey values stay what they are.

    The float64 sum and the float32 sum differ by a rounding, and a rounding decides ties. The first is computed without
    float64: the thousandfold is a whole number below 2 ** 24, so only the division rounds. It rounds as the sum does,
    because no whole number of thousandths comes within 1e-14 of the middle between two floats.
    """
    width = out.shape[0]
    if row.shape[0] == width:
        for x in range(width):
            out[x] = np.float32(row[x])
    elif double_luma:
        for x in range(width):
            red, green, blue = row[3 * x], row[3 * x + 1], row[3 * x + 2]
            thousandths = (
                np.float32(red) * np.float32(299)
                + np.float32(green) * np.float32(587)
                + np.float32(blue) * np.float32(114)
            )
            out[x] = quotient(thousandths, np.float32(1000), np.float32(1) / np.float32(1000))
    else:
        for x in range(width):
            red, green, blue = row[3 * x], row[3 * x + 1], row[3 * x + 2]
            out[x] = (
                np.float32(red) * np.float32(0.299)
                + np.float32(green) * np.float32(0.587)
                + np.float32(blue) * np.float32(0.114)
            )


@kernel(void, readonly(float32, 2), int64, writable(float32, 2), writable(float32), counted=False)
def _turn(rows: Floats, window: int, strip: Floats, totals: Floats) -> None:
    """Write the columns of sixteen rows behind ``window`` zeros, and let their running sums begin at zero."""
    for x in range(0, rows.shape[1], LANES):
        transpose(rows, x, strip, window + x, 0)
    for lane in range(LANES):
        totals[lane] = np.float32(0)


@kernel(void, readonly(float32, 2), int64, *[writable(float32, n) for n in (2, 1, 2, 2)], counted=False)
def _box_rows(rows: Floats, width: int, strip: Floats, totals: Floats, steps: Floats, sums: Floats) -> None:
    """Box sums along sixteen rows.

    Parameters
    ----------
    rows : float32, shape (16, pitch), read-only ok
        The rows, and zeros behind them.
    width : int
        Their length.
    strip : float32, shape (window + pitch + lead, 16), all zero
        Their columns; only the middle is written.
    totals : float32, shape (16,)
        Running sums.
    steps : float32, shape (at least lead and 16, 16)
        Running sums at some columns.
    sums : float32, shape (16, pitch), written
        The result.

    """
    window, lead = window_of(width), lead_of(width)
    _turn(rows, window, strip, totals)
    advance(strip, 0, lead, window, totals, steps)
    for x in range(0, rows.shape[1], LANES):
        advance(strip, lead + x, LANES, window, totals, steps)
        transpose(steps, 0, sums, 0, x)


@kernel(void, readonly(float32, 2), int64, *[writable(float32, n) for n in (2, 1, 2, 2, 2)], counted=False)
def _box_samples(
    rows: Floats, width: int, strip: Floats, totals: Floats, steps: Floats, samples: Floats, narrow: Floats
) -> None:
    """Box means along sixteen rows at the 64 samples; arguments as for :func:`_box_rows`.

    Parameters
    ----------
    rows, width, strip, totals, steps
        As for :func:`_box_rows`; ``steps`` has room for the columns from one sample to the next.
    samples : float32, shape (64, 16)
        The result, transposed.
    narrow : float32, shape (16, 64), written
        The result.

    """
    window, lead = window_of(width), lead_of(width)
    _turn(rows, window, strip, totals)
    done = 0
    for j in range(GRID):
        middle = _sample(j, width)
        count = _count(middle, width)
        to = lead + middle + 1
        advance(strip, done, to - done, window, totals, steps)
        done = to
        for lane in range(LANES):
            samples[j, lane] = totals[lane] / count
    for j in range(0, GRID, LANES):
        transpose(samples[j : j + LANES], 0, narrow, 0, j)


@kernel(void, readonly(float32, 2), int64, int64, writable(float32), counted=False)
def _slide(ring: Floats, y: int, height: int, sums: Floats) -> None:
    """Move the row of column sums to row ``y``: add the row ahead, then subtract the one that leaves the window.

    Row ``r`` of the picture is row ``r % len(ring)`` of the ring. ``y`` starts at minus the lead.
    """
    ahead = y + lead_of(height)
    behind = ahead - window_of(height)
    if ahead < height:
        row = ring[ahead % ring.shape[0]]
        for x in range(sums.shape[0]):
            sums[x] += row[x]
    if behind >= 0:
        row = ring[behind % ring.shape[0]]
        for x in range(sums.shape[0]):
            sums[x] -= row[x]


@kernel(void, readonly(float32, 2), int64, int64, writable(float32), writable(float32), counted=False)
def _slide_and_divide(ring: Floats, y: int, height: int, sums: Floats, out: Floats) -> None:
    """Do what :func:`_slide` does, and write the means; in one go where the whole window lies in the picture."""
    ahead = y + lead_of(height)
    behind = ahead - window_of(height)
    count = _count(y, height)
    reciprocal = np.float32(1) / count
    if ahead < height and behind >= 0:
        new, old = ring[ahead % ring.shape[0]], ring[behind % ring.shape[0]]
        for x in range(sums.shape[0]):
            moved = (sums[x] + new[x]) - old[x]
            sums[x] = moved
            out[x] = quotient(moved, count, reciprocal)
    else:
        _slide(ring, y, height, sums)
        for x in range(sums.shape[0]):
            out[x] = quotient(sums[x], count, reciprocal)


@kernel(void, readonly(float32), writable(float32), counted=False)
def _divide(sums: Floats, out: Floats) -> None:
    """Box sums of a row to means: by the whole window, and again at both ends, where fewer pixels lie under it."""
    width = sums.shape[0]
    window = window_of(width)
    count, reciprocal = np.float32(window), np.float32(1) / np.float32(window)
    for x in range(width):
        out[x] = quotient(sums[x], count, reciprocal)
    for x in range(window):
        out[x] = sums[x] / _count(x, width)
    for x in range(width - window, width):
        out[x] = sums[x] / _count(x, width)


@kernel(void, readonly(uint8, 2), boolean, *[writable(float32, n) for n in (3, 2, 2, 2, 2, 1, 2)], counted=False)
def filter_rows(
    rows: Pixels,
    double_luma: bool,  # noqa: FBT001  (kernels take positions)
    lines: Floats,
    strip: Floats,
    steps: Floats,
    samples: Floats,
    ring: Floats,
    column_sums: Floats,
    narrow: Floats,
) -> None:
    """First pass along rows and columns, second pass along rows, of which 64 columns are kept.

    Parameters
    ----------
    rows : uint8, shape (h, w) or (h, 3 * w), read-only ok
        The picture.
    double_luma : bool
        Whether luma is summed in float64.
    lines : float32, shape (2, 16, pitch), all zero
        Sixteen rows before a pass along them and after it; the pitch is the width, rounded up to a multiple of 16.
    strip : float32, shape (window + pitch + lead, 16), all zero
        Their columns.
    steps : float32, shape (at least 16 and width / 64 + lead + 1, 16)
        Running sums at some columns.
    samples : float32, shape (65, 16)
        Samples of sixteen rows, and running sums.
    ring : float32, shape (vertical window + 16, w)
        The newest rows after the first pass along rows: those under the window and those just made.
    column_sums : float32, shape (w,), all zero
        Running sums of the first pass along columns.
    narrow : float32, shape (h + 16, 64), the first h rows written
        The result.

    """
    height, width = rows.shape[0], ring.shape[1]
    before, after, totals = lines[0], lines[1], samples[GRID]
    y = -lead_of(height)
    for top in range(0, height, LANES):
        ready = min(top + LANES, height)
        for lane in range(ready - top):
            luma(rows[top + lane], double_luma, before[lane, :width])
        _box_rows(before, width, strip, totals, steps, after)
        for lane in range(ready - top):
            _divide(after[lane, :width], ring[(top + lane) % ring.shape[0]])
        end = height if ready == height else ready - lead_of(height)
        while y < min(end, 0):
            _slide(ring, y, height, column_sums)
            y += 1
        while y < end:
            lanes = min(LANES, end - y)
            for lane in range(lanes):
                _slide_and_divide(ring, y + lane, height, column_sums, before[lane, :width])
            _box_samples(before, width, strip, totals, steps, samples, narrow[y : y + LANES])
            y += lanes


@kernel(void, readonly(float32, 2), writable(float32), writable(float32, 2), counted=False)
def filter_columns(narrow: Floats, column_sums: Floats, grid: Floats) -> None:
    """Second pass along columns, of which 64 rows are kept.

    Parameters
    ----------
    narrow : float32, shape (h, 64), read-only ok
        Result of :func:`filter_rows`.
    column_sums : float32, shape (64,), all zero
        Running sums.
    grid : float32, shape (64, 64), written
        The samples.

    """
    height = narrow.shape[0]
    y = -lead_of(height)
    for i in range(GRID):
        middle = _sample(i, height)
        while y <= middle:
            _slide(narrow, y, height, column_sums)
            y += 1
        count = _count(middle, height)
        for j in range(GRID):
            grid[i, j] = column_sums[j] / count
