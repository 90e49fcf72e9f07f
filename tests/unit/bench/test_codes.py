"""Lists are what their names say, and follow from their seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.bench import codes
from hashmatch.bench.codes import DISTRIBUTIONS, entries_of, flipped, queries_for, views_for
from hashmatch.errors import BadInput
from hashmatch.index.columns import Bytes
from hashmatch.kernels import chunks

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 32), dtype=np.uint8)


def bits_between(one: Bytes, other: Bytes) -> npt.NDArray[np.int64]:
    distances: npt.NDArray[np.int64] = np.bitwise_count(one ^ other).sum(axis=1).astype(np.int64)
    return distances


def chunked(rows: Bytes) -> npt.NDArray[np.uint8]:
    """Bits of each code in the order in which the index cuts them, shape (n, 16, 16)."""
    bits = np.unpackbits(rows, axis=1, bitorder="little")
    return bits[:, chunks.permutation(256)].reshape(len(rows), 16, 16)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_list_follows_from_its_seed(name: str) -> None:
    one = entries_of(name, 300, 7, PICTURES)
    assert one.shape == (300, 32)
    assert one.dtype == np.uint8
    assert one.flags.c_contiguous
    assert np.array_equal(one, entries_of(name, 300, 7, PICTURES))
    if name != "zero":
        assert not np.array_equal(one, entries_of(name, 300, 8, PICTURES))


def test_flipped_changes_exactly_so_many_bits() -> None:
    rows = codes.uniform(500, np.random.default_rng(1))
    wanted = np.arange(500) % 257
    assert np.array_equal(bits_between(rows, flipped(rows, wanted, np.random.default_rng(2))), wanted)


def test_rows_of_correlated_codes_collide_as_those_of_photos_do() -> None:
    """1.45 times as often as uniform ones was measured on photos; estimated here from 8 bits, which is less."""
    rows = entries_of("correlated", 60_000, 1).view(np.uint8)
    counts = np.bincount(rows[:, 0], minlength=256)
    collisions = (counts * (counts - 1.0)).sum() / (len(rows) * (len(rows) - 1.0)) * 256
    assert 1.08 < collisions < 1.6
    assert abs(np.unpackbits(rows, axis=1).mean() - 0.5) < 0.005


def test_a_ball_holds_half_of_a_short_list() -> None:
    rows = entries_of("ball", 1_000, 3)
    near = max((bits_between(rows, row[None]) <= 2 * codes.BALL_BITS).sum() for row in rows[:20])
    assert 500 <= near <= 510


def test_shared_codes_differ_in_the_last_chunk_only() -> None:
    cut = chunked(entries_of("shared", 1_000, 3))
    assert (cut[:, :15] == cut[0, :15]).all()
    assert len(np.unique(cut[:, 15], axis=0)) > 900


@pytest.mark.parametrize(("name", "distinct"), [("identical", 1), ("zero", 1), ("uniform", 400)])
def test_how_many_codes_are_distinct(name: str, distinct: int) -> None:
    assert len(np.unique(entries_of(name, 400, 1), axis=0)) == distinct


def test_photos_stay_near_their_pictures() -> None:
    rows = entries_of("photos", 1_000, 5, PICTURES)
    nearest = np.min([bits_between(rows, picture[None]) for picture in PICTURES], axis=0)
    assert nearest.max() <= codes.PICTURE_BITS
    assert nearest.min() < 10


@pytest.mark.parametrize("pictures", [None, PICTURES[:0]])
def test_photos_without_pictures_say_what_to_do(pictures: Bytes | None) -> None:
    with pytest.raises(BadInput, match="set HASHMATCH_EXTRA_DATA, or use `correlated`"):
        entries_of("photos", 10, 1, pictures)


def test_an_unknown_distribution_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"'normal' is no distribution: uniform, correlated, photos, ball, shared"):
        entries_of("normal", 10, 1)


def test_every_other_query_is_near_an_entry() -> None:
    rows = entries_of("uniform", 200, 1)
    queries = queries_for(rows, 101, 1)
    nearest = np.array([bits_between(rows, query[None]).min() for query in queries])
    assert nearest[::2].max() <= codes.PLANTED_BITS
    assert nearest[1::2].min() > codes.PLANTED_BITS
    assert len(queries) == 101


def test_views_are_fifteen_around_each_of_eight() -> None:
    views = views_for(entries_of("uniform", 200, 1), 2, 1).reshape(16, 15, 32)
    for group in views:
        assert bits_between(group, group[:1]).max() <= 2 * codes.PLANTED_BITS
    assert bits_between(views[0], views[1]).min() > codes.PLANTED_BITS
