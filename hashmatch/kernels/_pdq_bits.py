"""PDQ's back end: from 64 x 64 samples to eight hashes and the quality.

Theory of operation
-------------------
The 16 x 16 lowest frequencies of a cosine transform (the constant one left out), then one bit per coefficient: is it
above the median of all 256? The median is the lower one, the 128th smallest, so without ties 128 bits are set.

Turning or mirroring the picture negates the coefficients of every second row, every second column, or both, and
transposes the block or not. So there are four sign patterns and four medians for eight hashes.

Samples and coefficients may be known only within some slack. ``quality_within`` and ``threshold_within`` say whether
that leaves a choice.

What this module deliberately does not do: no fused multiply-add and no reordering of sums, which would decide ties
differently from the reference; and no judgement on quality.

Source: facebook/ThreatExchange, ``pdq/cpp/hashing/pdqhashing.cpp`` and ``torben.cpp`` (here: Hoare's selection).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import boolean, float32, int64, kernel, readonly, uint8, void, writable
from hashmatch.kernels._vectors import LANES, weigh

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

GRID: Final = 64
BLOCK: Final = 16
COEFFICIENTS: Final = BLOCK * BLOCK
MEDIAN_RANK: Final = COEFFICIENTS // 2 - 1

TURNS: Final = ((0, 6), (4, 3), (5, 1), (2, 7))
"""Rows of the result for signs flipped in (nothing, even rows, even columns, both): plain and transposed block."""


def _cosines() -> Floats:
    """First 16 rows after the constant one of the 64-point cosine transform; float32, shape (16, 64).

    Source: ``pdqhashing.cpp``, which rounds the scale to float32 before it multiplies.

    """
    scale = float(np.float32(math.sqrt(2.0 / GRID)))
    step = math.pi / 2.0 / GRID
    rows = [[scale * math.cos(step * i * (2 * j + 1)) for j in range(GRID)] for i in range(1, BLOCK + 1)]
    return np.array(rows, dtype=np.float32)


NO_SLACK: Final = np.zeros((BLOCK, BLOCK), np.float32)
COSINES: Final = _cosines()
COSINES_T: Final = np.ascontiguousarray(COSINES.T)


@kernel(int64, readonly(float32, 2), float32)
def quality_within(grid: Floats, slack: np.float32) -> int:
    """Whole percents of change between neighbouring samples, summed, over 90, at most 100.

    Parameters
    ----------
    grid : float32, shape (64, 64), read-only ok
        The samples.
    slack : float32
        How far off the difference of two neighbours may be, in percent of 255.

    Returns
    -------
    int
        The quality; -1 if it could be another one within that slack.

    """
    low = high = 0
    hundred, white, nothing = np.float32(100), np.float32(255), np.float32(0)
    for i in range(GRID - 1):
        upper, lower = grid[i], grid[i + 1]
        for j in range(GRID):
            percent = abs((upper[j] - lower[j]) * hundred / white)
            low += int(np.int32(max(percent - slack, nothing)))
            high += int(np.int32(percent + slack))
    for i in range(GRID):
        row = grid[i]
        for j in range(GRID - 1):
            percent = abs((row[j] - row[j + 1]) * hundred / white)
            low += int(np.int32(max(percent - slack, nothing)))
            high += int(np.int32(percent + slack))
    sure = min(low // 90, 100)
    return sure if sure == min(high // 90, 100) else -1


@kernel(int64, readonly(float32, 2))
def quality(grid: Floats) -> int:
    """Quality of exact samples; float32, shape (64, 64)."""
    return quality_within(grid, np.float32(0))


@kernel(void, readonly(float32, 2), writable(float32, 2), writable(float32, 2))
def transform(grid: Floats, half: Floats, block: Floats) -> None:
    """Low frequencies, ``COSINES @ grid @ COSINES.T``, every sum in index order.

    Parameters
    ----------
    grid : float32, shape (64, 64), read-only ok
        The samples.
    half : float32, shape (16, 64)
        The first product.
    block : float32, shape (16, 16), written
        The coefficients.

    """
    for i in range(BLOCK):
        for j in range(0, GRID, LANES):
            weigh(COSINES[i], grid, j, half[i])
        weigh(half[i], COSINES_T, 0, block[i])


@kernel(float32, writable(float32), int64)
def _smallest(values: Floats, rank: int) -> np.float32:
    """Value that would stand at index ``rank`` if the array were sorted; reorders it (Hoare's selection)."""
    low, high = 0, values.shape[0] - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    smallest: np.float32 = values[rank]
    return smallest


@kernel(float32, float32, int64, int64)
def _signed(value: np.float32, signs: int, k: int) -> np.float32:
    """Coefficient ``k = 16 * i + j`` under sign pattern 0 to 3: negated in even rows (1), even columns (2) or both."""
    if signs & 1 and k // BLOCK % 2 == 0:
        value = -value
    if signs & 2 and k % 2 == 0:
        value = -value
    return value


@kernel(boolean, readonly(float32, 2), readonly(float32, 2), writable(float32), writable(uint8, 2))
def threshold_within(block: Floats, slack: Floats, scratch: Floats, hashes: Pixels) -> bool:
    """Set the bits of all eight hashes.

    Bit ``16 * i + j`` says whether coefficient ``(i, j)`` is above the 128th smallest of the (turned) block.

    The bits say which coefficients are the 128 smallest. So they are sure if even the largest that each of those may be
    is below the smallest that each of the other 128 may be, under every pattern of signs.

    Parameters
    ----------
    block : float32, shape (16, 16), read-only ok
        The coefficients.
    slack : float32, shape (16, 16), read-only ok
        How far off each may be.
    scratch : float32, shape (256,)
        Their copy, for selection.
    hashes : uint8, shape (8, 32), all zero
        Bytes in text order, the last bit first.

    Returns
    -------
    bool
        Whether any coefficients within the slack give the same bits. False for ties.

    """
    sure = True
    for signs in range(len(TURNS)):
        plain, transposed = TURNS[signs]
        for k in range(COEFFICIENTS):
            scratch[k] = _signed(block[k // BLOCK, k % BLOCK], signs, k)
        median = _smallest(scratch, MEDIAN_RANK)
        top_of_low, bottom_of_high, above = np.float32(-np.inf), np.float32(np.inf), 0
        for k in range(COEFFICIENTS):
            i, j = k // BLOCK, k % BLOCK
            value = _signed(block[i, j], signs, k)
            if value > median:
                mirrored = BLOCK * j + i
                hashes[plain, 31 - k // 8] |= np.uint8(1 << (k % 8))
                hashes[transposed, 31 - mirrored // 8] |= np.uint8(1 << (mirrored % 8))
                above += 1
                bottom_of_high = min(bottom_of_high, value - slack[i, j])
            else:
                top_of_low = max(top_of_low, value + slack[i, j])
        sure = sure and above == COEFFICIENTS // 2 and bool(top_of_low < bottom_of_high)
    return sure


@kernel(void, readonly(float32, 2), writable(float32), writable(uint8, 2))
def threshold(block: Floats, scratch: Floats, hashes: Pixels) -> None:
    """Set the bits of all eight hashes from exact coefficients; parameters as for :func:`threshold_within`."""
    threshold_within(block, NO_SLACK, scratch, hashes)
