"""PDQ's front end in one pass over the bytes: many times as fast as ``_pdq_filter``, and not quite the same floats.

Theory of operation
-------------------
Luma, two box filters along each side and the choice of 64 x 64 samples are one linear map, a *tent* around each sample:
along a side, whole-number weights 1, 2 ... w ... 2, 1 for a window of w pixels, over w * w. The tents of neighbouring
samples share at most a pixel, so every byte is read about once.

* Down the columns, eight rows at a time are weighed and added in 16-bit integers, without rounding; those groups in
  float32. The channels stay apart.
* Along that line of sums, a sample is one dot product: the weights of the channels are folded into those of the tent.

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

from hashmatch.kernels._jit import boolean, float32, int64, kernel, readonly, uint8, uint16, void, writable
from hashmatch.kernels._vectors import dot

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Weights = npt.NDArray[np.uint16]

GRID: Final = 64
GROUP: Final = 8
"""Rows weighed together."""
WEIGHT_SUM_MAX: Final = 257
"""Times 255 it still fits 16 bits."""
WINDOW_MAX: Final = 128
"""Widest window: two of its weights still fit. A side of 16,384 pixels."""
RED, GREEN, BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)


@kernel(int64, int64)
def step_of(window: int) -> int:
    """How many of eight rows carry weight: as many as fit 16 bits, fewer for windows wider than 32."""
    return min(GROUP, WEIGHT_SUM_MAX // window)


@kernel(int64, int64, int64)
def _tent(window: int, k: int) -> int:
    """Weight ``k`` of ``2 * window - 1`` of an inner sample."""
    return min(k + 1, 2 * window - 1 - k)


@kernel(boolean, int64, int64)
def _hangs(window: int, k: int) -> bool:
    """Whether weight ``k`` of the last sample has a share in the box that hangs over the edge."""
    return window % 2 == 0 and k >= window - 1


@kernel(void, int64, writable(uint16, 2))
def weigh_rows(window: int, weights: Weights) -> None:
    """Numerators of the weights down the columns, in groups of eight.

    Parameters
    ----------
    window : int
        Pixels under the box filter.
    weights : uint16, shape (3, 8 * groups), all zero
        The inner tent; the last tent without the box that hangs over the edge; that box. Of each eight, the first
        ``step_of(window)`` are written.

    """
    step = step_of(window)
    for k in range(2 * window - 1):
        slot = k // step * GROUP + k % step
        tent, box = _tent(window, k), int(_hangs(window, k))
        weights[0, slot] = np.uint16(tent)
        weights[1, slot] = np.uint16(tent - box)
        weights[2, slot] = np.uint16(box if k < 2 * window - 2 else 0)


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
        tent = np.float32(_tent(window, k))
        end = tent
        if _hangs(window, k):
            end = tent - np.float32(1)
            if k < 2 * window - 2:
                end += np.float32(window) / np.float32(window - 1)
        for part, weight in enumerate((tent / area, end / area)):
            if channels == 1:
                weights[part, k] = weight
            else:
                weights[part, 3 * k] = weight * RED
                weights[part, 3 * k + 1] = weight * GREEN
                weights[part, 3 * k + 2] = weight * BLUE


@kernel(void, readonly(uint8, 2), int64, int64, readonly(uint16), float32, writable(uint16), writable(float32))
def _add_rows(
    rows: Pixels, top: int, step: int, weights: Weights, scale: np.float32, sums: Weights, line: Floats
) -> None:
    """Add ``scale`` times the weighted sum of the rows from ``top`` on to the line.

    Parameters
    ----------
    rows : uint8, shape (h, n), read-only ok
        The picture.
    top, step : int
        First row, and rows to a group.
    weights : uint16, shape (8 * groups,), read-only ok
        Those behind ``step`` in a group are zero.
    scale : float32
        A factor for all of them.
    sums : uint16, shape (n,)
        Weighted sums that still fit.
    line : float32, shape (n,), added to
        The result.

    """
    end, after = rows.shape[0] - 1, step - 1
    # A tent of at most 32 weights has a window of at most 16, so all of them add up to 256 or less and fit at once.
    whole = weights.shape[0] <= 4 * GROUP
    for k in range(0, weights.shape[0], GROUP):
        y = top + k // GROUP * step
        a, b = rows[min(y, end)], rows[min(y + min(1, after), end)]
        c, d = rows[min(y + min(2, after), end)], rows[min(y + min(3, after), end)]
        e, f = rows[min(y + min(4, after), end)], rows[min(y + min(5, after), end)]
        g, h = rows[min(y + min(6, after), end)], rows[min(y + min(7, after), end)]
        u0, u1, u2, u3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        u4, u5, u6, u7 = weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7]
        if k > 0 and whole:
            for x in range(sums.shape[0]):
                upper = u0 * a[x] + u1 * b[x] + u2 * c[x] + u3 * d[x]
                lower = u4 * e[x] + u5 * f[x] + u6 * g[x] + u7 * h[x]
                sums[x] += np.uint16(upper + lower)
        else:
            for x in range(sums.shape[0]):
                upper = u0 * a[x] + u1 * b[x] + u2 * c[x] + u3 * d[x]
                lower = u4 * e[x] + u5 * f[x] + u6 * g[x] + u7 * h[x]
                sums[x] = np.uint16(upper + lower)
        if not whole or k + GROUP == weights.shape[0]:
            for x in range(sums.shape[0]):
                line[x] += scale * np.float32(sums[x])


@kernel(void, readonly(float32), int64, int64, readonly(float32, 2), writable(float32))
def _across(line: Floats, channels: int, window: int, weights: Floats, out: Floats) -> None:
    """Compute the 64 samples of one line."""
    width = (line.shape[0] - weights.shape[1]) // channels
    before = 2 * ((window - 1) // 2)
    inner, last = weights[0], weights[1]
    for j in range(GRID - 1):
        left = (2 * j + 1) * width // (2 * GRID) - before
        out[j] = dot(line, channels * left, inner)
    left = (2 * GRID - 1) * width // (2 * GRID) - before
    out[GRID - 1] = dot(line, channels * left, last)


@kernel(
    void,
    readonly(uint8, 2),
    int64,
    int64,
    int64,
    readonly(uint16, 2),
    readonly(float32, 2),
    writable(uint16),
    *[writable(float32, n) for n in (1, 2)],
)
def sample(
    rows: Pixels,
    channels: int,
    window_x: int,
    window_y: int,
    weights_y: Weights,
    weights_x: Floats,
    sums: Weights,
    line: Floats,
    grid: Floats,
) -> None:
    """Compute the samples.

    Parameters
    ----------
    rows : uint8, shape (h, channels * w), read-only ok
        The picture.
    channels : int
        1 or 3.
    window_x, window_y : int
        Pixels under the box filter along the rows and down the columns.
    weights_y : uint16, shape (3, 8 * groups), read-only ok
        Result of :func:`weigh_rows`.
    weights_x : float32, shape (2, padded), read-only ok
        Result of :func:`weigh_columns`.
    line : float32, shape (channels * w + padded,), all zero
        One weighted sum of rows; zeros behind it.
    grid : float32, shape (64, 64), written
        The samples.

    """
    height, length = rows.shape
    before = 2 * ((window_y - 1) // 2)
    step = step_of(window_y)
    part = line[:length]
    for i in range(GRID):
        top = (2 * i + 1) * height // (2 * GRID) - before
        part[:] = np.float32(0)
        if i < GRID - 1:
            _add_rows(rows, top, step, weights_y[0], np.float32(1), sums, part)
        else:
            box = np.float32(window_y) / np.float32(max(window_y - 1, 1))
            _add_rows(rows, top, step, weights_y[1], np.float32(1), sums, part)
            _add_rows(rows, top, step, weights_y[2], box, sums, part)
        _across(line, channels, window_x, weights_x, grid[i])
