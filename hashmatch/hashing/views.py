"""Hashes of what the picture may have been before somebody changed it.

Theory of operation
-------------------
A list holds hashes of originals; a copy arrives mirrored, inverted, framed or turned. What was done cannot be undone on
the list's side, where there is no picture, so it is undone on this side, by guessing: each *view* is one guess, hashed
like any picture, and asked for beside the picture itself. The cheapest guess is the
negative: the same coefficients with the other sign.

All of them are computed without PDQ's pixel grid (``kernels.views``), from one shrunk luma, and carry the algorithm
name ``pdq-canonical``.

What this module deliberately does not do: it does not decide whether a view may be believed. Each hash carries the
quality of its own view, and the policy has limits for each kind.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hashmatch.hashing.algorithms import QUERY_ONLY
from hashmatch.kernels import _pdq_bits as bits
from hashmatch.kernels.pdq import PdqHashes
from hashmatch.kernels.views import sample, shrink
from hashmatch.model import ComputedHash
from hashmatch.transformations import ORIENTATIONS

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

ALGORITHM = QUERY_ONLY[0].name


def canonical(pixels: Pixels) -> PdqHashes:
    """Return the phase-free hashes of a picture in eight orientations, and their quality.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Neither side 0; read-only ok.

    """
    picture = shrink(pixels)
    return _hashes(sample(picture.luma, picture.whole))


def views(pixels: Pixels, frame: int) -> Iterator[ComputedHash]:
    """Yield the hashes of the cheap views: the picture without PDQ's pixel grid, and its negative.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Neither side 0; read-only ok.
    frame : int
        Number that the hashes carry.

    """
    picture = shrink(pixels)
    grid = sample(picture.luma, picture.whole)
    yield from _turned("", grid, frame)
    yield from _turned("invert", -grid, frame)


def _turned(view: str, grid: Floats, frame: int) -> Iterator[ComputedHash]:
    """Name the hashes of one view in eight orientations."""
    found = _hashes(grid)
    for row, orientation in enumerate(ORIENTATIONS):
        name = f"{view}+{orientation}" if view else orientation
        yield ComputedHash(ALGORITHM, found.hashes[row].tobytes(), found.quality, name, frame)


def _hashes(grid: Floats) -> PdqHashes:
    """Hash 64 x 64 samples as PDQ does."""
    hashes = np.zeros((len(ORIENTATIONS), bits.COEFFICIENTS // 8), np.uint8)
    block = np.empty((bits.BLOCK, bits.BLOCK), np.float32)
    bits.transform(grid, np.empty((bits.BLOCK, bits.GRID), np.float32), block)
    bits.threshold(block, np.empty(bits.COEFFICIENTS, np.float32), hashes)
    return PdqHashes(hashes, bits.quality(grid))
