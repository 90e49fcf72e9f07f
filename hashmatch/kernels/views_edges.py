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

Bars and pages have rows of one shade, between letters too; photographs hardly ever do (:func:`_blank`). So the longest
stretch without such rows may end where no edge is strong enough to be seen, in the dark, and a rectangle that contains
many of them is rather a page than the picture on it.

What this module deliberately does not do: it does not know which rectangle is right. The best few are hashed, and those
that were wrong match nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, void, writable

Floats = npt.NDArray[np.float32]

STEP_LIMIT: Final = 12.0
"""Steps of luma beyond this count as this: about what a white border next to a bright sky shows."""
ASIDE_PX: Final = 4
"""Where a step is compared with: beyond the blur of a resampled edge."""
EDGE: Final = 3.0
"""Strength of a side that is the picture's own edge, in steps of luma."""
LINES: Final = 10
"""Lines kept in each direction."""
OWN: Final = -1
"""Stands for the number of a line at the picture's own edge."""
BLANK: Final = -2
"""The same where a stretch of blank rows or columns ends."""
BLANK_RANGE: Final = 4.0
"""Luma within which a whole row or column counts as one shade; a dark sky at night has more noise than that."""
BLANK_REST: Final = 0.01
"""Share of its pixels that may differ."""
BLANK_WEIGHT: Final = 3.0
"""A rectangle of which one part in this many is blank rows or columns is a page, and has no strength left."""
APART_PX: Final = 3
"""Lines nearer than this are one."""
SHARES: Final = (1, 1, 2)
"""Rectangles of each kind in a round of ranking: as wide as the picture, as tall, others."""
LEAST_SHARE: Final = 0.2
"""Shortest side of a rectangle, as a share of the picture's."""
MOST_SHARE: Final = 0.995
"""A rectangle that keeps more than this of both sides is the picture itself."""


@kernel(void, readonly(float32, 2), writable(float32), writable(float32, 2))
def _contrast(luma: Floats, steps: Floats, sums: Floats) -> None:
    """Sum, down each column, how much the steps across it stand out.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    steps : float32, shape (w + 8,), all zero
        Scratch: the steps of one row, between zeros.
    sums : float32, shape (h + 1, w), written
        Row ``y`` holds the sums of rows 0 to ``y - 1``.

    """
    height, width = luma.shape
    sums[0] = np.float32(0)
    for y in range(height):
        row, above, here = luma[y], sums[y], sums[y + 1]
        for x in range(1, width - 1):
            steps[x + ASIDE_PX] = min(abs(row[x + 1] - row[x - 1]), np.float32(STEP_LIMIT))
        for x in range(width):
            here[x] = (
                above[x] + steps[x + ASIDE_PX] - np.float32(0.5) * steps[x] - np.float32(0.5) * steps[x + 2 * ASIDE_PX]
            )


