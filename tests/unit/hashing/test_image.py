"""Decoding: one photo in every format, mode and orientation is one picture; damage is salvaged and said."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from PIL import Image, ImageFile

from hashmatch.config import DecodeConfig
from hashmatch.hashing import compute
from hashmatch.hashing.gates import FORMATS
from hashmatch.hashing.image import OPENERS
from hashmatch.model import HashOptions, Picture, Refusal
from tests.support import images

PDQ = HashOptions(algorithms=frozenset({"pdq"}), dihedral=False)
AS_STORED = dataclasses.replace(PDQ, ignore_orientation=True)
PHOTO = images.photo()


def hashed(data: bytes, options: HashOptions = PDQ, **limits: Any) -> Picture:
    return compute.hash_picture(data, dataclasses.replace(DecodeConfig(), **limits), options)


def bits(answer: Picture, frame: int = 0) -> int:
    (value,) = (found.value for found in answer.hashes if found.frame == frame)
    return int.from_bytes(value, "big")


def plain(picture: Image.Image) -> int:
    return bits(hashed(images.encoded(picture, "PNG")))


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_the_synthetic_photo_is_a_good_subject() -> None:
    answers = [hashed(images.encoded(images.photo(seed), "PNG")) for seed in range(1, 6)]
    assert {answer.hashes[0].quality for answer in answers} == {100}
    assert min(distance(bits(answers[0]), bits(other)) for other in answers[1:]) > 90


# --- formats, modes, orientations --------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", images.variants(PHOTO), ids=lambda variant: variant.name)
def test_one_photo_is_one_picture_in_every_format_and_mode(variant: images.Variant) -> None:
    answer = hashed(variant.data)
    assert answer.refusal is None, answer.detail
    assert answer.media is not None
    assert (answer.media.width, answer.media.height) == (320, 240)
    assert not answer.media.degraded
    assert distance(bits(answer), plain(PHOTO)) <= variant.max_distance


def test_an_icon_is_its_largest_picture() -> None:
    square = images.photo(size=(256, 256))
    answer = hashed(images.encoded(square, "ICO", sizes=[(16, 16), (64, 64), (256, 256)]))
    assert answer.media is not None
    assert (answer.media.format, answer.media.width, answer.media.height) == ("ICO", 256, 256)
    assert distance(bits(answer), plain(square)) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_orientation_is_applied_as_a_viewer_does(name: str, orientation: int) -> None:
    stored = images.stored_turned(PHOTO, orientation)
    data = images.encoded(stored, name, exif=images.orientation_exif(orientation), **images.FORMAT_OPTIONS[name])
    upright, as_stored = hashed(data), hashed(data, AS_STORED)
    assert upright.media is not None
    assert as_stored.media is not None
    assert (upright.media.width, upright.media.height) == (320, 240)
    assert distance(bits(upright), plain(PHOTO)) <= 10
    assert (as_stored.media.width, as_stored.media.height) == stored.size
    assert distance(bits(as_stored), plain(stored)) <= 10


@pytest.mark.parametrize("block", [b"", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", bytes(200)])
def test_a_broken_exif_block_does_not_hide_the_picture(block: bytes) -> None:
    rows = b"".join(b"\0" + PHOTO.crop((0, y, 320, y + 1)).tobytes() for y in range(240))
    answer = hashed(images.png(320, 240, rows, before=images.png_chunk(b"eXIf", block)))
    assert answer.refusal is None
    assert distance(bits(answer), plain(PHOTO)) == 0


def test_a_multi_picture_jpeg_is_its_first_picture() -> None:
    second = images.photo(2)
    data = images.encoded(PHOTO, "MPO", save_all=True, append_images=[second], quality=90)
    answer = hashed(data)
    assert answer.media is not None
    assert (answer.media.format, answer.media.frames) == ("JPEG", 1)
    assert distance(bits(answer), plain(PHOTO)) <= 10


@pytest.mark.parametrize("name", ["PNG", "WEBP"])
def test_transparent_pixels_are_seen_on_white_and_by_the_reference_as_stored(name: str) -> None:
    faded = PHOTO.convert("RGBA")
    faded.putalpha(Image.linear_gradient("L").resize(PHOTO.size))
    page = Image.new("RGB", PHOTO.size, "white")
    page.paste(PHOTO, mask=faded.getchannel("A"))
    save = {"lossless": True, "exact": True} if name == "WEBP" else {}
    data = images.encoded(faded, name, **save)
    assert distance(bits(hashed(data)), plain(page)) == 0
    assert distance(bits(hashed(data, AS_STORED)), plain(PHOTO)) == 0
    assert distance(plain(page), plain(PHOTO)) > 10


# --- animations --------------------------------------------------------------------------------------------------

SCENES = [images.photo(seed, (96, 72)) for seed in range(1, 13)]


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_an_even_sample_of_frames_is_hashed_the_first_among_them(name: str) -> None:
    answer = hashed(images.animation(name, SCENES), max_frames_hashed=5)
    assert answer.media is not None
    assert (answer.media.frames, answer.media.frames_hashed) == (12, 5)
    assert [found.frame for found in answer.hashes] == [0, 2, 4, 7, 9]
    for frame in (0, 2, 4, 7, 9):
        assert distance(bits(answer, frame), plain(SCENES[frame])) <= 31
    assert not answer.media.degraded


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_no_frame_beyond_the_limits_is_stepped_to(name: str) -> None:
    data = images.animation(name, SCENES)
    by_count = hashed(data, max_frames_seen=6, max_frames_hashed=3)
    assert [found.frame for found in by_count.hashes] == [0, 2, 4]
    assert by_count.media is not None
    assert by_count.media.frames == 6
    by_pixels = hashed(data, max_animation_pixels=4 * 96 * 72, max_frames_hashed=2)
    assert [found.frame for found in by_pixels.hashes] == [0, 2]
    by_work = hashed(data, max_pixels=3 * 96 * 72)
    assert [found.frame for found in by_work.hashes] == [0, 4, 8]
    alone = hashed(data, dataclasses.replace(PDQ, first_frame_only=True))
    assert [found.frame for found in alone.hashes] == [0]


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_a_gif_frame_is_the_whole_canvas_as_shown(disposal: int) -> None:
    """The second frame paints a corner; what was there before depends on how the first is disposed of."""
    first, corner = SCENES[0].convert("P"), Image.new("P", (40, 30), 0)
    corner.putpalette([255, 255, 255])
    data = bytearray(images.encoded(first, "GIF", disposal=disposal))
    patch = images.encoded(corner, "GIF")
    descriptor = patch.index(b",\0\0\0\0\x28\0\x1e\0")
    table = patch[13 : 13 + (3 << (patch[10] & 7) + 1)]
    local = bytearray(patch[descriptor : descriptor + 10])
    local[9] = 0x80 | (patch[10] & 7)
    data[-1:] = bytes(local) + table + patch[descriptor + 10 :]
    answer = hashed(bytes(data))
    shown = {2: Image.new("RGB", (96, 72), first.convert("RGB").getpixel((0, 0)))}.get(disposal, first.convert("RGB"))
    if disposal != 2:  # disposal to background leaves what a viewer's page shows; only the patch is certain
        shown.paste((255, 255, 255), (0, 0, 40, 30))
        assert distance(bits(answer, 1), plain(shown)) <= 10
    assert distance(bits(answer, 0), plain(SCENES[0])) <= 31
    assert answer.media is not None
    assert answer.media.frames_hashed == 2


def test_fifty_thousand_tiff_directories_are_not_walked() -> None:
    answer = hashed(images.tiff_chain(50_000, images.photo(size=(32, 32))))
    assert answer.media is not None
    assert answer.media.frames == DecodeConfig().max_frames_seen


def test_a_later_page_above_the_limits_ends_the_sequence() -> None:
    data = images.animation("TIFF", [images.photo(size=(64, 64)), images.photo(size=(400, 400))])
    answer = hashed(data, max_pixels=100_000)
    assert [found.frame for found in answer.hashes] == [0]


# --- damage ------------------------------------------------------------------------------------------------------


def damaged_photo(name: str) -> tuple[bytes, int]:
    size = (256, 256) if name == "ICO" else (320, 240)
    save = {} if name == "TIFF" else images.FORMAT_OPTIONS[name]  # uncompressed: its directory comes first
    data = images.encoded(images.photo(size=size), name, **save)
    return data, bits(hashed(data))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_is_hashed_and_marked_degraded(name: str) -> None:
    data, whole = damaged_photo(name)
    most, half = hashed(data[: len(data) * 97 // 100]), hashed(data[: len(data) // 2])
    for answer in (most, half):
        assert answer.refusal is None, answer.detail
        assert answer.media is not None
        assert answer.media.degraded
    assert distance(bits(most), whole) <= 31
    assert distance(bits(half), whole) <= 90


BARE_HEADER: Mapping[str, Callable[[bytes], int]] = {
    "JPEG": lambda data: data.index(b"\xff\xda") + 14,
    "PNG": lambda data: data.index(b"IDAT") + 6,
    "GIF": lambda data: data.index(b",\0\0\0\0\x40\x01\xf0\0") + 11,
    "WEBP": lambda _: 30,
    "BMP": lambda _: 54,
    "TIFF": lambda data: len(data) - 320 * 240 * 3,
    "AVIF": lambda data: data.index(b"mdat") + 4,
    "ICO": lambda data: data.index(b"IDAT") + 6,
}
"""Where a file's header ends and its picture begins."""


