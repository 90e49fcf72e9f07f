"""Rectangles that a picture seems to have been put into: from straight edges along rows and columns.

Theory of operation
-------------------
Whoever frames a picture, writes a caption above it or takes a screenshot of it leaves straight edges, exactly
upright, along the whole side of what was a picture. Edges of things within a photograph are rarely straight, upright
and long at once. :func:`_contrast` measures, at each pixel, how much the step to its neighbours exceeds the steps a
little further away on either side, limited, so that a few strong pixels do not make a line; sums along rows and
columns then give the strength of any stretch of any line in two look-ups. :func:`_lines` keeps the strongest lines of
each direction, :func:`_rectangles` puts a side on each and keeps those whose four sides are strongest together. A
side that is the picture's own edge counts as a line of middling strength (:data:`EDGE`): a found line must be better
than none. Rectangles as wide as the picture (bars, captions, telephones), as tall as it, and others are ranked apart,
or the strong short edges of a window within the picture would leave no place for them.

Bars and pages have rows of one shade, between letters too; photographs hardly ever do. So the longest stretch without
such rows may end where no edge is strong enough to be seen, in the dark; and a rectangle that contains many rows like
those beyond it is rather a page than the picture on it (:func:`_filled`).

What this module deliberately does not do: it does not know which rectangle is right. The best few are hashed, and those
that were wrong match nothing.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, group, int64, kernel, readonly, void, writable
from hashmatch.kernels.views_steps import ASIDE_PX, across_columns, across_rows, profiles

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
BLANK_WEIGHT: Final = 3.0
"""A rectangle of which one part in this many is blank rows or columns of the page is a page with a picture on it."""
PAGE_RANGE: Final = 8.0
"""Luma within which a blank row or column is of the same page as the picture's first or last."""
LEAST_FILLED: Final = 0.2
"""Share of its strength that a page keeps: a night sky between black bars looks like one."""
APART_PX: Final = 3
"""Lines nearer than this are one."""
SHARES: Final = (1, 1, 2)
"""Rectangles of each kind in a round of ranking: as wide as the picture, as tall, others."""
LEAST_SHARE: Final = 0.2
"""Shortest side of a rectangle, as a share of the picture's."""
MOST_SHARE: Final = 0.995
"""A rectangle that keeps more than this of both sides is the picture itself."""


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
    pages : float32, shape (2, w + 1), written
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
    pages : float32, shape (2, w + 1), written
        From :func:`_pages`.
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


@kernel(float32, readonly(float32), int64, float32, float32)
def _side(sums: Floats, line: int, begin: np.float32, end: np.float32) -> np.float32:
    """Mean strength of a stretch of a line; of the picture's own edge, or a blank one's, if ``line`` is negative."""
    if line < 0:
        return np.float32(EDGE)
    low, high = int(begin + np.float32(0.5)), int(end + np.float32(0.5))
    strength: np.float32 = (sums[high] - sums[low]) / np.float32(max(high - low, 1))
    return strength


@kernel(float32, readonly(float32, 2), *[float32] * 2, *[int64] * 2)
def _filled(sums: Floats, begin: np.float32, end: np.float32, first: int, last: int) -> np.float32:
    """Say how little of what lies between two columns (or rows) looks like the page beyond them.

    Parameters
    ----------
    sums : float32, shape (2, w + 1), read-only ok
        How many of the columns before each are blank and of the shade of the picture's first and last column.
    begin, end : float32
        Where the two are.
    first, last : int
        Their numbers; beyond :data:`OWN` edges there is no page.

    Returns
    -------
    float32
        1 if nothing does, :data:`LEAST_FILLED` if much does.

    """
    low, high = int(begin + np.float32(0.99)), int(end)
    page = np.float32(0)
    if first != OWN:
        page = max(page, sums[0, high] - sums[0, low])
    if last != OWN:
        page = max(page, sums[1, high] - sums[1, low])
    return max(np.float32(1) - np.float32(BLANK_WEIGHT) * page / (end - begin), np.float32(LEAST_FILLED))


@kernel(void, writable(float32, 2), float32, float32, float32, float32, float32)
def _insert(
    found: Floats, left: np.float32, top: np.float32, right: np.float32, bottom: np.float32, strength: np.float32
) -> None:
    """Put a rectangle into its place in a list sorted by strength, in which it belongs; the weakest falls out."""
    place = found.shape[0] - 1
    while place > 0 and found[place - 1, 4] < strength:
        for k in range(found.shape[1]):
            found[place, k] = found[place - 1, k]
        place -= 1
    found[place, 0], found[place, 1], found[place, 2], found[place, 3] = left, top, right, bottom
    found[place, 4] = strength


@kernel(
    *(void, readonly(float32, 2), readonly(int64), readonly(int64), readonly(float32), readonly(float32, 2)),
    *(writable(float32, 3), writable(float32, 2)),
)
def _between(
    down: Floats, columns: Longs, rows: Longs, ys: Floats, blank_rows: Floats, upright: Floats, filled: Floats
) -> None:
    """Weigh what lies between each two rows that are lines.

    Parameters
    ----------
    down, columns, rows, ys, blank_rows
        As for :func:`_rectangles`.
    upright : float32, shape (n, n, n), written
        Strengths of the stretches of upright lines, by line, top and bottom.
    filled : float32, shape (n, n), written
        How little of the rows is page; 0 if there are too few of them.

    """
    for c in range(ys.shape[0]):
        for d in range(c + 1, ys.shape[0]):
            short = ys[d] - ys[c] < np.float32(LEAST_SHARE) * np.float32(down.shape[1] - 1)
            filled[c, d] = np.float32(0) if short else _filled(blank_rows, ys[c], ys[d], rows[c], rows[d])
            for a in range(columns.shape[0]):
                upright[a, c, d] = _side(down[a], columns[a], ys[c], ys[d])


