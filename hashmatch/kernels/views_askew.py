"""64 x 64 samples of a quadrilateral, as if seen from the front.

Theory of operation
-------------------
A plane seen by a camera is a projective map of it: eight numbers, which follow from four corners. Each cell of the grid
is one bilinear sample, of a copy of the picture that has about two pixels for each; those are means of blocks of
pixels, so that the fine grid of a photographed screen is averaged away rather than sampled.

What this module deliberately does not do: it does not correct a lens, and it does not know the picture's proportions,
which a 64 x 64 grid does not need.

Source: P. S. Heckbert, "Fundamentals of Texture Mapping and Image Warping", UC Berkeley, 1989, section 2.2.3.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, kernel, readonly, void, writable
from hashmatch.kernels.views import GRID, Shrunk, halved

Floats = npt.NDArray[np.float32]

ENOUGH: Final = 3
"""Pixels for each sample from which half the resolution will do."""


@kernel(void, readonly(float32, 2), readonly(float32), writable(float32, 2))
def _project(luma: Floats, projective: Floats, grid: Floats) -> None:
    """Sample a quadrilateral: one bilinear sample for each of 64 x 64 cells.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture; neither side below 2.
    projective : float32, shape (8,), read-only ok
        ``x = (p[0] * u + p[1] * v + p[2]) / (p[6] * u + p[7] * v + 1)``, likewise y from p[3], p[4], p[5]; u and v from
        0 to 64. Beyond the picture the nearest pixel counts.
    grid : float32, shape (64, 64), written
        The samples.

    """
    last_x, last_y = np.float32(luma.shape[1] - 1), np.float32(luma.shape[0] - 1)
    for i in range(GRID):
        v = np.float32(i) + np.float32(0.5)
        for j in range(GRID):
            u = np.float32(j) + np.float32(0.5)
            near = np.float32(1) / (projective[6] * u + projective[7] * v + np.float32(1))
            x = near * (projective[0] * u + projective[1] * v + projective[2]) - np.float32(0.5)
            y = near * (projective[3] * u + projective[4] * v + projective[5]) - np.float32(0.5)
            x, y = min(max(x, np.float32(0)), last_x), min(max(y, np.float32(0)), last_y)
            left, top = min(int(x), luma.shape[1] - 2), min(int(y), luma.shape[0] - 2)
            right_share, bottom_share = x - np.float32(left), y - np.float32(top)
            upper = luma[top, left] + right_share * (luma[top, left + 1] - luma[top, left])
            lower = luma[top + 1, left] + right_share * (luma[top + 1, left + 1] - luma[top + 1, left])
            grid[i, j] = upper + bottom_share * (lower - upper)


def straightened(picture: Shrunk, corners: Floats) -> Floats:
    """Return 64 x 64 samples of a quadrilateral of the picture, as if seen from the front.

    Parameters
    ----------
    picture : Shrunk
        Neither side of the luma below 64.
    corners : float32, shape (4, 2)
        x and y of top left, top right, bottom right, bottom left, in pixels of the luma; convex.

    Returns
    -------
    numpy.ndarray
        float32, shape (64, 64).

    """
    shortest_px = float(np.hypot(*(corners - np.roll(corners, 1, axis=0)).T).min())
    while shortest_px >= ENOUGH * GRID:
        picture, corners, shortest_px = halved(picture), corners * np.float32(0.5), shortest_px / 2
    grid = np.empty((GRID, GRID), np.float32)
    _project(picture.luma, projection(corners), grid)
    return grid


def projection(corners: Floats) -> Floats:
    """Return the map of a square of 64 x 64 onto a convex quadrilateral: float32, shape (8,), for ``_project``."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.tolist()
    bend_x, bend_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    area = (x1 - x2) * (y3 - y2) - (x3 - x2) * (y1 - y2)
    g = (bend_x * (y3 - y2) - (x3 - x2) * bend_y) / area
    h = ((x1 - x2) * bend_y - bend_x * (y1 - y2)) / area
    across, down = (x1 - x0 + g * x1, y1 - y0 + g * y1, g), (x3 - x0 + h * x3, y3 - y0 + h * y3, h)
    (a, d, g), (b, e, h) = (tuple(part / GRID for part in column) for column in (across, down))
    return np.array([a, b, x0, d, e, y0, g, h], np.float32)
