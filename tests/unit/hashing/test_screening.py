"""Approximate hashes of large JPEGs: near the exact ones, and left to the exact way wherever anything is odd."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from hashmatch.config import DecodeConfig
from hashmatch.hashing import turbo
from hashmatch.hashing.compute import hash_picture
from hashmatch.hashing.layout import survey
from hashmatch.limits import SCREEN_BITS, SCREEN_QUALITY
from hashmatch.model import Fidelity, HashOptions, Picture, Refusal, Views
from tests.support import images

PDQ = frozenset({"pdq", "pdq-nearest512"})
ALL = DecodeConfig(screen_side_px=512)
EXACT = HashOptions(PDQ, views=Views.CHEAP)
SCREEN = dataclasses.replace(EXACT, fidelity=Fidelity.SCREEN)
SAVES: Mapping[str, Mapping[str, Any]] = {
    "4:4:4": {"subsampling": 0, "quality": 95},
    "4:2:2": {"subsampling": 1, "quality": 75},
    "4:2:0": {"subsampling": 2, "quality": 30},
    "progressive": {"progressive": True, "quality": 90},
    "restart": {"restart_marker_blocks": 1},
}


def large(seed: int = 1, size: tuple[int, int] = (800, 592), mode: str = "RGB", **save: Any) -> bytes:
    return images.encoded(images.photo(seed, size).convert(mode), "JPEG", **save)


def ask(data: bytes, options: HashOptions = SCREEN, decode: DecodeConfig = ALL) -> Picture:
    return dataclasses.replace(hash_picture(data, decode, options), decode_us=0, hash_us=0)


def fidelity(data: bytes, options: HashOptions = SCREEN) -> Fidelity:
    media = ask(data, options).media
    assert media is not None
    return media.fidelity


def apart(left: Picture, right: Picture) -> dict[str, int]:
    """Most bits between hashes of the same name, per algorithm."""
    most: dict[str, int] = {}
    assert [(item.algorithm, item.transformation) for item in left.hashes] == [
        (item.algorithm, item.transformation) for item in right.hashes
    ]
    for one, other in zip(left.hashes, right.hashes, strict=True):
        bits = (int.from_bytes(one.value) ^ int.from_bytes(other.value)).bit_count()
        most[one.algorithm] = max(bits, most.get(one.algorithm, 0))
        assert one.quality is not None
        assert other.quality is not None
        assert abs(one.quality - other.quality) <= SCREEN_QUALITY
    return most


@pytest.mark.parametrize("halvings", [1, 2, 3])
@pytest.mark.parametrize("size", [(641, 523), (520, 777), (800, 592)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_scaled_pixels_are_those_of_libjpegs_own_scale(size: tuple[int, int], mode: str, halvings: int) -> None:
    data = large(2, size, mode)
    by_pillow = Image.open(io.BytesIO(data))
    by_pillow.draft("L", (size[0] >> halvings, size[1] >> halvings))
    found = turbo.decode_scaled(data, mode, size, halvings)
    assert found is not None
    assert np.array_equal(found, np.asarray(by_pillow))


@pytest.mark.parametrize("size", [(800, 592), (523, 641), (1203, 1025), (2057, 2049)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("kind", SAVES)
def test_hashes_are_near_the_exact_ones(size: tuple[int, int], kind: str) -> None:
    data = large(5, size, **SAVES[kind])
    screened, exact = ask(data), ask(data, EXACT)
    assert screened.media is not None
    assert screened.media == dataclasses.replace(exact.media, fidelity=Fidelity.SCREEN)  # type: ignore[type-var]
    found = apart(screened, exact)
    assert set(found) == set(SCREEN_BITS)
    assert all(bits <= SCREEN_BITS[algorithm] for algorithm, bits in found.items()), found
    assert all(bits < 64 for bits in found.values())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_the_exact_way(orientation: int) -> None:
    stored = images.stored_turned(images.photo(4, (800, 592)), orientation)
    data = images.encoded(stored, "JPEG", exif=images.orientation_exif(orientation))
    for options in (SCREEN, dataclasses.replace(SCREEN, ignore_orientation=True)):
        screened, exact = ask(data, options), ask(data, dataclasses.replace(options, fidelity=Fidelity.EXACT))
        assert screened.media is not None
        assert screened.media.fidelity is Fidelity.SCREEN
        assert apart(screened, exact)["pdq"] <= SCREEN_BITS["pdq"]
        assert exact.media == dataclasses.replace(screened.media, fidelity=Fidelity.EXACT)


@pytest.mark.parametrize("views", [Views.NONE, Views.CHEAP])
@pytest.mark.parametrize("dihedral", [False, True])
def test_what_is_computed_is_what_was_asked_for(views: Views, dihedral: bool) -> None:  # noqa: FBT001 - a parameter
    for names in (PDQ, frozenset({"pdq"}), frozenset({"pdq-canonical"})):
        options = HashOptions(names, views=views, dihedral=dihedral, fidelity=Fidelity.SCREEN)
        assert apart(ask(large(), options), ask(large(), dataclasses.replace(options, fidelity=Fidelity.EXACT)))
        assert fidelity(large(), options) is Fidelity.SCREEN


OTHERWISE: Mapping[str, tuple[bytes, HashOptions]] = {
    "a shorter side below 512 pixels": (large(size=(800, 511)), SCREEN),
    "PNG": (images.encoded(images.photo(1, (800, 592)), "PNG"), SCREEN),
    "CMYK": (large(mode="CMYK"), SCREEN),
    "stored as RGB": (large(keep_rgb=True), SCREEN),
    "cut short": (large()[:-2000], SCREEN),
    "stray bytes": (large().replace(b"\xff\xdb", b"\x00\x00\xff\xdb", 1), SCREEN),
    "turned, and no whole blocks": (
        images.encoded(images.photo(1, (801, 592)), "JPEG", exif=images.orientation_exif(3)),
        SCREEN,
    ),
    "a shorter hash as well": (large(), dataclasses.replace(SCREEN, algorithms=frozenset({"pdq", "phash"}))),
    "all views": (large(), dataclasses.replace(SCREEN, views=Views.FULL)),
    "for a list": (large(), dataclasses.replace(SCREEN, exact=True)),
    "not asked for": (large(), EXACT),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_everything_else_goes_the_exact_way(case: str) -> None:
    data, options = OTHERWISE[case]
    answer = ask(data, options)
    assert answer.media is not None
    assert answer.media.fidelity is Fidelity.EXACT
    assert answer == ask(data, dataclasses.replace(options, fidelity=Fidelity.EXACT))


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC7, 0xC9, 0xCB, 0xCF])
def test_a_lossless_or_unusual_coding_is_never_scaled(monkeypatch: pytest.MonkeyPatch, marker: int) -> None:
    data = large().replace(b"\xff\xc0", bytes((0xFF, marker)), 1)
    layout = survey(data, max_parts=1_000, max_frames=1)
    assert layout is not None
    assert layout.coding == marker
    monkeypatch.setattr(turbo, "decode_scaled", lambda *_: pytest.fail("was scaled"))
    answer = ask(data)
    assert answer.media is None or answer.media.fidelity is Fidelity.EXACT


def test_two_frame_headers_are_never_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = large()
    at = whole.index(b"\xff\xc0")
    header = whole[at : at + 2 + int.from_bytes(whole[at + 2 : at + 4])]
    data = whole[:at] + header.replace(b"\xff\xc0", b"\xff\xc3") + whole[at:]
    layout = survey(data, max_parts=1_000, max_frames=1)
    assert layout is not None
    assert layout.coding == 0
    monkeypatch.setattr(turbo, "decode_scaled", lambda *_: pytest.fail("was scaled"))
    ask(data)


@pytest.mark.parametrize(("least", "expected"), [(592, Fidelity.SCREEN), (593, Fidelity.EXACT)])
def test_the_configuration_says_from_which_size_on(least: int, expected: Fidelity) -> None:
    media = ask(large(), SCREEN, DecodeConfig(screen_side_px=least)).media
    assert media is not None
    assert media.fidelity is expected


def test_the_gates_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_args, **_kwargs: pytest.fail("was decoded"))
    answer = ask(large(), SCREEN, DecodeConfig(max_pixels=800 * 592 - 1, screen_side_px=512))
    assert answer.refusal is Refusal.TOO_LARGE


def test_damaged_files_get_the_answer_of_the_exact_way_or_an_approximate_one() -> None:
    rng = np.random.default_rng(7)
    whole = [large(seed, (560, 520), **save) for seed, save in enumerate(SAVES.values())]
    damages = list(images.mutations().values())
    kinds = {Fidelity.EXACT: 0, Fidelity.SCREEN: 0}
    for number in range(120):
        data = damages[number % len(damages)](rng, whole[number % len(whole)], whole[int(rng.integers(len(whole)))])
        screened, exact = ask(data), ask(data, EXACT)
        kind = screened.media.fidelity if screened.media else Fidelity.EXACT
        kinds[kind] += 1
        if kind is Fidelity.EXACT:
            assert screened == exact
        else:
            assert exact.media is not None
            assert not exact.media.degraded
    assert kinds[Fidelity.EXACT] > 60
    assert kinds[Fidelity.SCREEN] > 2


@pytest.mark.skipif("HASHMATCH_EXTRA_DATA" not in os.environ, reason="HASHMATCH_EXTRA_DATA is not set")
def test_photos_are_within_the_slack() -> None:
    screened = 0
    for path in sorted((Path(os.environ["HASHMATCH_EXTRA_DATA"]) / "photos").rglob("*.jpg"))[::4]:
        data = path.read_bytes()
        answer = ask(data)
        if answer.media is not None and answer.media.fidelity is Fidelity.SCREEN:
            screened += 1
            found = apart(answer, ask(data, EXACT))
            assert all(bits <= SCREEN_BITS[algorithm] for algorithm, bits in found.items()), (path.name, found)
    assert screened > 10
