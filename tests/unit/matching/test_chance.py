"""The bound on chance hits: what it promises of itself, and that edges follow from it."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.matching import chance
from hashmatch.matching.chance import GUESS, PICTURE, QUALITY, Tail, expected, factor, tail_of, widest
from hashmatch.transformations import KINDS

LINE = Tail(threshold=90, share=1e-5, decades_per_bit=0.25)


def test_a_tail_is_a_straight_line_below_one() -> None:
    assert LINE.within(90) == pytest.approx(1e-5)
    assert LINE.within(50) == pytest.approx(1e-15)
    assert (LINE.within(91), LINE.within(200)) == (1.0, 1.0)
    assert LINE.reach(1e-15) == pytest.approx(50)
    assert LINE.reach(1e-3) == 90


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_the_bound_grows_with_the_distance(kind: str) -> None:
    shares = [expected(kind, 100, distance, 1) for distance in range(257)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 1e-10
    assert shares[-1] == 1.0


def test_the_whole_picture_and_what_is_made_of_it_have_their_bounds() -> None:
    assert {kind: tail_of(kind) is PICTURE for kind in ("", *KINDS)} == {
        kind: kind in {"", "invert", "black"} for kind in ("", *KINDS)
    }
    assert all(GUESS.within(distance) > PICTURE.within(distance) for distance in range(60))


def test_numbers_to_expect_are_in_proportion_to_what_is_compared() -> None:
    assert expected("", 100, 45, 10**9) == pytest.approx(1000 * expected("", 100, 45, 10**6))
    assert expected("", 100, 45, 0) == 0.0


@given(
    st.sampled_from(["", *KINDS]),
    st.one_of(st.none(), st.integers(0, 100)),
    st.integers(1, 10**12),
    st.floats(1e-15, 1.0),
)
def test_the_widest_distance_keeps_to_the_rate_and_the_next_one_does_not(
    kind: str, quality: int | None, comparisons: int, rate: float
) -> None:
    edge = widest(kind, quality, comparisons, rate)
    if edge is None:
        assert expected(kind, quality, 256, comparisons) <= rate * (1 + 1e-9)
        return
    slack = 1 + 1e-9
    assert expected(kind, quality, edge, comparisons) <= rate * slack
    assert expected(kind, quality, edge + 1, comparisons) * slack >= min(rate, comparisons)


def test_an_empty_list_has_no_strangers() -> None:
    assert widest("", 100, 0, 1e-6) is None


def test_worse_quality_is_never_safer_and_unknown_is_the_worst() -> None:
    factors = [factor(quality) for quality in range(101)]
    assert factors == sorted(factors, reverse=True)
    assert (factor(None), factor(0)) == (max(factors), max(factors))
    assert factor(100) >= 1.0
    assert [least for least, _ in QUALITY] == sorted((least for least, _ in QUALITY), reverse=True)
    assert QUALITY[-1][0] == 0


def test_a_longer_list_has_a_narrower_band() -> None:
    edges = [widest("", 100, 32 * 10**power, 1e-6) for power in range(4, 9)]
    assert edges == sorted(edges, key=lambda edge: -(edge or 257))
    steps = {math.floor(1 / PICTURE.decades_per_bit), math.ceil(1 / PICTURE.decades_per_bit)}
    assert {(one or 0) - (other or 0) for one, other in itertools.pairwise(edges)} <= steps


def test_it_speaks_of_the_pdq_family_only() -> None:
    assert sorted(chance.ALGORITHMS) == ["pdq", "pdq-canonical", "pdq-nearest512"]
