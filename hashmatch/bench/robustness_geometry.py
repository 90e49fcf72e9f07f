"""What people do to the shape of a picture: resize, stretch, crop, rotate, mirror, frame.

Theory of operation
-------------------
A *step* takes an RGB picture and a generator and returns another RGB picture. Functions with parameters return steps,
so that the table of alterations reads as a list of parameters. Shares are of the picture's own side, so a photo of any
size is altered alike. Whatever is left to chance is drawn from the generator, and nothing else is.

What this module deliberately does not do: it encodes nothing (``alterations.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageFilter

Step = Callable[[Image.Image, np.random.Generator], Image.Image]
Colour = tuple[int, int, int]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
_LANCZOS = Image.Resampling.LANCZOS
_BICUBIC = Image.Resampling.BICUBIC
LEAST_PX = 8
"""No step makes a side shorter."""


def any_colour(rng: np.random.Generator) -> Colour:
    """Draw a colour; a third of the time black or white, which is what people choose."""
    if rng.random() < 1 / 3:
        return WHITE if rng.random() < 1 / 2 else BLACK
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def at_least(px: float) -> int:
    """Round a length, but not to nothing."""
    return max(LEAST_PX, round(px))


def resize(factor_x: float, factor_y: float | None = None) -> Step:
    """Scale both sides alike, or stretch."""

    def step(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
        width, height = picture.size
        factor = factor_x if factor_y is None else factor_y
        return picture.resize((at_least(width * factor_x), at_least(height * factor)), _LANCZOS)

    return step


def thumbnail(side_px: int) -> Step:
    """Shrink so that the long side has ``side_px``; smaller pictures stay as they are."""

    def step(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
        small = picture.copy()
        small.thumbnail((side_px, side_px), _LANCZOS)
        return small

    return step


def cropped(picture: Image.Image, shares: Sequence[float]) -> Image.Image:
    """Cut away these shares of the sides: left, top, right, bottom."""
    width, height = picture.size
    left, top, right, bottom = shares
    x, y = round(width * left), round(height * top)
    return picture.crop(
        (x, y, max(x + LEAST_PX, round(width * (1 - right))), max(y + LEAST_PX, round(height * (1 - bottom))))
    )


def crop_centre(share: float) -> Step:
    """Cut ``share`` of each dimension away, half of it at either end."""
    half = share / 2
    return lambda picture, _rng: cropped(picture, (half,) * 4)


def crop_side(side: int, share: float) -> Step:
    """Cut ``share`` away at one side: 0 left, 1 top, 2 right, 3 bottom."""
    shares = [share if at == side else 0.0 for at in range(4)]
    return lambda picture, _rng: cropped(picture, shares)


def crop_any_side(most: float) -> Step:
    """Cut up to ``most`` away at one side."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        shares = [0.0] * 4
        shares[int(rng.integers(4))] = rng.uniform(0, most)
        return cropped(picture, shares)

    return step


def crop_any_centre(most: float) -> Step:
    """Cut up to ``most`` of each dimension away, half of it at either end."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        half = rng.uniform(0, most) / 2
        return cropped(picture, (half,) * 4)

    return step


def crop_four_sides(most: float) -> Step:
    """Cut up to ``most`` away at each side, independently."""
    return lambda picture, rng: cropped(picture, rng.uniform(0, most, 4).tolist())


def rotated(picture: Image.Image, degrees: float, fill: Colour, *, grow: bool) -> Image.Image:
    """Turn anticlockwise; ``grow`` keeps the corners instead of the size."""
    return picture.rotate(degrees, _BICUBIC, expand=grow, fillcolor=fill)


def rotate(degrees: float, *, grow: bool = False) -> Step:
    """Turn by a fixed angle, corners black."""
    return lambda picture, _rng: rotated(picture, degrees, BLACK, grow=grow)


def rotate_within(most: float) -> Step:
    """Turn by up to ``most`` degrees either way, corners black or white."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        return rotated(picture, rng.uniform(-most, most), WHITE if rng.random() < 1 / 2 else BLACK, grow=False)

    return step


def turn(how: Image.Transpose) -> Step:
    """Mirror or turn by quarters, without resampling."""
    return lambda picture, _rng: picture.transpose(how)


def framed(picture: Image.Image, shares: Sequence[float], fill: Colour) -> Image.Image:
    """Put bars around: left, top, right, bottom, as shares of the sides."""
    width, height = picture.size
    left, top, right, bottom = shares
    x, y = round(width * left), round(height * top)
    canvas = Image.new("RGB", (x + width + round(width * right), y + height + round(height * bottom)), fill)
    canvas.paste(picture, (x, y))
    return canvas


def border(share: float, fill: Colour) -> Step:
    """Put an even border around."""
    return lambda picture, _rng: framed(picture, (share,) * 4, fill)


def border_four_widths(least: float, most: float) -> Step:
    """Put a border around, in a colour and four widths left to chance."""
    return lambda picture, rng: framed(picture, rng.uniform(least, most, 4).tolist(), any_colour(rng))


def letterbox(share: float, fill: Colour | None, *, tall: bool = True) -> Step:
    """Put two equal bars around that add ``share`` to a side: above and below, or (not ``tall``) left and right.

    ``fill`` None is the picture itself, enlarged and blurred, as television does with upright videos.
    """

    def step(picture: Image.Image, _rng: np.random.Generator) -> Image.Image:
        return _boxed(picture, share, fill, tall=tall)

    return step


def letterbox_any(least: float, most: float, *, blurred: bool = False) -> Step:
    """Put bars around of a width, direction and, unless ``blurred``, colour left to chance."""

    def step(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        share, tall = rng.uniform(least, most), bool(rng.random() < 1 / 2)
        fill = None if blurred else WHITE if rng.random() < 1 / 2 else BLACK
        return _boxed(picture, share, fill, tall=tall)

    return step


def _boxed(picture: Image.Image, share: float, fill: Colour | None, *, tall: bool) -> Image.Image:
    width, height = picture.size
    size = (width, round(height * (1 + share))) if tall else (round(width * (1 + share)), height)
    if fill is None:
        canvas = picture.resize(size, _BICUBIC).filter(ImageFilter.GaussianBlur(max(size) / 25))
    else:
        canvas = Image.new("RGB", size, fill)
    canvas.paste(picture, ((size[0] - width) // 2, (size[1] - height) // 2))
    return canvas


def perspective(picture: Image.Image, corners: np.ndarray, size: tuple[int, int], fill: Colour) -> Image.Image:
    """Draw the picture onto a canvas of ``size`` so that its corners come to lie at ``corners``.

    ``corners`` : float, shape (4, 2), x and y in pixels, clockwise from the top left.
    """
    width, height = picture.size
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=float)
    rows, wanted = [], []
    for (x, y), (u, v) in zip(corners, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    coefficients = np.linalg.solve(np.array(rows), np.array(wanted)).tolist()
    return picture.transform(size, Image.Transform.PERSPECTIVE, coefficients, _BICUBIC, fillcolor=fill)
