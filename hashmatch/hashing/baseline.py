"""Ordinary JPEG files by our own kernels: the pixels of libjpeg-turbo in less time, or no answer.

Theory of operation
-------------------
Nearly every JPEG that is uploaded is *baseline*: one scan, Huffman codes, three channels of which two may be halved.
:func:`parse` reads the header of such a file, :func:`decode` its picture (``kernels.jpeg``), equal to the last bit to
what libjpeg-turbo makes of it with its accurate transform and smooth colours. :func:`decode_means` gives the mean of
each block of luma, which is what libjpeg-turbo makes of it in grey at an eighth of the size.

Whatever is out of the ordinary gets None: another coding, more scans, other colours or grey, other subsampling, tiny
pictures, and every anomaly that libjpeg would warn of. ``turbo`` then asks libjpeg-turbo, and ``image`` Pillow. So
nothing is refused here, nothing is mended here, and no file gets another answer than it had.

Fresh memory costs a page fault every 4 KiB, a quarter of the time of a large picture. So each thread keeps its buffers,
that of the pixels too, which the next picture is written into when nobody holds an array of the one before.

What this module deliberately does not do: it applies no limit (the gates have) and no orientation.

Source: ITU-T T.81 Annex B; ITU-T T.871 (JFIF); libjpeg 6b, ``jdapimin.c``, for which colours a file has.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import jpeg

Pixels = npt.NDArray[np.uint8]

SIDE_MIN_PX = 32
"""Narrower or lower pictures are not worth the special cases that they would be."""
KEPT_BYTES = 48 << 20
"""Largest buffer that is kept: 16 megapixels."""

_SOF, _DHT, _SOS, _DQT, _DRI, _JFIF, _ADOBE = 0xC0, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE
_DEFINITIONS = frozenset({_DHT, _DQT})
_IGNORED = frozenset({*range(0xE0, 0xF0), 0xFE, _SOS})
"""Of applications, comments, and the start of the scan, which ends the header."""
_START = b"\xff\xd8"
_SUBSAMPLINGS = frozenset({(1, 1), (2, 1), (2, 2)})
_YCBCR, _NOT_SAID = 1, -1
"""Colours as Adobe numbers them, and where nobody does."""
_USUAL_NUMBERS = (1, 2, 3)
"""Of the channels Y, Cb and Cr."""
_TABLES = 4
"""Of each kind that a file may have."""
_SYMBOLS = 256
_CODINGS_KEPT = 16
"""Of about 80 KiB each; the rows of tables that no file names are never touched."""
_COEFFICIENTS = 16
"""Added to the number of a Huffman table that is for all but a block's first coefficient."""
_BITS = 8
_FRAME_BYTES, _SCAN_BYTES, _DRI_BYTES, _JFIF_BYTES, _ADOBE_BYTES = 11, 10, 2, 14, 12
"""Of the contents of segments: with three channels and without the size of the picture, or at least."""
_WHOLE_SCAN = b"\x00\x3f\x00"
"""All coefficients, all bits."""


