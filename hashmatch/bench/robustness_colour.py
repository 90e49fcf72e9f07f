"""What people do to the pixels of a picture: light, colour, filters, blur and noise.

What this module deliberately does not do: it moves no pixel (``robustness_geometry.py``) and draws nothing on the
picture (``robustness_overlays.py``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from hashmatch.bench.robustness_geometry import Step

Floats = npt.NDArray[np.float64]
_SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def _from_floats(values: Floats) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _pixelwise(change: Callable[[Floats], Floats]) -> Step:
    return lambda picture, _rng: _from_floats(change(np.asarray(picture, dtype=np.float64)))


def brightness(factor: float) -> Step:
    """Multiply; what exceeds white is cut off."""
    return lambda picture, _rng: ImageEnhance.Brightness(picture).enhance(factor)


def brightness_within(low: float, high: float) -> Step:
    """Multiply by a factor left to chance."""
    return lambda picture, rng: ImageEnhance.Brightness(picture).enhance(rng.uniform(low, high))


def contrast(factor: float) -> Step:
    """Spread around the mean grey."""
    return lambda picture, _rng: ImageEnhance.Contrast(picture).enhance(factor)


def saturation(factor: float) -> Step:
    """Move colours away from grey, or towards it."""
    return lambda picture, _rng: ImageEnhance.Color(picture).enhance(factor)


def gamma(exponent: float) -> Step:
    """Raise the values between 0 and 1 to a power."""
    return _pixelwise(lambda values: 255 * (values / 255) ** exponent)


def tint(red: float, green: float, blue: float) -> Step:
    """Multiply the channels: the warm and cool filters of phones."""
    return _pixelwise(lambda values: values * np.array([red, green, blue]))


sepia: Step = _pixelwise(lambda values: values @ _SEPIA.T)
"""The usual matrix of three by three."""


def grey(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
    """Drop the colours."""
    return ImageOps.grayscale(picture).convert("RGB")


def invert(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
    """Make a negative."""
    return ImageOps.invert(picture)


def posterise(bits: int) -> Step:
    """Keep so many bits of each channel."""
    return lambda picture, _rng: ImageOps.posterize(picture, bits)


def equalise(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
    """Flatten the histogram of each channel: the strongest "auto" filter."""
    return ImageOps.equalize(picture)


def vignette(strength: float) -> Step:
    """Darken towards the corners, where ``1 - strength`` of the light is left."""

    def step(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
        left = 1 - strength * (x[None, :] ** 2 + y[:, None] ** 2) / 2
        return _from_floats(np.asarray(picture, dtype=np.float64) * left[..., None])

    return step


def blur(share: float) -> Step:
    """Blur with a Gaussian whose sigma is ``share`` of the long side."""
    return lambda picture, _rng: picture.filter(ImageFilter.GaussianBlur(share * max(picture.size)))


def sharpen(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
    """Sharpen far beyond taste."""
    return picture.filter(ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0))


def noise(sigma: float) -> Step:
    """Add Gaussian noise, independent per channel."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        values = np.asarray(picture, dtype=np.float64)
        return _from_floats(values + sigma * rng.standard_normal(values.shape, dtype=np.float32))

    return step


def salt_and_pepper(share: float) -> Step:
    """Make ``share`` of the pixels black or white."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        values = np.array(picture)
        chance = rng.random(values.shape[:2], dtype=np.float32)
        values[chance < share / 2] = 0
        values[chance > 1 - share / 2] = 255
        return Image.fromarray(values)

    return step


def lines(strength: float, period_px: float) -> Step:
    """Multiply with a fine grid at a slight angle, which a camera's own grid turns into moiré."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        angle, phase = rng.uniform(0.02, 0.12), rng.uniform(0, 2 * np.pi)
        x, y = np.arange(width)[None, :], np.arange(height)[:, None]
        one = np.sin(2 * np.pi * (x + angle * y) / period_px + phase)
        other = np.sin(2 * np.pi * (y - angle * x) / (1.07 * period_px))
        light = 1 - strength * (2 + one + other) / 4
        return _from_floats(np.asarray(picture, dtype=np.float64) * light[..., None])

    return step
