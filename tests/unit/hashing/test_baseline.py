"""Our own decoder of ordinary JPEGs: the pixels of libjpeg-turbo, or no answer; never another one."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from hashmatch.hashing import baseline
from tests.support import images

SIZES = [(32, 32), (33, 35), (47, 64), (97, 61), (320, 240), (255, 257), (64, 513)]
SAVES: Mapping[str, Mapping[str, Any]] = {
    "4:4:4": {"subsampling": 0, "quality": 95},
    "4:2:2": {"subsampling": 1, "quality": 75},
    "4:2:0": {"subsampling": 2, "quality": 30},
    "coarse": {"subsampling": 2, "quality": 2},
    "fine": {"subsampling": 0, "quality": 100},
    "optimized": {"optimize": True, "quality": 85},
    "restart each block": {"restart_marker_blocks": 1},
    "restart each row": {"restart_marker_rows": 1, "subsampling": 0},
    "comment": {"comment": b"c" * 70, "dpi": (72, 72)},
}


def by_simplejpeg(data: bytes) -> baseline.Pixels | None:
    """Libjpeg-turbo's pixels if it has no objection; of three channels only."""
    try:
        if simplejpeg.decode_jpeg_header(data)[2] != "YCbCr":
            return None
        pixels: baseline.Pixels = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except (ValueError, KeyError):
        return None
    return pixels


def at_an_eighth(data: bytes, size: tuple[int, int]) -> baseline.Pixels:
    width, height = (-(-side // 8) for side in size)
    pixels: baseline.Pixels = simplejpeg.decode_jpeg(data, "GRAY", min_height=height, min_width=width, strict=True)
    assert pixels.shape[:2] == (height, width)
    return pixels[:, :, 0]


def usual_jpegs(size: tuple[int, int]) -> Iterator[tuple[str, bytes]]:
    photo = images.photo(size[0], size)
    grain = Image.fromarray(np.random.default_rng(size[1]).integers(60, 190, (size[1], size[0], 3), dtype=np.uint8))
    for kind, save in SAVES.items():
        yield f"photo {kind}", images.encoded(photo, "JPEG", **save)
        yield f"grain {kind}", images.encoded(grain, "JPEG", **save)
    for kind in ("444", "422", "420"):
        yield kind, simplejpeg.encode_jpeg(np.asarray(photo), 80, "RGB", kind)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_the_pixels_are_those_of_libjpeg_turbo(size: tuple[int, int]) -> None:
    for name, data in usual_jpegs(size):
        pixels, means = baseline.decode(data, size), baseline.decode_means(data, size)
        assert pixels is not None, name
        assert means is not None, name
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(data))), err_msg=name)
        np.testing.assert_array_equal(means, at_an_eighth(data, size), err_msg=name)


def test_bright_and_dark_colours_are_clamped_alike() -> None:
    rng = np.random.default_rng(1)
    cells = rng.choice(np.array([0, 255], np.uint8), (24, 24, 3)).repeat(11, axis=0).repeat(9, axis=1)
    for quality in (20, 60, 95):
        for subsampling in (0, 1, 2):
            data = images.encoded(Image.fromarray(cells), "JPEG", quality=quality, subsampling=subsampling)
            pixels = baseline.decode(data, (216, 264))
            assert pixels is not None
            np.testing.assert_array_equal(pixels, by_simplejpeg(data))


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    """Put a segment behind the start of the image."""
    return data[:2] + bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content + data[2:]


