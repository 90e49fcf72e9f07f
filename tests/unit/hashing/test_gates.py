"""Each refusal has its reason, its sentence, and comes before any decoder runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hashmatch.config import DecodeConfig
from hashmatch.hashing import compute, gates, image
from hashmatch.model import HashOptions, Picture, Refusal
from tests.support import images

CONFIG = DecodeConfig()
PDQ = HashOptions(algorithms=frozenset({"pdq"}))


def hashed(data: bytes, **limits: Any) -> Picture:
    return compute.hash_picture(data, dataclasses.replace(CONFIG, **limits), PDQ)


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when any decoder is even opened."""

    def opened(*_: object) -> None:
        pytest.fail("a decoder was opened")

    monkeypatch.setattr(image, "OPENERS", dict.fromkeys(gates.FORMATS, opened))


@pytest.mark.usefixtures("no_decoder")
@pytest.mark.parametrize(
    ("data", "limits", "refusal", "detail"),
    [
        (b"", {}, Refusal.EMPTY, "the file has no bytes"),
        (
            b"\xff\xd8\xff" + bytes(1000),
            {"max_bytes": 1000},
            Refusal.TOO_LARGE,
            "the file has 1003 bytes, more than the limit of 1000 bytes",
        ),
        (
            b"%PDF-1.7",
            {},
            Refusal.UNSUPPORTED_FORMAT,
            "the file is none of JPEG, PNG, GIF, WEBP, BMP, TIFF, AVIF, ICO",
        ),
        (
            images.jpeg_scan_bomb(side=64, scans=300),
            {},
            Refusal.BOMB,
            "the JPEG file has 305 scans, more than the limit of 256 scans",
        ),
        (
            images.jpeg_segment_flood(80_000),
            {},
            Refusal.BOMB,
            "the JPEG file has more than the limit of 300000 parts to step through",
        ),
        (
            images.png_chunk_flood(40_000),
            {},
            Refusal.BOMB,
            "the PNG file has more than the limit of 300000 parts to step through",
        ),
        (
            images.gif_block_flood(310_000),
            {},
            Refusal.BOMB,
            "the GIF file has more than the limit of 300000 parts to step through",
        ),
    ],
    ids=["empty", "bytes", "format", "scans", "jpeg parts", "png parts", "gif parts"],
)
def test_refused_before_any_decoder_is_opened(
    data: bytes, limits: dict[str, int], refusal: Refusal, detail: str
) -> None:
    answer = hashed(data, **limits)
    assert (answer.refusal, answer.detail) == (refusal, detail)
    assert answer.hashes == ()
    assert answer.media is None


@pytest.fixture
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when pixels are asked for."""

    def decoded(*_: object) -> None:
        pytest.fail("pixels were decoded")

    monkeypatch.setattr(image, "_decoded", decoded)


@pytest.mark.usefixtures("no_pixels")
@pytest.mark.parametrize(
    ("data", "limits", "refusal", "detail"),
    [
        (
            images.flat_png(7100, 7100),
            {},
            Refusal.TOO_LARGE,
            "the picture is 7100x7100 pixels, 50410000 in all, more than the limit of 50000000 pixels",
        ),
        (
            images.flat_png(20_001, 5),
            {},
            Refusal.TOO_LARGE,
            "the picture is 20001x5 pixels, longer than the limit of 20000 pixels a side",
        ),
        (
            images.flat_png(4, 400),
            {},
            Refusal.TOO_SMALL,
            "the picture is 4x400 pixels, shorter than the limit of 5 pixels a side",
        ),
        (
            images.jpeg_scan_bomb(side=99, scans=220),
            {"max_scan_pixels": 1_000_000},
            Refusal.BOMB,
            "the picture is 99x99 pixels in 225 JPEG scans, 2205225 scan-pixels in all, more than the limit of 1000000",
        ),
    ],
    ids=["pixels", "side", "too small", "scan pixels"],
)
def test_refused_by_the_header_alone(data: bytes, limits: dict[str, int], refusal: Refusal, detail: str) -> None:
    answer = hashed(data, **limits)
    assert (answer.refusal, answer.detail) == (refusal, detail)


@pytest.mark.parametrize("name", ["JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_every_format_states_its_size_before_it_is_decoded(name: str, no_pixels: None) -> None:  # noqa: ARG001
    data = images.encoded(images.photo(), name)
    answer = hashed(data, max_pixels=70_000)
    assert answer.refusal is Refusal.TOO_LARGE
    assert "70000 pixels" in answer.detail


def test_a_picture_inside_an_icon_is_measured_before_it_is_decoded() -> None:
    data = images.encoded(images.photo(size=(256, 256)), "ICO", sizes=[(256, 256)])
    answer = hashed(data, max_pixels=60_000)
    assert (answer.refusal, answer.detail) == (
        Refusal.TOO_LARGE,
        "the ICO file holds a picture of more than the limit of 60000 pixels",
    )


def test_the_limits_themselves_are_allowed() -> None:
    data = images.encoded(images.photo(size=(300, 200)), "PNG")
    assert hashed(data, max_bytes=len(data), max_pixels=60_000, max_side_px=300, min_side_px=200).refusal is None


def test_compressed_metadata_within_reason_is_skipped_and_beyond_it_is_a_bomb() -> None:
    assert hashed(images.png_metadata_bomb(3)).refusal is None
    answer = hashed(images.png_metadata_bomb(70))
    assert (answer.refusal, answer.detail) == (
        Refusal.BOMB,
        "the metadata of the PNG file unpacks to far more than its size",
    )


def test_running_out_of_memory_is_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    data = images.encoded(images.photo(), "PNG")
    monkeypatch.setattr(image, "_decoded", exhausted)
    answer = hashed(data)
    assert (answer.refusal, answer.detail) == (
        Refusal.BOMB,
        f"decoding the PNG file of {len(data)} bytes needs more memory than there is",
    )


@pytest.mark.parametrize(
    "error", [OSError, ValueError, SyntaxError, KeyError, RecursionError, UnicodeError, ZeroDivisionError]
)
def test_whatever_a_decoder_raises_is_an_answer(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise error("secret bytes of the image")

    monkeypatch.setattr(image, "_decoded", broken)
    answer = hashed(images.encoded(images.photo(), "PNG"))
    assert (answer.refusal, answer.detail) == (
        Refusal.CORRUPT,
        f"nothing could be decoded from the PNG file ({error.__name__})",
    )
