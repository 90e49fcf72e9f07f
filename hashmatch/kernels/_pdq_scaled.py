"""PDQ's samples of a picture that was decoded at a fraction of its size: nearly those of the whole picture.

Theory of operation
-------------------
A JPEG decoder can leave out the high frequencies and hand over a half, a quarter or an eighth of each side, for a
fraction of the work. Hashing that picture as it is moves the hash by up to 32 bits, not for want of detail but because
the box filter and the choice of samples depend on the size: windows are even or odd, and samples lie beside the middle.

So the weights of the *whole* picture are taken (see ``_pdq_fused``), and those that fall on the same small pixel are
added. Every sample then has weights of its own, because it cuts the blocks elsewhere. The dialect that first picks
512 x 512 pixels has its weights on those; each falls on the small pixel that holds the picked one, and what is lost is
that a picked pixel is not the mean of its block.

What this module deliberately does not do: it is not exact, and no guard stands behind it; its hashes are for finding
candidates. It checks and allocates nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, void, writable
from hashmatch.kernels._vectors import dot

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

GRID: Final = 64


@kernel(void, int64, int64, int64, writable(int64), writable(float32, 2))
def fold(side_px: int, hashed_px: int, halvings: int, places: Places, weights: Floats) -> None:
    """Weights of the samples along one side, added up in blocks.

    Parameters
    ----------
    side_px : int
        Length of the side of the whole picture.
    hashed_px : int
        How many of these pixels the dialect hashes, picked by nearest neighbour: all, or 512.
    halvings : int
        How often it was halved: 0 to 3.
    places : int64, shape (64,), written
        The first small pixel under each sample.
    weights : float32, shape (64, at least 2 + ceil((2 * window - 2) * side_px / hashed_px) // block), all zero
        The weights from there on; they add up to one.

    """
    window = (hashed_px + 2 * GRID - 1) // (2 * GRID)
    tent = np.float32(1) / np.float32(window * window)
    box = np.float32(1) / np.float32(window * max(window - 1, 1))
    for i in range(GRID):
        first = (2 * i + 1) * hashed_px // (2 * GRID) - 2 * ((window - 1) // 2)
        places[i] = first * side_px // hashed_px >> halvings
        for k in range(min(2 * window - 1, hashed_px - first)):
            share = np.float32(min(k + 1, 2 * window - 1 - k)) * tent
            if i == GRID - 1 and window % 2 == 0 and k >= window - 1:  # the box that hangs over the edge
                share += box - tent
            weights[i, ((first + k) * side_px // hashed_px >> halvings) - places[i]] += share


@kernel(
    void, readonly(uint8, 2), readonly(int64, 2), *[readonly(float32, 2)] * 2, writable(float32), writable(float32, 2)
)
def sample(rows: Pixels, places: Places, weights_y: Floats, weights_x: Floats, line: Floats, grid: Floats) -> None:
    """Compute the samples of a grey picture.

    Parameters
    ----------
    rows : uint8, shape (h, w), read-only ok
        The small picture.
    places : int64, shape (2, 64), read-only ok
        First row and first column under each sample.
    weights_y, weights_x : float32, shape (64, n) and (64, padded), read-only ok
        Results of :func:`fold`; the second padded to a multiple of 16.
    line : float32, shape (w + padded,), all zero
        One weighted sum of rows; zeros behind it.
    grid : float32, shape (64, 64), written
        The samples.

    """
    height, width = rows.shape
    sums = line[:width]
    for i in range(GRID):
        sums[:] = np.float32(0)
        for k in range(min(weights_y.shape[1], height - places[0, i])):
            weight, row = weights_y[i, k], rows[places[0, i] + k]
            for x in range(width):
                sums[x] += weight * np.float32(row[x])
        for j in range(GRID):
            grid[i, j] = dot(line, places[1, j], weights_x[j])
