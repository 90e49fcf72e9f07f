"""Straight lines along rows and columns of a picture: the sides that something may have been put between.

Theory of operation
-------------------
Whoever frames a picture, writes a caption above it or takes a screenshot of it leaves straight edges, exactly
upright, along the whole side of what was a picture. Edges of things within a photograph are rarely straight, upright
and long at once. At each pixel it is measured how much the step to its neighbours exceeds the steps a little further
away on either side, limited, so that a few strong pixels do not make a line (``views_steps``); sums along rows and
columns then give the strength of any stretch of any line in two look-ups. :func:`_lines` keeps the strongest lines of
each direction. A side that is the picture's own edge counts as a line of middling strength (:data:`EDGE`): a found
line must be better than none.

Bars and pages have rows of one shade, between letters too; photographs hardly ever do. So the longest stretch without
such rows may end where no edge is strong enough to be seen, in the dark.

What this module deliberately does not do: it makes no rectangle of them (``views_rectangles`` does).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, group, int64, kernel, readonly, void, writable
from hashmatch.kernels.views_steps import ASIDE_PX

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

EDGE: Final = 3.0
"""Strength of a side that is the picture's own edge, in steps of luma."""
LINES: Final = 10
"""Lines kept in each direction."""
MOST_SIDES: Final = LINES + 4
"""With the picture's own edges and the ends of its longest stretch of anything but page."""
OWN: Final = -1
"""Stands for the number of a line at the picture's own edge."""
BLANK: Final = -2
"""The same where a stretch of blank rows or columns ends."""
BLANK_REST: Final = 0.01
"""Share of its pixels that may differ."""
PAGE_RANGE: Final = 8.0
"""Luma within which a blank row or column is of the same page as the picture's first or last."""
APART_PX: Final = 3
"""Lines nearer than this are one."""


