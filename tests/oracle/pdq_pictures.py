"""Pictures to try PDQ's guard on: like photos, like pages, and like nothing that a camera makes.

Theory of operation
-------------------
The fast way of PDQ fails, if it does, in two ways: a coefficient lies very close to the median, or the reference's
roundings all go the same way. Photos and clouds give many different coefficients; flat, mirrored and two-valued
pictures give ties; patterns that repeat every few pixels give roundings that repeat.

What this module deliberately does not do: it promises no pixels. They may change with NumPy and Pillow; committed
vectors are made of ``hashmatch.hashing.patterns``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Pixels = npt.NDArray[np.uint8]
Size = tuple[int, int]

COMMON_SIZES = ((512, 512), (768, 1024), (480, 640), (256, 256), (1024, 768), (64, 65))


def pictures(random: np.random.Generator, count: int, side_max_px: int) -> Iterator[tuple[str, Pixels]]:
    """Yield as many pictures with the names of their kinds, each kind in turn; some grey, most in colour."""
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        size = _size(random, side_max_px)
        pixels = np.ascontiguousarray(kind(random, size))
        yield kind.__name__.strip("_"), pixels[:, :, 0] if random.random() < 0.1 else pixels


def variants(random: np.random.Generator, photo: Image.Image, count: int) -> Iterator[Pixels]:
    """Yield random crops of a photo in random sizes, some brighter or harder than it."""
    for _ in range(count):
        left, top = (int(random.integers(0, side // 3 + 1)) for side in photo.size)
        right, bottom = (side - int(random.integers(0, side // 3)) for side in photo.size)
        height, width = _size(random, 1100)
        pixels = np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR, (left, top, right, bottom)))
        if random.random() < 0.3:
            pixels = np.clip(pixels * random.uniform(0.3, 3) + random.uniform(-80, 80), 0, 255).astype(np.uint8)
        yield pixels


def _size(random: np.random.Generator, side_max_px: int) -> Size:
    if random.random() < 0.15:
        return COMMON_SIZES[random.integers(len(COMMON_SIZES))]
    limit = random.integers(20, side_max_px)
    height, width = random.integers(5, limit, 2)
    return int(height), int(width)


def _colour(random: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in random.integers(0, 256, 3))


def clouds(random: np.random.Generator, size: Size) -> Pixels:
    """Draw noise whose amplitude falls with frequency, as in photos, and alike in the three channels."""
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    fall = random.uniform(0.5, 2)
    channels: list[npt.NDArray[np.float64]] = []
    for share in (1.0, 0.3, 0.3):
        phases = random.normal(size=frequency.shape) + 1j * random.normal(size=frequency.shape)
        layer = np.fft.irfft2(phases / frequency**fall, size)
        channels.append(share * (layer - layer.mean()) / (layer.std() + 1e-9) + (channels[0] if channels else 0))
    light = np.stack(channels, axis=2) * random.uniform(5, 70) + random.uniform(40, 220)
    return np.clip(light, 0, 255).astype(np.uint8)


def _page(random: np.random.Generator, size: Size) -> Pixels:
    """Lines of text and filled rectangles on one colour."""
    height, width = size
    image = Image.new("RGB", (width, height), _colour(random))
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(0, 6)):
        left, right = sorted(int(x) for x in random.integers(0, width, 2))
        top, bottom = sorted(int(y) for y in random.integers(0, height, 2))
        draw.rectangle((left, top, right, bottom), fill=_colour(random))
    for _ in range(random.integers(1, 60)):
        place = int(random.integers(0, width)), int(random.integers(0, height))
        draw.text(place, "the quick brown fox", fill=_colour(random))
    return np.asarray(image)


def _repeated(random: np.random.Generator, size: Size) -> Pixels:
    """Draw a small tile of random pixels again and again."""
    y, x = np.indices(size)
    rows, columns = (int(side) for side in random.integers(1, 40, 2))
    tile = random.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    tiled: Pixels = tile[y % rows, x % columns]
    return tiled


def _noise(random: np.random.Generator, size: Size) -> Pixels:
    dark = int(random.integers(0, 255))
    return random.integers(dark, int(random.integers(dark + 1, 257)), (*size, 3), dtype=np.uint8)


def _two_values(random: np.random.Generator, size: Size) -> Pixels:
    """Draw black and white squares: a picture of one bit."""
    side = int(random.integers(1, 20))
    cells = random.random((size[0] // side + 1, size[1] // side + 1)) < random.uniform(0.1, 0.9)
    white = np.kron(cells, np.ones((side, side)))[: size[0], : size[1]].astype(np.uint8) * 255
    return np.stack([white] * 3, axis=2)


def _mirrored(random: np.random.Generator, size: Size) -> Pixels:
    """Draw a picture whose halves are alike, so that half of the coefficients are zero."""
    pixels = clouds(random, size)
    return np.maximum(pixels, pixels[:, ::-1])


def _gradient(random: np.random.Generator, size: Size) -> Pixels:
    y, x = np.indices(size)
    slopes = random.uniform(-1, 1, (2, 3)) * 255
    light = 128 + (y[:, :, None] / size[0] - 0.5) * slopes[0] + (x[:, :, None] / size[1] - 0.5) * slopes[1]
    ramp: Pixels = np.clip(light, 0, 255).astype(np.uint8)
    return ramp


def _flat(random: np.random.Generator, size: Size) -> Pixels:
    return np.full((*size, 3), _colour(random), np.uint8)


def _checker(random: np.random.Generator, size: Size) -> Pixels:
    y, x = np.indices(size)
    side = int(random.integers(1, 40))
    colours = np.array([_colour(random), _colour(random)], np.uint8)
    board: Pixels = colours[(y // side + x // side) % 2]
    return board


KINDS: Sequence[Callable[[np.random.Generator, Size], Pixels]] = (
    clouds, _page, _repeated, clouds, _noise, _two_values, _mirrored, clouds, _gradient, _flat, _checker, _page,
)  # fmt: skip
