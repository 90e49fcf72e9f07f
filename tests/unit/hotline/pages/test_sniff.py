"""What bytes are, whatever they are called."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hashmatch.hotline.pages import sniff
from hashmatch.hotline.pages.sniff import Sniffed
from hashmatch.model.hotline import Kind


@pytest.mark.parametrize("name", ["AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP"])
def test_an_image_is_one_whatever_the_host_calls_it(name: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, name)
    for declared in ("", "text/html", "application/zip"):
        assert sniff.sniff(file.getvalue(), declared).kind is Kind.IMAGE


@pytest.mark.parametrize(
    ("body", "declared", "expected"),
    [
        (b"PK\x03\x04" + bytes(40), "image/jpeg", Sniffed(Kind.ARCHIVE, "application/zip")),
        (b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", "", Sniffed(Kind.DOCUMENT, "application/zip")),
        (b"Rar!\x1a\x07\x01\0", "", Sniffed(Kind.ARCHIVE, "application/vnd.rar")),
        (b"7z\xbc\xaf\x27\x1c", "", Sniffed(Kind.ARCHIVE, "application/x-7z-compressed")),
        (bytes(257) + b"ustar\x0000", "", Sniffed(Kind.ARCHIVE, "application/x-tar")),
        (b"\x1f\x8b\x08\0", "", Sniffed(Kind.ARCHIVE, "application/gzip")),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "image/jpeg", Sniffed(Kind.VIDEO, "video/mp4")),
        (b"\0\0\0\x1cftypisom\0\0\0\0avifmif1", "", Sniffed(Kind.IMAGE, "image/avif")),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "", Sniffed(Kind.IMAGE, "image/heic")),
        (b"\x1a\x45\xdf\xa3", "", Sniffed(Kind.VIDEO, "video/webm")),
        (b"RIFF\0\0\0\0AVI LIST", "", Sniffed(Kind.VIDEO, "video/x-msvideo")),
        ((b"G" + bytes(187)) * 3, "", Sniffed(Kind.VIDEO, "video/mp2t")),
        (b"%PDF-1.7", "text/html", Sniffed(Kind.DOCUMENT, "application/pdf")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "image/png", Sniffed(Kind.DOCUMENT, "image/svg+xml")),
        (b"<?xml version='1.0'?><!-- a -->\n<svg:svg>", "text/xml", Sniffed(Kind.DOCUMENT, "image/svg+xml")),
        (b"<!DOCTYPE svg PUBLIC 'x' 'y'><svg>", "", Sniffed(Kind.DOCUMENT, "image/svg+xml")),
        (b"\xef\xbb\xbf \n<!doctype HTML><p>", "", Sniffed(Kind.PAGE, "text/html")),
        (b"\xff\xfe" + "<html >".encode("utf-16le"), "", Sniffed(Kind.PAGE, "text/html")),
        (b"<IMG src=a>", "image/jpeg", Sniffed(Kind.PAGE, "text/html")),
        (b"<imgs", "image/jpeg", Sniffed(Kind.OTHER, "image/jpeg")),
        (b"plain words", "text/html; charset=utf-8", Sniffed(Kind.PAGE, "text/html")),
        (b"plain words", "text/plain", Sniffed(Kind.OTHER, "text/plain")),
        (b"a{color:red}", "text/css", Sniffed(Kind.STYLESHEET, "text/css")),
        (b"", "", Sniffed(Kind.OTHER, "")),
        (b"\0\1\2", "not a type", Sniffed(Kind.OTHER, "")),
    ],
)
def test_bytes_are_what_they_begin_with(body: bytes, declared: str, expected: Sniffed) -> None:
    assert sniff.sniff(body, declared) == expected


def test_no_signature_hides_another() -> None:
    rows = sniff._SIGNATURES
    assert [
        (first, second)
        for at, (offset, first, _) in enumerate(rows)
        for other, second, _ in rows[at + 1 :]
        if offset == other and second.startswith(first)
    ] == []


@given(st.binary(max_size=400), st.text(max_size=30))
def test_anything_is_something(body: bytes, declared: str) -> None:
    assert sniff.sniff(body, declared).kind in set(Kind)
