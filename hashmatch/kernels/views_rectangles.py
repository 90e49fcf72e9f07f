"""Rectangles that a picture seems to have been put into: from straight lines along rows and columns.

Theory of operation
-------------------
:func:`_rectangles` puts a side on each line (``views_edges``) and keeps those rectangles whose four sides are strongest
together. Rectangles with one side apart from the picture's own edges (captions), as wide as the picture (bars,
telephones), as tall as it, and others are ranked apart, or the strong short edges of a window within the picture would
leave no place for them. Three things beside the strength of sides speak for a rectangle or against it:

* A rectangle that contains many rows like those beyond it is rather a page than the picture on it (:func:`_filled`).
* What lies just beyond its sides is calmer than what is in it (:func:`_calm`): a bar, a margin, a blurred copy. Beyond
  a window within a photograph the photograph goes on.
* Bars around a picture are of one width. So two lines as far from either edge count for more, and where there is a line
  and none opposite, the edge of a dark picture on black, the other is taken to be where it belongs
  (:func:`_balanced`).

What this module deliberately does not do: it does not know which rectangle is right. The best few are hashed, and those
that were wrong match nothing.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, group, int64, kernel, readonly, void, writable
from hashmatch.kernels.views_edges import APART_PX, BLANK, EDGE, OWN, sides
from hashmatch.kernels.views_steps import across_columns, across_rows, profiles

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

BLANK_WEIGHT: Final = 3.0
"""A rectangle of which one part in this many is blank rows or columns of the page is a page with a picture on it."""
LEAST_FILLED: Final = 0.2
"""Share of its strength that a page keeps: a night sky between black bars looks like one."""
LEAST_BETWEEN_BARS: Final = 0.7
"""The same between bars of one width whose edges were both seen, with no line beyond them, as a telephone has: then
what looks like them is the picture's."""
BESIDE_PX: Final = 2
"""From where on it is looked beyond a side: the step across it is no part of what lies there."""
MARGIN_PX: Final = 6
"""How far."""
CALM_WEIGHT: Final = 0.25
"""How much a rectangle gains by nothing at all going on beyond its sides."""
BALANCED_WEIGHT: Final = 0.4
"""How much it gains by bars of one width."""
BALANCED_PX: Final = 2.0
"""By how much they may differ."""
MOST_FACTOR: Final = (1 + CALM_WEIGHT) * (1 + BALANCED_WEIGHT)
"""How much any rectangle gains at most."""
FILLED, CALM, SEEN, EVEN, BARRED = range(5)
"""What is known of two opposite sides: how little between them is page; how calm it is beyond them, in sum, and beyond
how many of them there is anything; the factor for their being as far from either edge; how little is page if what
is beyond them are bars."""
WIDE, TALL, OTHER, CAPTIONED = range(4)
"""Kinds of rectangles: as wide as the picture, as tall, others, and those of which one side alone is not its own."""
SHARES: Final = (1, 1, 3, 1)
"""Rectangles of each kind in a round of ranking."""
LEAST_SHARE: Final = 0.2
"""Shortest side of a rectangle, as a share of the picture's."""
MOST_SHARE: Final = 0.995
"""A rectangle that keeps more than this of both sides is the picture itself."""


@kernel(float32, readonly(float32), int64, float32, float32)
def _side(sums: Floats, line: int, begin: np.float32, end: np.float32) -> np.float32:
    """Mean strength of a stretch of a line; of the picture's own edge, or a blank one's, if ``line`` is negative."""
    if line < 0:
        return np.float32(EDGE)
    low, high = int(begin + np.float32(0.5)), int(end + np.float32(0.5))
    strength: np.float32 = (sums[high] - sums[low]) / np.float32(max(high - low, 1))
    return strength


