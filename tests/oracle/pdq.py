"""The slow, obvious twin of ``hashmatch/kernels/pdq.py``.

Theory of operation
-------------------
The published recipe, step by step and without a clever idea: the box filter is the reference's four phases, every
intermediate picture is stored whole, the median is a sorted list, and each of the eight hashes is thresholded for
itself. Arithmetic is float32 with one rounding per operation; NumPy is used only to do the same operation on every row
(or every column) at once, never along a running sum.

What it deliberately does not do: it shares no line and no table with the kernel, and it does not check its input.

Source: facebook/ThreatExchange, ``pdq/cpp`` (downscaling.cpp, pdqhashing.cpp); pdqhash 0.2.8 for the luma of ``pdq``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

GRID = 64
BLOCK = 16
BITS = 256


def pdq(pixels: Pixels) -> tuple[list[str], int]:
    """Eight hashes as hex text (original first) and the quality, in the dialect of pdqhash."""
    return _hash(luma_double(pixels))


def pdq_nearest512(pixels: Pixels) -> tuple[list[str], int]:
    """Eight hashes as hex text (original first) and the quality, in the dialect of the C++ command line."""
    return _hash(luma_single(nearest512(pixels)))


def luma_double(pixels: Pixels) -> Floats:
    """Weighted sum in float64, rounded once at the end; grey values as they are."""
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    red, green, blue = (pixels[:, :, channel].astype(np.float64) for channel in range(3))
    return (red * 0.299 + green * 0.587 + blue * 0.114).astype(np.float32)


def luma_single(pixels: Pixels) -> Floats:
    """Weighted sum in float32, rounded after each operation; grey values as they are."""
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    red, green, blue = (pixels[:, :, channel].astype(np.float32) for channel in range(3))
    total: Floats = (np.float32(0.299) * red + np.float32(0.587) * green) + np.float32(0.114) * blue
    return total


def nearest512(pixels: Pixels) -> Pixels:
    """512 x 512 by nearest neighbour when either side is longer, whatever the other side is."""
    height, width = pixels.shape[:2]
    if max(height, width) <= 512:
        return pixels
    rows = [y * height // 512 for y in range(512)]
    columns = [x * width // 512 for x in range(512)]
    return pixels[rows][:, columns]


def _hash(luma: Floats) -> tuple[list[str], int]:
    height, width = luma.shape
    if height < 5 or width < 5:
        return ["0" * 64] * 8, 0
    grid = decimate(smooth(luma))
    hashes = [to_hex(turned) for turned in dihedral(transform(grid))]
    if luma.shape == (GRID, GRID):  # only the reference's function for a single hash takes such a picture unfiltered
        return [to_hex(transform(luma)), *hashes[1:]], quality(luma)
    return hashes, quality(grid)


def smooth(luma: Floats) -> Floats:
    """Two passes of a box filter along the rows, then along the columns."""
    for _ in range(2):
        luma = box_along_columns(luma.T).T
        luma = box_along_columns(luma)
    return luma


def box_along_columns(image: Floats) -> Floats:
    """One running sum down every column, in the reference's four phases."""
    n = image.shape[0]
    window = math.ceil(n / 128)
    half = (window + 2) // 2
    out = np.zeros_like(image)
    total = np.zeros(image.shape[1], np.float32)
    left = right = written = count = 0

    def add() -> None:
        nonlocal total, right, count
        total, right, count = total + image[right], right + 1, count + 1

    def subtract() -> None:
        nonlocal total, left, count
        total, left, count = total - image[left], left + 1, count - 1

    def write() -> None:
        nonlocal written
        out[written] = total / np.float32(count)
        written += 1

    phases: list[tuple[int, list[Callable[[], None]]]] = [
        (half - 1, [add]),
        (window - half + 1, [add, write]),
        (n - window, [add, subtract, write]),
        (half - 1, [subtract, write]),
    ]
    for repeats, steps in phases:
        for _ in range(repeats):
            for step in steps:
                step()
    return out


def decimate(image: Floats) -> Floats:
    """Keep the pixel that holds the middle of each of 64 x 64 cells."""
    height, width = image.shape
    rows = [int((i + 0.5) * height / GRID) for i in range(GRID)]
    columns = [int((j + 0.5) * width / GRID) for j in range(GRID)]
    return image[rows][:, columns]


def quality(grid: Floats) -> int:
    """Whole percents of change between neighbours, summed, over 90, at most 100."""
    total = 0
    for difference in (grid[:-1] - grid[1:], grid[:, :-1] - grid[:, 1:]):
        percent = (difference * np.float32(100)) / np.float32(255)
        total += int(np.abs(np.trunc(percent)).astype(np.int64).sum())
    return min(total // 90, 100)


def transform(grid: Floats) -> Floats:
    """Return the 16 x 16 low frequencies without the constant one, as float32 sums in index order."""
    scale = np.float32(math.sqrt(2 / GRID))
    basis = np.array(
        [[float(scale) * math.cos(math.pi / 2 / GRID * (i + 1) * (2 * j + 1)) for j in range(GRID)] for i in range(16)]
    ).astype(np.float32)
    return multiply(multiply(basis, grid), basis.T)


def multiply(a: Floats, b: Floats) -> Floats:
    """Matrix product whose sums run over k = 0, 1, 2 ... with one rounding after each operation."""
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for k in range(a.shape[1]):
        total = total + a[:, k, None] * b[None, k, :]
    return total


def dihedral(block: Floats) -> list[Floats]:
    """Return the block of the picture as it is, turned by 90, 180, 270 degrees, and mirrored in four ways."""
    i, j = np.indices(block.shape)
    odd_i = np.where(i % 2 == 1, 1, -1).astype(np.float32)
    odd_j = np.where(j % 2 == 1, 1, -1).astype(np.float32)
    even_sum = np.where((i + j) % 2 == 1, -1, 1).astype(np.float32)
    return [
        block,
        (block * odd_j).T,
        block * even_sum,
        (block * odd_i).T,
        block * odd_i,
        block * odd_j,
        block.T,
        (block * even_sum).T,
    ]


def to_hex(block: Floats) -> str:
    """256 bits, bit 255 first: 1 where the coefficient is above the 128th smallest of them."""
    values = [float(value) for value in block.flatten()]
    median = sorted(values)[BITS // 2 - 1]
    number = sum(1 << k for k, value in enumerate(values) if value > median)
    return f"{number:064x}"
