"""Bounded decoding: bytes to the few RGB pictures that are worth hashing.

Theory of operation
-------------------
:func:`read` opens a file that passed :func:`~hashmatch.hashing.gates.check_file` and decodes its first frame,
strictly. Only when that fails is it decoded again in salvage mode: missing rows stay blank, broken metadata is skipped,
a container cut short is completed (``mend``). What comes out is marked ``degraded``. Cutting a few bytes off an image
must not hide it: browsers still show it. When salvage recovers nothing but a blank, the answer is *corrupt*, not a flat
picture that hashes.

:meth:`Reader.frames` then yields the first frame and an evenly spaced sample of later ones, each upright and in RGB.
It only ever steps forward, and the steps are bounded by frames and by pixels.

The pixels of a sound JPEG come from TurboJPEG (``turbo``), which is faster and gives the same ones; Pillow reads its
header, and decodes whatever TurboJPEG has the slightest objection to. :func:`scaled` gives a large JPEG in grey, at a
fraction of its size, for those who need no more than an approximate hash.

The plug-in classes of Pillow are called directly, one per allowed format. ``Image.open`` would offer the file to
whatever openers are registered, and turns a JPEG with a multi-picture index into another class with another parser.

Pillow's settings are process-wide. They are set for one call and put back (:func:`_pillow`), so no image changes how
the next one is decoded; the worker has one thread.

What this module deliberately does not do: it applies no ICC profile, scales nothing that is hashed exactly, reads no
second picture of a multi-picture JPEG, and never asks a TIFF for its number of pages.

Source: Exif 2.3 tag 274; reference security §4.3 for the rules.
"""

from __future__ import annotations

import contextlib
import io
import logging
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from hashmatch.config import DecodeConfig
from hashmatch.hashing import turbo
from hashmatch.hashing.gates import Refused, check_size
from hashmatch.hashing.layout import Layout
from hashmatch.hashing.mend import NEEDS_MENDING, mended
from hashmatch.hashing.modes import to_rgb, turned
from hashmatch.model import HashOptions, MediaInfo, Refusal

AvifImagePlugin.DEFAULT_MAX_THREADS = 1
"""A confined worker may neither start threads nor ask how many processors there are (reference security §2.4)."""

logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)
"""Pillow logs values that it read from the file; nothing of an image may reach a log."""

