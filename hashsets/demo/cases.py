"""The demo's images and the answer that each must get.

Every altered image is made here from a committed CC0 photo, the way people and platforms alter pictures: re-encoding,
resizing, turning, other formats and colour modes. Nothing is stored.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

PHOTOS = Path(__file__).parent / "photos"
KNOWN = ("lake-sherburne", "oakland-zoo-otters", "perched-osprey", "roman-colosseum", "casa-mila")
UNKNOWN = ("high-trestle-trail", "canyon-wren", "beacon-street-sunset")

ORIENTATION_TAG = 0x0112
ROTATED_BY_EXIF = 6
"""EXIF orientation 6: the stored rows must be turned 90 degrees clockwise to be looked at."""


@dataclass(frozen=True, slots=True)
class Case:
    """One upload. ``entry`` is the known photo that must be found, empty where none must be."""

    name: str
    image: bytes
    verdict: str
    entry: str = ""
    reason: str = ""


def photo(name: str) -> Image.Image:
    """Open one of the committed photos."""
    return Image.open(PHOTOS / f"{name}.jpg").convert("RGB")


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    """Bytes of an image in a file format."""
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def _turned_by_exif(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = ROTATED_BY_EXIF
    return encoded(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=85, exif=exif)


def _with_transparent_corner(image: Image.Image) -> bytes:
    mask = Image.new("L", image.size, 255)
    mask.paste(0, (0, 0, 24, 24))
    layered = image.copy()
    layered.putalpha(mask)
    return encoded(layered, "PNG")


def _cropped(image: Image.Image, left: float, right: float, y: float) -> Image.Image:
    width, height = image.size
    return image.crop((round(width * left), round(height * y), round(width * (1 - right)), round(height * (1 - y))))


ALTERATIONS: tuple[tuple[str, str, Callable[[Image.Image], bytes]], ...] = (
    ("re-encoded, JPEG quality 40", "lake-sherburne", lambda i: encoded(i, "JPEG", quality=40)),
    ("resized to a half", "oakland-zoo-otters", lambda i: encoded(ImageOps.scale(i, 0.5), "JPEG", quality=85)),
    ("enlarged by a half", "casa-mila", lambda i: encoded(ImageOps.scale(i, 1.5), "JPEG", quality=85)),
    ("grey", "perched-osprey", lambda i: encoded(i.convert("L"), "JPEG", quality=85)),
    ("mirrored", "roman-colosseum", lambda i: encoded(ImageOps.mirror(i), "JPEG", quality=85)),
    ("cropped by 14 % at the left", "roman-colosseum", lambda i: encoded(_cropped(i, 0.14, 0, 0), "JPEG", quality=85)),
    ("cropped by 10 % all around", "lake-sherburne", lambda i: encoded(_cropped(i, 0.1, 0.1, 0.1), "JPEG", quality=85)),
    ("turned upside down", "casa-mila", lambda i: encoded(i.transpose(Image.Transpose.ROTATE_180), "PNG")),
    ("rotated by EXIF", "lake-sherburne", _turned_by_exif),
    ("CMYK JPEG", "oakland-zoo-otters", lambda i: encoded(i.convert("CMYK"), "JPEG", quality=85)),
    ("palette PNG", "perched-osprey", lambda i: encoded(i.quantize(64), "PNG")),
    ("PNG with transparency", "roman-colosseum", _with_transparent_corner),
    ("1-bit PNG", "casa-mila", lambda i: encoded(i.convert("1"), "PNG")),
    (
        "16-bit grey PNG",
        "lake-sherburne",
        lambda i: encoded(i.convert("L").convert("I").point(lambda v: v * 257).convert("I;16"), "PNG"),
    ),
    ("GIF", "oakland-zoo-otters", lambda i: encoded(i, "GIF")),
    ("WebP", "roman-colosseum", lambda i: encoded(i, "WEBP", quality=60)),
    ("AVIF", "perched-osprey", lambda i: encoded(i, "AVIF", quality=60)),
    ("BMP", "casa-mila", lambda i: encoded(i, "BMP")),
    ("TIFF", "lake-sherburne", lambda i: encoded(i, "TIFF", compression="tiff_lzw")),
)
"""Name of the alteration, the known photo, and how the altered file is made."""


def _animation(last: Image.Image, others: Iterator[Image.Image]) -> bytes:
    frames = [other.resize(last.size) for other in others]
    return encoded(frames[0], "GIF", save_all=True, append_images=[*frames[1:], last], duration=200)


def cases() -> Iterator[Case]:
    """Every upload of the demo, in the order of its table."""
    for name in KNOWN:
        yield Case(f"{name}, unchanged", (PHOTOS / f"{name}.jpg").read_bytes(), "match", name)
    for what, name, alter in ALTERATIONS:
        yield Case(f"{name}, {what}", alter(photo(name)), "match", name)
    animated = _animation(photo("perched-osprey"), (photo(name) for name in UNKNOWN))
    yield Case("animated GIF that ends with perched-osprey", animated, "match", "perched-osprey")
    for name in UNKNOWN:
        yield Case(f"{name}, not in the set", (PHOTOS / f"{name}.jpg").read_bytes(), "no_match")
    yield Case(
        "tiny image, 16x16", encoded(photo("canyon-wren").resize((16, 16)), "PNG"), "not_checked", reason="too_small"
    )
    yield Case(
        "flat image", encoded(Image.new("RGB", (640, 480), (90, 120, 150)), "PNG"), "not_checked", reason="low_quality"
    )
    whole = (PHOTOS / "canyon-wren.jpg").read_bytes()
    yield Case("truncated file, half is missing", whole[: len(whole) // 2], "not_checked", reason="degraded")
    yield Case("nothing but a JPEG header", whole[:300], "not_checked", reason="corrupt")
    yield Case("text file", b"This is not a picture.\n" * 40, "not_checked", reason="unsupported_format")
    yield Case("empty file", b"", "not_checked", reason="empty")
