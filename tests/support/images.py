"""Pictures made on the spot: one synthetic photo, in every format and colour mode, whole, damaged or hostile.

Nothing here is downloaded or stored. :func:`photo` is deterministic for a seed and has enough structure for PDQ quality
100, so that distances between its variants mean what they mean for a photograph.
"""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

ORIENTATION_TAG = 274

STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What to do to an upright picture so that the orientation value turns it upright again."""


def photo(seed: int = 1, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """RGB picture with the statistics of a photograph: a 1/f spectrum, a few hard edges, muted colours.

    Parameters
    ----------
    seed : int
        Equal seeds give equal pixels; different seeds give unrelated pictures.
    size : tuple of int
        Width and height in pixels.

    """
    return _scene(seed).resize(size, Image.Resampling.BICUBIC)


@functools.lru_cache(maxsize=64)
def _scene(seed: int, side: int = 256) -> Image.Image:
    rng = np.random.default_rng(seed)
    grey = _pink_noise(rng, side)
    yy, xx = np.mgrid[0:side, 0:side] / side
    for _ in range(12):  # things with edges
        cx, cy, rx, ry = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.04, 0.2), rng.uniform(0.04, 0.2)
        inside = ((xx - cx) / rx) ** 2 + ((yy - cy) / ry) ** 2 < 1
        grey[inside] = 0.4 * grey[inside] + rng.uniform(-1.4, 1.4)
    tint = np.stack([grey + 0.25 * _pink_noise(rng, side) for _ in range(3)], axis=-1)
    return Image.fromarray(np.clip(128 + 48 * tint, 0, 255).astype(np.uint8))


def _pink_noise(rng: np.random.Generator, side: int) -> npt.NDArray[np.float64]:
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) / frequency**1.2).real
    normal: npt.NDArray[np.float64] = (noise - noise.mean()) / noise.std()
    return normal


def encoded(picture: Image.Image, name: str, **save: object) -> bytes:
    """Return ``picture`` as a file of the Pillow format ``name``."""
    buffer = io.BytesIO()
    picture.copy().save(buffer, name, **save)  # a copy: Pillow leaves encoder settings behind in what it saves
    return buffer.getvalue()


def orientation_exif(value: int) -> Image.Exif:
    """EXIF block with just an orientation."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = value
    return exif


def stored_turned(picture: Image.Image, orientation: int) -> Image.Image:
    """Return the pixels that a camera stores together with ``orientation``."""
    turn = STORED_AS[orientation]
    return picture if turn is None else picture.transpose(turn)


# --- one photo in every format and mode --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variant:
    """A file that shows the photo, and how far its PDQ hash may be from the plain one."""

    name: str
    data: bytes
    max_distance: int = 10


def variants(picture: Image.Image) -> tuple[Variant, ...]:
    """Return ``picture`` in every format and colour mode that a person would still call the same picture."""
    return (*_formats(picture), *_modes(picture))


def _formats(picture: Image.Image) -> Iterator[Variant]:
    for name, save in FORMAT_OPTIONS.items():
        if name == "ICO":
            continue  # at most 256 pixels: tested by itself
        yield Variant(name, encoded(picture, name, **save), max_distance=31 if name == "GIF" else 10)
    for name in ("progressive JPEG", "JPEG quality 30"):
        save = {"progressive": True, "quality": 90} if name.startswith("p") else {"quality": 30}
        yield Variant(name, encoded(picture, "JPEG", **save))


def _modes(picture: Image.Image) -> Iterator[Variant]:
    grey = picture.convert("L")
    opaque = Image.new("L", picture.size, 255)
    yield Variant("grey JPEG", encoded(grey, "JPEG", quality=90))
    yield Variant("CMYK JPEG", encoded(picture.convert("CMYK"), "JPEG", quality=90))
    yield Variant("CMYK TIFF", encoded(picture.convert("CMYK"), "TIFF"))
    yield Variant("YCbCr TIFF", encoded(picture.convert("YCbCr"), "TIFF"))
    yield Variant("LAB TIFF", encoded(picture.convert("LAB"), "TIFF"))
    yield Variant("palette PNG", encoded(picture.quantize(64), "PNG"))
    yield Variant("palette TIFF", encoded(picture.quantize(128), "TIFF"))
    yield Variant("1-bit PNG", encoded(picture.convert("1"), "PNG"), max_distance=31)
    yield Variant("1-bit fax TIFF", encoded(picture.convert("1"), "TIFF", compression="group4"), max_distance=31)
    yield Variant("grey PNG", encoded(grey, "PNG"))
    yield Variant("grey alpha PNG", encoded(Image.merge("LA", (grey, opaque)), "PNG"))
    yield Variant("RGBA PNG", encoded(Image.merge("RGBA", (*picture.split(), opaque)), "PNG"))
    yield Variant("RGBA WEBP", encoded(Image.merge("RGBA", (*picture.split(), opaque)), "WEBP", lossless=True))
    yield Variant("16-bit grey PNG", encoded(grey_16(picture), "PNG"))
    yield Variant("16-bit grey TIFF", encoded(grey_16(picture), "TIFF"))
    yield Variant("16-bit RGB PNG", png_16(picture))
    yield Variant("32-bit TIFF", encoded(Image.fromarray(np.asarray(grey, dtype=np.int32) * 257), "TIFF"))
    yield Variant("float 0..1 TIFF", encoded(Image.fromarray(np.asarray(grey, dtype=np.float32) / 255), "TIFF"))
    yield Variant("float 0..255 TIFF", encoded(Image.fromarray(np.asarray(grey, dtype=np.float32)), "TIFF"))
    yield Variant("float signed TIFF", encoded(Image.fromarray(np.asarray(grey, dtype=np.float32) - 300), "TIFF"))


