"""The fast JPEG decoder: Pillow's pixels, Pillow's refusals, Pillow's idea of damage. Only faster."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from hashmatch.config import DecodeConfig
from hashmatch.hashing import turbo
from hashmatch.hashing.compute import hash_picture
from hashmatch.model import HashOptions, Picture, Refusal
from tests.support import images

SIZES = [(1, 1), (7, 5), (8, 8), (16, 16), (17, 33), (31, 64), (97, 61), (320, 240), (255, 257)]
SUBSAMPLINGS = ("444", "422", "420", "440", "411")
SAVES: Mapping[str, Mapping[str, Any]] = {
    "4:4:4": {"subsampling": 0, "quality": 95},
    "4:2:2": {"subsampling": 1, "quality": 75},
    "4:2:0": {"subsampling": 2, "quality": 30},
    "progressive": {"progressive": True, "quality": 90},
    "progressive 4:4:4": {"progressive": True, "subsampling": 0, "quality": 60},
    "optimized": {"optimize": True, "quality": 85},
    "restart each block": {"restart_marker_blocks": 1},
    "restart each row": {"restart_marker_rows": 1, "progressive": True},
    "stored as RGB": {"keep_rgb": True},
    "comment": {"comment": b"c" * 70, "dpi": (72, 72)},
}
ALL = DecodeConfig()
PDQ = HashOptions(algorithms=frozenset({"pdq", "pdq-nearest512"}))


def by_pillow(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def by_turbo(data: bytes) -> turbo.Pixels | None:
    opened = Image.open(io.BytesIO(data))
    return turbo.decode(data, opened.mode, opened.size)


def jpegs(size: tuple[int, int], seed: int) -> Iterator[tuple[str, bytes]]:
    """One picture in every kind of JPEG that both encoders write."""
    picture = images.photo(seed, size)
    noise = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    for content, name in ((picture, "photo"), (noise, "noise")):
        for kind, save in SAVES.items():
            yield f"{name} {kind}", images.encoded(content, "JPEG", **save)
            yield f"grey {name} {kind}", images.encoded(content.convert("L"), "JPEG", **{**save, "keep_rgb": False})
        for kind in SUBSAMPLINGS:
            yield f"{name} {kind}", simplejpeg.encode_jpeg(np.asarray(content), 80, "RGB", kind)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_pixels_are_pillows(size: tuple[int, int]) -> None:
    for name, data in jpegs(size, seed=size[0]):
        pixels = by_turbo(data)
        assert pixels is not None, name
        np.testing.assert_array_equal(pixels, by_pillow(data), err_msg=name)


def refused_jpegs() -> dict[str, bytes]:
    photo = images.photo(5, (120, 90))
    whole = images.encoded(photo, "JPEG", quality=90)
    body = whole.index(b"\xff\xda") + 200
    return {
        "CMYK": images.encoded(photo.convert("CMYK"), "JPEG"),
        "no end marker": whole[:-2],
        "cut in half": whole[: len(whole) // 2],
        "stray byte before a marker": whole[:20] + b"\0" + whole[20:],
        "marker inside the data": whole[:body] + b"\xff\xd3" + whole[body:],
        "a header only": whole[: whole.index(b"\xff\xda")],
    }


@pytest.mark.parametrize("name", refused_jpegs())
def test_whatever_is_out_of_the_ordinary_is_left_to_pillow(name: str) -> None:
    data = refused_jpegs()[name]
    opened = Image.open(io.BytesIO(data)) if name != "stray byte before a marker" else None
    assert turbo.decode(data, opened.mode if opened else "RGB", opened.size if opened else (120, 90)) is None


def test_nothing_but_the_checked_size_and_mode_is_decoded() -> None:
    data = images.encoded(images.photo(6, (40, 30)), "JPEG")
    assert turbo.decode(data, "RGB", (40, 30)) is not None
    assert turbo.decode(data, "RGB", (30, 40)) is None
    assert turbo.decode(data, "L", (40, 30)) is None
    assert turbo.decode(b"\xff\xd8\xff", "RGB", (40, 30)) is None


def without_times(picture: Picture) -> Picture:
    return dataclasses.replace(picture, decode_us=0, hash_us=0)


def test_damaged_files_get_the_same_answer_with_and_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    whole = [data for _, data in jpegs((72, 56), seed=2)]
    damages = list(images.mutations().values())
    files = [
        damages[number % len(damages)](rng, whole[number % len(whole)], whole[int(rng.integers(len(whole)))])
        for number in range(600)
    ]
    fast = [without_times(hash_picture(data, ALL, PDQ)) for data in files]
    taken = [0]

    def nothing(*_: object) -> None:
        taken[0] += 1

    monkeypatch.setattr(turbo, "decode", nothing)
    for data, answer in zip(files, fast, strict=True):
        assert without_times(hash_picture(data, ALL, PDQ)) == answer
    assert taken[0] > 100, "few of the damaged files ever came to the decoder"
    degraded = sum(answer.media is not None and answer.media.degraded for answer in fast)
    refused = sum(answer.refusal is Refusal.CORRUPT for answer in fast)
    assert degraded > 50
    assert refused > 10
    assert degraded + refused < 500, "hardly a file was still whole"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_orientation_and_hashes_are_those_of_pillow(
    monkeypatch: pytest.MonkeyPatch, orientation: int, mode: str
) -> None:
    stored = images.stored_turned(images.photo(4, (203, 131)).convert(mode), orientation)
    data = images.encoded(stored, "JPEG", exif=images.orientation_exif(orientation))
    options = [HashOptions(), dataclasses.replace(HashOptions(), ignore_orientation=True)]
    fast = [without_times(hash_picture(data, ALL, option)) for option in options]
    monkeypatch.setattr(turbo, "decode", lambda *_: None)
    assert [without_times(hash_picture(data, ALL, option)) for option in options] == fast


@pytest.mark.parametrize("turn", list(Image.Transpose), ids=lambda turn: turn.name)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (64, 64), (203, 131)], ids="{0[0]}x{0[1]}".format)
def test_turned_is_pillows_transpose(turn: Image.Transpose, size: tuple[int, int]) -> None:
    picture = images.photo(7, size)
    pixels = turbo.turned(np.asarray(picture), turn)
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, np.asarray(picture.transpose(turn)))


# --- a picture that is an array first ----------------------------------------------------------------------------


def test_an_array_picture_gives_its_array_without_copying() -> None:
    pixels = np.asarray(images.photo(8, (30, 20))).copy()
    picture = turbo.ArrayPicture(pixels)
    assert np.shares_memory(np.asarray(picture), pixels)
    assert repr(picture) == "<ArrayPicture 30x20>"
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(picture)[0, 0] = 0


def test_an_array_picture_is_a_pillow_image() -> None:
    plain = images.photo(8, (30, 20))
    picture = turbo.ArrayPicture(np.asarray(plain).copy())
    assert (picture.mode, picture.size, picture.getbands()) == ("RGB", (30, 20), ("R", "G", "B"))
    assert picture.resize((7, 9)) == plain.resize((7, 9))
    assert repr(picture) == "<ArrayPicture 30x20, loaded>"
    for name in ("convert", "transpose", "crop", "copy", "getchannel", "tobytes", "getpixel"):
        arguments = {
            "convert": ("L",),
            "transpose": (Image.Transpose.ROTATE_90,),
            "crop": ((1, 2, 9, 9),),
            "getchannel": ("G",),
            "getpixel": ((3, 4),),
        }.get(name, ())
        fresh = turbo.ArrayPicture(np.asarray(plain).copy())
        assert getattr(fresh, name)(*arguments) == getattr(plain, name)(*arguments), name


def test_drawing_on_a_copy_changes_nothing_for_the_next_algorithm() -> None:
    plain = images.photo(8, (30, 20))
    picture = turbo.ArrayPicture(np.asarray(plain).copy())
    drawn = picture.copy()
    drawn.paste((0, 0, 0), (0, 0, 30, 20))
    assert np.asarray(drawn).max() == 0
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(plain))
