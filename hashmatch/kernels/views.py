"""The pixels under a view: a picture shrunk once, then 64 x 64 samples of any rectangle of it, upright or turned.

Theory of operation
-------------------
PDQ's two box filters make a tent over every cell of a 64 x 64 grid, but a tent of whole pixels: an even window stands
one pixel off centre, and the sampled position is rounded down. At 4000 pixels that is nothing, at 400 it moves a hash
by ten bits. :func:`sample` takes the limit of ever finer pixels instead: a centred tent as wide as a cell, integrated
over each pixel. So it does not matter at which resolution a copy arrives, and a picture shrunk by whole factors to
about 512 pixels a side gives nearly the same samples: all views of one picture are computed from one small luma.

:func:`turned` samples a rectangle that lies askew in a coarse copy of the picture, bilinearly; where it reaches beyond
the picture, the nearest pixel of the picture stands in.

What this module deliberately does not do: it does not reproduce anybody's bits. What comes out is for asking, never for
a list. It does not look for anything in the picture either (``rectangles`` does).

Source: docs/explain/views.md; facebook/ThreatExchange ``pdq/cpp/downscaling/downscaling.cpp`` for what is approached.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, void, writable

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

GRID: Final = 64
SIDE_PX: Final = 512
"""Sides are shrunk by a whole factor to about this: 8 pixels for each sample, and at least 5."""


class Rectangle(NamedTuple):
    """Part of a picture, in pixels of the shrunk luma; edges may lie between pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """In pixels of the shrunk luma."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """In pixels of the shrunk luma."""
        return self.bottom - self.top


class Shrunk(NamedTuple):
    """Luma of a whole picture, shrunk by whole factors that may differ between width and height."""

    luma: Floats
    """float32, shape (rows, columns); the last row and column may stand for less than a factor of pixels."""
    whole: Rectangle
    """The picture's own extent: the last row and column count only as far as there are pixels."""
    factors: tuple[int, int]
    """Pixels of the picture per column and per row."""