FORMAT_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "JPEG": {"quality": 90},
    "PNG": {},
    "GIF": {},
    "WEBP": {"quality": 90},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 90, "speed": 10},
    "ICO": {"sizes": [(256, 256)]},
}


def grey_16(picture: Image.Image) -> Image.Image:
    """16-bit grey twin: clipped at 255, as Pillow converts it, it would be white."""
    return Image.fromarray(np.asarray(picture.convert("L"), dtype=np.uint16) * 257)


def png(width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2, before: bytes = b"") -> bytes:
    """PNG file with these filtered rows; ``before`` are whole chunks between header and data."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            before,
            png_chunk(b"IDAT", zlib.compress(rows)),
            png_chunk(b"IEND", b""),
        )
    )


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_16(picture: Image.Image) -> bytes:
    """16 bits a channel, which Pillow cannot write."""
    width, height = picture.size
    samples = (np.asarray(picture, dtype=np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    return png(width, height, rows, depth=16)


def animation(name: str, pictures: list[Image.Image], **save: object) -> bytes:
    """Animated or multi-page file of these frames, in order."""
    return encoded(pictures[0], name, save_all=True, append_images=[later.copy() for later in pictures[1:]], **save)


# --- hostile files -----------------------------------------------------------------------------------------------


def jpeg_scan_bomb(side: int = 2000, scans: int = 20_000) -> bytes:
    """Progressive JPEG whose refinement scan is repeated: each scan is a pass over every pixel."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    scan, end = data[start:-2], data[-2:]
    return data[:start] + scan * scans + end


def jpeg_segment_flood(segments: int) -> bytes:
    """JPEG with this many empty comment segments before its picture."""
    data = encoded(Image.new("RGB", (16, 16)), "JPEG")
    return data[:2] + b"\xff\xfe\x00\x02" * segments + data[2:]


def gif_block_flood(blocks: int) -> bytes:
    """GIF with a comment of this many one-byte sub-blocks before its picture."""
    data = encoded(Image.new("P", (16, 16)), "GIF")
    start = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    return data[:start] + b"!\xfe" + b"\x01x" * blocks + b"\0" + data[start:]


def png_chunk_flood(chunks: int) -> bytes:
    """PNG with this many empty private chunks before its picture."""
    return png(16, 16, (b"\0" + bytes(48)) * 16, before=png_chunk(b"prVt", b"") * chunks)


def png_metadata_bomb(chunks: int) -> bytes:
    """PNG whose text chunks unpack to a megabyte each."""
    body = b"k\0\0" + zlib.compress(b"x" * (1 << 20), 9)
    return png(16, 16, (b"\0" + bytes(48)) * 16, before=png_chunk(b"zTXt", body) * chunks)


def flat_png(width: int, height: int) -> bytes:
    """Grey PNG of one shade: a few bytes a megapixel."""
    return png(width, height, bytes((width + 1) * height), colour=0)


def tiff_chain(pages: int, picture: Image.Image | None = None) -> bytes:
    """TIFF whose directories are chained ``pages`` long, all but the first sharing one page's strip."""
    data = bytearray(encoded(picture or Image.new("L", (16, 16)), "TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    directory = bytes(data[first : first + 2 + 12 * entries])
    link = first + len(directory)
    for _ in range(pages - 1):
        struct.pack_into("<I", data, link, len(data))
        link = len(data) + len(directory)
        data += directory + bytes(4)
    return bytes(data)


Mutation = Callable[[np.random.Generator, bytes, bytes], bytes]


def mutations() -> Mapping[str, Mutation]:
    """Ways to damage a file: (random generator, file, another file) to a damaged file."""

    def truncate(rng: np.random.Generator, data: bytes, _other: bytes) -> bytes:
        return data[: int(rng.integers(0, len(data)))]

    def flip(rng: np.random.Generator, data: bytes, _other: bytes) -> bytes:
        damaged = bytearray(data)
        for at in rng.integers(0, len(damaged), size=int(rng.integers(1, 9))):
            damaged[at] ^= int(rng.integers(1, 256))
        return bytes(damaged)

    def header_value(rng: np.random.Generator, data: bytes, _other: bytes) -> bytes:
        damaged = bytearray(data)
        at = int(rng.integers(0, max(1, min(len(damaged), 200) - 4)))
        value = int(rng.choice([0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 50_000, 1 << 20]))
        damaged[at : at + 4] = struct.pack(str(rng.choice(["<I", ">I"])), value)
        return bytes(damaged)

    def splice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
        return data[: int(rng.integers(0, len(data)))] + other[int(rng.integers(0, len(other))) :]

    return {"truncate": truncate, "flip": flip, "header value": header_value, "splice": splice}
