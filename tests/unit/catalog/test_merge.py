from __future__ import annotations

import itertools

import pytest

from hashmatch.catalog.merge import Facts, Merged, Stated, fold

PLAIN = Facts("active", "", "", "", "", "", None)
STATUSES = ("active", "disputed", "withdrawn")


@pytest.mark.parametrize(("kept", "given"), list(itertools.product(STATUSES, STATUSES)))
def test_a_status_only_becomes_more_careful(kept: str, given: str) -> None:
    after = fold(PLAIN._replace(status=kept, status_reason="k"), PLAIN._replace(status=given, status_reason="g"))
    more_careful = STATUSES.index(given) > STATUSES.index(kept)
    assert (after.status, after.status_reason) == ((given, "g") if more_careful else (kept, "k"))


def test_a_missing_reason_is_supplied_later() -> None:
    after = fold(PLAIN._replace(status="withdrawn"), PLAIN._replace(status="withdrawn", status_reason="why"))
    assert after.status_reason == "why"
    kept = fold(PLAIN._replace(status="disputed", status_reason="why"), PLAIN)
    assert (kept.status, kept.status_reason) == ("disputed", "why")


def test_what_is_stated_replaces_and_what_is_blank_stays() -> None:
    full = Facts("active", "", "L", "S", "V", "X", 5)
    assert fold(full, PLAIN) == full
    assert fold(PLAIN, full) == full
    assert fold(full, Facts("active", "", "l", "", "v", "", 0)) == Facts("active", "", "l", "S", "v", "X", 0)


def test_folding_what_holds_changes_nothing() -> None:
    full = Facts("disputed", "r", "L", "S", "V", "X", 5)
    assert fold(full, full) == full


def test_only_a_withdrawn_entry_is_contradicted() -> None:
    gone = Merged("a", 1, PLAIN._replace(status="withdrawn"))
    assert gone.contradicts(PLAIN)
    assert gone.contradicts(PLAIN._replace(status="disputed"))
    assert not gone.contradicts(PLAIN._replace(status="withdrawn"))
    assert not Merged("a").contradicts(PLAIN)
    assert not Merged("a", 1, PLAIN._replace(status="disputed")).contradicts(PLAIN)


def test_a_value_is_fresh_when_it_or_what_is_said_of_it_is_new() -> None:
    merged = Merged("a", 1, PLAIN, {("pdq", b"1"): Stated(60, "crop-left-3")})
    merged.add("pdq", b"1", None, "")
    merged.add("pdq", b"1", 60, "crop-left-3")
    assert merged.fresh() == []
    merged.add("pdq", b"1", 70, "")
    merged.add("pdq", b"2", None, "crop-top-6")
    assert merged.fresh() == [("pdq", b"1", 70, "crop-left-3"), ("pdq", b"2", None, "crop-top-6")]
    merged.add("pdq", b"1", None, "crop-top-3")
    assert merged.fresh()[0] == ("pdq", b"1", 70, "crop-top-3")
    assert repr(merged) == "Merged('a', 1 values stored, 2 now)"


def test_a_value_given_twice_is_fresh_only_when_the_last_word_is_new() -> None:
    merged = Merged("a", 1, PLAIN, {("pdq", b"1"): Stated(99, "")})
    merged.add("pdq", b"1", 50, "")
    merged.add("pdq", b"1", 99, "")
    assert merged.fresh() == []