@kernel(
    *(void, readonly(float32, 2), readonly(float32, 2), readonly(int64), readonly(int64)),
    *([readonly(float32)] * 2 + [readonly(float32, 2)] * 2 + [writable(float32, n) for n in (3, 1, 2, 3)]),
)
def _rectangles(
    down: Floats,
    across: Floats,
    columns: Longs,
    rows: Longs,
    xs: Floats,
    ys: Floats,
    blank_columns: Floats,
    blank_rows: Floats,
    upright: Floats,
    level: Floats,
    filled: Floats,
    found: Floats,
) -> None:
    """Keep the rectangles with the strongest sides.

    Parameters
    ----------
    down, across : float32, shapes (n, h + 1) and (n, w + 1), read-only ok
        Sums along the lines, from :func:`views_steps.profiles`.
    columns, rows : int64, shape (n,), read-only ok
        Lines, :data:`OWN` for the picture's own edges, :data:`BLANK` for those of blank stretches.
    xs, ys : float32, shape (n,), read-only ok
        Where they are; ascending.
    blank_columns, blank_rows : float32, shapes (2, w + 1) and (2, h + 1), read-only ok
        How many of the columns or rows before each are blank, as for :func:`_filled`.
    upright, level, filled : float32, shapes (n, n, n), (n,) and (n, n)
        Scratch: from :func:`_between`; strengths of level sides by line.
    found : float32, shape (3, m, 5), all zero
        As wide as the picture, as tall, others: ``left, top, right, bottom, strength``, strongest first, then zeros.

    """
    width, height = np.float32(across.shape[1] - 1), np.float32(down.shape[1] - 1)
    _between(down, columns, rows, ys, blank_rows, upright, filled)
    for a in range(xs.shape[0]):
        for b in range(a + 1, xs.shape[0]):
            if xs[b] - xs[a] < np.float32(LEAST_SHARE) * width:
                continue
            whole = xs[b] - xs[a] > np.float32(MOST_SHARE) * width
            wide = columns[a] == OWN and columns[b] == OWN
            filled_across = _filled(blank_columns, xs[a], xs[b], columns[a], columns[b])
            for c in range(ys.shape[0]):
                level[c] = _side(across[c], rows[c], xs[a], xs[b])
            for c in range(ys.shape[0]):
                for d in range(c + 1, ys.shape[0]):
                    if filled[c, d] <= np.float32(0) or (whole and ys[d] - ys[c] > np.float32(MOST_SHARE) * height):
                        continue
                    sides = (upright[a, c, d], upright[b, c, d], level[c], level[d])
                    strength = sides[0] + sides[1] + sides[2] + sides[3] + min(sides)
                    strength *= min(filled[c, d], filled_across)
                    kind = 0 if wide else 1 if rows[c] == OWN and rows[d] == OWN else 2
                    if strength > found[kind, -1, 4]:
                        _insert(found[kind], xs[a], ys[c], xs[b], ys[d], strength)


def rectangles(luma: Floats, most: int) -> Floats:
    """Return the rectangles that the picture seems to have been put into.

    Parameters
    ----------
    luma : float32, shape (h, w), C order, read-only ok
        The picture; neither side below 5.
    most : int
        How many to return at most.

    Returns
    -------
    numpy.ndarray
        float32, shape (n, 5): left, top, right, bottom in pixels, and strength; strongest first.

    """
    height, width = luma.shape
    steps_across, steps_down = np.zeros((5, width), np.float32), np.zeros((5, height), np.float32)
    across_columns(luma, steps_across)
    across_rows(luma, np.empty(width, np.float32), steps_down)
    columns, xs, blank_columns = _sides(steps_across, luma[0], height)
    rows, ys, blank_rows = _sides(steps_down, luma[:, 0], width)
    down, across = np.empty((xs.size, height + 1), np.float32), np.empty((ys.size, width + 1), np.float32)
    profiles(luma, columns, True, down)  # noqa: FBT003  (kernels have no keywords)
    profiles(luma, rows, False, across)  # noqa: FBT003  (same)
    found = np.zeros((len(SHARES), most, 5), np.float32)
    upright = np.empty((xs.size, ys.size, ys.size), np.float32)
    level, filled = np.empty(ys.size, np.float32), np.empty((ys.size, ys.size), np.float32)
    _rectangles(down, across, columns, rows, xs, ys, blank_columns, blank_rows, upright, level, filled, found)
    ranked = found.reshape(-1, 5)[_turns(most)]
    return ranked[ranked[:, 4] > 0][:most]


@functools.cache  # there is one number, but for tests
def _turns(most: int) -> Longs:
    """Rows in which kinds of rectangles, ``most`` of each, take their turns."""
    turns = [kind * most + at for turn in range(most) for kind, share in enumerate(SHARES)
             for at in range(turn * share, min((turn + 1) * share, most))]  # fmt: skip
    return np.array(turns)


def _sides(steps: Floats, shades: Floats, length: int) -> tuple[Longs, Floats, Floats]:
    """Return the lines or edges of one direction with their positions, ascending, and the sums of blank ones."""
    width = steps.shape[1]
    lines, positions = np.empty(MOST_SIDES, np.int64), np.empty(MOST_SIDES, np.float32)
    pages = np.empty((2, width + 1), np.float32)
    scratch = np.empty((6, width), np.float32)
    count = _in_order(steps, np.ascontiguousarray(shades), length, scratch, pages, lines, positions)
    return lines[:count], positions[:count], pages
