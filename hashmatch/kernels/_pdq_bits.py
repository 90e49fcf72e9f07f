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

Source: facebook/ThreatExchange, ``pdq/cpp/hashing/pdqhashing.cpp`` and ``torben.cpp`` (here: by bisection).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import boolean, float32, int64, kernel, readonly, uint8, void, writable
from hashmatch.kernels._pdq_lanes import above, at_most, largest
from hashmatch.kernels._vectors import LANES, weigh, weigh_wide

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


def _signs() -> Floats:
    """Signs of the coefficients for each of :data:`TURNS`; float32, shape (4, 256)."""
    flip = np.where(np.arange(BLOCK) % 2 == 0, -1.0, 1.0)
    same = np.ones(BLOCK)
    patterns = ((same, same), (flip, same), (same, flip), (flip, flip))
    return np.array([np.outer(rows, columns).ravel() for rows, columns in patterns], dtype=np.float32)


SIGNS: Final = _signs()
SIGN_BIT: Final = 1 << 31
LOWEST_KEY: Final = 0x007FFFFF
HIGHEST_KEY: Final = 0xFF800000
"""Places of the infinities among all floats, see :func:`_float_of`."""
NO_SLACK: Final = np.zeros((BLOCK, BLOCK), np.float32)
COSINES: Final = _cosines()
COSINES_T: Final = np.ascontiguousarray(COSINES.T)


@kernel(int64, readonly(float32, 2), float32, counted=False)
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


@kernel(void, readonly(float32, 2), writable(float32, 2), writable(float32, 2), counted=False)
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
        weigh_wide(COSINES[i], grid, half[i])
        weigh(half[i], COSINES_T, 0, block[i])


@kernel(float32, int64)
def _float_of(key: int) -> np.float32:
    """Value of a float's place among all floats: whole numbers in the same order."""
    bits = np.uint32(key - SIGN_BIT if key >= SIGN_BIT else 0xFFFFFFFF - key)
    value: np.float32 = bits.view(np.float32)
    return value


@kernel(float32, readonly(float32), int64, counted=False)
def smallest(values: Floats, rank: int) -> np.float32:
    """Value that would stand at index ``rank`` if the values were sorted.

    Bit by bit of its place among all floats, without a branch that depends on a value: on values never seen before,
    selection spends most of its time on branches that were guessed wrong. Once as many values are below as should be,
    after a third of the bits as a rule, it is the largest of these.

    Parameters
    ----------
    values : float32, shape (a multiple of 16,), read-only ok
        No NaN among them.
    rank : int
        From zero.

    """
    low, high = LOWEST_KEY, HIGHEST_KEY
    while low < high:
        middle = (low + high) >> 1
        count = at_most(values, _float_of(middle))
        if count == rank + 1:
            return largest(values, _float_of(middle))
        if count > rank:
            high = middle
        else:
            low = middle + 1
    return _float_of(low)


@kernel(boolean, readonly(float32), readonly(float32, 2), float32, writable(float32, 2), counted=False)
def _apart(values: Floats, slack: Floats, median: np.float32, ends: Floats) -> bool:
    """Say whether the largest that each value up to the median may be is below the smallest that each other may be.

    Parameters
    ----------
    values : float32, shape (256,), read-only ok
        Coefficients.
    slack : float32, shape (16, 16), read-only ok
        How far off each may be.
    ends : float32, shape (2, 16)
        Scratch: largest of the low and smallest of the high, sixteen at a time.

    """
    lows, highs = ends[0], ends[1]
    for lane in range(LANES):
        lows[lane], highs[lane] = np.float32(-np.inf), np.float32(np.inf)
    for i in range(BLOCK):
        for lane in range(LANES):
            value, off = values[BLOCK * i + lane], slack[i, lane]
            low = value + off if value <= median else np.float32(-np.inf)
            high = value - off if value > median else np.float32(np.inf)
            lows[lane] = max(lows[lane], low)
            highs[lane] = min(highs[lane], high)
    for lane in range(1, LANES):
        lows[0] = max(lows[0], lows[lane])
        highs[0] = min(highs[0], highs[lane])
    return bool(lows[0] < highs[0])


@kernel(void, readonly(float32), float32, writable(uint8), counted=False)
def set_above(values: Floats, median: np.float32, hashed: Pixels) -> None:
    """Set a bit for each value above the median; float32, shape (256,); uint8, shape (32,), the last bit first."""
    for at in range(0, COEFFICIENTS, LANES):
        word = above(values, at, median)
        hashed[31 - at // 8] = np.uint8(word & 255)
        hashed[30 - at // 8] = np.uint8(word >> 8)


@kernel(boolean, *[readonly(float32, 2)] * 2, writable(float32, 2), writable(uint8, 2), counted=False)
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
    scratch : float32, shape (3, 256)
        Their copies with signs, plain and transposed; ends of what they may be.
    hashes : uint8, shape (8, 32), written
        Bytes in text order, the last bit first.

    Returns
    -------
    bool
        Whether any coefficients within the slack give the same bits. False for ties.

    """
    sure = True
    values, mirrored, ends = scratch[0], scratch[1], scratch[2, : 2 * LANES].reshape(2, LANES)
    for signs in range(len(TURNS)):
        plain, transposed = TURNS[signs]
        for i in range(BLOCK):
            for j in range(BLOCK):
                value = SIGNS[signs, BLOCK * i + j] * block[i, j]
                values[BLOCK * i + j] = value
                mirrored[BLOCK * j + i] = value
        median = smallest(values, MEDIAN_RANK)
        set_above(values, median, hashes[plain])
        set_above(mirrored, median, hashes[transposed])
        even = at_most(values, median) == COEFFICIENTS // 2
        sure = _apart(values, slack, median, ends) and even and sure
    return sure


@kernel(
    int64,
    readonly(float32, 2),
    float32,
    readonly(float32, 2),
    *[writable(t, 2) for t in (float32, uint8)],
    counted=False,
)
def hash_within(grid: Floats, percent: np.float32, slack: Floats, scratch: Floats, hashes: Pixels) -> int:
    """Transform the samples and set the bits of all eight hashes; return the quality, -1 if anything is not sure.

    Parameters
    ----------
    grid : float32, shape (64, 64), read-only ok
        The samples.
    percent, slack : float32, and float32, shape (16, 16), read-only ok
        As for :func:`quality_within` and :func:`threshold_within`.
    scratch : float32, shape (8, 256)
        Room for the transform and the signs.
    hashes : uint8, shape (8, 32), written where the quality is sure
        Bytes in text order, the last bit first.

    """
    found = quality_within(grid, percent)
    if found >= 0:
        half, block = scratch[:4].reshape(BLOCK, GRID), scratch[4].reshape(BLOCK, BLOCK)
        transform(grid, half, block)
        if not threshold_within(block, slack, scratch[5:], hashes):
            return -1
    return found


@kernel(void, readonly(float32, 2), writable(float32, 2), writable(uint8, 2), counted=False)
def threshold(block: Floats, scratch: Floats, hashes: Pixels) -> None:
    """Set the bits of all eight hashes from exact coefficients; parameters as for :func:`threshold_within`."""
    threshold_within(block, NO_SLACK, scratch, hashes)