class _Unusual(Exception):
    """The file is not of the kind that is decoded here."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A file that can be decoded: the size of the picture in pixels, and arguments of ``kernels.jpeg``.

    ``begin`` is where its entropy-coded data begins.
    """

    width: int
    height: int
    begin: int
    interval: int
    plan: npt.NDArray[np.int64] = field(repr=False)
    tables: npt.NDArray[np.int32] = field(repr=False)
    pairs: npt.NDArray[np.int64] = field(repr=False)
    quantisers: npt.NDArray[np.int32] = field(repr=False)

    @property
    def units(self) -> tuple[int, int]:
        """Minimum coded units side by side, and in a column."""
        across, down = (int(8 * blocks) for blocks in self.plan[0, :2])
        return -(-self.width // across), -(-self.height // down)


class _Kept(threading.local):
    """Buffers of this thread. Whoever has an array in one keeps it from being changed in length, which tells."""

    def __init__(self) -> None:
        self.pixels = bytearray()
        self.rows = bytearray()
        self.data = bytearray()


_KEPT = _Kept()


def decode(data: bytes, size: tuple[int, int]) -> Pixels | None:
    """RGB pixels of a JPEG file of that size (width, height); uint8, shape (h, w, 3), C order; None if it is unusual.

    Raises
    ------
    MemoryError
        There is not enough memory for the pixels.

    """
    found = _of_size(data, size)
    if found is None:
        return None
    bits, ends = _bits(data, found)
    if bits is None:
        return None
    width = 8 * int(found.plan[0, 0]) * found.units[0]
    shape = (jpeg.COMPONENTS + 1, jpeg.ROWS, 2 * jpeg.MARGIN + jpeg.PIXELS + width)
    pixels = _array("pixels", found.height * found.width * 3).reshape(found.height, found.width, 3)
    whole = jpeg.decode(
        bits, ends, found.interval, found.plan, found.tables, found.pairs, found.quantisers,
        np.empty(jpeg.COMPONENTS, np.int64), np.zeros(jpeg.PAIRS * jpeg.PAIR, np.int32), np.empty(jpeg.PAIRS, np.int64),
        _array("rows", shape[0] * shape[1] * shape[2]).reshape(shape), np.empty(3 * jpeg.PIXELS, np.uint8), pixels,
    )  # fmt: skip
    return pixels if whole else None


def decode_means(data: bytes, size: tuple[int, int]) -> Pixels | None:
    """Grey pixels at an eighth of the size; uint8, shape (ceil(h / 8), ceil(w / 8)), C order; parameters as above."""
    found = _of_size(data, size)
    if found is None:
        return None
    bits, ends = _bits(data, found)
    if bits is None:
        return None
    strides = np.empty((len(found.tables), 1 << jpeg.STRIDE_LOOK), np.uint16)
    for row in np.unique(found.plan[:, 3]):
        jpeg.fill_strides(found.tables[row], strides[row])
    means = np.empty((-(-found.height // 8), -(-found.width // 8)), np.uint8)
    whole = jpeg.decode_means(
        bits, ends, found.interval, found.plan, found.tables, strides, found.quantisers, found.units[0], means
    )
    return means if whole else None


def parse(data: bytes) -> Baseline | None:
    """Read the header of a JPEG file; None if it is unusual."""
    try:
        return _parsed(data)
    except _Unusual:
        return None


def _of_size(data: bytes, size: tuple[int, int]) -> Baseline | None:
    if min(size) < SIDE_MIN_PX:
        return None
    found = parse(data)
    return found if found is not None and (found.width, found.height) == size else None


def _bits(data: bytes, found: Baseline) -> tuple[Pixels | None, npt.NDArray[np.int64]]:
    """Return the entropy-coded data without what stands between it, and where its intervals end; None if unusual."""
    units = found.units[0] * found.units[1]
    ends = np.empty(-(-units // found.interval), np.int64)
    bits = _array("data", len(data) - found.begin + jpeg.PADDING)
    copied = jpeg.unstuff(np.frombuffer(data, np.uint8), found.begin, bits, ends)
    return (None if copied < 0 else bits), ends


def _array(name: str, length: int) -> Pixels:
    """Return an array of bytes, with whatever was in them, in a buffer that nobody else has an array in."""
    kept: bytearray = getattr(_KEPT, name)
    try:
        kept.append(kept.pop())  # in this order nothing is moved
    except (BufferError, IndexError):
        kept = bytearray()
    if len(kept) < length:
        kept = bytearray(length)
    if len(kept) <= KEPT_BYTES:
        setattr(_KEPT, name, kept)
    return np.frombuffer(kept, np.uint8, length)


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield marker, content and end of each segment up to the start of the scan, which is the last."""
    at = len(_START)
    if not data.startswith(_START):
        raise _Unusual
    while True:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        marker, end = data[at + 1 : at + 2], at + 2 + length
        if data[at : at + 1] != b"\xff" or length < 2 or end > len(data):  # noqa: PLR2004  (counts its own two bytes)
            raise _Unusual
        yield marker[0], data[at + 4 : end], end
        if marker[0] == _SOS:
            return
        at = end


def _parsed(data: bytes) -> Baseline:
    """Read the header of a JPEG file, or raise."""
    frame, jfif, adobe, interval, begin = b"", False, _NOT_SAID, 0, 0
    definitions: list[tuple[int, bytes]] = []
    for marker, content, end in _segments(data):
        begin = end
        if marker in _DEFINITIONS:
            definitions.append((marker, content))
        elif marker == _SOF and not frame:
            frame = content
        elif marker == _DRI and len(content) == _DRI_BYTES:
            interval = int.from_bytes(content, "big")
        elif marker == _JFIF:
            jfif = jfif or (content.startswith(b"JFIF\0") and len(content) >= _JFIF_BYTES)
        elif marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= _ADOBE_BYTES:
            adobe = content[_ADOBE_BYTES - 1]
        elif marker not in _IGNORED:
            raise _Unusual
    coding = _coding(frame[:1] + frame[5:], content, _YCBCR if jfif else adobe, tuple(definitions))  # the last one: SOS
    height, width = (int.from_bytes(frame[at : at + 2], "big") for at in (1, 3))
    found = Baseline(width, height, begin, interval, coding.plan, coding.tables, coding.pairs, coding.quantisers)
    return found if interval else dataclasses.replace(found, interval=max(1, found.units[0] * found.units[1]))


class _Coding(NamedTuple):
    """What does not depend on the size of the picture: arguments of ``kernels.jpeg``."""

    plan: npt.NDArray[np.int64]
    tables: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.int64]
    quantisers: npt.NDArray[np.int32]


@functools.lru_cache(maxsize=_CODINGS_KEPT)
def _coding(frame: bytes, scan: bytes, colours: int, definitions: tuple[tuple[int, bytes], ...]) -> _Coding:
    """Return how the picture is coded, or raise; all files of one encoder with one quality are coded alike.

    Parameters
    ----------
    frame, scan : bytes
        Contents of the frame's header, without the size of the picture, and of the scan's.
    colours : int
        What applications say of them, as Adobe does.
    definitions : tuple
        Marker and content of each segment with quantisers or Huffman codes.

    """
    quantisers = np.zeros((_TABLES, jpeg.BLOCK), np.int32)
    known: set[int] = set()
    codes: dict[int, tuple[bytes, bytes]] = {}
    for marker, content in definitions:
        if marker == _DHT:
            _add_codes(content, codes)
        else:
            known.update(_quantised(content, quantisers))
    parts = _parts(frame, colours)
    if len(scan) != _SCAN_BYTES or scan[0] != jpeg.COMPONENTS or scan[-len(_WHOLE_SCAN) :] != _WHOLE_SCAN:
        raise _Unusual
    plan = np.empty((jpeg.COMPONENTS, 4), np.int64)
    for n, (number, across, down, kind) in enumerate(parts):
        first, other = scan[2 + 2 * n] >> 4, scan[2 + 2 * n] & 15
        if scan[1 + 2 * n] != number or max(first, other) >= _TABLES or kind not in known:
            raise _Unusual
        plan[n] = across, down, first, _TABLES + other
    tables = _tables(codes, plan)
    luma, blue, red = (quantisers[kind].reshape(8, 8) for *_, kind in parts)
    paired = np.array([np.hstack(pair).ravel() for pair in ((luma, luma), (blue, red))])
    return _Coding(plan, tables, _pairs(tables, plan), paired)


def _parts(frame: bytes, colours: int) -> list[tuple[int, int, int, int]]:
    """Return number, factors across and down, and quantiser of each channel, where they are of a usual kind."""
    if len(frame) != _FRAME_BYTES or frame[0] != _BITS or frame[1] != jpeg.COMPONENTS:
        raise _Unusual
    parts = [(frame[at], frame[at + 1] >> 4, frame[at + 1] & 15, frame[at + 2]) for at in range(2, _FRAME_BYTES, 3)]
    (_, *factors, _), *others = parts
    ids = tuple(part[0] for part in parts)
    if tuple(factors) not in _SUBSAMPLINGS or any(part[1:3] != (1, 1) for part in others):
        raise _Unusual
    if colours != _YCBCR and (colours != _NOT_SAID or ids != _USUAL_NUMBERS):
        raise _Unusual
    return parts


def _quantised(content: bytes, quantisers: npt.NDArray[np.int32]) -> Iterator[int]:
    """Set rows of the quantisers and yield their numbers."""
    for at in range(0, len(content), 1 + jpeg.BLOCK):
        table = content[at : at + 1 + jpeg.BLOCK]
        if len(table) <= jpeg.BLOCK or table[0] >= _TABLES:  # the upper half of the byte: two bytes for each quantiser
            raise _Unusual
        quantisers[table[0], jpeg.NATURAL] = np.frombuffer(table, np.uint8, offset=1)
        yield table[0]


def _add_codes(content: bytes, codes: dict[int, tuple[bytes, bytes]]) -> None:
    """Note lengths and symbols of Huffman codes."""
    while content:
        lengths = content[1 : 1 + jpeg.LENGTHS]
        end = 1 + jpeg.LENGTHS + sum(lengths)
        symbols = content[1 + jpeg.LENGTHS : end]
        if len(lengths) < jpeg.LENGTHS or len(symbols) != sum(lengths) or len(symbols) > _SYMBOLS:
            raise _Unusual
        codes[content[0]] = lengths, symbols
        content = content[end:]


def _tables(codes: dict[int, tuple[bytes, bytes]], plan: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return the tables that ``plan`` names, in their rows."""
    tables = np.zeros((2 * _TABLES, jpeg.TABLE), np.int32)
    for row in {int(row) for row in plan[:, 2:4].ravel()}:
        coefficients = row >= _TABLES
        lengths, symbols = codes.get(row - _TABLES + _COEFFICIENTS if coefficients else row, (b"", b""))
        padded = np.frombuffer(symbols.ljust(_SYMBOLS, b"\0"), np.uint8)
        if not lengths or not jpeg.fill_table(np.frombuffer(lengths, np.uint8), padded, coefficients, tables[row]):
            raise _Unusual
    return tables


def _pairs(tables: npt.NDArray[np.int32], plan: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the tables of pairs of codes, for all but a block's first coefficient, in the same rows."""
    pairs = np.zeros((2 * _TABLES, 1 << jpeg.PAIR_LOOK), np.int64)
    for row in np.unique(plan[:, 3]):
        jpeg.fill_pairs(tables[row], pairs[row])
    return pairs
