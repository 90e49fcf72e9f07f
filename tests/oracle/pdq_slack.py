"""Measure how far the fast way of PDQ is off: where the bounds in ``hashmatch/kernels/_pdq_guard.py`` come from.

``python -m tests.oracle.pdq_slack SEED SECONDS RESULT.npz`` tries pictures for that long and keeps the largest
difference of each coefficient; ``python -m tests.oracle.pdq_slack RESULT.npz ...`` prints the bounds from several such
results. Photos come from ``HASHMATCH_EXTRA_DATA``, without which only generated pictures are tried.

What this module deliberately does not do: it writes no source file. The bounds are copied by hand, and looked at.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from hashmatch.kernels import _pdq_bits as bits
from hashmatch.kernels import pdq as kernels
from hashmatch.kernels._pdq_filter import NEAREST_PX
from tests.oracle.pdq_pictures import pictures, variants

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

MARGIN = 4
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def errors(pixels: Pixels, *, double_luma: bool = True) -> tuple[Floats, float]:
    """Return how far off coefficients are, and differences of neighbouring samples in percent of 255."""
    image = kernels._checked(pixels)
    height, width, channels = image.shape
    exact = kernels._filtered(image.reshape(height, width * channels), width, double_luma=double_luma)
    fast = kernels._sampled(image)
    if fast is None:
        return np.zeros((bits.BLOCK, bits.BLOCK), np.float32), 0.0
    blocks = []
    for grid in (exact, fast):
        block = np.empty((bits.BLOCK, bits.BLOCK), np.float32)
        bits.transform(grid, np.empty((bits.BLOCK, bits.GRID), np.float32), block)
        blocks.append(block)
    apart = max(np.abs(np.diff(exact, axis=axis) - np.diff(fast, axis=axis)).max() for axis in (0, 1))
    return np.abs(blocks[0] - blocks[1]), float(apart) * 100 / 255


def photos(step: int = 1) -> Iterator[Image.Image]:
    """Yield every so many of the extra photos, in colour, at most 1400 pixels a side."""
    root = Path(os.environ["HASHMATCH_EXTRA_DATA"]) / "photos"
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    for path in paths[::step]:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            image.thumbnail((1400, 1400))
            yield image.convert("RGB")


def measure(seed: int, seconds: float, target: Path) -> None:
    """Try pictures for a while; keep the largest error of each coefficient and how many pictures there were."""
    random = np.random.default_rng(seed)
    held = list(photos()) if "HASHMATCH_EXTRA_DATA" in os.environ else []
    worst, worst_percent, count = np.zeros((bits.BLOCK, bits.BLOCK), np.float32), 0.0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tried = [pixels for _, pixels in pictures(random, 12, int(random.choice([200, 520, 1100, 2600])))]
        if held:
            tried.extend(variants(random, held[random.integers(len(held))], 8))
        for pixels in tried:
            for double_luma in (True, False) if max(pixels.shape) <= NEAREST_PX else (True,):
                found, percent = errors(pixels, double_luma=double_luma)
                worst, worst_percent = np.maximum(worst, found), max(worst_percent, percent)
            count += 1
    np.savez(target, worst=worst, percent=worst_percent, count=count)


def main(arguments: list[str]) -> None:
    """Measure, or print the bounds: a coefficient shares that of its mirror image, and is rounded up."""
    if not arguments[0].endswith(".npz"):
        measure(int(arguments[0]), float(arguments[1]), Path(arguments[2]))
        return
    results = [np.load(path) for path in arguments]
    worst = np.max([result["worst"] for result in results], axis=0)
    for row in np.ceil(MARGIN * np.maximum(worst, worst.T) * 10_000).astype(int).tolist():
        sys.stdout.write(f"    {row},\n")
    percent = MARGIN * max(float(result["percent"]) for result in results)
    sys.stdout.write(f"percent: {percent:.4f}; {sum(int(result['count']) for result in results)} pictures\n")


if __name__ == "__main__":
    main(sys.argv[1:])