@kernel(float32, readonly(float32, 2), *[float32] * 2, *[int64] * 2)
def _filled(pages: Floats, begin: np.float32, end: np.float32, first: int, last: int) -> np.float32:
    """Say how little of what lies between two columns (or rows) looks like the page beyond them.

    Parameters
    ----------
    pages : float32, shape (3, w + 1), read-only ok
        From :func:`views_edges.sides`.
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
        page = max(page, pages[0, high] - pages[0, low])
    if last != OWN:
        page = max(page, pages[1, high] - pages[1, low])
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


@kernel(group(float32, float32), readonly(float32, 2), float32, float32)
def _calm(pages: Floats, begin: np.float32, end: np.float32) -> tuple[np.float32, np.float32]:
    """Measure how much less goes on just beyond two columns (or rows) than between them.

    Parameters
    ----------
    pages : float32, shape (3, w + 1), read-only ok
        From :func:`views_edges.sides`.
    begin, end : float32
        Where the two are.

    Returns
    -------
    tuple of float32
        The sum for both, from 0 (as much) to 1 (nothing) each, and beyond how many of them there is anything.

    """
    busy, one = pages[2], np.float32(1)
    width = busy.shape[0] - 1
    inside = one + (busy[int(end)] - busy[int(begin)]) / (end - begin)
    total, count = np.float32(0), np.float32(0)
    before, after = int(begin) - BESIDE_PX, int(end + np.float32(0.99)) + BESIDE_PX
    if before > 0:
        margin = min(before, MARGIN_PX)
        outside = (busy[before] - busy[before - margin]) / np.float32(margin)
        total, count = total + max(one - outside / inside, np.float32(0)), count + one
    if after < width:
        margin = min(width - after, MARGIN_PX)
        outside = (busy[after + margin] - busy[after]) / np.float32(margin)
        total, count = total + max(one - outside / inside, np.float32(0)), count + one
    return total, count


@kernel(group(int64, int64), readonly(int64))
def _outermost(lines: Longs) -> tuple[int, int]:
    """Numbers of the first and the last line that was seen, :data:`OWN` if there is none."""
    first, last = OWN, OWN
    for n in range(lines.shape[0]):
        if lines[n] >= 0:
            first, last = lines[n] if first == OWN else first, lines[n]
    return first, last


@kernel(
    *(void, readonly(float32, 2), float32, float32, group(int64, int64), group(int64, int64), writable(float32)),
)
def _weigh(
    pages: Floats,
    begin: np.float32,
    end: np.float32,
    lines: tuple[int, int],
    outermost: tuple[int, int],
    weights: Floats,
) -> None:
    """Say what is known of a rectangle from what lies between two columns (or rows), and beyond them.

    Parameters
    ----------
    pages, begin, end, lines
        As for :func:`_filled`.
    outermost : tuple of int
        Result of :func:`_outermost`.
    weights : float32, shape (5,), written
        See :data:`FILLED` and what follows it.

    """
    one = np.float32(1)
    even = abs(begin + end - np.float32(pages.shape[1] - 1)) <= np.float32(BALANCED_PX)
    weights[FILLED] = _filled(pages, begin, end, lines[0], lines[1])
    weights[CALM], weights[SEEN] = _calm(pages, begin, end)
    weights[EVEN] = one + np.float32(BALANCED_WEIGHT) if even else one
    weights[BARRED] = weights[FILLED]
    if even and lines[0] >= 0 and lines[0] == outermost[0] and lines[1] == outermost[1]:
        weights[BARRED] = max(weights[FILLED], np.float32(LEAST_BETWEEN_BARS))


@kernel(float32, int64, *[readonly(float32)] * 2)
def _factor(kind: int, across: Floats, down: Floats) -> np.float32:
    """Weigh a rectangle of a kind; both float32, shape (5,), from :func:`_weigh`."""
    calm = (across[CALM] + down[CALM]) / max(across[SEEN] + down[SEEN], np.float32(1))
    factor: np.float32 = np.float32(1) + np.float32(CALM_WEIGHT) * calm
    if kind == TALL:
        factor *= min(across[BARRED], down[FILLED]) * across[EVEN]
    elif kind == WIDE:
        factor *= min(across[FILLED], down[BARRED]) * down[EVEN]
    else:
        factor *= min(across[FILLED], down[FILLED])
    return factor


@kernel(
    *(void, readonly(float32, 2), readonly(int64), readonly(int64), readonly(float32), readonly(float32, 2)),
    *(writable(float32, 3), writable(float32, 3)),
)
def _between(
    down: Floats, columns: Longs, rows: Longs, ys: Floats, row_pages: Floats, upright: Floats, weights: Floats
) -> None:
    """Weigh what lies between each two rows that are lines.

    Parameters
    ----------
    down, columns, rows, ys, row_pages
        As for :func:`_rectangles`.
    upright : float32, shape (n, n, n), written
        Strengths of the stretches of upright lines, by line, top and bottom.
    weights : float32, shape (n, n, 5), written
        From :func:`_weigh`; 0 in place of the first and the last if the two are too near.

    """
    outermost = _outermost(rows)
    for c in range(ys.shape[0]):
        for d in range(c + 1, ys.shape[0]):
            _weigh(row_pages, ys[c], ys[d], (rows[c], rows[d]), outermost, weights[c, d])
            if ys[d] - ys[c] < np.float32(LEAST_SHARE) * np.float32(down.shape[1] - 1):
                weights[c, d, FILLED] = weights[c, d, BARRED] = np.float32(0)
            for a in range(columns.shape[0]):
                upright[a, c, d] = _side(down[a], columns[a], ys[c], ys[d])


@kernel(int64, *[int64] * 4)
def _kind(left: int, top: int, right: int, bottom: int) -> int:
    """Say of which kind a rectangle between lines of these numbers is."""
    if left == OWN and right == OWN:
        return CAPTIONED if OWN in (top, bottom) else WIDE
    if top == OWN and bottom == OWN:
        return CAPTIONED if OWN in (left, right) else TALL
    return OTHER


@kernel(
    *(void, readonly(float32, 2), readonly(float32, 2), readonly(int64), readonly(int64)),
    *([readonly(float32)] * 2 + [readonly(float32, 2)] * 2 + [writable(float32, n) for n in (3, 1, 3, 3)]),
)
def _rectangles(
    down: Floats,
    across: Floats,
    columns: Longs,
    rows: Longs,
    xs: Floats,
    ys: Floats,
    column_pages: Floats,
    row_pages: Floats,
    upright: Floats,
    level: Floats,
    weights: Floats,
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
    column_pages, row_pages : float32, shapes (3, w + 1) and (3, h + 1), read-only ok
        From :func:`views_edges.sides`.
    upright, level, weights : float32, shapes (n, n, n), (n,) and (n, n, 5)
        Scratch: from :func:`_between`; strengths of level sides by line.
    found : float32, shape (4, m, 5), all zero
        By kind: ``left, top, right, bottom, strength``, strongest first, then zeros.

    """
    width, height = np.float32(across.shape[1] - 1), np.float32(down.shape[1] - 1)
    _between(down, columns, rows, ys, row_pages, upright, weights)
    here, outermost = np.empty(weights.shape[2], np.float32), _outermost(columns)
    for a in range(xs.shape[0]):
        for b in range(a + 1, xs.shape[0]):
            if xs[b] - xs[a] < np.float32(LEAST_SHARE) * width:
                continue
            whole = xs[b] - xs[a] > np.float32(MOST_SHARE) * width
            _weigh(column_pages, xs[a], xs[b], (columns[a], columns[b]), outermost, here)
            for c in range(ys.shape[0]):
                level[c] = _side(across[c], rows[c], xs[a], xs[b])
            for c in range(ys.shape[0]):
                for d in range(c + 1, ys.shape[0]):
                    four = (upright[a, c, d], upright[b, c, d], level[c], level[d])
                    strength = four[0] + four[1] + four[2] + four[3] + min(four)
                    kind = _kind(columns[a], rows[c], columns[b], rows[d])
                    hopeless = strength * weights[c, d, BARRED] * np.float32(MOST_FACTOR) <= found[kind, -1, 4]
                    if hopeless or (whole and ys[d] - ys[c] > np.float32(MOST_SHARE) * height):
                        continue
                    strength *= _factor(kind, here, weights[c, d])
                    if strength > found[kind, -1, 4]:
                        _insert(found[kind], xs[a], ys[c], xs[b], ys[d], strength)


