"""The pixels under a view: a picture shrunk once, then 64 x 64 samples of any rectangle of it, upright or turned.

Theory of operation
-------------------
PDQ's two box filters make a tent over every cell of a 64 x 64 grid, but a tent of whole pixels: an even window stands
one pixel off centre, and the sampled position is rounded down. At 4000 pixels that is nothing, at 400 it moves a hash
by ten bits. :func:`samples` takes the limit of ever finer pixels instead: a centred tent as wide as a cell, integrated
over each pixel. So it does not matter at which resolution a copy arrives, and a picture shrunk by whole factors to
about 512 pixels a side gives nearly the same samples: all views of one picture are computed from one small luma.

A tent is separable, so a rectangle is squeezed to 64 rows and then to 64 columns. Sixteen columns of sixteen rows are
summed at a time and turned around (``views_lanes.weigh_turned``), which is what the next direction reads. What lies
beyond the picture looks like its edge: a rectangle may be larger than the picture, for a copy that was cropped.

What this module deliberately does not do: it does not reproduce anybody's bits. What comes out is for asking, never for
a list. It turns nothing (``views_turns`` does), and looks for nothing in the picture (``views_edges`` and
``views_tilts`` do).

Source: docs/explain/views.md; facebook/ThreatExchange ``pdq/cpp/downscaling/downscaling.cpp`` for what is approached.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, uint16, void, writable
from hashmatch.kernels.views_lanes import LANES, SHARES, fold_lanes, luma_lanes, weigh_turned

Pixels = npt.NDArray[np.uint8]
Shorts = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

GRID: Final = 64
SIDE_PX: Final = 512
"""Sides are shrunk by a whole factor to about this: 8 pixels for each sample, and at least 5."""
PAIR: Final = 2
"""The factor of pictures of about 1024 pixels a side, by far the commonest."""
MOST_SIZES: Final = 3
"""A rectangle has less than so many times the width or height of the picture."""
MOST_ROWS: Final = 256
"""Rows that are summed at most: 256 white pixels still fit 16 bits."""


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


@kernel(void, readonly(uint16), writable(float32))
def _luma(sums: Shorts, line: Floats) -> None:
    """Luma of grey pixels or of red, green and blue ones; uint16, shape (w,) or (3 * w,), and float32, shape (w,)."""
    width = line.shape[0]
    if sums.shape[0] == width:
        for x in range(width):
            line[x] = np.float32(sums[x])
        return
    for x in range(0, width - LANES + 1, LANES):
        luma_lanes(sums, x, line)
    for x in range(width // LANES * LANES, width):
        line[x] = (
            np.float32(SHARES[0]) * np.float32(sums[3 * x])
            + np.float32(SHARES[1]) * np.float32(sums[3 * x + 1])
            + np.float32(SHARES[2]) * np.float32(sums[3 * x + 2])
        )


@kernel(void, readonly(float32), int64, float32, writable(float32))
def _fold(line: Floats, factor: int, share: np.float32, means: Floats) -> None:
    """Sum whole blocks of ``factor`` pixels, each times a share; float32, shapes (w,) and (ceil(w / factor),)."""
    whole, done = line.shape[0] // factor, 0
    if factor == PAIR:
        done = whole // LANES * LANES
        for j in range(0, done, LANES):
            fold_lanes(line, j, share, means)
    means[done:] = np.float32(0)
    for k in range(factor):
        shifted = line[k:]
        for j in range(done, whole):
            means[j] += share * shifted[np.uint64(j * factor)]


@kernel(void, readonly(uint8, 2), *[int64] * 2, writable(uint16), writable(float32), writable(float32, 2))
def _shrink(rows: Pixels, factor_x: int, factor_y: int, sums: Shorts, line: Floats, out: Floats) -> None:
    """Mean luma of blocks of pixels.

    Parameters
    ----------
    rows : uint8, shape (h, w) or (h, 3 * w), read-only ok
        The picture.
    factor_x, factor_y : int
        Pixels of a block; at most :data:`MOST_ROWS` rows.
    sums, line : uint16, shape of one row of ``rows``; float32, shape (w,)
        Scratch.
    out : float32, shape (ceil(h / factor_y), ceil(w / factor_x)), written
        The means.

    """
    height, width = rows.shape[0], line.shape[0]
    whole = width // factor_x
    for i in range(out.shape[0]):
        bottom = min((i + 1) * factor_y, height)
        for x in range(sums.shape[0]):
            sums[x] = np.uint16(rows[i * factor_y, x])
        for y in range(i * factor_y + 1, bottom):
            row = rows[y]
            for x in range(sums.shape[0]):
                sums[x] = np.uint16(sums[x] + np.uint16(row[x]))
        _luma(sums, line)
        means, share = out[i], np.float32(1) / np.float32((bottom - i * factor_y) * factor_x)
        _fold(line, factor_x, share, means)
        if whole * factor_x < width:
            means[-1] = line[whole * factor_x :].mean() / np.float32(bottom - i * factor_y)


@kernel(float32, float32)
def _below(position: np.float32) -> np.float32:
    """Share of a tent from -1 to 1 that lies below a position."""
    one, half = np.float32(1), np.float32(0.5)
    rising, falling = half * (one + position) * (one + position), one - half * (one - position) * (one - position)
    share = rising if position < np.float32(0) else falling
    share = np.float32(0) if position <= -one else share
    return one if position >= one else share


@kernel(void, float32, float32, int64, writable(int64), *[writable(float32, 2)] * 2)
def _tents(begin: np.float32, end: np.float32, length: int, firsts: Longs, weights: Floats, scratch: Floats) -> None:
    """Weigh the pixels under each of 64 tents between two positions.

    Parameters
    ----------
    begin, end : float32
        In pixels, ``begin < end``.
    length : int
        Pixels that there are; the first and the last stand for those beyond them.
    firsts : int64, shape (64,), written
        First pixel of each tent; all that are weighed exist.
    weights : float32, shape (n, 64), written
        Its share of each pixel from there on; each column sums to one. n is ``ceil((end - begin) / 64) + 1`` or, if
        that is less, the length.
    scratch : float32, shape (3, 64)
        Centres of the tents, their first pixels, how much of them has been weighed.

    """
    half, most = (end - begin) / np.float32(2 * GRID), weights.shape[0]
    centres, pixels, weighed = scratch[0], scratch[1], scratch[2]
    for i in range(GRID):
        centres[i] = begin + np.float32(2 * i + 1) * half
        pixels[i] = np.floor(centres[i] - half)
        weighed[i] = np.float32(0)
    for n in range(most):
        shares, after = weights[n], np.float32(n + 1)
        for i in range(GRID):
            below = _below((pixels[i] + after - centres[i]) / half)
            shares[i] = below - weighed[i]
            weighed[i] = below
    for i in range(GRID):
        pixel = int(pixels[i])
        first = min(max(pixel, 0), length - most)
        firsts[i] = first
        if pixel != first or weighed[i] < np.float32(1):  # beyond the picture: what is there counts as its edge
            for n in range(most):
                weights[n, i] = np.float32(0)
            reached = np.float32(0)
            while reached < np.float32(1):
                below = _below((np.float32(pixel + 1) - centres[i]) / half)
                weights[min(max(pixel - first, 0), most - 1), i] += below - reached
                reached = below
                pixel += 1


@kernel(void, readonly(float32, 2), readonly(int64), readonly(float32, 2), *[int64] * 2, writable(float32, 2))
def _squeeze(lines: Floats, firsts: Longs, weights: Floats, begin: int, end: int, out: Floats) -> None:
    """Sum the lines under each of 64 tents, and lay them out for the other direction.

    Parameters
    ----------
    lines : float32, shape (h, w), read-only ok
        Rows of the picture, or columns; w at least 16.
    firsts, weights : int64, shape (64,); float32, shape (n, 64); read-only ok
        From :func:`_tents`.
    begin, end : int
        Positions along the lines that are needed; at least 16.
    out : float32, shape (w, 64), written from ``begin`` to ``end``
        The sums, transposed.

    """
    for x in range(begin, end - LANES, LANES):
        for i in range(0, GRID, LANES):
            weigh_turned(weights, firsts, i, lines, x, out)
    for i in range(0, GRID, LANES):
        weigh_turned(weights, firsts, i, lines, end - LANES, out)


@kernel(
    *(void, readonly(float32, 2), int64, readonly(float32, 2), writable(int64, 2)),
    *[writable(float32, n) for n in (2, 2, 2, 3)],
)
def _sample(
    luma: Floats,
    width: int,
    parts: Floats,
    firsts: Longs,
    weights: Floats,
    places: Floats,
    strip: Floats,
    grids: Floats,
) -> None:
    """Sample rectangles.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture; w at least 16.
    width : int
        How many of its columns count.
    parts : float32, shape (n, 4), read-only ok
        Left, top, right, bottom of each.
    firsts, weights, places : int64, shape (2, 64); float32, shapes (2, 64 * m) and (3, 64)
        Scratch: the tents down and across.
    strip : float32, shape (w, 64), no NaN in it
        Scratch: columns squeezed.
    grids : float32, shape (n, 64, 64), written
        The samples.

    """
    height, across = luma.shape
    for n in range(parts.shape[0]):
        left, top, right, bottom = parts[n, 0], parts[n, 1], parts[n, 2], parts[n, 3]
        taps_y = min(int(np.ceil((bottom - top) / np.float32(GRID))) + 1, height)
        taps_x = min(int(np.ceil((right - left) / np.float32(GRID))) + 1, width)
        down = weights[0][: GRID * taps_y].reshape((taps_y, GRID))
        sideways = weights[1][: GRID * taps_x].reshape((taps_x, GRID))
        _tents(top, bottom, height, firsts[0], down, places)
        _tents(left, right, width, firsts[1], sideways, places)
        begin = min(firsts[1, 0], across - LANES)
        end = max(firsts[1, GRID - 1] + taps_x, begin + LANES)  # no less: what is not written may be no number
        _squeeze(luma, firsts[0], down, begin, end, strip)
        _squeeze(strip, firsts[1], sideways, 0, GRID, grids[n])


@kernel(void, readonly(float32, 2), writable(float32, 2))
def _halve(luma: Floats, half: Floats) -> None:
    """Mean of two by two pixels; float32, shapes (h, w) and (h // 2, w // 2)."""
    for y in range(half.shape[0]):
        upper, lower = luma[2 * y], luma[2 * y + 1]
        for x in range(half.shape[1]):
            half[y, x] = np.float32(0.25) * (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1])