@kernel(void, readonly(uint8, 2), *[int64] * 2, *[writable(float32, n) for n in (1, 1, 2)])
def _shrink(rows: Pixels, factor_x: int, factor_y: int, sums: Floats, line: Floats, out: Floats) -> None:
    """Mean luma of blocks of pixels.

    Parameters
    ----------
    rows : uint8, shape (h, w) or (h, 3 * w), read-only ok
        The picture.
    factor_x, factor_y : int
        Pixels of a block.
    sums, line : float32, shapes of one row of ``rows`` and (w,)
        Scratch.
    out : float32, shape (ceil(h / factor_y), ceil(w / factor_x)), written
        The means.

    """
    height, width = rows.shape[0], line.shape[0]
    for i in range(out.shape[0]):
        bottom = min((i + 1) * factor_y, height)
        sums[:] = np.float32(0)
        for y in range(i * factor_y, bottom):
            row = rows[y]
            for x in range(sums.shape[0]):
                sums[x] += np.float32(row[x])
        if sums.shape[0] == width:
            line[:] = sums
        else:
            for x in range(width):
                line[x] = (
                    np.float32(0.299) * sums[3 * x]
                    + np.float32(0.587) * sums[3 * x + 1]
                    + np.float32(0.114) * sums[3 * x + 2]
                )
        means, share = out[i], np.float32(1) / np.float32((bottom - i * factor_y) * factor_x)
        means[:] = np.float32(0)
        for k in range(factor_x):
            shifted = line[k:]
            for j in range(width // factor_x):
                means[j] += share * shifted[np.uint64(j * factor_x)]
        rest = width - width // factor_x * factor_x
        if rest:
            means[-1] = line[width - rest :].mean() / np.float32(bottom - i * factor_y)


@kernel(float32, float32)
def _below(position: np.float32) -> np.float32:
    """Share of a tent from -1 to 1 that lies below a position."""
    if position <= np.float32(-1):
        return np.float32(0)
    if position >= np.float32(1):
        return np.float32(1)
    if position < np.float32(0):
        return np.float32(0.5) * (np.float32(1) + position) * (np.float32(1) + position)
    return np.float32(1) - np.float32(0.5) * (np.float32(1) - position) * (np.float32(1) - position)


@kernel(void, float32, float32, writable(int64), writable(float32, 2))
def _tents(begin: np.float32, end: np.float32, firsts: Longs, weights: Floats) -> None:
    """Weigh the pixels under each of 64 tents between two positions.

    Parameters
    ----------
    begin, end : float32
        In pixels, ``begin < end``.
    firsts : int64, shape (64,), written
        First pixel of each tent.
    weights : float32, shape (64, ceil((end - begin) / 64) + 1), written
        Its share of each pixel from there on; each row sums to one.

    """
    half = (end - begin) / np.float32(2 * GRID)
    for i in range(GRID):
        centre = begin + np.float32(2 * i + 1) * half
        first = int(np.floor(centre - half))
        firsts[i] = first
        below = np.float32(0)
        for k in range(weights.shape[1]):
            next_below = _below((np.float32(first + k + 1) - centre) / half)
            weights[i, k] = next_below - below
            below = next_below


@kernel(
    void,
    readonly(float32, 2),
    readonly(int64),
    readonly(float32, 2),
    *[int64] * 2,
    *[writable(float32, n) for n in (1, 2)],
)
def _squeeze(lines: Floats, firsts: Longs, weights: Floats, begin: int, end: int, sums: Floats, out: Floats) -> None:
    """Sum the lines under each of 64 tents, and lay them out for the other direction.

    Parameters
    ----------
    lines : float32, shape (h, w), read-only ok
        Rows of the picture, or columns.
    firsts, weights : int64, shape (64,); float32, shape (64, n); read-only ok
        From :func:`_tents`; lines beyond the picture must weigh nothing.
    begin, end : int
        Positions along the lines that are needed.
    sums : float32, shape (w,)
        Scratch.
    out : float32, shape (w, 64), written from ``begin`` to ``end``
        The sums, transposed.

    """
    last, needed = lines.shape[0] - 1, sums[begin:end]  # slices: from zero, the compiler sees no negative index
    for i in range(GRID):
        needed[:] = np.float32(0)
        for k in range(weights.shape[1]):
            weight = weights[i, k]
            if weight > np.float32(0):
                line = lines[min(max(firsts[i] + k, 0), last), begin:end]
                for x in range(needed.shape[0]):
                    needed[x] += weight * line[x]
        for x in range(needed.shape[0]):
            out[begin + x, i] = needed[x]


@kernel(void, readonly(float32, 2), writable(float32, 2))
def _halve(luma: Floats, half: Floats) -> None:
    """Mean of two by two pixels; float32, shapes (h, w) and (h // 2, w // 2)."""
    for y in range(half.shape[0]):
        upper, lower = luma[2 * y], luma[2 * y + 1]
        for x in range(half.shape[1]):
            half[y, x] = np.float32(0.25) * (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1])


@kernel(void, readonly(float32, 2), readonly(float32), writable(float32, 2))
def _turn(luma: Floats, affine: Floats, grid: Floats) -> None:
    """Sample a parallelogram: one bilinear sample for each of 64 x 64 cells.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    affine : float32, shape (6,), read-only ok
        ``x = a[0] + a[1] * u + a[2] * v``, ``y = a[3] + a[4] * u + a[5] * v``, u and v from 0 to 64; x and y are
        those of pixel centres. Beyond the picture the nearest pixel counts.
    grid : float32, shape (64, 64), written
        The samples.

    """
    last_x, last_y = np.float32(luma.shape[1] - 1), np.float32(luma.shape[0] - 1)
    for i in range(GRID):
        for j in range(GRID):
            u, v = np.float32(j) + np.float32(0.5), np.float32(i) + np.float32(0.5)
            x = min(max(affine[0] + affine[1] * u + affine[2] * v, np.float32(0)), last_x)
            y = min(max(affine[3] + affine[4] * u + affine[5] * v, np.float32(0)), last_y)
            left, top = min(int(x), luma.shape[1] - 2), min(int(y), luma.shape[0] - 2)
            right_share, bottom_share = x - np.float32(left), y - np.float32(top)
            upper = luma[top, left] + right_share * (luma[top, left + 1] - luma[top, left])
            lower = luma[top + 1, left] + right_share * (luma[top + 1, left + 1] - luma[top + 1, left])
            grid[i, j] = upper + bottom_share * (lower - upper)


