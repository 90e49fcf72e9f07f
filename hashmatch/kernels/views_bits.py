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

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, void, writable
from hashmatch.kernels._pdq_bits import BLOCK, COEFFICIENTS, GRID, MEDIAN_RANK, TURNS, transform
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, PdqHashes

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]


def _signs() -> Floats:
    """Signs of the coefficients for each of :data:`TURNS`; float32, shape (4, 256)."""
    flip = np.where(np.arange(BLOCK) % 2 == 0, -1.0, 1.0)
    same = np.ones(BLOCK)
    patterns = ((same, same), (flip, same), (same, flip), (flip, flip))
    return np.array([np.outer(rows, columns).ravel() for rows, columns in patterns], dtype=np.float32)


SIGNS: Final = _signs()
ROW_BITS: Final = tuple(
    1 << next(n for n, rows in enumerate(TURNS) if row in rows) for row in range(len(DIHEDRAL_NAMES))
)
"""What to ask :func:`hash_all` for, for each row of the hashes: two rows come together."""


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


@kernel(int64, readonly(float32, 2))
def _quality(grid: Floats) -> int:
    """Whole percents of change between neighbouring samples, summed, over 90, at most 100; float32, shape (64, 64)."""
    percent = np.float32(100.0 / 255.0)
    total = 0
    for i in range(GRID):
        row = grid[i]
        for j in range(GRID - 1):
            total += int(np.int32(abs(row[j] - row[j + 1]) * percent))
    for i in range(GRID - 1):
        upper, lower = grid[i], grid[i + 1]
        for j in range(GRID):
            total += int(np.int32(abs(upper[j] - lower[j]) * percent))
    return min(total // 90, 100)


@kernel(void, readonly(float32), float32, writable(uint8))
def _above(values: Floats, median: np.float32, hashed: Pixels) -> None:
    """Set a bit for each value above the median; float32, shape (256,); uint8, shape (32,), the last bit first."""
    for at in range(COEFFICIENTS // 8):
        byte = 0
        for k in range(8):
            byte |= int(values[8 * at + k] > median) << k
        hashed[COEFFICIENTS // 8 - 1 - at] = np.uint8(byte)


@kernel(
    void,
    readonly(float32, 3),
    readonly(int64),
    *[writable(float32, n) for n in (2, 2, 2)],
    writable(uint8, 3),
    writable(int64),
)
def _hash(
    grids: Floats, wanted: Longs, half: Floats, block: Floats, values: Floats, hashes: Pixels, qualities: Longs
) -> None:
    """Set the bits of views.

    Parameters
    ----------
    grids : float32, shape (n, 64, 64), read-only ok
        The samples.
    wanted : int64, shape (n,), read-only ok
        Which of :data:`TURNS` to compute: bit 0 for the view as it is (and transposed), and so on.
    half, block : float32, shapes (16, 64) and (16, 16)
        Scratch: the transform.
    values : float32, shape (3, 256)
        Scratch: coefficients with their signs, transposed, and to be reordered.
    hashes : uint8, shape (n, 8, 32), written where wanted
        Bytes in text order, the last bit first.
    qualities : int64, shape (n,), written
        Of each view.

    """
    for n in range(grids.shape[0]):
        transform(grids[n], half, block)
        for pattern in range(len(TURNS)):
            if wanted[n] >> pattern & 1:
                plain, transposed = TURNS[pattern]
                for i in range(BLOCK):
                    for j in range(BLOCK):
                        value = SIGNS[pattern, BLOCK * i + j] * block[i, j]
                        values[0, BLOCK * i + j] = value
                        values[1, BLOCK * j + i] = value
                        values[2, BLOCK * i + j] = value
                median = _smallest(values[2], MEDIAN_RANK)
                _above(values[0], median, hashes[n, plain])
                _above(values[1], median, hashes[n, transposed])
        qualities[n] = _quality(grids[n])


def hash_all(grids: Floats, wanted: Longs) -> tuple[Pixels, Longs]:
    """Hash the samples of views as PDQ does, up to rounding.

    Parameters
    ----------
    grids : float32, shape (n, 64, 64), C order, read-only ok
        The samples.
    wanted : int64, shape (n,)
        Sum of the different :data:`ROW_BITS` of the rows that are wanted.

    Returns
    -------
    tuple of numpy.ndarray
        uint8, shape (n, 8, 32), in the order of ``DIHEDRAL_NAMES``, zero where not wanted; int64, shape (n,), the
        qualities.

    """
    hashes = np.zeros((len(grids), len(DIHEDRAL_NAMES), COEFFICIENTS // 8), np.uint8)
    half, block = np.empty((BLOCK, GRID), np.float32), np.empty((BLOCK, BLOCK), np.float32)
    qualities = np.empty(len(grids), np.int64)
    _hash(grids, wanted, half, block, np.empty((3, COEFFICIENTS), np.float32), hashes, qualities)
    return hashes, qualities


def hash_samples(grid: Floats) -> PdqHashes:
    """Hash the samples of one view in eight orientations; float32, shape (64, 64), C order, read-only ok."""
    hashes, qualities = hash_all(grid[None], np.array([15]))
    return PdqHashes(hashes[0], int(qualities[0]))
