"""JPEG pixels straight into an array: a fast decoder where it gives exactly what Pillow gives, nothing where not.

Theory of operation
-------------------
Pillow decodes into four bytes per pixel and hands them out again as three; for a 12-megapixel photo these two passes
cost more than the kernel that hashes it. TurboJPEG is the same libjpeg-turbo with the same arithmetic, writing rows of
three bytes where they are wanted. Ordinary files do not even come to it: our own kernels give the same pixels sooner
(``baseline``). :func:`decode` uses it *strictly*: any warning of the library (a missing end, a bad
code, stray bytes between markers), any other colour space than grey, YCbCr and RGB, and any size but the one that was
let through the gates is answered with None, and Pillow decides what to make of the file. So whatever is refused,
salvaged or marked degraded is so by one decoder's rules.

:class:`ArrayPicture` is how such pixels travel: a Pillow image whose array comes first. ``numpy.asarray`` of it is
free, and everything else that one does with an image (``resize``, ``convert``) makes Pillow's copy when it is first
needed, as Pillow's own image files do.

:func:`decode_scaled` leaves out the high frequencies and the colours: a half, a quarter or an eighth of each side, in
grey, for screening. What remains of the work is mostly Huffman codes. It is as strict, and ``baseline`` comes first.

What this module deliberately does not do: no sloppy decoding (``fastdct``, ``fastupsample``), no CMYK, no salvage, and
it parses no marker: size and orientation are read by Pillow, and which codings may be scaled is ``screening``'s affair.

Source: ITU-T T.81; libjpeg-turbo ``doc/libjpeg.txt``, "Error handling": what is a warning.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from hashmatch.hashing import baseline

Pixels = npt.NDArray[np.uint8]

_MODE_OF: Mapping[str, str] = types.MappingProxyType({"Gray": "L", "YCbCr": "RGB", "RGB": "RGB"})
"""Colour space as TurboJPEG names it, to the mode in which Pillow opens such a file."""

_BLOCK_HALVINGS = 3
"""From blocks to single pixels."""
_STRIP_PX = 64
"""Rows that are turned at once: 64 pixels of three bytes are three cache lines, of source and of target."""


class ArrayPicture(Image.Image):
    """RGB picture that is an array until Pillow needs it otherwise.

    Parameters
    ----------
    pixels : uint8, shape (h, w, 3)
        Kept, not copied, and made read-only.

    """

    def __init__(self, pixels: Pixels) -> None:
        super().__init__()
        pixels.flags.writeable = False
        self.pixels = pixels
        self._mode = "RGB"
        self._size = (pixels.shape[1], pixels.shape[0])

    def __repr__(self) -> str:
        return f"<ArrayPicture {self.width}x{self.height}{'' if self._im is None else ', loaded'}>"

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The pixels as they are; Pillow's own property copies them twice."""
        return self.pixels.__array_interface__

    def load(self) -> Any:
        """Make Pillow's copy on first use. What is drawn on that copy is not seen in ``pixels``."""
        if self._im is None:
            self.im = Image.fromarray(self.pixels).im
        return super().load()


def decode(data: bytes, mode: str, size: tuple[int, int]) -> Pixels | None:
    """RGB pixels of a JPEG file, equal to those that Pillow decodes.

    Parameters
    ----------
    data : bytes
        The file.
    mode, size
        As Pillow opened it, the size in pixels (width, height) and checked by the gates: nothing else is allocated.

    Returns
    -------
    uint8, shape (h, w, 3), C order; or None
        None where the file is damaged, has another colour space or size, or is a kind of JPEG that TurboJPEG refuses.

    Raises
    ------
    MemoryError
        There is not enough memory for the pixels.

    """
    ours = baseline.decode(data, size) if mode == "RGB" else None
    if ours is not None:
        return ours
    try:
        height, width, colour_space, _ = simplejpeg.decode_jpeg_header(data)
        if (width, height) != size or _MODE_OF.get(colour_space) != mode:
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except (ValueError, KeyError):  # KeyError: a subsampling or colour space that it has no name for
        return None
    return pixels


def decode_scaled(data: bytes, mode: str, size: tuple[int, int], halvings: int) -> Pixels | None:
    """Grey pixels of a JPEG file at a fraction of its size.

    Parameters
    ----------
    data : bytes
        The file. Its coding must not be lossless: libjpeg-turbo 3.1.2, which simplejpeg 1.9.0 brings, may write beyond
        the end of what it is given when it scales such a file.
    mode, size
        As for :func:`decode`.
    halvings : int
        How often both sides are halved: 1 to 3.

    Returns
    -------
    uint8, shape (ceil(h / 2**halvings), ceil(w / 2**halvings)), C order; or None
        None as for :func:`decode`, and where the colours are stored as red, green and blue: mixing them is not scaling.

    Raises
    ------
    MemoryError
        There is not enough memory for the pixels.

    """
    ours = baseline.decode_means(data, size) if mode == "RGB" and halvings == _BLOCK_HALVINGS else None
    if ours is not None:
        return ours
    small_width, small_height = (-(-side >> halvings) for side in size)
    try:
        height, width, colour_space, _ = simplejpeg.decode_jpeg_header(data)
        if (width, height) != size or colour_space == "RGB" or _MODE_OF.get(colour_space) != mode:
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(
            data, "GRAY", min_height=small_height, min_width=small_width, strict=True
        )
    except (ValueError, KeyError):  # as above
        return None
    return pixels[:, :, 0] if pixels.shape[:2] == (small_height, small_width) else None


def turned(pixels: Pixels, turn: Image.Transpose) -> Pixels:
    """Rotate or reflect as ``PIL.Image.Image.transpose`` does; shape (h, w, 3) or (w, h, 3), C order."""
    swaps, flip_y, flip_x = _TURNS[turn]
    whole = pixels.view("V3")[:, :, 0][:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    if not swaps:
        return np.ascontiguousarray(whole)[:, :, np.newaxis].view(np.uint8)
    result = np.empty(whole.shape[::-1], whole.dtype)
    for top in range(0, len(whole), _STRIP_PX):
        result[:, top : top + _STRIP_PX] = whole[top : top + _STRIP_PX].T
    return result[:, :, np.newaxis].view(np.uint8)


def turned_grey(rows: Pixels, turn: Image.Transpose) -> Pixels:
    """Do the same to a grey picture; shape (h, w) or (w, h), C order."""
    swaps, flip_y, flip_x = _TURNS[turn]
    flipped = rows[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.ascontiguousarray(flipped.T if swaps else flipped)


_TURNS: Mapping[Image.Transpose, tuple[bool, bool, bool]] = types.MappingProxyType(
    {
        Image.Transpose.FLIP_LEFT_RIGHT: (False, False, True),
        Image.Transpose.ROTATE_180: (False, True, True),
        Image.Transpose.FLIP_TOP_BOTTOM: (False, True, False),
        Image.Transpose.TRANSPOSE: (True, False, False),
        Image.Transpose.ROTATE_90: (True, False, True),
        Image.Transpose.TRANSVERSE: (True, True, True),
        Image.Transpose.ROTATE_270: (True, True, False),
    }
)
"""Whether rows and columns change places, after the source was flipped vertically and horizontally."""
