from __future__ import annotations

import dataclasses
import datetime as dt
import itertools

import pytest

from hashmatch.catalog.merge import Facts, Merged, Stated, fold, fold_labels, fold_opinions, latest
from hashmatch.catalog.rows import labels_to_text, opinions_from_text, opinions_to_text
from hashmatch.model import Label, Opinion, Stance

PLAIN = Facts("active", "", "", "", "", "", "", "", "", None)
STATUSES = ("active", "disputed", "quarantined", "withdrawn")
NOW_US = 1_800_000_000_000_000
NOW = dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC)
MARCH, APRIL = (dt.datetime(2026, month, 1, tzinfo=dt.UTC) for month in (3, 4))


@pytest.mark.parametrize(("kept", "given"), list(itertools.product(STATUSES, STATUSES)))
def test_a_status_only_becomes_more_careful(kept: str, given: str) -> None:
    before, stated = (PLAIN._replace(status=status, status_reason=status[0]) for status in (kept, given))
    after = fold(before, stated, NOW_US)
    more_careful = STATUSES.index(given) > STATUSES.index(kept)
    assert (after.status, after.status_reason) == ((given, given[0]) if more_careful else (kept, kept[0]))


def test_a_missing_reason_is_supplied_later() -> None:
    after = fold(PLAIN._replace(status="withdrawn"), PLAIN._replace(status="withdrawn", status_reason="why"), NOW_US)
    assert after.status_reason == "why"
    kept = fold(PLAIN._replace(status="disputed", status_reason="why"), PLAIN, NOW_US)
    assert (kept.status, kept.status_reason) == ("disputed", "why")


def test_what_is_stated_replaces_and_what_is_blank_stays() -> None:
    labels, opinions = (
        labels_to_text((Label("s", "", "x"),)),
        opinions_to_text((Opinion("o", Stance.AGREE, "r", MARCH),)),
    )
    full = Facts("active", "", labels, "S", "V", "X", "T", "J", opinions, 5)
    assert fold(full, PLAIN, NOW_US) == full
    assert fold(PLAIN, full, NOW_US) == full
    some = Facts("active", "", "", "", "v", "", "t", "", "", 0)
    assert fold(full, some, NOW_US) == Facts("active", "", labels, "S", "v", "X", "t", "J", opinions, 0)


def test_folding_what_holds_changes_nothing() -> None:
    labels, opinions = (
        labels_to_text((Label("s", "", "x"),)),
        opinions_to_text((Opinion("o", Stance.AGREE, "r", MARCH),)),
    )
    full = Facts("disputed", "r", labels, "S", "V", "X", "T", "J", opinions, 5)
    assert fold(full, full, NOW_US) == full


@pytest.mark.parametrize(
    ("kept", "given", "after"),
    [
        ("", "s:x", "s:x"),
        ("s:x", "", "s:x"),
        ("s:x", "t:y", "s:x t:y"),
        ("s:x t:y", "s:z", "s:z t:y"),
        ("s:x t:y s:z", "t:y", "s:x t:y s:z"),
        ("s:x t:y s:z", "s:x s:z", "s:x t:y s:z"),
        ("s:x t:y s:z", "s:z", "s:z t:y"),
        ("t:y", "s:x t:z u:v", "t:z s:x u:v"),
    ],
)
def test_labels_of_a_scheme_replace_those_of_that_scheme_only(kept: str, given: str, after: str) -> None:
    def stored(text: str) -> str:
        pairs = (item.split(":") for item in text.split())
        return labels_to_text(tuple(Label(scheme, "", value) for scheme, value in pairs))

    assert fold_labels(stored(kept), stored(given)) == stored(after)


def test_versions_of_a_scheme_are_one_scheme() -> None:
    old, new = (labels_to_text((Label("s", version, "x"),)) for version in ("1", "2"))
    assert fold_labels(old, new) == new


AGREES = Opinion("o", Stance.AGREE, "seen", MARCH)


@pytest.mark.parametrize(
    ("given", "after"),
    [
        (Opinion("o", Stance.DISAGREE, "not it", APRIL), Opinion("o", Stance.DISAGREE, "not it", APRIL)),
        (Opinion("o", Stance.DISAGREE, "", APRIL), Opinion("o", Stance.DISAGREE, "", APRIL)),
        (Opinion("o", Stance.DISAGREE, "not it", MARCH), Opinion("o", Stance.DISAGREE, "not it", MARCH)),
        (Opinion("o", Stance.DISAGREE, "not it", MARCH.replace(year=2025)), AGREES),
        (Opinion("o", Stance.DISAGREE, "not it"), Opinion("o", Stance.DISAGREE, "not it", NOW)),
        (Opinion("o", Stance.AGREE), AGREES),
        (Opinion("o", Stance.AGREE, "seen"), AGREES),
        (Opinion("o", Stance.AGREE, "seen again"), Opinion("o", Stance.AGREE, "seen again", NOW)),
        (Opinion("o", Stance.AGREE, "", APRIL), dataclasses.replace(AGREES, at=APRIL)),
    ],
)
def test_the_latest_opinion_of_a_party_holds(given: Opinion, after: Opinion) -> None:
    assert latest(AGREES, given, NOW) == after
    assert latest(after, given, NOW) == after, "and said again, it changes nothing"


def test_opinions_are_kept_per_party_and_algorithm_in_order_and_dated() -> None:
    text = fold_opinions("", opinions_to_text((Opinion("p", Stance.AGREE), AGREES)), NOW_US)
    of_pdq = Opinion("o", Stance.DISAGREE, "another picture", APRIL, "pdq")
    text = fold_opinions(text, opinions_to_text((of_pdq,)), NOW_US + 1)
    assert opinions_from_text(text) == (AGREES, of_pdq, Opinion("p", Stance.AGREE, "", NOW))
    assert fold_opinions(text, opinions_to_text((of_pdq, AGREES)), NOW_US + 2) == text


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