def shrink(pixels: Pixels) -> Shrunk:
    """Return the luma of a picture, shrunk to about 512 pixels a side.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Neither side 0; read-only ok; copied only if it is not in C order.

    """
    height, width = pixels.shape[:2]
    factor_x, factor_y = max(1, round(width / SIDE_PX)), min(max(1, round(height / SIDE_PX)), MOST_ROWS)
    luma = np.empty((-(-height // factor_y), -(-width // factor_x)), np.float32)
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    _shrink(rows, factor_x, factor_y, np.empty(rows.shape[1], np.uint16), np.empty(width, np.float32), luma)
    return Shrunk(luma, Rectangle(0.0, 0.0, width / factor_x, height / factor_y), (factor_x, factor_y))


def samples(luma: Floats, parts: Floats) -> Floats:
    """Return 64 x 64 samples of each of some rectangles.

    Parameters
    ----------
    luma : float32, shape (h, w), C order, read-only ok
        The shrunk picture.
    parts : float32, shape (n, 4)
        Left, top, right and bottom of each. Sides above 0; they may reach beyond the picture by less than its own size.

    Returns
    -------
    numpy.ndarray
        float32, shape (n, 64, 64).

    """
    grids = np.empty((len(parts), GRID, GRID), np.float32)
    if not len(parts):
        return grids
    width = luma.shape[1]
    if width < LANES:  # vectors of pixels need as many
        luma = np.pad(luma, ((0, 0), (0, LANES - width)))
    across = luma.shape[1]
    taps = MOST_SIZES * max(luma.shape) // GRID + 2
    strip = np.zeros((across, GRID), np.float32)  # columns that no tent reaches are weighed too: 0 * NaN is NaN
    _sample(
        luma,
        width,
        parts,
        np.empty((2, GRID), np.int64),
        np.empty((2, GRID * taps), np.float32),
        np.empty((3, GRID), np.float32),
        strip,
        grids,
    )
    return grids


def sample(luma: Floats, part: Rectangle) -> Floats:
    """Return 64 x 64 samples of a rectangle; float32, shape (64, 64); parameters as for :func:`samples`."""
    grid: Floats = samples(luma, np.array([part], np.float32))[0]
    return grid


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
