"""Every colour mode becomes the picture that a person sees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hashmatch.hashing.modes import to_rgb
from tests.support import images

PHOTO = images.photo(size=(64, 48))
GREY = PHOTO.convert("L")


def pixels(picture: Image.Image) -> npt.NDArray[np.int32]:
    assert picture.mode == "RGB"
    return np.asarray(picture, dtype=np.int32)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "YCbCr", "HSV", "LAB"])
def test_modes_that_pillow_converts_as_a_viewer_does_are_left_to_it(mode: str) -> None:
    source = PHOTO.convert(mode)
    assert (pixels(to_rgb(source, as_reference=False)) == pixels(source.convert("RGB"))).all()


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_opaque_alpha_changes_nothing(mode: str) -> None:
    plain = {"P": PHOTO.convert("P"), "L": GREY, "R": PHOTO}[mode[0]].convert("RGB")
    opaque = plain.convert({"P": "P", "L": "L", "R": "RGB"}[mode[0]]).convert(mode.upper()).convert(mode)
    assert (pixels(to_rgb(opaque, as_reference=False)) == pixels(plain)).all()
    assert (pixels(to_rgb(opaque, as_reference=True)) == pixels(plain)).all()


def test_transparency_is_composited_on_white() -> None:
    half = PHOTO.convert("RGBA")
    half.putalpha(128)
    expected = np.rint((pixels(PHOTO) * 128 + 255 * 127) / 255)
    assert np.abs(pixels(to_rgb(half, as_reference=False)) - expected).max() <= 1
    half.putalpha(0)
    assert (pixels(to_rgb(half, as_reference=False)) == 255).all()


def test_the_reference_drops_alpha() -> None:
    hidden = PHOTO.convert("RGBA")
    hidden.putalpha(0)
    assert (pixels(to_rgb(hidden, as_reference=True)) == pixels(PHOTO)).all()


@pytest.mark.parametrize("key", [255, (255, 255, 255)])
def test_a_transparent_colour_key_is_composited(key: int | tuple[int, int, int]) -> None:
    black = Image.new("L" if isinstance(key, int) else "RGB", (8, 8))
    black.info["transparency"] = 0 if isinstance(key, int) else (0, 0, 0)
    assert (pixels(to_rgb(black, as_reference=False)) == 255).all()
    assert (pixels(to_rgb(black, as_reference=True)) == 0).all()


def test_a_transparent_palette_entry_is_composited() -> None:
    picture = Image.new("P", (8, 8))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((0, 0), 1)
    picture.info["transparency"] = 0
    seen = pixels(to_rgb(picture, as_reference=False))
    assert seen[0, 0].tolist() == [40, 50, 60]
    assert (seen[1:] == 255).all()


@pytest.mark.parametrize(
    ("samples", "scale"),
    [
        (np.asarray(GREY, dtype=np.uint16) * 257, "16-bit"),
        (np.asarray(GREY, dtype=np.int32), "32-bit, 0..255"),
        (np.asarray(GREY, dtype=np.int32) * 257, "32-bit, 0..65535"),
        (np.asarray(GREY, dtype=np.float32) / 255, "float, 0..1"),
        (np.asarray(GREY, dtype=np.float32), "float, 0..255"),
        (np.asarray(GREY, dtype=np.float32) * 257, "float, 0..65535"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_deep_samples_are_scaled_not_clipped(samples: npt.NDArray[np.generic], scale: str) -> None:
    seen = pixels(to_rgb(Image.fromarray(samples), as_reference=False))
    assert np.abs(seen[..., 0] - np.asarray(GREY, dtype=np.int16)).max() <= 1, scale
    assert (seen[..., 0] == seen[..., 1]).all()


@pytest.mark.parametrize("shift", [-1000.0, 1e6])
def test_samples_outside_every_usual_range_are_stretched(shift: float) -> None:
    seen = pixels(to_rgb(Image.fromarray(np.asarray(GREY, dtype=np.float32) + np.float32(shift)), as_reference=False))
    assert (seen.min(), seen.max()) == (0, 255)
    assert np.corrcoef(seen[..., 0].ravel(), np.asarray(GREY).ravel())[0, 1] > 0.999


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -3.4e38, 3.4e38])
def test_samples_that_are_no_shade_do_not_raise(value: float) -> None:
    assert to_rgb(Image.fromarray(np.full((8, 8), value, np.float32)), as_reference=False).size == (8, 8)


def test_sixteen_bit_grey_honours_its_transparent_sample() -> None:
    picture = Image.fromarray(np.full((8, 8), 1234, np.uint16))
    picture.info["transparency"] = 1234
    assert (pixels(to_rgb(picture, as_reference=False)) == 255).all()
    assert (pixels(to_rgb(picture, as_reference=True)) == 5).all()