def shrink(pixels: Pixels) -> Shrunk:
    """Return the luma of a picture, shrunk to about 512 pixels a side.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Neither side 0; read-only ok; copied only if it is not in C order.

    """
    height, width = pixels.shape[:2]
    factor_x, factor_y = max(1, round(width / SIDE_PX)), max(1, round(height / SIDE_PX))
    luma = np.empty((-(-height // factor_y), -(-width // factor_x)), np.float32)
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    _shrink(rows, factor_x, factor_y, np.empty(rows.shape[1], np.float32), np.empty(width, np.float32), luma)
    return Shrunk(luma, Rectangle(0.0, 0.0, width / factor_x, height / factor_y), (factor_x, factor_y))


def sample(luma: Floats, part: Rectangle) -> Floats:
    """Return 64 x 64 samples of a rectangle of the picture.

    Parameters
    ----------
    luma : float32, shape (h, w), C order, read-only ok
        The shrunk picture.
    part : Rectangle
        Within the picture, with sides above 0.

    Returns
    -------
    numpy.ndarray
        float32, shape (64, 64).

    """
    width = luma.shape[1]
    begin, end = max(int(part.left), 0), min(math.ceil(part.right), width)
    strip, grid = np.empty((width, GRID), np.float32), np.empty((GRID, GRID), np.float32)
    _squeeze(luma, *_along(part.top, part.bottom), begin, end, np.empty(width, np.float32), strip)
    _squeeze(strip, *_along(part.left, part.right), 0, GRID, np.empty(GRID, np.float32), grid)
    return grid


def _along(begin: float, end: float) -> tuple[Longs, Floats]:
    """First pixels and weights of the tents along one side."""
    firsts = np.empty(GRID, np.int64)
    weights = np.empty((GRID, int(np.ceil((end - begin) / GRID)) + 1), np.float32)
    _tents(np.float32(begin), np.float32(end), firsts, weights)
    return firsts, weights


def halved(picture: Shrunk) -> Shrunk:
    """Return the picture at half the resolution, for samples that need less; neither side of it below 2 pixels."""
    height, width = picture.luma.shape
    half = np.empty((height // 2, width // 2), np.float32)
    _halve(picture.luma, half)
    whole = Rectangle(0.0, 0.0, picture.whole.right / 2, picture.whole.bottom / 2)
    return Shrunk(half, whole, (2 * picture.factors[0], 2 * picture.factors[1]))


def coarse(picture: Shrunk) -> Shrunk:
    """Return the picture at about two pixels for each sample, for which a bilinear sample is nearly a tent."""
    while min(picture.luma.shape) >= 3 * GRID:
        picture = halved(picture)
    return picture


def turned(picture: Shrunk, degrees: float) -> Floats:
    """Return 64 x 64 samples of a rectangle of the picture's size that lies askew in it, with the same centre.

    Parameters
    ----------
    picture : Shrunk
        From :func:`coarse`; neither side of the luma below 2.
    degrees : float
        How far the rectangle is turned clockwise, as seen.

    Returns
    -------
    numpy.ndarray
        float32, shape (64, 64).

    """
    factor_x, factor_y = picture.factors
    width, height = picture.whole.width, picture.whole.height
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    step_u, step_v = width / GRID, height / GRID
    across = (cosine * step_u, -sine * step_v * factor_y / factor_x)
    down = (sine * step_u * factor_x / factor_y, cosine * step_v)
    left, top = (middle - GRID / 2 * sum(steps) - 0.5 for middle, steps in ((width / 2, across), (height / 2, down)))
    grid = np.empty((GRID, GRID), np.float32)
    _turn(picture.luma, np.array([left, *across, top, *down], np.float32), grid)
    return grid