@kernel(void, readonly(float32, 2), writable(float32), writable(int64), writable(float32))
def _lines(sums: Floats, strengths: Floats, lines: npt.NDArray[np.int64], positions: Floats) -> None:
    """Keep the strongest lines.

    Parameters
    ----------
    sums : float32, shape (h + 1, w), read-only ok
        From :func:`_contrast`.
    strengths : float32, shape (w,)
        Scratch.
    lines : int64, shape (LINES,), written
        Columns of ``sums``, strongest first; -1 where there are no more.
    positions : float32, shape (LINES,), written
        Where the line is, between pixels.

    """
    height, width = sums.shape[0] - 1, sums.shape[1]
    strengths[:] = np.float32(0)
    for parts in (1, 2, 4):
        length = height // parts
        for quarter in range(4 - 4 // parts + 1):
            top = quarter * height // 4
            scale = np.float32(1.0 / (max(length, 1) * np.sqrt(np.float32(parts))))
            low, high = sums[top], sums[min(top + length, height)]
            for x in range(width):
                strengths[x] = max(strengths[x], (high[x] - low[x]) * scale)
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


@kernel(void, readonly(float32, 2), writable(float32), writable(float32))
def _blank(luma: Floats, unlike: Floats, sums: Floats) -> None:
    """Count the columns that show one shade from top to bottom.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    unlike : float32, shape (w,)
        Scratch: pixels of a column that differ from its first.
    sums : float32, shape (w + 1,), written
        How many of the columns before this one are blank.

    """
    height, width = luma.shape
    first = luma[0]
    unlike[:] = np.float32(0)
    for y in range(height):
        row = luma[y]
        for x in range(width):
            unlike[x] += np.float32(abs(row[x] - first[x]) > np.float32(BLANK_RANGE))
    sums[0] = np.float32(0)
    for x in range(width):
        sums[x + 1] = sums[x] + np.float32(unlike[x] <= np.float32(BLANK_REST) * np.float32(height))


@kernel(void, readonly(float32), writable(int64))
def _longest_run(sums: Floats, ends: npt.NDArray[np.int64]) -> None:
    """Find where the longest run of columns without a blank one begins and ends; int64, shape (2,), both 0 if none."""
    begin, longest = 0, 0
    ends[0], ends[1] = 0, 0
    for x in range(1, sums.shape[0]):
        if sums[x] > sums[x - 1]:
            begin = x
        elif x - begin > longest:
            longest = x - begin
            ends[0], ends[1] = begin, x


@kernel(float32, readonly(float32, 2), int64, float32, float32)
def _side(sums: Floats, line: int, begin: np.float32, end: np.float32) -> np.float32:
    """Mean strength of a stretch of a line; of the picture's own edge, or a blank one's, if ``line`` is negative."""
    if line < 0:
        return np.float32(EDGE)
    low, high = int(begin + np.float32(0.5)), int(end + np.float32(0.5))
    strength: np.float32 = (sums[high, line] - sums[low, line]) / np.float32(max(high - low, 1))
    return strength


@kernel(float32, readonly(float32), float32, float32)
def _blank_share(sums: Floats, begin: np.float32, end: np.float32) -> np.float32:
    """Share of the columns (or rows) between two positions that are blank, times :data:`BLANK_WEIGHT`."""
    share: np.float32 = (
        np.float32(BLANK_WEIGHT) * (sums[int(end)] - sums[int(begin + np.float32(0.99))]) / (end - begin)
    )
    return share


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
    *(void, readonly(float32, 2), readonly(float32, 2), readonly(int64), readonly(int64)),
    *([readonly(float32)] * 4 + [writable(float32, n) for n in (3, 1, 3)]),
)
def _rectangles(  # noqa: C901  (six nested loops over one table are easier to follow than six functions)
    down: Floats,
    across: Floats,
    columns: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    xs: Floats,
    ys: Floats,
    blank_columns: Floats,
    blank_rows: Floats,
    upright: Floats,
    level: Floats,
    found: Floats,
) -> None:
    """Keep the rectangles with the strongest sides.

    Parameters
    ----------
    down, across : float32, shapes (h + 1, w) and (w + 1, h), read-only ok
        Sums along columns and along rows, from :func:`_contrast`.
    columns, rows : int64, shape (n,), read-only ok
        Lines, :data:`OWN` for the picture's own edges, :data:`BLANK` for those of blank stretches.
    xs, ys : float32, shape (n,), read-only ok
        Where they are; ascending.
    blank_columns, blank_rows : float32, shapes (w + 1,) and (h + 1,), read-only ok
        From :func:`_blank`.
    upright, level : float32, shapes (n, n, n) and (n,)
        Scratch: strengths of upright sides by line, top and bottom; of level sides by line.
    found : float32, shape (3, m, 5), all zero
        As wide as the picture, as tall, others: ``left, top, right, bottom, strength``, strongest first, then zeros.

    """
    width, height = np.float32(down.shape[1]), np.float32(across.shape[1])
    for a in range(xs.shape[0]):
        for c in range(ys.shape[0]):
            for d in range(c + 1, ys.shape[0]):
                upright[a, c, d] = _side(down, columns[a], ys[c], ys[d])
    for a in range(xs.shape[0]):
        for b in range(a + 1, xs.shape[0]):
            if xs[b] - xs[a] < np.float32(LEAST_SHARE) * width:
                continue
            whole = xs[b] - xs[a] > np.float32(MOST_SHARE) * width
            wide = columns[a] == OWN and columns[b] == OWN
            filled = np.float32(1) - _blank_share(blank_columns, xs[a], xs[b])
            for c in range(ys.shape[0]):
                level[c] = _side(across, rows[c], xs[a], xs[b])
            for c in range(ys.shape[0]):
                for d in range(c + 1, ys.shape[0]):
                    high = ys[d] - ys[c]
                    if high < np.float32(LEAST_SHARE) * height or (whole and high > np.float32(MOST_SHARE) * height):
                        continue
                    sides = (upright[a, c, d], upright[b, c, d], level[c], level[d])
                    strength = sides[0] + sides[1] + sides[2] + sides[3] + min(sides)
                    strength *= filled - _blank_share(blank_rows, ys[c], ys[d])
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
    down, columns, xs, blank_columns = _direction(luma)
    across, rows, ys, blank_rows = _direction(np.ascontiguousarray(luma.T))
    found = np.zeros((len(SHARES), most, 5), np.float32)
    upright, level = np.empty((xs.size, ys.size, ys.size), np.float32), np.empty(ys.size, np.float32)
    _rectangles(down, across, columns, rows, xs, ys, blank_columns, blank_rows, upright, level, found)
    ranked = np.concatenate(
        [found[kind, turn * share : (turn + 1) * share] for turn in range(most) for kind, share in enumerate(SHARES)]
    )
    return ranked[ranked[:, 4] > 0][:most]


def _direction(luma: Floats) -> tuple[Floats, npt.NDArray[np.int64], Floats, Floats]:
    """Return the sums down the columns, the lines or edges with their positions, ascending, and the blank columns."""
    height, width = luma.shape
    sums, blank = np.empty((height + 1, width), np.float32), np.empty(width + 1, np.float32)
    _contrast(luma, np.zeros(width + 2 * ASIDE_PX, np.float32), sums)
    _blank(luma, np.empty(width, np.float32), blank)
    lines, positions = np.empty(LINES, np.int64), np.empty(LINES, np.float32)
    _lines(sums, np.empty(width, np.float32), lines, positions)
    there = lines >= 0
    ends = np.empty(2, np.int64)
    _longest_run(blank, ends)
    apart = [abs(positions[there] - end).min(initial=width) > APART_PX and 0 < end < width for end in ends]
    ends = ends[apart]
    lines = np.concatenate(([OWN, OWN], lines[there], np.full(ends.size, BLANK)))
    positions = np.concatenate((np.array([0, width], np.float32), positions[there], ends.astype(np.float32)))
    order = np.argsort(positions, kind="stable")
    return sums, np.ascontiguousarray(lines[order]), np.ascontiguousarray(positions[order]), blank
