"""Slow and obvious twin of the search for rectangles: every rectangle between lines, weighed on its own, in float64.

Constants are the kernels': they are choices, not results.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import views_edges as edges
from hashmatch.kernels import views_rectangles as kernel
from tests.oracle.pdq import Floats

Longs = npt.NDArray[np.int64]


class Sides(NamedTuple):
    """Lines of one direction: numbers, positions, sums along them; what is known of all columns or rows.

    ``pages`` : shape (3, w + 1), sums of what comes before each: blank and like the first, like the last, mean steps.
    """

    lines: Longs
    positions: Floats
    sums: Floats
    pages: Floats

    @property
    def end(self) -> int:
        """Position of the last edge."""
        return int(self.pages.shape[1]) - 1

    def strength(self, side: int, begin: float, end: float) -> float:
        """Mean strength of a stretch of a line."""
        if self.lines[side] < 0:
            return edges.EDGE
        low, high = int(begin + 0.5), int(end + 0.5)
        return float(self.sums[side, high] - self.sums[side, low]) / max(high - low, 1)

    def own(self, side: int) -> bool:
        """Whether this is the picture's own edge."""
        return bool(self.lines[side] == edges.OWN)


def filled(sides: Sides, first: int, last: int) -> float:
    """How little of what lies between two sides looks like the page beyond them."""
    begin, end = float(sides.positions[first]), float(sides.positions[last])
    pages = [
        float(sides.pages[row, int(end)] - sides.pages[row, int(begin + 0.99)])
        for row, side in enumerate((first, last))
        if not sides.own(side)
    ]
    return max(1 - kernel.BLANK_WEIGHT * max(pages, default=0.0) / (end - begin), kernel.LEAST_FILLED)


def calm(sides: Sides, begin: float, end: float) -> list[float]:
    """How much less goes on beyond two positions than between them, for each beyond which there is anything."""
    busy = sides.pages[2].astype(float)
    inside = (busy[int(end)] - busy[int(begin)]) / (end - begin)
    before, after = int(begin) - kernel.BESIDE_PX, int(end + 0.99) + kernel.BESIDE_PX
    margins = (max(before - kernel.MARGIN_PX, 0), before), (after, min(after + kernel.MARGIN_PX, sides.end))
    return [max(1 - (busy[b] - busy[a]) / (b - a) / (inside + 1), 0.0) for a, b in margins if b > a]


def even(sides: Sides, begin: float, end: float) -> float:
    """How much a rectangle gains by bars of one width."""
    return 1 + kernel.BALANCED_WEIGHT * (abs(begin + end - sides.end) <= kernel.BALANCED_PX)


def barred(sides: Sides, first: int, last: int) -> float:
    """Say the same where the first and the last line that were seen may be the edges of bars of one width."""
    seen = np.flatnonzero(sides.lines >= 0)
    bars = (
        first == seen.min(initial=len(sides.lines))
        and last == seen.max(initial=-1)
        and even(sides, float(sides.positions[first]), float(sides.positions[last])) > 1
    )
    return max(filled(sides, first, last), kernel.LEAST_BETWEEN_BARS * bars)


def weighed(columns: Sides, rows: Sides, across: tuple[int, int], down: tuple[int, int]) -> tuple[int, float]:
    """Kind and strength of the rectangle between two columns and two rows."""
    (a, b), (c, d) = across, down
    left, right, top, bottom = columns.positions[a], columns.positions[b], rows.positions[c], rows.positions[d]
    four = [columns.strength(side, top, bottom) for side in (a, b)] + [rows.strength(s, left, right) for s in (c, d)]
    wide, tall = columns.own(a) and columns.own(b), rows.own(c) and rows.own(d)
    own = columns.own(a) + columns.own(b) + rows.own(c) + rows.own(d)
    kind = kernel.OTHER
    if wide or tall:
        kind = kernel.CAPTIONED if own == 3 else kernel.WIDE if wide else kernel.TALL
    quiet = calm(columns, left, right) + calm(rows, top, bottom)
    pages = (
        (barred if kind == kernel.TALL else filled)(columns, a, b),
        (barred if kind == kernel.WIDE else filled)(rows, c, d),
    )
    strength = (sum(four) + min(four)) * min(pages)
    strength *= 1 + kernel.CALM_WEIGHT * sum(quiet) / max(len(quiet), 1)
    if kind == kernel.TALL:
        strength *= even(columns, left, right)
    elif kind == kernel.WIDE:
        strength *= even(rows, top, bottom)
    return kind, strength


def pairs(sides: Sides) -> Iterator[tuple[int, int, bool]]:
    """Two sides that are far enough apart, and whether they leave nothing out."""
    for first, last in itertools.combinations(range(len(sides.lines)), 2):
        apart = sides.positions[last] - sides.positions[first]
        if apart >= kernel.LEAST_SHARE * sides.end:
            yield first, last, apart > kernel.MOST_SHARE * sides.end


def rectangles(columns: Sides, rows: Sides, most: int) -> list[list[tuple[float, ...]]]:
    """Strength, left, top, right, bottom of the strongest rectangles of each kind."""
    found: list[list[tuple[float, ...]]] = [[] for _ in kernel.SHARES]
    for (a, b, whole), (c, d, high) in itertools.product(pairs(columns), pairs(rows)):
        if not (whole and high):
            kind, strength = weighed(columns, rows, (a, b), (c, d))
            place = columns.positions[a], rows.positions[c], columns.positions[b], rows.positions[d]
            if strength > 0:
                found[kind].append((strength, *place))
    return [sorted(kind, reverse=True)[:most] for kind in found]


def balanced(sides: Sides, length: int) -> list[tuple[float, float, float]]:
    """Strength, begin and end of bars of one width of which one was not seen, strongest first."""
    found = []
    for side, line in enumerate(sides.lines):
        opposite = sides.end - sides.positions[side]
        begin, end = sorted((sides.positions[side], opposite))
        near = any(abs(other - opposite) <= edges.APART_PX for other in sides.positions)
        if line < 0 or near or begin <= edges.APART_PX or end - begin < kernel.LEAST_SHARE * sides.end:
            continue
        strength = sides.strength(side, 0, length)
        pages = [float(sides.pages[row, int(end)] - sides.pages[row, int(begin + 0.99)]) for row in range(2)]
        share = max(1 - kernel.BLANK_WEIGHT * max(pages) / (end - begin), kernel.LEAST_FILLED)
        quiet = calm(sides, begin, end)
        weight = share * even(sides, begin, end) * (1 + kernel.CALM_WEIGHT * sum(quiet) / max(len(quiet), 1))
        found.append(((3 * edges.EDGE + strength + min(strength, edges.EDGE)) * weight, begin, end))
    return sorted((row for row in found if row[0] > 0 and math.isfinite(row[0])), reverse=True)
