"""Containers are recognised, and their structure counted, without decoding."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from hashmatch.hashing.gates import FORMATS
from hashmatch.hashing.layout import Layout, sniff, survey
from tests.support import images


def surveyed(data: bytes, *, max_parts: int = 10_000, max_frames: int = 100) -> Layout:
    found = survey(data, max_parts=max_parts, max_frames=max_frames)
    assert found is not None
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_every_allowed_format_is_recognised_by_its_bytes(name: str) -> None:
    data = images.encoded(images.photo(size=(256, 256)), name, **images.FORMAT_OPTIONS[name])
    assert sniff(data) == name
    assert surveyed(data).format == name


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"8BPS\0\1",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"P6\n5 5\n255\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"RIFF\0\0\0\0AVI LIST",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b" \xff\xd8\xff\xe0 a JPEG that does not begin at byte 0",
        b"\xff\xd8",
        b"",
    ],
)
def test_nothing_else_is(data: bytes) -> None:
    assert sniff(data) is None
    assert survey(data, max_parts=10, max_frames=10) is None


def test_avif_is_told_from_heic_by_its_compatible_brands() -> None:
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") is None


def test_jpeg_scans_are_counted() -> None:
    picture = images.photo()
    assert surveyed(images.encoded(picture, "JPEG")).scans == 1
    assert surveyed(images.encoded(picture, "JPEG", progressive=True)).scans == 10
    assert surveyed(images.jpeg_scan_bomb(side=64, scans=500)).scans > 500


def test_scan_markers_after_the_end_of_a_jpeg_are_not_scans() -> None:
    """Cameras append videos and second pictures, in which FF DA occurs by chance."""
    data = images.encoded(images.photo(), "JPEG", progressive=True)
    assert surveyed(data + b"\xff\xda" * 5000).scans == 10


def test_scan_markers_inside_a_segment_are_not_scans() -> None:
    data = images.encoded(images.photo(), "JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 60_000) + b"\xff\xda" * 30_000
    assert surveyed(data[:2] + comment + data[2:]).scans == 1


@pytest.mark.parametrize(
    ("flood", "weight"),
    [(images.jpeg_segment_flood, 4), (images.png_chunk_flood, 8), (images.gif_block_flood, 1)],
)
def test_parts_are_weighed_and_the_walk_is_given_up_above_the_ceiling(
    flood: Callable[[int], bytes], weight: int
) -> None:
    within = surveyed(flood(1000), max_parts=10_000)
    assert 1000 * weight <= within.parts <= 1020 * weight
    assert surveyed(flood(1000), max_parts=900 * weight).parts == 900 * weight + 1


def test_tiff_strips_and_tags_are_parts() -> None:
    data = images.encoded(images.photo(), "TIFF", tiffinfo={278: 1}, compression="tiff_lzw")
    assert surveyed(data).parts >= 4 * 240  # a strip a row


@pytest.mark.parametrize("name", ["GIF", "PNG", "TIFF"])
def test_frames_are_counted_without_decoding_up_to_the_limit(name: str) -> None:
    frames = [images.photo(seed, (32, 32)) for seed in range(12)]
    data = images.animation(name, frames)
    assert surveyed(data).frames == 12
    assert surveyed(data, max_frames=5).frames == 5
    assert surveyed(images.encoded(frames[0], name)).frames == 1


def test_a_default_image_outside_the_animation_is_a_frame_of_its_own() -> None:
    frames = [images.photo(seed, (32, 32)) for seed in range(4)]
    assert surveyed(images.animation("PNG", frames, default_image=True)).frames == 4


def test_frames_that_an_animation_claims_but_does_not_have_are_not_counted() -> None:
    data = images.animation("PNG", [images.photo(seed, (32, 32)) for seed in range(3)])
    at = data.index(b"acTL") + 4
    assert surveyed(data[:at] + struct.pack(">I", 1 << 30) + data[at + 4 :]).frames == 3


def test_a_tiff_directory_chain_that_bites_its_tail_ends() -> None:
    data = bytearray(images.tiff_chain(3))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * entries, first)
    assert surveyed(bytes(data)).frames == 1


def test_big_tiff_pages_are_counted() -> None:
    data = images.animation("TIFF", [images.photo(seed, (32, 32)) for seed in range(3)], big_tiff=True)
    assert data[2] == 43
    assert surveyed(data).frames == 3


@pytest.mark.parametrize("offset", [2**31, 2**40, 2**63, 2**64 - 1])
def test_big_tiff_offsets_beyond_the_file_end_the_walk(offset: int) -> None:
    data = bytearray(images.encoded(images.photo(size=(32, 32)), "TIFF", big_tiff=True))
    (first,) = struct.unpack_from("<Q", data, 8)
    for at in (8, first):  # where the first directory is, and how many entries it has
        broken = bytearray(data)
        struct.pack_into("<Q", broken, at, offset)
        assert surveyed(bytes(broken)).frames == 1


@pytest.mark.parametrize("name", FORMATS)
def test_every_prefix_of_a_file_can_be_surveyed(name: str) -> None:
    data = images.encoded(images.photo(size=(256, 256)), name, **images.FORMAT_OPTIONS[name])
    for length in (*range(64), *range(64, len(data), 997)):
        found = survey(data[:length], max_parts=10_000, max_frames=10)
        assert found is None or found.format == name
