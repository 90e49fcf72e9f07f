"""PDQ's front end in one pass over the bytes: many times as fast as ``_pdq_filter``, and not quite the same floats.

Theory of operation
-------------------
Luma, two box filters along each side and the choice of 64 x 64 samples are one linear map, a *tent* around each sample:
along a side, whole-number weights 1, 2 ... w ... 2, 1 for a window of w pixels, over w * w. The tents of neighbouring
samples share at most a pixel, so every byte is read about once.

* Down the columns, 64 bytes of each row at a time are weighed and added in 16-bit integers while they fit, then in
  float32, which holds them without rounding, too. The sums stay in registers until a tent is done. The channels stay
  apart.
* Along that line of sums, a sample is one dot product: the weights of the channels are folded into those of the tent.
  Sixteen are computed together.

Only the end differs. Where the window is even, the last box under the last sample hangs over the edge by a pixel and is
divided by one pixel less. So each side has an inner tent, and an end: the tent without that box, and the box.

What this module deliberately does not do: it does not round as the reference does, so a coefficient close to the median
may fall on the other side of it. ``_pdq_guard`` finds those pictures. It checks and allocates nothing.

Source: facebook/ThreatExchange, ``pdq/cpp/downscaling/downscaling.cpp``, as a matrix.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, uint16, void, writable
from hashmatch.kernels._pdq_lanes import BYTE_LANES, weigh_bytes
from hashmatch.kernels._vectors import LANES, dot, dots

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Weights = npt.NDArray[np.uint16]
Longs = npt.NDArray[np.int64]

GRID: Final = 64
WEIGHT_SUM_MAX: Final = 257
"""Times 255 it still fits 16 bits."""
WINDOW_MAX: Final = 128
"""Widest window: two of its weights still fit. A side of 16,384 pixels."""
RED, GREEN, BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)


@kernel(int64, int64, int64)
def _tent(window: int, k: int) -> int:
    """Weight ``k`` of ``2 * window - 1`` of an inner sample."""
    return min(k + 1, 2 * window - 1 - k)


@kernel(float32, int64, int64)
def _end(window: int, k: int) -> np.float32:
    """Weight ``k`` of the last sample: in an even window, a box that hangs over the edge is divided by one less."""
    tent = np.float32(_tent(window, k))
    if window % 2 == 0 and k >= window - 1:
        tent -= np.float32(1)
        if k < 2 * window - 2:
            tent += np.float32(window) / np.float32(window - 1)
    return tent


@kernel(void, int64, writable(uint16), writable(float32, 2))
def weigh_rows(window: int, weights: Weights, floats: Floats) -> None:
    """Numerators of the weights down the columns.

    Parameters
    ----------
    window : int
        Pixels under the box filter.
    weights : uint16, shape (2 * window - 1,), written
        Those of an inner sample.
    floats : float32, shape (2, 2 * window - 1), written
        Those of an inner sample again, and of the last one.

    """
    for k in range(2 * window - 1):
        weights[k] = np.uint16(_tent(window, k))
        floats[0, k] = np.float32(_tent(window, k))
        floats[1, k] = _end(window, k)


@kernel(void, int64, int64, int64, writable(float32, 2))
def weigh_columns(window: int, window_y: int, channels: int, weights: Floats) -> None:
    """Weights along the line: luma and both divisions are folded into them.

    Parameters
    ----------
    window, window_y : int
        Pixels under the box filter along the line and down the columns.
    channels : int
        1 or 3.
    weights : float32, shape (2, padded), all zero
        Those of an inner sample and of the last one.

    """
    area = np.float32(window * window) * np.float32(window_y * window_y)
    for k in range(2 * window - 1):
        for part, weight in enumerate((np.float32(_tent(window, k)) / area, _end(window, k) / area)):
            if channels == 1:
                weights[part, k] = weight
            else:
                weights[part, 3 * k] = weight * RED
                weights[part, 3 * k + 1] = weight * GREEN
                weights[part, 3 * k + 2] = weight * BLUE


@kernel(void, int64, int64, int64, writable(int64))
def place(width: int, window: int, channels: int, starts: Longs) -> None:
    """Write where the weights of each of the 64 samples of a line begin; int64, shape (64,)."""
    for j in range(GRID):
        starts[j] = channels * ((2 * j + 1) * width // (2 * GRID) - 2 * ((window - 1) // 2))


@kernel(void, readonly(uint8, 2), int64, readonly(float32), writable(float32), counted=False)
def _add_rows(rows: Pixels, top: int, weights: Floats, line: Floats) -> None:
    """Write the weighted sums of the rows from ``top`` on, slowly; a weight without a row counts nothing.

    Parameters
    ----------
    rows : uint8, shape (h, n), read-only ok
        The picture.
    weights : float32, shape (m,), read-only ok
        One for each row.
    line : float32, shape (at least n,), written
        The result.

    """
    length = rows.shape[1]
    for x in range(length):
        line[x] = np.float32(0)
    for k in range(min(weights.shape[0], rows.shape[0] - top)):
        row, weight = rows[top + k], weights[k]
        for x in range(length):
            line[x] += weight * np.float32(row[x])


@kernel(
    *(void, readonly(uint8, 2), int64, readonly(uint16), readonly(float32, 2)),
    *(readonly(float32, 2), readonly(int64), writable(float32), writable(float32, 2)),
    counted=False,
)
def sample(
    rows: Pixels,
    window_y: int,
    weights_y: Weights,
    floats_y: Floats,
    weights_x: Floats,
    starts: Longs,
    line: Floats,
    grid: Floats,
) -> None:
    """Compute the samples.

    Parameters
    ----------
    rows : uint8, shape (h, channels * w), read-only ok
        The picture.
    window_y : int
        Pixels under the box filter down the columns.
    weights_y, floats_y : uint16, shape (2 * window_y - 1,) and float32, shape (2, 2 * window_y - 1), read-only ok
        Results of :func:`weigh_rows`.
    weights_x : float32, shape (2, padded), read-only ok
        Result of :func:`weigh_columns`.
    starts : int64, shape (64,), read-only ok
        Result of :func:`place`.
    line : float32, shape (channels * w + padded,), all zero
        One weighted sum of rows; zeros behind it.
    grid : float32, shape (64, 64), written
        The samples.

    """
    height, length = rows.shape
    before = 2 * ((window_y - 1) // 2)
    fits = window_y * window_y <= WEIGHT_SUM_MAX
    step = weights_y.shape[0] if fits else WEIGHT_SUM_MAX // window_y
    for i in range(GRID):
        top, out = (2 * i + 1) * height // (2 * GRID) - before, grid[i]
        if i == GRID - 1:
            _add_rows(rows, top, floats_y[1], line)
        elif length < BYTE_LANES:
            _add_rows(rows, top, floats_y[0], line)
        else:
            for x in range(0, length - BYTE_LANES, BYTE_LANES):
                weigh_bytes(weights_y, step, rows, top, x, line)
            weigh_bytes(weights_y, step, rows, top, length - BYTE_LANES, line)
        for j in range(0, GRID, LANES):
            dots(line, starts, j, weights_x[0], out)
        out[GRID - 1] = dot(line, starts[GRID - 1], weights_x[1])