@kernel(void, readonly(float32, 2), int64, writable(float32, 2))
def _stand_out(sums: Floats, length: int, strengths: Floats) -> None:
    """Measure how much the strongest stretch of each line stands out: all of it, a half or a quarter.

    Parameters
    ----------
    sums : float32, shape (5, w), read-only ok
        From :mod:`views_steps`.
    length : int
        Pixels of a line.
    strengths : float32, shape (6, w), written
        The strengths; how much each quarter stands out; scratch.

    """
    width, half = sums.shape[1], np.float32(0.5)
    best, total = strengths[0], strengths[5]
    for quarter in range(4):
        here, out = sums[quarter], strengths[1 + quarter]
        behind, ahead = total[ASIDE_PX:], here[ASIDE_PX:]
        total[:] = np.float32(0)
        for x in range(behind.shape[0]):
            behind[x] = here[x]
        for x in range(ahead.shape[0]):
            total[x] += ahead[x]
        for x in range(width):
            out[x] = here[x] - half * total[x]
    best[:] = np.float32(0)
    for parts in (1, 2, 4):
        scale = np.float32(1.0 / (max(length // parts, 1) * np.sqrt(np.float32(parts))))
        for first in range(4 - 4 // parts + 1):
            total[:] = np.float32(0)
            for quarter in range(first, first + 4 // parts):
                out = strengths[1 + quarter]
                for x in range(width):
                    total[x] += out[x]
            for x in range(width):
                best[x] = max(best[x], total[x] * scale)


@kernel(void, readonly(float32, 2), int64, writable(float32, 2), writable(int64), writable(float32))
def _lines(sums: Floats, length: int, scratch: Floats, lines: Longs, positions: Floats) -> None:
    """Keep the strongest lines.

    Parameters
    ----------
    sums : float32, shape (5, w), read-only ok
        From :mod:`views_steps`.
    length : int
        Pixels of a line.
    scratch : float32, shape (6, w)
        For :func:`_stand_out`.
    lines : int64, shape (LINES,), written
        Columns of ``sums``, strongest first; -1 where there are no more.
    positions : float32, shape (LINES,), written
        Where the line is, between pixels.

    """
    _stand_out(sums, length, scratch)
    strengths, width = scratch[0], sums.shape[1]
    for n in range(LINES):
        best = 0
        for x in range(width):
            if strengths[x] > strengths[best]:
                best = x
        lines[n], positions[n] = -1, np.float32(0)
        if strengths[best] > np.float32(0):
            left = strengths[best - 1] if best > 0 else np.float32(0)
            right = strengths[best + 1] if best + 1 < width else np.float32(0)
            left, right = max(left, np.float32(0)), max(right, np.float32(0))
            lines[n] = best
            share = (right - left) / (left + strengths[best] + right)
            positions[n] = np.float32(best) + np.float32(0.5) + share
            for x in range(max(best - APART_PX, 0), min(best + APART_PX + 1, width)):
                strengths[x] = np.float32(-1)


@kernel(group(int64, int64), readonly(float32, 2))
def _longest_run(pages: Floats) -> tuple[int, int]:
    """Find where the longest run of columns of no page begins and ends, both 0 if there is none."""
    begin, longest, first, last = 0, 0, 0, 0
    for x in range(1, pages.shape[1]):
        if pages[0, x] + pages[1, x] > pages[0, x - 1] + pages[1, x - 1]:
            begin = x
        elif x - begin > longest:
            longest = x - begin
            first, last = begin, x
    return first, last


@kernel(void, readonly(float32), readonly(float32), float32, writable(float32, 2))
def _pages(unlike: Floats, shades: Floats, most: np.float32, pages: Floats) -> None:
    """Count the columns that are of the same page as the first one, and as the last.

    Parameters
    ----------
    unlike : float32, shape (w,), read-only ok
        How many pixels of each differ from its first.
    shades : float32, shape (w,), read-only ok
        Those first pixels.
    most : float32
        How many may differ in a blank column.
    pages : float32, shape (3, w + 1), written but for its last row
        How many of the columns before each are blank and of that shade.

    """
    width = unlike.shape[0]
    for side in range(2):
        end, count = side * (width - 1), np.float32(0)
        pages[side, 0] = count
        for x in range(width):
            alike = unlike[x] <= most and unlike[end] <= most
            count += np.float32(alike and abs(shades[x] - shades[end]) <= np.float32(PAGE_RANGE))
            pages[side, x + 1] = count


@kernel(void, readonly(float32, 2), int64, writable(float32))
def _busy(steps: Floats, length: int, busy: Floats) -> None:
    """Add up the mean steps of the columns before each.

    Parameters
    ----------
    steps : float32, shape (5, w), read-only ok
        From :mod:`views_steps`.
    length : int
        Pixels of a column.
    busy : float32, shape (w + 1,), written
        The sums.

    """
    total, share = np.float32(0), np.float32(1) / np.float32(length)
    busy[0] = total
    for x in range(steps.shape[1]):
        total += share * (steps[0, x] + steps[1, x] + steps[2, x] + steps[3, x])
        busy[x + 1] = total


@kernel(
    *(int64, readonly(float32, 2), readonly(float32), int64, *[writable(float32, 2)] * 2),
    *(writable(int64), writable(float32)),
)
def _in_order(
    steps: Floats, shades: Floats, length: int, scratch: Floats, pages: Floats, lines: Longs, positions: Floats
) -> int:
    """Put the strongest lines, the picture's own edges and the ends of its blank stretch in order.

    Parameters
    ----------
    steps : float32, shape (5, w), read-only ok
        From :mod:`views_steps`.
    shades : float32, shape (w,), read-only ok
        The first pixel of each column.
    length : int
        Pixels of a column.
    scratch : float32, shape (6, w)
        For :func:`_lines`.
    pages : float32, shape (3, w + 1), written
        From :func:`_pages` and :func:`_busy`.
    lines, positions : int64 and float32, shape (MOST_SIDES,), written
        Numbers and places of lines and edges, ascending.

    Returns
    -------
    int
        How many there are.

    """
    width, count = steps.shape[1], 2
    lines[:count] = OWN
    positions[0], positions[1] = np.float32(0), np.float32(width)
    _lines(steps, length, scratch, lines[count : count + LINES], positions[count : count + LINES])
    while count < 2 + LINES and lines[count] >= 0:
        count += 1
    _pages(steps[4], shades, np.float32(BLANK_REST * length), pages)
    _busy(steps, length, pages[2])
    begin, end = _longest_run(pages)
    found = count
    for edge in (begin, end):
        apart = 0 < edge < width
        for n in range(2, found):
            apart = apart and abs(np.float64(positions[n]) - np.float64(edge)) > APART_PX
        if apart:
            lines[count], positions[count] = BLANK, np.float32(edge)
            count += 1
    for n in range(1, count):
        line, position, place = lines[n], positions[n], n
        while place > 0 and positions[place - 1] > position:
            lines[place], positions[place] = lines[place - 1], positions[place - 1]
            place -= 1
        lines[place], positions[place] = line, position
    return count


def sides(steps: Floats, shades: Floats, length: int) -> tuple[Longs, Floats, Floats]:
    """Find what may be sides of a rectangle: the columns of a picture, or its rows.

    Parameters
    ----------
    steps : float32, shape (5, w), read-only ok
        From :mod:`views_steps`.
    shades : float32, shape (w,), read-only ok
        The first pixel of each column.
    length : int
        Pixels of a column.

    Returns
    -------
    tuple of numpy.ndarray
        Numbers (int64, :data:`OWN`, :data:`BLANK`) and positions (float32) of lines and edges, ascending; float32,
        shape (3, w + 1): of the columns before each, how many are blank and of the shade of the first, of the last,
        and the sum of their mean steps.

    """
    width = steps.shape[1]
    lines, positions = np.empty(MOST_SIDES, np.int64), np.empty(MOST_SIDES, np.float32)
    pages = np.empty((3, width + 1), np.float32)
    scratch = np.empty((6, width), np.float32)
    count = _in_order(steps, np.ascontiguousarray(shades), length, scratch, pages, lines, positions)
    return lines[:count], positions[:count], pages
