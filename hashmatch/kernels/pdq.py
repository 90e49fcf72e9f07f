"""PDQ, bit for bit: pixels in, eight dihedral hashes and the quality out.

Theory of operation
-------------------
Luma, two passes of a box filter, 64 x 64 samples, 16 x 16 coefficients of a cosine transform, and one bit per
coefficient above their median (``_pdq_bits``). This module checks, allocates and calls.

There are two ways to the samples. ``_pdq_filter`` makes every rounding of the reference. ``_pdq_fused`` makes none of
them, in a tenth of the time, and is off by a little. Its answer is used if it would be the same anywhere within the
bounds of ``_pdq_guard``; otherwise the exact way is taken after all. So the answer is always that of the exact way.

Two *dialects* differ before the filter. ``pdq`` hashes all pixels, with the luma summed in float64 and rounded once:
pdqhash, python-threatexchange, Hasher-Matcher-Actioner. ``pdq_nearest512`` first takes 512 x 512 pixels by nearest
neighbour if either side is longer, and sums the luma in float32: the C++ command line.

A picture of exactly 64 x 64 is special in the reference: the function for one hash skips the filter, the function for
eight does not. Row 0 and the quality are those of the first, because that is what lists hold; rows 1 to 7 are those of
the second. The two functions disagree only where rounding decides, as in mirror-symmetric pictures.

What this module deliberately does not do: no decoding, orientation or colour management, no judgement on quality, and
no answer that is only nearly right.

Source: facebook/ThreatExchange, ``pdq/cpp``; pdqhash 0.2.8; docs/explain/pdq.md.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.errors import BadInput
from hashmatch.kernels import _pdq_bits as bits
from hashmatch.kernels import _pdq_filter as box
from hashmatch.kernels import _pdq_fused as fused
from hashmatch.kernels import _pdq_room as room
from hashmatch.kernels import _pdq_scaled as reduced
from hashmatch.kernels._pdq_guard import COEFFICIENT_SLACK, PERCENT_SLACK
from hashmatch.kernels._vectors import LANES

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

DIHEDRAL_NAMES: Final = ("orig", "rot90", "rot180", "rot270", "flipx", "flipy", "flipplus", "flipminus")
"""Names of the rows of :attr:`PdqHashes.hashes`, in the reference's order."""

SIDE_MIN_PX: Final = 5
HALVINGS: Final = range(4)
"""How often the sides of a JPEG may be halved when it is decoded for screening."""


class PdqHashes(NamedTuple):
    """Eight hashes of one picture, and its quality."""

    hashes: Pixels
    """uint8, shape (8, 32): one row per :data:`DIHEDRAL_NAMES`, bytes in text order (bit 255 first)."""
    quality: int
    """0 (flat) to 100; the reference advises to discard below 50."""


def pdq(pixels: Pixels) -> PdqHashes:
    """Hash every pixel: the dialect of pdqhash, which most lists hold.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Any strides, read-only ok; copied only if it is not in C order.

    Returns
    -------
    PdqHashes
        All zero, quality 0, if a side is shorter than 5 pixels.

    Raises
    ------
    BadInput
        The array is not uint8 or has another shape.

    Source: pdqhash 0.2.8, ``compute`` (row 0, quality) and ``compute_dihedral`` (rows 1 to 7).

    """
    return _guarded(_checked(pixels), double_luma=True)


def pdq_exact(pixels: Pixels) -> PdqHashes:
    """Return what :func:`pdq` returns, without the fast way: for tests, and to measure by."""
    return _exact(_checked(pixels), double_luma=True)


def pdq_fused(pixels: Pixels) -> PdqHashes | None:
    """Return what :func:`pdq` returns, or None where the guard sends it the exact way: to see how often that is."""
    return _fused(_checked(pixels))


def pdq_nearest512(pixels: Pixels) -> PdqHashes:
    """Hash at most 512 x 512 pixels: the dialect of the C++ command line.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Any strides, read-only ok. A grey picture and its copy in three equal channels may differ where rounding
        decides: in float32 the three weights do not add up to one.

    Returns
    -------
    PdqHashes
        All zero, quality 0, if a side is shorter than 5 pixels and none is longer than 512.

    Raises
    ------
    BadInput
        The array is not uint8 or has another shape.

    Source: facebook/ThreatExchange, ``pdq/cpp/io/pdqio.cpp``; CImg ``resize`` with interpolation 1.

    """
    return _guarded(_nearest512(_checked(pixels)), double_luma=False)


