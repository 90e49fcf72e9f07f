"""What the bytes of an answer are, by their beginning and not by what the host calls them (pure).

Theory of operation
-------------------
Three tables are tried in order: signatures at fixed places, brands of ISO media files, and the tags that make a text a
page. A signature wins over any declared type, because hosts call images ``text/html`` and pages ``image/jpeg``, and
some of them on purpose. The declared type decides only where the bytes do not: a stylesheet has no signature.

What this module deliberately does not do: it opens nothing. That an archive is one is all that is said of it.

Source
------
WHATWG MIME Sniffing, 6.1 (images), 7.1 (the tags of a page); ISO/IEC 14496-12, 4.3 (brands), as registered at
https://mp4ra.org; the formats' own specifications for what browsers do not show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hashmatch.model.hotline import Kind

HEAD_BYTES = 1_445
"""How far a browser looks (MIME Sniffing, 5.2); a tar archive's signature is at 257."""


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What bytes are; ``name`` is a media type where one is known, otherwise empty."""

    kind: Kind
    name: str = ""


_SIGNATURES: tuple[tuple[int, bytes, Sniffed], ...] = tuple(
    (offset, pattern, Sniffed(kind, name))
    for offset, pattern, kind, name in (
        (0, b"\xff\xd8\xff", Kind.IMAGE, "image/jpeg"),
        (0, b"\x89PNG\r\n\x1a\n", Kind.IMAGE, "image/png"),
        (0, b"GIF87a", Kind.IMAGE, "image/gif"),
        (0, b"GIF89a", Kind.IMAGE, "image/gif"),
        (0, b"BM", Kind.IMAGE, "image/bmp"),
        (0, b"II*\0", Kind.IMAGE, "image/tiff"),
        (0, b"MM\0*", Kind.IMAGE, "image/tiff"),
        (0, b"II+\0", Kind.IMAGE, "image/tiff"),
        (0, b"MM\0+", Kind.IMAGE, "image/tiff"),
        (0, b"\0\0\x01\0", Kind.IMAGE, "image/x-icon"),
        (0, b"\0\0\x02\0", Kind.IMAGE, "image/x-icon"),
        (0, b"\xff\x0a", Kind.IMAGE, "image/jxl"),
        (0, b"\0\0\0\x0cJXL \r\n\x87\n", Kind.IMAGE, "image/jxl"),
        (0, b"\0\0\0\x0cjP  \r\n\x87\n", Kind.IMAGE, "image/jp2"),
        (0, b"8BPS\0\x01", Kind.IMAGE, "image/vnd.adobe.photoshop"),
        (0, b"PK\x05\x06", Kind.ARCHIVE, "application/zip"),
        (0, b"Rar!\x1a\x07", Kind.ARCHIVE, "application/vnd.rar"),
        (0, b"7z\xbc\xaf\x27\x1c", Kind.ARCHIVE, "application/x-7z-compressed"),
        (0, b"\x1f\x8b\x08", Kind.ARCHIVE, "application/gzip"),
        (0, b"BZh", Kind.ARCHIVE, "application/x-bzip2"),
        (0, b"\xfd7zXZ\0", Kind.ARCHIVE, "application/x-xz"),
        (0, b"\x28\xb5\x2f\xfd", Kind.ARCHIVE, "application/zstd"),
        (0, b"MSCF", Kind.ARCHIVE, "application/vnd.ms-cab-compressed"),
        (257, b"ustar", Kind.ARCHIVE, "application/x-tar"),
        (0, b"\x1a\x45\xdf\xa3", Kind.VIDEO, "video/webm"),
        (0, b"FLV\x01", Kind.VIDEO, "video/x-flv"),
        (0, b"OggS\0", Kind.VIDEO, "application/ogg"),
        (0, b"\0\0\x01\xba", Kind.VIDEO, "video/mpeg"),
        (0, b"\0\0\x01\xb3", Kind.VIDEO, "video/mpeg"),
        (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind.VIDEO, "video/x-ms-asf"),
        (0, b"%PDF-", Kind.DOCUMENT, "application/pdf"),
        (0, b"%!PS-Adobe-", Kind.DOCUMENT, "application/postscript"),
        (0, b"{\\rtf", Kind.DOCUMENT, "application/rtf"),
        (0, b"AT&TFORM", Kind.DOCUMENT, "image/vnd.djvu"),
        (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind.DOCUMENT, "application/x-ole-storage"),
    )
)
"""Offset, bytes, and what begins so; none of them is the beginning of another at the same place."""

_RIFF = {b"WEBP": Sniffed(Kind.IMAGE, "image/webp"), b"AVI ": Sniffed(Kind.VIDEO, "video/x-msvideo")}
_BRANDS = {
    b"avif": Sniffed(Kind.IMAGE, "image/avif"),
    b"avis": Sniffed(Kind.IMAGE, "image/avif"),
    b"heic": Sniffed(Kind.IMAGE, "image/heic"),
    b"heix": Sniffed(Kind.IMAGE, "image/heic"),
    b"hevc": Sniffed(Kind.IMAGE, "image/heic-sequence"),
    b"hevx": Sniffed(Kind.IMAGE, "image/heic-sequence"),
    b"mif1": Sniffed(Kind.IMAGE, "image/heif"),
    b"msf1": Sniffed(Kind.IMAGE, "image/heif-sequence"),
}
_OTHER_BRAND = Sniffed(Kind.VIDEO, "video/mp4")
_ZIP = b"PK\x03\x04"
_OFFICE = (b"[Content_Types].xml", b"_rels/", b"mimetypeapplication/")
_TS_PACKET_BYTES, _TS_SYNC = 188, 0x47

_SVG = Sniffed(Kind.DOCUMENT, "image/svg+xml")
_PAGE = Sniffed(Kind.PAGE, "text/html")
_PROLOG = re.compile(
    rb"(?:[\t\n\f\r ]++|<\?[^>]*+>|<!--.*?-->|<!DOCTYPE(?!\s+html)[^>\[]*+(?:\[[^\]]*+\])?[^>]*+>)*",
    re.DOTALL | re.IGNORECASE,
)
_SVG_ROOT = re.compile(rb"<(?:[\w.-]+:)?svg[\s/>]", re.IGNORECASE)
_PAGE_START = re.compile(
    rb"(?:<!DOCTYPE\s+HTML|<(?:HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P|META|LINK|BASE|IMG"
    rb"|CENTER|FRAMESET|NOSCRIPT|SPAN|FORM|UL|PICTURE|SECTION|MAIN|HEADER)(?=[\s/>])|<!--)",
    re.IGNORECASE,
)
_TEXT_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

_DECLARED: dict[str, Sniffed] = {
    "text/html": _PAGE,
    "application/xhtml+xml": _PAGE,
    "text/xml": _PAGE,
    "application/xml": _PAGE,
    "application/rss+xml": _PAGE,
    "application/atom+xml": _PAGE,
    "text/css": Sniffed(Kind.STYLESHEET, "text/css"),
}


def sniff(body: bytes, content_type: str = "") -> Sniffed:
    """Tell what an answer is.

    Parameters
    ----------
    body : bytes
        All of it, or at least the first :data:`HEAD_BYTES`.
    content_type : str, optional
        As the host declared it.

    Returns
    -------
    Sniffed
        ``Kind.OTHER`` with the declared type where nothing is known, which may be an image that no list names.

    """
    head = body[:HEAD_BYTES]
    found = _by_signature(head)
    if found is not None:
        return found
    declared = essence(content_type)
    text = head.replace(b"\0", b"") if head.startswith(_TEXT_BOMS[1:]) else head
    for bom in _TEXT_BOMS:
        text = text.removeprefix(bom)
    rest = _PROLOG.match(text)
    root = text[rest.end() :] if rest else text
    if _SVG_ROOT.match(root):
        return _SVG
    if declared in _DECLARED:
        return _DECLARED[declared]
    if _PAGE_START.match(root):
        return _PAGE
    return Sniffed(Kind.OTHER, declared)


def essence(content_type: str) -> str:
    """Media type without its parameters, in lower case; empty for what is none."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind if kind.isascii() and kind.count("/") == 1 and " " not in kind else ""


def _by_signature(head: bytes) -> Sniffed | None:
    for offset, pattern, found in _SIGNATURES:
        if head.startswith(pattern, offset):
            return found
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"ftyp", 4):
        return _by_brand(head)
    if head.startswith(_ZIP):
        office = any(head.startswith(name, 30) for name in _OFFICE)
        return Sniffed(Kind.DOCUMENT if office else Kind.ARCHIVE, "application/zip")
    if len(head) > 2 * _TS_PACKET_BYTES and set(head[: 2 * _TS_PACKET_BYTES + 1 : _TS_PACKET_BYTES]) == {_TS_SYNC}:
        return Sniffed(Kind.VIDEO, "video/mp2t")
    return None


def _by_brand(head: bytes) -> Sniffed:
    """Judge an ISO media file by its major brand, then by those that it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head), 256)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), _OTHER_BRAND)
