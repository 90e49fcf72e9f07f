"""Samples of rectangles that lie askew in a picture: what was turned, turned back.

Theory of operation
-------------------
:func:`turned` samples a rectangle that lies askew in a coarse copy of the picture, bilinearly; where it reaches beyond
its surroundings, the nearest pixel within them stands in. So it does in the corners of a picture that was turned
within its frame: they are gone. :func:`patch` then stretches a skin over them (``views_mend.fill``), beginning with
those nearest pixels, fixed where the picture is known. At more than ten degrees that is closer to what was there by
three bits of 256 on average.

What this module deliberately does not do: it finds no angle (``views_tilts`` does).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, void, writable
from hashmatch.kernels.views import GRID, Rectangle, Shrunk
from hashmatch.kernels.views_mend import fill

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

SWEEPS: Final = 8
"""Over the corners; more change half a bit."""
BEYOND_PX: Final = 1.0
"""From where on the nearest pixel no longer stands in for what is beyond the edge."""


@kernel(void, readonly(float32, 2), *[readonly(float32)] * 2, writable(int64), *[writable(float32, 2)] * 2)
def _turn(luma: Floats, affine: Floats, within: Floats, starts: Longs, places: Floats, grid: Floats) -> None:
    """Sample a parallelogram: one bilinear sample for each cell of a grid.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture; neither side below 2.
    affine : float32, shape (6,), read-only ok
        ``x = a[0] + a[1] * u + a[2] * v``, ``y = a[3] + a[4] * u + a[5] * v``, u and v in cells; x and y are those of
        pixel centres.
    within : float32, shape (4,), read-only ok
        Least x and y, greatest x and y that count, within the picture: beyond them the nearest pixel does.
    starts, places : int64, shape (m,); float32, shape (6, m)
        Scratch: of the cells of a row, which pixel is to the upper left, how far right and below of it they are, and
        it and its neighbours to the right, below, and both.
    grid : float32, shape (n, m), written
        The samples.

    """
    width, last_column, last_row = luma.shape[1], luma.shape[1] - 2, luma.shape[0] - 2
    pixels, right_shares, bottom_shares = luma.ravel(), places[0], places[1]
    here, right, below, beyond = places[2], places[3], places[4], places[5]
    for i in range(grid.shape[0]):
        row, v = grid[i], np.float32(i) + np.float32(0.5)
        for j in range(grid.shape[1]):
            u = np.float32(j) + np.float32(0.5)
            x = min(max(affine[0] + affine[1] * u + affine[2] * v, within[0]), within[2])
            y = min(max(affine[3] + affine[4] * u + affine[5] * v, within[1]), within[3])
            left, top = min(int(np.int32(x)), last_column), min(int(np.int32(y)), last_row)
            starts[j] = top * width + left
            right_shares[j], bottom_shares[j] = x - np.float32(left), y - np.float32(top)
        for j in range(grid.shape[1]):  # apart from the arithmetic, which goes on in vectors
            at = np.uint64(starts[j])  # unsigned: the compiler sees no negative index
            under = at + np.uint64(width)
            here[j], right[j] = pixels[at], pixels[at + np.uint64(1)]
            below[j], beyond[j] = pixels[under], pixels[under + np.uint64(1)]
        for j in range(grid.shape[1]):
            upper = here[j] + right_shares[j] * (right[j] - here[j])
            lower = below[j] + right_shares[j] * (beyond[j] - below[j])
            row[j] = upper + bottom_shares[j] * (lower - upper)


@kernel(int64, *[readonly(float32)] * 2, writable(int64))
def _uncovered(affine: Floats, within: Floats, holes: Longs) -> int:
    """Find the cells of a turned grid that lie beyond what is known.

    Parameters
    ----------
    affine, within
        As for :func:`_turn`.
    holes : int64, shape (64 * 64,), written
        Those whose sample would lie more than :data:`BEYOND_PX` outside, counted in reading order; ascending.

    Returns
    -------
    int
        How many there are.

    """
    count, far = 0, np.float32(BEYOND_PX)
    for i in range(GRID):
        v = np.float32(i) + np.float32(0.5)
        for j in range(GRID):
            u = np.float32(j) + np.float32(0.5)
            x = affine[0] + affine[1] * u + affine[2] * v
            y = affine[3] + affine[4] * u + affine[5] * v
            aside = max(within[0] - x, x - within[2], within[1] - y, y - within[3])
            if aside > far:
                holes[count] = i * GRID + j
                count += 1
    return count


def turned(picture: Shrunk, part: Rectangle, angles: Sequence[float], shape: tuple[int, int] = (GRID, GRID)) -> Floats:
    """Return samples of rectangles of a part's size that lie askew in it, with the same centre.

    Parameters
    ----------
    picture : Shrunk
        With a pixel or two for each sample; neither side of the luma below 2.
    part : Rectangle
        Of the picture, in its pixels. What surrounds it is not looked at.
    angles : sequence of float
        How far each rectangle is turned clockwise, as seen, in degrees.
    shape : tuple of int
        Rows and columns of samples.

    Returns
    -------
    numpy.ndarray
        float32, one for each angle, of that shape.

    """
    grids, places = np.empty((len(angles), *shape), np.float32), np.empty((6, shape[1]), np.float32)
    limits, starts = _within(picture, part), np.empty(shape[1], np.int64)
    for degrees, grid in zip(angles, grids, strict=True):
        _turn(picture.luma, _askew(picture.factors, part, degrees, shape), limits, starts, places, grid)
    return grids


def patch(picture: Shrunk, part: Rectangle, angles: Sequence[float], grids: Floats) -> None:
    """Paint over what :func:`turned` had to make up: the corners that no longer are in the part.

    Parameters
    ----------
    picture, part, angles
        As for :func:`turned`.
    grids : float32, shape (n, 64, 64), changed
        What it returned for the first n angles.

    """
    limits, holes = _within(picture, part), np.empty(GRID * GRID, np.int64)
    for degrees, grid in zip(angles, grids, strict=False):
        count = _uncovered(_askew(picture.factors, part, degrees, (GRID, GRID)), limits, holes)
        fill(grid, holes[:count], SWEEPS)


def _within(picture: Shrunk, part: Rectangle) -> Floats:
    """Return the least and greatest positions of pixels of a part: float32, shape (4,), for :func:`_turn`."""
    height, width = picture.luma.shape
    least = min(math.ceil(part.left), width - 1), min(math.ceil(part.top), height - 1)
    greatest = (max(min(math.floor(end), size) - 1, 0) for end, size in ((part.right, width), (part.bottom, height)))
    return np.array([*least, *greatest], np.float32)


def _askew(factors: tuple[int, int], part: Rectangle, degrees: float, shape: tuple[int, int]) -> Floats:
    """Return where the samples of a turned rectangle lie: float32, shape (6,), for :func:`_turn`."""
    factor_x, factor_y = factors
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    step_u, step_v = part.width / shape[1], part.height / shape[0]
    across = (cosine * step_u, -sine * step_v * factor_y / factor_x)
    down = (sine * step_u * factor_x / factor_y, cosine * step_v)
    centre = (part.left + part.right) / 2, (part.top + part.bottom) / 2
    left, top = (
        middle - shape[1] / 2 * steps[0] - shape[0] / 2 * steps[1] - 0.5
        for middle, steps in zip(centre, (across, down), strict=True)
    )
    return np.array([left, *across, top, *down], np.float32)
