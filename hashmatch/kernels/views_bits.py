"""From 64 x 64 samples of a view to its hash: PDQ's back end where no bit must be anybody else's.

Theory of operation
-------------------
The same transform, signs and median as in ``_pdq_bits``, which has the explanation. There, all eight orientations are
set, with a proof of which bits are sure. A view is only asked for: it needs no proof, and often only one orientation or
two. There are fifty views of a picture, so one call hashes them all.

What this module deliberately does not do: it promises no bit-identity with other tools, and judges no quality.

Source: facebook/ThreatExchange, ``pdq/cpp/hashing/pdqhashing.cpp``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, void, writable
from hashmatch.kernels._pdq_bits import (
    BLOCK,
    COEFFICIENTS,
    COSINES,
    COSINES_T,
    GRID,
    MEDIAN_RANK,
    SIGNS,
    TURNS,
    set_above,
    smallest,
)
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, PdqHashes
from hashmatch.kernels.views_lanes import CHAINS, weigh_tall, weigh_wide

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]


@kernel(int64, readonly(float32, 2))
def _quality(grid: Floats) -> int:
    """Whole percents of change between neighbouring samples, summed, over 90, at most 100; float32, shape (64, 64)."""
    percent = np.float32(100.0 / 255.0)
    total = np.int32(0)  # 32 bits, also in between: twice as many fit a vector
    for i in range(GRID):
        row = grid[i]
        for j in range(GRID - 1):
            total = np.int32(total + np.int32(abs(row[j] - row[j + 1]) * percent))
    for i in range(GRID - 1):
        upper, lower = grid[i], grid[i + 1]
        for j in range(GRID):
            total = np.int32(total + np.int32(abs(upper[j] - lower[j]) * percent))
    return min(int(total) // 90, 100)


@kernel(
    *(void, readonly(float32, 3), readonly(int64)),
    *[writable(float32, n) for n in (2, 2, 2)],
    *(writable(uint8, 3), writable(int64)),
)
def _hash(
    grids: Floats,
    wanted: Longs,
    half: Floats,
    block: Floats,
    values: Floats,
    hashes: Pixels,
    qualities: Longs,
) -> None:
    """Set the bits of views.

    Parameters
    ----------
    grids : float32, shape (n, 64, 64), read-only ok
        The samples.
    wanted : int64, shape (n,), read-only ok
        Sum of ``1 << row`` for each row of the hashes that is wanted.
    half, block : float32, shapes (16, 64) and (16, 16)
        Scratch: the transform.
    values : float32, shape (2, 256)
        Scratch: coefficients with their signs, and transposed.
    hashes : uint8, shape (n, 8, 32), written where wanted
        Bytes in text order, the last bit first.
    qualities : int64, shape (n,), written
        Of each view.

    """
    for n in range(grids.shape[0]):
        for i in range(0, BLOCK, CHAINS):
            weigh_wide(COSINES, i, grids[n], half)
        weigh_tall(half, COSINES_T, block)
        coefficients = block.ravel()
        for pattern in range(len(TURNS)):
            plain, transposed = TURNS[pattern]
            if wanted[n] & (1 << plain | 1 << transposed):
                for k in range(COEFFICIENTS):
                    values[0, k] = SIGNS[pattern, k] * coefficients[k]
                median = smallest(values[0], MEDIAN_RANK)
                if wanted[n] >> plain & 1:
                    set_above(values[0], median, hashes[n, plain])
                if wanted[n] >> transposed & 1:
                    for i in range(BLOCK):
                        for j in range(BLOCK):
                            values[1, BLOCK * j + i] = values[0, BLOCK * i + j]
                    set_above(values[1], median, hashes[n, transposed])
        qualities[n] = _quality(grids[n])


def hash_all(grids: Floats, wanted: Longs) -> tuple[Pixels, Longs]:
    """Hash the samples of views as PDQ does, up to rounding.

    Parameters
    ----------
    grids : float32, shape (n, 64, 64), C order, read-only ok
        The samples.
    wanted : int64, shape (n,)
        Sum of ``1 << row`` for each row of the hashes that is wanted, in the order of ``DIHEDRAL_NAMES``.

    Returns
    -------
    tuple of numpy.ndarray
        uint8, shape (n, 8, 32), zero where not wanted; int64, shape (n,), the qualities.

    """
    hashes = np.zeros((len(grids), len(DIHEDRAL_NAMES), COEFFICIENTS // 8), np.uint8)
    qualities = np.empty(len(grids), np.int64)
    half, block = np.empty((BLOCK, GRID), np.float32), np.empty((BLOCK, BLOCK), np.float32)
    values = np.empty((2, COEFFICIENTS), np.float32)
    _hash(grids, wanted, half, block, values, hashes, qualities)
    return hashes, qualities


def hash_samples(grid: Floats) -> PdqHashes:
    """Hash the samples of one view in eight orientations; float32, shape (64, 64), C order, read-only ok."""
    hashes, qualities = hash_all(grid[None], np.array([255]))
    return PdqHashes(hashes[0], int(qualities[0]))
