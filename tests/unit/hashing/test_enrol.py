"""Views of an original: the table of parts, and that their values are those of the parts as pictures of their own."""

from __future__ import annotations

import numpy as np
import pytest

from hashmatch.config import DecodeConfig
from hashmatch.hashing import enrol
from hashmatch.hashing.compute import hash_picture
from hashmatch.hashing.enrol import Shares
from hashmatch.kernels.pdq import pdq
from hashmatch.model import Enrolment, HashOptions
from hashmatch.transformations import CROPS, DENSE_CROPS, TRANSFORMATIONS
from tests.oracle import pdq as oracle
from tests.support import images

DECODE = DecodeConfig()


def test_the_table_is_closed_bounded_and_says_nothing_twice() -> None:
    views = enrol.VIEWS[Enrolment.DENSE]
    assert (len(CROPS), len(DENSE_CROPS)) == (40, 128)
    assert enrol.VIEWS[Enrolment.CROPS] == CROPS
    assert enrol.VIEWS[Enrolment.NONE] == ()
    assert set(views) < set(TRANSFORMATIONS)
    assert len({enrol.shares(view) for view in views}) == len(views)
    for view in views:
        left, top, right, bottom = enrol.shares(view)
        assert 0 < max(left, top, right, bottom) <= 0.25
        assert min(1 - left - right, 1 - top - bottom) >= 0.7


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("crop-left-3", Shares(0.03, 0, 0, 0)),
        ("crop-bottom-24", Shares(0, 0, 0, 0.24)),
        ("crop-centre-6", Shares(0.03, 0.03, 0.03, 0.03)),
        ("crop-1.5-4.5-1.5-7.5", Shares(0.015, 0.045, 0.015, 0.075)),
    ],
)
def test_names_say_what_is_cut_away(view: str, expected: Shares) -> None:
    assert view in enrol.VIEWS[Enrolment.DENSE]
    assert enrol.shares(view) == pytest.approx(expected)


def test_a_part_has_whole_pixels() -> None:
    pixels = np.arange(100 * 50, dtype=np.uint8).reshape(50, 100)
    assert enrol.part(pixels, Shares(0.03, 0, 0, 0)).tolist() == pixels[:, 3:].tolist()
    assert enrol.part(pixels, Shares(0.015, 0.045, 0.105, 0.075)).tolist() == pixels[2:46, 2:90].tolist()


def test_values_are_those_of_the_parts_by_the_oracle() -> None:
    pixels = np.asarray(images.photo(3, (120, 90)))
    for view, value, quality in enrol.enrol_hashes(pixels):
        height, width, _ = pixels.shape
        left, top, right, bottom = enrol.shares(view)
        rows = slice(round(height * top), round(height * (1 - bottom)))
        part = pixels[rows, round(width * left) : round(width * (1 - right))]
        hashes, expected_quality = oracle.pdq(part)
        assert (value.hex(), quality) == (hashes[0], expected_quality), view


def test_the_worker_adds_them_to_the_first_frame_only_where_asked() -> None:
    data = images.animation("PNG", [images.photo(4, (200, 160)), images.photo(5, (200, 160))])
    options = HashOptions(frozenset({"pdq"}), dihedral=False, exact=True, enrolment=Enrolment.CROPS)
    found = hash_picture(data, DECODE, options).hashes
    assert [item.transformation for item in found] == ["orig", *CROPS, "orig"]
    assert {item.frame for item in found if item.transformation != "orig"} == {0}
    plain = hash_picture(data, DECODE, HashOptions(frozenset({"pdq"}), dihedral=False)).hashes
    assert [item.transformation for item in plain] == ["orig", "orig"]
    others = HashOptions(frozenset({"phash"}), enrolment=Enrolment.CROPS)
    assert {item.algorithm for item in hash_picture(data, DECODE, others).hashes} == {"phash"}


@pytest.mark.parametrize("where", [0, 1, 2, 3])
@pytest.mark.parametrize("share", [0.05, 0.11, 0.2, 0.245])
def test_a_crop_of_one_side_is_found_by_a_view_and_not_without(where: int, share: float) -> None:
    pixels = np.asarray(images.photo(5, (640, 480)))
    cut = Shares(0.0, 0.0, 0.0, 0.0)._replace(**{Shares._fields[where]: share})
    copy = int.from_bytes(pdq(enrol.part(pixels, cut)).hashes[0].tobytes())
    near = {view: (int.from_bytes(value) ^ copy).bit_count() for view, value, _ in enrol.enrol_hashes(pixels)}
    view, distance = min(near.items(), key=lambda item: item[1])
    assert distance <= 31
    assert view.startswith(f"crop-{Shares._fields[where]}-")
    assert (int.from_bytes(pdq(pixels).hashes[0].tobytes()) ^ copy).bit_count() > 31


def test_a_picture_of_the_smallest_size_has_every_view() -> None:
    options = HashOptions(frozenset({"pdq"}), enrolment=Enrolment.DENSE)
    found = hash_picture(images.encoded(images.photo(6, (5, 5)), "PNG"), DECODE, options).hashes
    enrolled = [item for item in found if item.transformation.startswith("crop-")]
    assert [item.transformation for item in enrolled] == [*CROPS, *DENSE_CROPS]
    assert all(item.quality == 0 for item in enrolled if item.value == bytes(32))