def pdq_nearest512_exact(pixels: Pixels) -> PdqHashes:
    """Return what :func:`pdq_nearest512` returns, without the fast way: for tests, and to measure by."""
    return _exact(_nearest512(_checked(pixels)), double_luma=False)


def pdq_from_grey(scaled: Pixels, full_height: int, full_width: int) -> PdqHashes:
    """Hash a grey picture that was decoded at a half, a quarter or an eighth of its size, nearly as :func:`pdq` does.

    For screening only; how near is in docs/explain/fidelity.md. Values that are written to lists are exact.

    Parameters
    ----------
    scaled : uint8, shape (ceil(full_height / block), ceil(full_width / block)) for a block of 1, 2, 4 or 8
        What a JPEG decoder makes at that scale.
    full_height, full_width : int
        Size of the whole picture, in pixels.

    Returns
    -------
    PdqHashes
        All zero, quality 0, if a side of the whole picture is shorter than 5 pixels.

    Raises
    ------
    BadInput
        The array is not uint8, not grey, or no scale of that size.

    """
    return _from_grey(scaled, (full_height, full_width), (full_height, full_width))


def pdq_nearest512_from_grey(scaled: Pixels, full_height: int, full_width: int) -> PdqHashes:
    """Hash such a picture nearly as :func:`pdq_nearest512` does; parameters, result and errors as there and above.

    Less nearly than :func:`pdq_from_grey`: that dialect picks single pixels, and a scaled one is the mean of many.
    """
    hashed = (full_height, full_width) if max(full_height, full_width) <= box.NEAREST_PX else (box.NEAREST_PX,) * 2
    return _from_grey(scaled, (full_height, full_width), hashed)


