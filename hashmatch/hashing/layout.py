"""What a file says about itself, read without decoding a pixel.

Theory of operation
-------------------
:func:`survey` recognises a format by its first bytes and walks the container's outer structure once: JPEG segments
and scans, PNG chunks, GIF blocks, the chain of TIFF directories. Decoders walk the same structures without any bound,
in Python, at microseconds each; the walk here costs a fraction of that and stops at a ceiling. Its numbers feed
the gates: scans (each JPEG scan is a pass over all pixels), parts (what a decoder would step through in Python) and
frames (so that an evenly spaced sample can be chosen before anything is decoded).

What this module deliberately does not do: it decides nothing and validates nothing. A damaged structure ends the walk;
whether anything can be decoded is for the decoder to say.

Source: ITU-T T.81 Annex B (JPEG), W3C PNG third edition §5 and §11.3.5 (APNG), GIF89a specification §15-§20, TIFF 6.0
section 2 and the BigTIFF extension, RFC 9649 (WebP), ISO/IEC 23008-12 (the ``ftyp`` box of AVIF).
"""

from __future__ import annotations

import dataclasses
import re
import struct
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hashmatch.kernels.jpeg import next_marker

_TIFF_MAGIC = (b"II\x2a\x00", b"MM\x00\x2a", b"MM\x2a\x00", b"II\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_AVIF_BRANDS = (b"avif", b"avis")

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
"""JPEG markers: start and end of image, start of scan, temporary (T.81 table B.1)."""
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG frame headers: C0 baseline, C1 extended, C2 progressive, C3 lossless, the others arithmetic or hierarchical."""

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker: neither a stuffed zero, nor a restart marker, nor a fill byte (T.81 B.1.1)."""

_GIF_HEADER_BYTES = 13
_GIF_EXTENSION, _GIF_IMAGE, _GIF_TRAILER = b"!,;"
_BIG_TIFF = 43
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


@dataclass(frozen=True, slots=True)
class Layout:
    """One container, surveyed.

    ``scans`` is 0 for formats that have none. ``parts`` counts segments, chunks, blocks or directory entries, weighted
    by what stepping over one costs; it exceeds the ceiling when the walk was given up. ``frames`` is None where only
    the decoder can tell cheaply (WebP, AVIF). ``coding`` is the marker of a JPEG's frame header, 0 where there is not
    exactly one.
    """

    format: str
    scans: int = 0
    parts: int = 1
    frames: int | None = 1
    coding: int = 0


def sniff(data: bytes) -> str | None:
    """Name the format of ``data`` by its first bytes, None when it is not one of the allowed ones.

    The declared content type is advisory and the file name is not known; like a browser, this looks at the bytes.
    """
    head = data[:32]
    prefixes: tuple[tuple[str, bytes | tuple[bytes, ...]], ...] = (
        ("JPEG", b"\xff\xd8\xff"),
        ("PNG", b"\x89PNG\r\n\x1a\n"),
        ("GIF", (b"GIF87a", b"GIF89a")),
        ("TIFF", _TIFF_MAGIC),
        ("BMP", b"BM"),
        ("ICO", b"\x00\x00\x01\x00"),
    )
    for name, magic in prefixes:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and _is_avif(data):
        return "AVIF"
    return None


def _is_avif(data: bytes) -> bool:
    """Look for an AVIF brand among the major and compatible brands; HEIC files have the same box without one."""
    size = min(int.from_bytes(data[:4], "big"), 512)
    brands = data[8:12] + data[16:size]
    return any(brands[at : at + 4] in _AVIF_BRANDS for at in range(0, len(brands), 4))


def survey(data: bytes, *, max_parts: int, max_frames: int) -> Layout | None:
    """Walk the container of ``data``.

    Parameters
    ----------
    data : bytes
        The whole file.
    max_parts : int
        Give up the walk when more (weighted) parts than this were met.
    max_frames : int
        Stop counting frames there.

    Returns
    -------
    Layout or None
        None when the format is not one of the allowed ones.

    """
    name = sniff(data)
    if name is None:
        return None
    if name not in _WALKS:
        return Layout(name, frames=None if name in {"WEBP", "AVIF"} else 1)
    walk, weight = _WALKS[name]
    found = walk(data, max_parts // weight, max_frames)
    return dataclasses.replace(
        found, parts=found.parts * weight if found.parts <= max_parts // weight else max_parts + 1
    )


def _jpeg(data: bytes, max_parts: int, _max_frames: int) -> Layout:
    """Count segments and scans from marker to marker up to the end of the image, as libjpeg does.

    Counting FF DA is not enough: it occurs by chance in what cameras append (a video, a second picture), in thumbnails
    and in metadata, and an ordinary photo of a phone would be refused as a bomb.
    """
    scans, parts, at = 0, 0, 2
    codings: list[int] = []
    octets = np.frombuffer(data, np.uint8)
    while parts <= max_parts:
        at = at + 2 if _JPEG_MARKER.match(data, at) else next_marker(octets, at)
        if at < 0:
            break
        marker = data[at - 1]
        if marker == _EOI:
            break
        if marker in {_SOI, _TEM}:  # no parameters
            continue
        parts += 1
        scans += marker == _SOS
        if marker in _SOF:
            codings.append(marker)
        at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return Layout("JPEG", scans=scans, parts=parts, coding=codings[0] if len(codings) == 1 else 0)


def _png(data: bytes, max_parts: int, max_frames: int) -> Layout:
    """Count chunks, and frames where there is an animation control chunk."""
    parts, at = 0, 8
    animated = default_image = False
    frames = 0
    while parts <= max_parts and at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        parts += 1
        if kind == b"acTL":
            animated = True
        elif kind == b"fcTL":
            frames += 1
        elif kind == b"IDAT" and not frames:
            default_image = True  # shown by viewers without animation only; counts as a frame of its own
        elif kind == b"IEND":
            break
        at += length + 12
    total = frames + default_image if animated else 1
    return Layout("PNG", parts=parts, frames=max(1, min(total, max_frames)))


def _gif(data: bytes, max_parts: int, max_frames: int) -> Layout:
    """Count blocks, data sub-blocks included, and image descriptors."""
    if len(data) < _GIF_HEADER_BYTES:
        return Layout("GIF")
    parts = frames = 0
    at = _GIF_HEADER_BYTES + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    end = len(data)
    while parts <= max_parts and frames < max_frames and at < end:
        introducer = data[at]
        at += 1
        if introducer == _GIF_EXTENSION:  # label, sub-blocks
            at += 1
        elif introducer == _GIF_IMAGE:  # descriptor, colour table, code size, sub-blocks
            if at + 9 > end:
                break
            flags = data[at + 8]
            at += 10 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
            frames += 1
        elif introducer == _GIF_TRAILER:
            break
        else:  # decoders skip what they do not know
            parts += 1
            continue
        while at < end and parts <= max_parts and (length := data[at]):
            at += length + 1
            parts += 1
        at += 1
        parts += 1
    return Layout("GIF", parts=parts, frames=max(1, frames))


def _tiff(data: bytes, max_parts: int, max_frames: int) -> Layout:
    """Follow the chain of directories; ``parts`` are the entries and strips of the first page.

    Later pages end the chain, instead of refusing the file, when they would exceed the ceiling. Counting pages with the
    decoder parses every entry of every page: 15 s for 50,000 directories.
    """
    order = ">" if data[:1] == b"M" else "<"
    big = _BIG_TIFF in data[2:4]
    count_format, entry_bytes, link_format = (order + "Q", 20, order + "Q") if big else (order + "H", 12, order + "I")
    entry_head = struct.Struct(order + ("HHQ" if big else "HHI"))
    first_parts, parts, frames = 0, 0, 0
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(link_format, data, 8 if big else 4)
        while at and at not in seen and frames < max_frames:
            seen.add(at)
            (entries,) = struct.unpack_from(count_format, data, at)
            first = at + struct.calcsize(count_format)
            parts += entries
            for index in range(min(entries, max_parts + 1)):
                tag, _, values = entry_head.unpack_from(data, first + index * entry_bytes)
                if tag in {_STRIP_OFFSETS, _TILE_OFFSETS}:  # strip and tile offsets become one Python object each
                    parts += values
            first_parts = first_parts or parts
            if parts > max_parts:
                break
            frames += 1
            (at,) = struct.unpack_from(link_format, data, first + entries * entry_bytes)
    except (struct.error, OverflowError):
        frames += 1  # the directory that runs past the end of the file; the decoder will say what is left of it
    return Layout("TIFF", parts=first_parts or parts, frames=max(1, min(frames, max_frames)))


_WALKS: Mapping[str, tuple[Callable[[bytes, int, int], Layout], int]] = types.MappingProxyType(
    {"JPEG": (_jpeg, 4), "PNG": (_png, 8), "GIF": (_gif, 1), "TIFF": (_tiff, 4)}
)
"""The walk, and what one part costs in Pillow relative to a GIF sub-block: 2, 5, 0.5 and 2 microseconds measured."""
