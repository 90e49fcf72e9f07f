"""Steps of luma across every row and every column of a picture, summed along it, and which of these are of one shade.

Theory of operation
-------------------
Where the strongest straight edges are (``views_edges``) is seen from sums over whole columns and rows, in quarters. Of
a column they are added up row by row, sixteen columns at a time. A row is one chain of additions, each of which would
wait for the one before it; so it is folded half onto half. Along the few lines that are strongest, :func:`profiles`
keeps the sums from pixel to pixel.

What this module deliberately does not do: it draws no line; ``views_edges`` does.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import boolean, float32, int64, kernel, readonly, void, writable

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

STEP_LIMIT: Final = 12.0
"""Steps of luma beyond this count as this: about what a white border next to a bright sky shows."""
BLANK_RANGE: Final = 4.0
"""Luma within which a whole row or column counts as one shade; a dark sky at night has more noise than that."""
ASIDE_PX: Final = 4
"""Where a step is compared with: beyond the blur of a resampled edge."""


@kernel(float32, writable(float32))
def _folded(values: Floats) -> np.float32:
    """Sum of all values, half onto half, so that many additions go on at a time; changes them."""
    count = values.shape[0]
    while count > 1:
        half = (count + 1) // 2
        low, high = values[: count - half], values[half:count]
        for x in range(low.shape[0]):
            low[x] += high[x]
        count = half
    total: np.float32 = values[0]
    return total


@kernel(void, readonly(float32, 2), writable(float32, 2))
def across_columns(luma: Floats, sums: Floats) -> None:
    """Sum the steps between left and right neighbours, limited, in quarters of each column; find blank columns.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    sums : float32, shape (5, w), all zero
        Sums of the four quarters, from above; then how many pixels of the column differ from its first.

    """
    height, width = luma.shape
    limit, near, first, unlike = np.float32(STEP_LIMIT), np.float32(BLANK_RANGE), luma[0], sums[4]
    for quarter in range(4):
        steps = sums[quarter]
        for y in range(quarter * height // 4, (quarter + 1) * height // 4):
            row = luma[y]
            for x in range(1, width - 1):
                steps[x] += min(abs(row[x + 1] - row[x - 1]), limit)
            for x in range(width):
                unlike[x] += np.float32(abs(row[x] - first[x]) > near)


@kernel(void, readonly(float32, 2), writable(float32), writable(float32, 2))
def across_rows(luma: Floats, line: Floats, sums: Floats) -> None:
    """Sum the steps between upper and lower neighbours, limited, in quarters of each row; find blank rows.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    line : float32, shape (w,)
        Scratch: what is summed of one row.
    sums : float32, shape (5, h), all zero
        Sums of the four quarters, from the left; then how many pixels of the row differ from its first.

    """
    height, width = luma.shape
    limit, near = np.float32(STEP_LIMIT), np.float32(BLANK_RANGE)
    for y in range(height):
        row, first = luma[y], luma[y, 0]
        unlike = np.int32(0)
        for x in range(width):
            unlike = np.int32(unlike + np.int32(abs(row[x] - first) > near))
        sums[4, y] = np.float32(unlike)
        if 0 < y < height - 1:
            upper, lower = luma[y - 1], luma[y + 1]
            for x in range(width):
                line[x] = min(abs(lower[x] - upper[x]), limit)
            for quarter in range(4):
                sums[quarter, y] = _folded(line[quarter * width // 4 : (quarter + 1) * width // 4])


@kernel(float32, readonly(float32, 2), int64, int64, boolean)
def _step(luma: Floats, line: int, at: int, upright: bool) -> np.float32:  # noqa: FBT001  (kernels have no keywords)
    """Limited step of luma across a line, at one pixel of it; nothing at the picture's edges and beyond."""
    height, width = luma.shape
    if line < 1 or line >= (width if upright else height) - 1:
        return np.float32(0)
    step = luma[at, line + 1] - luma[at, line - 1] if upright else luma[line + 1, at] - luma[line - 1, at]
    return min(abs(step), np.float32(STEP_LIMIT))


@kernel(void, readonly(float32, 2), readonly(int64), boolean, writable(float32, 2))
def profiles(luma: Floats, lines: Longs, upright: bool, sums: Floats) -> None:  # noqa: FBT001  (same)
    """Sum, along each line, how much the steps across it stand out.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    lines : int64, shape (n,), read-only ok
        Columns or, if not ``upright``, rows; those below 0 are left out.
    upright : bool
        Which of them.
    sums : float32, shape (n, length of a line + 1), written
        Sums of what comes before each pixel.

    """
    for n in range(lines.shape[0]):
        line = lines[n]
        if line < 0:
            continue
        total = np.float32(0)
        sums[n, 0] = total
        for at in range(sums.shape[1] - 1):
            aside = _step(luma, line - ASIDE_PX, at, upright) + _step(luma, line + ASIDE_PX, at, upright)
            total += _step(luma, line, at, upright) - np.float32(0.5) * aside
            sums[n, at + 1] = total
