"""Hashes of what the picture may have been before somebody changed it.

Theory of operation
-------------------
A list holds hashes of originals; a copy arrives mirrored, inverted, framed or turned. What was done cannot be undone
on the list's side, where there is no picture, so it is undone on this side, by guessing: each *view* is one guess,
hashed like any picture, and asked for beside the picture itself. The cheapest guess is the negative: the same
coefficients with the other sign.

*Trimmed* views are the rectangles whose sides are straight edges (``kernels.views_edges``): the picture inside a
border, between bars, below a caption, in a screenshot. *Derotated* views turn the picture back by whole degrees
around its centre; half a degree that remains costs a few bits. *Cells* are the halves and quarters of a collage.
*Quads* lie askew in the picture, as on a photographed screen (``kernels.views_quads``), and are hashed as seen from the
front. A picture with transparency is also hashed as it looks on *black* (``modes.on_black``).

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
from hashmatch.kernels.pdq import PdqHashes
from hashmatch.kernels.views import Rectangle, Shrunk, coarse, halved, sample, shrink, turned
from hashmatch.kernels.views_askew import straightened
from hashmatch.kernels.views_bits import hash_samples
from hashmatch.kernels.views_edges import rectangles
from hashmatch.kernels.views_quads import quadrilaterals
from hashmatch.model import ComputedHash
from hashmatch.transformations import DEGREES, MAX_TRIMS, ORIENTATIONS

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

ALGORITHM = QUERY_ONLY[0].name

_CORNER_PX = 3
_FLAT_LUMA = 24.0
"""Range of luma in a corner that still counts as one shade: what a JPEG of low quality makes of black."""
_SLIGHT_DEGREES = 3
"""Angles that are tried whatever the corners show: at more, what is left uncovered reaches into every corner."""

_PLENTY_PX = 256
"""Sides of a rectangle from which half the resolution will do."""


def canonical(pixels: Pixels) -> PdqHashes:
    """Return the phase-free hashes of a picture in eight orientations, and their quality.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Neither side 0; read-only ok.

    """
    picture = shrink(pixels)
    return hash_samples(sample(picture.luma, picture.whole))


def view(name: str, pixels: Pixels, frame: int) -> Iterator[ComputedHash]:
    """Yield the hashes in eight orientations of a view that was made elsewhere, under its name."""
    picture = shrink(pixels)
    yield from _turned(name, sample(picture.luma, picture.whole), frame)


def views(pixels: Pixels, frame: int, *, thorough: bool) -> Iterator[ComputedHash]:
    """Yield the hashes of the views of one frame.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Neither side below 5; read-only ok.
    frame : int
        Number that the hashes carry.
    thorough : bool
        All of them, and not just the picture itself and its negative.

    """
    picture = shrink(pixels)
    yield from cheap(sample(picture.luma, picture.whole), frame)
    if thorough:
        half = halved(picture)
        for number, part in enumerate(trimmed(picture), 1):
            yield from _turned(f"trim-{number}", _sampled(picture, half, part), frame)
        for name, part in cells(picture.whole):
            yield _upright(f"cell-{name}", _sampled(picture, half, part), frame)
        small = coarse(half)
        for degrees in DEGREES if corners_are_flat(half) else DEGREES[:_SLIGHT_DEGREES]:
            yield _upright(f"derotate+{degrees}", turned(small, small.whole, degrees), frame)
            yield _upright(f"derotate-{degrees}", turned(small, small.whole, -degrees), frame)
        factor_x, factor_y = picture.factors
        for number, corners in enumerate(quadrilaterals(half.luma, factor_x / factor_y), 1):
            yield from _turned(f"quad-{number}", straightened(half, corners), frame)


def cheap(grid: Floats, frame: int) -> Iterator[ComputedHash]:
    """Yield the hashes of a whole picture and of its negative; samples as float32, shape (64, 64)."""
    yield from _turned("", grid, frame)
    yield from _turned("invert", -grid, frame)


def corners_are_flat(picture: Shrunk) -> bool:
    """Whether each corner is of one shade, as where a turned picture left its page uncovered."""
    low, high = slice(None, _CORNER_PX), slice(-_CORNER_PX, None)
    corners = (picture.luma[rows, columns] for rows in (low, high) for columns in (low, high))
    return all(float(np.ptp(corner)) < _FLAT_LUMA for corner in corners)


def trimmed(picture: Shrunk) -> Iterator[Rectangle]:
    """Yield the rectangles that the picture may have been put into."""
    for left, top, right, bottom, _strength in rectangles(picture.luma, MAX_TRIMS):
        yield Rectangle(left, top, min(right, picture.whole.right), min(bottom, picture.whole.bottom))


def cells(whole: Rectangle) -> Iterator[tuple[str, Rectangle]]:
    """Yield the halves and quarters of a picture with their names."""
    left, top, right, bottom = whole
    x, y = (left + right) / 2, (top + bottom) / 2
    yield "left", Rectangle(left, top, x, bottom)
    yield "right", Rectangle(x, top, right, bottom)
    yield "top", Rectangle(left, top, right, y)
    yield "bottom", Rectangle(left, y, right, bottom)
    yield "1", Rectangle(left, top, x, y)
    yield "2", Rectangle(x, top, right, y)
    yield "3", Rectangle(left, y, x, bottom)
    yield "4", Rectangle(x, y, right, bottom)


def _sampled(picture: Shrunk, half: Shrunk, part: Rectangle) -> Floats:
    """Sample a rectangle, at half the resolution where two pixels are left for each sample: a quarter of the work."""
    if min(part.width, part.height) < _PLENTY_PX:
        return sample(picture.luma, part)
    return sample(half.luma, Rectangle(*(position / 2 for position in part)))


def _upright(view: str, grid: Floats, frame: int) -> ComputedHash:
    """Name the hash of one view in its own orientation."""
    found = hash_samples(grid, upright=True)
    return ComputedHash(ALGORITHM, found.hashes[0].tobytes(), found.quality, view, frame)


def _turned(view: str, grid: Floats, frame: int) -> Iterator[ComputedHash]:
    """Name the hashes of one view in eight orientations."""
    found = hash_samples(grid)
    for row, orientation in enumerate(ORIENTATIONS):
        name = f"{view}+{orientation}" if view else orientation
        yield ComputedHash(ALGORITHM, found.hashes[row].tobytes(), found.quality, name, frame)
