"""The gates: what may be decoded at all, decided before any decoder runs.

Theory of operation
-------------------
:func:`check_file` looks at the bytes, :func:`check_size` at the dimensions that the header states, before pixels are
asked for. Both answer with a :class:`Refused` where a limit is exceeded; they raise nothing and do no I/O. One rule
tells two reasons apart: over a plain limit on bytes, pixels or side is *too large* (an honest file can be), while
asking for more work than any honest file of that size is a *bomb* (scans, parts, amplifying metadata, memory).

What this module deliberately does not do: it does not look for known bombs. It bounds work.
"""

from __future__ import annotations

from dataclasses import dataclass

from hashmatch.config import DecodeConfig
from hashmatch.hashing.layout import Layout, survey
from hashmatch.model import Refusal

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "ICO")
"""What is decoded, and nothing else: the formats of the web whose decoders are fuzzed continuously by others."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a file is not looked at; ``detail`` is one sentence for people, with the value and the limit."""

    refusal: Refusal
    detail: str


def check_file(data: bytes, config: DecodeConfig) -> Layout | Refused:
    """Apply the gates that need only the file: empty, bytes, format, parts, scans."""
    if not data:
        return Refused(Refusal.EMPTY, "the file has no bytes")
    if len(data) > config.max_bytes:
        return Refused(
            Refusal.TOO_LARGE, f"the file has {len(data)} bytes, more than the limit of {config.max_bytes} bytes"
        )
    layout = survey(data, max_parts=config.max_parts, max_frames=config.max_frames_seen)
    if layout is None:
        return Refused(Refusal.UNSUPPORTED_FORMAT, f"the file is none of {', '.join(FORMATS)}")
    if layout.parts > config.max_parts:
        return Refused(
            Refusal.BOMB,
            f"the {layout.format} file has more than the limit of {config.max_parts} parts to step through",
        )
    if layout.scans > config.max_jpeg_scans:
        return Refused(
            Refusal.BOMB,
            f"the JPEG file has {layout.scans} scans, more than the limit of {config.max_jpeg_scans} scans",
        )
    return layout


def check_size(width: int, height: int, layout: Layout, config: DecodeConfig) -> Refused | None:
    """Apply the gates that need the stated dimensions, in pixels: side, pixels, scans times pixels."""
    stated = f"the picture is {width}x{height} pixels"
    if max(width, height) > config.max_side_px:
        return Refused(Refusal.TOO_LARGE, f"{stated}, longer than the limit of {config.max_side_px} pixels a side")
    if width * height > config.max_pixels:
        return Refused(
            Refusal.TOO_LARGE, f"{stated}, {width * height} in all, more than the limit of {config.max_pixels} pixels"
        )
    if min(width, height) < config.min_side_px:
        return Refused(Refusal.TOO_SMALL, f"{stated}, shorter than the limit of {config.min_side_px} pixels a side")
    work = layout.scans * width * height
    if work > config.max_scan_pixels:
        return Refused(
            Refusal.BOMB,
            f"{stated} in {layout.scans} JPEG scans, {work} scan-pixels in all, "
            f"more than the limit of {config.max_scan_pixels}",
        )
    return None
