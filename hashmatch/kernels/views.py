"""The pixels under a view: a picture shrunk once, then 64 x 64 samples of any rectangle of it, upright or turned.

Theory of operation
-------------------
PDQ's two box filters make a tent over every cell of a 64 x 64 grid, but a tent of whole pixels: an even window stands
one pixel off centre, and the sampled position is rounded down. At 4000 pixels that is nothing, at 400 it moves a hash
by ten bits. :func:`sample` takes the limit of ever finer pixels instead: a centred tent as wide as a cell, integrated
over each pixel. So it does not matter at which resolution a copy arrives, and a picture shrunk by whole factors to
about 512 pixels a side gives nearly the same samples: all views of one picture are computed from one small luma.

:func:`turned` samples a rectangle that lies askew, with the mean of two by two bilinear samples for each cell; where it
reaches beyond the picture, the nearest pixel of the picture stands in.

What this module deliberately does not do: it does not reproduce anybody's bits. What comes out is for asking, never for
a list. It does not look for anything in the picture either (``rectangles`` does).

Source: docs/explain/views.md; facebook/ThreatExchange ``pdq/cpp/downscaling/downscaling.cpp`` for what is approached.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, void, writable

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

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


@kernel(void, readonly(uint8, 2), int64, int64, writable(float32), writable(float32, 2))
def _shrink(rows: Pixels, factor_x: int, factor_y: int, sums: Floats, out: Floats) -> None:
    """Mean luma of blocks of pixels.

    Parameters
    ----------
    rows : uint8, shape (h, w) or (h, 3 * w), read-only ok
        The picture.
    factor_x, factor_y : int
        Pixels of a block.
    sums : float32, shape of one row of ``rows``
        Scratch.
    out : float32, shape (ceil(h / factor_y), ceil(w / factor_x)), written
        The means.

    """
    height = rows.shape[0]
    channels = 3 if rows.shape[1] > factor_x * out.shape[1] else 1
    width = rows.shape[1] // channels
    for i in range(out.shape[0]):
        bottom = min((i + 1) * factor_y, height)
        sums[:] = np.float32(0)
        for y in range(i * factor_y, bottom):
            row = rows[y]
            for x in range(row.shape[0]):
                sums[x] += np.float32(row[x])
        lines = bottom - i * factor_y
        for j in range(out.shape[1]):
            right = min((j + 1) * factor_x, width)
            total = np.float32(0)
            if channels == 1:
                for x in range(j * factor_x, right):
                    total += sums[x]
            else:
                for x in range(j * factor_x, right):
                    total += (
                        np.float32(0.299) * sums[3 * x]
                        + np.float32(0.587) * sums[3 * x + 1]
                        + np.float32(0.114) * sums[3 * x + 2]
                    )
            out[i, j] = total / np.float32(lines * (right - j * factor_x))


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
def _tents(begin: np.float32, end: np.float32, firsts: npt.NDArray[np.int64], weights: Floats) -> None:
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
    readonly(int64),
    readonly(float32, 2),
    writable(float32),
    writable(float32, 2),
)
def _weigh(
    luma: Floats,
    rows: npt.NDArray[np.int64],
    row_weights: Floats,
    columns: npt.NDArray[np.int64],
    column_weights: Floats,
    sums: Floats,
    grid: Floats,
) -> None:
    """Sum the pixels under 64 x 64 tents.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    rows, columns : int64, shape (64,), read-only ok
        First pixels, from :func:`_tents`; pixels beyond the picture must weigh nothing.
    row_weights, column_weights : float32, shape (64, n), read-only ok
        Weights, from :func:`_tents`.
    sums : float32, shape (w,)
        Scratch.
    grid : float32, shape (64, 64), written
        The samples.

    """
    height, width = luma.shape
    left = max(columns[0], 0)
    right = min(columns[GRID - 1] + column_weights.shape[1], width)
    for i in range(GRID):
        sums[:] = np.float32(0)
        for k in range(row_weights.shape[1]):
            weight = row_weights[i, k]
            if weight > np.float32(0):
                line = luma[min(max(rows[i] + k, 0), height - 1)]
                for x in range(left, right):
                    sums[x] += weight * line[x]
        for j in range(GRID):
            total = np.float32(0)
            for k in range(column_weights.shape[1]):
                total += column_weights[j, k] * sums[min(max(columns[j] + k, 0), width - 1)]
            grid[i, j] = total


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
    _shrink(rows, factor_x, factor_y, np.empty(rows.shape[1], np.float32), luma)
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
    rows, row_weights = _along(part.top, part.bottom)
    columns, column_weights = _along(part.left, part.right)
    grid = np.empty((GRID, GRID), np.float32)
    _weigh(luma, rows, row_weights, columns, column_weights, np.empty(luma.shape[1], np.float32), grid)
    return grid


def _along(begin: float, end: float) -> tuple[npt.NDArray[np.int64], Floats]:
    """First pixels and weights of the tents along one side."""
    firsts = np.empty(GRID, np.int64)
    weights = np.empty((GRID, int(np.ceil((end - begin) / GRID)) + 1), np.float32)
    _tents(np.float32(begin), np.float32(end), firsts, weights)
    return firsts, weights
