"""Every alteration is what its name says, from its seed, and nothing else."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from hashmatch.bench import robustness_augly, robustness_run
from hashmatch.bench.alterations import ALTERATIONS, GROUPS, Alteration, chosen, rng_for
from hashmatch.bench.robustness_overlays import page, scene
from hashmatch.errors import BadInput

SIZE = (160, 120)
FORMATS = {"webp": "WEBP", "avif": "AVIF", "gif": "GIF"}
PNG = {"palette", "one_bit", "sixteen_bits", "alpha_black", "alpha_white", "alpha_corners", "desktop_any"}
MODES = {"cmyk": "CMYK", "palette": "P", "one_bit": "1", "sixteen_bits": "I;16", "alpha_black": "RGBA"}
BY_NAME = {row.name: row for row in ALTERATIONS}


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return scene(SIZE, np.random.default_rng(3))


def made(name: str, photo: Image.Image, seed: int = 1) -> Image.Image:
    return Image.open(io.BytesIO(BY_NAME[name](photo, rng_for(seed, name, "photo"))))


def grey(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L"), dtype=np.int16)


def differs(one: Image.Image, other: Image.Image) -> float:
    """Mean difference in shades."""
    return float(np.abs(grey(one) - grey(other)).mean())


@pytest.mark.parametrize("alteration", ALTERATIONS, ids=lambda row: row.name)
def test_the_same_seed_gives_the_same_file_of_the_right_kind(alteration: Alteration, photo: Image.Image) -> None:
    before = photo.tobytes()
    data = alteration(photo, rng_for(1, alteration.name, "photo"))
    assert data == alteration(photo, rng_for(1, alteration.name, "photo"))
    assert photo.tobytes() == before
    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        family = alteration.name.partition("_")[0]
        expected = "PNG" if alteration.name in PNG else FORMATS.get(family, "JPEG")
        assert opened.format == expected
        assert opened.mode == MODES.get(alteration.name, opened.mode)
        assert min(opened.size) >= 8


@pytest.mark.parametrize("alteration", [row for row in ALTERATIONS if "any" in row.name], ids=lambda row: row.name)
def test_what_is_left_to_chance_follows_from_seed_and_photo(alteration: Alteration, photo: Image.Image) -> None:
    files = {alteration(photo, rng_for(seed, alteration.name, "photo")) for seed in range(4)}
    files |= {alteration(photo, rng_for(1, alteration.name, f"other {at}")) for at in range(4)}
    assert len(files) > 3


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resize_0.5", (80, 60)),
        ("resize_3", (480, 360)),
        ("thumbnail_96", (96, 72)),
        ("thumbnail_320", SIZE),
        ("stretch_1.5", (240, 120)),
        ("crop_10%", (144, 108)),
        ("crop_left_25%", (120, 120)),
        ("crop_bottom_10%", (160, 108)),
        ("rotate_15", SIZE),
        ("rotate_90", (120, 160)),
        ("border_10%_white", (192, 144)),
        ("letterbox_20%_black", (160, 144)),
        ("pillarbox_30%_black", (208, 120)),
    ],
)
def test_sizes(name: str, size: tuple[int, int], photo: Image.Image) -> None:
    assert made(name, photo).size == size


def test_a_crop_is_a_part_and_a_frame_is_around(photo: Image.Image) -> None:
    assert differs(made("crop_left_25%", photo), photo.crop((40, 0, 160, 120))) < 4
    assert differs(made("border_10%_white", photo).crop((16, 12, 176, 132)), photo) < 4
    boxed = made("letterbox_20%_black", photo)
    assert differs(boxed.crop((0, 12, 160, 132)), photo) < 4
    assert grey(boxed)[:8].mean() < 4


def test_turned_by_exif_is_upright_for_who_reads_exif(photo: Image.Image) -> None:
    for seed in range(8):
        stored = made("exif_any", photo, seed)
        assert stored.getexif()[274] in range(2, 9)
        assert differs(ImageOps.exif_transpose(stored), photo) < 4


def test_hidden_in_alpha_shows_on_one_background_only(photo: Image.Image) -> None:
    cover = made("alpha_black", photo)
    on_white, on_black = Image.new("RGB", SIZE, (255, 255, 255)), Image.new("RGB", SIZE)
    on_white.paste(cover, mask=cover)
    on_black.paste(cover, mask=cover)
    assert differs(on_white, photo) < 2
    assert grey(on_black).max() == 0


def test_an_animation_has_a_title_before_the_picture(photo: Image.Image) -> None:
    animation = made("gif_animated", photo)
    assert getattr(animation, "n_frames", 1) == 5
    assert differs(animation, photo) > 10
    animation.seek(1)
    assert differs(animation, photo) < 12


def test_pages_of_a_layout_look_alike_and_are_not_the_same() -> None:
    one, two = (page(1, np.random.default_rng(seed)) for seed in (1, 2))
    other = page(2, np.random.default_rng(1))
    assert one.size == two.size != other.size
    assert 0 < differs(one, two) < 12


def test_choosing() -> None:
    assert chosen("all") == ALTERATIONS
    assert {row.group for row in chosen("crop")} == {"crop"}
    assert [row.name for row in chosen("mirror, jpeg_10")] == ["jpeg_10", "mirror"]
    assert {row.group for row in chosen("quick")} == set(GROUPS)
    with pytest.raises(BadInput, match="no alteration or group 'jpeg_11'; groups are encoding, size, crop"):
        chosen("jpeg_10,jpeg_11")


def test_names_are_unique_and_the_quick_ones_exist() -> None:
    from hashmatch.bench import alterations

    assert len(BY_NAME) == len(ALTERATIONS)
    assert set(BY_NAME) >= alterations._QUICK


def test_augly_is_a_second_opinion_where_it_is_installed(photo: Image.Image) -> None:
    pytest.importorskip("augly.image", reason="AugLy is no dependency", exc_type=ImportError)
    for row in chosen("augly"):
        data = row(photo, rng_for(1, row.name, "photo"))
        assert data == row(photo, rng_for(1, row.name, "photo"))
        assert Image.open(io.BytesIO(data)).format == "JPEG"


def test_without_augly_the_others_are_run_and_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "augly.image", None)
    robustness_augly.alterations.cache_clear()
    ours, left_out = robustness_run._alterations("mirror,augly")
    assert [row.name for row in ours] == ["mirror"]
    assert left_out["augly"].startswith("AugLy cannot be imported (")
    with pytest.raises(BadInput, match="pip install augly"):
        robustness_run._alterations("augly")
    robustness_augly.alterations.cache_clear()