@kernel(
    *(void, readonly(float32, 2), readonly(int64), readonly(float32), readonly(float32, 2), float32),
    *(int64, writable(float32, 2)),
)
def _balanced(
    profile: Floats, lines: Longs, positions: Floats, pages: Floats, length: np.float32, kind: int, found: Floats
) -> None:
    """Take a line to have one opposite, as far from the other edge, where none was found.

    Parameters
    ----------
    profile : float32, shape (n, h + 1), read-only ok
        Sums along the columns (or rows) that are lines.
    lines, positions, pages
        Of the columns: from :func:`views_edges.sides`.
    length : float32
        Of the lines.
    kind : int
        :data:`TALL` for columns, :data:`WIDE` for rows.
    found : float32, shape (m, 5), changed
        The strongest of that kind, as for :func:`_rectangles`.

    """
    width, edge, nothing = np.float32(pages.shape[1] - 1), np.float32(EDGE), np.float32(0)
    here = np.empty(BARRED + 1, np.float32)
    for n in range(lines.shape[0]):
        opposite = width - positions[n]
        low, high = min(positions[n], opposite), max(positions[n], opposite)
        alone = lines[n] >= 0 and low > np.float32(APART_PX) and high - low >= np.float32(LEAST_SHARE) * width
        for k in range(positions.shape[0]):
            alone = alone and abs(positions[k] - opposite) > np.float32(APART_PX)
        if alone:
            side = _side(profile[n], lines[n], nothing, length)
            _weigh(pages, low, high, (BLANK, BLANK), (OWN, OWN), here)
            calm = here[CALM] / max(here[SEEN], np.float32(1))
            strength = np.float32(3) * edge + side + min(side, edge)
            strength *= here[FILLED] * here[EVEN] * (np.float32(1) + np.float32(CALM_WEIGHT) * calm)
            if strength > found[-1, 4] and kind == TALL:
                _insert(found, low, nothing, high, length, strength)
            elif strength > found[-1, 4]:
                _insert(found, nothing, low, length, high, strength)


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
    columns, xs, column_pages = sides(steps_across, luma[0], height)
    rows, ys, row_pages = sides(steps_down, luma[:, 0], width)
    down, across = np.empty((xs.size, height + 1), np.float32), np.empty((ys.size, width + 1), np.float32)
    profiles(luma, columns, True, down)  # noqa: FBT003  (kernels have no keywords)
    profiles(luma, rows, False, across)  # noqa: FBT003  (same)
    found = np.zeros((len(SHARES), most, 5), np.float32)
    upright = np.empty((xs.size, ys.size, ys.size), np.float32)
    level, weights = np.empty(ys.size, np.float32), np.empty((ys.size, ys.size, BARRED + 1), np.float32)
    _rectangles(down, across, columns, rows, xs, ys, column_pages, row_pages, upright, level, weights, found)
    _balanced(down, columns, xs, column_pages, height, TALL, found[TALL])
    _balanced(across, rows, ys, row_pages, width, WIDE, found[WIDE])
    ranked = found.reshape(-1, 5)[_turns(most)]
    return ranked[ranked[:, 4] > 0][:most]


@functools.cache  # there is one number, but for tests
def _turns(most: int) -> Longs:
    """Rows in which kinds of rectangles, ``most`` of each, take their turns."""
    turns = [kind * most + at for turn in range(most) for kind, share in enumerate(SHARES)
             for at in range(turn * share, min((turn + 1) * share, most))]  # fmt: skip
    return np.array(turns)
