"""Containers that were cut short, completed so that a decoder will look at what is left.

Theory of operation
-------------------
libwebp and libavif refuse an incomplete container before they look at its picture, although the picture data itself
can be decoded up to the cut. :func:`mended` gives them what they insist on: zeros up to the length that the container
states or, in an animated WebP, the file without its last, incomplete frame. The other decoders salvage by themselves.

What this module deliberately does not do: it repairs no values. What comes out may be as broken as what went in.

Source: RFC 9649 §2.3-§2.7 (WebP), ISO/IEC 14496-12 §4.2 (boxes).
"""

from __future__ import annotations

import struct

NEEDS_MENDING = frozenset({"WEBP", "AVIF"})
"""Formats whose decoders salvage nothing by themselves."""

_BOX_HEADER_BYTES = 8
_RIFF_HEADER_BYTES = 12


def mended(data: bytes, name: str, *, max_bytes: int) -> bytes:
    """Return ``data``, completed where its container is incomplete; never longer than ``max_bytes``.

    Parameters
    ----------
    data : bytes
        A damaged file of the format ``name``.
    name : str
        Format as named by ``layout.sniff``. Formats other than WEBP and AVIF are returned as they are.
    max_bytes : int
        A stated length beyond this is not believed.

    """
    if name == "WEBP":
        return _webp(data, max_bytes)
    if name == "AVIF":
        return _zeros_up_to(data, _end_of_boxes(data), max_bytes)
    return data


def _zeros_up_to(data: bytes, stated: int, max_bytes: int) -> bytes:
    return data + bytes(max(0, min(stated, max_bytes) - len(data)))


def _webp(data: bytes, max_bytes: int) -> bytes:
    """Drop an incomplete frame when there are frames before it, else complete the file with zeros."""
    at, frames = _RIFF_HEADER_BYTES, 0
    while at + _BOX_HEADER_BYTES <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + _BOX_HEADER_BYTES + size + (size & 1)
        if end > len(data):
            break
        frames += kind == b"ANMF"
        at = end
    if frames and at < len(data):
        return b"RIFF" + struct.pack("<I", at - _BOX_HEADER_BYTES) + data[_BOX_HEADER_BYTES:at]
    (stated,) = struct.unpack_from("<I", data.ljust(_RIFF_HEADER_BYTES, b"\0"), 4)
    return _zeros_up_to(data, stated + _BOX_HEADER_BYTES, max_bytes)


def _end_of_boxes(data: bytes) -> int:
    """Where the last top-level box ends, as stated."""
    at = 0
    while at + _BOX_HEADER_BYTES <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < _BOX_HEADER_BYTES:  # to the end of the file, or a 64-bit size: nothing that an image needs
            return len(data)
        at += size
    return at