@pytest.mark.parametrize("name", FORMATS)
def test_a_bare_header_is_corrupt_not_a_grey_picture(name: str) -> None:
    data, _ = damaged_photo(name)
    answer = hashed(data[: BARE_HEADER[name](data)])
    assert answer.refusal is Refusal.CORRUPT, answer
    assert answer.detail in {
        f"the {name} file is damaged and nothing of its picture is left",
        f"nothing could be decoded from the {name} file ({'RuntimeError' if name == 'AVIF' else 'OSError'})",
    }


def test_a_damaged_page_of_text_is_not_mistaken_for_a_blank() -> None:
    page = Image.new("L", (600, 800), 255)
    for y in range(40, 780, 20):
        page.paste(0, (40, y, 140, y + 1))
    data = images.encoded(page, "PNG")
    answer = hashed(data[:-30])
    assert answer.refusal is None
    assert answer.media is not None
    assert answer.media.degraded


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_frames_before_the_damage_are_hashed(name: str) -> None:
    data = images.animation(name, SCENES)
    answer = hashed(data[: len(data) // 2])
    assert answer.media is not None
    assert answer.media.frames_hashed >= 3
    assert distance(bits(answer, 0), plain(SCENES[0])) <= 31


def test_a_broken_checksum_is_damage_but_not_the_end() -> None:
    data = bytearray(images.encoded(PHOTO, "PNG", dpi=(72, 72)))
    data[data.index(b"pHYs") + 4 + 9] ^= 0xFF
    answer = hashed(bytes(data))
    assert answer.media is not None
    assert answer.media.degraded
    assert distance(bits(answer), plain(PHOTO)) == 0


def test_a_webp_with_a_wrong_riff_size_is_completed() -> None:
    data = images.encoded(PHOTO, "WEBP", quality=90)
    longer = data[:4] + struct.pack("<I", len(data) + 1000) + data[8:]
    answer = hashed(longer)
    assert answer.refusal is None
    assert distance(bits(answer), bits(hashed(data))) == 0


# --- no image changes the next -----------------------------------------------------------------------------------


def test_pillows_settings_are_put_back_whatever_happens() -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    whole = images.encoded(PHOTO, "PNG")
    for data in (whole, whole[:5000], whole[:40], images.flat_png(7100, 7100), b"", b"GIF89a"):
        hashed(data)
        assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)


def test_an_image_hashes_the_same_after_every_other() -> None:
    samples = [variant.data for variant in images.variants(PHOTO)][:12]
    first = [hashed(data).hashes for data in samples]
    for data in samples:
        hashed(data[: len(data) // 3])
    assert [hashed(data).hashes for data in reversed(samples)] == first[::-1]


def test_exactly_the_allowed_formats_have_an_opener_and_all_are_pillows() -> None:
    assert tuple(OPENERS) == FORMATS
    assert all(opener.__module__.startswith("PIL.") for opener in OPENERS.values())