OPENERS: Mapping[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = types.MappingProxyType(
    {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "AVIF": AvifImagePlugin.AvifImageFile,
        "ICO": IcoImagePlugin.IcoImageFile,
    }
)

_ORIENTATION = 274
_SAME_SHADE = 8
_BLOCK_PX = 16
"""Rows of the largest block that a codec fills with a guess: a JPEG MCU or a VP8 macroblock."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_AS_STORED = _UPRIGHT | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""Undoes ``_UPRIGHT``: only the quarter turns are not their own inverses."""

_AMPLIFIED = ("Decompressed data too large", "Too much memory used in text chunks")
"""How Pillow's messages begin when compressed metadata exceeds its own caps."""


_SCALED_CODINGS = frozenset({0xC0, 0xC1, 0xC2})
"""Huffman-coded cosine transforms, sequential and progressive. A lossless file may not be scaled (``turbo``)."""
_SCALED_SIDE_PX = 256
"""Shortest side of a scaled picture: four pixels for each sample. With two, hashes were up to 48 bits off."""


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """A picture in grey whose sides were halved ``halvings`` times, 1 to 3, upright or as stored.

    ``rows`` : uint8, shape (ceil(height / 2**halvings), ceil(width / 2**halvings)), C order. ``width`` and ``height``
    are those of the whole picture, in pixels.
    """

    rows: turbo.Pixels = field(repr=False)
    width: int
    height: int
    halvings: int


@dataclass(slots=True)
class Reader:
    """An opened picture. ``degraded`` is final once :meth:`frames` is exhausted."""

    layout: Layout
    config: DecodeConfig
    options: HashOptions
    degraded: bool
    frame_count: int
    first: Image.Image
    image: ImageFile.ImageFile = field(repr=False)

    def media(self, frames_hashed: int) -> MediaInfo:
        """Describe what was decoded; the size is the first frame's, as seen."""
        width, height = self.first.size
        return MediaInfo(self.layout.format, width, height, self.frame_count, frames_hashed, self.degraded)

    def plan(self) -> tuple[int, ...]:
        """Frame numbers to be hashed: the first, then evenly spaced ones, ascending.

        Together they have no more pixels than the largest allowed picture, so an animation takes no longer to hash.
        """
        if self.options.first_frame_only:
            return (0,)
        width, height = self.first.size
        pixels = width * height
        steps = max(1, min(self.frame_count, self.config.max_animation_pixels // pixels))
        wanted = max(1, min(steps, self.config.max_frames_hashed, self.config.max_pixels // pixels))
        return tuple(index * steps // wanted for index in range(wanted))

    def frames(self) -> Iterator[tuple[int, Image.Image]]:
        """Yield ``(frame number, RGB picture)``; a later frame that cannot be decoded ends the sequence."""
        yield 0, self.first
        for index in self.plan()[1:]:
            try:
                with _pillow(self.config, salvage=self.degraded):
                    self.image.seek(index)
                    if check_size(*self.image.size, self.layout, self.config):
                        return
                    frame = _decoded(self.image, self.options)
            except Exception:  # noqa: BLE001 - decoders raise anything; the frames before this one are the answer
                self.degraded = True
                return
            yield index, frame


def read(data: bytes, layout: Layout, config: DecodeConfig, options: HashOptions) -> Reader | Refused:
    """Open a file and decode its first frame.

    Parameters
    ----------
    data : bytes
        A file that passed ``check_file``, which returned ``layout``.
    layout : Layout
        The survey of ``data``.
    config : DecodeConfig
        The limits.
    options : HashOptions
        ``ignore_orientation`` also drops alpha: the pixels are then those the reference implementations see.

    Returns
    -------
    Reader or Refused
        Never raises for anything that a file contains.

    """
    problem = ""
    for salvage in (False, True):
        source = mended(data, layout.format, max_bytes=config.max_bytes) if salvage else data
        if salvage and layout.format in NEEDS_MENDING and len(source) == len(data):
            break  # these decoders have no salvage of their own: a second try would end like the first
        try:
            with _pillow(config, salvage=salvage):
                return _first_frame(source, layout, config, options, salvage=salvage)
        except Image.DecompressionBombError:
            return Refused(
                Refusal.TOO_LARGE,
                f"the {layout.format} file holds a picture of more than the limit of {config.max_pixels} pixels",
            )
        except MemoryError:
            return Refused(
                Refusal.BOMB, f"decoding the {layout.format} file of {len(data)} bytes needs more memory than there is"
            )
        except Exception as error:  # noqa: BLE001 - the wall around the decoders, which raise anything at all
            if str(error).startswith(_AMPLIFIED) and salvage:
                return Refused(
                    Refusal.BOMB, f"the metadata of the {layout.format} file unpacks to far more than its size"
                )
            problem = type(error).__name__  # not its text, which may quote the file
    return Refused(Refusal.CORRUPT, f"nothing could be decoded from the {layout.format} file ({problem})")


def _first_frame(
    source: bytes, layout: Layout, config: DecodeConfig, options: HashOptions, *, salvage: bool
) -> Reader | Refused:
    image = OPENERS[layout.format](io.BytesIO(source))
    refused = check_size(*image.size, layout, config)
    if refused:
        return refused
    first = None if salvage or layout.format != "JPEG" else _fast_jpeg(image, source, options)
    if first is None:
        first = _decoded(image, options)
    if salvage and _is_blank(first):
        return Refused(Refusal.CORRUPT, f"the {layout.format} file is damaged and nothing of its picture is left")
    frame_count = layout.frames if layout.frames is not None else getattr(image, "n_frames", 1)
    return Reader(
        layout=layout,
        config=config,
        options=options,
        degraded=salvage,
        frame_count=max(1, min(frame_count, config.max_frames_seen)),
        first=first,
        image=image,
    )


def scaled(data: bytes, layout: Layout, config: DecodeConfig, options: HashOptions) -> Scaled | None:
    """Decode a large and sound JPEG at the smallest scale that still serves; parameters as for :func:`read`.

    None where that cannot be done, for whatever reason: :func:`read` then says what is wrong, if anything is.
    """
    if layout.coding not in _SCALED_CODINGS:
        return None
    try:
        with _pillow(config, salvage=False):
            opened = OPENERS[layout.format](io.BytesIO(data))
            width, height = opened.size
            halvings = next((n for n in (3, 2, 1) if min(width, height) >= _SCALED_SIDE_PX << n), 0)
            if not halvings or min(width, height) < config.screen_side_px or check_size(width, height, layout, config):
                return None
            turn = None if options.ignore_orientation else _UPRIGHT.get(_orientation(opened))
            if turn is not None and (width | height) % (1 << halvings):
                return None  # the last blocks, which are cut off, would come first
            rows = turbo.decode_scaled(data, opened.mode, opened.size, halvings)
    except Exception:  # noqa: BLE001 - the wall around the decoders, MemoryError included; read() tries again
        return None
    if rows is None or turn is None:
        return None if rows is None else Scaled(rows, width, height, halvings)
    rows = turbo.turned_grey(rows, turn)
    return Scaled(rows, rows.shape[1] << halvings, rows.shape[0] << halvings, halvings)


def _fast_jpeg(image: ImageFile.ImageFile, source: bytes, options: HashOptions) -> Image.Image | None:
    """RGB picture of a sound JPEG, upright or as stored; None where Pillow has to decide."""
    pixels = turbo.decode(source, image.mode, image.size)
    if pixels is None:
        return None
    turn = None if options.ignore_orientation else _UPRIGHT.get(_orientation(image))
    return turbo.ArrayPicture(pixels if turn is None else turbo.turned(pixels, turn))


def _decoded(image: ImageFile.ImageFile, options: HashOptions) -> Image.Image:
    """RGB picture of the current frame, upright or as stored."""
    turn: Image.Transpose | None = None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        stored = image.tag_v2.get(_ORIENTATION, 1)
        try:
            image.load()
        except OSError:
            if not ImageFile.LOAD_TRUNCATED_IMAGES:
                raise
            image.load()  # now returns the strips before the damage: the tile list is spent
        if options.ignore_orientation:  # Pillow turns TIFF, and only TIFF, while loading
            turn = _AS_STORED.get(stored) if isinstance(stored, int) else None
    else:
        image.load()
        if not options.ignore_orientation:
            turn = _UPRIGHT.get(_orientation(image))
    picture = to_rgb(image, as_reference=options.ignore_orientation)
    return picture if turn is None else turned(picture, turn)


def _is_blank(picture: Image.Image) -> bool:
    """Whether salvage recovered nothing to speak of: one shade, but for less than a 64th of the pixels in one strip.

    A header without data gives a flat picture, or one whose first block is the codec's guess. A page of text is mostly
    one shade too, but not all in one strip. A 64th is one row of the grid that PDQ looks at.
    """
    grey = np.asarray(picture.convert("L"), dtype=np.int16)
    shade = int(np.bincount(grey.ravel(), minlength=1).argmax())
    stands_out = np.abs(grey - shade) > _SAME_SHADE
    rows = np.flatnonzero(stands_out.any(axis=1))
    strip = int(rows[-1] - rows[0]) + 1 if rows.size else 0
    return bool(stands_out.sum() * 64 < grey.size) and strip <= max(_BLOCK_PX, grey.shape[0] // 8)


def _orientation(image: Image.Image) -> int:
    """Orientation as Pillow knows it: the EXIF tag (AVIF: irot and imir), else XMP; 1 when it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - a broken EXIF block must not hide the picture behind it
        return 1
    return value if isinstance(value, int) else 1


@contextlib.contextmanager
def _pillow(config: DecodeConfig, *, salvage: bool) -> Iterator[None]:
    """Pillow's process-wide settings for one call.

    ``MAX_IMAGE_PIXELS`` is half the limit because Pillow warns above it and raises above twice that; the raising check
    is the one that runs before libwebp and the ICO reader allocate anything.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES = salvage
    Image.MAX_IMAGE_PIXELS = config.max_pixels // 2
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before
