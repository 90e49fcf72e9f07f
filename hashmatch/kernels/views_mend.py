"""What was drawn over a picture, painted over: letters with outlines, and a corner with a logo in it.

Theory of operation
-------------------
Sixteen frequencies a side do not see details, but they see a bright badge or a line of large letters. What was below
cannot be known; what surrounds it is the best guess, and leaves a few bits to differ where the drawing leaves forty.

Letters on photographs have outlines, or nobody could read them: white next to black within a few pixels, which
photographs rarely show (:func:`letters`). Samples are then means of the other pixels only, and cells that have hardly
any are holes. A logo has any colour and shape, but it is in a corner, so each corner is a hole in turn. :func:`fill`
stretches a skin over the holes (Laplace's equation, by successive over-relaxation), fixed where cells are known.

What this module deliberately does not do: it finds no drawing of any other kind, and no place for it but the corners.

Source: D. M. Young, "Iterative Methods for Solving Partial Difference Equations of Elliptic Type", 1954.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, void, writable
from hashmatch.kernels.views import GRID, Rectangle, sample

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]

LIGHT: Final = 230.0
DARK: Final = 30.0
"""Luma that letters and outlines at least and at most have, JPEG included."""
REACH_PX: Final = 2
"""How near the one must be to the other: the width of an outline, at about 256 pixels a side."""
RIM_PX: Final = 1
"""What else belongs to a letter: the blur of its outline."""
LEAST_KNOWN: Final = 0.1
"""Share of a cell that must be free of letters for its mean to count."""
LEAST_LETTERS: Final = 0.01
"""Share of a picture below which what looks like letters is left alone."""
CORNER: Final = 12
"""Cells on either side of a corner that is painted over: logos of up to a sixth of a side, with their margin."""
SWEEPS: Final = 24
RELAXATION: Final = 1.7
"""Between 1 (slow) and 2 (never settles); for holes of a dozen cells."""


def _beside() -> Longs:
    """Cells beside each corner, in reading order; int64, shape (4, 64 * 64 - 12 * 12)."""
    near = np.arange(GRID) < CORNER
    far = near[::-1]
    return np.array([np.flatnonzero(~np.outer(rows, columns)) for rows in (near, far) for columns in (near, far)])


BESIDE: Final = _beside()


@kernel(void, readonly(uint8, 2), int64, writable(uint8), *[writable(uint8, 2)] * 2)
def _spread(mask: Mask, reach: int, line: Mask, across: Mask, out: Mask) -> None:
    """Mark every pixel that is within reach of a marked one, in rows and in columns.

    Parameters
    ----------
    mask : uint8, shape (h, w), 0 or 1, read-only ok
        What is marked.
    reach : int
        How far, in pixels: 1 or 2.
    line : uint8, shape (w + 4,), all zero
        Scratch: a row between zeros.
    across : uint8, shape (h, w)
        Scratch: the marks spread along rows.
    out : uint8, shape (h, w), written
        The marks spread.

    """
    height, width = mask.shape
    here, before, after = line[2:], line[1:], line[3:]  # slices: from zero, the compiler sees no negative index
    long_before, long_after = line[2 - reach :], line[2 + reach :]
    for y in range(height):
        row, wide = mask[y], across[y]
        for x in range(width):
            here[x] = row[x]
        for x in range(width):
            wide[x] = long_before[x] | before[x] | here[x] | after[x] | long_after[x]
    for y in range(height):
        above, below, tall = across[max(y - 1, 0)], across[min(y + 1, height - 1)], out[y]
        top, bottom, middle = across[max(y - reach, 0)], across[min(y + reach, height - 1)], across[y]
        for x in range(width):
            tall[x] = top[x] | above[x] | middle[x] | below[x] | bottom[x]


@kernel(void, writable(float32, 2), readonly(int64), int64)
def fill(grid: Floats, holes: Longs, sweeps: int) -> None:
    """Replace each hole by the mean of its neighbours, again and again.

    Parameters
    ----------
    grid : float32, shape (64, 64), changed
        The samples. In holes: what to begin with.
    holes : int64, shape (n,), read-only ok
        Cells that are not known, counted in reading order; ascending.
    sweeps : int
        How often.

    """
    for _ in range(sweeps):
        for hole in holes:
            i, j = hole // GRID, hole % GRID
            above, below = grid[max(i - 1, 0), j], grid[min(i + 1, GRID - 1), j]
            left, right = grid[i, max(j - 1, 0)], grid[i, min(j + 1, GRID - 1)]
            mean = np.float32(0.25) * (above + below + left + right)
            grid[i, j] += np.float32(RELAXATION) * (mean - grid[i, j])


@kernel(void, readonly(float32, 2), readonly(float32), writable(float32, 3))
def _fill_corners(grid: Floats, means: Floats, grids: Floats) -> None:
    """Do to each corner what :func:`fill` does to holes.

    Each mean waits for the one to its left. The four corners take turns, as they need not wait for each other.

    Parameters
    ----------
    grid : float32, shape (64, 64), read-only ok
        The samples.
    means : float32, shape (4,), read-only ok
        What each corner begins with.
    grids : float32, shape (4, 64, 64), written
        The samples without the top left, top right, bottom left, bottom right corner.

    """
    far = GRID - CORNER
    for corner in range(grids.shape[0]):
        grids[corner] = grid
        top, left = corner // 2 * far, corner % 2 * far
        for i in range(top, top + CORNER):
            grids[corner, i, left : left + CORNER] = means[corner]
    for _ in range(SWEEPS):
        for row in range(CORNER):
            for column in range(CORNER):
                for corner in range(grids.shape[0]):
                    cells, i, j = grids[corner], corner // 2 * far + row, corner % 2 * far + column
                    above, below = cells[max(i - 1, 0), j], cells[min(i + 1, GRID - 1), j]
                    left_one, right_one = cells[i, max(j - 1, 0)], cells[i, min(j + 1, GRID - 1)]
                    mean = np.float32(0.25) * (above + below + left_one + right_one)
                    cells[i, j] += np.float32(RELAXATION) * (mean - cells[i, j])


def letters(luma: Floats) -> Mask:
    """Return where letters are; float32, shape (h, w), at about 256 pixels a side, to uint8, shape (h, w), 0 or 1."""
    light, dark = (luma >= LIGHT).view(np.uint8), (luma <= DARK).view(np.uint8)
    near_light, near_dark, across = np.empty_like(light), np.empty_like(light), np.empty_like(light)
    line = np.zeros(luma.shape[1] + 4, np.uint8)
    _spread(light, REACH_PX, line, across, near_light)
    _spread(dark, REACH_PX, line, across, near_dark)
    found = np.empty_like(light)
    _spread((light & near_dark) | (dark & near_light), RIM_PX, line, across, found)
    return found


def without_letters(luma: Floats, whole: Rectangle) -> Floats | None:
    """Return 64 x 64 samples of a picture without the letters on it.

    Parameters
    ----------
    luma : float32, shape (h, w), C order
        The picture, at about 256 pixels a side.
    whole : Rectangle
        Its extent.

    Returns
    -------
    numpy.ndarray or None
        float32, shape (64, 64); None if there are no letters, or nothing else.

    """
    found = letters(luma)
    if np.count_nonzero(found) < LEAST_LETTERS * found.size:
        return None
    clear = (1 - found).astype(np.float32)
    known = sample(clear, whole)
    holes = known < LEAST_KNOWN
    if holes.all():
        return None
    grid = sample(luma * clear, whole)
    grid /= np.maximum(known, np.float32(LEAST_KNOWN))
    return _mended(grid, holes)


def without_corners(grid: Floats) -> Floats:
    """Return the samples with each corner painted over in turn.

    Parameters
    ----------
    grid : float32, shape (64, 64), C order, read-only ok
        The samples.

    Returns
    -------
    numpy.ndarray
        float32, shape (4, 64, 64): without the top left, top right, bottom left, bottom right corner.

    """
    grids = np.empty((len(BESIDE), GRID, GRID), np.float32)
    _fill_corners(grid, grid.ravel()[BESIDE].mean(axis=1), grids)
    return grids


def _mended(grid: Floats, holes: npt.NDArray[np.bool_]) -> Floats:
    """Fill the holes of samples, in place."""
    grid[holes] = grid[~holes].mean()
    fill(grid, np.flatnonzero(holes), SWEEPS)
    return grid