def _from_grey(scaled: Pixels, full: tuple[int, int], hashed: tuple[int, int]) -> PdqHashes:
    """Hash a scaled picture as one of the full size, of which the dialect hashes so many rows and columns."""
    image = _checked(scaled)
    height, width, channels = image.shape
    fitting = [n for n in HALVINGS if tuple(-(-side >> n) for side in full) == (height, width)]
    if channels != 1 or not fitting:
        raise BadInput(
            f"shape {scaled.shape} is no grey picture of {full[1]} x {full[0]} pixels scaled by 1, 1/2, 1/4 or "
            "1/8; scale by one of these, rounding up"
        )
    hashes = np.zeros((len(DIHEDRAL_NAMES), bits.COEFFICIENTS // 8), np.uint8)
    if min(hashed) < SIDE_MIN_PX:
        return PdqHashes(hashes, 0)
    grid = _scaled_samples(image.reshape(height, width), full, hashed, fitting[0])
    _set_bits(grid, bits.NO_SLACK, hashes)
    return PdqHashes(hashes, bits.quality(grid))


def _scaled_samples(rows: Pixels, full: tuple[int, int], hashed: tuple[int, int], halvings: int) -> Floats:
    """Return the 64 x 64 samples of a grey picture whose sides were halved so many times."""
    spans = [-(-(2 * box.window_of(some) - 2) * side // some) for side, some in zip(full, hashed, strict=True)]
    reach_y, reach_x = (2 + (span >> halvings) for span in spans)
    reach_x = -(-reach_x // LANES) * LANES
    places = np.empty((2, box.GRID), np.int64)
    weights_y = np.zeros((box.GRID, reach_y), np.float32)
    weights_x = np.zeros((box.GRID, reach_x), np.float32)
    grid = np.empty((box.GRID, box.GRID), np.float32)
    reduced.fold(full[0], hashed[0], halvings, places[0], weights_y)
    reduced.fold(full[1], hashed[1], halvings, places[1], weights_x)
    reduced.sample(rows, places, weights_y, weights_x, np.zeros(rows.shape[1] + reach_x, np.float32), grid)
    return grid


def _nearest512(image: Pixels) -> Pixels:
    """Return a checked picture, resized as the C++ command line does it."""
    height, width, channels = image.shape
    if max(height, width) <= box.NEAREST_PX or min(height, width) == 0:
        return image
    small = np.empty((box.NEAREST_PX, box.NEAREST_PX, channels), np.uint8)
    box.nearest512(image, small)
    return small


def _checked(pixels: Pixels) -> Pixels:
    """Return the picture in C order, shape (h, w, 1 or 3)."""
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        kind = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise BadInput(f"pixels must be a uint8 array, not {kind}; convert 16-bit and float pictures first")
    match pixels.shape:
        case (_, _):
            return np.ascontiguousarray(pixels)[:, :, np.newaxis]
        case (_, _, 3):
            return np.ascontiguousarray(pixels)
    raise BadInput(f"pixels must have shape (h, w) or (h, w, 3), not {pixels.shape}; drop alpha and other channels")


def _guarded(image: Pixels, *, double_luma: bool) -> PdqHashes:
    """Take the fast way, and the exact one if that left anything in doubt."""
    return _fused(image) or _exact(image, double_luma=double_luma)


def _fused(image: Pixels) -> PdqHashes | None:
    """Hash a checked picture in one pass over its bytes; None where the exact kernels could say something else."""
    grid = _sampled(image)
    if grid is None:
        return None
    hashes = np.zeros((len(DIHEDRAL_NAMES), bits.COEFFICIENTS // 8), np.uint8)
    quality = bits.hash_within(
        grid, PERCENT_SLACK, COEFFICIENT_SLACK, np.empty((8, bits.COEFFICIENTS), np.float32), hashes
    )
    return PdqHashes(hashes, quality) if quality >= 0 else None


def _sampled(image: Pixels) -> Floats | None:
    """Return the 64 x 64 samples of a checked picture, nearly; None where that is not worth trying."""
    height, width, channels = image.shape
    window_x, window_y = box.window_of(width), box.window_of(height)
    if min(height, width) < SIDE_MIN_PX or height == width == box.GRID or max(window_x, window_y) > fused.WINDOW_MAX:
        return None
    grid = np.empty((box.GRID, box.GRID), np.float32)
    weights, line = room.fast(height, width, channels)
    fused.sample(image.reshape(height, width * channels), window_y, *weights, line, grid)
    return grid


def _exact(image: Pixels, *, double_luma: bool) -> PdqHashes:
    """Hash a checked picture with the reference's own roundings."""
    height, width, channels = image.shape
    hashes = np.zeros((len(DIHEDRAL_NAMES), bits.COEFFICIENTS // 8), np.uint8)
    if min(height, width) < SIDE_MIN_PX:
        return PdqHashes(hashes, 0)
    rows = image.reshape(height, width * channels)
    grid = _filtered(rows, width, double_luma=double_luma)
    _set_bits(grid, bits.NO_SLACK, hashes)
    if height == width == box.GRID:
        for y in range(box.GRID):
            box.luma(rows[y], double_luma, grid[y])
        single = np.zeros_like(hashes)
        _set_bits(grid, bits.NO_SLACK, single)
        hashes[0] = single[0]
    return PdqHashes(hashes, bits.quality(grid))


def _filtered(rows: Pixels, width: int, *, double_luma: bool) -> Floats:
    """Return the 64 x 64 samples of a picture given as rows of bytes."""
    height = rows.shape[0]
    grid = np.empty((box.GRID, box.GRID), np.float32)
    arrays = room.exact(height, width)
    box.filter_rows(rows, double_luma, *arrays)
    box.filter_columns(arrays.narrow[:height], np.zeros(box.GRID, np.float32), grid)
    return grid


def _set_bits(grid: Floats, slack: Floats, hashes: Pixels) -> bool:
    """Transform the samples, set the bits of all eight hashes; say whether they are sure."""
    block = np.empty((bits.BLOCK, bits.BLOCK), np.float32)
    bits.transform(grid, np.empty((bits.BLOCK, bits.GRID), np.float32), block)
    return bits.threshold_within(block, slack, np.empty((3, bits.COEFFICIENTS), np.float32), hashes)