def without_jfif(data: bytes) -> bytes:
    """Leave out the first segment."""
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def unusual_jpegs() -> dict[str, bytes]:
    photo = images.photo(5, (120, 90))
    whole = images.encoded(photo, "JPEG", quality=90)
    restarts = images.encoded(photo, "JPEG", quality=90, restart_marker_blocks=3)
    scan = whole.index(b"\xff\xda")
    body = scan + 200
    last = restarts.rindex(b"\xff\xd0")
    assert b"\x1f\0\0\x01\x05\x01" in whole, "the usual table"
    numbers = bytearray(without_jfif(whole))
    frame = numbers.index(b"\xff\xc0")
    numbers[frame + 10], numbers[frame + 13], numbers[frame + 16] = b"RGB"
    start = numbers.index(b"\xff\xda")
    numbers[start + 5], numbers[start + 7], numbers[start + 9] = b"RGB"
    return {
        "progressive": images.encoded(photo, "JPEG", progressive=True),
        "grey": images.encoded(photo.convert("L"), "JPEG"),
        "CMYK": images.encoded(photo.convert("CMYK"), "JPEG"),
        "stored as RGB": images.encoded(photo, "JPEG", keep_rgb=True),
        "numbered as RGB": bytes(numbers),
        "Adobe's RGB": with_segment(without_jfif(whole), 0xEE, b"Adobe\0\x64\0\0\0\0\0"),
        "4:4:0": simplejpeg.encode_jpeg(np.asarray(photo), 80, "RGB", "440"),
        "4:1:1": simplejpeg.encode_jpeg(np.asarray(photo), 80, "RGB", "411"),
        "no end marker": whole[:-2],
        "half an end marker": whole[:-1],
        "cut in half": whole[: len(whole) // 2],
        "no data": whole[: whole.index(b"\xff\xda")],
        "a byte too many": whole[:-2] + b"\0" + whole[-2:],
        "stray byte before a marker": whole[:20] + b"\0" + whole[20:],
        "restart where there is none": whole[:body] + b"\xff\xd0" + whole[body:],
        "another marker inside": whole[:body] + b"\xff\xc4" + whole[body:],
        "a restart too few": restarts[:last] + restarts[last + 2 :],
        "restarts out of order": restarts[: last + 1] + b"\xd5" + restarts[last + 2 :],
        "two frame headers": with_segment(whole, 0xC0, whole[whole.index(b"\xff\xc0") + 4 :][:15]),
        "more codes of a bit than there are": whole.replace(b"\x1f\0\0\x01\x05\x01", b"\x1f\0\x03\x01\x02\x01"),
        "empty": b"",
        "only a start": b"\xff\xd8\xff",
    }  # fmt: skip


@pytest.mark.parametrize("name", unusual_jpegs())
def test_whatever_is_unusual_gets_no_answer(name: str) -> None:
    data = unusual_jpegs()[name]
    assert baseline.decode(data, (120, 90)) is None
    assert baseline.decode_means(data, (120, 90)) is None


def test_only_the_size_that_was_checked_is_decoded() -> None:
    data = images.encoded(images.photo(6, (40, 36)), "JPEG")
    assert baseline.decode(data, (40, 36)) is not None
    assert baseline.decode(data, (36, 40)) is None
    small = images.encoded(images.photo(6, (31, 40)), "JPEG")
    assert baseline.decode(small, (31, 40)) is None


@pytest.mark.parametrize("comment", [b"", b"Adobe\0\x64\0\0\0\0\x01", b"Ducky"])
def test_what_is_ycbcr_without_saying_jfif(comment: bytes) -> None:
    data = with_segment(without_jfif(images.encoded(images.photo(6, (40, 36)), "JPEG")), 0xEE, comment)
    pixels = baseline.decode(data, (40, 36))
    assert pixels is not None
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(data))))


def test_no_damaged_file_gets_other_pixels_than_libjpeg_turbo_has() -> None:
    rng = np.random.default_rng(11)
    whole = [data for size in ((72, 56), (49, 40)) for _, data in usual_jpegs(size)]
    flip = images.mutations()["flip"]
    answered = taken = 0
    for number in range(3_000):
        data = flip(rng, whole[number % len(whole)], b"")
        try:
            size = Image.open(io.BytesIO(data)).size
        except OSError:
            continue
        if size not in {(72, 56), (49, 40)}:
            continue
        taken += 1
        pixels, means = baseline.decode(data, size), baseline.decode_means(data, size)
        if pixels is not None:
            answered += 1
            np.testing.assert_array_equal(pixels, by_simplejpeg(data), err_msg=str(number))
        if means is not None and pixels is not None:
            np.testing.assert_array_equal(means, at_an_eighth(data, size), err_msg=str(number))
    assert taken > 1_000
    assert answered > 200, "hardly any damage went unnoticed, so hardly anything was compared"


def test_coefficients_that_no_picture_has_are_left_to_libjpeg() -> None:
    noise = np.random.default_rng(3).choice(np.array([0, 255], np.uint8), (64, 64, 3))
    data = bytearray(images.encoded(Image.fromarray(noise), "JPEG", quality=50, subsampling=0))
    at = data.index(b"\xff\xdb") + 5
    data[at : at + 64] = b"\xff" * 64
    assert by_simplejpeg(bytes(data)) is not None
    assert baseline.decode(bytes(data), (64, 64)) is None


def test_a_picture_that_somebody_holds_is_not_written_over() -> None:
    one, other = (images.encoded(images.photo(seed, (90, 70)), "JPEG") for seed in (1, 2))
    held = baseline.decode(one, (90, 70))
    assert held is not None
    part, before = held[3:5], held.copy()
    again = baseline.decode(other, (90, 70))
    assert again is not None
    np.testing.assert_array_equal(held, before)
    address = again.ctypes.data
    del held, again
    np.testing.assert_array_equal(part, before[3:5])
    third = baseline.decode(other, (90, 70))
    assert third is not None
    assert third.ctypes.data == address, "nobody held the second picture, so its buffer serves the third"
