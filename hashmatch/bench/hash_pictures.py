"""What is hashed by the bench: generated pictures of given sizes, or photos of the user's own, each also as a JPEG.

Theory of operation
-------------------
A generated picture has a photograph's falling spectrum: noise of a few samples, of twice as many, of four times as
many, each weaker than the one before, some shapes with edges, and grain, so that a decoder and a hash have the work
that they have with a photo. Its pixels are those that Pillow decodes from its own JPEG of quality 90.

What this module deliberately does not do: it uses no sandbox. Nothing but the bench's own pictures and those of a
folder that its user names is decoded, and no list is in this process.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from hashmatch.config import DecodeConfig
from hashmatch.errors import BadInput

Pixels = npt.NDArray[np.uint8]

QUALITY = 90
SUFFIXES = frozenset({".jpg", ".jpeg"})
PIXELS_AT_ONCE = 144_000_000
"""Decoded pictures that are kept: twelve of 12 megapixels, as many as of the small ones, about 1 GB with Pillow's
copies; of fewer, one that the guard sends the exact way would weigh more than it does among photos."""
MOST = 24
CANVAS_PX = 1_024
GRAIN = 14
"""Shades: at this, a JPEG of 12 megapixels has about as many bytes as a camera's."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture: the file, its RGB pixels (uint8, shape (h, w, 3)), and the same as Pillow's image."""

    jpeg: bytes
    pixels: Pixels
    picture: Image.Image

    def __repr__(self) -> str:
        return f"<Sample {self.picture.width}x{self.picture.height}, {len(self.jpeg)} bytes>"


def generated(width: int, height: int, seed: int) -> list[Sample]:
    """Make pictures of one size; equal seeds give equal pictures with equal versions of Pillow and NumPy."""
    count = max(2, min(MOST // 2, PIXELS_AT_ONCE // (width * height)))
    return [_sample(_encoded(_scene(width, height, seed + number))) for number in range(count)]


def from_folder(where: Path) -> list[Sample]:
    """Read JPEG files below a directory, evenly chosen by name.

    Raises
    ------
    BadInput
        There is no JPEG file, or none that is whole and within the decoder's default limits.

    """
    paths = sorted(path for path in where.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    samples = list(_readable(paths[:: max(1, len(paths) // MOST)]))
    if not samples:
        raise BadInput(f"no whole JPEG file (.jpg, .jpeg) lies below {where}", field="photos")
    return samples


def _readable(paths: list[Path]) -> Iterator[Sample]:
    limits, pixels = DecodeConfig(), 0
    for path in paths:
        if path.stat().st_size > limits.max_bytes:
            continue
        try:
            sample = _sample(path.read_bytes())
        except OSError:  # what is damaged would be measured as salvage
            continue
        pixels += sample.pixels.size // 3
        if pixels > PIXELS_AT_ONCE:
            return
        yield sample


def _sample(jpeg: bytes) -> Sample:
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    return Sample(jpeg, np.array(picture), picture)


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _scene(width: int, height: int, seed: int) -> Image.Image:
    """Draw on a canvas of at most 1,024 pixels a side, enlarge it, and add the grain of a sensor."""
    rng = np.random.default_rng(seed)
    shrunk = max(1.0, max(width, height) / CANVAS_PX)
    across, down = round(width / shrunk), round(height / shrunk)
    light: npt.NDArray[np.float32] = np.full((down, across, 3), 128, np.float32)
    cells, strength = 3, 80.0
    while cells < min(across, down) and strength > 1:
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        smooth = np.asarray(noise.resize((across, down), Image.Resampling.BICUBIC), dtype=np.float32)
        light += (smooth - 128) * np.float32(strength / 128)
        cells, strength = 2 * cells, 0.6 * strength
    canvas = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for _ in range(10):
        x, y, reach = int(rng.integers(across)), int(rng.integers(down)), int(rng.integers(across // 20, across // 5))
        colour = (int(rng.integers(256)), int(rng.integers(256)), int(rng.integers(256)))
        draw.ellipse((x - reach, y - reach // 2, x + reach, y + reach // 2), fill=colour)
    enlarged = np.array(canvas.resize((width, height), Image.Resampling.BICUBIC))
    np.minimum(enlarged, 255 - GRAIN, out=enlarged)  # room for the grain
    enlarged += rng.integers(0, GRAIN, enlarged.shape, dtype=np.uint8)
    return Image.fromarray(enlarged)
