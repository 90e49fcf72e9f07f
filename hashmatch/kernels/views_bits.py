"""From 64 x 64 samples of a view to its hash: PDQ's back end where no bit must be anybody else's.

Theory of operation
-------------------
The same transform, signs and median as in ``_pdq_bits``, which has the explanation. There, sums are rounded in the
reference's order, for all eight orientations, with a proof of which bits are sure. A view is only asked for: it needs
none of that, often only one orientation, and there are fifty of them in a picture. So the two stay apart.

What this module deliberately does not do: it promises no bit-identity, and judges no quality.

Source: facebook/ThreatExchange, ``pdq/cpp/hashing/pdqhashing.cpp``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint8, writable
from hashmatch.kernels._pdq_bits import BLOCK, COEFFICIENTS, COSINES, COSINES_T, GRID, MEDIAN_RANK, TURNS
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, PdqHashes

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def _signs() -> Floats:
    """Signs of the coefficients for each of :data:`TURNS`; float32, shape (4, 256)."""
    flip = np.where(np.arange(BLOCK) % 2 == 0, -1.0, 1.0)
    same = np.ones(BLOCK)
    patterns = ((same, same), (flip, same), (same, flip), (flip, flip))
    return np.array([np.outer(rows, columns).ravel() for rows, columns in patterns], dtype=np.float32)


SIGNS: Final = _signs()


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
        for j in range(GRID - 1):
            total += abs(int((grid[i, j] - grid[i, j + 1]) * percent))
    for i in range(GRID - 1):
        for j in range(GRID):
            total += abs(int((grid[i, j] - grid[i + 1, j]) * percent))
    return min(total // 90, 100)


@kernel(int64, readonly(float32, 2), int64, *[writable(float32, n) for n in (2, 2, 1, 1)], writable(uint8, 2))
def _hash(
    grid: Floats, patterns: int, half: Floats, block: Floats, signed: Floats, scratch: Floats, hashes: Pixels
) -> int:
    """Set the bits of a view; return its quality.

    Parameters
    ----------
    grid : float32, shape (64, 64), read-only ok
        The samples.
    patterns : int
        How many of :data:`TURNS` to compute: 1 for the view as it is (and transposed), 4 for all orientations.
    half : float32, shape (16, 64)
        Scratch.
    block : float32, shape (16, 16)
        Scratch: the coefficients.
    signed, scratch : float32, shape (256,)
        Scratch.
    hashes : uint8, shape (8, 32), all zero
        Bytes in text order, the last bit first.

    """
    half[:] = np.float32(0)
    block[:] = np.float32(0)
    for i in range(BLOCK):
        for k in range(GRID):
            weight = COSINES[i, k]
            for j in range(GRID):
                half[i, j] += weight * grid[k, j]
        for k in range(GRID):
            value = half[i, k]
            for j in range(BLOCK):
                block[i, j] += value * COSINES_T[k, j]
    for pattern in range(patterns):
        plain, transposed = TURNS[pattern]
        for k in range(COEFFICIENTS):
            signed[k] = SIGNS[pattern, k] * block[k // BLOCK, k % BLOCK]
            scratch[k] = signed[k]
        median = _smallest(scratch, MEDIAN_RANK)
        for k in range(COEFFICIENTS):
            if signed[k] > median:
                mirrored = BLOCK * (k % BLOCK) + k // BLOCK
                hashes[plain, 31 - k // 8] |= np.uint8(1 << (k % 8))
                hashes[transposed, 31 - mirrored // 8] |= np.uint8(1 << (mirrored % 8))
    return _quality(grid)


def hash_samples(grid: Floats, *, upright: bool = False) -> PdqHashes:
    """Hash 64 x 64 samples as PDQ does, up to rounding.

    Parameters
    ----------
    grid : float32, shape (64, 64), C order, read-only ok
        The samples.
    upright : bool
        Compute row 0 only; the others mean nothing then.

    """
    hashes = np.zeros((len(DIHEDRAL_NAMES), COEFFICIENTS // 8), np.uint8)
    half, block = np.empty((BLOCK, GRID), np.float32), np.empty((BLOCK, BLOCK), np.float32)
    signed, scratch = np.empty((2, COEFFICIENTS), np.float32)
    return PdqHashes(hashes, _hash(grid, 1 if upright else len(TURNS), half, block, signed, scratch, hashes))
